"""Where it is written how good products are. These files are not among the products: they are made when asked for."""

from calflow.plan.plan import Plan


def association_qualities(plan: Plan) -> dict[str, str]:
    """Return the paths of what is measured on associations, by the names of these.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return {name: f"{plan.output}quality/{name}.json" for name in plan.stage3.associations}


def completeness_path(plan: Plan, association: str) -> str | None:
    """Return the path of how complete the catalogue of an association is; None if that is not asked for, or has none.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    catalog = plan.stage3.path(f"{association}_cat.ecsv")
    if not plan.settings.quality.completeness.measure or catalog not in plan.stage3.products_of(planned):
        return None
    return f"{plan.output}quality/completeness/{association}.json"


def exposure_quality(plan: Plan, root: str) -> str:
    """Return the path of what is measured on a calibrated exposure.

    Parameters
    ----------
    plan : Plan
        What this run does.
    root : str
        Root of the names of its products.
    """
    return f"{plan.output}quality/exposures/{root}.json"


def calibrated_path(plan: Plan, root: str) -> str:
    """Return the calibrated exposure, of this run or of the user.

    Parameters
    ----------
    plan : Plan
        What this run does.
    root : str
        Root of the names of its products.
    """
    member = plan.stage3.members.get(root)
    return member.cal if member else plan.path(plan.calibrated(root), "cal")
