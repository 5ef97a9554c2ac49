"""The header of a combined image: what all inputs tell together, and the first input for the rest."""

import pytest
from astropy.io import fits

from calflow.files.blended_headers import blend_headers, exposure_times


def headers_of(primary=None, science=None):
    return fits.Header(primary or {}), fits.Header(science or {})


def blended(keyword, values, groups=None):
    """Return a keyword of the combination of inputs that have these values of it; None: not at all."""
    inputs = [headers_of({} if value is None else {keyword: value}) for value in values]
    return blend_headers(inputs, groups or range(len(values)))["PRIMARY"].get(keyword)


@pytest.mark.parametrize(
    ("keyword", "values", "expected"),
    [
        ("DATE-BEG", ["2023-03-12T07:49:26.340", "2023-03-12T07:47:13.140"], "2023-03-12T07:47:13.140"),
        ("EXPSTART", [60015.5, 60015.25, 60016.0], 60015.25),
        ("INTSTART", [3, 1, 2], 1),
        ("DATE-END", ["2023-03-12T23:59:00", "2023-03-13T00:01:00"], "2023-03-13T00:01:00"),
        ("MJD-END", [60015.5, 60015.75], 60015.75),
        ("FWPOSOFF", [-0.5, 0.125], 0.125),
        ("EXPMID", [60015.0, 60016.0, 60019.0, 60020.0], 60017.5),
        ("DETECTOR", ["NRCB1", "NRCB2"], "MULTIPLE"),
        ("FILTER", ["F200W", "F200W"], "F200W"),
        ("FWPOSTOL", ["within commanded tolerance", "outside calibration tolerance"], "outside calibration tolerance"),
        ("PWPOSTOL", ["within commanded tolerance"] * 2, "within commanded tolerance"),
        ("PUPIL", ["CLEAR", "F162M"], "CLEAR"),
        ("PATT_NUM", [3, 1], 3),
    ],
)
def test_a_keyword_follows_its_rule(keyword, values, expected):
    assert blended(keyword, values) == expected


@pytest.mark.parametrize(
    ("keyword", "values", "expected"),
    [
        ("MJD-BEG", [None, 60015.5, 60015.25], 60015.25),
        ("MJD-AVG", [60000.0, None, 60001.0], 60000.5),
        ("BAND", [None, "SHORT", None], "SHORT"),
        ("BAND", [None, "SHORT", "LONG"], "MULTIPLE"),
        ("INTEND", [fits.card.UNDEFINED, 4], 4),
        ("SUBCAT", [None, "X"], None),
    ],
)
def test_inputs_without_a_keyword_do_not_count(keyword, values, expected):
    assert blended(keyword, values) == expected


def test_what_extra_steps_changed_adds_up_and_was_applied_if_it_was_to_any():
    inputs = [
        headers_of({"S_MASK_R": "SKIPPED", "N_MASK_R": 0}),
        headers_of({"S_MASK_R": "COMPLETE", "N_MASK_R": 40}),
        headers_of(),
        headers_of({"S_MASK_R": "COMPLETE", "N_MASK_R": 2}),
    ]
    primary = blend_headers(inputs, range(4))["PRIMARY"]
    assert (primary["S_MASK_R"], primary["N_MASK_R"]) == ("COMPLETE", 42)
    none = blend_headers(inputs[:1] * 2, range(2))["PRIMARY"]
    assert (none["S_MASK_R"], none["N_MASK_R"]) == ("SKIPPED", 0)


@pytest.mark.parametrize("other", [{"N_FRIEND": "two"}, {"N_FRIEND": 2}, {"N_FRIEND": 2.5, "S_FRIEND": "good"}])
def test_keywords_of_others_that_look_like_those_of_extra_steps_stay(other):
    primary = blend_headers([headers_of(other), headers_of(other)], range(2))["PRIMARY"]
    assert {name: primary[name] for name in other} == other


def test_the_time_of_day_belongs_to_the_first_day():
    starts = [("2023-03-13", "00:05:00.000"), ("2023-03-12", "23:50:00.000"), ("2023-03-12", "23:58:00.000")]
    inputs = [headers_of({"DATE-OBS": date, "TIME-OBS": time}) for date, time in starts]
    primary = blend_headers(inputs, range(3))["PRIMARY"]
    assert (primary["DATE-OBS"], primary["TIME-OBS"]) == starts[1]


