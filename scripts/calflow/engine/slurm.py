"""Ask SLURM, before the first job is submitted, whether it would take one."""

import getpass
import re
import shutil
import subprocess
import sys
from typing import Any

from snakemake.logging import logger

from calflow.engine.inside import default_resources
from calflow.jobs.rules import SMALL_ASSOCIATION

# Of a job: that of stage 3 of so many exposures looks at all of them at once, and lays the grid.
MOST_CORES = SMALL_ASSOCIATION + 1
HOW = """\
Give the account and the partition in profiles/slurm/config.yaml, below default-resources, or on the command line:
  --default-resources slurm_account=NAME slurm_partition=NAME"""


def check_slurm(workflow: Any) -> None:
    """
    End a run on SLURM that cannot work, with one message instead of an error of each job.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With any executor: only runs on SLURM are looked at.
    """
    if not workflow.is_main_process or workflow.executor_plugin.name != "slurm":
        return
    values = default_resources(workflow, "slurm_account", "slurm_partition")
    problem = refusal(values.get("slurm_account"), values.get("slurm_partition"))
    problem = problem or unknown_ends(
        workflow.executor_settings.status_command, 3 * workflow.executor_settings.init_seconds_before_status_checks
    )
    if problem:
        sys.exit(f"no job was submitted: {problem}")
    if notice := few_cores(values.get("slurm_partition"), workflow.resource_settings.cores):
        logger.warning(notice)


def refusal(account: str | None, partition: str | None) -> str | None:
    """Return why SLURM would refuse jobs of this account in this partition, and what there is instead; else None.

    Parameters
    ----------
    account : str or None
        None: the default one.
    partition : str or None
        Alike.
    """
    if shutil.which("sbatch") is None:
        return "there is no sbatch here; start the run where jobs are submitted, such as a login node"
    options = [
        *(["--account", str(account)] if account else []),
        *(["--partition", str(partition)] if partition else []),
    ]
    code, text = _ask("sbatch", "--test-only", *options, "--time=5", "--mem=500", "--wrap=true")
    if not code:
        return None
    reason = " ".join(re.sub(r"^sbatch: (error: )?", "", line) for line in text.splitlines())
    lines = [f"SLURM would refuse them: {reason}", HOW]
    for title, command in (
        ("your accounts", ("sacctmgr", "-n", "-P", "-s", "list", "user", getpass.getuser(), "format=account")),
        ("partitions", ("sinfo", "-h", "-o", "%R")),
    ):
        code, text = _ask(*command)
        names = sorted(set(text.split())) if not code else []
        lines += [f"  {title}: {', '.join(names)}"] if names else []
    return "\n".join(lines)


def few_cores(partition: str | None, cores: int | None) -> str | None:
    """Return what to do where jobs may ask for more cores than any node has, for which SLURM lets them wait for ever.

    Parameters
    ----------
    partition : str or None
        None: the default one.
    cores : int or None
        The most that a job may have, as the command line says.
    """
    code, text = _ask("sinfo", "-h", "-o", "%c", *(["--partition", str(partition)] if partition else []))
    most = max((int(number) for number in re.findall(r"\d+", text)), default=MOST_CORES) if not code else MOST_CORES
    if most >= min(cores or MOST_CORES, MOST_CORES):
        return None
    return f"nodes have up to {most} cores: add --cores {most}, or jobs that ask for more wait for ever"


def unknown_ends(status_command: str | None, needed: int) -> str | None:
    """
    Return why the end of a job might never be known: the run would wait for ever.

    Parameters
    ----------
    status_command : str
        What the executor asks with, ``squeue`` or ``sacct``.
    needed : int
        How long ``squeue`` must know an ended job for the executor to ask it, seconds; else it asks ``sacct``.
    """
    code, text = _ask("scontrol", "show", "config")
    age = re.search(r"^MinJobAge\s*=\s*(\d+)", text, re.MULTILINE)
    squeue = status_command == "squeue" and not code and age is not None and int(age[1]) >= needed
    if squeue or not _ask("sacct", "-n", "-X")[0]:
        return None
    forgotten = f"squeue forgets an ended job after {age[1]} s" if age else "scontrol does not tell the configuration"
    return (
        f"the end of a job cannot be known: sacct does not answer, and {forgotten}.\n"
        f"Set slurm-status-command: squeue, and slurm-init-seconds-before-status-checks to at most a third of that."
    )


def _ask(*command: str) -> tuple[int, str]:
    """Return the exit status and all that a command prints; 127 if there is no such command, 124 if it hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603
    except FileNotFoundError:
        return 127, f"{command[0]}: not found"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]}: no answer in 60 s"
    return done.returncode, done.stdout + done.stderr
