"""Make every product of a configuration as an empty file, with Snakemake's record of it, as if a run had made it.

``python pretend.py SNAKEFILE CONFIGFILE``, in the working folder.
"""

import sys
import time
from pathlib import Path
from typing import Any

from snakemake import cli
from snakemake.workflow import Workflow

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from calflow.engine.inside import build_graph
from calflow.engine.up_to_date import LEAST_AGE


def pretend(workflow: Any, executor_plugin: Any, executor_settings: Any, *_: Any, **__: Any) -> None:
    """Take the place of the execution of a workflow."""
    build_graph(workflow, executor_plugin, executor_settings, workflow.dag_settings.targets)
    for level in workflow.dag.toposorted():
        for path in (Path(path) for job in level for path in job.output):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for job in level:
            workflow.async_run(workflow.persistence.finished(job))
    for path in (path for job in workflow.dag.jobs for path in job.output if path.is_temp):
        Path(path).unlink()
    workflow.dag._finished.update(workflow.dag.jobs)
    time.sleep(LEAST_AGE)  # the last files of a run are too new to be noted


if __name__ == "__main__":
    snakefile, configfile = sys.argv[1:]
    Workflow.execute = pretend
    sys.path.remove(str(Path(__file__).resolve().parent))  # what a run notes goes by the folders of libraries
    cli.main(["--snakefile", snakefile, "--cores", "1", "--configfile", configfile])
