"""Ways around what makes Snakemake 9 slow with thousands of jobs."""

import atexit
import gc

from calflow.engine.inside import look_at_scripts_once, remember_signatures

# Objects made before the collector looks for garbage. The graph is millions of them, none of which is garbage, and the
# default, 700, has it search for a fifth of the time.
OBJECTS_BETWEEN_SEARCHES = 500_000


def speed_up() -> None:
    """Search for garbage less often; look at each function and each script once instead of once per job."""
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, 20, 20)
    # Nor at the end of Python, when the system takes back all memory anyway: a fifth of a run that has nothing to do.
    atexit.register(gc.freeze)
    remember_signatures()
    look_at_scripts_once()
