"""What became of an extra step in several products."""

from types import SimpleNamespace

import pytest
from astropy.io import fits

from calflow.results.extra_steps import extra_steps_in
from calflow.science.cleaning.shipped import StepOfExposure

CLEANING = SimpleNamespace(steps=[StepOfExposure("wisps", "S_WISPS", "a:b")])


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["COMPLETE", "COMPLETE"], "COMPLETE"),
        (["SKIPPED", "COMPLETE"], "COMPLETE"),
        (["COMPLETE", "SKIPPED"], "COMPLETE"),
        (["SKIPPED", "SKIPPED"], "SKIPPED"),
        (["SKIPPED", None], "not made"),
        ([None, "COMPLETE"], "not made"),
    ],
)
def test_it_is_complete_if_it_was_applied_to_any_and_all_are_there(states, expected, tmp_path):
    products = []
    for number, state in enumerate(states):
        products.append((tmp_path / f"{number}.fits", CLEANING))
        header = fits.Header({"S_WISPS": state, "N_WISPS": 3} if state else {})
        fits.PrimaryHDU(header=header).writeto(products[-1][0])
    found, pixels = extra_steps_in(products)
    assert found == {"wisps": expected}
    assert pixels == {"wisps": 3 * sum(state is not None for state in states)}
