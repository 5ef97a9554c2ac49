"""Run stage 2, and stage 3, of the jwst package on associations, offline, with the reference files of a folder.

A plain command, for the Python that has jwst installed: ``run_jwst.py ASSOCIATION REFERENCES OUTPUT``, and
``--stage3 ASSOCIATION`` to go on to the combined image and the catalogue. With ``--only-stage3`` stage 2 has been run.
Used by the benchmarks and by the parity tests; nothing of calflow is imported here, nor jwst anywhere else.
"""

import argparse
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Types that stage 2 asks for although imaging does not use them.
NOT_USED = (
    "bkg camera chromcorr collimator dflat disperser fflat fore fpa ifufore ifupost ifuslicer msa ote regions sflat "
    "specwcs wavelengthrange"
).split()
STEP_OF = {
    "distortion": "assign_wcs",
    "filteroffset": "assign_wcs",
    "flat": "flat_field",
    "photom": "photom",
    "area": "photom",
}
STEP3_OF = {"apcorr": "source_catalog", "abvegaoffset": "source_catalog"}

CONTEXT = "jwst_0000.pmap"


def run_stage2(association: Path, references: Path, output: Path, skip: list[str], threads: int) -> None:
    """
    Calibrate all products of a level-2 association with jwst.

    Parameters
    ----------
    association : Path
        The members are looked for beside it.
    references : Path
        Folder with one file of each type; types without a file are ``N/A``.
    output : Path
        Folder of the products: ``_bsub``, ``_cal`` or ``_calints``, ``_i2d``.
    skip : list of str
        Steps to skip, for the variants that operations decide by parameter references.
    threads : int
        Limit of BLAS and OpenMP threads.
    """
    _set_environment(output, threads)
    from jwst.pipeline import Image2Pipeline

    logging.getLogger("CRDS").setLevel(logging.ERROR)
    # jwst looks for the members of an association in the current directory.
    os.chdir(association.parent)
    for detector, part in _by_detector(association, output):
        steps = _overrides(references, detector)
        steps.setdefault("bkg_subtract", {})["save_results"] = True
        for step in skip:
            steps.setdefault(step, {})["skip"] = True
        Image2Pipeline.call(str(part), output_dir=str(output), save_results=True, steps=steps)


def run_stage3(association: Path, references: Path, output: Path, threads: int) -> None:
    """
    Combine the calibrated exposures of a level-3 association with jwst, with its defaults.

    Parameters
    ----------
    association : Path
    references : Path
        Folder with one file of each type; types without a file are ``N/A``.
    output : Path
        Folder that has the members, as `run_stage2` makes them, and gets ``_crf``, ``_i2d``, ``_cat`` and ``_segm``.
    threads : int
        Limit of BLAS and OpenMP threads.
    """
    _set_environment(output, threads)
    from jwst.pipeline import Image3Pipeline

    logging.getLogger("CRDS").setLevel(logging.ERROR)
    files = _files(references, STEP3_OF)
    steps = {"source_catalog": {f"override_{reftype}": file for reftype, file in files.items()}}
    # jwst looks for the members of this association beside it.
    beside = output / association.name
    shutil.copyfile(association, beside)
    os.chdir(output)
    Image3Pipeline.call(str(beside), output_dir=str(output), save_results=True, steps=steps)


def _by_detector(association: Path, output: Path) -> Iterator[tuple[str, Path]]:
    """Yield each detector with the association of its products: an override holds for all that one call makes."""
    from astropy.io import fits

    tree = json.loads(association.read_text())
    parts: dict[str, list[dict]] = {}
    for product in tree["products"]:
        science = next(member["expname"] for member in product["members"] if member["exptype"] == "science")
        parts.setdefault(str(fits.getval(association.parent / science, "DETECTOR")), []).append(product)
    for detector, products in parts.items():
        part = association
        if len(parts) > 1:
            part = output / f"{detector.lower()}_{association.name}"
            part.write_text(json.dumps(tree | {"products": products}))
        yield detector, part


