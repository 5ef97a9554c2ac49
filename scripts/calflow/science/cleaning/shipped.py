"""The cleaning steps that calflow has, by name: what the configuration can ask for in `extra_steps`.

One entry makes a step known to the configuration, its schema and pages, the plan and the jobs. Functions and parameters
are named, not imported: planning loads the parameters of the steps that are asked for, a job their functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

RATE, CAL = "rate", "cal"
# What becomes of a file that a step takes: the array of its image as float32; those of a template, one or more, for the
# place of the step; all its arrays by name; its text; or, of a flat of stage 2, the response of the pixels of the
# exposure, NaN where it is not known. Of a file that has LIGHT beside a mask of sources, that.
IMAGE, TEMPLATE, ARRAYS, TEXT, RESPONSE = "image", "template", "arrays", "text", "response"
# What combined images of a first pass can give: the image, not 0 where a source is, and their light.
SOURCES, LIGHT = "sources", "light"
# Which exposures are looked at together: those of a detector, or of each detector those of one filter.
DETECTOR, FILTER = "detector", "filter"
# Which other exposures a step takes: those of the same detector that began before.
EARLIER = "earlier"


@dataclass(frozen=True)
class Shipped:
    """A cleaning step.

    Attributes
    ----------
    function : str
        As ``module:function``, in this folder: ``function(planes, parameters, facts, **inputs) -> Cleaned``.
    parameters : str
        The dataclass that declares its parameters, alike.
    places : tuple of str
        ``rate``, before stage 2, or ``cal``, before stage 3, or both.
    keyword : str
        Of its status; empty: S_ and the first six letters of its name in the configuration.
    inputs : mapping of str to str
        What becomes of the files that it takes, by role: ``image``, ``template``, ``arrays`` or ``text``. They are
        handed on by role.
    optional : tuple of str
        Those of them that it can do without: the function has a default for them.
    references : mapping of str to str
        Those of them that are the reference of that name which stage 2 uses for the exposure, if there is one and no
        other file is given; each with the parameter that asks for it.
    check : str
        A function alike, ``function(place, **inputs)``, that is called before any job with the inputs that are texts,
        and raises ValueError if they will not do. Empty: none.
    others : str
        Which other exposures it takes, as an argument of that name: an iterator over pairs of planes and facts, in
        order of time, one in memory at a time. Empty: none.
    reach : str
        The parameter that says how far back other exposures count, in seconds from their end to the beginning of the
        exposure: those that ended before are not read. Empty: all count.
    collect : str
        A function alike, ``collect(exposures, parameters)``, that is called once for all exposures of a detector that
        the step is for, with such an iterator, and returns arrays by name. They are the argument ``collected`` of the
        step. Empty: none.
    collect_by : str
        ``detector``, or ``filter`` if it looks at those of each filter apart, unless the configuration says so.
    instead : str
        The optional input, of arrays, that takes the place of what is collected: a file that another run has collected.
    leaves_out : bool
        Whether it leaves an exposure out of what was collected, where it is applied to that: the argument ``own`` is a
        function that returns the exposure as it was collected (`left_out.Own`).
    before_light : mapping of str to object
        Parameters that are other ones in the first pass, whose images tell the light that it takes off.
    collects_light : bool
        Whether it is `collect` that takes light of combined images off, as the argument ``lights``: an iterator over
        that of each exposure, None where it is not known. The step does not run in the first pass: what it does by
        itself to faint light would be in that.
    """

    function: str
    parameters: str
    places: tuple[str, ...] = (RATE, CAL)
    keyword: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    check: str = ""
    others: str = ""
    reach: str = ""
    collect: str = ""
    collect_by: str = DETECTOR
    instead: str = ""
    leaves_out: bool = False
    before_light: Mapping[str, Any] = field(default_factory=dict)
    collects_light: bool = False

    def parameter_class(self) -> Any:
        """Return the dataclass that declares its parameters."""
        return resolve_name(in_full(self.parameters))


@dataclass(frozen=True)
class StepOfExposure:
    """A step that an exposure goes through, as it is planned and as it is called.

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
        Files by role, each with what becomes of it of `Shipped`; of the user's own nothing does.
    others : tuple of str or None
        Other exposures of the detector, in order of time. None: it takes none.
    collected : str
        What it takes that is made once of several exposures: its name in the plan, its file in the job. Empty: none.
    mask_from : str
        Whose images tell where sources are: of an association, or ``association`` for those that the exposure is in;
        the mask is then one of `inputs`. Empty: none do.
    leaves_out : bool
        Of `Shipped`.
    takes_light : bool
        Whether their light is one of `inputs`, too.
    before_light : mapping of str to object
        Of `Shipped`.
    collects_light : bool
        Whether their light is taken by what is collected in place of `inputs`.
    """

    name: str
    keyword: str
    function: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_class: str = ""
    inputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    others: tuple[str, ...] | None = None
    collected: str = ""
    mask_from: str = ""
    leaves_out: bool = False
    takes_light: bool = False
    before_light: Mapping[str, Any] = field(default_factory=dict)
    collects_light: bool = False

    @property
    def pixels_keyword(self) -> str:
        """The keyword of how many pixels it has changed."""
        return pixels_keyword(self.keyword)

    @property
    def is_own(self) -> bool:
        """Whether it is a function of the user's own."""
        return not self.parameter_class


