"""How far an association of stage 3 is, as its tables say."""

from collections.abc import Callable
from pathlib import Path

from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import Plan
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
    good = [row for row in rows["alignment"] if row.get("status") == COMPLETE]
    used = [row for row in rows["alignment"] if row.get("used") == "True"]
    return MadeAssociation(
        name,
        steps,
        products,
        missing,
        aligned=len(good) if rows["alignment"] and steps[planned.alignment_step] != SKIPPED else None,
        combined=len(used if rows["alignment"] else planned.members),
        rms=median_of(good, "rms"),
        sources=sources if cataloged and planned.runs("source_catalog") else None,
    )
