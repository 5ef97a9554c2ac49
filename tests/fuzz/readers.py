"""What is tried: the readers of planning by themselves, and whole plans over a night with one spoiled file."""

import copy
import inspect
import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from calflow.configuration.problems import InputError, Problems
from calflow.configuration.settings import read_settings
from calflow.engine.lock import FolderInUse, RunLock
from calflow.files.linear_wcs import KEYWORDS as WCS_KEYWORDS
from calflow.files.star_lists import read_sky_catalog, read_star_list
from calflow.files.user_tables import UserTableError
from calflow.inputs.associations import read_association
from calflow.inputs.exposure_checks import check_calibrated, check_science
from calflow.inputs.headers import read_exposure_header, read_reference_header
from calflow.inputs.storage_mirror import _read_record
from calflow.instruments import family_of, header_keywords
from calflow.jobs.all import JOBS
from calflow.jobs.sizes import Sizes
from calflow.plan.combination import UnknownAssociation
from calflow.plan.handed_on import hand_on, handed_on
from calflow.plan.plan import Plan, UnknownExposure
from calflow.plan.planner import make_plan
from calflow.plan.preview_files import all_previews
from calflow.references import parameter_references
from tests.fuzz import mutations
from tests.fuzz.limits import limited_time, strict_warnings
from tests.fuzz.mutations import Mutation

LONGEST_LINE = 2500  # characters of a message
MAX_BYTES = 2**23  # of a spoiled file
CACHE = Path("remembered/headers")
MIRI = {
    "associations": ["miri/rate/*_asn.json", "miri/stage3/*_asn.json"],
    "references": {"directory": "miri/references"},
}
IRIS = {
    "associations": ["iris/rate/*_asn.json", "iris/merge/*_asn.json", "iris/stage3/*_asn.json"],
    "references": {"directory": "iris/references"},
}


@dataclass(frozen=True)
class Seed:
    """A sound file, and how it is spoiled."""

    path: Path
    mutate: Mutation
    content: bytes


