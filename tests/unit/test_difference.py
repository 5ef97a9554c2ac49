"""In what two products differ, by content and by how they were made."""

import json
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table

from calflow.commands.asked import Asked
from calflow.commands.difference import answer
from calflow.configuration.problems import InputError
from calflow.engine.records import record_file
from calflow.jobs.rules import stamps
from calflow.provenance.contents import differences
from tests.unit.test_lineage import record

NAN = np.nan


def image(path, sci, dq=None, **cards):
    """Write a FITS file with an image, and one of flags."""
    hdus = fits.HDUList([fits.PrimaryHDU(header=fits.Header(cards)), fits.ImageHDU(np.float32(sci), name="SCI")])
    if dq is not None:
        hdus.append(fits.ImageHDU(np.uint32(dq), name="DQ"))
    hdus.writeto(path)


def compared(tmp_path, write, first, second, suffix):
    """Return the differences of two files that a function writes."""
    paths = [tmp_path / f"{name}{suffix}" for name in ("a", "b")]
    for path, content in zip(paths, (first, second), strict=True):
        write(path, content)
    return differences(*paths)


def test_pixels_are_counted_and_nan_is_the_same_as_nan(tmp_path):
    image(tmp_path / "a.fits", [[1, 2, NAN], [4, NAN, 6]], [[0, 1, 4], [0, 0, 0]], PIXFRAC=1.0, A="x")
    image(tmp_path / "b.fits", [[1, 5, NAN], [8, 5, NAN]], [[0, 5, 0], [4, 0, 0]], PIXFRAC=0.5, B=True)
    assert differences(tmp_path / "a.fits", tmp_path / "b.fits") == [
        "PRIMARY PIXFRAC: 1.0 -> 0.5",
        "PRIMARY A: x -> (none)",
        "PRIMARY B: (none) -> True",
        # 3 and 4, of which the mean of the squares is 12.5; the other two are NaN in one.
        "SCI: 4 of 6 pixels, by 4 at most, 3.54 rms, 1 NaN in the second alone, 1 NaN in the first alone",
        "DQ: 3 of 6 pixels, bit 2 of 1 in the first alone, bit 2 of 2 in the second alone",
    ]


def test_extensions_and_shapes(tmp_path):
    image(tmp_path / "a.fits", [[1, 2]])
    image(tmp_path / "b.fits", [[1, 2, 3]], [[1]])
    found = differences(tmp_path / "a.fits", tmp_path / "b.fits")
    assert found == ["extension DQ in the second alone", "SCI: another shape: 2x1 -> 3x1"]


def test_the_order_of_cards_and_compression_are_no_difference(tmp_path):
    image(tmp_path / "a.fits", np.eye(40), A=1, B=2)
    image(tmp_path / "b.fits", np.eye(40), B=2, A=1)
    with fits.open(tmp_path / "b.fits") as hdus:
        packed = fits.CompImageHDU(hdus[1].data, name="SCI", compression_type="GZIP_2", quantize_level=0.0)
        fits.HDUList([hdus[0], packed]).writeto(tmp_path / "c.fits")
    assert differences(tmp_path / "a.fits", tmp_path / "b.fits") == []
    assert differences(tmp_path / "a.fits", tmp_path / "c.fits") == []


def test_tables_differ_by_column(tmp_path):
    def write(path, flux):
        sky = SkyCoord([1.0, 2.0], [3.0, 4.0], unit="deg")
        QTable({"label": [1, 2], "sky": sky, "flux": flux}, meta={"apcorr": max(flux)}).write(path, format="ascii.ecsv")

    found = compared(tmp_path, write, [1.0, 2.0], [1.0, 2.5], ".ecsv")
    assert found == ["column flux: 1 of 2 values, by 0.5 at most, 0.5 rms", "meta apcorr: 2.0 -> 2.5"]
    Table({"label": [1]}).write(tmp_path / "c.ecsv", format="ascii.ecsv")
    found = differences(tmp_path / "a.ecsv", tmp_path / "c.ecsv")
    assert "column flux in the first alone" in found
    assert "rows: 2 -> 1" in found


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (lambda path, tree: path.write_text(json.dumps(tree)), ".json"),
        (lambda path, tree: asdf.AsdfFile(tree).write_to(path), ".asdf"),
    ],
)
def test_trees_differ_by_key(tmp_path, write, suffix):
    found = compared(tmp_path, write, {"a": {"b": [1, 2]}, "c": 1}, {"a": {"b": [1, 3]}, "d": None}, suffix)
    assert found == ["a.b[1]: 2 -> 3", "c: 1 -> (none)", "d: (none) -> None"]


