"""A real run in a terminal; test_night.py looks at one whose output is no terminal."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

from tests.workflow.conftest import ROOT


def in_terminal(command, folder):
    """Return what a terminal gets from a command, and its exit status."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("SNAKEMAKE")}
    process = subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}
    )
    os.close(theirs)
    text = b""
    with suppress(OSError):  # nobody has the terminal open any more
        while data := os.read(ours, 4096):
            text += data
    os.close(ours)
    return text.decode().replace("\r\n", "\n"), process.wait()


def test_bars_in_a_terminal(workflow):
    workflow.run("help")  # writes the configuration
    options = ["--cores", "1", "--configfile", "my.yaml", "--until", "combine_background"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *options]
    text, status = in_terminal(command, workflow.folder)
    assert status == 0, text
    assert "\x1b[?25" not in text  # the cursor is never hidden
    text = re.sub(r"\x1b\[\d*[mFJ]", "", text)
    assert re.search(r"^1 job, about \d+:\d\d$", text, re.MULTILINE)
    assert re.search(r"^stage 2  \S+  1/1  \d+:\d\d$", text, re.MULTILINE)
    assert re.search(r"^1/1 jobs, \d+:\d\d$", text, re.MULTILINE)
    assert "Finished jobid" not in text
    assert "is extended by" not in text  # the file of the defaults
    assert "Finished jobid" in "".join(log.read_text() for log in workflow.logs())
