"""The configuration as a whole: typed, checked, and written out with its defaults.

The sections in `parameters` are the one place where a parameter is declared. ``config.yaml`` is written from
them (``python scripts/settings.py > config.yaml``); a test holds the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import Field, PrivateAttr, ValidationError

from parameters.reference_makers import ReferenceMaker
from parameters.section import Files, LargeNumber, Maybe, NormalPath, Section
from parameters.stage2 import Stage2
from parameters.stage3 import Grid, Stage3
from parameters.strun_translation import Layer, overlay, read_parameter_files
from problems import InputError, Problem, nearest


class References(Section):
    """Where the reference files come from."""

    source: Literal["directory", "crds"] = Field(
        "directory", description="directory: files in a folder, chosen by their headers; crds: a CRDS cache"
    )
    directory: str = Field("references", description="that folder, with CRDS-format files")
    crds_path: Maybe[str] = Field(None, description="the CRDS cache; null: the environment variable CRDS_PATH")
    crds_context: Maybe[Files] = Field(
        None,
        description="the context, such as jwst_1500.pmap, or one per observatory; null: CRDS_CONTEXT, else operational",
    )
    compare_context: Maybe[Files] = Field(
        None, description="another context: which references would change, and for which exposures"
    )
    fetch: bool = Field(False, description="fetch reference files that the CRDS cache lacks; docs/references.md")
    crds_server: Maybe[str] = Field(None, description="whence; null: CRDS_SERVER_URL, else the server of JWST")
    parameters: bool = Field(
        True, description="use the parameter references (pars-*) found there; docs/parameter_files.md"
    )
    override: dict[str, str] = Field(
        {}, description='by type, a file, "N/A", or a reference maker: {flat: my_flat.fits}'
    )


@dataclass(frozen=True)
class _Sources:
    """What settings were read from: the whole configuration, and what of it the user gave (None: not read)."""

    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    given: Mapping[str, Any] | None = field(default=None, compare=False)


class Settings(Section):
    """The whole configuration."""

    input: str = Field(
        ".", description="folder with the exposures; members are looked for beside the ASN first, then here"
    )
    associations: Files = Field([], description="association (ASN) files or globs, level 2 and level 3")
    exposures: Files = Field([], description="single _rate, _rateints or _cal files or globs, processed without an ASN")
    output: NormalPath = Field("results", min_length=1, description="folder of the products")
    write_date: bool = Field(
        False, description="write the time of writing as DATE; products then differ from run to run"
    )
    max_output_pixels: LargeNumber = Field(
        250_000_000, description="largest image, pixels; combining exposures takes 96 bytes of memory for each"
    )
    parameter_files: Files = Field(
        [],
        description="strun or lirun parameter files (.cfg, .asdf); the later wins; docs/parameter_files.md",
    )
    reference_makers: dict[str, ReferenceMaker] = Field(
        {}, description="reference files to make of raw darks and flats, by name; see 'Reference files' in README.md"
    )
    references: References = Field(References(), description="where the reference files come from")
    stage2: Stage2 = Field(Stage2(), description="parameters of the steps of stage 2, with jwst's names and defaults")
    stage3: Stage3 = Field(Stage3(), description="parameters of the steps of stage 3, with jwst's names and defaults")
    grids: dict[str, Grid] = Field(
        {}, description="pixel grids that several associations share, by name; see 'Common grids' in README.md"
    )

    # What the parameter files give where the configuration does not
    _below: Layer = PrivateAttr(Layer({}, {}, ()))
    _sources: _Sources = PrivateAttr(_Sources())

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what the parameter files hold that is not used."""
        return self._below.notices

    def above(self, layer: Layer) -> "Settings":
        """Return the settings with a layer between the defaults and the parameter files.

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

    def located(self, problem: Problem, files: Sequence[Path]) -> Problem:
        """Name the file, and the key in it, of a problem with a key of the configuration."""
        origin = _origin(problem.key.partition("[")[0].split("."), self._below.origins)
        file, key = origin or (config_file(problem.key, files), problem.key)
        return replace(problem, file=file, key=key)


def read_settings(
    config: Mapping[str, Any], files: Sequence[Path] = (), *, given: Mapping[str, Any] | None = None
) -> Settings:
    """Check a configuration and return it typed.

    Parameters
    ----------
    config : mapping
        What Snakemake merged from the config files and the command line.
    files : sequence of paths
        The config files, to name the one that holds a wrong key.
    given : mapping, optional
        The part of it that the user gave, which wins over the parameter files; by default all of it. The rest are
        defaults, over which the parameter files win.

    Raises
    ------
    InputError
        With every unknown key, wrong type and value out of range, and all that is wrong with the parameter files.
    """
    given = config if given is None else given
    problems: list[Problem] = []
    layer = read_parameter_files(_parameter_files(config, files, problems), problems)
    origins = {key: origin for key, origin in layer.origins.items() if not _holds(given, key.split("."))}
    layer = replace(layer, origins=origins)
    try:
        settings = Settings.model_validate(overlay(overlay(config, layer.values), given))
    except ValidationError as error:
        raise InputError([*problems, *(_problem(item, files, origins) for item in error.errors())]) from None
    if problems:
        raise InputError(problems)
    settings._below = layer
    settings._sources = _Sources(config, given)
    return settings


def _parameter_files(config: Mapping[str, Any], files: Sequence[Path], problems: list[Problem]) -> Iterable[str]:
    """Yield the parameter files that are there; what is no path is left to the check of the configuration."""
    listed = config.get("parameter_files") or []
    for number, path in enumerate([listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []):
        if not isinstance(path, str):
            continue
        if Path(path).expanduser().exists():
            yield str(Path(path).expanduser())
        else:
            wrong, right = f"no such file {path!r}", f"relative paths are taken from {str(Path.cwd())!r}"
            key = f"parameter_files[{number}]"
            problems.append(Problem(config_file(key, files), key, wrong, right))


def _holds(config: Any, path: Sequence[str]) -> bool:
    """Tell whether a configuration gives a key, or something else in place of a section that leads to it."""
    if not path or not isinstance(config, Mapping):
        return not path or config is not None
    return path[0] in config and _holds(config[path[0]], path[1:])


def _problem(error: Mapping[str, Any], files: Sequence[Path], origins: Mapping[str, tuple[str, str]]) -> Problem:
    path = [str(part) for part in error["loc"] if not str(part).startswith(("function-", "constrained-"))]
    given = error["input"]
    if error["type"] == "extra_forbidden":
        known = _section_at(path[:-1]).model_fields
        return Problem(_file_with(path, given, files), ".".join(path), "unknown key", nearest(path[-1], known))
    if error["type"] == "missing":
        return Problem(_file_with(path[:-1], given, files), ".".join(path), "is missing", "give it")
    message = error["msg"].removeprefix("Value error, ")
    right = message[0].lower() + message[1:]
    if isinstance(given, Mapping) and error["type"] == "value_error":
        names = _files_with_part(path, given, files, origins)
        return Problem(names, ".".join(path), "its values do not go together", right)
    file, key = _origin(path, origins) or (_file_with(path, given, files), ".".join(path))
    return Problem(file, key, f"{given!r} is not valid", right)


def _origin(path: Sequence[str], origins: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Return the parameter file that gives a key, or a list that the key is in, and the key there."""
    for length in range(len(path), 0, -1):
        if origin := origins.get(".".join(path[:length])):
            return origin[0], ".".join([origin[1], *path[length:]])
    return None


