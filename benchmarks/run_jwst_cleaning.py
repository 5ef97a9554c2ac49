"""Run jwst's clean_flicker_noise on `_rate` files: ``run_jwst_cleaning.py OUTPUT RATE [RATE ...]``.

A plain command, for the Python that has jwst installed. Makes ``<name>_cleaned.fits`` with the defaults of the step,
and ``seconds.json`` with the CPU time of each. Used by ``benchmarks/cleaning.py``.
"""

import json
import logging
import sys
import time
from pathlib import Path

from run_jwst import _set_environment


def main() -> None:
    """Clean the files of the command line."""
    output, *rates = map(Path, sys.argv[1:])
    _set_environment(output, 1)
    from jwst.clean_flicker_noise import CleanFlickerNoiseStep
    from stdatamodels.jwst import datamodels

    logging.disable(logging.WARNING)
    seconds = {}
    for rate in rates:
        with datamodels.open(rate) as model:
            start = time.process_time()
            cleaned = CleanFlickerNoiseStep().run(model)
            seconds[rate.name] = time.process_time() - start
            cleaned.save(str(output / f"{rate.stem}_cleaned.fits"))
    (output / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
