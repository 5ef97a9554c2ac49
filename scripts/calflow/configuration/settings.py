"""The configuration as a whole: typed and checked.

The sections in this folder are the one place where a parameter is declared: `documents` writes ``config.yaml``, its
schema and the page of all keys from them.
"""

import os
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError

from calflow.configuration.allowed import allowed, allowed_by_name
from calflow.configuration.association_making import AssociationMaking, Observations
from calflow.configuration.colour import Colour
from calflow.configuration.config_files import ABSENT, IN_QUOTES, NO_NAME, ConfigFile, same_value, unreadable
from calflow.configuration.downloading import Download
from calflow.configuration.extra_steps import ExtraSteps
from calflow.configuration.overrides import Override
from calflow.configuration.paths import advice, expanded
from calflow.configuration.problems import InputError, Problem, Problems, key_of, nearest
from calflow.configuration.quality import Quality
from calflow.configuration.reference_makers import ReferenceMaker
from calflow.configuration.section import (
    Files,
    LargeNumber,
    Maybe,
    Names,
    NormalPath,
    Section,
    UserPath,
    list_from_one,
)
from calflow.configuration.sharding import Sharding
from calflow.configuration.sky_map import SkyMap
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import Grid, Stage3
from calflow.configuration.strun_translation import Layer, overlay, read_parameter_files

# The defaults, which are written from the declarations
SHIPPED = Path(__file__).resolve().parents[3] / "config.yaml"
COMMAND_LINE = "--config"
MISSING, UNKNOWN = "is missing", "unknown key"
SHOWN = 4  # keys of a section that are named as examples


