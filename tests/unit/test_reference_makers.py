"""Reference makers: planned from headers, read band by band, written in CRDS format and found again."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

import make_reference
from calflow.calibration.work import MAKERS
from calflow.configuration.problems import Problems
from calflow.configuration.settings import ReferenceMaker
from calflow.files.exposure_planes import ExposurePlane, exposure_planes
from calflow.inputs.headers import read_exposure_header
from calflow.inputs.times import observation_time
from calflow.jobs.references import JOBS
from calflow.plan.reference_maker_planner import plan_references
from calflow.references.references import DirectoryIndex, select_from_directory

HEADER = {
    "TELESCOP": "TMT",
    "INSTRUME": "IRIS",
    "DETECTOR": "IRIS1",
    "FILTER": "K",
    "PUPIL": "CLEAR",
    "SUBARRAY": "FULL",
    "EXP_TYPE": "IRIS_IMAGE",
    "DATE-OBS": "2024-11-21",
    "TIME-OBS": "01:00:00",
}
SKIES = {"type": "sky_flat", "exposures": "flat*.fits", "sky_exposures": 3}
KEYWORDS = [*HEADER, "SUBSTRT1", "SUBSTRT2", "BUNIT"]


def write(path, value, planes=True, **cards):
    header = fits.Header({key: card for key, card in (HEADER | cards).items() if card is not None})
    hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(np.full((4, 5), value, np.float32), name="SCI")]
    if planes:
        hdus.append(fits.ImageHDU(np.full((4, 5), 0.5, np.float32), name="ERR"))
        hdus.append(fits.ImageHDU(np.zeros((4, 5), np.uint32), name="DQ"))
    fits.HDUList(hdus).writeto(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write(tmp_path / f"dark{number}.fits", 1.0 + number, **{"TIME-OBS": f"0{3 - number}:00:00"})
        write(tmp_path / f"flat{number}.fits", 12.0, FILTER="KN3")
    return tmp_path


def planned(**makers):
    problems = Problems()
    made = plan_references(
        {name: ReferenceMaker(**maker) for name, maker in makers.items()},
        "out/references",
        lambda path: read_exposure_header(path, KEYWORDS, problems),
        problems,
    )
    return made, [str(problem) for problem in problems]


def test_what_a_dark_is_for(folder):
    made, problems = planned(d={"type": "dark", "exposures": "dark*.fits"})
    assert not problems
    dark = made["d"]
    assert (dark.path, len(dark.exposures), dark.window.numbers) == ("out/references/d.fits", 3, (1, 1, 5, 4))
    assert dark.keywords["USEAFTER"] == "2024-11-21T01:00:00"  # of the exposure that starts first
    assert (dark.keywords["TELESCOP"], dark.keywords["SUBARRAY"]) == ("LIGERIRI", "GENERIC")
    assert "FILTER" not in dark.keywords


def test_a_flat_gets_the_dark_of_another_maker(folder):
    made, problems = planned(
        d={"type": "dark", "exposures": "dark*.fits"}, f={"type": "flat", "exposures": "flat*.fits", "dark": "d"}
    )
    assert not problems
    assert made["f"].files()["dark"] == "out/references/d.fits"
    assert made["f"].keywords["FILTER"] == "KN3"


@pytest.mark.parametrize(
    ("maker", "text"),
    [
        ({"exposures": "none*.fits"}, "reference_makers.x.exposures"),
        ({"exposures": "dark*.fits", "dark": "d"}, "a dark has no dark"),
        ({"exposures": "dark*.fits", "useafter": "yesterday!"}, "'yesterday!' is not a date"),
        ({"type": "flat", "exposures": "flat*.fits", "dark": "lost"}, "'lost' is neither a file nor the name"),
        ({"type": "flat", "exposures": ["flat0.fits", "dark0.fits"]}, "FILTER: is 'K', that of 'flat0.fits' 'KN3'"),
        ({"exposures": ["dark0.fits", "other.fits"]}, "other.fits: DETECTOR: is 'IRIS2'"),
        ({"exposures": "unknown.fits"}, "TELESCOP: 'HST' is not known"),
        ({"exposures": "undated.fits"}, "are no date and time"),
        ({"exposures": "dark*.fits", "after": "2024-12-01T00:00:00"}, "none of the 3 exposures began in this time"),
        ({"exposures": "dark*.fits", "before": "long before"}, "x.before: 'long before' is not a date"),
        ({"exposures": "dark*.fits", "known_flat": "flat0.fits"}, "x.known_flat: a dark corrects no flat"),
        ({"type": "sky_flat", "exposures": "flat*.fits"}, "3 exposures, of which 5 must show the sky in a pixel"),
        ({**SKIES, "known_flat": "a" * 300}, "is out of reach (File name too long); give the flat"),
        ({**SKIES, "known_flat": "lost.fits"}, "x.known_flat: no such file 'lost.fits'"),
        ({**SKIES, "known_flat": "other.fits"}, "other.fits is of the detector IRIS2, the exposures of IRIS1"),
        ({**SKIES, "known_flat": "small.fits"}, "small.fits covers"),
        ({**SKIES, "known_flat": "text.fits"}, "text.fits"),
    ],
)
def test_what_cannot_be_made(folder, maker, text):
    write(folder / "other.fits", 1.0, DETECTOR="IRIS2")
    write(folder / "unknown.fits", 1.0, TELESCOP="HST")
    write(folder / "undated.fits", 1.0, **{"DATE-OBS": None})
    write(folder / "small.fits", 1.0, SUBSTRT1=2, SUBSTRT2=2)
    (folder / "text.fits").write_text("no FITS file")
    made, problems = planned(x={"type": "dark", **maker})
    assert "x" not in made
    assert text in "\n".join(problems)


def test_exposures_of_a_time(folder):
    """Those that began in it count: the first second does, the last does not."""
    time = {"after": "2024-11-21T02:00:00", "before": "2024-11-21T03:00:00"}
    made, problems = planned(d={"type": "dark", "exposures": "dark*.fits", **time})
    assert not problems
    assert [path.name for path in made["d"].exposures] == ["dark1.fits"]
    assert made["d"].keywords["USEAFTER"] == "2024-11-21T02:00:00"


def test_what_a_flat_of_the_sky_is_for(folder):
    made, problems = planned(s={**SKIES, "known_flat": "flat0.fits", "sky_smoothing": 2})
    assert not problems
    assert made["s"].files()["flat"] == "flat0.fits"
    assert made["s"].keywords["FILTER"] == "KN3"
    assert made["s"].settings.reftype == "flat"
    sky = {"snr_threshold": 3.0, "exposures": 3, "large_scales": False, "smoothing": 2.0}
    assert made["s"].settings.options() == sky


def test_the_code_that_counts_is_that_which_runs(folder):
    made, problems = planned(
        d={"type": "dark", "exposures": "dark*.fits"}, f={"type": "flat", "exposures": "flat*.fits"}
    )
    assert not problems
    plan = SimpleNamespace(references=made, settings=SimpleNamespace(writing={}))
    job = JOBS["make_reference"]
    functions = {name: job.functions(plan, name) for name in made}
    assert functions == {name: [job.parameters(plan, name).maker] for name in made}
    assert functions == {"d": [MAKERS["dark"]], "f": [MAKERS["flat"]]}


class Job:
    def __init__(self, **values):
        self.__dict__.update(values)

    def get(self, name):
        return self.__dict__.get(name)


def make(made, **changes):
    settings = made.settings
    params = {
        "reftype": settings.reftype,
        "maker": MAKERS[settings.type],
        "options": settings.options(),
        "window": made.window.numbers,
        "images": made.family.images,
        "keywords": made.keywords,
        "writing": {},
    }
    output = Path(made.path)
    make_reference.make_reference(Job(**made.files()), Job(reference=output), Job(**(params | changes)))
    return output


def test_references_are_made_and_found(folder):
    made, _ = planned(
        d={"type": "dark", "exposures": "dark*.fits", "error": "propagate"},
        f={"type": "flat", "exposures": "flat*.fits", "dark": "d", "error": "propagate"},
    )
    with fits.open(make(made["d"])) as dark, fits.open(make(made["f"])) as flat:
        dark.verify("exception")
        np.testing.assert_allclose(dark["SCI"].data, 2.0)  # the mean of 1, 2, 3
        np.testing.assert_allclose(dark["ERR"].data, 0.5 / np.sqrt(3))
        # 12 - 2 = 10, which is the level; the errors of both in quadrature.
        np.testing.assert_allclose(flat["SCI"].data, 1.0)
        np.testing.assert_allclose(flat["ERR"].data, np.sqrt(2) * 0.5 / np.sqrt(3) / 10, rtol=1e-6)
        assert (dark[0].header["REFTYPE"], flat[0].header["DATAMODL"]) == ("DARK", "FlatModel")
    problems = Problems()
    index = DirectoryIndex(Path("out/references"), None, problems)
    exposure = HEADER | {"TIME-OBS": "12:00:00"}
    found = select_from_directory(index, "dark", ("DETECTOR", "SUBARRAY"), exposure, observation_time(exposure))
    assert not problems
    assert found.path == Path("out/references/d.fits")


def test_planes_are_read_row_by_row(folder):
    write(folder / "bare.fits", 7.0, planes=False)
    sci, err, dq = exposure_planes(["bare.fits"], ("SCI",))
    assert np.shape(sci[0]) == (4, 5)
    np.testing.assert_array_equal(sci[0][1:3], np.full((2, 5), 7.0))
    assert not err[0][0:2].any()
    assert dq[0][0:4].dtype == np.uint32
    assert ExposurePlane(Path("dark0.fits"), "ERR")[0:1].tolist() == [[0.5] * 5]
