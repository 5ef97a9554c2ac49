"""Parameter references (pars-*) in real snakemake runs: two filters of one run get different parameters."""

import pytest
import yaml
from astropy.io import fits

from calflow.simulation import Scene, simulate
from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.slow

MIRI, NIRCAM = "F1130W", "F200W"


def write_pars(folder, instrument, exp_type, filter_name, **parameters):
    """Write a pars-resamplestep as strun does."""
    about = {"reftype": "pars-resamplestep", "telescope": "JWST", "useafter": "2018-01-01T00:00:00"}
    about |= {"instrument": {"name": instrument, "filter": filter_name}, "exposure": {"type": exp_type}}
    tree = {"meta": about, "class": "jwst.resample.ResampleStep", "name": "resample", "parameters": parameters}
    text = f"#ASDF 1.0.0\n%YAML 1.1\n---\n{yaml.safe_dump(tree)}...\n"
    (folder / f"pars_{filter_name}.asdf").write_text(text)


@pytest.fixture
def two_filters(tmp_path):
    """A folder with an exposure in each of two filters."""
    small = {"detector_shape": (56, 64), "exposures": 1, "stars": 3, "galaxies": 0}
    simulate(tmp_path / "data/miri", Scene("miri_f1130w", backgrounds=0, **small))
    simulate(tmp_path / "data/nircam", Scene("nircam_f200w", **small))
    workflow = Workflow(tmp_path)
    workflow.config |= {"associations": "data/*/rate/*_asn.json", "references": {"directory": "data"}}
    return workflow


def header(workflow, filter_name, suffix):
    """Return the primary header of the product of a filter."""
    for path in (workflow.folder / "results/stage2").glob(f"*_{suffix}.fits"):
        found = fits.getheader(path)
        if found["FILTER"] == filter_name:
            return found
    return None


def test_two_filters_of_one_run(two_filters):
    data = two_filters.folder / "data"
    write_pars(data, "MIRI", "MIR_IMAGE", MIRI, pixfrac=0.5)
    write_pars(data, "NIRCAM", "NRC_IMAGE", NIRCAM, pixfrac=0.8, kernel="square", not_there=1)
    run = two_filters.run()
    assert run.code == 0, run.output
    assert "pars_F200W.asdf: not used, calflow does not have this: not_there" in run.output
    for name, value in ((MIRI, 0.5), (NIRCAM, 0.8)):
        found = header(two_filters, name, "i2d")
        assert found["PIXFRAC"] == value
        assert found["R_PAR201"] == f"pars_{name}.asdf"
        assert found["PAR2_001"] == f"resample.pixfrac={value}"
        assert "PAR2_001" not in header(two_filters, name, "cal")
    assert two_filters.planned() == {}

    # A changed file rebuilds what it concerns, and nothing else.
    write_pars(data, "MIRI", "MIR_IMAGE", MIRI, pixfrac=0.6)
    assert two_filters.run().rules == {"resample_exposure": 1}
    assert header(two_filters, MIRI, "i2d")["PIXFRAC"] == 0.6

    # Values of the configuration win.
    two_filters.config["stage2"] = {"resample": {"pixfrac": 0.8}}
    assert two_filters.planned() == {"resample_exposure": 2}  # the one is made again, the other loses its record

    # A step can be skipped for some exposures.
    del two_filters.config["stage2"]
    write_pars(data, "MIRI", "MIR_IMAGE", MIRI, skip=True)
    run = two_filters.run("stage2", dry=True)
    assert run.code == 0, run.output
    assert "mirimage_i2d.fits" not in run.output


def test_switched_off(two_filters):
    write_pars(two_filters.folder / "data", "MIRI", "MIR_IMAGE", MIRI, pixfrac=1.5)
    run = two_filters.run(dry=True)
    assert run.code != 0
    assert "pars_F1130W.asdf: pixfrac: 1.5 is not valid" in run.output
    two_filters.config["references"]["parameters"] = False
    assert two_filters.planned() == {"calibrate": 2, "resample_exposure": 2}


def test_stage3(combined):
    """The thresholds of the outlier search by a reference: no group is resampled again, and the image says so."""
    tree = {
        "meta": {
            "reftype": "pars-outlierdetectionstep",
            "telescope": "JWST",
            "useafter": "2018-01-01T00:00:00",
            "instrument": {"name": "NIRCAM", "filter": NIRCAM},
            "exposure": {"type": "NRC_IMAGE"},
        },
        "class": "jwst.outlier_detection.OutlierDetectionStep",
        "name": "outlier_detection",
        "parameters": {"snr": "4.0 3.0", "save_intermediate_results": False},
    }
    path = combined.folder / "data/references/pars_outliers.asdf"
    path.write_text(f"#ASDF 1.0.0\n%YAML 1.1\n---\n{yaml.safe_dump(tree)}...\n")
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules == {"catalog_sources": 1, "combine": 1, "count_outliers": 1, "flag_outliers": 4}
    image = next(combined.folder.glob("results/stage3/*_i2d.fits"))
    for product in (image, next(combined.folder.glob("results/stage3/*_crf.fits"))):
        found = fits.getheader(product)
        assert found["R_PAR301"] == "pars_outliers.asdf"
        assert found["PAR3_001"] == "outlier_detection.snr=[4.0, 3.0]"
    assert combined.planned() == {}