def _context_names(value: Any) -> Any:
    """Refuse the number of a context: there is one of it in each observatory."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"give the whole name, such as 'jwst_{value}.pmap'")
    return list_from_one(value)


Contexts = Annotated[list[str], BeforeValidator(_context_names, json_schema_input_type=str | list[str])]


class References(Section):
    """Where the reference files come from."""

    source: Literal["directory", "crds"] = Field(
        "directory", description="directory: files in a folder, chosen by their headers; crds: a CRDS cache"
    )
    directory: UserPath = Field("references", description="that folder, with CRDS-format files")
    crds_path: Maybe[UserPath] = Field(None, description="the CRDS cache; null: the environment variable CRDS_PATH")
    crds_context: Maybe[Contexts] = Field(
        None,
        description="jwst_1500.pmap, build-12.0, or one per observatory; null: CRDS_CONTEXT, else the operational one",
    )
    compare_context: Maybe[Contexts] = Field(
        None, description="another context: which references would change, and for which exposures"
    )
    fetch: bool = Field(False, description="fetch reference files that the CRDS cache lacks; docs/references.md")
    crds_server: Maybe[str] = Field(None, description="whence; null: CRDS_SERVER_URL, else the server of JWST")
    parameters: bool = Field(
        True, description="use the parameter references (pars-*) found there; docs/parameter_files.md"
    )
    override: dict[str, UserPath] = Field(
        {}, description='by type, a file, "N/A", or a reference maker: {flat: my_flat.fits}'
    )


@dataclass(frozen=True)
class _Sources:
    """What settings were read from: the whole configuration, and what of it the user gave (None: not read)."""

    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    given: Mapping[str, Any] | None = field(default=None, compare=False)


class Settings(Section):
    """The whole configuration."""

    input: UserPath = Field(
        ".", description="folder with the exposures, or folders of them; members are looked for beside the ASN first"
    )
    associations: Files = Field(
        [], description="association (ASN) files or globs, level 2 and level 3; none: made of the exposures in input"
    )
    exposures: Files = Field([], description="single _rate, _rateints or _cal files or globs, processed without an ASN")
    targets: Names = Field([], description="of the associations that are made, those of these targets, or patterns")
    filters: Names = Field([], description="of the associations that are made, those with these filters or pupils")
    observations: Observations = Field([], description="of the associations that are made, those of these observations")
    output: NormalPath = Field("results", min_length=1, description="folder of the products")
    write_date: bool = Field(
        False, description="write the time of writing as DATE; products then differ from run to run"
    )
    compress: Literal["none", "lossless", "quantized"] = Field(
        "none", description="compress the images of products tile by tile; docs/products.md"
    )
    provenance: Literal["none", "inputs", "all"] = Field(
        "none", description="what products say of how they were made; docs/provenance.md"
    )
    leave_out_unchanged: bool = Field(
        True, description="do not run a job when all that it reads has come out with the same bytes as before"
    )
    max_output_pixels: LargeNumber = Field(
        1_000_000_000, description="largest image, pixels; its products take 28 bytes of disk for each"
    )
    parameter_files: Files = Field(
        [],
        description="strun or lirun parameter files (.cfg, .asdf); the later wins; docs/parameter_files.md",
    )
    reference_makers: dict[str, ReferenceMaker] = Field(
        {}, description="reference files to make of raw darks and flats, by name; docs/user_references.md"
    )
    make_associations: AssociationMaking = Field(
        AssociationMaking(), description="how associations are made; docs/associations.md"
    )
    download: Download = Field(
        Download(), description="what `snakemake download` fetches from the archive; docs/download.md"
    )
    shards: Sharding = Field(Sharding(), description="what `snakemake shards` cuts a survey into; docs/surveys.md")
    references: References = Field(References(), description="where the reference files come from")
    stage2: Stage2 = Field(Stage2(), description="parameters of the steps of stage 2, with jwst's names and defaults")
    stage3: Stage3 = Field(Stage3(), description="parameters of the steps of stage 3, with jwst's names and defaults")
    extra_steps: ExtraSteps = Field(
        ExtraSteps(), description="steps between those of the stages, yours too; docs/extra_steps.md"
    )
    overrides: list[Override] = Field(
        [], description="parameters of stages 2 and 3 for exposures of a filter or detector; docs/overrides.md"
    )
    grids: dict[str, Grid] = Field(
        {}, description="pixel grids that several associations share, by name; docs/common_grids.md"
    )

    page: bool = Field(False, description="write a page on each association and on the run, too; docs/page.md")
    previews: bool = Field(False, description="make pictures of all products, too; docs/page.md")
    colour: Colour = Field(Colour(), description="colour pictures of common grids; docs/page.md")
    map: SkyMap = Field(SkyMap(), description="maps to pan and zoom in; docs/map.md")
    quality: Quality = Field(
        Quality(), description="what `snakemake quality` takes for worth a look, and for wrong; docs/page.md"
    )

    # What the parameter files give where the configuration does not
    _below: Layer = PrivateAttr(Layer({}, {}, ()))
    _sources: _Sources = PrivateAttr(_Sources())

    @property
    def writing(self) -> dict[str, Any]:
        """How products are written, as jobs take it."""
        return {"date": self.write_date, "compress": self.compress}

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what the parameter files hold that is not used."""
        return self._below.notices

    def above(self, layer: Layer) -> "Settings":
        """Return the settings with a layer between the defaults and the parameter files.

        Parameters
        ----------
        layer : Layer
            Values of parameter references, and the files that they come from.

        Raises
        ------
        InputError
            With what is wrong in the layer, named by its files.
        """
        config, given = self._sources.config, self._sources.given
        if given is None:
            config, given = {}, self.model_dump(exclude_unset=True)
        below = self._below.values
        origins = {
            key: origin
            for key, origin in layer.origins.items()
            if not _holds(given, key.split(".")) and not _holds(below, key.split("."))
        }
        try:
            return Settings.model_validate(overlay(overlay(overlay(config, layer.values), below), given))
        except ValidationError as error:
            raise InputError(_problem(item, (), origins) for item in error.errors()) from None

    def overridden(self, values: Mapping[str, Any]) -> "Settings":
        """Return the settings with other values over all that was given.

        Parameters
        ----------
        values : mapping
            Of sections, checked each by itself.

        Raises
        ------
        ValueError
            If they do not go together with the others.
        """
        # The overrides were checked when they were read: with them the time would grow as the square of their number.
        try:
            settings = Settings.model_validate(overlay(self.model_dump(exclude={"overrides"}), values))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(_right(first, _path(first["loc"]))) from None
        return settings.model_copy(update={"overrides": self.overrides})

    def located(self, problem: Problem, files: Sequence[ConfigFile]) -> Problem:
        """Name the file, and the key in it, of a problem with a key of the configuration.

        Parameters
        ----------
        problem : Problem
            With the key of the configuration.
        files : sequence of ConfigFile
            The strongest first.
        """
        origin = _origin(problem.key.partition("[")[0].split("."), self._below.origins)
        file, key = origin or (config_file(problem.key, self._sources.config, files), problem.key)
        return replace(problem, file=file, key=key)

    @contextmanager
    def locating(self, files: Sequence[Path]) -> Iterator[None]:
        """Have problems with the configuration that are raised within name the file, and the key in it.

        Parameters
        ----------
        files : sequence of Path
            The config files, the strongest first.

        Raises
        ------
        InputError
            That of the block, its problems located.
        """
        try:
            yield
        except InputError as error:
            config_files = [ConfigFile(path) for path in files]
            raise InputError(
                self.located(problem, config_files) if problem.file == "config" else problem
                for problem in error.problems
            ) from None


