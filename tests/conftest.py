"""What all tests share."""

import signal

import pytest
from hypothesis import settings

# What a shell has in the background, as `nohup make test &`, ignores SIGINT, and so would all runs of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long a test takes says more of the machine than of the code. The examples are the same in each run, so that a
# change fails for what it did; `pytest --hypothesis-profile explore` looks for others.
settings.register_profile("calflow", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("calflow")


def pytest_collection_modifyitems(items):
    """Put the slow tests first: with several workers none then ends long before the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def datamodels():
    """The data models of stdatamodels, whose schemas calflow's own start of asdf, in another test, leaves out."""
    found = pytest.importorskip("stdatamodels.jwst.datamodels")
    import asdf

    asdf.get_config().reset_resources()
    asdf.get_config().reset_extensions()
    return found
