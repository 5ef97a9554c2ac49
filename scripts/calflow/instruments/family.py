"""What an instrument family is: the facts in which one telescope's exposures differ from another's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from string import Formatter
from typing import Any, NamedTuple

# Types of parameter references by stage, under the names that ``strun`` has for its steps; the later win.
PARAMETER_TYPES: Mapping[str, Sequence[str]] = {
    "stage2": (
        "pars-backgroundstep",
        "pars-assignwcsstep",
        "pars-flatfieldstep",
        "pars-photomstep",
        "pars-resamplestep",
        "pars-image2pipeline",
    ),
    "stage3": (
        "pars-tweakregstep",
        "pars-skymatchstep",
        "pars-outlierdetectionstep",
        "pars-resamplestep",
        "pars-sourcecatalogstep",
        "pars-image3pipeline",
    ),
}


class Use(Enum):
    """What becomes of a step in a variant of the pipeline."""

    RUN = "run"
    SKIP = "skip"  # left out on purpose: recorded as SKIPPED
    ABSENT = "absent"  # no part of this variant: nothing is recorded


@dataclass(frozen=True)
class Step:
    """A step of stage 2, and which of several ways of doing it a family takes.

    Attributes
    ----------
    name : str
        As in the configuration, such as ``flat_field``.
    rule : str
        A name that `calflow.calibration.work` has, such as ``variance``; or a function, as ``module:function``, for a
        step that no other family has. Its status is recorded as S_ and the first six letters of its name; one that has
        no section in the configuration cannot be skipped.
    """

    name: str
    rule: str


@dataclass(frozen=True)
class Layout:
    """How a file holds an exposure.

    Attributes
    ----------
    image : str
        The extension with the pixels; ``PRIMARY``: they are in the primary HDU.
    required : sequence of str
        Other planes that it must have, by their extensions; missing ones are zero.
    integers : bool
        Whether the pixels may be integers, as counts are.
    """

    image: str = "SCI"
    required: Sequence[str] = ("ERR", "DQ", "VAR_POISSON", "VAR_RNOISE")
    integers: bool = False


@dataclass(frozen=True)
class BackgroundRules:
    """What a background exposure must have in common with the science exposure.

    Attributes
    ----------
    same : sequence of str
        Keywords in which they agree.
    same_dimensions : bool
        Whether both have integrations, or neither.
    covers : bool
        Whether the background has all the detector pixels of the science exposure, and all backgrounds of it
        one window; else an overlap is enough.
    """

    same: Sequence[str]
    same_dimensions: bool = True
    covers: bool = False


@dataclass(frozen=True)
class Variant:
    """A variant of stage 2: the exposures it is for and what it does with them.

    Attributes
    ----------
    name : str
    exp_types : frozenset of str
        Values of EXP_TYPE; empty: any.
    keyword, contains : str
        If given, the exposure's keyword must contain this text (compared as text, T and F for logicals).
    background, resample : Use
        Whether the background is subtracted (from exposures that have background members), and
        whether 2-D exposures get a quick look.
    """

    name: str
    exp_types: frozenset[str] = frozenset()
    keyword: str = ""
    contains: str = ""
    background: Use = Use.RUN
    resample: Use = Use.ABSENT

    def applies(self, header: Mapping[str, Any]) -> bool:
        """Tell whether an exposure with these keywords is of this variant.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        value = header.get(self.keyword)
        text = ("T" if value else "F") if isinstance(value, bool) else str(value or "")
        return (not self.exp_types or header.get("EXP_TYPE") in self.exp_types) and self.contains in text


@dataclass(frozen=True)
class RowMatch:
    """How a row of a reference table is chosen: an ordered list of alternatives.

    Attributes
    ----------
    alternatives : sequence of mappings of column to keyword or literal
        Tried in order. A value in quotes (``'GENERIC'``) is literal, otherwise it names a keyword.
    optional : frozenset of str
        Columns that some files do not have; then they do not select.
    """

    alternatives: Sequence[Mapping[str, str]]
    optional: frozenset[str] = frozenset()

    def wanted(self, header: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the alternatives with the exposure's values in place of the keywords.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        return [
            {
                column: source[1:-1] if source.startswith("'") else str(header.get(source, "")).strip().upper()
                for column, source in alternative.items()
            }
            for alternative in self.alternatives
        ]


