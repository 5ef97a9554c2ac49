"""``snakemake status``: what is made of each exposure and association; ``snakemake status json`` for programs."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.configuration.problems import InputError, Problem
from calflow.engine.lock_holder import who_runs
from calflow.engine.outcome import Failure, failures_in
from calflow.engine.remarks import Remark, one_for_same, standing_remarks
from calflow.files.keywords import STATUS
from calflow.plan.plan import Plan, nothing_planned
from calflow.plan.planner import make_plan
from calflow.printable import shortened
from calflow.results.associations import made_of_association
from calflow.results.exposures import made_of_exposure
from calflow.results.made import NOT_MADE, Made, MadeAssociation
from calflow.results.tables import FAILED

FORM = "json"
# What is not made when a job of these rules failed; of `calibrate` all but the quick look.
STEPS = {
    "merge_subarrays": ("merge_subarrays",),
    "resample_exposure": ("resample",),
    "align": ("assign_mtwcs", "tweakreg"),
    **dict.fromkeys(("find_overlaps", "measure_sky", "match_sky"), ("skymatch",)),
    **dict.fromkeys(
        ("resample_group", "take_median", "take_lowest", "flag_outliers", "count_outliers"), ("outlier_detection",)
    ),
    **dict.fromkeys(("lay_grid", "combine", "combine_group", "combine_piece"), ("resample",)),
    "catalog_sources": ("source_catalog",),
}
AnyMade = TypeVar("AnyMade", bound=Made)
SHORTEST_NAME = 16  # of an exposure, in a narrow terminal
ABSENT = "-"  # of a step that an exposure does not have


@dataclass(frozen=True)
class Status:
    """How far a folder is.

    Attributes
    ----------
    exposures : sequence of Made
    associations : sequence of MadeAssociation
    failures : sequence of Failure
        Why products are not there, as far as the logs tell.
    remarks : sequence of Remark
        What did not work though its product is there.
    notices : sequence of str
        Of the plan.
    running : str
        Which run works in the folder; empty if none does.
    """

    exposures: Sequence[Made]
    associations: Sequence[MadeAssociation]
    failures: Sequence[Failure] = ()
    remarks: Sequence[Remark] = ()
    notices: Sequence[str] = ()
    running: str = ""

    def as_json(self) -> str:
        """Return all of it as JSON."""
        tree: dict[str, Any] = {
            name: [asdict(each) for each in getattr(self, name)]
            for name in ("exposures", "associations", "failures", "remarks")
        }
        for one in [*tree["exposures"], *tree["associations"]]:
            if not one["pixels"]:  # without extra steps
                del one["pixels"]
        return json.dumps(tree | {"notices": list(self.notices), "running": self.running}, indent=1)

    def text(self, columns: int | None = None) -> str:
        """Return all of it as tables, and a line per thing to mind.

        Parameters
        ----------
        columns : int, optional
            Of the terminal: the tables are no wider, as far as that can be.
        """
        every = [*self.exposures, *self.associations]
        there, missing = sum(len(made.products) for made in every), sum(len(made.missing) for made in every)
        folders = sorted({str(Path(path).parent) for made in every for path in made.products})
        lines = [
            *_table("exposure", self.exposures, columns),
            *_table("association", self.associations, columns),
            *map(str, self.associations),
            *([""] if self.associations else []),
            *_pixels("exposure", self.exposures),
            *_pixels("association", self.associations),
            *(f"{one.rule} {', '.join(one.wildcards)} FAILED: {one.reason} (log: {one.log})" for one in self.failures),
            *(f"{one} (log: {one.log})" for one in one_for_same(self.remarks)),
            *self.notices,
            f"{there} of {there + missing} products are there" + (f", in {', '.join(folders)}" if folders else ""),
        ]
        return "\n".join([*lines, *([self.running] if self.running else [])])


def answer(asked: Asked) -> Answer:
    """Return the status; the exit status is 1 if a job failed whose product is not there.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        With everything that is wrong with the input, of which nothing can be planned.
    """
    if list(asked.words) not in ([], [FORM]):
        wrong = f"{' '.join(asked.words)!r} is not valid"
        raise InputError([Problem("command line", "status", wrong, f"give nothing, or {FORM}")])
    plan = make_plan(asked.settings, asked.files, cache=HEADERS)
    if not plan.products():
        raise InputError([nothing_planned(plan)])
    status = status_of(plan)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return Answer(status.as_json() if asked.words else status.text(columns), status=1 if status.failures else 0)


def status_of(plan: Plan) -> Status:
    """Return how far the products of a plan are.

    Parameters
    ----------
    plan : Plan
    """
    logs = Path(f"{plan.output}logs")
    exposures = [made_of_exposure(plan, planned) for planned in plan.all_calibrated()]
    associations = [made_of_association(plan, planned) for planned in plan.stage3.associations.values()]
    failures = failures_in(logs, _names_without(plan, [*exposures, *associations]))
    crfs = {found.name: {found.crf_root(one) for one in found.members} for found in plan.stage3.associations.values()}
    return Status(
        [with_failures(made, {made.name}, failures) for made in exposures],
        [with_failures(made, {made.name, *crfs[made.name]}, failures) for made in associations],
        failures,
        standing_remarks(logs, plan.names()),
        plan.notices,
        who_runs(),
    )


def with_failures(made: AnyMade, names: Set[str], failures: Iterable[Failure]) -> AnyMade:
    """Return what is made with the steps FAILED that are not made since their job failed.

    Parameters
    ----------
    made : Made
    names : collection of str
        Of what its jobs work on.
    failures : iterable of Failure
    """
    steps = dict(made.steps)
    for failure in failures:
        if not names.isdisjoint(failure.wildcards):
            not_made = [step for step in steps if steps[step] == NOT_MADE]
            failed = [step for step in not_made if _is_step_of(step, failure.rule, step in made.pixels)]
            steps |= dict.fromkeys(failed, FAILED)
    return replace(made, steps=steps)


def _is_step_of(step: str, rule: str, is_extra: bool) -> bool:
    if is_extra or rule == "apply_extra_steps":
        return is_extra and rule == "apply_extra_steps"
    return step != "resample" if rule == "calibrate" else step in STEPS.get(rule, ())


def _names_without(plan: Plan, every: Iterable[Made]) -> set[str]:
    """Return the names of what has no product yet, and of all that it is made of."""
    names = {made.name for made in every if made.missing or NOT_MADE in made.steps.values()}
    for name in list(names):
        if name in plan.exposures and (background := plan.exposures[name].background):
            names.add(background.name)
        if found := plan.stage3.associations.get(name):
            names |= {root for member in found.members for root in (member.root, found.crf_root(member))}
    return names


def _pixels(kind: str, every: Iterable[Made]) -> list[str]:
    """Return a line for each extra step that tells how many pixels it has changed."""
    found: dict[str, list[int]] = {}
    for made in every:
        for step, number in made.pixels.items():
            if number is not None:
                found.setdefault(step, []).append(number)
    return [
        f"{step}: {sum(numbers)} pixels in {len(numbers)} {kind}{'' if len(numbers) == 1 else 's'}"
        for step, numbers in found.items()
    ]


def _table(head: str, every: Sequence[Made], columns: int | None = None) -> list[str]:
    """Return a line for each exposure or association, with a column for each step that any of them has."""
    if not every:
        return []
    places = {step: place for place, step in enumerate(STATUS)}
    found = dict.fromkeys(step for made in every for step in made.steps)
    places |= {step: -1 for made in every for step in made.pixels}  # extra steps, which come first
    steps = sorted(found, key=lambda step: places.get(step, places["photom"]))  # a family may have steps of its own
    rows = [[made.name, *(made.steps.get(step, ABSENT) for step in steps)] for made in every]
    lines = _aligned([[head, *steps], *rows], "  ")
    if columns and max(map(len, lines)) > columns:
        # Each head in two lines, and of the names what space is left.
        upper, lower = zip(*(step.rpartition("_")[::2] for step in steps), strict=True) if steps else ((), ())
        rows = [["", *upper], [head, *lower], *rows]
        over = max(map(len, _aligned(rows, " "))) - columns
        longest = max(len(row[0]) for row in rows)
        rows = [[shortened(row[0], max(longest - max(over, 0), len(head), SHORTEST_NAME)), *row[1:]] for row in rows]
        lines = _aligned(rows, " ")
    return [*lines, ""]


def _aligned(rows: Sequence[Sequence[str]], between: str) -> list[str]:
    """Return rows as lines in which the cells of a column begin at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [between.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
