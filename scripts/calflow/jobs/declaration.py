"""What a job is: the files that it reads, the parameters that its script takes, and what it costs.

A module beside this says it for the jobs of each subject; `calflow.jobs.all` has them by the names of their rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any


@dataclass(frozen=True)
class Work:
    """
    What the costs of a job grow with, as names of attributes of `calflow.jobs.sizes.Size`.

    Attributes
    ----------
    time : str
        For its time.
    disk : str
        For its disk; empty: as time.
    memory : tuple of str
        For its memory.
    reckoned : mapping of str to float
        For memory that follows from what tables and planes hold, and is not measured: MB for each.
    whole : bool
        Whether it works on all of its association, though it is named after an exposure.
    """

    time: str = "total"
    disk: str = ""
    memory: tuple[str, ...] = ("frame",)
    reckoned: Mapping[str, float] = field(default_factory=dict)
    whole: bool = False


@dataclass(frozen=True)
class Job:
    """
    The job of a rule.

    Attributes
    ----------
    script : str
        Its file in ``scripts/``.
    inputs : callable
        From the plan and the wildcards, by their names, to the files that it reads, by role. It raises
        `UnknownExposure` or `UnknownAssociation` for a target that cannot be made.
    parameters : callable or None
        From the same to a named tuple of what the script takes, whose type is declared as what it returns.
    uncompared : tuple of str
        Parameters of which another value makes no product stale.
    once : tuple of str
        Roles of files that count for a product only while it is not there.
    parts : mapping of str to str
        Roles of JSON files of which the script reads one item of the uppermost level, each with the wildcard that is
        the name of it; what else is in such a file does not count for a product.
    work : Work
        What its costs grow with.
    like : str
        The job whose work and measured costs it has; empty: its own.
    functions : callable or None
        From the plan and the wildcards to what the script calls that the plan names, as ``module:function``.
    tracked : bool
        Whether its products are made again when its code, or a file that no job makes, is another.
    """

    script: str
    inputs: Callable[..., dict[str, Any]]
    parameters: Callable[..., Any] | None = None
    uncompared: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    work: Work = Work()
    like: str = ""
    functions: Callable[..., list[str]] | None = None
    tracked: bool = True

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """What the script takes."""
        return () if self.parameters is None else tuple(signature(self.parameters).return_annotation._fields)


def nothing(*_: Any, **__: Any) -> dict[str, Any]:
    """Return no files, for a job that reads none.

    Parameters
    ----------
    *_ : object
        Whatever other jobs take.
    **__ : object
        Alike.
    """
    return {}


def flat(files: Mapping[str, Any]) -> list[str]:
    """Return the files of all roles as one list.

    Parameters
    ----------
    files : mapping of str to object
        A path, or a list of paths, by role.
    """
    return [item for value in files.values() for item in ([value] if isinstance(value, str) else value)]
