"""See that no kernel has become slower: ``make speed``; as a plain command ``.venv/bin/python benchmarks/speed.py``.

Each of five kernels is timed beside a reference, which is what a library does for the same or similar work and on the
same machine. The ratio of their CPU times depends little on the machine and, as the least of several of each that take
turns, on what else it does. One that is a quarter above the ratio in ``benchmarks/speed.json`` ends this with status 1;
``--write`` puts those found in place of these.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# One thread each, as in a job.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

import numpy as np  # noqa: E402

STORED = HERE / "speed.json"
LOSS = 1.25
REPEAT = 9
# Rounds, of which each begins anew, before a kernel counts as slower: a machine may be busy for some seconds.
ROUNDS = 3
SIZE = 1024
Work = Callable[[], object]


def kernels() -> dict[str, tuple[Work, Work]]:
    """Return the kernels and their references, by name; each works on data that is made here."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0.3, 0.02, (SIZE, SIZE)).astype(np.float32)
    noise.ravel()[:: SIZE // 8] += rng.exponential(1, 8 * SIZE).astype(np.float32)
    return {
        "drizzle of four planes": _drizzle(noise),
        "sky level": _sky(noise),
        "pixel map": _pixel_map(),
        "median of groups": _median(rng),
        "background map": _background(noise),
    }


def _drizzle(image: np.ndarray) -> tuple[Work, Work]:
    from drizzle.resample import Drizzle

    from calflow.science.combination.drizzle_kernel import add_image

    y, x = np.indices(image.shape, dtype=float)
    pixmap = np.stack([20.3 + x - 0.002 * y, 8.6 + y + 0.002 * x], axis=-1)
    shape, weight, planes = (SIZE + 40, SIZE + 40), np.ones_like(image), np.stack([image] * 3)
    sci, wht, one, one_wht, planes_wht = np.zeros((5, *shape), np.float32)
    means, context = np.zeros((3, *shape), np.float32), np.zeros(shape, np.int32)
    bounds, window = ((0, SIZE - 1), (0, SIZE - 1)), (slice(0, shape[0]), slice(0, shape[1]))
    package = Drizzle(out_img=one, out_wht=one_wht, disable_ctx=True)

    def ours():
        planes_wht[:] = means[:] = 0
        new = {"planes": planes, "planes_out": means, "planes_wht": planes_wht}
        add_image(sci, wht, image, weight, pixmap, bounds, window, context=context, **new)

    return ours, lambda: package.add_image(image, exptime=1.0, pixmap=pixmap, weight_map=weight)


def _sky(image: np.ndarray) -> tuple[Work, Work]:
    from calflow.science.sky.sky_statistics import sky_statistic

    return lambda: sky_statistic(image), lambda: np.histogram(image, 100)


def _pixel_map() -> tuple[Work, Work]:
    from numpy.polynomial import chebyshev

    from calflow.science.geometry.smooth_map import SmoothMap

    pixels = np.arange(SIZE)
    coefficients = np.random.default_rng(1).normal(size=(12, 12, 2))
    smooth = SmoothMap((0, SIZE - 1), (0, SIZE - 1), coefficients)
    out, part = np.empty((SIZE, SIZE, 2)), np.linspace(-1, 1, SIZE // 4)
    return lambda: smooth.on_grid(pixels, pixels, out=out), lambda: chebyshev.chebgrid2d(part, part, coefficients)


def _median(rng: np.random.Generator) -> tuple[Work, Work]:
    from calflow.science.combination.median import median_of_groups

    groups = rng.normal(size=(6, SIZE, SIZE)).astype(np.float32)
    groups[rng.random(groups.shape) < 0.05] = np.nan
    layers = [(group, (0, 0)) for group in groups]
    block = groups[:, : SIZE // 8].copy()
    return lambda: median_of_groups(layers, (SIZE, SIZE)), lambda: np.sort(block, axis=0)


def _background(image: np.ndarray) -> tuple[Work, Work]:
    from astropy.stats import SigmaClip

    from calflow.science.sky.background_map import background_map

    clip = SigmaClip(sigma=3.0)
    boxes = image.reshape(64, -1)
    return lambda: background_map(image, None, 128), lambda: clip(boxes, axis=1)


def ratio(work: Work, reference: Work, repeat: int = REPEAT) -> float:
    """Return the least CPU time of a kernel over the least of its reference; the two take turns."""
    times: tuple[list[float], list[float]] = [], []
    work(), reference()  # what is compiled, imported or allocated at first
    for _ in range(repeat):
        for found, run in zip(times, (work, reference), strict=True):
            start = time.process_time()
            run()
            found.append(time.process_time() - start)
    return min(times[0]) / min(times[1])


def slower(stored: dict[str, float], found: Callable[[str], float], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the kernels that are slower than is stored, in each of some rounds, with the least ratio found.

    Parameters
    ----------
    stored : dict of str to float
        Ratios by the name of the kernel.
    found : callable
        Gives that of a kernel now.
    rounds : int
        After one in which it is fast enough a kernel is not timed again.
    """
    late = {}
    for name, limit in stored.items():
        ratios: list[float] = []
        while len(ratios) < rounds and (not ratios or ratios[-1] > LOSS * limit):
            ratios.append(found(name))
        print(f"{name}: {min(ratios):.2f}, stored {limit:.2f}", flush=True)
        if min(ratios) > LOSS * limit:
            late[name] = min(ratios)
    return late


def main() -> int:
    """Time the kernels; write their ratios, or compare them with those stored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {STORED.name}")
    works = kernels()
    if parser.parse_args().write:
        STORED.write_text(json.dumps({name: round(ratio(*pair), 3) for name, pair in works.items()}, indent=2) + "\n")
        return 0
    late = slower(json.loads(STORED.read_text()), lambda name: ratio(*works[name]))
    for name, now in late.items():
        print(f"{name} is slower: {now:.2f} times its reference; see benchmarks/speed.py", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
