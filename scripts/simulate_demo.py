"""Simulate the demo's observation: a field of galaxies seen by MIRI through F1130W, and its background.

The exposures have what stage 3 is for: cosmic rays that stage 1 missed, and pointings that are off by 0.3 arcsec.

As a plain command: ``python scripts/simulate_demo.py DIRECTORY``.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run

if TYPE_CHECKING:
    from calflow.simulation import Truth

SEED = 20


def main(directory: Path, seed: int = SEED) -> "Truth":
    """Write the demo's exposures, references and associations.

    Parameters
    ----------
    directory : Path
        Gets `rate/`, `references/`, `stage3/` and the truth; 155 MB.
    seed : int
        Another seed gives another field.

    Returns
    -------
    Truth
        With the stage-2 association of four dithered exposures, each with three dedicated backgrounds,
        and the stage-3 association that combines them.
    """
    from calflow.simulation import Scene, simulate

    scene = Scene(
        instrument="miri_f1130w",
        exposures=4,
        dither_step=3.0,
        backgrounds=3,
        stars=90,
        galaxies=320,
        sky_scatter=0.002,
        pointing_error=0.3,
        roll_error=0.01,
        seed=seed,
    )
    return simulate(directory, scene)


def simulate_demo(input, output, params):
    """Write the demo around the associations that the rule names, `<directory>/rate/<association>` and beside it."""
    association = Path(output.association)
    truth = main(association.parent.parent, params.seed)
    truth.association.replace(association)
    truth.stage3_association.replace(output.combination)


if "snakemake" in globals():
    run(simulate_demo, snakemake)
elif __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, help="where to write")
    parser.add_argument("--seed", type=int, default=SEED, help="number that decides the field (default %(default)s)")
    arguments = parser.parse_args()
    truth = main(arguments.directory, arguments.seed)
    print(truth.association, truth.stage3_association, sep="\n")
