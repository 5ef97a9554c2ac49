"""Targets and options of the command line that cannot work are refused before any job, in our own words."""

import heapq
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from snakemake.exceptions import InputFunctionException, MissingRuleException

from calflow.configuration.problems import InputError, Problem, nearest, nothing_to_make
from calflow.engine.execution import Execution, Layer

COMMAND = "command line"
CANDIDATES = 300  # products that are compared with a misspelled one; comparing tens of thousands takes seconds


def check_command_line(
    products: Mapping[str, Callable[[], Iterable[str]]],
    reasons: tuple[type[Exception], ...],
    nothing: Callable[[str], Problem] = nothing_to_make,
) -> Layer:
    """
    Return what lets Snakemake execute only with cores, and with targets that there are.

    Parameters
    ----------
    products : dict
        By the name of a target, the files that it stands for. ``all`` has those of the others.
    reasons : tuple of exception types
        With which a rule refuses to make a file that the plan does not have.
    nothing : callable
        From the targets to the problem that there is nothing to make for them.
    """

    def execute_what_is_there(execution: Execution, execute: Callable[[], Any]) -> Any:
        workflow, targets = execution.workflow, execution.targets or ["all"]
        try:
            _refuse_no_cores(execution)
            _refuse_no_products(targets, products, nothing)
            try:
                return execute()
            except MissingRuleException:
                files = products["all"]()
                problems = _unknown(workflow, targets, files) or _not_made(workflow, targets, files)
                if problems := [*problems, *_unknown_to_options(workflow, files)]:
                    raise InputError(problems) from None
                raise
            except InputFunctionException as error:
                # Which of them it was is not kept, but its text.
                found = re.search(rf"\b({'|'.join(kind.__name__ for kind in reasons)}): (.+)", str(error))
                if not found:
                    raise
                problems = _unknown(workflow, targets, products["all"](), found[2])
                raise InputError(problems or [Problem(COMMAND, " ".join(targets), found[2])]) from None
        except InputError as error:
            sys.exit(str(error))

    return execute_what_is_there


def _refuse_no_cores(execution: Execution) -> None:
    """Without a core Snakemake waits for one, for ever."""
    option, number = "--cores" if execution.is_local else "--jobs", execution.at_once
    if number is not None and number < 1 and not execution.is_dry:
        raise InputError(
            [Problem(COMMAND, option, f"{number} leaves nothing to run jobs on", f"give {option} 1 or more")]
        )


def _refuse_no_products(
    targets: list[str], products: Mapping[str, Callable[[], Iterable[str]]], nothing: Callable[[str], Problem]
) -> None:
    """Refuse a run that can make nothing of what was asked for: that is no success."""
    asked = [name for name in targets if name != "plan"] or ["all"]
    if any(name not in products for name in asked) or any(products[name]() for name in asked):
        return
    problem = nothing(" ".join(asked))
    if any(products["all"]()):
        others = ", ".join(name for name, files in products.items() if files())
        problem = replace(problem, right=f"there is something for {others}")
    raise InputError([problem])


def _unknown(
    workflow: Any, targets: Iterable[str], products: Iterable[str], why: str = "no such target"
) -> list[Problem]:
    """Return a problem for each target that is neither a rule, nor a product, nor a file."""
    products = list(products)
    rules = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
    unknown = [name for name in targets if name not in rules and name not in set(products) and not os.path.exists(name)]
    return [Problem(COMMAND, name, why, _nearest(name, rules, products)) for name in unknown]


def _not_made(workflow: Any, targets: Iterable[str], products: Iterable[str]) -> list[Problem]:
    """Return a problem for each target that is a file, but neither a rule nor a product."""
    known = {*products, *(rule.name for rule in workflow.rules)}
    return [
        Problem(COMMAND, name, "is there, but nothing here makes it", _in_place_of(name))
        for name in targets
        if name not in known and os.path.exists(name)
    ]


def _in_place_of(file: str) -> str:
    """Return the advice for a file that is no product."""
    if file.endswith((".yaml", ".yml", ".json")):
        return f"a configuration is given by --configfile {file}"
    return "give a product, or the name of a target"


def _unknown_to_options(workflow: Any, products: Iterable[str]) -> list[Problem]:
    """Return a problem for each rule or file that an option such as ``--until`` names, and that there is not."""
    products = list(products)
    rules = [rule.name for rule in workflow.rules]
    settings, scheduling = workflow.dag_settings, workflow.scheduling_settings
    named = {
        "--forcerun": settings.forcerun,
        "--until": settings.until,
        "--omit-from": settings.omit_from,
        "--prioritize": scheduling.prioritytargets if scheduling else (),
    }
    return [
        Problem(COMMAND, f"{option} {name}", "no such rule or product", _nearest(name, rules, products))
        for option, names in named.items()
        for name in sorted(names)
        if name not in rules and name not in products and not os.path.exists(name)
    ]


def _nearest(name: str, rules: Iterable[str], products: Iterable[str]) -> str:
    """Return the advice for a name that is none of these; only a file can have a folder or a suffix."""
    if os.sep not in name and "." not in name:
        return nearest(name, rules)
    alike = _alike(name, products)
    if same := [path for path in alike if os.path.basename(path) == os.path.basename(name)]:
        return f"did you mean {same[0]!r}?"
    advice = nearest(name, [*rules, *alike])
    return advice if advice.startswith("did you mean") else nearest(name, rules)


def _alike(name: str, products: Iterable[str]) -> list[str]:
    """Return those files that begin most like a path, or whose name begins most like its name."""
    file = os.path.basename(name)

    def common(path: str) -> int:
        return max(_common(name, path), _common(file, os.path.basename(path)))

    return heapq.nlargest(CANDIDATES, products, common)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
