import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits, votable
from astropy.table import Table

from calflow.files.star_lists import read_sky_catalog, read_star_list, write_star_list
from calflow.files.user_tables import UserTableError
from calflow.science.stars.star_finding import StarList

STARS = StarList(np.array([0.1 + 0.2, 5.0, -0.4]), np.array([1 / 3, 7.5, 1023.49]), np.array([1e6, 2.5, np.nan]))


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_positions_are_read_bit_for_bit(tmp_path, extension):
    path = tmp_path / f"x_cat.{extension}"
    write_star_list(path, STARS)
    stars = read_star_list(path)
    np.testing.assert_array_equal(stars.positions, np.stack([STARS.x, STARS.y], axis=-1))
    assert stars.positions.dtype == np.float64
    assert stars.weight is None


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
    stars = read_star_list(path)
    assert (stars.positions.shape, stars.weight, stars.rows) == ((0, 2), None, 0)


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
    stars = read_star_list(path)
    assert stars.positions.tolist() == [[1.5, 3.5], [2.5, 4.5]]
    assert stars.weight is None


def test_x_and_y_go_before_centroids(tmp_path):
    columns = {"xcentroid": [9.0], "ycentroid": [9.0], "x": [1.0], "y": [2.0]}
    assert read_star_list(table(tmp_path, columns)).positions.tolist() == [[1.0, 2.0]]


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
    stars = read_star_list(table(tmp_path, text, name))
    assert stars.positions.tolist() == [[1.0, 3.0], [2.5, 4.0]]
    assert stars.weight.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("names", [("X_IMAGE", "Y_IMAGE"), ("XWIN_IMAGE", "YWIN_IMAGE")])
def test_pixels_of_sextractor_begin_at_1(tmp_path, names):
    path = table(tmp_path, dict(zip(names, [[1.0, 2.5], [1.5, 4.0]], strict=True)))
    assert read_star_list(path).positions.tolist() == [[0.0, 0.5], [1.5, 3.0]]


def test_whole_numbers_are_positions_too(tmp_path):
    stars = read_star_list(table(tmp_path, {"x": [1, 2], "y": [3, 4], "WEIGHT": [1, 2]}))
    assert (stars.positions.dtype, stars.weight.dtype) == (np.float64, np.float64)
    assert stars.positions.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_units_do_not_stand_in_the_way(tmp_path):
    stars = read_star_list(table(tmp_path, {"x": [1.0] * units.pix, "y": [2.0] * units.pix}))
    assert stars.positions.tolist() == [[1.0, 2.0]]


def test_rows_without_a_position_or_a_weight_are_left_out(tmp_path):
    x = np.ma.array([1.0, 2.0, 3.0, np.nan, np.inf], mask=[False, True, False, False, False])
    columns = {"x": x, "y": [3.0, 4.0, 5.0, 6.0, 7.0], "weight": [1.0, 1.0, np.nan, 1.0, 1.0]}
    stars = read_star_list(table(tmp_path, columns))
    assert (stars.positions.tolist(), stars.weight.tolist(), stars.rows) == ([[1.0, 3.0]], [1.0], 5)


