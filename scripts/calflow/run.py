"""What surrounds a run of the Snakefile, from before its plan is made to its last line."""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from calflow.display.display import Display
from calflow.engine.attempts import MADE, attempts_in, record_attempts
from calflow.engine.command_line import check_command_line
from calflow.engine.cut_off import leave_out_unchanged
from calflow.engine.dry_run import shorten_reasons
from calflow.engine.execution import Execution, Layer, surround
from calflow.engine.leftovers import remove_leftovers
from calflow.engine.lock import lock_runs
from calflow.engine.reading import is_job, is_local, take_a_core
from calflow.engine.run_log import begin_quietly
from calflow.engine.signals import take_signals
from calflow.engine.slurm import check_slurm
from calflow.engine.speed import speed_up
from calflow.engine.stored import list_once
from calflow.engine.summary import Summary, tell_of_nothing
from calflow.engine.targets import LINEAGE, targets_with
from calflow.engine.timers import stop_timers
from calflow.engine.warm_start.launcher import start_launcher, stop_launcher
from calflow.forecast.large_dry_runs import tell_large_dry_runs
from calflow.forecast.target import look_ahead, offer_plan
from calflow.inputs.storage_mirror import objects_below
from calflow.jobs.sizes import pixels_in
from calflow.plan.combination import UnknownAssociation
from calflow.plan.handed_on import hand_on
from calflow.plan.plan import Plan, UnknownExposure, nothing_planned
from calflow.printable import printable
from calflow.results.associations import made_of_association
from calflow.whole_files import replace_text

QUALITY, PAGES = "quality", "pages"
PAGE, TIMES = "page.html", "times.html"
ALL = re.compile(r"all|demo\w*(?<!_data)")  # targets that include the pages, if these are wanted
MOST_COLOURS = 8  # that are in the page of a run: those of more grids are linked
FOLDERS = ("stage2", "stage3", "references")
READ = (*FOLDERS, "quality", "previews")  # what jobs make that others read