@dataclass(frozen=True)
class Reader:
    """What reads a file.

    Attributes
    ----------
    name : str
    seeds : list of Seed
        Of which one is spoiled each time.
    read : callable
        From the path of the spoiled file; returns whether it was accepted, or raises InputError.
    short : int
        How many cases the short version tries.
    """

    name: str
    seeds: list[Seed]
    read: Callable[[Path], bool]
    short: int

    def try_case(self, number: int) -> bool:
        """Spoil a file, read it, put the sound one back; return whether it was accepted."""
        seed, content = self.case(number)
        status = seed.path.stat()
        seed.path.write_bytes(content)
        try:
            with strict_warnings(), limited_time():
                return self.read(seed.path)
        except InputError as error:
            if max(map(len, str(error).splitlines())) > LONGEST_LINE:
                raise AssertionError("nobody reads such a message") from error
            return False
        finally:
            seed.path.write_bytes(seed.content)
            os.utime(seed.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def read_sound(self) -> None:
        """Read what is not spoiled, and see that it is accepted."""
        for seed in self.seeds:
            assert self.read(seed.path)

    def case(self, number: int) -> tuple[Seed, bytes]:
        """Return the seed and the spoiled content of a case; always the same of the same number."""
        random = Random(f"{self.name} {number}")
        seed = random.choice(self.seeds)
        return seed, seed.mutate(random, seed.content)[:MAX_BYTES]


def open_reader(name: str) -> Reader:
    """Return a reader; the working folder holds a night."""
    patterns, read, short = (_READERS | _REAL)[name]
    if name.startswith("remembered"):  # which a plan makes
        hand_on(planned(MIRI), MIRI, Path("remembered/plan.json"))
    seeds = [
        Seed(path, _KINDS[kind], path.read_bytes())
        for pattern, kind in patterns.items()
        for path in sorted(Path().glob(pattern))
    ]
    return Reader(name, seeds, read, short)


_KINDS: dict[str, Mutation] = {
    "fits": mutations.mixed(*[mutations.fits_with_lies] * 8, mutations.damaged, mutations.damaged, mutations.packed),
    "asdf": mutations.asdf_text,
    "json": mutations.json_text,
    "yaml": mutations.yaml_text,
    "lines": mutations.lines_of_text,
    "table": mutations.table,
    "remembered": mutations.remembered,
}


# Readers by themselves --------------------------------------------------------------------------------


def _read_exposure(path: Path) -> bool:
    problems = Problems()
    header = read_exposure_header(path, (*header_keywords(), *WCS_KEYWORDS), problems)
    if header is None:
        assert problems
        return False
    if path.parts[0] == "cal":
        check_calibrated(path, header, False, problems)
    else:
        check_science(path, header, family_of(header.values), problems)
    return not problems


def _read_reference(path: Path) -> bool:
    problems = Problems()
    header = read_reference_header(path, problems)
    assert (header is None) == bool(problems)
    return header is not None


def _read_stars(path: Path) -> bool:
    return _read_table(read_star_list, path)


def _read_catalogue(path: Path) -> bool:
    return _read_table(read_sky_catalog, path)


def _read_table(read: Callable[[Path], Any], path: Path) -> bool:
    try:
        read(path)
    except UserTableError:
        return False
    return True


def _read_any_table(path: Path) -> bool:
    return _read_stars(path) | _read_catalogue(path)


def _read_association(path: Path) -> bool:
    problems = Problems()
    return read_association(path, None, problems) is not None


def _read_run(path: Path) -> bool:
    """Read what an earlier run left; what is damaged counts as not there."""
    if path.name == "storage.json":
        return bool(_read_record(path))
    try:
        lock = RunLock(path)
    except FolderInUse:
        return False
    lock.release()
    return bool(lock.killed)


def _read_plan(path: Path) -> bool:
    """Read the plan that a run leaves for its jobs; a damaged one counts as none."""
    plan = handed_on(MIRI, path)
    if plan is None:
        return False
    ask(plan)
    return True


# Plans ------------------------------------------------------------------------------------------------


def planned(config: Mapping[str, Any], files: Iterable[Path] = (), given: Mapping[str, Any] | None = None) -> Plan:
    """Plan, and ask for everything that rules ask a plan for."""
    parameter_references.known_types.cache_clear()
    settings = read_settings(config, list(files), given=given)
    plan = make_plan(settings, list(files), CACHE)
    ask(plan)
    return plan


def ask(plan: Plan) -> None:
    """Ask of every job what rules ask, for all wildcards that the plan has names for."""
    stage3 = plan.stage3
    members = sorted({member.root for association in stage3.associations.values() for member in association.members})
    wildcards = {
        "exposure": [*plan.exposures, *plan.merges],
        "merged": [*plan.merges],
        "cal": ["cal", "calints"],
        "bsub": ["bsub"],
        "background": [e.background.name for e in plan.exposures.values() if e.background],
        "reference": [*plan.references],
        "member": members,
        "association": [*stage3.associations],
        "crf": [a.crf_root(member) for a in stage3.associations.values() for member in a.members],
        "grid": [a.common_grid for a in stage3.associations.values() if a.common_grid],
        "group": ["0", "7"],
        "part": ["1", "2"],
        "piece": sorted({str(number) for a in stage3.associations.values() for number in range(len(a.pieces))}),
        "catalog": ["gaiadr3"],
        "place": ["rate", "cal"],
        "collection": [*plan.collections],
        "optics": sorted({preview.optics for preview in all_previews(plan).values()}),
        "scale": sorted({preview.scale for preview in all_previews(plan).values()}),
        "source": [*dict.fromkeys(mask.source for mask in plan.first_pass.masks)],
        "preview": [*all_previews(plan)],
    }
    sizes = Sizes(plan)
    for name, job in JOBS.items():
        taken = [key for key in inspect.signature(job.inputs).parameters if key in wildcards]
        for values in itertools.product(*(wildcards[key] for key in taken)):
            with suppress(UnknownExposure, UnknownAssociation):  # of things of another kind
                named = dict(zip(taken, values, strict=True))
                job.inputs(plan, **named)
                if job.parameters and runs(plan, name, named):
                    job.parameters(plan, **named)
                assert math.isfinite(sizes.of(named, whole=False).largest)


def runs(plan: Plan, job: str, wildcards: Mapping[str, str]) -> bool:
    """Tell whether the plan has such a job: what its references tell is asked of no other."""
    if job == "catalog_sources":
        return plan.stage3.association(wildcards["association"]).runs("source_catalog")
    if job in ("save_flat", "save_dark"):
        return bool(plan.exposure(wildcards["exposure"]).reference(job.removeprefix("save_")))
    return job not in ("fetch_reference", "update_crds", "check_crds")


def _config_of(path: Path) -> dict[str, Any]:
    """Return the configuration of the part of the night that a file belongs to."""
    part = path.parts[0]
    if path.name == "lists.json":
        return {"associations": [str(path)], "references": IRIS["references"]}
    if part == "cal":
        tweakreg = {"use_custom_catalogs": True, "abs_refcat": ""}
        return {"associations": ["cal/*_asn.json"], "references": MIRI["references"], "stage3": {"tweakreg": tweakreg}}
    return copy.deepcopy(IRIS if part == "iris" else MIRI)


def _plan_of_folder(path: Path) -> bool:
    planned(_config_of(path))
    return True


def _plan_with_overrides(path: Path) -> bool:
    """Plan with the file found by its header, and with the file named by the user."""
    config = _config_of(path)
    refused = False
    for override in ({}, {path.name.split("_")[2]: str(path)}):
        config["references"] = config["references"] | {"override": override}
        try:
            planned(config)
        except InputError:
            refused = True
    return not refused


def _plan_of_configuration(path: Path) -> bool:
    """Plan with a configuration file as Snakemake reads it and puts it over the defaults."""
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    try:
        given = load_configfile(path)
        update_config({}, given)
        copy.deepcopy(given)
    except Exception:  # Snakemake does this, and tells of it, before it asks calflow
        return False
    config = copy.deepcopy(_defaults())
    update_config(config, copy.deepcopy(given))
    planned(config, [path], given)
    return True


def _defaults() -> dict[str, Any]:
    import yaml

    if not _remembered:
        text = (Path(__file__).parents[2] / "config.yaml").read_text()
        _remembered.append(yaml.load(text, Loader=yaml.CSafeLoader))
    return _remembered[0]


_remembered: list[dict[str, Any]] = []


def _plan_with_parameters(path: Path) -> bool:
    name = "image2.cfg" if path.suffix == ".cfg" else str(path)
    planned(MIRI | {"parameter_files": [name]})
    return True


def _plan_with_parameter_references(path: Path) -> bool:
    moved = Path("miri/references") / path.name
    moved.write_bytes(path.read_bytes())
    try:
        planned(copy.deepcopy(MIRI))
    finally:
        moved.unlink()
    return True


def _plan_with_tables(path: Path) -> bool:
    """Plan with a catalogue, or with a star list, of the calibrated exposures."""
    if path.parent.name == "extras":
        tweakreg = {"abs_refcat": str(path)}
    else:
        tweakreg = {"use_custom_catalogs": True, "catfile": "extras/catfile.txt"}
    planned(_config_of(Path("cal/x")) | {"stage3": {"tweakreg": tweakreg}})
    return True


def _plan_with_extras(path: Path) -> bool:
    """Plan with a grid of the user, with a list of star lists, or of sky levels."""
    stage3 = {
        "grid.asdf": {"resample": {"output_wcs": str(path)}},
        "catfile.txt": {"tweakreg": {"use_custom_catalogs": True, "catfile": str(path)}},
        "skylist.txt": {"skymatch": {"skymethod": "user", "skylist": str(path)}},
    }
    planned(_config_of(Path("cal/x")) | {"stage3": stage3[path.name]})
    return True


def _plan_with_remembered(_: Path) -> bool:
    planned(MIRI)
    return True


def _plan_with_crds(path: Path) -> bool:
    planned(MIRI | {"references": {"source": "crds", "crds_path": "crds"}})
    return True


# By name: the files that are spoiled, and how; what reads them; cases of the short version.
_READERS: dict[str, tuple[dict[str, str], Callable[[Path], bool], int]] = {
    "exposure_headers": ({"*/rate/*_rate.fits": "fits", "cal/*.fits": "fits"}, _read_exposure, 150),
    "reference_headers": ({"*/references/*.fits": "fits"}, _read_reference, 80),
    "asdf_meta": ({"*/references/*.asdf": "asdf", "pars/*.asdf": "asdf"}, _read_reference, 150),
    "plan_exposures": ({"*/rate/*_rate.fits": "fits", "cal/*.fits": "fits"}, _plan_of_folder, 25),
    "plan_references": ({"*/references/*.fits": "fits"}, _plan_with_overrides, 12),
    "plan_asdf": ({"*/references/*.asdf": "asdf"}, _plan_with_overrides, 12),
    "associations": (
        {"*/*/*_asn.json": "json", "cal/*_asn.json": "json", "*/*/lists.json": "json"},
        _plan_of_folder,
        30,
    ),
    "configuration": ({"my.yaml": "yaml"}, _plan_of_configuration, 60),
    "parameter_files": ({"*.cfg": "lines", "pars/*.asdf": "asdf"}, _plan_with_parameters, 30),
    "parameter_references": ({"pars/*.asdf": "asdf"}, _plan_with_parameter_references, 15),
    "star_lists": ({"tables/stars/*": "table"}, _read_stars, 30),
    "catalogues": ({"tables/sky/*": "table", "tables/hours/*": "table"}, _read_catalogue, 30),
    "plan_catalogues": ({"extras/stars.*": "table", "tables/stars/a.csv": "table"}, _plan_with_tables, 12),
    "plan_extras": ({"extras/*.asdf": "asdf", "extras/*.txt": "lines"}, _plan_with_extras, 20),
    "remembered_headers": ({"remembered/headers": "remembered"}, _plan_with_remembered, 20),
    "remembered_plan": ({"remembered/plan.json": "remembered"}, _read_plan, 20),
    "remembered_runs": ({"remembered/storage.json": "remembered", "remembered/run.lock": "remembered"}, _read_run, 50),
    "crds_mappings": ({"crds/mappings/jwst/*": "lines", "crds/config/jwst/*": "lines"}, _plan_with_crds, 8),
}
NAMES = tuple(_READERS)
# Files of others, which a plan need not accept.
_REAL: dict[str, tuple[dict[str, str], Callable[[Path], bool], int]] = {
    "real_exposures": ({"real/*.fits": "fits"}, _read_exposure, 20),
    "real_references": ({"real/*.fits": "fits", "real/*.asdf": "asdf"}, _read_reference, 20),
    "real_associations": ({"real/*.json": "json"}, _read_association, 20),
    "real_parameters": ({"real/*pars*.asdf": "asdf"}, _plan_with_parameters, 10),
    "real_tables": ({"real/*.ecsv": "table"}, _read_any_table, 8),
}
REAL_NAMES = tuple(_REAL)
