"""Snakemake, forked from a process that has its libraries loaded, which is most of the time of a run with few jobs.

Of calflow, what is named behind a folder of scripts is loaded, for runs of the Snakefile beside that; without, each run
imports the code that its Snakefile stands beside. A run is this process after the fork, and ends as any main program
does. `tests.workflow.forked` asks for runs.
"""

import gc
import importlib
import importlib.util
import json
import os
import sys

import numpy  # noqa: F401
import requests  # noqa: F401
import snakemake.benchmark
import snakemake.cli
import snakemake.report.html_reporter  # by each run, as it looks for plugins


def load(scripts: str, *modules: str) -> None:
    """Import modules from a folder, which the Snakefile then finds loaded."""
    sys.path.insert(0, scripts)
    for module in modules:
        importlib.import_module(module)
    sys.path.remove(scripts)


def serve() -> dict:
    """Answer each request, a line of JSON, with the exit status of its run; in the process of a run, return it."""
    gc.freeze()
    for line in sys.stdin:
        run = os.fork()
        if run == 0:
            return json.loads(line)
        _, status = os.waitpid(run, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(arguments: list[str], folder: str, environment: dict[str, str], outputs: list[str]) -> None:
    """Have this process look as if ``python -m snakemake`` had been started in the folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [importlib.util.find_spec("snakemake.__main__").origin, *arguments]
    sys.path[0] = folder
    for number, path in enumerate((os.devnull, *outputs)):
        file = os.open(path, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    if sys.argv[1:]:
        load(*sys.argv[1:])
    become(**serve())
    snakemake.cli.main()