def read_settings(
    config: Mapping[str, Any], files: Sequence[Path] = (), *, given: Mapping[str, Any] | None = None
) -> Settings:
    """Check a configuration and return it typed.

    Parameters
    ----------
    config : mapping
        What Snakemake merged from the config files and the command line.
    files : sequence of paths
        The config files, strongest first, to name the one that holds a wrong key.
    given : mapping, optional
        The part of it that the user gave, which wins over the parameter files; by default all of it. The rest are
        defaults, over which the parameter files win.

    Raises
    ------
    InputError
        With every unknown key, wrong type, value out of range and key that stands twice in a file, and all that is
        wrong with the parameter files.
    """
    given = config if given is None else given
    config_files = [ConfigFile(path) for path in files]
    own = [file for file in config_files if file.path != SHIPPED]
    if endless := [file.endless for file in own if file.endless]:
        raise InputError(endless)
    problems = Problems(problem for file in own for problem in file.problems)
    layer = read_parameter_files(_parameter_files(config, config_files, problems), problems)
    origins = {key: origin for key, origin in layer.origins.items() if not _holds(given, key.split("."))}
    layer = replace(layer, origins=origins)
    try:
        settings = Settings.model_validate(overlay(overlay(config, layer.values), given))
    except ValidationError as error:
        told = [problem.key for problem in problems]
        items = error.errors()
        if any(problem.wrong == NO_NAME for problem in problems):
            items = [item for item in items if item["type"] != "invalid_key" and item["loc"][-1:] != ("[key]",)]
        wrong = [_problem(item, config_files, origins, config) for item in items]
        # A number that is read as another one is the cause of what is wrong with it, or with the list it is in.
        wrong = [problem for problem in wrong if not any(_is_within(key, problem.key) for key in told)]
        # So is the misspelling of a key that is missing.
        told = [f"{problem.key}: {problem.right}" for problem in wrong if problem.wrong == UNKNOWN]
        wrong = [problem for problem in wrong if problem.wrong != MISSING or not _is_misspelled(problem.key, told)]
        raise InputError([*problems, *wrong]) from None
    problems.raise_any()
    settings._below = layer
    settings._sources = _Sources(config, given)
    return settings


