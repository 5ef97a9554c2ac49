"""Catalogue files: ECSV that reads back, and regions for DS9."""

import re

import numpy as np
import pytest
import yaml
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from astropy.units import Quantity

from calflow.files.catalogs import write_catalog, write_parquet, write_regions

META = {"aperture_params": {"aperture_ee": [30, 50, 70], "aperture_radii": [1.0, 1.5]}, "abvega_offset": 1.7}


def table(rows=2, shapes=True):
    """Return sources at (359.999, -10.001), (10.5, 20.25), as `steps.source_catalog` makes them."""
    known = 1.0 if shapes else np.nan
    content = {
        "label": np.array([1, 7], np.int32),
        "xcentroid": np.array([1.25, 3.123456789]),
        "sky_centroid": SkyCoord([359.999, 10.5], [-10.001, 20.25], unit="deg"),
        "aper_total_flux": Quantity([1.5e-6, np.nan], "Jy"),
        "is_extended": np.array([True, False]),
        "semimajor_sigma": Quantity([2.0, 3.0], "pix") * known,
        "semiminor_sigma": Quantity([1.0, 3.0], "pix") * known,
        "sky_orientation": Quantity([30.0, 100.0], "deg") * known,
    }
    result = QTable(content, meta=META)[:rows]
    result["xcentroid"].info.format = ".4f"
    return result


def test_catalog_reads_back(tmp_path):
    path = tmp_path / "a_cat.ecsv"
    write_catalog(table(), path)
    back = QTable.read(path)
    assert back.colnames == table().colnames
    assert back["label"].dtype == np.int32
    assert back["is_extended"].tolist() == [True, False]
    assert back["xcentroid"][1] == 3.123456789  # in full; the format is for showing it
    assert back["xcentroid"].info.format == ".4f"
    np.testing.assert_array_equal(back["aper_total_flux"].to_value("Jy"), [1.5e-6, np.nan])
    np.testing.assert_array_equal(back["sky_centroid"].ra.deg, [359.999, 10.5])
    assert {key: back.meta[key] for key in META} == META


def test_versions_but_no_time(tmp_path):
    path = tmp_path / "a_cat.ecsv"
    write_catalog(table(), path)
    assert set(QTable.read(path).meta["version"]) == {"calflow", "astropy", "numpy", "photutils", "scipy"}
    text = path.read_text()
    assert "date" not in text
    assert "ndarray" not in text
    assert "python/tuple" not in text


def test_same_table_same_bytes_and_unchanged(tmp_path):
    original = table()
    for name in ("a", "b"):
        write_catalog(original, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert original.meta == META


@pytest.mark.parametrize("write", [write_catalog, lambda table, path: write_regions(table, path, 0.1)])
def test_no_partial_file_stays(tmp_path, write):
    with pytest.raises((AttributeError, TypeError)):
        write("not a table", tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_parquet_has_what_the_catalogue_has(tmp_path, rows):
    parquet = pytest.importorskip("pyarrow.parquet", reason="envs/parquet.txt is not installed")
    source, path = tmp_path / "a_cat.ecsv", tmp_path / "a_cat.parquet"
    write_catalog(table(rows), source)
    write_parquet(source, path)
    found = parquet.read_table(path)
    split = ["sky_centroid.ra", "sky_centroid.dec"]
    assert found.column_names == ["label", "xcentroid", *split, *table().colnames[3:]]
    assert [str(found.schema.field(name).type) for name in ("label", "is_extended", *split)] == [
        "int32",
        "bool",
        "double",
        "double",
    ]
    np.testing.assert_array_equal(found["aper_total_flux"].to_numpy(), [1.5e-6, np.nan][:rows])
    assert found["sky_centroid.dec"].to_pylist() == [-10.001, 20.25][:rows]
    assert found["xcentroid"].to_pylist() == [1.25, 3.123456789][:rows]
    # What astropy reads units, descriptions and metadata from, as it does from the ECSV file.
    header = yaml.safe_load(found.schema.metadata[b"table_meta_yaml"].decode().replace("!astropy", "#"))
    units = {column["name"]: column.get("unit") for column in header["datatype"]}
    assert (units["aper_total_flux"], units["sky_orientation"], units["label"]) == ("Jy", "deg", None)
    first = path.read_bytes()
    write_parquet(source, path)
    assert path.read_bytes() == first


def test_astropy_reads_parquet_as_the_catalogue(tmp_path):
    for library in ("pyarrow", "pandas"):  # astropy reads parquet by way of it
        pytest.importorskip(library, reason="is not installed")
    source, path = tmp_path / "a_cat.ecsv", tmp_path / "a_cat.parquet"
    write_catalog(table(), source)
    write_parquet(source, path)
    back, expected = QTable.read(path), QTable.read(source)
    assert (back.colnames, back.meta) == (expected.colnames, expected.meta)
    assert all(
        (back[name].info.unit, back[name].info.description)
        == (expected[name].info.unit, expected[name].info.description)
        for name in back.colnames
    )


def test_empty_catalog(tmp_path):
    path = tmp_path / "a_cat.ecsv"
    write_catalog(table(rows=0), path)
    back = QTable.read(path)
    assert len(back) == 0
    assert str(back["aper_total_flux"].unit) == "Jy"
    assert back["sky_centroid"].ra.shape == (0,)


def regions(path):
    """Return the lines with shapes as (shape, numbers, label)."""
    header, *lines = path.read_text().split("icrs\n")
    assert header.startswith("# Region file format: DS9")
    found = re.findall(r"(\w+)\((.*)\) # text=\{(\d+)\}\n", "".join(lines))
    return [
        (shape, [float(number.rstrip('"')) for number in numbers.split(",")], int(n)) for shape, numbers, n in found
    ]


def test_regions_are_ellipses(tmp_path):
    path = tmp_path / "a_cat.reg"
    write_regions(table(), path, pixel_scale=0.1)
    (first, numbers, label), (second, others, other_label) = regions(path)
    assert (first, second, label, other_label) == ("ellipse", "ellipse", 1, 7)
    # Half axes of 3 sigma in arcsec; position angle 30 is 120 from the west by way of the north.
    assert numbers == pytest.approx([359.999, -10.001, 0.6, 0.3, 120])
    assert others == pytest.approx([10.5, 20.25, 0.9, 0.9, 10])


def test_sources_without_shape_are_circles(tmp_path):
    path = tmp_path / "a_cat.reg"
    write_regions(table(shapes=False), path, pixel_scale=0.1)
    assert regions(path) == [("circle", [359.999, -10.001, 0.3], 1), ("circle", [10.5, 20.25, 0.3], 7)]


def test_no_regions(tmp_path):
    path = tmp_path / "a_cat.reg"
    write_regions(table(rows=0), path, pixel_scale=0.1)
    assert regions(path) == []
