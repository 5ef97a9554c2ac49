"""A small night of all kinds of files that planning reads, to be spoiled one by one."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import asdf
import yaml
from astropy.io import fits
from astropy.table import Table

from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
from calflow.science.geometry.tan_projection import TanProjection
from calflow.simulation import Scene, simulate
from tests.crds_stand_in import write_context

REAL = Path(__file__).parents[3] / "shared" / "realdata"

SMALL: dict[str, Any] = {"detector_shape": (24, 28), "stars": 1, "galaxies": 0}
# What makes a count-rate exposure pass for a calibrated one, as far as headers go.
CALIBRATED = {"S_WCS": "COMPLETE", "S_FLAT": "COMPLETE", "S_PHOTOM": "COMPLETE", "BKGSUB": False, "BKGLEVEL": 1.5}

PARAMETERS = {
    "image2.cfg": """
name = "Image2Pipeline"
class = "jwst.pipeline.Image2Pipeline"
save_bsub = True
output_dir = "made"
[steps]
  [[bkg_subtract]]
    sigma = 2.5
    maxiters = None
  [[resample]]
    pixfrac = 0.8
    kernel = "square"
    output_shape = 100, 120
    config_file = step.cfg
  [[flat_field]]
    skip = True
""",
    "step.cfg": 'name = "resample"\nclass = "jwst.resample.ResampleStep"\nfillval = "INDEF"\npixel_scale_ratio = 1.5\n',
}
MY_YAML = """\
input: miri/rate
associations:
  - miri/rate/*_asn.json
  - miri/stage3/*_asn.json
output: results
parameter_files: [image2.cfg]
references:
  source: directory
  directory: miri/references
  override: {area: "N/A"}
stage2:
  bkg_subtract: {sigma: 3.0, maxiters: 2}
  assign_wcs: {sip_approx: true, sip_degree: 3}
  resample:
    pixfrac: 0.8
    output_shape: null
    crval: [83.8221, -5.391]
stage3:
  tweakreg:
    abs_refcat: ""
    minobj: 5
    fitgeometry: rshift
    kron_params: null
    roundlo: -1.0
  skymatch: {skymethod: match, lower: null, dqbits: "~DO_NOT_USE+NON_SCIENCE"}
  outlier_detection: {snr: 5.0 4.0, maskpt: 0.7}
  resample: {pixel_scale_ratio: 0.5, kernel: square, weight_type: ivm, crpix: [100.0, 100.0]}
  source_catalog: {aperture_ee1: 30, parquet: true}
grids:
  deep: {associations: ["*"], crval: [83.822, -5.391], pixel_scale: 0.1, tile_shape: [400, 400], tile_overlap: 10}
extra_steps:
  rate:
    - {name: pedestal, file: own.py, for: {filter: F1130W}, parameters: {percentile: 20}, inputs: {list: image2.cfg}}
    - {name: clean_flicker_noise, parameters: {fit_by_channel: true}, mask_from: association}
  cal:
    - {name: claws, step: mask_regions, for: {exposures: "*_00001_*"}, inputs: {regions: claws.reg}, optional: true}
    - {name: subtract_background_2d, mask_from: {association: "*_x0y0"}, for: {instrument: MIRI}}
  save_clean: false
overrides:
  - for: {detector: MIRIMAGE}
    stage2: {bkg_subtract: {sigma: 4}}
    stage3: {tweakreg: {snr_threshold: 5}}
quality:
  rms_look: 0.2
  completeness_look: 1.5
  completeness: {measure: true, number: 60, magnitudes: [18, 22.5], half_light_radii: [0.2], step: 0.5}
map: {hips: both}
reference_makers:
  flat_k: {type: flat, exposures: [miri/rate/*002001*_rate.fits], method: median, useafter: "2018-01-01T00:00:00"}
  sky_k:
    type: sky_flat
    exposures: miri/rate/*_rate.fits
    known_flat: miri/references/jwst_miri_flat_0001.fits
    sky_exposures: 3
    sky_smoothing: 1.5
"""
SERVER = {
    "operational_context": "jwst_9000.pmap",
    "latest_context": "jwst_9000.pmap",
    "bad_files_list": ["jwst_miri_flat_0009.fits"],
    "observatory": "jwst",
}


def make_night(folder: Path) -> None:
    """Write the files into an empty folder."""
    simulate(folder / "miri", Scene("miri_f1130w", exposures=2, backgrounds=1, seed=3, **SMALL))
    scene = Scene(IRIS_K, exposures=2, backgrounds=1, cosmic_rays=0.0, program="001", seed=3, **SMALL)
    field = IrisField(scene, bright_stars=[(12.0, 12.0, 30.0)], subarrays=1, subarray_exposures=[2], subarray_size=8)
    simulate_iris(folder / "iris", field)
    _write_cals(folder)
    _write_parameters(folder)
    _write_crds(folder)
    _write_tables(folder)
    _write_grid_and_listings(folder)
    _write_remembered(folder)
    if REAL.is_dir():
        _copy_real(folder)


def _write_cals(folder: Path) -> None:
    """Write calibrated exposures that nothing in the night makes, and their associations."""
    (folder / "cal").mkdir()
    names = []
    for path in sorted((folder / "miri/rate").glob("*_02101_*_rate.fits"))[:2]:
        names.append(path.name.replace("_rate", "_cal"))
        with fits.open(path) as hdus:
            hdus[0].header.update(CALIBRATED | {"TCATFILE": "stars.ecsv"})
            hdus["SCI"].header["BUNIT"] = "MJy/sr"
            hdus.writeto(folder / "cal" / names[-1])
    (folder / "cal/stars.ecsv").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n"
        "# - {name: x, datatype: float64}\n# - {name: y, datatype: float64}\nx y\n1.0 2.0\n"
    )
    members = [{"expname": name, "exptype": "science", "group_id": f"g{n}"} for n, name in enumerate(names)]
    products = [{"name": "combined", "members": members}]
    tree = {"asn_type": "image3", "asn_id": "o001", "asn_pool": "none", "products": products}
    (folder / "cal/combined_asn.json").write_text(json.dumps(tree, indent=1))
    rates = sorted(path.name for path in (folder / "iris/rate").glob("*.fits"))
    (folder / "iris/rate/lists.json").write_text(json.dumps({"SCI": rates[:1], "SKY": rates[-1:]}))


def _write_parameters(folder: Path) -> None:
    for name, text in PARAMETERS.items():
        (folder / name).write_text(text)
    (folder / "my.yaml").write_text(MY_YAML)
    (folder / "own.py").write_text("def pedestal(planes, parameters, facts, inputs):\n    return planes\n")
    (folder / "claws.reg").write_text("image\ncircle(10, 12, 3)\n-box(10, 12, 2, 2, 30)\n")
    (folder / "pars").mkdir()
    about = {"telescope": "JWST", "useafter": "2018-01-01T00:00:00", "instrument": {"name": "MIRI"}}
    steps = [
        {"class": "jwst.tweakreg.TweakRegStep", "name": "tweakreg", "parameters": {"minobj": 7, "snr_threshold": 9.0}}
    ]
    for reftype, name, rest in (
        ("pars-resamplestep", "jwst.resample.ResampleStep", {"parameters": {"pixfrac": 0.7, "kernel": "gaussian"}}),
        ("pars-image3pipeline", "jwst.pipeline.Image3Pipeline", {"parameters": {"skip": False}, "steps": steps}),
    ):
        tree = {"meta": about | {"reftype": reftype}, "class": name, "name": "x", **rest}
        text = f"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n---\n{yaml.safe_dump(tree)}...\n"
        (folder / f"pars/{reftype}.asdf").write_text(text)


def _write_crds(folder: Path) -> None:
    """Write a CRDS cache of the references of the night."""
    found = folder / "crds/references/jwst/miri"
    found.mkdir(parents=True)
    rules = {"filteroffset": "N/A"}
    for path in sorted((folder / "miri/references").iterdir()) + sorted((folder / "pars").iterdir()):
        reftype = path.name.split("_")[2] if path.parent.name == "references" else path.stem
        (found / path.name).write_bytes(path.read_bytes())
        rules[reftype] = path.name
    write_context(folder / "crds/mappings/jwst", 9000, "miri", rules)
    config = folder / "crds/config/jwst"
    config.mkdir(parents=True)
    (config / "server_config").write_text(repr(SERVER))
    (config / "ref_cache_subdir_mode").write_text("instrument")


def _write_tables(folder: Path) -> None:
    """Write star lists and catalogues in the formats that there are."""
    catalog = Table({"ra": [210.0, 210.001, 209.999], "dec": [54.0, 54.001, 54.0], "weight": [1.0, 0.5, 2.0]})
    catalog["ra"].unit = catalog["dec"].unit = "deg"
    hours = Table({"RAJ2000": ["14 00 00.0", "14 00 01.0"], "DEJ2000": ["+54 00 00", "+54 00 01"]})
    stars = Table({"x": [1.5, 7.25], "y": [3.0, 20.5], "flux": [10.0, 20.0]})
    for name, table in (("sky", catalog), ("hours", hours), ("stars", stars)):
        place = folder / "tables" / name
        place.mkdir(parents=True)
        table.write(place / "a.ecsv", format="ascii.ecsv")
        table.write(place / "a.csv", format="ascii.csv")
        table.write(place / "a.txt", format="ascii.basic")
        table.write(place / "a.vot", format="votable")
        table.write(place / "b.vot", format="votable", tabledata_format="binary2")
        table.write(place / "a.fits")
        for file in ("a.vot", "a.fits", "a.csv"):
            (place / f"{file}.gz").write_bytes(gzip.compress((place / file).read_bytes(), mtime=0))


def _write_grid_and_listings(folder: Path) -> None:
    """Write what the configuration may name beside: a grid, star lists and sky levels by exposure."""
    ra, dec = _pointing(folder)
    (folder / "extras").mkdir()
    projection = TanProjection((100.0, 100.0), (ra, dec), 0.11 / 3600, ((-1.0, 0.0), (0.0, 1.0)))
    wcs = projection.gwcs((200, 200), ((-0.5, 199.5), (-0.5, 199.5)))
    asdf.AsdfFile({"wcs": wcs, "array_shape": [200, 200]}).write_to(folder / "extras/grid.asdf")
    cals = sorted((folder / "cal").glob("*_cal.fits"))
    (folder / "extras/catfile.txt").write_text("".join(f"{path.name} ../tables/stars/a.csv\n" for path in cals))
    (folder / "extras/skylist.txt").write_text("".join(f"{path.name} {n}.5\n" for n, path in enumerate(cals)))
    stars = Table({"ra": [ra, ra + 1e-4, ra], "dec": [dec, dec, dec + 1e-4], "pmra": [9.0] * 3, "pmdec": [0.0] * 3})
    stars.write(folder / "extras/stars.csv", format="ascii.csv")
    stars.write(folder / "extras/stars.vot", format="votable")


def _pointing(folder: Path) -> tuple[float, float]:
    header = fits.getheader(next((folder / "cal").glob("*_cal.fits")), "SCI")
    return header["RA_REF"], header["DEC_REF"]


def _copy_real(folder: Path) -> None:
    """Copy files that archives and pipelines wrote, the small ones; they need not be of use here."""
    (folder / "real").mkdir()
    for path in sorted(REAL.glob("*/*")):
        if path.suffix in (".fits", ".asdf", ".json", ".ecsv") and path.stat().st_size < 10**6:
            (folder / "real" / path.name).write_bytes(path.read_bytes())


def _write_remembered(folder: Path) -> None:
    (folder / "remembered").mkdir()
    (folder / "remembered/storage.json").write_text(json.dumps(["data/a_rate.fits", "data/b_rate.fits"]))
    run = {"host": os.uname().nodename, "pid": 2**31 - 1, "started": "2023-03-12T07:47:13+00:00"}
    (folder / "remembered/run.lock").write_text(json.dumps(run))
