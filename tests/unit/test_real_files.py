"""Real files of the archive and of CRDS are read, or refused with the right message."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from calflow.configuration.problems import Problems
from calflow.files.reference_files import ReferenceFileError, read_distortion, read_photom
from calflow.inputs.associations import expand, read_association, single_exposure
from calflow.inputs.headers import read_exposure_header, read_reference_header
from calflow.references.references import DirectoryIndex

REAL = Path(__file__).parents[3] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the repository")


def told(problems):
    return "\n".join(map(str, problems))


def test_association_without_its_members():
    problems = Problems()
    read_association(REAL / "asn" / "asn_level2.json", None, problems)
    assert "test_lrs1_rate.fits" in told(problems)
    assert "none of its 6 exposures is in" in told(problems)


@pytest.mark.parametrize(("name", "members"), [("asn_mosaic.json", 32), ("test_image_asn.json", 72)])
def test_level_3_associations(name, members):
    problems = Problems()
    association = read_association(REAL / "asn" / name, None, problems)
    assert not problems
    assert association.level == 3
    assert sum(len(product.sciences) for product in association.products) == members


@pytest.mark.parametrize("path", sorted((REAL / "pools").glob("*.csv")) if REAL.is_dir() else [])
def test_a_pool_is_no_association(path):
    problems = Problems()
    assert read_association(path, None, problems) is None
    assert "not JSON" in told(problems)


def test_header_of_a_real_rate(tmp_path):
    packed = next((REAL / "jwst_headers").glob("*nrca1_rate.fits.gz"))
    path = tmp_path / packed.name.removesuffix(".gz")
    with gzip.open(packed) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    problems = Problems()
    header = read_exposure_header(path, ["DETECTOR", "FILTER", "V2_REF"], problems)
    # The pixels of these files were blanked into scaled integers, which no archive product has.
    assert header is None
    assert "BITPIX" in told(problems)


def test_time_series_images_without_extensions():
    for path in sorted((REAL / "nircam_tso_rateints").glob("*.fits")):
        problems = Problems()
        assert read_exposure_header(path, ["TSOVISIT"], problems) is None
        assert "no SCI extension" in told(problems)


def test_uncalibrated_exposure_is_refused():
    problems = Problems()
    assert single_exposure(next((REAL / "jwst_headers").glob("*_uncal.fits")), problems) is None
    assert "not a count-rate exposure" in told(problems)


def test_globs_find_real_files():
    problems = Problems()
    assert len(expand([str(REAL / "asn" / "*.json")], "associations", problems)) == 4
    assert not problems


@pytest.mark.parametrize("name", ["niriss_ref_distortion.asdf", "jwst_miri_distortion_0001.asdf"])
def test_distortion_files(name):
    v2, v3 = read_distortion(REAL / "reference" / name)(100.0, 200.0)
    assert np.isfinite([v2, v3]).all()


def test_photom_without_conversion():
    with pytest.raises(ReferenceFileError, match="has no PHOTOM table"):
        read_photom(REAL / "reference" / "niriss_ref_photom.fits")


@pytest.mark.parametrize("path", sorted((REAL / "reference").glob("*.*")) if REAL.is_dir() else [])
def test_reference_headers(path):
    problems = Problems()
    header = read_reference_header(path, problems)
    assert not problems
    # The oldest distortion file keeps its metadata outside `meta`; such a file is for overrides only.
    assert header.values.get("REFTYPE") or path.name == "jwst_miri_distortion_0001.asdf"


def test_a_folder_of_real_references():
    problems = Problems()
    index = DirectoryIndex(REAL / "reference", None, problems)
    assert not problems
    assert [ref.path.name for ref in index.references("distortion", "NIRISS")] == ["niriss_ref_distortion.asdf"]
