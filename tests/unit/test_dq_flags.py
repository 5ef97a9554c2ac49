import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science import dq_flags
from calflow.science.dq_flags import FLAGS, bad_pixels, flag_value, remap_flags

BITS = [name for name in FLAGS if name != "GOOD"]
bits_32 = st.integers(0, 2**32 - 1)
flag_lists = st.lists(st.sampled_from(BITS), min_size=1, max_size=6)


def dq(*values):
    return np.array(values, np.uint32)


def test_the_table_has_one_name_for_each_of_the_32_bits():
    assert sorted(FLAGS.values()) == [0] + [1 << bit for bit in range(32)]


def test_standard_values():
    assert FLAGS["DO_NOT_USE"] == 1
    assert FLAGS["OUTLIER"] == 16
    assert FLAGS["NON_SCIENCE"] == 512
    assert FLAGS["NO_FLAT_FIELD"] == 262144
    assert FLAGS["REFERENCE_PIXEL"] == 2147483648
    assert dq_flags.NO_FLAT_FIELD.dtype == np.uint32


@pytest.mark.parametrize(("former", "now"), [("RESERVED_1", 16), ("UNDERSAMP", 128), ("UNRELIABLE_ERROR", 256)])
def test_former_names_have_the_bit_of_their_successor(former, now):
    assert flag_value(former) == now


def test_a_bit_with_two_meanings_has_two_names():
    assert dq_flags.CONCURRENT_SUBARRAY == flag_value("CONCURRENT_SUBARRAY") == FLAGS["OUTLIER"]
    assert dq_flags.CONCURRENT_SUBARRAY.dtype == np.uint32
    assert bad_pixels(dq(16, 1), "~CONCURRENT_SUBARRAY").tolist() == [True, False]


def test_flag_names_may_be_padded_and_lower_case():
    assert flag_value(" do_not_use ") == 1


def test_unknown_flag_name_is_a_key_error():
    with pytest.raises(KeyError):
        flag_value("DO_NOT_USSE")


def test_listed_bits_are_ignored_and_others_are_bad():
    assert bad_pixels(dq(0, 1, 2, 4, 5, 8), "1+4").tolist() == [False, False, True, False, False, True]


def test_tilde_makes_only_the_listed_bits_bad():
    assert bad_pixels(dq(0, 1, 2, 512, 514), "~DO_NOT_USE+NON_SCIENCE").tolist() == [
        False,
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "expression", ["~1+512", "~1,512", "~1|512", "~(DO_NOT_USE + 512)", "~ do_not_use,NON_SCIENCE"]
)
def test_notations_of_one_mask(expression):
    assert bad_pixels(dq(0, 1, 2, 512), expression).tolist() == [False, True, False, True]


@pytest.mark.parametrize("expression", [None, "~0", "", "None", "INDEF", -1, "~GOOD"])
def test_flags_are_not_looked_at(expression):
    assert not bad_pixels(dq(0, 1, 2**32 - 1), expression).any()


@pytest.mark.parametrize("expression", [0, "0", "GOOD"])
def test_zero_makes_every_flag_bad(expression):
    assert bad_pixels(dq(0, 1, 2**31), expression).tolist() == [False, True, True]


def test_negative_number_is_the_inverted_mask():
    assert bad_pixels(dq(0, 1, 2, 3), ~1).tolist() == bad_pixels(dq(0, 1, 2, 3), "~1").tolist()


@pytest.mark.parametrize(
    "expression",
    ["~", "~~HOT", "DO_NOT_USE+HOTT", "1++2", "~DO_NOT_USE+~HOT", "1.5", "~4294967296", 2**32, "²"],
)
def test_expressions_that_mean_nothing_are_refused(expression):
    with pytest.raises(ValueError, match=r"is no data quality flag|more than the 32 bits"):
        bad_pixels(dq(0), expression)


def test_the_shape_is_that_of_the_flags():
    assert bad_pixels(np.zeros((2, 3, 4), np.uint32), None).shape == (2, 3, 4)
    assert bad_pixels(np.zeros((2, 3, 4), np.uint32), "HOT").shape == (2, 3, 4)


@given(bits_32, flag_lists)
def test_an_expression_and_its_inverse_share_out_the_flags(value, names):
    listed = sum({FLAGS[name] for name in names})
    expression = "+".join(names)
    assert bool(bad_pixels(dq(value), "~" + expression)[0]) == bool(value & listed)
    assert bool(bad_pixels(dq(value), expression)[0]) == bool(value & ~listed)


@given(bits_32, bits_32)
def test_numbers_mean_what_their_names_mean(value, mask):
    names = "+".join(name for name in BITS if FLAGS[name] & mask) or "GOOD"
    for tilde in ("", "~"):
        assert bad_pixels(dq(value), f"{tilde}{mask}") == bad_pixels(dq(value), tilde + names)


@given(bits_32, bits_32)
def test_a_number_and_its_text_are_the_same(value, mask):
    assert bad_pixels(dq(value), mask) == bad_pixels(dq(value), str(mask))


def test_remap_is_by_name():
    own = np.array([[0, 1, 2], [3, 4, 8]], np.uint8)
    definitions = {1: "DO_NOT_USE", 2: "NO_FLAT_FIELD", 4: "UNRELIABLE_FLAT", 8: "NON_SCIENCE"}
    out = remap_flags(own, definitions)
    assert out.dtype == np.uint32
    assert out.tolist() == [[0, 1, 262144], [262145, 33554432, 512]]


def test_remap_knows_former_names_and_leaves_out_unknown_ones():
    assert remap_flags(dq(1, 2, 4), {1: "UNDERSAMP", 2: "ODD_COLUMN"}).tolist() == [128, 0, 0]


def test_remap_takes_a_definition_table_longer_than_the_plane_is_wide():
    assert remap_flags(np.array([1], np.uint8), {1: "HOT", 1 << 20: "NO_LIN_CORR"}).tolist() == [2048]


def test_remap_reads_the_sign_bit_of_signed_planes():
    definitions = {1 << 31: "REFERENCE_PIXEL", 1 << 15: "HOT"}
    assert remap_flags(np.array([-(2**31)], np.int32), definitions).tolist() == [2**31]
    assert remap_flags(np.array([-(2**15), 0], np.int16), definitions).tolist() == [2048, 0]


def test_remap_leaves_the_input_alone():
    own = dq(1, 2)
    remap_flags(own, {1: "HOT", 2: "DO_NOT_USE"})
    assert own.tolist() == [1, 2]


@given(st.lists(bits_32, min_size=1, max_size=8))
def test_remap_with_the_standard_table_changes_nothing(values):
    assert remap_flags(dq(*values), {bit: name for name, bit in FLAGS.items()}).tolist() == values


@given(st.lists(bits_32, min_size=1, max_size=8), st.permutations(BITS))
def test_remap_by_a_permuted_table_can_be_undone(values, order):
    standard = remap_flags(dq(*values), {1 << bit: name for bit, name in enumerate(order)})
    place = {name: bit for bit, name in enumerate(order)}
    back = remap_flags(standard, {FLAGS[name]: BITS[place[name]] for name in BITS})
    assert back.tolist() == values
