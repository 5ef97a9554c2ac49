"""How far an exposure or an association is: the state of every step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calflow.results.tables import COMPLETE

NOT_MADE, STALE = "not made", "stale"


@dataclass(frozen=True)
class Made:
    """How far an exposure or an association is.

    Attributes
    ----------
    name : str
    steps : mapping of step to str
        COMPLETE, SKIPPED, FAILED, ``not made`` or ``stale``: made before the exposure was replaced.
    products : tuple of str
        Those that are there.
    missing : tuple of str
        Those that are not.
    pixels : mapping of step to int or None
        For each extra step, how many pixels it has changed. None: it does not tell.
    """

    name: str
    steps: Mapping[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    pixels: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeAssociation(Made):
    """How far an association is, and how it went.

    Attributes
    ----------
    aligned : int or None
        How many exposures are aligned; None without an alignment.
    combined : int
        How many go into the image.
    rms : float or None
        Median over the aligned exposures of the rms of their residuals, arcsec.
    sources : int or None
        In the catalogue.
    """

    aligned: int | None = None
    combined: int = 0
    rms: float | None = None
    sources: int | None = None

    def __str__(self) -> str:
        """Return all that in one line."""
        parts = []
        if self.aligned is not None:
            rms = f", rms {1000 * self.rms:.1f} mas" if self.rms is not None else ""
            parts.append(f"{self.aligned} aligned{rms}")
        parts += [f"{self.combined} combined"] if self.steps.get("resample") == COMPLETE else []
        parts += [f"{self.sources} sources"] if self.sources is not None else []
        missing = len(self.missing)
        parts += [f"{missing} product{'' if missing == 1 else 's'} not made"] if missing else []
        return f"{self.name}: {'; '.join(parts) or 'nothing to be made'}"


def there(paths: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which files are there, and which are not.

    Parameters
    ----------
    paths : iterable of str
    """
    found: dict[bool, list[str]] = {True: [], False: []}
    for path in paths:
        found[Path(path).exists()].append(path)
    return tuple(found[True]), tuple(found[False])
