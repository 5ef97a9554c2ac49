"""Exposures packed with gzip that are read in bands: unpacked once, beside what is made of them."""

import gzip
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from calflow.whole_files import temporary


@contextmanager
def unpacked(paths: Sequence[str], product: Path) -> Iterator[list[str]]:
    """Yield paths with a temporary copy in place of each that is packed.

    To get at a row in the middle of a packed file, all in front of it has to be unpacked, for each band anew.

    Parameters
    ----------
    paths : sequence of str
    product : Path
        What is made of them; the copies are in its folder, and go when the block is left.
    """
    with ExitStack() as stack:
        found = []
        for number, path in enumerate(paths):
            if path.endswith(".gz"):
                copy = stack.enter_context(temporary(product.with_name(f"{product.stem}_{number}.fits")))
                with gzip.open(path) as source, copy.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                path = str(copy)
            found.append(path)
        yield found
