"""What another context of CRDS would change: one reference file in place of another."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class ReferenceChange:
    """One reference file in place of another.

    Attributes
    ----------
    reftype : str
        Such as ``flat``.
    before, after : str
        Names of the files, by the context of the configuration and by the other; ``N/A`` if the rules want none,
        ``none`` if there are no rules that fit.
    exposures : tuple of str
        The roots of the exposures of stage 2 whose reference it is.
    associations : tuple of str
        The products of stage 3 that are made of these exposures, or whose catalogue uses the reference.
    """

    reftype: str
    before: str
    after: str
    exposures: tuple[str, ...]
    associations: tuple[str, ...]
