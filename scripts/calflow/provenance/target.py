"""``snakemake lineage PRODUCT``: told before any job, of Snakemake's graph and its records."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calflow.configuration.problems import InputError, Problem
from calflow.engine.execution import Execution, Layer
from calflow.engine.graph_jobs import jobs_by_file
from calflow.engine.records import place_of_record
from calflow.engine.targets import LINEAGE
from calflow.plan.plan import Plan
from calflow.printable import printable
from calflow.provenance.lineage import Lineage, digest_of, lineage_of

FORM, DIGESTS = "json", "digests"


def offer_lineage(plan: Plan) -> Layer:
    """Return the layer that prints the lineage of products and runs nothing, if `lineage` is among the targets.

    Parameters
    ----------
    plan : Plan
        Of the run.
    """

    def execute_or_tell(execution: Execution, execute: Callable[[], Any]) -> Any:
        words = execution.targets
        if LINEAGE not in words:
            return execute()
        try:
            lineages = _lineages(execution, plan, words)
        except InputError as error:
            sys.exit(str(error))
        trees = json.dumps([lineage.tree() for lineage in lineages], indent=1)
        print(trees if FORM in words else printable("\n\n".join(each.text() for each in lineages), keep="\n"))
        return None

    return execute_or_tell


def _lineages(execution: Execution, plan: Plan, words: Sequence[str]) -> list[Lineage]:
    products = sorted(word for word in words if word not in (LINEAGE, FORM, DIGESTS))
    if not products:
        raise InputError([Problem("command line", LINEAGE, "names no product", "give the path of one behind it")])
    wrong = [problem for product in products if (problem := _problem(plan, product))]
    if wrong:
        raise InputError(wrong)
    return [_lineage(execution, plan, product, digests=DIGESTS in words) for product in products]


def _problem(plan: Plan, product: str) -> Problem | None:
    if os.path.exists(product) or place_of_record(product):
        return None
    is_planned = os.path.normpath(product) in plan.products()
    wrong = "is not made yet" if is_planned else "no such file, and no record of it"
    return Problem("command line", product, wrong, "give the path of a product that a run has made")


def _lineage(execution: Execution, plan: Plan, product: str, *, digests: bool) -> Lineage:
    folder, path = place_of_record(product) or (Path(), os.path.normpath(product))
    is_here = os.path.samefile(folder, Path())
    jobs = jobs_by_file(execution, path, plan.is_reference) if is_here else None
    return lineage_of(Path() if is_here else folder, path, jobs, plan.is_reference, digest_of if digests else None)