def test_missing_columns_are_told(tmp_path):
    path = table(tmp_path, {"x_pos": [1.0], "y_pos": [2.0]})
    with pytest.raises(UserTableError) as caught:
        read_star_list(path)
    assert str(caught.value) == (
        f"{path}: has the columns x_pos, y_pos; "
        "it needs x, y or xcentroid, ycentroid or x_centroid, y_centroid or x_fit, y_fit; see docs/catalogs.md"
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
    with pytest.raises(UserTableError, match=name) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith(": ")


def test_text_in_place_of_numbers(tmp_path):
    with pytest.raises(UserTableError, match=r"x\.txt: x: is 'much' in row 2; give pixels"):
        read_star_list(table(tmp_path, "x y\n1 2\nmuch 3\n", "x.txt"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserTableError, match=r"no\.ecsv: cannot be read"):
        read_star_list(tmp_path / "no.ecsv")


# Catalogues


@pytest.mark.parametrize(("ra", "dec"), [("RA", "DEC"), ("ra", "dec"), ("Ra", "Dec")])
@pytest.mark.parametrize("name", ["stars.ecsv", "stars.fits", "stars.csv"])
def test_catalogue_columns(tmp_path, ra, dec, name):
    path = table(tmp_path, {dec: [-70.5, 1 / 3], ra: [80.0, 359.5], "weight": [1.0, 0.25]}, name)
    stars = read_sky_catalog(path)
    assert stars.positions.tolist() == [[80.0, -70.5], [359.5, 1 / 3]]
    assert stars.weight.tolist() == [1.0, 0.25]


def test_catalogue_with_coordinates(tmp_path):
    """As the source catalogue has them."""
    sky = SkyCoord([80.0, 359.5], [-70.5, 1 / 3], unit="deg")
    path = table(tmp_path, {"label": [1, 2], "sky_centroid": sky})
    np.testing.assert_allclose(read_sky_catalog(path).positions, [[80.0, -70.5], [359.5, 1 / 3]], rtol=1e-15)


def test_catalogue_with_coordinates_as_plain_columns(tmp_path):
    """As a FITS table, or an ECSV file without the description of the column, has them."""
    path = table(tmp_path, {"sky_centroid.ra": [80.0], "sky_centroid.dec": [-70.5]}, "stars.fits")
    assert read_sky_catalog(path).positions.tolist() == [[80.0, -70.5]]


def test_catalogue_without_positions(tmp_path):
    with pytest.raises(UserTableError, match="it needs ra, dec or ra_icrs, de_icrs"):
        read_sky_catalog(table(tmp_path, {"x": [1.0], "y": [2.0]}))


def test_a_star_list_with_coordinates_too(tmp_path):
    """A source catalogue has both; of it the pixels are wanted here."""
    sky = SkyCoord([80.0], [-70.5], unit="deg")
    path = table(tmp_path, {"xcentroid": [4.0], "ycentroid": [5.0], "sky_centroid": sky})
    assert read_star_list(path).positions.tolist() == [[4.0, 5.0]]


POSITIONS = [[150.1165, 2.20075], [0.25, -0.0005]]
RA, DEC = np.transpose(POSITIONS)


def gzipped(path):
    with gzip.open(f"{path}.gz", "wb") as file:
        file.write(path.read_bytes())
    return Path(f"{path}.gz")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("c.ecsv", "ascii.ecsv"),
        ("c.csv", "ascii.csv"),
        ("c.fits", "fits"),
        ("c.fit", "fits"),
        ("c.vot", "votable"),
        ("c.xml", "votable"),
        ("c.txt", "ascii.basic"),
        ("c.cat", "ascii.commented_header"),
        ("no_known_name", "votable"),
    ],
)
def test_formats_of_a_catalogue(tmp_path, name, form):
    Table({"RA": RA, "Dec": DEC, "mag": [20.5, 21.5]}).write(tmp_path / name, format=form)
    for path in (tmp_path / name, gzipped(tmp_path / name)):
        assert read_sky_catalog(path).positions.tolist() == POSITIONS


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("RA_ICRS", "DE_ICRS"),
        ("RAJ2000", "DEJ2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("_RA.icrs", "_DE.icrs"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("raMean", "decMean"),
        ("MatchRA", "MatchDec"),
    ],
)
def test_column_names_of_archives(tmp_path, ra, dec):
    assert read_sky_catalog(table(tmp_path, {"recno": [1, 2], ra: RA, dec: DEC})).positions.tolist() == POSITIONS


def test_positions_of_a_catalogue_go_before_what_is_computed_of_them(tmp_path):
    columns = {"_RAJ2000": [9.0], "_DEJ2000": [9.0], "RA_ICRS": [1.0], "DE_ICRS": [2.0]}
    assert read_sky_catalog(table(tmp_path, columns)).positions.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("unit", "ra", "dec"),
    [("rad", np.radians(RA), np.radians(DEC)), ("arcsec", RA * 3600, DEC * 3600), ("deg", RA, DEC), ("", RA, DEC)],
)
@pytest.mark.parametrize("name", ["c.ecsv", "c.fits", "c.vot"])
def test_units_of_angles(tmp_path, name, unit, ra, dec):
    found = Table({"ra": ra, "dec": dec}, units=[unit or None] * 2)
    found.write(tmp_path / name, **({"format": "votable"} if name == "c.vot" else {}))
    np.testing.assert_allclose(read_sky_catalog(tmp_path / name).positions, POSITIONS, rtol=1e-14)


