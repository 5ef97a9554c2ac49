"""Run stage 2 of the jwst package on an association, offline, with the reference files of a folder.

A plain command, for the Python that has jwst installed: ``run_jwst.py ASSOCIATION REFERENCES OUTPUT``.
Used by the benchmark and by the parity tests; nothing of calflow is imported here, nor jwst anywhere else.
"""

import argparse
import os
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
    steps = _overrides(references)
    steps.setdefault("bkg_subtract", {})["save_results"] = True
    for step in skip:
        steps.setdefault(step, {})["skip"] = True
    output.mkdir(parents=True, exist_ok=True)
    import logging

    from jwst.pipeline import Image2Pipeline

    logging.getLogger("CRDS").setLevel(logging.ERROR)
    # jwst looks for the members of an association in the current directory.
    os.chdir(association.parent)
    Image2Pipeline.call(str(association), output_dir=str(output), save_results=True, steps=steps)


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


def _overrides(references: Path) -> dict[str, dict[str, object]]:
    """Return the parameters, by step, that name the reference files."""
    files = dict.fromkeys(STEP_OF, "N/A")
    for path in sorted(references.iterdir()):
        reftype = _reference_type(path)
        if reftype not in STEP_OF:
            continue
        if files[reftype] != "N/A":
            raise ValueError(f"{references}: two files of type {reftype}, {files[reftype]} and {path}")
        files[reftype] = str(path)
    steps: dict[str, dict[str, object]] = {}
    for reftype, file in files.items():
        steps.setdefault(STEP_OF[reftype], {})[f"override_{reftype}"] = file
    for reftype in NOT_USED:
        step = {"bkg": "bkg_subtract", "fflat": "flat_field", "sflat": "flat_field", "dflat": "flat_field"}
        steps.setdefault(step.get(reftype, "assign_wcs"), {})[f"override_{reftype}"] = "N/A"
    steps["bkg_subtract"]["override_wavelengthrange"] = "N/A"
    return steps


def _reference_type(path: Path) -> str:
    if path.suffix == ".asdf":
        import asdf

        with asdf.open(path) as file:
            return str(file["meta"].get("reftype", "")).lower()
    if path.suffix == ".fits":
        from astropy.io import fits

        return str(fits.getval(path, "REFTYPE")).lower()
    return ""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("association", type=Path, help="level-2 association")
    parser.add_argument("references", type=Path, help="folder with the reference files")
    parser.add_argument("output", type=Path, help="folder for the products")
    parser.add_argument("--skip", action="append", default=[], metavar="STEP", help="a step to skip; may be repeated")
    parser.add_argument("--threads", type=int, default=1, help="BLAS and OpenMP threads (default %(default)s)")
    given = parser.parse_args()
    run_stage2(
        given.association.resolve(), given.references.resolve(), given.output.resolve(), given.skip, given.threads
    )


if __name__ == "__main__":
    main()