def test_arrays_and_texts(tmp_path):
    assert compared(tmp_path, np.save, [1.0, NAN], [1.0, NAN], ".npy") == []
    assert compared(tmp_path, np.save, [1.0, NAN], [2.0, NAN], ".npy") == ["1 of 2 values, by 1 at most, 1 rms"]
    assert compared(tmp_path, Path.write_text, "a\nb\n", "a\nc\n", ".reg") == ["1 of 2 lines"]


def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path):
    image(tmp_path / "a.fits", [[1]])
    (tmp_path / "b.fits").write_text("no image")
    with pytest.raises(ValueError, match=r"one cannot be read as \.fits: OSError"):
        differences(tmp_path / "a.fits", tmp_path / "b.fits")


@pytest.fixture
def runs(tmp_path):
    """Two runs that made an image of a cal and that of a rate and a flat, in all the same way."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("rate.fits", "flat.fits", "cal.fits"):
            (folder / file).write_text(f"REFTYPE =  {file}" if file == "flat.fits" else file)
        image(folder / "i2d.fits", [[1.0, 2.0]])
        made(folder)
    return tmp_path


CODE, LIBRARIES, PARAMETERS = "'0123456789ab'", "'libraries: numpy 2.4'", "{'inverse': False, 'power': 1}"


def made(folder, inputs=("flat.fits", "rate.fits"), params=(CODE, LIBRARIES, PARAMETERS), cal="1"):
    """Write the records of such a run."""
    stamped = {Path(path).name: text for path, text in stamps([folder / "rate.fits", folder / "flat.fits"]).items()}
    record(folder, "cal.fits", "calibrate", [*inputs], *params, repr(stamped), digests={})
    record(folder, "i2d.fits", "combine", ["cal.fits"], CODE, digests={"cal.fits": f"sha256:{cal}"})


def asked(runs, *words):
    found = answer(Asked([str(runs / "one/i2d.fits"), str(runs / "two/i2d.fits"), "json", *words], {}, {}))
    return found.status, json.loads(found.text)


def test_the_same_is_the_same(runs):
    status, tree = asked(runs)
    assert status == 0
    assert tree["same"]
    assert (tree["contents"], tree["made"], tree["unknown"]) == ([], {}, [])


def test_what_was_otherwise_is_found_in_the_files_behind(runs):
    (runs / "two/flat.fits").write_text("REFTYPE =  another")
    others = CODE.replace("0", "f"), "'libraries: numpy 2.5'", PARAMETERS.replace("False", "True")
    made(runs / "two", inputs=("flat.fits", "rate.fits", "dark.fits"), params=others, cal="2")
    (runs / "two/i2d.fits").unlink()
    image(runs / "two/i2d.fits", [[1.0, 4.0]])
    status, tree = asked(runs)
    assert status == 1
    assert tree["contents"] == ["SCI: 1 of 2 pixels, by 2 at most, 2 rms"]
    assert tree["made"] == {
        "inputs": ["calibrate: dark.fits in the second alone"],
        "references": ["flat.fits: another content"],
        "parameters": ["calibrate: inverse: False -> True"],
        "versions": ["calibrate: numpy 2.4 -> 2.5"],
        "code": ["calibrate: 0123456789ab -> f123456789ab"],
    }


def test_what_was_made_of_the_same_bytes_is_not_looked_into(runs):
    made(runs / "two", params=(CODE, LIBRARIES, PARAMETERS.replace("1", "2")))
    assert asked(runs)[1]["made"] == {}


def test_a_record_that_is_missing_or_damaged_and_an_input_that_changed_are_told(runs, monkeypatch):
    made(runs / "two", cal="2")
    (runs / "one/rate.fits").write_text("another rate")
    record_file(runs / "two", "cal.fits").write_text("{")
    assert [text.partition(": ")[0] for text in asked(runs)[1]["unknown"]] == ["cal.fits of the second"]
    made(runs / "two", cal="2")
    assert asked(runs)[1]["unknown"] == ["rate.fits of the first: another file now"]
    record_file(runs / "two", "i2d.fits").unlink()
    monkeypatch.chdir(runs)
    assert asked(Path())[1]["unknown"] == ["two/i2d.fits of the second: no record of how it was made"]


@pytest.mark.parametrize("words", [[], ["a.fits"], ["a.fits", "b.fits", "c.fits"]])
def test_two_files_have_to_be_named(words):
    with pytest.raises(InputError, match="give two products"):
        answer(Asked(words, {}, {}))


def test_files_that_are_not_there_are_all_told():
    with pytest.raises(InputError, match=r"a\.fits: no such file\n.*b\.fits: no such file"):
        answer(Asked(["a.fits", "b.fits"], {}, {}))
