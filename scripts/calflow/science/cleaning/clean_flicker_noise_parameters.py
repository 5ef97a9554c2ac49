"""How stripes of 1/f noise are measured: the parameters of `clean_flicker_noise`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.dq_flags import bad_pixels
from calflow.science.parameters import Length, Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class FlickerCleaning:
    """How stripes of 1/f noise are measured.

    Attributes
    ----------
    fit_method : {"stripes", "median"}
        How: apart from sources of any size, or as jwst does.
    fit_by_channel : bool
        Whether amplifiers have levels of their own.
    channels : int
        How many amplifiers read a full line.
    lines : {"readout", "rows", "columns"}
        Along what the stripes are.
    dqbits : str
        Mask expression: pixels that it calls bad are not used. They are cleaned.
    apply_flat_field : bool
        Whether the flat is used, which tells stripes from the response times the sky.
    box_size : int
        Side of the blocks, pixels.
    snr_threshold : float
        Of sources, in standard deviations of the noise on their scale.
    wide : bool or None
        Whether stripes wider than a block are taken off, too; None: if a flat is given.
    background_method : {"median", "model", "none"}
        What is taken off before the medians of lines, and put back.
    background_box_size : tuple of int or None
        Rows and columns of the boxes of ``model``.
    n_sigma : float
        Pixels so many standard deviations away are not used; 0: all are.
    fit_histogram : bool
        Whether the scatter comes from a Gaussian fitted to the histogram.
    """

    fit_method: Annotated[
        Literal["stripes", "median"], "stripes: apart from sources of all sizes; median: of lines, as jwst"
    ] = "stripes"
    fit_by_channel: Annotated[bool, "levels for each amplifier (SUBARRAY is FULL)"] = False
    channels: Annotated[int, Range(ge=1, le=64), "amplifiers that read a line, of as many pixels each"] = 4
    lines: Annotated[
        Literal["readout", "rows", "columns"], "stripes along rows, columns, or as SLOWAXIS says (readout)"
    ] = "readout"
    dqbits: Annotated[str, "pixels that are used"] = "~DO_NOT_USE+SATURATED+JUMP_DET+NON_SCIENCE+HOT+REFERENCE_PIXEL"
    apply_flat_field: Annotated[bool, "use the flat of stage 2, or that in inputs"] = True
    box_size: Annotated[int, Range(ge=4, le=512), "stripes: side of blocks, pixels; narrower stripes go anyway"] = 16
    snr_threshold: Annotated[float, Range(gt=0), "stripes: of sources, sigma"] = 3.0
    wide: Annotated[bool | None, "stripes: those wider than blocks, too; null: if a flat is given"] = None
    background_method: Annotated[
        Literal["median", "model", "none"], "median: what is taken off first, and put back"
    ] = "median"
    background_box_size: Annotated[
        tuple[int, ...] | None, Length(2, 2), Range(ge=1), "median: rows, columns of the boxes of model; null: <= 32"
    ] = None
    n_sigma: Annotated[float, Range(ge=0), "median: pixels so many sigma away are not used; 0: all are"] = 2.0
    fit_histogram: Annotated[bool, "median: sigma from a fit to the histogram"] = False

    def __post_init__(self):
        check_parameters(self)
        bad_pixels_of_none(self.dqbits)


def bad_pixels_of_none(expression: str) -> None:
    """Refuse a mask expression that is none.

    Parameters
    ----------
    expression : str

    Raises
    ------
    ValueError
        If it has a name that is no flag.
    """
    import numpy as np

    bad_pixels(np.zeros(0, np.uint32), expression)
