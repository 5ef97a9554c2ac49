"""What is done so that Snakemake takes less time."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """

{speed_up}
class Loop:
    def __init__(self): self.me = self
    def __del__(self): print("found")
Loop()
"""


def test_no_garbage_is_looked_for_when_python_ends():
    def told(**code):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "scripts")}
        command = [sys.executable, "-c", CODE.format(**code)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    assert told(speed_up="") == "found\n"
    assert told(speed_up="from calflow.engine.speed import speed_up; speed_up()") == ""
