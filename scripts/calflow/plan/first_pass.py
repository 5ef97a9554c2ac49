"""What is planned of a first pass: images of associations that tell where sources are, before masks of these are used.

Exposures and associations of the first pass are planned like all others, under names in a folder of their own, and made
by the same rules. They never depend on a mask, so nothing waits for itself.
"""

from dataclasses import dataclass
from pathlib import PurePath

from calflow.configuration.extra_steps import FOLDER_OF_FIRST

# What the names of the first pass begin with.
FIRST = f"{FOLDER_OF_FIRST}/"


@dataclass(frozen=True)
class SourceMask:
    """Where combined images have sources, in the pixels of an exposure.

    Attributes
    ----------
    exposure : str
        Root of the names of its products.
    source : str
        Whose images: the name of an association, or ``association`` for all that the exposure is in.
    images : tuple of (str, str)
        Names of associations whose images are looked at, each with that whose alignment places the exposure; empty: its
        header does.
    geometry : str
        Where the pixels of the exposure lie on the sky.
    calibrated : str
        The exposure as stage 2 has calibrated it, if the light of the images is wanted, too, in the unit that it had
        before. Empty: it is not.
    """

    exposure: str
    source: str
    images: tuple[tuple[str, str], ...]
    geometry: str
    calibrated: str = ""


def first_path(path: str) -> str:
    """Return the path of a product as it is in the first pass.

    Parameters
    ----------
    path : str
        Such as ``results/stage2/jw..._cal.fits``.
    """
    product = PurePath(path)
    return str(product.parent / FIRST / product.name)


def mask_file(folder: str, source: str, exposure: str) -> str:
    """Return the path of a mask.

    Parameters
    ----------
    folder : str
        Of stage 2.
    source, exposure : str
        As of `SourceMask`.
    """
    return f"{folder}/masks/{source}/{exposure}_sources.fits"
