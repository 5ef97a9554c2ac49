"""What the jobs of a run took, rule by rule, against the forecast."""

from calflow.pages.times import Took, rows_of, times_page

TOOK = {
    ("calibrate", "a"): Took(2.0, 3.0, 100.0),
    ("calibrate", "b"): Took(4.0, 5.0, 300.0),
    ("combine", "f"): Took(10.0, 9.0, 0.0),
}
EXPECTED = {
    ("calibrate", "a"): Took(1.0, 1.0, 200.0),
    ("calibrate", "b"): Took(2.0, 2.0, 150.0),
    ("combine", "f"): Took(20.0, 20.0, 500.0),
    ("combine", "left out"): Took(99.0, 99.0, 999.0),
}


def test_jobs_of_a_rule_are_summed_and_compared_with_the_forecast_of_the_same_jobs():
    combine, calibrate, everything = [row.cells() for row in rows_of(TOOK, EXPECTED)]
    assert calibrate == ["calibrate", "2", "6.0", "3.0", "2.00", "5.0", "300", "200", "1.50"]
    assert combine == ["combine", "1", "10.0", "20.0", "0.50", "9.0", "", "500", ""]  # its memory is not known
    assert everything == ["all", "3", "16.0", "23.0", "0.70", "9.0", "300", "500", "0.60"]


def test_without_a_forecast_of_each_job_there_is_none_of_the_rule():
    calibrate = rows_of(TOOK, {("calibrate", "a"): Took(1.0, 1.0, 200.0)})[1]
    assert calibrate.cells() == ["calibrate", "2", "6.0", "", "", "5.0", "300", "", ""]


def test_the_page():
    page = times_page(rows_of(TOOK, EXPECTED), folder="results/", began="17:28:42 on 3 December 2026", lasted=61.4)
    assert "The run that began at 17:28:42 on 3 December 2026 took 61 s." in page
    assert page.index("<td>combine</td>") < page.index("<td>calibrate</td>") < page.index("<td>all</td>")
    assert "The last run had no jobs." in times_page([], folder="results/", began="", lasted=0.0)
