"""Ways around what makes Snakemake 9 slow with thousands of jobs."""

import functools
import gc

import snakemake.common
import snakemake.rules

# Objects made before the collector looks for garbage. The graph is millions of them, none of which is garbage, and the
# default, 700, has it search for a fifth of the time.
OBJECTS_BETWEEN_SEARCHES = 500_000


def speed_up() -> None:
    """Search for garbage less often, and look at the signature of each function once instead of once per job."""
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, 20, 20)
    remembering = functools.cache(snakemake.common.get_function_params)
    for module in (snakemake.common, snakemake.rules):
        if hasattr(module, "get_function_params"):
            module.get_function_params = remembering