def _set_environment(output: Path, threads: int) -> None:
    """Keep jwst from asking any server; to be called before jwst is imported."""
    cache = output / "crds"
    _write_empty_cache(cache)
    os.environ |= {
        "CRDS_OBSERVATORY": "jwst",
        # crds takes a name with "serverless" in it for: there is no server.
        "CRDS_SERVER_URL": "https://jwst-serverless-mode.stsci.edu",
        "CRDS_PATH": str(cache),
        "CRDS_CONTEXT": CONTEXT,
        "CRDS_READONLY_CACHE": "1",
        "CRDS_IGNORE_MAPPING_CHECKSUM": "1",
        "STPIPE_DISABLE_CRDS_STEPPARS": "true",
    }
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def _write_empty_cache(cache: Path) -> None:
    """Write the CRDS cache that jwst wants to see although all its references are given."""
    config, mappings = cache / "config" / "jwst", cache / "mappings" / "jwst"
    config.mkdir(parents=True, exist_ok=True)
    mappings.mkdir(parents=True, exist_ok=True)
    server = {
        "observatory": "jwst",
        "operational_context": CONTEXT,
        "bad_files_list": [],
        "force_remote_mode": False,
        "last_synced": "2026-01-01 00:00:00",
    }
    (config / "server_config").write_text(repr(server))
    (config / "ref_cache_subdir_mode").write_text("instrument")
    header = {"mapping": "PIPELINE", "name": CONTEXT, "observatory": "JWST", "parkey": ("META.INSTRUMENT.NAME",)}
    (mappings / CONTEXT).write_text(f"header = {header}\n\nselector = {{}}\n")


def _overrides(references: Path, detector: str) -> dict[str, dict[str, object]]:
    """Return the parameters of stage 2, by step, that name the reference files of a detector."""
    files = _files(references, STEP_OF, detector)
    steps: dict[str, dict[str, object]] = {}
    for reftype, file in files.items():
        steps.setdefault(STEP_OF[reftype], {})[f"override_{reftype}"] = file
    for reftype in NOT_USED:
        step = {"bkg": "bkg_subtract", "fflat": "flat_field", "sflat": "flat_field", "dflat": "flat_field"}
        steps.setdefault(step.get(reftype, "assign_wcs"), {})[f"override_{reftype}"] = "N/A"
    steps["bkg_subtract"]["override_wavelengthrange"] = "N/A"
    return steps


def _files(references: Path, types: dict[str, str], detector: str = "") -> dict[str, str]:
    """Return the file of each type; of several files of a type, the one of the detector."""
    found: dict[str, dict[Path, str]] = {}
    for path in sorted(references.iterdir()):
        reftype, own = _type_and_detector(path)
        if reftype in types:
            found.setdefault(reftype, {})[path] = own
    files = dict.fromkeys(types, "N/A")
    for reftype, paths in found.items():
        fitting = [path for path, own in paths.items() if len(paths) == 1 or own == detector]
        if len(fitting) > 1:
            raise ValueError(f"{references}: two files of type {reftype}, {fitting[0]} and {fitting[1]}")
        if fitting:
            files[reftype] = str(fitting[0])
    return files


def _type_and_detector(path: Path) -> tuple[str, str]:
    if path.suffix == ".asdf":
        import asdf

        with asdf.open(path) as file:
            meta = file["meta"]
            return str(meta.get("reftype", "")).lower(), str(meta.get("instrument", {}).get("detector", ""))
    if path.suffix == ".fits":
        from astropy.io import fits

        header = fits.getheader(path)
        return str(header["REFTYPE"]).lower(), str(header.get("DETECTOR", ""))
    return "", ""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("association", type=Path, help="level-2 association")
    parser.add_argument("references", type=Path, help="folder with the reference files")
    parser.add_argument("output", type=Path, help="folder for the products")
    parser.add_argument("--skip", action="append", default=[], metavar="STEP", help="a step to skip; may be repeated")
    parser.add_argument("--stage3", type=Path, metavar="ASSOCIATION", help="level-3 association, to run stage 3 too")
    parser.add_argument("--only-stage3", action="store_true", help="the products of stage 2 are there already")
    parser.add_argument("--threads", type=int, default=1, help="BLAS and OpenMP threads (default %(default)s)")
    given = parser.parse_args()
    association, references, output = given.association.resolve(), given.references.resolve(), given.output.resolve()
    combined = given.stage3.resolve() if given.stage3 else None
    if not given.only_stage3:
        run_stage2(association, references, output, given.skip, given.threads)
    if combined:
        run_stage3(combined, references, output, given.threads)


if __name__ == "__main__":
    main()
