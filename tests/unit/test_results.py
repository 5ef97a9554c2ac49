"""What tables and logs say of how far things are."""

import pytest

from calflow.commands.status import STEPS, Status, with_failures
from calflow.engine.outcome import Failure, failures_in
from calflow.jobs.all import JOBS
from calflow.results.made import Made, MadeAssociation, there
from calflow.results.tables import catalog_status, joint_status, median_of, table_rows

TABLE = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: exposure, datatype: string}
exposure status rms reason
a COMPLETE 0.0025 "is aligned: 3 stars"
b FAILED nan ""
"""


def test_rows_of_a_table_as_they_are_written(tmp_path):
    (tmp_path / "a.ecsv").write_text(TABLE)
    rows = table_rows(tmp_path / "a.ecsv")
    assert [row["exposure"] for row in rows] == ["a", "b"]
    assert rows[0]["reason"] == "is aligned: 3 stars"
    assert table_rows(tmp_path / "none.ecsv") == []
    (tmp_path / "b.ecsv").write_bytes(b"\xff\xfe\n")
    assert table_rows(tmp_path / "b.ecsv") == []


def test_the_status_of_all_exposures_together():
    def joint(*statuses):
        return joint_status([{"status": status} for status in statuses])

    assert joint("COMPLETE", "SKIPPED") == "COMPLETE"
    assert joint("COMPLETE", "FAILED") == "FAILED"
    assert joint("SKIPPED") == "SKIPPED"
    assert joint() == ""


def test_a_catalogue_says_how_it_went_and_how_many_sources_it_has(tmp_path):
    path = tmp_path / "cat.ecsv"
    assert catalog_status(path) == ("", 0)
    path.write_text("# %ECSV 1.0\n# meta: !!omap\n# - {status: FAILED}\n# - {x: 1}\nlabel ra\n")
    assert catalog_status(path) == ("FAILED", 0)
    path.write_text("# %ECSV 1.0\n# - {status: COMPLETE}\nlabel ra\n1 2\n2 3\n")
    assert catalog_status(path) == ("COMPLETE", 2)


def test_an_association_in_one_line():
    made = MadeAssociation(
        "o001", {"resample": "COMPLETE"}, aligned=3, combined=4, rms=0.00301, sources=72, missing=("a", "b")
    )
    assert str(made) == "o001: 3 aligned, rms 3.0 mas; 4 combined; 72 sources; 2 products not made"
    assert str(MadeAssociation("o002", {"resample": "not made"}, missing=("a",))) == "o002: 1 product not made"


def test_what_is_there(tmp_path):
    (tmp_path / "a").write_text("")
    assert there([f"{tmp_path}/a", f"{tmp_path}/b"]) == ((f"{tmp_path}/a",), (f"{tmp_path}/b",))


def test_jobs_that_failed_and_were_not_run_again(tmp_path):
    logs = {
        "calibrate/a_cal.log": "INFO x\nERROR FAILED calibrate a, cal: no pixel: all are NaN\n",
        "calibrate/b_cal.log": "INFO x\n",
        "calibrate/c_cal.log": "ERROR FAILED calibrate c, cal: of no concern\n",
        "align/o001.log": "ERROR FAILED align o001: first\nERROR FAILED align o001: last\n",
    }
    for name, text in logs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert failures_in(tmp_path, {"a", "b", "o001"}) == [
        Failure("align", ("o001",), "last", str(tmp_path / "align/o001.log")),
        Failure("calibrate", ("a", "cal"), "no pixel: all are NaN", str(tmp_path / "calibrate/a_cal.log")),
    ]


def test_the_median_of_what_are_numbers():
    rows = [{"rms": text} for text in ("0.002", "nan", "0.004", "x")]
    assert median_of(rows, "rms") == pytest.approx(0.003)
    assert median_of([{"rms": "nan"}, {}], "rms") is None
    assert median_of([], "rms") is None


def test_steps_whose_job_failed_are_failed():
    made = Made("a", {"flat_field": "not made", "photom": "SKIPPED", "resample": "not made"})
    failures = [Failure("calibrate", ("a", "cal"), "", ""), Failure("resample_exposure", ("b",), "", "")]
    steps = {"flat_field": "FAILED", "photom": "SKIPPED", "resample": "not made"}
    assert with_failures(made, {"a"}, failures).steps == steps
    assert with_failures(made, {"c"}, failures) == made


def test_rules_whose_failures_are_known_are_rules():
    assert set(STEPS) <= set(JOBS)


def test_columns_of_the_table_are_in_the_order_of_the_steps():
    every = [Made("a", {"photom": "SKIPPED", "bkg_subtract": "COMPLETE"}), Made("b", {"flat_field": "FAILED"})]
    assert Status(every, []).text().splitlines()[:3] == [
        "exposure  bkg_subtract  flat_field  photom",
        "a         COMPLETE      -           SKIPPED",
        "b         -             FAILED      -",
    ]


def test_tables_are_as_narrow_as_the_terminal():
    steps = dict.fromkeys(("bkg_subtract", "assign_wcs", "flat_field", "photom", "resample"), "COMPLETE")
    status = Status([Made("jw01234001001_02101_00001_nrcblong_extra", steps)], [])
    assert status.text(80).splitlines()[:3] == [
        "                                    bkg      assign   flat",
        "exposure                            subtract wcs      field    photom   resample",
        "jw01234001001_02...1_nrcblong_extra COMPLETE COMPLETE COMPLETE COMPLETE COMPLETE",
    ]
    assert max(map(len, status.text(80).splitlines())) <= 80
    assert status.text(200) == status.text()
