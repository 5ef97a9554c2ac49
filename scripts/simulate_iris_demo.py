"""Simulate the demo's observation with IRIS: stars and galaxies in K behind adaptive optics.

Two stars are so bright that they fill their pixels in the full frames, and one of them has a companion that is lost
there. In the last exposure each has a concurrent subarray, which is read out 150 times as often. The pointings are
off by 0.01 arcsec, and there are cosmic rays that stage 1 missed.

As a plain command: ``python scripts/simulate_iris_demo.py DIRECTORY``.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run

if TYPE_CHECKING:
    from calflow.instruments.iris.simulation import IrisTruth

SEED = 7


def main(directory: Path, seed: int = SEED) -> "IrisTruth":
    """Write the demo's exposures, references and associations.

    Parameters
    ----------
    directory : Path
        Gets `rate/`, `merge/`, `references/`, `stage3/` and the truth; 25 MB.
    seed : int
        Another seed gives another field.

    Returns
    -------
    IrisTruth
        With the stage-2 association of four dithered full frames and two subarrays, each with three dedicated
        backgrounds, that of the frame into which the subarrays are merged, and the stage-3 association.
    """
    from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
    from calflow.simulation import Scene

    scene = Scene(
        instrument=IRIS_K,
        detector_shape=(512, 512),
        exposures=4,
        dither_step=0.12,
        backgrounds=3,
        stars=120,
        galaxies=60,
        sky_scatter=0.01,
        pointing_error=0.01,
        ra=150.1163,
        dec=2.2058,
        roll=27.0,
        program="001",
        seed=seed,
    )
    iris = IrisField(
        scene,
        bright_stars=[(322.3, 257.8, 120.0), (171.6, 396.4, 30.0), (326.8, 262.3, 10.0)],
        subarrays=2,
        subarray_exposures=[4],
        subarray_size=72,
    )
    return simulate_iris(directory, iris)


def simulate_iris_demo(input, output, params):
    """Write the demo around the associations that the rule names, `<directory>/rate/<association>` and beside it."""
    association = Path(output.association)
    truth = main(association.parent.parent, params.seed)
    truth.association.replace(association)
    truth.merge_association.replace(output.merge)
    truth.stage3_association.replace(output.combination)


if "snakemake" in globals():
    run(simulate_iris_demo, snakemake)
elif __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, help="where to write")
    parser.add_argument("--seed", type=int, default=SEED, help="number that decides the field (default %(default)s)")
    arguments = parser.parse_args()
    truth = main(arguments.directory, arguments.seed)
    print(truth.association, truth.merge_association, truth.stage3_association, sep="\n")