class Run:
    """
    A run of the Snakefile.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    version : str
        Of Snakemake; one with which calflow is tested.

    Attributes
    ----------
    is_job : bool
        Whether it was started by another, on a cluster, to do one of its jobs.
    """

    def __init__(self, workflow: Any, version: str) -> None:
        self._workflow = workflow
        self.is_job = is_job(workflow)
        speed_up()
        take_signals()
        begin_quietly(workflow)
        shorten_reasons(workflow)
        self._lineage_is_asked_for = bool(targets_with([LINEAGE]))
        if self._lineage_is_asked_for:
            take_a_core(workflow)

    def surround(self, plan: Plan, config: Mapping[str, Any]) -> None:
        """
        Put around what Snakemake executes what calflow does before and after it.

        Parameters
        ----------
        plan : Plan
        config : mapping
            What the plan was made of.
        """
        self._plan, self._config = plan, config
        if plan.settings.provenance != "none":
            self._carry_provenance()
        logs = self._logs = Path(f"{plan.output}logs")
        if self.is_job:  # of a cluster, which runs its script itself
            record_attempts(logs)
        self._summary = Summary(self._workflow, logs, plan.notices, plan.names(), self._associations)
        self._display = Display(self._workflow, plan, self._summary.reason_of)
        products = {
            "all": plan.products,
            "references": plan.reference_products,
            "stage2": plan.stage2_products,
            "stage3": plan.stage3.products,
            QUALITY: self._qualities,
        }
        # The first stands around all others: the plan takes no lock, and a run looks for what is stale when it has it.
        surround(
            self._workflow,
            [
                list_once(objects_below),
                *self._told_of_records(),
                *([leave_out_unchanged(self._folders(READ))] if plan.settings.leave_out_unchanged else []),
                check_command_line(products, (UnknownExposure, UnknownAssociation), partial(nothing_planned, plan)),
                offer_plan(plan),
                tell_large_dry_runs(plan),
                lock_runs(Path(plan.output), after=self._remove_leftovers),
                self._show,
                self._display.around(),
                look_ahead(plan, self._summary.leave_out),
                tell_of_nothing(self._summary),
            ],
        )

    def begin(self) -> None:
        """Do what comes before the first job."""
        check_slurm(self._workflow)
        if not is_local(self._workflow):
            hand_on(self._plan, self._config)
        self._summary.watch()
        record_attempts(self._logs)
        self._display.begin()
        start_launcher(self._workflow, pixels_in(self._plan))

    def end(self) -> None:
        """Do what comes after the last job, whatever became of it."""
        stop_launcher()
        self._display.end()
        self._summary.tell()
        stop_timers()

    def _show(self, execution: Execution, execute: Callable[[], Any]) -> Any:
        """Tell after an execution how good everything is, if it is asked for, and fail if something is wrong."""
        targets = execution.targets or ["all"]
        tells = QUALITY in targets
        writes = PAGES in targets or (self._plan.settings.page and any(map(ALL.fullmatch, targets)))
        if not (tells or writes) or execution.is_dry or execution.touches or execution.is_stored_elsewhere:
            return execute()
        from calflow.quality.gathered import gather, quality_text

        began = time.time()
        if writes:
            self._display.write_page(Path(f"{self._plan.output}{PAGE}"))
        try:
            result = execute()
        finally:
            found = gather(self._qualities())
            path = Path(f"{self._plan.output}quality.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(path, json.dumps(found, indent=1) + "\n")
            if writes:
                self._write_page(found)
                self._write_times(began)
            if tells:
                print(printable(f"{quality_text(found)}; all of it: {path}", keep="\n"), flush=True)
        if tells and found["judgement"] == "wrong":
            sys.exit(1)
        return result

    def _write_page(self, quality: Mapping[str, Any]) -> None:
        """Write the page of the run, of what is there, whatever failed."""
        from calflow.files.version import VERSION
        from calflow.jobs.pages import changed_parameters
        from calflow.pages.images import embedded
        from calflow.pages.run import run_page
        from calflow.plan.made_beside import association_pages, colour_pictures, maps
        from calflow.results.overview import overview

        plan, folder = self._plan, Path(self._plan.output)
        pages = {Path(path).stem: path for path in association_pages(plan) if Path(path).exists()}
        links = {name: str(Path(path).relative_to(folder)) for name, path in pages.items()}
        colours = {Path(path).stem: Path(path) for path in colour_pictures(plan) if Path(path).exists()}
        try:
            summary = json.loads((folder / "logs" / "summary.json").read_text())
        except (OSError, ValueError):
            summary = {}
        changed = changed_parameters(plan.settings, "")
        html = run_page(
            overview(plan, links),
            quality,
            summary,
            colours={
                name: embedded(path) if number < MOST_COLOURS else str(path.relative_to(folder))
                for number, (name, path) in enumerate(colours.items())
            },
            maps={path.parent.name: str(path.relative_to(folder)) for path in map(Path, maps(plan)) if path.exists()},
            folder=plan.output,
            parameters=changed,
            version=f"calflow {VERSION}",
        )
        replace_text(folder / PAGE, html)

    def _write_times(self, began: float) -> None:
        """Write what the jobs of this run took; what an earlier one took stays, if this one had none."""
        from calflow.pages.times import Took, rows_of, times_page

        path, start = Path(f"{self._plan.output}{TIMES}"), datetime.fromtimestamp(began, UTC)
        took = {
            (each.rule, printable(", ".join(each.wildcards))): Took(each.cpu, each.seconds, each.memory)
            for each in attempts_in(self._logs)
            if each.outcome == MADE and each.started >= start.isoformat(timespec="milliseconds")
        }
        if path.exists() and not took:
            return
        expected = {(task.rule, task.name): Took(task.cpu, task.wall, task.memory) for task in self._display.tasks()}
        began_at = start.astimezone().strftime("%H:%M:%S on %-d %B %Y")
        rows = rows_of(took, expected)
        replace_text(path, times_page(rows, folder=self._plan.output, began=began_at, lasted=time.time() - began))

    def _qualities(self) -> dict[str, str]:
        """Return where it is told how good associations are."""
        from calflow.plan.quality_files import association_qualities

        return association_qualities(self._plan)

    def _associations(self) -> dict[str, dict[str, Any]]:
        """Return how the associations went of which something is made: by a line for people, the same for programs."""
        found = [made_of_association(self._plan, planned) for planned in self._plan.stage3.associations.values()]
        return {str(made): asdict(made) for made in found if made.products}

    def _carry_provenance(self) -> None:
        """Also in the job of a cluster, which runs its script itself."""
        from calflow.provenance.carrying import carry  # which others need not load

        carry(self._plan.settings.provenance, self._plan.is_reference)

    def _told_of_records(self) -> list[Layer]:
        if not self._lineage_is_asked_for:
            return []
        from calflow.provenance.target import offer_lineage  # which others need not load

        return [offer_lineage(self._plan)]

    def _remove_leftovers(self) -> None:
        remove_leftovers(map(Path, self._folders(FOLDERS)))

    def _folders(self, names: Sequence[str]) -> list[str]:
        """Return where products are, or what else is read."""
        return [f"{self._plan.output}{name}/" for name in names]
