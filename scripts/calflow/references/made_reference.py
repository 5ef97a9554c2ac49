"""A reference file that a run makes of calibration exposures, as it is planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.configuration.settings import ReferenceMaker
from calflow.instruments.family import Family
from calflow.science.windows import Window


@dataclass(frozen=True)
class MadeReference:
    """A reference file that is going to be made.

    Attributes
    ----------
    name : str
        Of the maker, and beginning of the name of the file.
    path : str
        Where it is going to be.
    settings : ReferenceMaker
    exposures : tuple of Path
    family : Family
    window : Window
        Detector pixels of the exposures.
    keywords : mapping
        What the file is for.
    dark : str or None
        The dark that is subtracted first.
    flat : str or None
        The flat that a flat of the sky corrects.
    """

    name: str
    path: str
    settings: ReferenceMaker
    exposures: tuple[Path, ...]
    family: Family
    window: Window
    keywords: Mapping[str, Any]
    dark: str | None = None
    flat: str | None = None

    def files(self) -> dict[str, Any]:
        """Return the files that it is made of, by role."""
        others = {role: path for role, path in (("dark", self.dark), ("flat", self.flat)) if path}
        return {"exposures": [str(path) for path in self.exposures], **others}
