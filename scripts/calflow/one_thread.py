"""Is imported before numpy: has its libraries compute in one thread, whatever Snakemake tells them for the job.

A job with several threads shares its work out itself. Libraries that did so, too, would take the same cores once more:
four times the CPU in a combination.
"""

import os

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

os.environ |= ONE_THREAD