@dataclass(frozen=True)
class ReferenceType:
    """A type of reference file.

    Attributes
    ----------
    keyword : str
        Header keyword that records the file used, such as R_FLAT.
    step : str
        The step that needs it.
    selectors : mapping of instrument to keywords
        Keywords by which a file is chosen, besides the date.
    required : frozenset of instruments
        Instruments that cannot do without it.
    optional : bool
        Without a file its step fails, and nothing else does.
    asdf : bool
        The file is ASDF, not FITS.
    planes : tuple of str
        Extensions it has besides SCI; None: it holds no image.
    """

    keyword: str
    step: str
    selectors: Mapping[str, tuple[str, ...]]
    required: frozenset[str] = frozenset()
    optional: bool = False
    asdf: bool = False
    planes: tuple[str, ...] | None = None


class Band(NamedTuple):
    """The light that an exposure has taken.

    Attributes
    ----------
    name : str
        Of the filter; empty: there is none.
    wavelength : float or None
        Micrometres, about the middle; None: not known.
    """

    name: str
    wavelength: float | None


def filter_alone(header: Mapping[str, Any]) -> Band:
    """Return the filter that FILTER names, of which no wavelength is known.

    Parameters
    ----------
    header : mapping of str to object
        Keywords of the exposure.
    """
    return Band(str(header.get("FILTER") or "").strip(), None)


