"""``snakemake shards``: a survey cut into runs of their own; ``shards status`` and ``plan`` tell of them as of one."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.configuration.problems import InputError, Problem, nothing_to_make
from calflow.configuration.settings import SHIPPED
from calflow.engine.kinds import by_kind, of_notices
from calflow.engine.targets import cores_given
from calflow.forecast.text import aligned, number_of
from calflow.plan.planner import read_associations
from calflow.shards.cut import Shard, cut
from calflow.shards.folders import empty_shard, files_of, folder_of, ranges, shards_in, write_files
from calflow.shards.manifests import aws_definition, aws_job, kubernetes_job
from calflow.shards.parts import parts_of
from calflow.shards.plans import plans_in, plans_lines
from calflow.shards.scripts import sbatch, scripts_of
from calflow.shards.states import COMPLETE, FAILED, RUNNING, WAITING, State, as_json, states_in

SNAKEFILE = SHIPPED.parent / "Snakefile"


def answer(asked: Asked) -> Answer:
    """Cut the survey, or tell of its shards, or print what submits them elsewhere than on SLURM.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        With everything that is wrong.
    """
    name, *words = asked.words or [""]
    if name not in _ANSWERS:
        raise _no_such(asked.words)
    with asked.settings.locating(asked.files):
        return _ANSWERS[name](asked, words)


def _no_such(words: Sequence[str]) -> InputError:
    known = ", ".join(name for name in _ANSWERS if name)
    return InputError(
        [Problem("command line", "shards", f"{' '.join(words)!r} is not valid", f"give nothing, or {known}")]
    )


def _cut(asked: Asked, words: Sequence[str]) -> Answer:
    """Write the shards, and return what there is."""
    settings, folder = asked.settings, _folder(asked)
    read = read_associations(settings, asked.files, cache=HEADERS)
    parts = parts_of(read.associations, settings, read.made.used if read.made else {})
    if not parts:
        raise InputError([nothing_to_make("shards")])
    before = shards_in(folder)
    shards = cut(parts, settings.shards.exposures, before)
    files = {shard.number: files_of(shard, settings, asked.given, folder / folder_of(shard.number)) for shard in shards}
    numbers = list(files)
    notices = [*read.notices, *_too_large(shards, settings.shards.exposures), *_moved(shards, before)]
    lines = [*([read.made.summary()] if read.made else []), *by_kind(of_notices(notices))]
    head = (
        f"{number_of(sum(len(shard.exposures) for shard in shards), 'exposure')} in {number_of(len(shards), 'shard')}"
    )
    if asked.is_dry:
        return Answer("\n".join([*lines, f"{head}, in {str(folder)!r}: nothing was written"]))
    if read.made:
        read.made.write()
    changed = [number for number in numbers if write_files(folder / folder_of(number), files[number])]
    for number in before.keys() - files.keys():
        empty_shard(folder / folder_of(number))
    write_files(folder, scripts_of(numbers, folder, SNAKEFILE))
    what = f"{ranges(changed)} written" if changed else "none of them changed"
    return Answer("\n".join([*lines, f"{head}, in {str(folder)!r}: {what}", *_submit("to run", changed, folder)]))


def _too_large(shards: Sequence[Shard], size: int) -> list[str]:
    """Tell of what had to stay together."""
    return [
        f"shard {folder_of(shard.number)} has {len(piece.exposures)} exposures that hang together, most by {piece.tie}"
        for shard in shards
        for piece in shard.pieces
        if len(piece.exposures) > size
    ]


def _moved(shards: Sequence[Shard], before: dict[int, list[str]]) -> list[str]:
    """Tell of shards from which exposures went to another, since they hang together now, or are gone."""
    now = {root: shard.number for shard in shards for root in shard.exposures}
    lines = []
    for number, roots in before.items():
        went = Counter(now.get(root) for root in roots if now.get(root) != number)
        lines += [
            f"shard {folder_of(number)}: {number_of(count, 'exposure')} "
            + (
                "no longer in the survey"
                if to is None
                else f"now in shard {folder_of(to)}, with which they hang together"
            )
            + "; what was made of them stays where it is"
            for to, count in went.items()
        ]
    return lines


def _status(asked: Asked, words: Sequence[str]) -> Answer:
    """Return the states of the shards as a table, and what to submit; or all as JSON."""
    if list(words) not in ([], ["json"]):
        raise _no_such(["status", *words])
    folder = _folder(asked)
    states = states_in(folder)
    if not states:
        raise _no_shards(folder)
    code = int(any(one.state == FAILED for one in states))
    if words:
        return Answer(as_json(states), code)
    of_state = {
        name: [one.number for one in states if one.state == name] for name in (COMPLETE, RUNNING, FAILED, WAITING)
    }
    counts = ", ".join(f"{len(numbers)} {name}" for name, numbers in of_state.items() if numbers)
    lines = [
        *_table(states),
        "",
        *by_kind(of_notices(f"{folder_of(one.number)}: {line}" for one in states for line in one.why)),
        f"{number_of(sum(one.exposures for one in states), 'exposure')} in {number_of(len(states), 'shard')}: {counts}",
        *_submit("again", of_state[FAILED], folder),
        *_submit("to run", of_state[WAITING], folder),
    ]
    return Answer("\n".join(lines), code)


def _plan(asked: Asked, words: Sequence[str]) -> Answer:
    """Return the plan of the shards that are named, or of all, as the sum of theirs."""
    folder, cores = _folder(asked), cores_given() or asked.settings.shards.cores
    numbers = _named(asked, words)
    plans = plans_in(folder, numbers, SNAKEFILE, cores)
    lines = [
        *(plans_lines(plans, cores) if plans.trees else []),
        *_submit("to run", plans.stale, folder),
        *(f"{folder_of(number)} cannot be planned: {why}" for number, why in plans.wrong.items()),
    ]
    return Answer("\n".join(lines), int(bool(plans.wrong)))


def _kubernetes(asked: Asked, words: Sequence[str]) -> Answer:
    return Answer(kubernetes_job(_named(asked, words), _folder(asked), asked.settings, SNAKEFILE))


def _aws_job(asked: Asked, words: Sequence[str]) -> Answer:
    return Answer(aws_job(_named(asked, words), asked.settings))


def _aws_definition(asked: Asked, words: Sequence[str]) -> Answer:
    if words:
        raise _no_such(["aws-definition", *words])
    return Answer(aws_definition(_folder(asked), asked.settings, SNAKEFILE))


def _named(asked: Asked, words: Sequence[str]) -> list[int]:
    """Return the numbers of the shards that are named, or of all."""
    folder = _folder(asked)
    there = [number for number, exposures in shards_in(folder).items() if exposures]
    if not there:
        raise _no_shards(folder)
    unknown = [word for word in words if not word.isdecimal() or int(word) not in there]
    if unknown:
        wrong = f"{unknown[0]!r} is no shard in {str(folder)!r}"
        raise InputError([Problem("command line", "shards", wrong, f"there are {ranges(there)}")])
    return sorted({int(word) for word in words}) or there


def _no_shards(folder: Path) -> InputError:
    return InputError([Problem(str(folder), "", "there are no shards", "`snakemake shards` makes them")])


def _table(states: Sequence[State]) -> list[str]:
    rows = [("shard", "exposures", "products", "last run")]
    for one in states:
        products = "-" if one.made is None else f"{one.made} of {one.products}"
        rows.append((folder_of(one.number), str(one.exposures), products, one.state))
    return aligned(rows)


def _submit(what: str, numbers: Sequence[int], folder: Path) -> list[str]:
    return [f"{what}: {sbatch(numbers, folder)}"] if numbers else []


def _folder(asked: Asked) -> Path:
    return Path(os.path.abspath(asked.settings.shards.folder))


_ANSWERS: dict[str, Callable[[Asked, Sequence[str]], Answer]] = {
    "": _cut,
    "plan": _plan,
    "status": _status,
    "kubernetes": _kubernetes,
    "aws-definition": _aws_definition,
    "aws-job": _aws_job,
}