def test_the_first_header_stays_with_its_comments_and_headings():
    first = headers_of({"TARGNAME": "M 1"}, {"BUNIT": "MJy/sr"})
    first[0].set("EXPSTART", 60016.0, "[d] exposure start time in MJD")
    first[0].add_blank("Target information", before="TARGNAME")
    second = headers_of({"TARGNAME": "M 2", "EXPSTART": 60015.0})
    result = blend_headers([first, second], [1, 2])
    assert result["PRIMARY"].tostring().startswith(" " * 8 + "Target information")
    assert tuple(result["PRIMARY"].cards["EXPSTART"]) == ("EXPSTART", 60015.0, "[d] exposure start time in MJD")
    assert result["PRIMARY"]["TARGNAME"] == "M 1"
    assert result["SCI"] == first[1]
    assert first[0]["EXPSTART"] == 60016.0  # the input is not changed


def test_a_keyword_of_a_later_input_keeps_its_comment_and_extension():
    second = headers_of()
    second[1].set("EXPMID", 60015.5, "[d] middle")
    result = blend_headers([headers_of(), second], [1, 2])
    assert tuple(result["SCI"].cards["EXPMID"]) == ("EXPMID", 60015.5, "[d] middle")
    assert "EXPMID" not in result["PRIMARY"]


def test_both_headers_get_a_value_that_both_have():
    inputs = [headers_of({"FILTER": name}, {"FILTER": name}) for name in ("F115W", "F200W")]
    result = blend_headers(inputs, [1, 2])
    assert result["PRIMARY"]["FILTER"] == result["SCI"]["FILTER"] == "MULTIPLE"


def test_an_exposure_counts_once_whatever_its_detectors():
    times = {"EFFEXPTM": 100.0, "TMEASURE": 90.0, "DURATION": 110.0}
    result = exposure_times([headers_of(times)] * 5, ["a", "b", "a", "b", "c"])
    assert result == {
        "NDRIZ": 3,
        "EFFEXPTM": 300.0,
        "TMEASURE": 270.0,
        "DURATION": 330.0,
        "XPOSURE": 300.0,
        "TELAPSE": 330.0,
    }


def test_the_times_are_recorded_where_they_belong():
    primary = fits.Header([("EFFEXPTM", 100.0, "mine"), ("DURATION", 110.0)])
    inputs = [(primary, fits.Header({"TELAPSE": 7.0}))] * 2
    result = blend_headers(inputs, [1, 2])
    assert tuple(result["PRIMARY"].cards["EFFEXPTM"]) == ("EFFEXPTM", 200.0, "mine")
    assert result["PRIMARY"]["DURATION"] == 220.0
    assert result["PRIMARY"]["NDRIZ"] == 2
    assert result["SCI"]["XPOSURE"] == 200.0
    assert result["SCI"].comments["XPOSURE"] == "[s] Effective exposure time"
    assert result["SCI"]["TELAPSE"] == 220.0
    assert "XPOSURE" not in result["PRIMARY"]


def test_any_detector_can_tell_the_time_of_its_exposure():
    inputs = [headers_of(), headers_of({"TMEASURE": 90.0}), headers_of({"TMEASURE": 10.0})]
    assert exposure_times(inputs, ["a", "a", "b"])["TMEASURE"] == 100.0


def test_a_sum_that_is_not_known_is_left_out():
    inputs = [headers_of({"TMEASURE": 90.0, "EFFEXPTM": 100.0}), headers_of({"EFFEXPTM": 100.0})]
    assert exposure_times(inputs, ["a", "b"]) == {"NDRIZ": 2, "EFFEXPTM": 200.0, "XPOSURE": 200.0}
    assert "TMEASURE" not in blend_headers(inputs, ["a", "b"])["PRIMARY"]


def test_xposure_alone_is_summed_too():
    assert exposure_times([headers_of({}, {"XPOSURE": 30})] * 2, [1, 2])["XPOSURE"] == 60.0


def test_the_sky_level_of_one_input_is_not_that_of_all():
    inputs = [headers_of({"BKGMETH": "match", "BKGLEVEL": 0.5, "BKGSUB": False})]
    result = blend_headers(inputs, [1])["PRIMARY"]
    assert result["BKGMETH"] == "match"
    assert "BKGLEVEL" not in result
    assert "BKGSUB" not in result


def test_one_input_keeps_its_values():
    values = {"EXPSTART": 60015.0, "EXPMID": 60015.5, "DETECTOR": "NRCB1", "EFFEXPTM": 12.5}
    result = blend_headers([headers_of(values)], [1])
    assert dict(result["PRIMARY"]) == values | {"NDRIZ": 1}
    assert dict(result["SCI"]) == {"XPOSURE": 12.5}


@pytest.mark.parametrize("keyword", ["EXPSTART", "EXPMID", "EFFEXPTM"])
def test_text_among_numbers_is_refused(keyword):
    with pytest.raises(ValueError, match=rf"^{keyword} cannot be combined.*'60015'"):
        blended(keyword, [60015.5, "60015"])


def test_no_input_and_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="at least one input"):
        blend_headers([], [])
    with pytest.raises(ValueError, match="2 inputs but 1 groups"):
        blend_headers([headers_of()] * 2, [1])
