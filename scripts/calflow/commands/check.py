"""``snakemake check``: the configuration and all inputs are looked at as by a run, and that is all."""

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.configuration.problems import InputError
from calflow.plan.plan import Plan, nothing_planned
from calflow.plan.planner import make_plan


def answer(asked: Asked) -> Answer:
    """Return a line on what is there, and one for each thing to mind.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        With everything that is wrong.
    """
    plan = make_plan(asked.settings, asked.files, cache=HEADERS)
    if not plan.products():
        raise InputError([nothing_planned(plan)])
    made = plan.made_associations
    notices = [*([made.summary()] if made else []), *plan.notices]
    return Answer("\n".join([f"{what_is_there(plan)}: nothing wrong", *(f"  {notice}" for notice in notices)]))


def what_is_there(plan: Plan) -> str:
    """Return how many exposures, associations and references a plan has.

    Parameters
    ----------
    plan : Plan
    """
    members = {member.cal for found in plan.stage3.associations.values() for member in found.members}
    made = {plan.path(calibrated, "cal") for calibrated in plan.all_calibrated()}
    counts = {
        "exposure": len(plan.exposures) + len(members - made),
        "background": len({path for e in plan.exposures.values() if e.background for path in e.background.members}),
        "association": len(plan.stage3.associations) + len(plan.merges),
        "reference": len(plan.reference_files),
        "reference to make": len(plan.references),
    }
    return ", ".join(_number(count, word) for word, count in counts.items() if count)


def _number(count: int, word: str) -> str:
    if count == 1:
        return f"1 {word}"
    noun, _, rest = word.partition(" ")
    return f"{count} {noun}s {rest}".rstrip()
