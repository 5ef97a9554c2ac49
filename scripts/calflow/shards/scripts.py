"""What runs the shards: a script for one of them, and a SLURM array of all."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from calflow.shards.folders import CONFIG, OUTPUT, ranges

RUN, SLURM = "run.sh", "slurm.sh"
# Of each shard: who runs it, or how that ended, with the time when it began; its summary; what was printed
RECORD, SUMMARY, PRINTED = "run.json", "summary.json", "output.txt"


def scripts_of(numbers: Sequence[int], folder: Path, snakefile: Path) -> dict[str, str]:
    """Return the scripts that run shards, the text of each by its name.

    Parameters
    ----------
    numbers : sequence of int
        Of the shards.
    folder : Path
        That of all shards, absolute.
    snakefile : Path
        Absolute.
    """
    return {RUN: _run_script(folder, snakefile), SLURM: _slurm_script(numbers, folder)}


def _run_script(folder: Path, snakefile: Path) -> str:
    """Return the script of one shard. It says that it began, and how it ended: a run that was killed cannot."""
    return f"""\
#!/bin/sh
# Run one shard to its end: {RUN} NUMBER. Cores and memory are those of this machine, or CORES and MEMORY_MB.
set -u
cd {shlex.quote(str(folder))}/"$(printf %04d "$1")" || exit 1
memory=$(awk '/^MemTotal/ {{print int($2 / 1024 * 0.9)}}' /proc/meminfo 2>/dev/null)
printf '{{"host": "%s", "pid": %d, "started": "%s"}}\\n' "$(uname -n)" $$ "$(date +%Y-%m-%dT%H:%M:%S%z)" > {RECORD}.new
mv {RECORD}.new {RECORD}
"${{PYTHON:-{_quoted(sys.executable)}}}" -m snakemake --snakefile {shlex.quote(str(snakefile))} \\
    --configfile {CONFIG} --cores "${{CORES:-${{SLURM_CPUS_ON_NODE:-$(nproc)}}}}" \\
    --resources mem_mb="${{MEMORY_MB:-${{memory:-1000000}}}}" > {PRINTED} 2>&1 &
child=$!
# A signal is for the run, which then waits for the jobs that it has begun.
trap 'kill -TERM $child' TERM INT
wait $child
status=$?
while kill -0 $child 2>/dev/null; do
    wait $child
    status=$?
done
# That of this run: the next may be one by hand, for a few products.
[ {OUTPUT}/logs/{SUMMARY} -nt {RECORD} ] && cp {OUTPUT}/logs/{SUMMARY} .
# With the time of the beginning: what was changed since then, the run may not have seen.
printf '{{"ended": %d}}\\n' $status > {RECORD}.new && touch -r {RECORD} {RECORD}.new && mv {RECORD}.new {RECORD}
echo "shard $1 ended with exit status $status: $PWD/{PRINTED}"
exit $status
"""


def _quoted(path: str) -> str:
    """Quote a path for the inside of double quotes."""
    return "".join(f"\\{character}" if character in '\\"$`' else character for character in path)


def _slurm_script(numbers: Sequence[int], folder: Path) -> str:
    return f"""\
#!/bin/sh
# All shards as an array, a whole node for each: sbatch {SLURM}. Options of sbatch win over these lines, such as
# --partition=NAME --time=12:00:00, --array=2,5 for some shards, --array=1-{max(numbers)}%20 for at most 20 at once.
#SBATCH --job-name=calflow
#SBATCH --array={ranges(numbers)}
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --no-requeue
#SBATCH --signal=B:TERM@120
#SBATCH --output="{str(folder).replace("%", "%%")}/%4a/slurm-%A.txt"
exec sh {shlex.quote(str(folder / RUN))} "$SLURM_ARRAY_TASK_ID"
"""


def sbatch(numbers: Sequence[int], folder: Path) -> str:
    """Return the command that submits some shards.

    Parameters
    ----------
    numbers : sequence of int
    folder : Path
        That of all shards.
    """
    return f"sbatch --array={ranges(numbers)} {shlex.quote(os.path.join(folder, SLURM))}"
