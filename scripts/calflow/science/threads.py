"""Work on parts of an image by several threads: numpy and our own kernels leave Python to others while they compute."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    meanwhile: Callable[[], object] | None = None,
) -> list[Result]:
    """Return what a function gives for each of some items, in their order.

    Parameters
    ----------
    function : callable
        Must not depend on the order in which it is called.
    items : sequence
    threads : int
        How many items are worked on at the same time. 1: by this thread, one after the other.
    meanwhile : callable or None
        Is called by this thread while others work, if there are others.

    Raises
    ------
    Exception
        That of the first item, in their order, for which the function raises one. Items that are not begun then are not
        worked on.
    """
    if threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # which others have no use for

    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        try:
            futures = [pool.submit(function, item) for item in items]
            if meanwhile:
                meanwhile()
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
