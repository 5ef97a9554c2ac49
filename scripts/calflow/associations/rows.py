"""An exposure as the rules see it: a row of a pool."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from calflow.instruments import exposure_kinds as kinds

# What a pool or a header writes for a value that is not given
NOT_GIVEN = frozenset(("", "null", "--", "n", "f", "false", "n/a"))
_SUFFIX = re.compile(r"_(?:uncal|rate|rateints|cal|calints)(?=\.\w+(?:\.gz)?$)")
_EXTENSION = re.compile(r"\.\w+(?:\.gz)?$")
# `wfsc` with something before and behind it
_WAVEFRONT_VISIT = re.compile(r".+wfsc.+")
_JITTER = "wfsc_los_jitter"


@dataclass(frozen=True)
class Candidate:
    """A reason to look at some exposures together, such as an observation.

    Attributes
    ----------
    id : str
        Such as ``o001``, ``c1000`` or ``a3001``.
    type : str
        Lower case, such as ``observation``, ``background``, ``mosaic``.
    """

    id: str
    type: str


@dataclass(frozen=True)
class Row:
    """One exposure.

    Attributes
    ----------
    filename : str
        As members are called after it.
    values : mapping of str to str
        By the columns of a pool, in lower case, such as ``{"exp_type": "mir_image"}``. What is not given is absent.
    candidates : tuple of Candidate
    """

    filename: str
    values: Mapping[str, str]
    candidates: tuple[Candidate, ...] = ()

    def __getitem__(self, column: str) -> str:
        """Return a value; empty if it is not given."""
        return self.values.get(column, "")

    @cached_property
    def exptype(self) -> str:
        """What the exposure is as a member: ``science``, ``background``, ``psf``, ``target_acquisition``..."""
        if self["pntgtype"] not in ("", "science"):
            return self["pntgtype"]
        if self["exp_type"] in kinds.ACQUISITIONS:
            return "target_acquisition"
        if self["exp_type"] in kinds.OTHER_KINDS:
            return kinds.OTHER_KINDS[self["exp_type"]]
        flags = {"is_psf": "psf", "is_imprt": "imprint", "bkgdtarg": "background"}
        return next((kind for flag, kind in flags.items() if self[flag]), "science")

    @property
    def is_pointed(self) -> bool:
        """Whether the telescope pointed for science, not for an acquisition or in parallel to something else."""
        return self["pntgtype"] in ("", "science")

    @cached_property
    def is_time_series(self) -> bool:
        """Whether the exposure is one of a time series."""
        # TSOVISIT is the one flag that any other text does not set.
        return self.is_pointed and (self["tsovisit"] == "t" or self["exp_type"] in kinds.TIME_SERIES)

    @property
    def is_background(self) -> bool:
        """Whether the target was declared a background."""
        return bool(self["bkgdtarg"])

    @property
    def is_wavefront_visit(self) -> bool:
        """Whether the visit was one of wavefront sensing."""
        return bool(_WAVEFRONT_VISIT.search(self["visitype"]))

    @property
    def is_jitter(self) -> bool:
        """Whether the exposure measured the jitter of the line of sight."""
        return self["dms_note"] == _JITTER

    @property
    def is_whole_detector(self) -> bool:
        """Whether the whole detector was read."""
        return self["subarray"] == "full"

    @property
    def sees_occulter(self) -> bool:
        """Whether the occulter of NIRCam's coronagraph is on the pixels that were read."""
        blind = kinds.WITHOUT_OCCULTER.get(self["pupil"], frozenset())
        return not (self.is_whole_detector and self["detector"] in blind)

    @cached_property
    def has_integrations(self) -> bool:
        """Whether the integrations are calibrated one by one (``_rateints``, ``_calints``)."""
        exp_type = self["exp_type"]
        if not self.is_pointed or self.exptype == "target_acquisition":
            return False
        if self.is_time_series or exp_type == kinds.INTERFEROMETRIC:
            return True
        return exp_type in kinds.CORONAGRAPHIC and (exp_type != "nrc_coron" or self.sees_occulter)

    @property
    def filter(self) -> str:
        """The filter, or the band of a spectrograph."""
        return self["filter"] or self["band"]

    @property
    def pupil(self) -> str:
        """The pupil, or the grating."""
        return self["pupil"] or self["grating"]

    @property
    def prefix(self) -> str:
        """What names of combined products begin with."""
        return kinds.PREFIXES.get(self["instrume"], "jw")

    def member(self, suffix: str) -> str:
        """Return the file name of the exposure with another suffix; a name without a known suffix is kept.

        Parameters
        ----------
        suffix : str
            Such as ``cal``.
        """
        return _SUFFIX.sub(f"_{suffix}", self.filename, count=1)

    @property
    def root(self) -> str:
        """The name without suffix and extension."""
        return _EXTENSION.sub("", _SUFFIX.sub("", self.filename, count=1))