def _files_with_part(
    path: Sequence[str], given: Any, files: Sequence[Path], origins: Mapping[str, tuple[str, str]]
) -> str:
    """Name all files that give something of a section: any of them may have the value that does not fit."""
    section = ".".join(path) + "."
    below = list(dict.fromkeys(file for key, (file, _) in origins.items() if key.startswith(section)))
    above = _file_with(path, given, files)
    return " and ".join(below if below and above == "--config" else [above, *below])


def _section_at(path: Sequence[str]) -> type[Section]:
    section: Any = Settings
    for part in path:
        # In a mapping the keys are names, the values sections.
        mapping = get_origin(section) is dict
        section = get_args(section)[1] if mapping else section.model_fields[part].annotation
    return section


def _file_with(path: Sequence[str], given: Any, files: Sequence[Path]) -> str:
    """Name the config file that gives a key this value; the command line if none does."""
    for file in files:
        node = _read_yaml(file)
        for part in path:
            if isinstance(node, list):
                node = {str(index): item for index, item in enumerate(node)}
            node = node.get(part) if isinstance(node, Mapping) else None
        # Of a section, a file may hold some keys, and another file the others.
        part_of = isinstance(node, Mapping) and isinstance(given, Mapping) and node.items() <= given.items()
        if (node == given and node is not None) or (node and part_of):
            return str(file)
    return "--config"


def config_file(key: str, files: Sequence[Path]) -> str:
    """Name the config file that a key, such as ``associations[1]``, comes from; the command line if none has it."""
    path = key.partition("[")[0].split(".")
    for file in files:
        node = _read_yaml(file)
        for part in path:
            node = node.get(part) if isinstance(node, Mapping) else None
        if node not in (None, [], {}, ""):
            return str(file)
    return "--config"


def _read_yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(Path(file).read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def default_config() -> str:
    """Return the text of ``config.yaml``: every key with its default and one line of explanation."""
    head = (
        "# Every parameter of calflow with its default.\n"
        "# Copy the lines you want to change into a file of your own and run with --configfile my.yaml.\n"
        "# What wins: --config, then --configfile, then parameter_files, then pars-* references, then these defaults.\n"
        "# Written from scripts/settings.py: edit there, then `python scripts/settings.py > config.yaml`.\n"
    )
    return head + "\n".join(_section_lines(Settings(), 0)) + "\n"


def _section_lines(section: Section, depth: int) -> list[str]:
    lines = []
    for name, declared in type(section).model_fields.items():
        value, indent = getattr(section, name), "  " * depth
        if isinstance(value, Section):
            lines += [
                "",
                f"{indent}# {declared.description}",
                f"{indent}{name}:",
                *_section_lines(value, depth + 1),
            ]
        else:
            # Lists on one line, so that the explanation can follow; of a plain value "..." follows.
            text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
            text = f"{name}: {text}"
            lines.append(f"{indent}{text}  # {declared.description}")
    return lines


if __name__ == "__main__":
    print(default_config(), end="")