def test_hours_of_right_ascension(tmp_path):
    columns = Table({"ra": RA / 15, "dec": DEC}, units=["hourangle", "deg"])
    columns.write(tmp_path / "c.ecsv")
    np.testing.assert_allclose(read_sky_catalog(tmp_path / "c.ecsv").positions, POSITIONS, rtol=1e-14)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        (["10:00:27.96", "00:01:00"], ["+02:12:02.7", "-00:00:01.8"]),
        (["10 00 27.96", "0 1 0"], ["2 12 2.7", "-0 0 1.80"]),
        (["10h00m27.96s", "0h01m00s"], ["+02d12m02.7s", "-0d0m1.8s"]),
    ],
)
@pytest.mark.parametrize("name", ["c.fits", "c.vot", "c.csv"])
def test_sexagesimal_positions(tmp_path, name, ra, dec):
    found = Table({"RAJ2000": ra, "DEJ2000": dec})
    found.write(tmp_path / name, format={"vot": "votable", "csv": "ascii.csv"}.get(name[2:], "fits"))
    np.testing.assert_allclose(read_sky_catalog(tmp_path / name).positions, POSITIONS, rtol=1e-13)


def test_numbers_as_text(tmp_path):
    """As a table that was joined by a program that knows no numbers has them."""
    path = table(tmp_path, {"ra": ["150.1165", " 0.25", ""], "dec": ["2.20075", "-0.0005", "1"]}, "c.fits")
    assert read_sky_catalog(path).positions.tolist() == POSITIONS


def test_coordinates_of_another_frame_and_name(tmp_path):
    path = table(tmp_path, {"where": SkyCoord(RA, DEC, unit="deg").galactic})
    np.testing.assert_allclose(read_sky_catalog(path).positions, POSITIONS, atol=1e-12)


def test_columns_of_angles(tmp_path):
    sky = SkyCoord(RA, DEC, unit="deg")
    path = table(tmp_path, {"ra": sky.ra, "dec": sky.dec.to("rad")})
    np.testing.assert_allclose(read_sky_catalog(path).positions, POSITIONS, rtol=1e-14)


def test_columns_that_a_votable_marks_as_positions(tmp_path):
    tree = votable.from_table(Table({"lon": RA, "lat": DEC}))
    for found, ucd in zip(tree.get_first_table().fields, ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main"), strict=True):
        found.ucd = ucd
    tree.to_xml(str(tmp_path / "c.vot"))
    assert read_sky_catalog(tmp_path / "c.vot").positions.tolist() == POSITIONS


def test_the_table_that_has_the_columns_counts(tmp_path):
    """Catalogues of SExtractor begin with a table of the image's header."""
    others, stars = (fits.table_to_hdu(Table(columns)) for columns in ({"Field": ["x"]}, {"ra": RA, "dec": DEC}))
    fits.HDUList([fits.PrimaryHDU(), others, stars]).writeto(tmp_path / "c.fits")
    assert read_sky_catalog(tmp_path / "c.fits").positions.tolist() == POSITIONS


def test_names_in_the_last_of_several_comments(tmp_path):
    path = table(tmp_path, "# made by hand\n# ra dec\n150.1165 2.20075\n0.25 -0.0005\n", "c.txt")
    assert read_sky_catalog(path).positions.tolist() == POSITIONS


@pytest.mark.parametrize(
    "rows",
    [
        "RA_ICRS\tDE_ICRS\tGmag\ndeg\tdeg\tmag\n-------\t------\t----\n150.1165\t 2.20075\t\n0.25\t-0.0005\t20.1\n\n",
        "RA_ICRS;DE_ICRS;Gmag\ndeg;deg;mag\n---;---;---\n150.1165; 2.20075;\n0.25;-0.0005;20.1\n",
        "RA_ICRS  DE_ICRS\ndeg      deg\n-------- --------\n150.1165  2.20075\n  0.2500 -0.00050\n",
        'RAJ2000\tDEJ2000\n"h:m:s"\t"d:m:s"\n---\t---\n10 00 27.96\t+02 12 02.7\n00 01 00\t-00 00 01.8\n',
        "RAJ2000\tDEJ2000\narcsec\tdeg\n---\t---\n540419.4\t2.20075\n900\t-0.0005\n",
        "Star\tPlx\n\tmas\n---\t---\n5\t6.5\n\n#Table\n\nRA_ICRS\tDE_ICRS\ndeg\tdeg\n---\t---\n150.1165\t2.20075\n0.25\t-0.0005\n",
    ],
)
def test_tables_of_vizier(tmp_path, rows):
    """Below the names stand units and dashes; several tables may follow each other."""
    path = table(tmp_path, f"#\n#   VizieR Astronomical Server\n#Column\tRA\t(F15.11)\n{rows}", "vizier.tsv")
    np.testing.assert_allclose(read_sky_catalog(path).positions, POSITIONS, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "# made by hand\n# ra,dec\n150.1165,2.20075\n0.25,-0.0005\n"),
        ("c.csv", "RA;DEC\n150.1165;2.20075\n0.25;-0.0005\n"),
        ("c.txt", "+----------+---------+\n| ra       | dec     |\n+----------+---------+\n"
         "| 150.1165 | 2.20075 |\n| 0.25     | -0.0005 |\n+----------+---------+\n"),
    ],
)  # fmt: skip
def test_tables_that_programs_write_as_text(tmp_path, name, text):
    assert read_sky_catalog(table(tmp_path, text, name)).positions.tolist() == POSITIONS