@dataclass(frozen=True)
class Family:
    """One instrument family.

    Attributes
    ----------
    telescopes : sequence of str
        Values of TELESCOP that name it, in upper case.
    observatories : sequence of str
        Its names in CRDS.
    servers : mapping of observatory to str
        Their CRDS servers, as far as they are known.
    instruments : mapping of INSTRUME to the full detector's (ny, nx)
    layouts : sequence of Layout
        Of its files; the first whose image extension a file has counts.
    steps : sequence of Step
        The steps of stage 2 in the order in which they run. One that stands there twice runs where its rule is the
        one that the configuration asks for.
    count_rate_units : sequence of str
        Values of BUNIT of exposures that stage 2 takes, in any case; the first is meant where there is none.
    variants : sequence of Variant
        The first that applies counts.
    references : mapping of type to ReferenceType
    parameter_types : mapping of stage to sequence of str
        Types of parameter references; the later win.
    parameter_selectors : sequence of str
        Keywords by which parameter references in a folder may be restricted.
    unused_references : sequence of str
        Keywords of types that are recorded, as N/A, though imaging never uses them.
    crds_names : mapping of keyword to the name that CRDS selects on
    required_keywords : sequence of str
        What an exposure cannot be calibrated without.
    background : BackgroundRules
    photom_rows, filter_offsets : mapping of instrument to RowMatch
        How the row of the photom table and of the filter offsets is chosen; None: there is nothing to choose by.
    aperture_corrections, ab_vega_offsets : mapping of instrument to RowMatch
        How the rows of the APCORR table and of the AB to Vega offsets are chosen.
    light_path : sequence of str
        Keywords in which the exposures of one combination must agree.
    group_id : str
        Which exposures were taken at once, by different detectors: keywords in braces.
    moving_target : (keyword, value)
        What tells an exposure that followed a moving target.
    target_position : (keyword, keyword)
        Right ascension and declination of a moving target at the middle of the exposure.
    known_values : mapping of instrument to mapping of keyword to values
        What a keyword may say, to name the cause when no reference fits an exposure; empty: anything.
    no_photom_cubes : frozenset of instruments
        Instruments whose 3-D exposures photom leaves in DN/s.
    spectroscopic : sequence of str
        Values of EXP_TYPE, with ``*`` for anything, that are of spectrographs: calflow does not do them.
    calibrations : sequence of str
        Values of EXP_TYPE, with ``*`` for anything, that are of darks, flats and lamps.
    reference_telescopes : sequence of str
        Values of TELESCOP of reference files, beside `telescopes`.
    derived_keywords : mapping of keyword to function
        Makes the keyword of others, where an exposure has not got it; None: it cannot.
    redefined_keywords : sequence of str
        Those of them that are made in any case: in the family's own files they have another meaning.
    source_keywords : sequence of str
        What these functions look at.
    wcs_correction : str
        The function that puts the correction of a pointing into a gwcs, as ``module:function``; the default does so
        with TAN projections.
    records_idle_steps : bool
        Whether a step that has nothing to do is recorded as SKIPPED; else nothing is.
    band : callable
        From the keywords of an exposure to its `Band`.
    """

    telescopes: Sequence[str]
    observatories: Sequence[str]
    instruments: Mapping[str, tuple[int, int]]
    layouts: Sequence[Layout]
    steps: Sequence[Step]
    count_rate_units: Sequence[str]
    variants: Sequence[Variant]
    references: Mapping[str, ReferenceType]
    required_keywords: Sequence[str]
    photom_rows: Mapping[str, RowMatch]
    light_path: Sequence[str]
    background: BackgroundRules = BackgroundRules(same=())
    unused_references: Sequence[str] = ()
    crds_names: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)
    parameter_types: Mapping[str, Sequence[str]] = field(default_factory=lambda: PARAMETER_TYPES)
    parameter_selectors: Sequence[str] = ("EXP_TYPE", "FILTER", "PUPIL", "DETECTOR", "SUBARRAY", "TSOVISIT", "VISITYPE")
    filter_offsets: Mapping[str, RowMatch] = field(default_factory=dict)
    aperture_corrections: Mapping[str, RowMatch] = field(default_factory=dict)
    ab_vega_offsets: Mapping[str, RowMatch] = field(default_factory=dict)
    group_id: str = ""
    moving_target: tuple[str, str] = ("TARGTYPE", "MOVING")
    target_position: tuple[str, str] = ("MT_RA", "MT_DEC")
    known_values: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    no_photom_cubes: frozenset[str] = frozenset()
    spectroscopic: Sequence[str] = ()
    calibrations: Sequence[str] = ()
    reference_telescopes: Sequence[str] = ()
    derived_keywords: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    redefined_keywords: Sequence[str] = ()
    source_keywords: Sequence[str] = ()
    wcs_correction: str = "calflow.science.geometry.wcs_correction:correct_wcs"
    records_idle_steps: bool = False
    band: Callable[[Mapping[str, Any]], Band] = filter_alone

    @property
    def step_names(self) -> tuple[str, ...]:
        """The steps by name, each once."""
        return tuple(dict.fromkeys(step.name for step in self.steps))

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the extension with the pixels: in products, then in the layouts of its own files."""
        return tuple(dict.fromkeys(["SCI", *(layout.image for layout in self.layouts)]))

    def rules_of(self, name: str) -> tuple[str, ...]:
        """Return the ways in which a step can be done.

        Parameters
        ----------
        name : str
            Of the step.
        """
        return tuple(step.rule for step in self.steps if step.name == name)

    def derived(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords that are made of others: where the exposure has none, or one with another meaning.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        missing = [
            keyword
            for keyword in self.derived_keywords
            if header.get(keyword) in (None, "") or keyword in self.redefined_keywords
        ]
        found = {keyword: self.derived_keywords[keyword](header) for keyword in missing}
        return {keyword: value for keyword, value in found.items() if value is not None}

    def variant(self, header: Mapping[str, Any]) -> Variant | None:
        """Return the variant of an exposure, or None if its type is not imaging.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        return next((variant for variant in self.variants if variant.applies(header)), None)

    def group_keywords(self) -> tuple[str, ...]:
        """Return the keywords that `group_id` is made of."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.group_id) if name)

    def group_of(self, header: Mapping[str, Any]) -> str | None:
        """Return the name of the group of exposures that were taken at once, or None if a keyword is missing.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        values = {keyword: header.get(keyword) for keyword in self.group_keywords()}
        return None if None in values.values() or "" in values.values() else self.group_id.format(**values)

    def is_moving(self, header: Mapping[str, Any]) -> bool:
        """Tell whether an exposure followed a moving target.

        Parameters
        ----------
        header : mapping of str to object
            Keywords of the exposure.
        """
        keyword, value = self.moving_target
        return str(header.get(keyword, "")).strip().upper() == value
