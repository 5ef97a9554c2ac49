"""The simulated instruments: optics, detector and exposure numbers of one filter each.

The numbers have the size of the real ones, so that the geometry, the noise and the look of the
images are like those of real exposures; they are not a calibration of the real instruments.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

SQUARE_ARCSEC_PER_STERADIAN = (180 / math.pi * 3600) ** 2


@dataclass(frozen=True)
class Instrument:
    """One detector behind one filter.

    Attributes
    ----------
    instrument, detector, exp_type, filter, pupil, channel, module : str
        Header values; an empty string leaves the keyword out.
    shape : (int, int)
        Rows and columns of the full frame.
    x_reference, y_reference : float
        Aperture reference point, 1-based pixel, to which `v2_ref`, `v3_ref` (arcsec) belong.
    x_scale, y_scale : float
        Pixel size at the reference point, arcsec.
    distortion_x, distortion_y : tuple of tuple of float
        Distortion by order, the second order first. The n-th order has n + 1 numbers, for
        x**n, x**(n-1)*y, ..., y**n: the displacement in pixels, with x and y in units of
        1000 pixels from the reference point.
    v3i_yang : float
        Angle from V3 to the detector's y axis, degrees.
    filter_offset : (float, float)
        Column and row offset of the filter, pixels.
    fwhm : float
        Full width at half maximum of the core of the point spread function, pixels.
    psf : tuple of (float, float)
        The Gaussians of the point spread function: part of the light, and width relative to the core.
    photmjsr : float
        MJy/sr per DN/s at the reference time.
    time_dependence : str
        Kind of the time-dependence table of the photom reference: linear, exponential or powerlaw; empty: none.
    sky : float
        Usual sky brightness, MJy/sr.
    sky_gradient : float
        Peak-to-peak variation of the background over the detector, as a part of the sky level.
    gain : float
        Electrons per DN.
    read_noise : float
        Noise of one integration without any light, DN; over the integration time it is in DN/s.
    integration_time : float
        Seconds.
    full_well : float
        DN at which a pixel saturates.
    border : (int, int)
        Width in pixels of the reference-pixel border: columns left and right, rows below and above.
    unlit : bool
        Whether the detector has opaque bars between fields, as MIRI's focal plane mask has.
    readpatt, pattern : str
        Readout pattern, and type of the dither pattern.
    subarray : str
        SUBARRAY of an exposure that is not full frame.
    others : tuple of str
        The detectors that expose together with this one and make a square with it: to the right
        of it, above it, and diagonally across.
    gap : int
        Pixels between the full frames of neighbouring detectors.
    """

    instrument: str
    detector: str
    aperture: str
    exp_type: str
    shape: tuple[int, int]
    x_reference: float
    y_reference: float
    x_scale: float
    y_scale: float
    distortion_x: tuple[tuple[float, ...], ...]
    distortion_y: tuple[tuple[float, ...], ...]
    v2_ref: float
    v3_ref: float
    v3i_yang: float
    fwhm: float
    photmjsr: float
    time_dependence: str
    sky: float
    gain: float
    read_noise: float
    integration_time: float
    full_well: float
    readpatt: str
    pattern: str
    subarray: str
    filter: str = ""
    pupil: str = ""
    channel: str = ""
    module: str = ""
    filter_offset: tuple[float, float] = (0.0, 0.0)
    sky_gradient: float = 0.0
    border: tuple[int, int] = (4, 4)
    unlit: bool = False
    vparity: int = -1
    abvega_offset: float = 1.5
    psf: tuple[tuple[float, float], ...] = ((0.8, 1.0), (0.2, 2.6))
    others: tuple[str, ...] = ()
    gap: int = 40

    @property
    def distortion_degree(self) -> int:
        """Degree of the distortion polynomials."""
        return len(self.distortion_x) + 1

    @property
    def pixel_area_arcsec2(self) -> float:
        """Area of the pixel at the reference point."""
        return self.x_scale * self.y_scale

    @property
    def pixel_area_sr(self) -> float:
        """The same in steradians."""
        return self.pixel_area_arcsec2 / SQUARE_ARCSEC_PER_STERADIAN

    @property
    def to_v2v3(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Matrix from the detector-aligned ("ideal") axes to V2, V3."""
        cosine, sine = math.cos(math.radians(self.v3i_yang)), math.sin(math.radians(self.v3i_yang))
        return (self.vparity * cosine, sine), (-self.vparity * sine, cosine)

    def beside(self, number: int) -> "Instrument":
        """Return another detector of the square of four, alike except for its name and place.

        Parameters
        ----------
        number : int
            0 for this one.
        """
        if number == 0:
            return self
        detector = self.others[number - 1]
        columns, rows = number % 2, number // 2
        x, y = (
            columns * (self.shape[1] + self.gap) * self.x_scale,
            rows * (self.shape[0] + self.gap) * self.y_scale,
        )
        (a, b), (c, d) = self.to_v2v3
        return replace(
            self,
            detector=detector,
            aperture=self.aperture.replace(self.detector, detector),
            v2_ref=self.v2_ref + a * x + b * y,
            v3_ref=self.v3_ref + c * x + d * y,
            others=(),
        )


