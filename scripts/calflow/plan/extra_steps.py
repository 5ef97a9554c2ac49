"""What is planned of extra steps: which of them an exposure goes through, at which place, with what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calflow.science.cleaning.shipped import pixels_keyword


@dataclass(frozen=True)
class PlannedStep:
    """An extra step of an exposure.

    Attributes
    ----------
    name : str
        In the configuration.
    keyword : str
        Of its status.
    function : str
        As ``module:function``; of the user's own, ``file.py:function``.
    parameters : mapping of str to object
        Its parameters by name, of a step that calflow has all of them.
    parameter_class : str
        The dataclass that these are of, as ``module:class``; empty: the user's own function takes the mapping.
    inputs : mapping of str to (str, str)
        Files by role, each with what becomes of it (`science.cleaning.shipped`); of the user's own nothing does.
    others : tuple of str or None
        Other exposures of the detector, in order of time. None: it takes none.
    collected : str
        The name of the `Collection` that it takes; empty: it takes none.
    """

    name: str
    keyword: str
    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_class: str = ""
    inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    others: tuple[str, ...] | None = None
    collected: str = ""

    @property
    def pixels_keyword(self) -> str:
        """The keyword of how many pixels it has changed."""
        return pixels_keyword(self.keyword)

    @property
    def is_own(self) -> bool:
        """Whether it is a function of the user's own."""
        return not self.parameter_class


@dataclass(frozen=True)
class Cleaning:
    """The extra steps of an exposure at one place, which are one job.

    Attributes
    ----------
    root : str
        Beginning of the name of what is made.
    place : str
        ``rate``, before stage 2, or ``cal``, before stage 3.
    source : str
        The exposure, a file of the user or a product of stage 2.
    size : int
        Number of its pixels.
    steps : tuple of PlannedStep
        In their order.
    images : tuple of str
        Names that the extension with its pixels may have.
    facts : mapping of str to object
        Keywords of the exposure that were made of others.
    geometry : str
        The file that says where its pixels lie on the sky; empty: there is none.
    """

    root: str
    place: str
    source: str
    size: int
    steps: tuple[PlannedStep, ...]
    images: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    geometry: str = ""

    @property
    def name(self) -> str:
        """The name of what is made, without its extension."""
        return cleaned_name(self.root, self.place)


@dataclass(frozen=True)
class Collection:
    """What a step gets that is made once of several exposures.

    Attributes
    ----------
    name : str
        Beginning of its file name.
    step : str
        The name of the step.
    place : str
        ``rate`` or ``cal``.
    function : str
        As ``module:function``; of the user's own, ``file.py:function``.
    members : tuple of str
        The exposures, in order of time.
    size : int
        Number of the pixels of the largest of them.
    images : tuple of str
        Names that the extension with the pixels may have.
    parameters : mapping of str to object
        Of the step.
    parameter_class : str
        As of `PlannedStep`.
    """

    name: str
    step: str
    place: str
    function: str
    members: tuple[str, ...]
    size: int
    images: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_class: str = ""


def collection_file(folder: str, name: str) -> str:
    """Return the path of a collection.

    Parameters
    ----------
    folder : str
        Of stage 2.
    name : str
        Of the collection.
    """
    return f"{folder}/collected/{name}.fits"


def cleaned_name(root: str, place: str) -> str:
    """Return the name of an exposure after its extra steps, without extension.

    Parameters
    ----------
    root : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.
    """
    return f"{root}_{place}_clean"
