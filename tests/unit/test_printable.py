"""What is written to a terminal does nothing to it."""

from hypothesis import given
from hypothesis import strategies as st

from calflow.configuration.problems import Problem
from calflow.printable import has_controls, printable


@given(st.text())
def test_nothing_is_left_that_a_terminal_acts_upon(text):
    assert printable(text).isprintable()
    assert has_controls(printable(text)) is False
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])))
def test_what_can_be_shown_stays(text):
    assert printable(text) == text


def test_what_is_escaped():
    assert printable("a\x1b[31m\n\x9b\udcff") == r"a\x1b[31m\n\x9b\udcff"
    assert printable("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"
    assert str(Problem("a\x07_rate.fits", "K\x1b", "is\rwrong")) == r"a\x07_rate.fits: K\x1b: is\rwrong"
