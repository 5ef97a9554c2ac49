"""Simulate the demo's observation: a field of galaxies seen by MIRI through F1130W, and its background.

As a plain command: ``python scripts/simulate_demo.py DIRECTORY``.
"""

import argparse
from pathlib import Path

from job import run

SEED = 20


def main(directory: Path, seed: int = SEED) -> Path:
    """Write the demo's exposures, references and associations.

    Parameters
    ----------
    directory : Path
        Gets `rate/`, `references/`, `stage3/` and the truth; 155 MB.
    seed : int
        Another seed gives another field.

    Returns
    -------
    Path
        The stage-2 association: four dithered exposures, each with three dedicated backgrounds.
    """
    from simulation import Scene, simulate

    scene = Scene(
        instrument="miri_f1130w",
        exposures=4,
        dither_step=3.0,
        backgrounds=3,
        stars=90,
        galaxies=320,
        sky_scatter=0.002,
        seed=seed,
    )
    return simulate(directory, scene).association


def simulate_demo(input, output, params):
    """Write the demo around the association that the rule names, `<directory>/rate/<association>`."""
    association = Path(output.association)
    main(association.parent.parent, params.seed).replace(association)


if "snakemake" in globals():
    run(simulate_demo, snakemake)
elif __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, help="where to write")
    parser.add_argument("--seed", type=int, default=SEED, help="number that decides the field (default %(default)s)")
    arguments = parser.parse_args()
    print(main(arguments.directory, arguments.seed))
