"""What is planned of extra steps: which of them an exposure goes through, at which place, with what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calflow.science.cleaning.shipped import StepOfExposure


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
    steps : tuple of StepOfExposure
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
    steps: tuple[StepOfExposure, ...]
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
        As of `StepOfExposure`.
    lights : tuple of str
        Of each exposure the file with the light of its sources, ``_sources.fits``; empty: there is none. No such files:
        none of them is wanted.
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
    lights: tuple[str, ...] = ()


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