def pixels_keyword(keyword: str) -> str:
    """Return the keyword of how many pixels a step has changed.

    Parameters
    ----------
    keyword : str
        Of its status, such as S_MASK_R.
    """
    return f"N_{keyword.removeprefix('S_')}"


def in_full(name: str) -> str:
    """Return what is named as ``module:name`` of this folder as jobs name it.

    Parameters
    ----------
    name : str
    """
    return f"{__package__}.{name}"


SHIPPED = {
    "bad_pixels": Shipped(
        "bad_pixels:bad_pixels",
        "bad_pixels_parameters:BadPixels",
        keyword="S_BADPIX",
        inputs={"mask": ARRAYS},
        optional=("mask",),
        collect="bad_pixels:collect_bad_pixels",
        instead="mask",
    ),
    "clean_flicker_noise": Shipped(
        "clean_flicker_noise:clean_flicker_noise",
        "clean_flicker_noise_parameters:FlickerCleaning",
        places=(RATE,),
        keyword="S_CLNFNS",
        inputs={"user_mask": IMAGE, SOURCES: IMAGE, LIGHT: LIGHT, "flat": IMAGE},
        optional=("user_mask", SOURCES, LIGHT, "flat"),
        references={"flat": "apply_flat_field"},
        # Wide stripes that are measured wrongly, by light, cannot be told from light in the image.
        before_light={"wide": False},
    ),
    "mask_regions": Shipped(
        "mask_regions:mask_regions",
        "mask_regions_parameters:RegionMask",
        inputs={"regions": TEXT},
        check="regions:check_regions",
    ),
    "persistence": Shipped(
        "persistence:persistence",
        "persistence_parameters:Persistence",
        keyword="S_PERSIS",
        others=EARLIER,
        reach="time",
    ),
    "sky_flat": Shipped(
        "sky_flat:sky_flat",
        "sky_flat_parameters:SkyFlat",
        places=(CAL,),
        keyword="S_SKYFLT",
        inputs={"flat": ARRAYS},
        optional=("flat",),
        collect="sky_flat:collect_sky_flat",
        collect_by=FILTER,
        instead="flat",
        leaves_out=True,
        collects_light=True,
    ),
    "subtract_background_2d": Shipped(
        "subtract_background_2d:subtract_background_2d",
        "subtract_background_2d_parameters:BackgroundRemoval",
        places=(CAL,),
        inputs={SOURCES: IMAGE},
        optional=(SOURCES,),
    ),
    "subtract_own_template": Shipped(
        "subtract_template:subtract_own_template",
        "subtract_template_parameters:TemplateFit",
        inputs={"region": IMAGE, SOURCES: IMAGE},
        optional=("region", SOURCES),
        collect="template_making:make_template",
        collect_by=FILTER,
        leaves_out=True,
    ),
    "subtract_template": Shipped(
        "subtract_template:subtract_template",
        "subtract_template_parameters:TemplateFit",
        inputs={"template": TEMPLATE, "region": IMAGE, SOURCES: IMAGE},
        optional=("region", SOURCES),
    ),
}
