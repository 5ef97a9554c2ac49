"""What `make audit` says of the answers of pip-audit."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "envs"))
import audit

CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
SKIPPED = {"name": "scipy", "skip_reason": "not found"}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.2",
    "vulns": [
        {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3.1.3"]},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}


def test_each_pinned_version_is_looked_up_whatever_its_marker(tmp_path):
    path = tmp_path / "lock.txt"
    path.write_text("# head\na==1 ; python_full_version < '3.12' \\\n    --hash=sha256:0\na==2 \\\n    # via b\nb==3\n")
    assert audit.rounds(audit.pinned([path])) == [["a==1", "b==3"], ["a==2"]]


@pytest.mark.parametrize(
    ("packages", "status"),
    [([CLEAN], 0), ([CLEAN, SKIPPED], 2), ([SKIPPED], 2), ([CLEAN, VULNERABLE], 1), ([VULNERABLE, SKIPPED], 1)],
)
def test_success_only_if_all_were_looked_up_and_none_is_vulnerable(packages, status):
    assert audit.verdict(packages)[1] == status


def test_a_vulnerability_is_named_with_what_mends_it():
    lines, _ = audit.verdict([VULNERABLE, CLEAN])
    assert lines == [
        "jinja2 3.1.2: PYSEC-1, CVE-1; mended in 3.1.3",
        "jinja2 3.1.2: PYSEC-2; mended in no version yet",
        "2 packages were looked up, 1 have known vulnerabilities",
    ]


def test_what_was_not_looked_up_is_not_called_clean():
    lines, _ = audit.verdict([SKIPPED])
    assert lines == ["1 of 1 packages could not be looked up: not found"]


def test_no_answer_is_told_in_one_line(monkeypatch, capsys):
    def no_network(*_):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(audit, "look_up", no_network)
    assert audit.main() == 2
    assert capsys.readouterr().err == "nothing was looked up, no service answers: no route to host\n"
