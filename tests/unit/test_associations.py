"""Reading of associations: what is used of them, and how their defects are told."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.configuration.problems import Problems
from calflow.inputs.associations import Association, expand, read_association, single_exposure
from calflow.inputs.input_folder import InputFolder

REAL = Path(__file__).parents[3] / "shared" / "realdata" / "asn"


def member(expname, exptype="science", **more):
    return {"expname": expname, "exptype": exptype, **more}


def product(name, *members):
    return {"name": name, "members": list(members)}


def level2(*products, **more):
    return {"asn_type": "image2", "asn_id": "o001", "asn_pool": "pool", "products": list(products), **more}


@pytest.fixture
def read(tmp_path):
    """Write a tree (or text) as an association beside a_rate, b_rate, c_rate and read it."""

    def read(tree, input_directory=None):
        for name in "abc":
            (tmp_path / f"{name}_rate.fits").touch()
        path = tmp_path / "x_asn.json"
        if isinstance(tree, bytes):
            path.write_bytes(tree)
        else:
            path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        problems = Problems()
        association = read_association(path, input_directory and InputFolder(input_directory), problems)
        assert all(problem.file == str(path) for problem in problems)
        return association, [(problem.key, problem.wrong, problem.right) for problem in problems]

    return read


@pytest.fixture
def refuse(read):
    """Read a tree that has exactly one problem and return its key, what is wrong and what would be right."""

    def refuse(tree, input_directory=None):
        association, problems = read(tree, input_directory)
        assert len(problems) == 1, problems
        assert association is None or association.products == ()
        return problems[0]

    return refuse


# What is read ----------------------------------------------------------------------------------------


def test_level_2_association(read, tmp_path):
    tree = level2(product("a_rate", member("a_rate.fits"), member("b_rate.fits", "background")))
    association, problems = read(tree)
    assert not problems
    assert (association.level, association.pool, association.table) == (2, "pool", "x_asn.json")
    assert (association.asn_id, association.asn_type) == ("o001", "image2")
    (only,) = association.products
    assert (only.name, only.root, only.key) == ("a_rate", "a", "products[0]")
    assert only.science.path == tmp_path / "a_rate.fits"
    assert [background.path for background in only.backgrounds] == [tmp_path / "b_rate.fits"]
    assert only.backgrounds[0].key == "products[0].members[1]"


def test_all_products_are_read_in_order(read):
    tree = level2(*(product(name, member(f"{name}_rate.fits")) for name in "cab"))
    association, _ = read(tree)
    assert [product.root for product in association.products] == ["c", "a", "b"]


def test_exptypes_are_compared_in_lower_case(read):
    tree = level2(product("a", member("a_rate.fits", "SCIENCE"), member("b_rate.fits", "Background")))
    association, problems = read(tree)
    assert not problems
    assert len(association.products[0].backgrounds) == 1


def test_known_types_without_use_are_ignored_and_named(read):
    tree = level2(product("a", member("a_rate.fits"), member("z_cal.fits", "psf")))
    association, problems = read(tree)
    assert not problems
    assert [ignored.expname for ignored in association.ignored] == ["z_cal.fits"]
    assert len(association.products[0].members) == 1


def test_pool_is_none_and_id_absent_by_default(read):
    association, _ = read({"asn_type": "image2", "products": [product("a", member("a_rate.fits"))]})
    assert (association.pool, association.asn_id) == ("none", None)


def test_byte_order_mark_is_no_defect(read):
    text = json.dumps(level2(product("a", member("a_rate.fits"))))
    association, problems = read(b"\xef\xbb\xbf" + text.encode())
    assert not problems
    assert association.level == 2


@pytest.mark.parametrize(
    ("keys", "suffix", "level"),
    [
        ({"asn_type": "image2"}, "", 2),
        ({"asn_type": "tso-image2"}, "", 2),
        ({"asn_type": "WFS-image2"}, "", 2),
        ({"asn_type": "image3"}, "", 3),
        ({"asn_rule": "Asn_Lv2ImageTSO"}, "", 2),
        ({"asn_rule": "Asn_Lv3Image"}, "", 3),
        ({"asn_type": "None", "asn_rule": "DMSLevel2bBase"}, "", 2),
        ({"asn_type": "None", "asn_rule": "DMS_Level3_Base"}, "", 3),
        ({"asn_type": "None", "asn_rule": "Asn_Lv2ImageSpecial"}, "", 2),
        ({"asn_type": None, "asn_rule": "Asn_Lv3NRCCoronImage"}, "_cal", 3),
        ({"asn_type": "user_built"}, "_rate", 2),
        ({"asn_type": " NONE "}, "_cal", 3),
        ({"asn_type": "null", "asn_rule": None}, "_cal", 3),
        ({}, "_rateints", 2),
        ({}, "_cal", 3),
    ],
)
def test_level_from_type_then_rule_then_suffix(read, tmp_path, keys, suffix, level):
    (tmp_path / f"e{suffix}.fits").touch()
    association, problems = read({**keys, "products": [product("p", member(f"e{suffix}.fits"))]})
    assert not problems
    assert association.level == level
    assert association.left_out == ""


def test_member_is_looked_for_beside_the_association_first(read, tmp_path):
    elsewhere = tmp_path / "exposures"
    elsewhere.mkdir()
    (elsewhere / "JWST" / "y").mkdir(parents=True)  # as the archive delivers them
    for name in ("a_rate.fits", "z_rate.fits", "JWST/y/y_rate.fits", "JWST/y/z_rate.fits"):
        (elsewhere / name).touch()
    tree = level2(*(product(name, member(f"{name}_rate.fits")) for name in "azy"))
    association, problems = read(tree, elsewhere)
    assert not problems
    paths = [product.science.path for product in association.products]
    assert paths == [tmp_path / "a_rate.fits", elsewhere / "z_rate.fits", elsewhere / "JWST/y/y_rate.fits"]


@pytest.mark.parametrize(
    ("there", "named", "found"),
    [
        ("z_rate.fits.gz", "z_rate.fits", "z_rate.fits.gz"),
        ("z_rate.fits", "z_rate.fits.gz", "z_rate.fits"),
        ("z_rate.fits z_rate.fits.gz", "z_rate.fits", "z_rate.fits"),
        ("z_rate.fits z_rate.fits.gz", "z_rate.fits.gz", "z_rate.fits.gz"),
        ("z_rate.fits.gz far/z_rate.fits", "z_rate.fits", "far/z_rate.fits"),
        ("far/z_rate.fits.gz", "z_rate.fits", "far/z_rate.fits.gz"),
    ],
)
def test_a_member_may_be_packed(read, tmp_path, there, named, found):
    (tmp_path / "far").mkdir()
    for name in there.split():
        (tmp_path / name).touch()
    association, problems = read(level2(product("z", member(named))), tmp_path / "far")
    assert not problems
    (made,) = association.products
    assert made.science.path == tmp_path / found
    assert made.root == "z"


def test_absolute_member(read, tmp_path):
    folder = tmp_path / "far away"
    folder.mkdir()
    path = folder / "z_rate.fits"
    path.touch()
    association, _ = read(level2(product("z", member(str(path)))))
    assert association.products[0].science.path == path


def test_member_in_a_sub_folder_has_one_spelling(read, tmp_path):
    (tmp_path / "s").mkdir()
    association, _ = read(level2(product("a", member("./s/../a_rate.fits"))))
    assert association.products[0].science.path == tmp_path / "a_rate.fits"


def test_level_3_members_need_not_exist(read, tmp_path):
    tree = {
        "asn_type": "image3",
        "products": [product("m", member("y_cal.fits", group_id=7), member("z_cal.fits", tweakreg_catalog="z.ecsv"))],
    }
    association, problems = read(tree)
    assert not problems
    first, second = association.products[0].sciences
    assert (first.path, first.group_id) == (tmp_path / "y_cal.fits", "7")
    assert second.tweakreg_catalog == tmp_path / "z.ecsv"


@pytest.mark.parametrize("name", [{}, {"name": None}])
def test_level_3_without_name_is_named_after_the_file(read, name):
    association, problems = read({"asn_type": "image3", "products": [name | {"members": [member("y_cal.fits")]}]})
    assert not problems
    assert association.products[0].root == "x_asn"


def test_background_members_of_level_3_are_ignored(read):
    tree = {"asn_type": "image3", "products": [product("m", member("y_cal.fits"), member("b", "background"))]}
    association, problems = read(tree)
    assert not problems
    assert len(association.products[0].members) == 1


def test_a_bad_product_does_not_hide_the_others(read):
    tree = level2(product("a", member("a_rate.fits")), product("z", member("z_rate.fits")))
    association, problems = read(tree)
    assert [product.root for product in association.products] == ["a"]
    assert [key for key, _, _ in problems] == ["products[1].members[0].expname"]


# What is refused -------------------------------------------------------------------------------------


def test_missing_association(tmp_path):
    problems = Problems()
    assert read_association(tmp_path / "no_asn.json", None, problems) is None
    assert [problem.wrong for problem in problems] == ["no such file"]


def test_folder_as_association(tmp_path):
    problems = Problems()
    assert read_association(tmp_path, None, problems) is None
    assert [problem.wrong for problem in problems] == ["a folder"]


def test_trailing_comma_is_told_with_line_and_column(refuse):
    _, wrong, _ = refuse('{"products": [\n  {"name": "a",}\n]}')
    assert "not JSON" in wrong
    assert "line 2, column 1" in wrong


def test_yaml_is_not_taken_for_json(refuse):
    _, wrong, _ = refuse("products:\n- name: a\n")
    assert "not JSON" in wrong


def test_binary_file(refuse):
    _, wrong, _ = refuse(b"SIMPLE\xff\xfe")
    assert "not UTF-8 text (byte 6)" in wrong


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]", "a list, not an object"),
        ('"x"', "a string, not an object"),
        ("null", "null, not an object"),
        ("3", "a number, not an object"),
        ("", "empty"),
        ("\n ", "empty"),
        ("BZh91AY", "compressed with bzip2"),
        ("SIMPLE  =                    T", "a FITS file"),
        ("#ASDF 1.0.0", "an ASDF file"),
        ('{"products": NaN}', "NaN"),
        ('{"products": [], "products": []}', "'products' stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"products": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_other_content(refuse, text, word):
    assert word in refuse(text)[1]


@pytest.mark.parametrize(
    ("tree", "key", "word"),
    [
        ({"asn_type": "image2"}, "products", "missing"),
        ({"asn_type": "image2", "products": {}}, "products", "is an object"),
        ({"asn_type": "image2", "products": []}, "products", "empty"),
        (level2(3), "products[0]", "is a number"),
        (level2({"name": "a"}), "products[0].members", "missing"),
        (level2({"name": "a", "members": []}), "products[0].members", "empty"),
        (level2({"name": "a", "members": "a_rate.fits"}), "products[0].members", "is a string"),
        (level2({"members": [member("a_rate.fits")]}), "products[0].name", "missing"),
        (level2({"name": 5, "members": [member("a_rate.fits")]}), "products[0].name", "is a number"),
        (level2(product("a", {"exptype": "science"})), "products[0].members[0].expname", "missing"),
        (level2(product("a", {"expname": "a_rate.fits"})), "products[0].members[0].exptype", "missing"),
        (level2(product("a", member(["a"]))), "products[0].members[0].expname", "is a list"),
        (level2(product("a", member("a_rate.fits"), None)), "products[0].members[1]", "is null"),
        (level2(product("a", member("a_rate.fits")), asn_id=1), "asn_id", "is a number"),
    ],
)
def test_schema(read, tree, key, word):
    _, problems = read(tree)
    # a member that cannot be read may leave its product without science, which is told as well
    told = {found: wrong for found, wrong, _ in problems}
    assert word in told[key]


def test_unknown_exptype_with_the_nearest(refuse):
    key, wrong, right = refuse(level2(product("a", member("a_rate.fits", "sience"))))
    assert key == "products[0].members[0].exptype"
    assert "'sience'" in wrong
    assert "'science'" in right


def test_missing_member_names_both_places(refuse, tmp_path):
    key, wrong, _ = refuse(level2(product("z", member("z_rate.fits"))), tmp_path / "exposures")
    assert key == "products[0].members[0].expname"
    assert str(tmp_path / "z_rate.fits") in wrong
    assert str(tmp_path / "exposures" / "z_rate.fits") in wrong


def test_missing_background_member(refuse):
    tree = level2(product("a", member("a_rate.fits"), member("z_rate.fits", "background")))
    assert refuse(tree)[0] == "products[0].members[1].expname"


def test_no_science_member(refuse):
    key, wrong, _ = refuse(level2(product("a", member("b_rate.fits", "background"))))
    assert (key, wrong) == ("products[0].members", "no science member")


def test_several_science_members(refuse):
    key, wrong, _ = refuse(level2(product("a", member("a_rate.fits"), member("b_rate.fits"))))
    assert key == "products[0].members"
    assert "2 science members ('a_rate.fits', 'b_rate.fits')" in wrong


@pytest.mark.parametrize("again", ["b_rate.fits", "./b_rate.fits", "x/../b_rate.fits"])
def test_duplicate_member_in_any_spelling(refuse, again):
    tree = level2(product("a", member("a_rate.fits"), member("b_rate.fits", "background"), member(again, "background")))
    key, wrong, _ = refuse(tree)
    assert key == "products[0].members[2].expname"
    assert "already products[0].members[1].expname" in wrong


def test_a_file_counts_once_packed_or_not(refuse, tmp_path):
    (tmp_path / "a_rate.fits.gz").touch()
    tree = level2(product("a", member("a_rate.fits"), member("a_rate.fits.gz", "background")))
    key, wrong, _ = refuse(tree)
    assert key == "products[0].members[1].expname"
    assert "already products[0].members[0].expname" in wrong


def test_science_as_its_own_background(refuse):
    tree = level2(product("a", member("a_rate.fits"), member("a_rate.fits", "background")))
    assert refuse(tree)[0] == "products[0].members[1].expname"


@pytest.mark.parametrize("second", ["p", "p_rate", "p_cal.fits"])
def test_duplicate_product(read, second):
    tree = level2(product("p", member("a_rate.fits")), product(second, member("b_rate.fits")))
    _, problems = read(tree)
    ((key, wrong, _),) = problems
    assert key == "products[1].name"
    assert "already the name of products[0]" in wrong


@pytest.mark.parametrize(
    "name", ["../../etc/x", "/a/../b", "a/..", "a/", "a/.b", "a\\b", "", "a{b}", "a\nb", "-a", "/a/-b", "x" * 201]
)
def test_unsafe_product_name(refuse, name):
    assert refuse(level2(product(name, member("a_rate.fits"))))[0] == "products[0].name"


@pytest.mark.parametrize(
    "name", ["/data/my run/a_rate", "/data/a_rate.fits", "./a", "//a_rate", "deep/" * 60 + "a_rate", "~/{x}/a"]
)
@pytest.mark.parametrize("level", [2, 3])
def test_of_a_path_as_product_name_the_last_component_counts(read, name, level):
    suffix = {2: "rate", 3: "cal"}[level]
    tree = {"asn_type": f"image{level}", "products": [product(name, member(f"a_{suffix}.fits"))]}
    association, problems = read(tree)
    assert not problems
    assert association.products[0].root == "a"
    assert "/" not in association.products[0].name


def test_paths_with_one_last_component_are_one_name(read):
    _, problems = read(level2(product("x/a_rate", member("a_rate.fits")), product("y/a", member("b_rate.fits"))))
    ((key, wrong, _),) = problems
    assert key == "products[1].name"
    assert "already the name of products[0] ('a_rate', both make 'a')" in wrong


def test_unsafe_id(read):
    _, problems = read(level2(product("a", member("a_rate.fits")), asn_id="../o001"))
    ((key, wrong, _),) = problems
    assert key == "asn_id"
    assert "path separator" in wrong


@pytest.mark.parametrize("expname", ["a\0_rate.fits", "a\n_rate.fits", "a\ud800_rate.fits", " "])
def test_unsafe_member_name(refuse, expname):
    assert refuse(level2(product("a", member(expname))))[0] == "products[0].members[0].expname"


def test_overlong_member_name_is_a_missing_file(refuse):
    assert "no such file" in refuse(level2(product("a", member("a" * 5000 + "_rate.fits"))))[1]


@pytest.mark.parametrize(
    ("name", "word"), [("a_cal.fits", "already calibrated"), ("a_uncal.fits", "not a count-rate exposure")]
)
def test_wrong_suffix_at_level_2(refuse, name, word):
    key, wrong, right = refuse(level2(product("a", member(name))))
    assert key == "products[0].members[0].expname"
    assert word in wrong
    assert right == "stage 2 takes _rate or _rateints"


def test_semicolon_in_a_name_stays_there(refuse):
    _, wrong, right = refuse(level2(product("a", member("a; b_cal.fits"))))
    assert wrong == "'a; b_cal.fits' is already calibrated (_cal)"
    assert right == "stage 2 takes _rate or _rateints"
    _, wrong, right = refuse(level2(product("a; b", member("a_rate.fits"))))
    assert wrong == "the name 'a; b' holds ';'"
    assert right.startswith("ASCII letters")


def test_rate_at_level_3(refuse):
    _, wrong, right = refuse({"asn_type": "image3", "products": [product("m", member("a_rate.fits"))]})
    assert "not a calibrated exposure (_rate)" in wrong
    assert right == "stage 3 takes _cal, which stage 2 makes of it"


@pytest.mark.parametrize(
    ("keys", "level", "why"),
    [
        ({"asn_type": "coron3"}, 3, "asn_type 'coron3' is coronagraphy"),
        ({"asn_type": "Tso3"}, 3, "asn_type 'Tso3' is time series"),
        ({"asn_type": "ami3"}, 3, "asn_type 'ami3' is aperture masking interferometry"),
        ({"asn_type": "wfs-image3"}, 3, "asn_type 'wfs-image3' is wavefront sensing"),
        ({"asn_type": "spec2"}, 2, "asn_type 'spec2' is spectroscopy"),
        ({"asn_type": "nrslamp-spec2"}, 2, "asn_type 'nrslamp-spec2' is spectroscopy"),
        ({"asn_type": "wfss"}, 3, "asn_type 'wfss' is spectroscopy"),
        ({"asn_type": "None", "asn_rule": "Asn_Lv3MIRCoron"}, 3, "asn_rule 'Asn_Lv3MIRCoron' is coronagraphy"),
        ({"asn_rule": "candidate_Asn_Lv3AMI"}, 3, "asn_rule 'candidate_Asn_Lv3AMI' is aperture masking interferometry"),
        ({"asn_type": None, "asn_rule": "Asn_Lv2SpecSpecial"}, 2, "asn_rule 'Asn_Lv2SpecSpecial' is spectroscopy"),
        ({"asn_rule": "Asn_Lv3NRSFSS"}, 3, "asn_rule 'Asn_Lv3NRSFSS' is spectroscopy"),
        ({"asn_rule": "DMS_Level3_Base"}, 3, "its exposures have integrations"),
    ],
)
def test_what_is_not_done_is_left_out_by_type_then_rule_then_members(read, keys, level, why):
    association, problems = read({**keys, "products": [product("p", member("e_calints.fits"))]})
    assert not problems
    assert association.level == level
    assert association.left_out.startswith(why)


@pytest.mark.parametrize(
    ("asn_type", "hint"),
    [
        ("imag3", "did you mean 'image3'?"),
        ("image33", "did you mean 'image3'?"),
        ("imagé2", "did you mean 'image2'?"),
        ("coron", "did you mean 'coron3'?"),
        ("x", "known are ami3, coron3"),
    ],
)
@pytest.mark.parametrize("rule", ["Asn_Lv3Image", "DMSLevel2bBase", None])
def test_unknown_type_with_the_nearest(refuse, asn_type, hint, rule):
    tree = {"asn_type": asn_type, "asn_rule": rule, "products": [product("a", member("a_rate.fits"))]}
    key, wrong, right = refuse(tree)
    assert (key, wrong) == ("asn_type", f"{asn_type!r} is no type of association")
    assert right.startswith(hint)


def test_level_that_cannot_be_told(refuse):
    members = product("a", member("a_rate.fits")), product("b", member("b_cal.fits"))
    key, wrong, right = refuse({"products": list(members)})
    assert key == "asn_type"
    assert "both levels" in wrong
    assert "'image2'" in right


def test_all_problems_at_once(read):
    tree = level2(
        product("../b", member("z_rate.fits"), member("y_rate.fits", "background")),
        product("c", member("c_cal.fits")),
    )
    _, problems = read(tree)
    assert [key for key, _, _ in problems] == [
        "products[0].name",
        "products[1].members[0].expname",
        "products",
    ]


# Any content ----------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    "products name members expname exptype asn_type asn_rule asn_id asn_pool group_id tweakreg_catalog".split()
)
WORDS = st.sampled_from(["science", "background", "a_rate.fits", "a_cal.fits", "image2", "image3", "../x"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | WORDS
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=25,
)
MEMBERS = st.lists(st.fixed_dictionaries({"expname": WORDS | st.text(), "exptype": WORDS}) | TREES, max_size=3)
PRODUCTS = st.lists(st.fixed_dictionaries({"name": WORDS | st.text(), "members": MEMBERS}) | TREES, max_size=3)
ASSOCIATIONS = TREES | st.fixed_dictionaries({"products": PRODUCTS}, optional={"asn_type": WORDS})


def read_anything(path, content):
    path.write_bytes(content)
    problems = Problems()
    association = read_association(path, InputFolder(path.parent), problems)
    assert problems or isinstance(association, Association)
    assert all(str(problem).encode(errors="replace") for problem in problems)
    for found in association.products if association else ():
        assert "/" not in found.root
        assert found.sciences


@settings(max_examples=300, deadline=None)
@given(ASSOCIATIONS)
def test_any_json_is_read_or_refused(tmp_path_factory, tree):
    read_anything(tmp_path_factory.getbasetemp() / "any_asn.json", json.dumps(tree).encode())


@settings(max_examples=200, deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    read_anything(tmp_path_factory.getbasetemp() / "any_asn.json", content)


# Single exposures and lists of files -----------------------------------------------------------------


def test_single_exposure(tmp_path):
    problems = Problems()
    association = single_exposure(tmp_path / "jw1_nrca1_rateints.fits", problems)
    assert not problems
    assert (association.level, association.pool, association.table) == (2, "singleton", "singleton")
    assert association.products[0].root == "jw1_nrca1"
    assert association.products[0].science.path == tmp_path / "jw1_nrca1_rateints.fits"
    assert association.products[0].backgrounds == ()


@pytest.mark.parametrize(("name", "word"), [("x_i2d.fits", "not a count-rate exposure"), ("x{1}_rate.fits", "'{'")])
def test_single_exposure_that_is_refused(tmp_path, name, word):
    problems = Problems()
    assert single_exposure(tmp_path / name, problems) is None
    assert word in problems[0].wrong


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("b.json", "a.json", "s/c.json", "x[1].json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()


def expand_cleanly(*patterns):
    problems = Problems()
    files = [str(path) for path in expand(list(patterns), "associations", problems)]
    assert not problems
    return files


def test_files_keep_their_order_and_globs_are_sorted(folder):
    assert expand_cleanly("s/c.json", "?.json") == ["s/c.json", "a.json", "b.json"]


def test_each_file_once(folder):
    assert expand_cleanly("b.json", "?.json", "./b.json") == ["b.json", "a.json"]


def test_recursive_glob(folder):
    assert expand_cleanly("**/c.json") == ["s/c.json"]


def test_file_that_looks_like_a_glob(folder):
    assert expand_cleanly("x[1].json") == ["x[1].json"]


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("no.json", "no such file 'no.json'"),
        ("no*.json", "no file matches 'no*.json'"),
        ("s", "'s' is a folder"),
        ("", "not a path"),
        ("a\0", "not a path"),
        (3, "not a path"),
    ],
)
def test_entry_that_is_no_file(folder, pattern, word):
    problems = Problems()
    assert [str(path) for path in expand(["a.json", pattern], "associations", problems)] == ["a.json"]
    (problem,) = problems
    assert problem.key == "associations[1]"
    assert word in problem.wrong


def test_many_files_that_are_not_there_are_one_problem(folder):
    problems = Problems()
    lost = [f"{number}_rate.fits" for number in range(6)]
    assert expand([*lost, "a.json", "s"], "exposures", problems) == [Path("a.json")]
    several, is_folder = sorted(problems)
    assert several.key == "exposures"
    named = "'0_rate.fits', '1_rate.fits', '2_rate.fits', '3_rate.fits' and 2 more"
    assert several.wrong == f"6 of its 8 files are not there: {named}"
    assert several.right.startswith("relative paths are taken from")
    assert is_folder.key == "exposures[7]"


# Real files ------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the folder of real files")
class TestRealFiles:
    def read(self, name):
        problems = Problems()
        return read_association(REAL / name, None, problems), problems

    def test_level_2_members_are_missed_together(self):
        _, (problem,) = self.read("asn_level2.json")
        assert problem.wrong.startswith("none of its 6 exposures is in")

    def test_bad_path(self):
        _, problems = self.read("asn_level2_bad_path.json")
        assert f"in {str(REAL / 'data')!r}" in problems[0].wrong

    def test_level_2_with_members_in_place(self, tmp_path):
        (tmp_path / "asn.json").write_text((REAL / "asn_level2.json").read_text())
        for name in ("lrs1", "lrs2", "lrs3", "lrs4", "lrs3bkg", "lrs4bkg"):
            (tmp_path / f"test_{name}_rate.fits").touch()
        problems = Problems()
        association = read_association(tmp_path / "asn.json", None, problems)
        assert not problems
        assert [product.root for product in association.products[:2]] == ["test_lrs1", "test_lrs2"]
        assert len(association.products[4].backgrounds) == 1

    def test_mosaic(self):
        association, problems = self.read("asn_mosaic.json")
        assert not problems
        assert association.level == 3
        assert association.products[0].root == "jw96090_t001_nircam_f150w2_mosaic"
        assert len(association.products[0].sciences) == 32

    def test_image3_of_an_old_generator(self):
        association, problems = self.read("test_image_asn.json")
        assert not problems
        assert association.level == 3
        assert len(association.products[0].sciences) == 72
