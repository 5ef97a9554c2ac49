"""References of IRIS by the rules of a CRDS cache."""

import hashlib
import importlib.util

import numpy as np
import pytest
from astropy.io import fits

from tests.workflow.conftest import Workflow
from tests.workflow.test_reference_makers import write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (importlib.util.find_spec("crds") and importlib.util.find_spec("stdatamodels")),
        reason="needs the packages crds and stdatamodels",
    ),
]
TIMES = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")


def write_mapping(folder, name, selector, **header):
    lines = ["header = {", f"    'name' : {name!r},", "    'observatory' : 'LIGERIRI',", "    'derived_from' : 'test',"]
    lines += [f"    {key!r} : {value!r}," for key, value in header.items()]
    rest = ["}", "", f"selector = {selector}", ""]
    checksum = hashlib.sha1("\n".join([*lines, *rest]).encode()).hexdigest()
    (folder / name).write_text("\n".join([*lines, f"    'sha1sum' : '{checksum}',", *rest]))


def write_rules(folder, kind, keywords, *rules):
    """Write rules, each of values and the names of references by date."""
    body = "".join(
        f"    {values!r} : UseAfter({{\n"
        + "".join(f"        '{date} 00:00:00' : {name!r},\n" for date, name in dates.items())
        + "    }),\n"
        for values, dates in rules
    )
    kinds = {"mapping": "REFERENCE", "instrument": "IRIS", "filekind": kind.upper(), "filetype": kind.upper()}
    name, classes = f"ligeriri_iris_{kind}_0001.rmap", ("Match", "UseAfter")
    write_mapping(folder, name, f"Match({{\n{body}}})", **kinds, parkey=(keywords, TIMES), classes=classes)


@pytest.fixture
def cached(tmp_path):
    """An exposure, and a cache with two darks, the later from 2024 on, and flats of two filters."""
    mappings = tmp_path / "crds" / "mappings" / "ligeriri"
    mappings.mkdir(parents=True)
    write_mapping(
        mappings, "ligeriri_0001.pmap", "{\n    'IRIS' : 'ligeriri_iris_0001.imap',\n}",
        mapping="PIPELINE", parkey=("META.INSTRUMENT.NAME",),
    )  # fmt: skip
    kinds = "".join(f"    {kind!r} : 'ligeriri_iris_{kind}_0001.rmap',\n" for kind in ("dark", "flat"))
    write_mapping(
        mappings, "ligeriri_iris_0001.imap", f"{{\n{kinds}}}",
        mapping="INSTRUMENT", instrument="IRIS", parkey=("REFTYPE",),
    )  # fmt: skip
    darks = {"2020-01-01": "dark_old.fits", "2024-01-01": "dark_new.fits"}
    write_rules(mappings, "dark", ("META.INSTRUMENT.DETECTOR", "META.SUBARRAY.NAME"), (("IRIS1", "FULL"), darks))
    write_rules(
        mappings,
        "flat",
        ("META.INSTRUMENT.DETECTOR", "META.INSTRUMENT.FILTER", "META.INSTRUMENT.PUPIL"),
        *((("IRIS1", name, "CLEAR"), {"2020-01-01": f"flat_{name.lower()}.fits"}) for name in ("K", "KN3")),
    )
    folder = tmp_path / "crds" / "references" / "ligeriri" / "iris"
    folder.mkdir(parents=True)
    for number, name in enumerate(("dark_old", "dark_new", "flat_k", "flat_kn3"), start=1):
        write(folder / f"{name}.fits", float(number), TELESCOP="LIGERIRI", REFTYPE=name.partition("_")[0].upper())
    write(tmp_path / "science_rate.fits", 11.0)
    workflow = Workflow(tmp_path)
    workflow.config = {
        "exposures": "science_rate.fits",
        "references": {"source": "crds", "crds_path": "crds", "crds_context": "ligeriri_0001.pmap"},
    }
    return workflow


def test_references_are_those_of_the_rules(cached):
    run = cached.run()
    assert run.code == 0, run.output
    with fits.open(cached.product("science_cal.fits")) as hdus:
        np.testing.assert_allclose(hdus["SCI"].data, (11 - 2) / 3, rtol=1e-6)
        found = [hdus[0].header[keyword] for keyword in ("R_DARK", "R_FLAT", "R_PHOTOM", "S_PHOTOM", "CRDS_CTX")]
    assert found == ["crds://dark_new.fits", "crds://flat_k.fits", "N/A", "SKIPPED", "ligeriri_0001.pmap"]


def test_a_file_that_is_not_in_the_cache_is_told_before_any_job(cached):
    next(cached.folder.rglob("flat_k.fits")).unlink()
    run = cached.run()
    assert (run.code, run.jobs) == (1, [])
    assert "flat: needs 'flat_k.fits'; not in the cache" in run.output
