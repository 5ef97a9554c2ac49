"""Have each job write down its largest memory when it ends: Snakemake's records look too seldom to see a short one.

Python imports this at its start where the folder is on PYTHONPATH (`benchmarks/job_memory.py`).
"""

import atexit
import json
import os
import sys


def _write_peak() -> None:
    job = getattr(sys.modules["__main__"], "snakemake", None)  # of the script of a job
    if job is None or not hasattr(job, "rule"):
        return
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    with open(os.environ["CALFLOW_PEAKS"], "a") as file:
        record = {"rule": job.rule, "wildcards": dict(job.wildcards.items()), "memory_mb": peak / 1024}
        file.write(json.dumps(record) + "\n")


if "CALFLOW_PEAKS" in os.environ:
    atexit.register(_write_peak)
