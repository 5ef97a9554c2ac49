"""Processes of this host."""

import psutil

CLOCKS = 600.0  # seconds by which the clock of a file server may be wrong


def is_alive(pid: int, since: float | None = None) -> bool:
    """
    Tell whether a process still works.

    One that has ended stays in the kernel's list until its parent asks for it, which the first process of a container
    need not do for those that it inherits: such a one is dead.

    Parameters
    ----------
    pid : int
    since : float, optional
        A time (seconds since 1970, by the clock of a file system) when it worked. A process that started later only
        has its number.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and (since is None or process.create_time() < since + CLOCKS)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody else's
        return True
