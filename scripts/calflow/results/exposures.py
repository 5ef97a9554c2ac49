"""How far an exposure of stage 2 is, as the headers of its products say."""

from collections.abc import Iterable
from pathlib import Path

from calflow.files.keywords import STATUS
from calflow.inputs.fits_headers import HeaderError, read_hdus
from calflow.plan.extra_steps import cleaned_name
from calflow.plan.plan import Calibrated, Plan, PlannedExposure
from calflow.results.extra_steps import extra_steps_in
from calflow.results.made import NOT_MADE, STALE, Made, there
from calflow.results.tables import SKIPPED


def made_of_exposure(plan: Plan, planned: Calibrated) -> Made:
    """Return how far an exposure is, or a merged one.

    Parameters
    ----------
    plan : Plan
    planned : PlannedExposure or PlannedMerge
    """
    names = [step for step, _ in planned.steps] if isinstance(planned, PlannedExposure) else ["merge_subarrays"]
    background = isinstance(planned, PlannedExposure) and planned.background is not None
    names = [*(["bkg_subtract"] if background and "bkg_subtract" not in names else []), *names]
    cal = Path(plan.path(planned, "cal"))
    inputs = list(_inputs(planned))
    steps = _by_header(cal, names, inputs) | {k: v for k, v in planned.status.items() if k != "resample"}
    if planned.quick_look:
        steps |= _by_header(Path(plan.path(planned, "i2d")), ["resample"], inputs)
    elif "resample" in planned.status:
        steps["resample"] = planned.status["resample"]
    extra, pixels = extra_steps_in([(cal, plan.cleanings.get(cleaned_name(planned.root, "rate")))])
    products, missing = there(plan.products_of(planned))
    return Made(planned.root, extra | steps, products, missing, pixels)


def _inputs(planned: Calibrated) -> Iterable[Path]:
    """Yield the raw exposures that an exposure is made of."""
    if isinstance(planned, PlannedExposure):
        yield planned.science
        yield from planned.background.members if planned.background else ()


def _by_header(product: Path, steps: Iterable[str], inputs: Iterable[Path]) -> dict[str, str]:
    """Return what the header of a product says of steps."""
    keywords = {step: STATUS[step][0] if step in STATUS else f"S_{step[:6].upper()}" for step in steps}
    try:
        with product.open("rb") as file:
            values, _ = read_hdus(file, keywords.values())[0]
        made = product.stat().st_mtime
        if any(path.stat().st_mtime > made for path in inputs):
            return dict.fromkeys(keywords, STALE)
    except (OSError, HeaderError):
        return dict.fromkeys(keywords, NOT_MADE)
    return {step: str(values.get(keyword, SKIPPED)) for step, keyword in keywords.items()}