_NEAR_INFRARED_X = (
    (0.31, -5.2, 1.4),
    (-0.36, 0.08, -0.41, 0.05),
    (0.021, -0.034, 0.012, 0.027, -0.016),
    (0.0031, -0.0022, 0.0047, 0.0019, -0.0028, 0.0013),
)
_NEAR_INFRARED_Y = (
    (2.7, -1.2, -2.4),
    (0.07, -0.39, 0.06, -0.34),
    (-0.018, 0.022, -0.031, 0.014, 0.025),
    (0.0024, 0.0036, -0.0017, 0.0029, 0.0011, -0.0033),
)
_nircam = partial(
    Instrument,
    instrument="NIRCAM",
    exp_type="NRC_IMAGE",
    shape=(2048, 2048),
    x_reference=1024.5,
    y_reference=1024.5,
    pupil="CLEAR",
    module="B",
    gain=2.0,
    read_noise=5.0,
    integration_time=1030.7,
    full_well=36000.0,
    readpatt="MEDIUM8",
    pattern="INTRAMODULE",
    subarray="SUB640",
)
_two_micron_slitless = partial(
    Instrument,
    shape=(2048, 2048),
    x_reference=1024.5,
    y_reference=1024.5,
    gain=1.6,
    integration_time=515.3,
    full_well=42000.0,
    pattern="IMAGING",
    subarray="SUB256",
    distortion_x=_NEAR_INFRARED_X,
    distortion_y=_NEAR_INFRARED_Y,
)

INSTRUMENTS = {
    "miri_f1130w": Instrument(
        instrument="MIRI",
        detector="MIRIMAGE",
        aperture="MIRIM_FULL",
        exp_type="MIR_IMAGE",
        filter="F1130W",
        shape=(1024, 1032),
        x_reference=693.5,
        y_reference=512.5,
        x_scale=0.1105,
        y_scale=0.1113,
        distortion_x=((0.8, -14.2, -1.3), (-4.6, 1.1, -3.9, 0.6), (1.9, -0.7, 1.2, 0.4, -0.9)),
        distortion_y=((-6.8, -3.1, -0.4), (0.9, -4.2, 0.7, -5.1), (-0.6, 1.4, -0.8, 1.1, 0.5)),
        v2_ref=-453.35,
        v3_ref=-373.67,
        v3i_yang=4.84,
        filter_offset=(-0.43, 0.28),
        fwhm=3.4,
        photmjsr=0.412,
        time_dependence="exponential",
        sky=38.0,
        sky_gradient=0.06,
        gain=3.1,
        read_noise=7.0,
        integration_time=111.0,
        full_well=52000.0,
        readpatt="FASTR1",
        pattern="4-POINT-SETS",
        subarray="SUB256",
        border=(4, 0),
        unlit=True,
        abvega_offset=5.2,
    ),
    "nircam_f200w": _nircam(
        detector="NRCB1",
        aperture="NRCB1_FULL",
        others=("NRCB2", "NRCB3", "NRCB4"),
        channel="SHORT",
        filter="F200W",
        x_scale=0.0307,
        y_scale=0.0308,
        distortion_x=_NEAR_INFRARED_X,
        distortion_y=_NEAR_INFRARED_Y,
        v2_ref=-122.43,
        v3_ref=-457.71,
        v3i_yang=0.345,
        filter_offset=(0.27, -0.19),
        fwhm=2.1,
        photmjsr=1.93,
        time_dependence="linear",
        sky=0.42,
        abvega_offset=1.69,
    ),
    "nircam_long": _nircam(
        detector="NRCBLONG",
        aperture="NRCB5_FULL",
        channel="LONG",
        filter="F444W",
        x_scale=0.0629,
        y_scale=0.0631,
        distortion_x=((-1.9, -11.6, 1.6), (-1.6, 0.3, -1.7, 0.2), _NEAR_INFRARED_X[2], _NEAR_INFRARED_X[3]),
        distortion_y=((4.9, -3.7, -7.0), (0.2, -1.7, 0.4, -1.5), _NEAR_INFRARED_Y[2], _NEAR_INFRARED_Y[3]),
        v2_ref=-89.40,
        v3_ref=-491.36,
        v3i_yang=0.023,
        filter_offset=(-0.11, 0.34),
        fwhm=2.3,
        photmjsr=0.396,
        time_dependence="powerlaw",
        sky=0.55,
        abvega_offset=3.23,
    ),
    "niriss_f200w": _two_micron_slitless(
        instrument="NIRISS",
        detector="NIS",
        aperture="NIS_CEN",
        exp_type="NIS_IMAGE",
        filter="CLEAR",
        pupil="F200W",
        x_scale=0.0653,
        y_scale=0.0658,
        v2_ref=-291.14,
        v3_ref=-698.02,
        v3i_yang=0.561,
        filter_offset=(0.15, 0.22),
        fwhm=1.6,
        photmjsr=0.243,
        time_dependence="linear",
        sky=0.40,
        read_noise=6.0,
        readpatt="NIS",
        abvega_offset=1.70,
    ),
    "fgs": _two_micron_slitless(
        instrument="FGS",
        detector="GUIDER1",
        aperture="FGS1_FULL",
        exp_type="FGS_IMAGE",
        x_scale=0.0684,
        y_scale=0.0699,
        v2_ref=206.41,
        v3_ref=-697.77,
        v3i_yang=-1.241,
        fwhm=1.6,
        photmjsr=0.118,
        time_dependence="linear",
        sky=0.38,
        read_noise=6.0,
        readpatt="FGS",
        abvega_offset=1.4,
    ),
}
