"""Compare two folders of products byte by byte: ``python tests/compare_products.py BEFORE AFTER``.

To see that a change of the code changes no product, or which ones and in what. Logs and records of time are left out.
The exit status is 1 if anything differs.
"""

import argparse
import filecmp
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

NOT_PRODUCTS = {"logs", "benchmarks", ".snakemake"}


def main() -> int:
    """Print what differs, a line for each file, and how many are the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before, after = (products(folder) for folder in (arguments.before, arguments.after))
    different = [f"only before: {name}" for name in sorted(before - after)]
    different += [f"only after: {name}" for name in sorted(after - before)]
    both = sorted(before & after)
    for name in both:
        first, second = arguments.before / name, arguments.after / name
        if not filecmp.cmp(first, second, shallow=False):
            different.append(f"{name}: {'; '.join(differences(first, second))}")
    print(*different, sep="\n", end="\n" if different else "")
    print(f"{len(both)} files in both, {len(different)} differences")
    return 1 if different or not both else 0


def products(folder: Path) -> set[Path]:
    """Return the products below a folder, by their paths in it."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in files if NOT_PRODUCTS.isdisjoint(path.parts)}


def differences(first: Path, second: Path) -> list[str]:
    """Return in what two files differ: of FITS files the planes and keywords, of others the number of lines."""
    if first.suffix != ".fits":
        lines, others = (path.read_bytes().splitlines() for path in (first, second))
        changed = sum(one != other for one, other in zip(lines, others, strict=False)) + abs(len(lines) - len(others))
        return [f"{changed} of {len(lines)} lines"]
    with fits.open(first) as old, fits.open(second) as new:
        names = [hdu.name for hdu in old], [hdu.name for hdu in new]
        if names[0] != names[1]:
            return [f"HDUs {names[0]} and {names[1]}"]
        return [text for pair in zip(old, new, strict=True) for text in _hdu_differences(*pair)] or ["padding"]


def _hdu_differences(old: fits.hdu.base._BaseHDU, new: fits.hdu.base._BaseHDU) -> list[str]:
    name = old.name or "PRIMARY"
    cards = [{card.keyword: str(card.value) for card in hdu.header.cards} for hdu in (old, new)]
    keys = sorted(key for key in cards[0].keys() | cards[1].keys() if cards[0].get(key) != cards[1].get(key))
    texts = [f"{name} {key} {cards[0].get(key)} -> {cards[1].get(key)}" for key in keys]
    if old.data is None or new.data is None or old.data.shape != new.data.shape:
        return texts
    if not isinstance(old, fits.ImageHDU | fits.PrimaryHDU):
        return texts + ([f"{name}: rows"] if old.data.tobytes() != new.data.tobytes() else [])
    pixels, others = (np.asarray(hdu.data) for hdu in (old, new))
    floats = np.issubdtype(pixels.dtype, np.floating)
    changed = ~((pixels == others) | (np.isnan(pixels) & np.isnan(others))) if floats else pixels != others
    if not changed.any():
        return texts
    with np.errstate(all="ignore"):
        size = np.abs(others[changed].astype(float) - pixels[changed])
    largest = f"at most {np.nanmax(size):.3g}" if np.isfinite(size).any() else "from or to NaN"
    return [*texts, f"{name}: {np.count_nonzero(changed)} of {changed.size} pixels, {largest}"]


if __name__ == "__main__":
    sys.exit(main())
