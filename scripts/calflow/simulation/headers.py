"""Headers of simulated exposures: the keywords of the archive's count-rate files, in its groups and order."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits

from calflow.science.windows import Window
from calflow.simulation.exposure import Exposure
from calflow.simulation.geometry import Geometry, telescope_axis
from calflow.simulation.scene import Scene

# Which stage-1 steps an instrument's exposures have been through.
STAGE1_STEPS = {
    "MIRI": "S_DARK S_DQINIT S_FRSTFR S_GANSCL S_JUMP S_LASTFR S_LINEAR S_RAMP S_RESET S_RSCD S_SATURA",
    "": "S_DARK S_DQINIT S_GANSCL S_JUMP S_LINEAR S_PERSIS S_RAMP S_REFPIX S_SATURA S_SUPERB",
}


def isoformat(moment: datetime) -> str:
    """Return a time as the archive's headers have it, to the millisecond.

    Parameters
    ----------
    moment : datetime
        UTC.
    """
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def primary_header(exposure: Exposure, scene: Scene) -> fits.Header:
    """Return the primary header of an exposure.

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    """
    groups: dict[str, list[tuple]] = {
        "": _file(exposure),
        "Program information": [
            ("TITLE", "Simulated field", "Proposal title"),
            ("PI_NAME", "Simulated", "Principal investigator name"),
            ("CATEGORY", "CAL", "Program category"),
        ],
        "Observation identifiers": _observation(exposure, scene),
        "Visit information": [
            ("VISITYPE", scene.visit_type, "Visit type"),
            ("VISITSTA", "SUCCESSFUL", "Status of a visit"),
            (
                "NEXPOSUR",
                scene.backgrounds if exposure.background else scene.exposures,
                "Exposures in the visit",
            ),
            ("TSOVISIT", scene.is_tso, "Time Series Observation visit indicator"),
        ],
        "Target information": _target(exposure, scene),
        "Instrument configuration information": _instrument(exposure),
        "Exposure parameters": _exposure_parameters(exposure, scene),
        "Subarray parameters": _subarray(exposure, scene),
        "Dither information": _dither(exposure, scene),
        "Aperture information": [
            ("APERNAME", exposure.instrument.aperture, "PRD science aperture used"),
            ("PPS_APER", exposure.instrument.aperture, "Original aperture name supplied by PPS"),
        ],
        "Velocity aberration correction information": [
            ("VA_RA", exposure.nominal.ra, "[deg] Velocity aberrated reference RA"),
            ("VA_DEC", exposure.nominal.dec, "[deg] Velocity aberrated reference Dec"),
        ],
        "CRDS parameters": [
            ("CRDS_VER", "11.16.14", "Version of CRDS file selection software used"),
            ("CRDS_CTX", "jwst_1039.pmap", "CRDS context (.pmap) used to select ref files"),
        ],
        "Calibration step information": [
            (keyword, "COMPLETE", "Status of a stage-1 step")
            for keyword in STAGE1_STEPS.get(scene.preset.instrument, STAGE1_STEPS[""]).split()
        ],
    }
    return _grouped(groups)


def science_header(exposure: Exposure, scene: Scene) -> fits.Header:
    """Return the header of the SCI extension, with the pointing as the spacecraft believed it to be.

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    """
    times = exposure.times
    groups: dict[str, list[tuple]] = {
        "": [
            ("MJD-BEG", times.start_mjd, "[d] exposure start time in MJD"),
            ("MJD-AVG", times.middle_mjd, "[d] exposure mid time in MJD"),
            ("MJD-END", times.end_mjd, "[d] exposure end time in MJD"),
            ("XPOSURE", times.duration, "[s] Effective exposure time"),
            ("TELAPSE", times.duration * 1.02, "[s] Total elapsed exposure time"),
            (
                "PA_APER",
                (exposure.nominal.roll + exposure.instrument.v3i_yang) % 360,
                "[deg] Position angle of aperture",
            ),
            ("VA_SCALE", exposure.geometry.velocity_scale, "Velocity aberration scale factor"),
            ("BUNIT", "DN/s", "physical units of the array values"),
        ],
        "Information about the coordinates in the file": [
            ("RADESYS", "ICRS", "Name of the coordinate reference frame")
        ],
        "Spacecraft pointing information": _spacecraft(exposure),
        "WCS parameters": _world_coordinates(exposure),
    }
    return _grouped(groups)


def linear_wcs(exposure: Exposure) -> list[tuple]:
    """Return the cards of the TAN projection that holds at the reference point of the header's pointing.

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    """
    preset, window, nominal = exposure.instrument, exposure.geometry.window, exposure.nominal
    angle = np.radians(nominal.roll + preset.v3i_yang)
    cosine, sine, parity = float(np.cos(angle)), float(np.sin(angle)), preset.vparity
    return [
        ("WCSAXES", 3 if exposure.times.nints else 2, "number of World Coordinate System axes"),
        ("CRPIX1", preset.x_reference - (window.xstart - 1), "axis 1 coordinate of the reference pixel"),
        ("CRPIX2", preset.y_reference - (window.ystart - 1), "axis 2 coordinate of the reference pixel"),
        ("CRVAL1", nominal.ra, "first axis value at the reference pixel"),
        ("CRVAL2", nominal.dec, "second axis value at the reference pixel"),
        ("CTYPE1", "RA---TAN", "first axis coordinate type"),
        ("CTYPE2", "DEC--TAN", "second axis coordinate type"),
        ("CUNIT1", "deg", "first axis units"),
        ("CUNIT2", "deg", "second axis units"),
        ("CDELT1", preset.x_scale / 3600, "first axis increment per pixel"),
        ("CDELT2", preset.y_scale / 3600, "second axis increment per pixel"),
        ("PC1_1", parity * cosine, "linear transformation matrix element"),
        ("PC1_2", sine, "linear transformation matrix element"),
        ("PC2_1", -parity * sine, "linear transformation matrix element"),
        ("PC2_2", cosine, "linear transformation matrix element"),
    ]


def _grouped(groups: dict[str, list[tuple]]) -> fits.Header:
    header = fits.Header()
    for title, cards in groups.items():
        if title:
            for line in ("", f"      {title}", ""):
                header.append(("", line), bottom=True)
        for card in cards:
            header.append(card, bottom=True)
    return header


def _file(exposure: Exposure) -> list[tuple]:
    return [
        ("DATE", isoformat(exposure.times.end + timedelta(days=1)), "UTC date file created"),
        ("ORIGIN", "STSCI", "Organization responsible for creating file"),
        ("TIMESYS", "UTC", "Principal time system for time-related keywords"),
        ("TIMEUNIT", "s", "Default unit applicable to all time values"),
        ("FILENAME", exposure.filename, "Name of the file"),
        ("FILETYPE", "countrate", "Type of data in the file"),
        ("SDP_VER", "simulated", "Data processing software version number"),
        ("CAL_VER", "1.9.4", "Calibration software version number"),
        ("CAL_VCS", "RELEASE", "Calibration software version control"),
        ("DATAMODL", "CubeModel" if exposure.times.nints else "ImageModel", "Type of data model"),
        ("TELESCOP", "JWST", "Telescope used to acquire the data"),
    ]


def _observation(exposure: Exposure, scene: Scene) -> list[tuple]:
    times = exposure.times
    visit = f"{scene.program}{exposure.observation:03d}001"
    return [
        ("DATE-OBS", isoformat(times.start)[:10], "[yyyy-mm-dd] UTC date at start of exposure"),
        ("TIME-OBS", isoformat(times.start)[11:], "[hh:mm:ss.sss] UTC time at start of exposure"),
        ("DATE-BEG", isoformat(times.start), "Date-time start of exposure"),
        ("DATE-END", isoformat(times.end), "Date-time end of exposure"),
        ("OBS_ID", f"V{visit}P0000000002101", "Programmatic observation identifier"),
        ("VISIT_ID", visit, "Visit identifier"),
        ("PROGRAM", scene.program, "Program number"),
        ("OBSERVTN", f"{exposure.observation:03d}", "Observation number"),
        ("VISIT", "001", "Visit number"),
        ("VISITGRP", "02", "Visit group identifier"),
        ("SEQ_ID", "1", "Parallel sequence identifier"),
        ("ACT_ID", "01", "Activity identifier"),
        ("EXPOSURE", f"{exposure.number}", "Exposure request number"),
        ("BKGDTARG", exposure.background, "Background target"),
        ("TEMPLATE", "Imaging", "Observation template used"),
    ]


def _target(exposure: Exposure, scene: Scene) -> list[tuple]:
    name = "SIMULATED-BACKGROUND" if exposure.background else "SIMULATED-FIELD"
    return [
        ("TARGPROP", name, "Proposer's name for the target"),
        ("TARGNAME", name, "Standard astronomical catalog name for target"),
        ("TARGTYPE", "FIXED", "Type of target (fixed, moving, generic)"),
        ("TARG_RA", exposure.nominal.ra if exposure.background else scene.ra, "[deg] Target RA"),
        ("TARG_DEC", exposure.nominal.dec if exposure.background else scene.dec, "[deg] Target Dec"),
    ]


def _instrument(exposure: Exposure) -> list[tuple]:
    preset = exposure.instrument
    cards = [
        ("INSTRUME", preset.instrument, "Instrument used to acquire the data"),
        ("DETECTOR", preset.detector, "Name of detector used to acquire the data"),
        ("MODULE", preset.module, "NIRCam module: A or B"),
        ("CHANNEL", preset.channel, "Instrument channel"),
        ("FILTER", preset.filter, "Name of the filter element used"),
        ("PUPIL", preset.pupil, "Name of the pupil element used"),
    ]
    return [card for card in cards if card[1]]


def _exposure_parameters(exposure: Exposure, scene: Scene) -> list[tuple]:
    times, groups = exposure.times, 10
    group_time = times.integration_time / groups
    return [
        ("EXP_TYPE", scene.exposure_type, "Type of data in the exposure"),
        ("EXPSTART", times.start_mjd, "[d] exposure start time in MJD"),
        ("EXPMID", times.middle_mjd, "[d] exposure mid time in MJD"),
        ("EXPEND", times.end_mjd, "[d] exposure end time in MJD"),
        ("READPATT", scene.preset.readpatt, "Readout pattern"),
        ("NOUTPUTS", 4, "Number of output amplifiers used"),
        ("NINTS", max(times.nints, 1), "Number of integrations in exposure"),
        ("INTSTART", 1, "Starting integration number in this segment"),
        ("INTEND", max(times.nints, 1), "Ending integration number in this segment"),
        ("NGROUPS", groups, "Number of groups in integration"),
        ("NFRAMES", 1, "Number of frames per group"),
        ("GROUPGAP", 0, "Number of frames dropped between groups"),
        ("TFRAME", group_time, "[s] Time between frames"),
        ("TGROUP", group_time, "[s] Time between groups"),
        ("EFFINTTM", times.integration_time, "[s] Effective integration time"),
        ("EFFEXPTM", times.duration, "[s] Effective exposure time"),
        ("TMEASURE", times.duration * (groups - 1) / groups, "[s] Exposure time from first to last read"),
        ("DURATION", times.duration * 1.02, "[s] Total duration of exposure"),
    ]


def window_cards(window: Window, slow_axis: int = 2) -> list[tuple]:
    """Return where the pixels of a file are on the detector.

    Parameters
    ----------
    window : Window
        Pixels of the detector.
    slow_axis : {1, 2, -1, -2}
        Along which axis lines follow each other in the readout.
    """
    return [
        ("SUBSTRT1", window.xstart, "Starting pixel in axis 1 direction"),
        ("SUBSTRT2", window.ystart, "Starting pixel in axis 2 direction"),
        ("SUBSIZE1", window.nx, "Number of pixels in axis 1 direction"),
        ("SUBSIZE2", window.ny, "Number of pixels in axis 2 direction"),
        ("FASTAXIS", 3 - abs(slow_axis), "Fast readout axis direction"),
        ("SLOWAXIS", slow_axis, "Slow readout axis direction"),
    ]


def _subarray(exposure: Exposure, scene: Scene) -> list[tuple]:
    window = exposure.geometry.window
    full = window == scene.full_frame
    return [
        ("SUBARRAY", "FULL" if full else scene.subarray or scene.preset.subarray, "Subarray used"),
        *window_cards(window, scene.artefacts.slow_axis),
    ]


def _dither(exposure: Exposure, scene: Scene) -> list[tuple]:
    return [
        ("PATTTYPE", "NONE" if scene.exposures == 1 else scene.preset.pattern, "Primary dither pattern type"),
        ("PATT_NUM", exposure.number, "Position number in primary pattern"),
        (
            "NUMDTHPT",
            scene.backgrounds if exposure.background else scene.exposures,
            "Number of points in pattern",
        ),
        ("XOFFSET", exposure.dither[0], "[arcsec] x offset from pattern start"),
        ("YOFFSET", exposure.dither[1], "[arcsec] y offset from pattern start"),
    ]


def _believed_geometry(exposure: Exposure) -> Geometry:
    geometry = exposure.geometry
    return Geometry(geometry.optics, geometry.window, exposure.nominal, geometry.velocity_scale)


def _spacecraft(exposure: Exposure) -> list[tuple]:
    ra, dec, angle = telescope_axis(_believed_geometry(exposure).attitude())
    return [
        ("RA_V1", ra, "[deg] RA of telescope V1 axis"),
        ("DEC_V1", dec, "[deg] Dec of telescope V1 axis"),
        ("PA_V3", angle, "[deg] Position angle of telescope V3 axis"),
    ]


def _world_coordinates(exposure: Exposure) -> list[tuple]:
    """Return the linear TAN approximation and the reference point of the full transform."""
    preset, nominal = exposure.instrument, exposure.nominal
    corners = zip(*_believed_geometry(exposure).corners(), strict=True)
    polygon = " ".join(f"{ra:.9f} {dec:.9f}" for ra, dec in corners)
    return [
        *linear_wcs(exposure),
        ("S_REGION", f"POLYGON ICRS  {polygon}", "spatial extent of the observation"),
        ("V2_REF", preset.v2_ref, "[arcsec] Telescope V2 of the reference point"),
        ("V3_REF", preset.v3_ref, "[arcsec] Telescope V3 of the reference point"),
        ("VPARITY", preset.vparity, "Relative sense of rotation, Ideal and V2V3"),
        ("V3I_YANG", preset.v3i_yang, "[deg] Angle from V3 axis to Ideal y axis"),
        ("RA_REF", nominal.ra, "[deg] Right ascension of the reference point"),
        ("DEC_REF", nominal.dec, "[deg] Declination of the reference point"),
        ("ROLL_REF", nominal.roll % 360, "[deg] V3 roll angle at the reference point"),
    ]