def test_text_of_two_bytes_a_character(tmp_path):
    (tmp_path / "c.txt").write_text("RA\tDEC\n150.1165\t2.20075\n0.25\t-0.0005\n", encoding="utf-16")
    assert read_sky_catalog(tmp_path / "c.txt").positions.tolist() == POSITIONS


def test_archives_of_files_are_no_text(tmp_path):
    (tmp_path / "c.zip").write_bytes(b"PK\x03\x04\x14\x00ra,dec")
    with pytest.raises(UserTableError, match=r"c\.zip: is neither text nor FITS; give a table in FITS, VOTable"):
        read_sky_catalog(tmp_path / "c.zip")


def test_epoch_and_proper_motions_are_told_and_not_applied(tmp_path):
    columns = {"ra": RA, "dec": DEC, "pmra": [3.0, np.nan], "pmdec": [-4.0, 1.0], "ref_epoch": [2016.0, 2016.0]}
    stars = read_sky_catalog(table(tmp_path, columns))
    assert (stars.positions.tolist(), stars.epoch, stars.motion) == (POSITIONS, 2016.0, 5.0)


@pytest.mark.parametrize(
    ("columns", "column", "wrong"),
    [
        ({"ra": [1.0], "dec": [95.0]}, "dec", "is 95 degrees in row 1"),
        ({"ra": [1.0, 1e6], "dec": [2.0, 2.0]}, "ra", "is 1e+06 degrees in row 2"),
        ({"ra": [True], "dec": [2.0]}, "ra", "is of type bool"),
        ({"ra": [[1.0, 2.0]], "dec": [2.0]}, "ra", "has (2,) values in each row"),
        ({"ra": ["10:00:27"], "dec": ["2:75:00"]}, "dec", "minutes and seconds end at 60"),
        ({"ra": ["10:00:27", "x"], "dec": [1.0, 2.0]}, "ra", "is 'x' in row 2"),
        ({"ra": [1.0], "dec": [2.0], "weight": ["good"]}, "weight", "is 'good' in row 1"),
        ({"ra": [1.0], "dec": [2.0], "Weight": [0.0]}, "Weight", "is above 0 in no row"),
        ({"ra": [1.0], "dec": [2.0], "weight": [-1.0]}, "weight", "is -1 in row 1"),
        ({"ra": [1.0] * units.km, "dec": [2.0]}, "ra", "has the unit km, which is no angle"),
    ],
)
@pytest.mark.parametrize("name", ["c.ecsv", "c.fits"])
def test_columns_that_cannot_be_used(tmp_path, name, columns, column, wrong):
    with pytest.raises(UserTableError) as caught:
        read_sky_catalog(table(tmp_path, columns, name))
    assert caught.value.column == column
    assert wrong in caught.value.wrong
    assert caught.value.right


