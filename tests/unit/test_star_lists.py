import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table

from products.star_lists import StarListError, read_sky_catalog, read_star_list, write_star_list
from steps.star_finding import StarList

STARS = StarList(np.array([0.1 + 0.2, 5.0, -0.4]), np.array([1 / 3, 7.5, 1023.49]), np.array([1e6, 2.5, np.nan]))


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_positions_are_read_bit_for_bit(tmp_path, extension):
    path = tmp_path / f"x_cat.{extension}"
    write_star_list(path, STARS)
    xy, weight = read_star_list(path)
    np.testing.assert_array_equal(xy, np.stack([STARS.x, STARS.y], axis=-1))
    assert xy.dtype == np.float64
    assert weight is None


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_columns_of_a_star_list(tmp_path, extension):
    path = tmp_path / f"x_cat.{extension}"
    write_star_list(path, STARS)
    table = Table.read(path)
    assert table.colnames == ["id", "x", "y", "flux"]
    assert table["id"].tolist() == [1, 2, 3]
    assert str(table["x"].unit) == "pix"
    assert table["flux"][:2].tolist() == [1e6, 2.5]


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_same_stars_same_bytes(tmp_path, extension):
    for name in "ab":
        write_star_list(tmp_path / f"{name}.{extension}", STARS)
    assert (tmp_path / f"a.{extension}").read_bytes() == (tmp_path / f"b.{extension}").read_bytes()


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_no_stars(tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    write_star_list(path, StarList(*[np.empty(0)] * 3))
    xy, weight = read_star_list(path)
    assert (xy.shape, weight) == ((0, 2), None)


# Tables of the user


def table(tmp_path, content, name="stars.ecsv", **options):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        Table(content).write(path, **options)
    return path


@pytest.mark.parametrize(
    ("x", "y"),
    [("x", "y"), ("X", "Y"), ("xcentroid", "ycentroid"), ("x_centroid", "y_centroid"), ("XCentroid", "yCENTROID")],
)
@pytest.mark.parametrize("name", ["stars.ecsv", "stars.fits", "STARS.FITS"])
def test_spellings_of_the_columns(tmp_path, x, y, name):
    path = table(tmp_path, {"id": [1, 2], y: [3.5, 4.5], x: [1.5, 2.5]}, name)
    xy, weight = read_star_list(path)
    assert xy.tolist() == [[1.5, 3.5], [2.5, 4.5]]
    assert weight is None


def test_x_and_y_go_before_centroids(tmp_path):
    columns = {"xcentroid": [9.0], "ycentroid": [9.0], "x": [1.0], "y": [2.0]}
    assert read_star_list(table(tmp_path, columns))[0].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stars.txt", "x y weight\n1 3 0.5\n2.5 4 1\n"),
        ("stars.csv", "x,y,weight\n1,3,0.5\n2.5,4,1\n"),
        ("stars.cat", "# x y weight\n1 3 0.5\n2.5 4 1\n"),
        ("stars", "x\ty\tWeight\n1\t3\t0.5\n2.5\t4\t1\n"),
    ],
)
def test_plain_text(tmp_path, name, text):
    xy, weight = read_star_list(table(tmp_path, text, name))
    assert xy.tolist() == [[1.0, 3.0], [2.5, 4.0]]
    assert weight.tolist() == [0.5, 1.0]


def test_whole_numbers_are_positions_too(tmp_path):
    xy, weight = read_star_list(table(tmp_path, {"x": [1, 2], "y": [3, 4], "WEIGHT": [1, 2]}))
    assert (xy.dtype, weight.dtype) == (np.float64, np.float64)
    assert xy.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_units_do_not_stand_in_the_way(tmp_path):
    xy, _ = read_star_list(table(tmp_path, {"x": [1.0] * units.pix, "y": [2.0] * units.pix}))
    assert xy.tolist() == [[1.0, 2.0]]


def test_missing_values_are_nan(tmp_path):
    path = table(tmp_path, {"x": np.ma.array([1.0, 2.0], mask=[False, True]), "y": [3.0, 4.0]})
    np.testing.assert_array_equal(read_star_list(path)[0], [[1.0, 3.0], [np.nan, 4.0]])


def test_missing_columns_are_told(tmp_path):
    path = table(tmp_path, {"x_pos": [1.0], "y_pos": [2.0]})
    with pytest.raises(StarListError) as caught:
        read_star_list(path)
    assert str(caught.value) == (
        f"{path} has the columns x_pos, y_pos; it needs x, y or xcentroid, ycentroid or x_centroid, y_centroid"
    )


@pytest.mark.parametrize("read", [read_star_list, read_sky_catalog])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.fits", b"not FITS"),
        ("x.fits", b""),
        ("x.ecsv", b"not ECSV"),
        ("x.ecsv", b""),
        ("x.txt", b""),
        ("x.txt", b"\x00\xff\xfe"),
        ("x.ecsv", b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: x, datatype: float64}\nx\nmuch\n"),
    ],
)
def test_files_that_are_no_tables(tmp_path, read, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StarListError, match=name) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith(": ")


def test_text_in_place_of_numbers(tmp_path):
    with pytest.raises(StarListError, match="x, y must be columns of numbers"):
        read_star_list(table(tmp_path, "x y\n1 2\nmuch 3\n", "x.txt"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StarListError, match=r"no\.ecsv cannot be read"):
        read_star_list(tmp_path / "no.ecsv")


# Catalogues


@pytest.mark.parametrize(("ra", "dec"), [("RA", "DEC"), ("ra", "dec"), ("Ra", "Dec")])
@pytest.mark.parametrize("name", ["stars.ecsv", "stars.fits", "stars.csv"])
def test_catalogue_columns(tmp_path, ra, dec, name):
    path = table(tmp_path, {dec: [-70.5, 1 / 3], ra: [80.0, 359.5], "weight": [1.0, 0.25]}, name)
    sky, weight = read_sky_catalog(path)
    assert sky.tolist() == [[80.0, -70.5], [359.5, 1 / 3]]
    assert weight.tolist() == [1.0, 0.25]


def test_catalogue_with_coordinates(tmp_path):
    """As the source catalogue has them."""
    sky = SkyCoord([80.0, 359.5], [-70.5, 1 / 3], unit="deg")
    path = table(tmp_path, {"label": [1, 2], "sky_centroid": sky})
    np.testing.assert_allclose(read_sky_catalog(path)[0], [[80.0, -70.5], [359.5, 1 / 3]], rtol=1e-15)


def test_catalogue_with_coordinates_as_plain_columns(tmp_path):
    """As a FITS table, or an ECSV file without the description of the column, has them."""
    path = table(tmp_path, {"sky_centroid.ra": [80.0], "sky_centroid.dec": [-70.5]}, "stars.fits")
    assert read_sky_catalog(path)[0].tolist() == [[80.0, -70.5]]


def test_catalogue_without_positions(tmp_path):
    with pytest.raises(StarListError, match="it needs ra, dec or sky_centroid"):
        read_sky_catalog(table(tmp_path, {"x": [1.0], "y": [2.0]}))


def test_a_star_list_with_coordinates_too(tmp_path):
    """A source catalogue has both; of it the pixels are wanted here."""
    sky = SkyCoord([80.0], [-70.5], unit="deg")
    path = table(tmp_path, {"xcentroid": [4.0], "ycentroid": [5.0], "sky_centroid": sky})
    assert read_star_list(path)[0].tolist() == [[4.0, 5.0]]
