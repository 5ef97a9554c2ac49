"""How far an association of stage 3 is, as its tables say."""

from collections.abc import Callable
from pathlib import Path

from calflow.plan.combination import PlannedAssociation
from calflow.plan.extra_steps import cleaned_name
from calflow.plan.plan import Plan
from calflow.results.extra_steps import extra_steps_in
from calflow.results.made import NOT_MADE, MadeAssociation, there
from calflow.results.tables import COMPLETE, SKIPPED, catalog_status, joint_status, median_of, table_rows


def made_of_association(plan: Plan, planned: PlannedAssociation) -> MadeAssociation:
    """Return how far an association is.

    Parameters
    ----------
    plan : Plan
    planned : PlannedAssociation
    """
    stage3, name = plan.stage3, planned.name
    rows = {kind: table_rows(Path(stage3.table(name, kind))) for kind in ("alignment", "sky", "outliers")}
    products, missing = there(stage3.products_of(planned))
    start = stage3.path(f"{name}_")
    image = any(path.startswith(start) and path.endswith("i2d.fits") for path in products)
    cataloged, sources = catalog_status(Path(stage3.path(f"{name}_cat.ecsv")))
    found: dict[str, Callable[[], str]] = {
        planned.alignment_step: lambda: joint_status(rows["alignment"]),
        "skymatch": lambda: joint_status(rows["sky"]),
        "outlier_detection": lambda: joint_status(rows["outliers"]),
        "resample": lambda: COMPLETE if image else "",
        "source_catalog": lambda: cataloged,
    }
    steps = {step: planned.status.get(step) or look() or NOT_MADE for step, look in found.items()}
    combined = [planned.crf(member) if not planned.single else f"{name}_i2d.fits" for member in planned.members]
    extra, pixels = extra_steps_in(
        (Path(stage3.path(file)), plan.cleanings.get(cleaned_name(member.root, "cal")))
        for file, member in zip(combined, planned.members, strict=True)
    )
    good = [row for row in rows["alignment"] if row.get("status") == COMPLETE]
    used = [row for row in rows["alignment"] if row.get("used") == "True"]
    return MadeAssociation(
        name,
        extra | steps,
        products,
        missing,
        pixels,
        aligned=len(good) if rows["alignment"] and steps[planned.alignment_step] != SKIPPED else None,
        combined=len(used if rows["alignment"] else planned.members),
        rms=median_of(good, "rms"),
        sources=sources if cataloged and planned.runs("source_catalog") else None,
    )