def _parameter_files(config: Mapping[str, Any], files: Sequence[ConfigFile], problems: Problems) -> Iterable[str]:
    """Yield the parameter files that are there; what is no path is left to the check of the configuration."""
    listed = config.get("parameter_files") or []
    for number, path in enumerate([listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []):
        if not isinstance(path, str):
            continue
        try:
            found = expanded(path)
        except ValueError:  # told by the check of the configuration
            continue
        if os.path.exists(found):
            yield found
        else:
            key = f"parameter_files[{number}]"
            problems.add(Problem(config_file(key, config, files), key, f"no such file {path!r}", advice(path)))


def _holds(config: Any, path: Sequence[str]) -> bool:
    """Tell whether a configuration gives a key, or something else in place of a section that leads to it."""
    if not path or not isinstance(config, Mapping):
        return not path or config is not None
    return path[0] in config and _holds(config[path[0]], path[1:])


def _problem(
    error: Mapping[str, Any],
    files: Sequence[ConfigFile],
    origins: Mapping[str, tuple[str, str]],
    config: Mapping[str, Any] | None = None,
) -> Problem:
    path = _path(error["loc"])
    item, given = path, error["input"]
    if _is_of_made_list(path, config) and not _origin(path, origins):
        path, given = path[:-1], _written(config, path[:-1])
    key = key_of(path)
    written = _written(config, path)
    if isinstance(written, str):  # the validator may have made numbers of it
        given = written
    if error["loc"][-1:] == ("[key]",):
        holding = [str(file.path) for file in files if file.value(path) is not ABSENT]
        return Problem(next(iter(holding), COMMAND_LINE), key, NO_NAME, IN_QUOTES)
    if error["type"] == "missing":
        return Problem(_file_with(path[:-1], given, files), key, MISSING, "give it")
    if _is_section(_section_at(path)) and error["type"] == "value_error":
        names = _files_with_part(path, given, files, origins)
        return Problem(names, key, "its values do not go together", _right(error, path))
    file, place = _origin(path, origins) or (_file_with(path, given, files), key)
    line = next((found.line(path) for found in files if str(found.path) == file), None)
    where = f" (line {line})" if line else ""
    if error["type"] in ("extra_forbidden", "invalid_key"):
        return Problem(file, place, UNKNOWN, _right_key(path) + where)
    if given is None:
        return Problem(file, place, "has no value", f"{_right(error, item)}, or leave it out{where}")
    return Problem(file, place, f"{_shown(given)} is not valid", _right(error, item) + where)


def _path(location: Iterable[str | int]) -> list[str | int]:
    """Return the names of keys, and the numbers of items in lists, that lead to where pydantic says."""
    path: list[str | int] = []
    for part in location:
        if not str(part).startswith(("function-", "constrained-", "[key]")):
            # A number may also be the name of a key, which is to be in quotes.
            path.append(part if _may_be_list(_section_at(path)) else str(part))
    return path


def _may_be_list(declared: Any) -> bool:
    return not _is_section(declared) and get_origin(declared) is not dict


def _is_within(key: str, outer: str) -> bool:
    """Tell whether a key is another one or lies below it."""
    return key.startswith(outer) and key[len(outer) :][:1] in ("", ".", "[")


def _is_misspelled(key: str, unknown: Iterable[str]) -> bool:
    """Tell whether one of the unknown keys of the same section, each with what would be right, is meant for a key."""
    section, _, name = key.rpartition(".")
    return any(told.startswith(f"{section}.") and f"did you mean {name!r}?" in told for told in unknown)


def _written(config: Any, path: Sequence[str | int]) -> Any:
    """Return what a configuration has at a key; None if it has no such key."""
    for part in path:
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _right_key(path: Sequence[str | int]) -> str:
    """Say what key would be right in place of an unknown one."""
    name = str(path[-1])
    if "." in name:
        return _nested(name)
    places = ["below " + ".".join(place) if place else "at the top" for place in _places(name, Settings)]
    if places and name != "skip":  # which nearly all sections have
        return f"it belongs {' or '.join(places)}"
    return nearest(name, _section_at(path[:-1]).model_fields)


def _places(name: str, section: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where the sections are that have a key of this name."""
    for key, declared in section.model_fields.items():
        if key == name:
            yield path
        if _is_section(declared.annotation):
            yield from _places(name, declared.annotation, (*path, key))


def _nested(dotted: str) -> str:
    """Say how a key that was written with dots is given."""
    *outer, last = dotted.split(".")
    return f"write {''.join(f'{name}: {{' for name in outer)}{last}: ...{'}' * len(outer)}"


def _right(error: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Say what would be right."""
    kind, given = error["type"], error["input"]
    if kind == "string_type" and isinstance(given, list | dict):
        return "give one text, not a " + ("list" if isinstance(given, list) else "section")
    if kind in _RIGHT_TYPES:
        quoted = ", in quotes" if kind == "string_type" and given is not None else ""
        return _RIGHT_TYPES[kind] + quoted
    if kind == "literal_error":
        return _right_word(str(given), error["ctx"]["expected"])
    if kind in _LIMITS and isinstance(path[-1], int):  # an item of a list
        ((_, limit),) = error["ctx"].items()
        return f"give a number {_LIMITS[kind]} {limit}"
    if kind in _RANGES:
        return _right_value(path)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        section = _section_at(path)
        known = [*section.model_fields][:SHOWN] if _is_section(section) else []
        return "it is a section: give keys with values below it" + (f", such as {', '.join(known)}" if known else "")
    message = error["msg"].removeprefix("Value error, ").replace(" after validation", "")
    return message[0].lower() + message[1:]


_RIGHT_TYPES = (
    dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "give an integer")
    | dict.fromkeys(("float_type", "float_parsing"), "give a number")
    | dict.fromkeys(("bool_type", "bool_parsing"), "give true or false")
    | {"string_type": "give a text", "finite_number": "give a finite number"}
)
# What is out of a range, which the words for what is allowed tell
_LIMITS = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
_RANGES = frozenset((*_LIMITS, "string_too_short", "list_type", "too_short", "too_long"))


def _right_word(given: str, expected: str) -> str:
    """Say which of a few words is meant, or which there are (as pydantic lists them)."""
    advice = nearest(given, re.findall("'([^']*)'", expected))
    return advice if advice.startswith("did you mean") else f"give {expected}"


def _right_value(path: Sequence[str | int]) -> str:
    """Say what value would be right, with its range."""
    section = _section_at(path[:-1])
    if not _is_section(section):  # of what stands by names of the user's
        words = allowed_by_name(_section_at(path[:-2]), str(path[-2]))
        return f"give {_article(words)} {words}"
    words = allowed(section, str(path[-1])).replace("`", "")
    default = section.model_fields[str(path[-1])].default
    example = f", such as {default}" if isinstance(default, list) and default else ""
    return f"give {_article(words)} {words}{example}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeio" else "a"


def _shown(value: Any) -> str:
    """Write a value as it is written in a file, cut if it is long."""
    if isinstance(value, bool | date):
        return str(value).lower()
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxdict = 10


def _origin(path: Sequence[str | int], origins: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Return the parameter file that gives a key, or a list that the key is in, and the key there."""
    for length in range(len(path), 0, -1):
        if origin := origins.get(key_of(path[:length])):
            return origin[0], key_of([origin[1], *path[length:]])
    return None


def _files_with_part(
    path: Sequence[str | int], given: Any, files: Sequence[ConfigFile], origins: Mapping[str, tuple[str, str]]
) -> str:
    """Name all files that give something of a section: any of them may have the value that does not fit."""
    section = key_of(path) + "."
    below = list(dict.fromkeys(file for key, (file, _) in origins.items() if key.startswith(section)))
    above = _file_with(path, given, files)
    return " and ".join(below if below and above == COMMAND_LINE else [above, *below])


def _section_at(path: Sequence[str | int]) -> Any:
    """Return the type of what is declared at a path; below what is no section, its own."""
    section: Any = Settings
    for part in path:
        if get_origin(section) in (dict, list):  # the keys are names, or numbers, the values sections
            section = get_args(section)[-1]
        elif _is_section(section) and part in section.model_fields:
            section = section.model_fields[part].annotation
    return section


def _is_of_made_list(path: Sequence[str | int], config: Any) -> bool:
    """Tell whether a path leads to an item of a list that the validator made of something else."""
    is_item = len(path) > 1 and isinstance(path[-1], int) and not _has_keys(path[:-1])
    return is_item and not isinstance(_written(config, path[:-1]), list)


def _has_keys(path: Sequence[str | int]) -> bool:
    """Tell whether what is declared at a path is a section, or has sections or texts by names of the user's."""
    declared = _section_at(path)
    return _is_section(declared) or get_origin(declared) is dict or _is_section((*get_args(declared), None)[0])


def _is_section(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, Section)


def _file_with(path: Sequence[str | int], given: Any, files: Sequence[ConfigFile]) -> str:
    """Name the config file that gives a key this value; the command line if none does."""
    for file in files:
        value = file.value(path)
        # Of a section, a file may hold some keys, and another file the others.
        part_of = isinstance(value, Mapping) and isinstance(given, Mapping) and value and value.items() <= given.items()
        if value is not ABSENT and (same_value(value, given) or part_of):
            return str(file.path)
    return COMMAND_LINE


def config_file(key: str, config: Mapping[str, Any], files: Sequence[ConfigFile]) -> str:
    """Name the config file that gives a key, such as ``associations[1]``; the command line if none does.

    What is nowhere given but has a default, is to be put into the strongest file.

    Parameters
    ----------
    key : str
        Names with dots between them.
    config : mapping
        What all files come to.
    files : sequence of ConfigFile
        The strongest first.
    """
    path = key.partition("[")[0].split(".")
    value: Any = config
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    own = [file for file in files if file.path != SHIPPED]
    found = _file_with(path, value, files)
    return str(own[0].path) if found == str(SHIPPED) and own else found


def check_files(paths: Sequence[Path]) -> str:
    """Return what is wrong with config files, of which the last is the strongest; empty if nothing is.

    Snakemake reads them before it reads the Snakefile, and says less of what it cannot read.

    Parameters
    ----------
    paths : sequence of Path
    """
    problems = [problem for path in paths if (problem := unreadable(path) or ConfigFile(path).endless)]
    config: dict[str, Any] = {}
    try:
        if problems:
            raise InputError(problems)
        for path in paths:
            config = overlay(config, yaml.safe_load(path.read_text("utf-8")))
        read_settings(config, paths[::-1])
    except InputError as error:
        return str(error)
    return ""