def test_two_columns_that_differ_in_the_case_of_letters(tmp_path):
    with pytest.raises(UserTableError, match="ra: stands in more than one column"):
        read_sky_catalog(table(tmp_path, {"ra": [1.0], "RA": [1.0], "dec": [2.0]}))


def test_a_column_that_stands_twice_in_a_text(tmp_path):
    with pytest.raises(UserTableError, match="ra: stands in more than one column"):
        read_sky_catalog(table(tmp_path, "ra,dec,ra\n1,2,3\n", "c.csv"))
    assert read_sky_catalog(table(tmp_path, "ra,dec,e,e\n1,2,3,4\n", "c.csv")).positions.tolist() == [[1.0, 2.0]]


def test_pixels_have_no_angle(tmp_path):
    with pytest.raises(UserTableError, match="x: has the unit deg; give pixels"):
        read_star_list(table(tmp_path, {"x": [1.0] * units.deg, "y": [2.0]}))


def test_data_that_a_votable_keeps_elsewhere_are_not_fetched(tmp_path):
    text = (
        '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="ra" datatype="double"/><DATA><BINARY><STREAM href="file:///etc/passwd"/></BINARY></DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    )
    with pytest.raises(UserTableError, match="STREAM: keeps its data elsewhere"):
        read_sky_catalog(table(tmp_path, text, "c.vot"))


@pytest.mark.parametrize("name", ["c.csv.gz", "c.fits.gz"])
def test_gzipped_files_that_are_cut_off(tmp_path, name):
    Table({"ra": RA, "dec": DEC}).write(tmp_path / name[:-3], format="fits" if "fits" in name else "ascii.csv")
    content = gzipped(tmp_path / name[:-3]).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserTableError, match="the gzipped file is cut off"):
        read_sky_catalog(tmp_path / name)


def test_numbers_that_ask_for_endless_work(tmp_path):
    Table({"ra": RA, "dec": DEC}).write(tmp_path / "c.fits")
    content = (
        (tmp_path / "c.fits").read_bytes().replace(b"NAXIS   =                    0", b"NAXIS   = 10000000000000000000")
    )
    (tmp_path / "c.fits").write_bytes(content)
    with pytest.raises(UserTableError, match="NAXIS: is above 999"):
        read_sky_catalog(tmp_path / "c.fits")
    text = "# 1 ALPHA_J2000 [deg]\n# 9223372036854775807 DELTA_J2000 [deg]\n150.0 2.0\n"
    with pytest.raises(UserTableError, match="has the columns ALPHA_J2000, ALPHA_J2000_1;"):
        read_sky_catalog(table(tmp_path, text, "c.cat"))


def test_more_text_than_fits(tmp_path, monkeypatch):
    monkeypatch.setattr("calflow.files.user_tables.MAX_BYTES", 1000)
    with pytest.raises(UserTableError, match="has more than 0 MB of text"):
        read_sky_catalog(gzipped(table(tmp_path, "ra,dec\n" + "1,2\n" * 1000, "c.csv")))


def test_a_row_without_an_end_is_refused_at_once(tmp_path):
    path = tmp_path / "stars.txt"
    path.write_text("x y flux\n" + "7.25 20.5 20.0" * 600_000)  # astropy takes minutes for it
    with pytest.raises(UserTableError, match="has 1200001 values in line 2, more than the row of any table"):
        read_star_list(path)


def test_a_small_file_that_unpacks_to_a_huge_one(tmp_path):
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"ra,dec\n" + b"\n" * 2**25))
    with pytest.raises(UserTableError, match="unpacks to more than 100 times its size, which is no table"):
        read_sky_catalog(tmp_path / "c.csv.gz")


def test_a_fits_table_that_promises_more_rows_than_there_are(tmp_path):
    Table({"ra": RA, "dec": DEC}).write(tmp_path / "c.fits")
    content = (tmp_path / "c.fits").read_bytes()
    rows = f"NAXIS2  = {len(RA):20}".encode()
    assert rows in content
    (tmp_path / "c.fits").write_bytes(content.replace(rows, f"NAXIS2  = {2**31:20}".encode()))
    with pytest.raises(UserTableError, match="has more rows by its header than are in the file"):
        read_sky_catalog(tmp_path / "c.fits")
