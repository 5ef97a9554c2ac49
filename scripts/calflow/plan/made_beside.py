"""What a run makes beside its products, if the configuration wants it: pictures and pages."""

from calflow.plan.plan import Plan


def made_beside(plan: Plan) -> list[str]:
    """Return the paths of what is made beside the products; nothing by default.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    pages = association_pages(plan) if plan.settings.page else []
    if not plan.settings.previews:
        return pages
    from calflow.plan.preview_files import all_previews, preview_path

    return [*(preview_path(plan, name) for name in all_previews(plan)), *pages]


def association_pages(plan: Plan) -> list[str]:
    """Return the paths of the pages of associations.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return [f"{plan.output}pages/{name}.html" for name in plan.stage3.associations]
