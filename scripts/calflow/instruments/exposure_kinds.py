"""What values of EXP_TYPE and PUPIL mean for associations, of all telescopes. All values are in lower case."""

_JWST_IMAGING = frozenset({"nrc_image", "mir_image", "nis_image", "fgs_image", "nrs_mimf"})
# Liger and IRIS; older files of theirs say no more than `any`.
_ADAPTIVE_OPTICS_IMAGING = frozenset({"iris_image", "liger_image", "any"})
IMAGING = _JWST_IMAGING | _ADAPTIVE_OPTICS_IMAGING
CORONAGRAPHIC = frozenset({"mir_4qpm", "mir_lyot", "nrc_coron"})
INTERFEROMETRIC = "nis_ami"
# Exposures whose subarrays are parts of full frames: a background of the full frame is one of theirs too
CUT_FROM_FULL = _ADAPTIVE_OPTICS_IMAGING
# What names of products begin with, by instrument; else ``jw``
PREFIXES = {"iris": "iris", "liger": "liger"}
# All that level 2 calibrates as an image, whatever is combined of it later
IMAGES = IMAGING | CORONAGRAPHIC | {INTERFEROMETRIC, "nrc_tsimage"}
# Time series by their type, whatever TSOVISIT says
TIME_SERIES = frozenset({"nrc_tsimage", "nrc_tsgrism", "nrs_brightobj"})
FINE_GUIDANCE = frozenset({"fgs_image", "fgs_focus"})

ACQUISITIONS = frozenset(
    "mir_tacq mir_taconfirm nis_tacq nis_taconfirm nrc_tacq nrc_taconfirm "
    "nrs_confirm nrs_msata nrs_tacq nrs_taconfirm nrs_taslit nrs_wata".split()
)
# Exposures that are neither science nor acquisition, by what members of their type are called
OTHER_KINDS = {
    "mir_dark": "dark",
    "mir_darkall": "dark",
    "mir_darkimg": "dark",
    "mir_darkmrs": "dark",
    "nis_dark": "dark",
    "nrc_dark": "dark",
    "nrs_dark": "dark",
    "fgs_dark": "dark",
    "mir_flatimage": "flat",
    "mir_flatimage-ext": "flat",
    "mir_flatmrs": "flat",
    "mir_flatmrs-ext": "flat",
    "nis_extcal": "flat",
    "nrc_flat": "flat",
    "fgs_skyflat": "flat",
    "fgs_intflat": "flat",
    "nis_focus": "engineering",
    "nrc_focus": "engineering",
    "nrs_focus": "engineering",
    "nrs_image": "engineering",
    "nis_lamp": "engineering",
    "nrs_lamp": "engineering",
    "nrc_led": "engineering",
    "nrs_autoflat": "autoflat",
    "nrs_autowave": "autowave",
}
# Calibrated one by one, though nothing is made of them; in whatever mode
NO_SCIENCE = ACQUISITIONS | {"mir_coroncal", "nis_focus", "nrc_focus", "nrs_focus", "nrs_image", "nrs_verify"}

# NIRCam detectors that do not see the occulter, by PUPIL, where the whole detector is read
WITHOUT_OCCULTER = {
    "maskbar": frozenset({"nrca1", "nrca2", "nrca3"}),
    "maskrnd": frozenset({"nrca1", "nrca3", "nrca4"}),
}
