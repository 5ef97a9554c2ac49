"""Which keywords of an exposure say what a pool of the archive has in its columns."""

# By column, the keywords that say it, of all telescopes; the first that is given counts.
KEYWORDS = {
    "program": ("PROGRAM", "PROGNUM", "SEMID"),
    "obs_num": ("OBSERVTN", "OBSNUM"),
    "target": ("TARGPROP", "TARGNAME", "OBJECT"),
    "obs_id": ("OBS_ID",),
    "act_id": ("ACT_ID",),
    "exp_type": ("EXP_TYPE",),
    "instrume": ("INSTRUME",),
    "detector": ("DETECTOR",),
    "channel": ("CHANNEL",),
    "filter": ("FILTER",),
    "pupil": ("PUPIL",),
    "grating": ("GRATING",),
    "band": ("BAND",),
    "fxd_slit": ("FXD_SLIT",),
    "subarray": ("SUBARRAY",),
    "visitype": ("VISITYPE",),
    "patttype": ("PATTTYPE",),
    "tsovisit": ("TSOVISIT",),
    "bkgdtarg": ("BKGDTARG",),
    "is_psf": ("IS_PSF",),
    "is_imprt": ("IS_IMPRT",),
    "image_type": ("IMTYPE",),
    "subarray_id": ("SUBARRID",),
}
# What an exposure is by the type of image that Liger and IRIS give, where it is not science.
IMAGE_TYPES = {"sky": "background", "dark": "dark", "flat": "flat"}


def keywords() -> frozenset[str]:
    """Return all of them."""
    return frozenset(keyword for names in KEYWORDS.values() for keyword in names)
