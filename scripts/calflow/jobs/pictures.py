"""Jobs that draw the pictures of the demo."""

from calflow.jobs.declaration import Job
from calflow.plan.combination import UnknownAssociation
from calflow.plan.plan import Plan, UnknownExposure


def exposure(plan: Plan) -> dict[str, str]:
    """Return the files of ``demo_picture``: the first exposure with a quick look, before and after stage 2.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    for planned in plan.exposures.values():
        if planned.quick_look:
            return {"rate": str(planned.science)} | {kind: plan.path(planned, kind) for kind in ("cal", "i2d")}
    raise UnknownExposure("no exposure of this configuration gets a quick look to make a picture of")


def combined(plan: Plan) -> dict[str, str]:
    """Return the files of ``demo_combined_picture``: an exposure, and the products of stage 3 that it is part of.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    for name, association in plan.stage3.associations.items():
        for member in association.members:
            planned = plan.exposures.get(member.root)
            if planned and planned.quick_look and association.runs("source_catalog") and not association.single:
                products = {"i2d": "i2d.fits", "segm": "segm.fits", "catalog": "cat.ecsv"}
                return {
                    "exposure": plan.path(planned, "i2d"),
                    "crf": plan.stage3.path(association.crf(member)),
                    "alignment": plan.stage3.table(name, "alignment"),
                } | {role: plan.stage3.path(f"{name}_{suffix}") for role, suffix in products.items()}
    raise UnknownAssociation("no association of this configuration gets a catalogue to make a picture of")


JOBS = {
    "demo_picture": Job("demo_picture.py", exposure, tracked=False),
    "demo_combined_picture": Job("demo_combined_picture.py", combined, tracked=False),
}
