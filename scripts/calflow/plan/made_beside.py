"""What a run makes beside its products, if the configuration wants it: pictures, pages and maps."""

from calflow.plan.plan import Plan

# Exposures whose pictures a page has: one that takes long to load is not looked at.
MOST_PICTURES = 50


def made_beside(plan: Plan) -> list[str]:
    """Return the paths of what is made beside the products; nothing by default.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    made = all_pictures(plan) if plan.settings.previews else []
    if plan.settings.page:
        made += [*association_pages(plan), *exposure_pages(plan), *colour_pictures(plan), *maps(plan), *hips(plan)]
    return [*dict.fromkeys(made)]


def all_pictures(plan: Plan) -> list[str]:
    """Return the paths of the pictures of all products, and of common grids in colour.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    from calflow.plan.preview_files import all_previews, cutouts_path, has_cutouts, preview_path

    cutouts = [cutouts_path(plan, name) for name in plan.stage3.associations if has_cutouts(plan, name)]
    return [*(preview_path(plan, name) for name in all_previews(plan)), *cutouts, *colour_pictures(plan)]


def colour_pictures(plan: Plan) -> list[str]:
    """Return the paths of the pictures of common grids in colour.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    if not plan.settings.grids:
        return []
    from calflow.plan.colour_files import colour_paths

    return colour_paths(plan)


def maps(plan: Plan) -> list[str]:
    """Return the paths of the maps of images.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    from calflow.plan.map_files import map_paths

    return map_paths(plan)


def hips(plan: Plan) -> list[str]:
    """Return the paths of the HiPS of images, which maps are made with.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    from calflow.plan.map_files import hips_paths

    return hips_paths(plan)


def association_pages(plan: Plan) -> list[str]:
    """Return the paths of the pages of associations.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return [f"{plan.output}pages/{name}.html" for name in plan.stage3.associations]


def exposure_pages(plan: Plan) -> list[str]:
    """Return the paths of the pages of exposures, which associations have whose own page cannot show them all.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return [
        f"{plan.output}pages/{name}/{part}.html"
        for name, association in plan.stage3.associations.items()
        for part in range(1, parts_of(len(association.members)) + 1)
    ]


def parts_of(exposures: int) -> int:
    """Return how many pages of exposures an association has beside its own; 0 if that shows all of them.

    Parameters
    ----------
    exposures : int
        Of the association.
    """
    return 0 if exposures <= MOST_PICTURES else -(-exposures // MOST_PICTURES)
