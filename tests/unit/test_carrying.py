"""Products carry what they were made of, and are otherwise the files that they were."""

import io
from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calflow.engine import after_scripts as module
from calflow.engine.after_scripts import EndedScript, after_scripts
from calflow.files.tables import read_meta, read_table
from calflow.provenance.carrying import carried_by, provenance_of, put_into, with_key
from calflow.provenance.lineage import lineage_of

SCRIPT = EndedScript(
    "calibrate",
    {"exposure": ["data/a_rate.fits"], "flat": ["ref/flat.fits"]},
    ["a_cal.fits"],
    {
        "flat_field": {"inverse": False, "none": [None, 1e-05]},
        "context": {"CRDS_CTX": ("x", "")},
        "code": "0123",
        "libraries": "libraries: numpy 2.4",
        "stamps": {},
        "writing": {},
        "provenance": "inputs",
    },
)


def tree(level="inputs"):
    return provenance_of(SCRIPT, level, lambda path: path.startswith("ref"), lambda path: f"sha256:{len(path):064}")


def image(path, **options):
    """Write a product as calflow does: an image, flags, and a tree with an array in a block of its own."""
    buffer = io.BytesIO()
    asdf.AsdfFile({"meta": {"wcs": "a"}, "array": np.arange(100.0)}).write_to(buffer)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    column = fits.Column(name="ASDF_METADATA", format=f"{data.size}B", array=data[np.newaxis])
    sci = np.float32([[1, np.nan], [3, 4]]).repeat(20, 0).repeat(20, 1)
    hdus = [
        fits.PrimaryHDU(header=fits.Header({"FILENAME": path.name})),
        fits.CompImageHDU(sci, name="SCI") if options.get("packed") else fits.ImageHDU(sci, name="SCI"),
        fits.ImageHDU(np.uint32([[0, 2**31]]), name="DQ"),
        fits.BinTableHDU.from_columns([column], name="ASDF"),
    ]
    fits.HDUList(hdus).writeto(path)
    return path


def test_it_says_files_with_digests_references_and_the_parameters_that_count():
    assert tree() == {
        "rule": "calibrate",
        "inputs": [{"role": "exposure", "name": "a_rate.fits", "sha256": f"{16:064}"}],
        "references": [{"role": "flat", "name": "flat.fits", "sha256": f"{13:064}"}],
        "parameters": {"flat_field": "{'inverse': False, 'none': [None, 1e-05]}"},
    }
    assert tree("all").keys() - tree().keys() == {"calflow", "code", "libraries"}
    assert tree("all")["libraries"] == "numpy 2.4"


@pytest.mark.parametrize("packed", [False, True])
def test_header_and_tree_of_a_product_carry_it_and_images_stay_as_they_are_stored(tmp_path, packed):
    path = image(tmp_path / "a_cal.fits", packed=packed)
    with fits.open(path, disable_image_compression=True) as hdus:
        stored = [hdu.fileinfo() for hdu in hdus]
        before = [path.read_bytes()[each["hdrLoc"] : each["datLoc"] + each["datSpan"]] for each in stored[1:3]]
    put_into(path, tree())
    assert all(each in path.read_bytes() for each in before)
    header = fits.getheader(path)
    assert header["FILENAME"] == header["PRVFILE"] == "a_cal.fits"
    assert (header["PRVRULE"], header["PRVCOUNT"]) == ("calibrate", 2)
    assert (header["PRV001F"], header["PRV001D"]) == ("a_rate.fits", f"{16:064}")
    assert header.comments["PRV002F"] == "flat"
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "DQ", "ASDF"]
        content = hdus["ASDF"].data["ASDF_METADATA"][0].tobytes()
    with asdf.open(io.BytesIO(content)) as file:
        assert file["calflow_provenance"] == tree()
        assert file["meta"] == {"wcs": "a"}
        np.testing.assert_array_equal(file["array"], np.arange(100.0))
    assert carried_by(path) == tree()


def test_what_was_carried_before_is_replaced(tmp_path):
    path = image(tmp_path / "a_cal.fits")
    put_into(path, tree())
    once = path.read_bytes()
    put_into(path, tree("all"))
    put_into(path, tree())
    assert path.read_bytes() == once


@pytest.mark.parametrize("meta", [{}, {"step": "align"}])
def test_a_table_carries_it_in_its_metadata(tmp_path, meta):
    path = tmp_path / "a.ecsv"
    Table({"x": [1, 2]}, meta=meta).write(path, format="ascii.ecsv")
    rows = read_table(path)
    put_into(path, tree())
    put_into(path, tree())
    assert carried_by(path) == tree()
    assert read_table(path) == rows
    assert read_meta(path) == meta | {"calflow_provenance": tree()}
    table = Table.read(path, format="ascii.ecsv")
    assert table.meta["calflow_provenance"]["rule"] == "calibrate"


def test_other_files_stay(tmp_path):
    for name in ("a.json", "a.reg", "a.npy"):
        (tmp_path / name).write_text("{}")
        put_into(tmp_path / name, tree())
        assert (tmp_path / name).read_text() == "{}"


def test_a_file_without_a_tree_is_no_place_for_a_key():
    assert with_key(b"#ASDF 1.0.0\n", tree()) == b"#ASDF 1.0.0\n"


def test_the_lineage_of_a_copy_is_what_it_carries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_into(image(tmp_path / "copy_cal.fits"), tree("all"))
    found = lineage_of(tmp_path, "copy_cal.fits", None)
    own = found.files["copy_cal.fits"]
    assert (own.rule, own.code, own.libraries) == ("calibrate", "0123", "numpy 2.4")
    assert own.made_of == {"a_rate.fits": f"sha256:{16:064}", "flat.fits": f"sha256:{13:064}"}
    assert [source.kind for source in found.files.values()] == ["product", "input", "reference"]
    assert "no record here; this is what it carries" in found.text()


def test_what_is_no_product_carries_nothing(tmp_path):
    path = image(tmp_path / "a_cal.fits")
    assert carried_by(path) is None
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"a_cal\.fits: "):
        carried_by(path)


def test_a_job_whose_product_cannot_carry_it_has_failed_and_its_log_says_why(tmp_path, monkeypatch):
    evaluate = []
    monkeypatch.setattr(module, "evaluate_scripts_by", evaluate.append)
    log = tmp_path / "a.log"
    log.write_text("INFO done\n")
    files = {"input": {"cal": "a.fits", "others": ["b", "c"]}, "params": {"code": "1"}}
    script = SimpleNamespace(**files, output=["d"], rulename="combine", wildcards=["o001", "x"], log=[str(log)])

    def act(ended):
        assert ended == EndedScript("combine", {"cal": ["a.fits"], "others": ["b", "c"]}, ["d"], {"code": "1"})
        raise OSError("no space")

    after_scripts(act)
    with pytest.raises(OSError, match="no space"):
        evaluate[0](script, lambda: None)
    assert log.read_text() == "INFO done\nERROR FAILED combine o001, x: OSError: no space\n"
    with pytest.raises(KeyError):  # of a script that fails nothing is done
        evaluate[0](script, lambda: {}["lost"])
