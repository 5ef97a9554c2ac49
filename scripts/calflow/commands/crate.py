"""``snakemake crate``: a run as an RO-Crate, beside its products."""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import yaml

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.configuration.problems import InputError, Problem
from calflow.plan.plan import Plan
from calflow.plan.planner import make_plan
from calflow.provenance.crate import CONFIGURATION, METADATA, WORKFLOW, Run, crate_of
from calflow.provenance.lineage import INPUT, REFERENCE, digest_of, sources_of
from calflow.whole_files import replace_text

ROOT = Path(__file__).parents[3]
# What of calflow a run needs, or says who may do what with it.
CODE = ("CITATION.cff", "LICENSE", "README.md", "Snakefile", "config.yaml", "pyproject.toml")
CODE_FOLDERS = ("envs", "profiles", "rules", "scripts")
NO_DATE = "1970-01-01"  # of a crate without a date of its own


def answer(asked: Asked) -> Answer:
    """Write the crate, and return what is in it.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If something is wrong with the input, or nothing is made yet.
    """
    plan = make_plan(asked.settings, asked.files, cache=HEADERS)
    products = [path for path in plan.products() if Path(path).is_file()]
    if not products:
        raise InputError([Problem(plan.output or ".", "", "no product is there", "make them first")])
    run = _run(plan, products)
    place = Path(f"{plan.output}{METADATA}")
    if not asked.is_dry:
        _write_code(Path(f"{plan.output}{WORKFLOW}"))
        replace_text(Path(f"{plan.output}{CONFIGURATION}"), yaml.safe_dump(dict(asked.config), sort_keys=True))
        replace_text(place, crate_of(run))
    return Answer(_told(plan, run, place))


def _run(plan: Plan, products: list[str]) -> Run:
    output = plan.output
    # Of the attempts of jobs the times are another each time.
    patterns = ["*.html", "pages/*.html", *(["logs/attempts/*.jsonl"] if plan.settings.write_date else [])]
    others = sorted(str(path) for pattern in patterns for path in Path(output).glob(pattern))
    return Run(
        output=output,
        products=products,
        others=others,
        sources=sources_of(Path(), products, is_reference=plan.is_reference, digests=digest_of),
        names=sorted(plan.stage3.associations) or sorted(plan.exposures),
        date=_date(plan),
        citation=yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8")),
        libraries={name: version(name) for name in ("snakemake", "numpy", "astropy")},
    )


def _date(plan: Plan) -> str:
    """Return the time of now, or, where products have none, the day of the last exposure."""
    if plan.settings.write_date:
        return datetime.now(UTC).isoformat(timespec="seconds")
    days = [str(planned.header.values.get("DATE-OBS") or "") for planned in plan.exposures.values()]
    return max(days, default="") or NO_DATE


def _write_code(folder: Path) -> None:
    """Copy the code into a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in _code():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _code() -> Iterator[Path]:
    yield from (path for name in CODE if (path := ROOT / name).is_file())
    for name in CODE_FOLDERS:
        for path in sorted((ROOT / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _told(plan: Plan, run: Run, place: Path) -> str:
    kinds: Counter[str] = Counter(source.kind for source in run.sources.values())
    rows = [(len(run.products), "products"), (kinds[INPUT], "inputs"), (kinds[REFERENCE], "references")]
    lines = [f"{place}: " + ", ".join(f"{count} {what}" for count, what in rows)]
    lines += [f"  {path}: is not there" for path in plan.products() if path not in run.products]
    wrong = ((path, source) for path, source in run.sources.items() if source.trouble)
    lines += [f"  {path}: {source.trouble}" for path, source in wrong]
    lines += [f"  {path}: no record of how it was made" for path in run.products if not run.sources[path].rule]
    return "\n".join(lines)
