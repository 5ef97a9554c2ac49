"""Parameters that jwst has dropped or renamed: files that older releases saved hold all of their time.

Names and releases are those of jwst's documentation, change log and parameter files; the first release that had a
parameter is given where it is known.
"""

from collections.abc import Mapping
from typing import Any

# By step
DROPPED: Mapping[str, Mapping[str, str]] = {
    "flat_field": {"flat_suffix": "to 0.16"},
    "photom": {"mrs_time_correction": "1.11 to 1.19", "use_correction_pars": "to 2.0"},
    "tweakreg": dict.fromkeys(("align_to_gaia", "gaia_catalog", "min_gaia", "save_gaia_catalog"), "0.16 to 1.7"),
    "outlier_detection": {
        "allowed_memory": "to 1.16",
        "ctegrow": "to 0.7",
        "grow": "to 1.13",
        "hthresh": "to 0.7",
        "lthresh": "to 0.7",
        "nhigh": "to 1.16",
        "nlow": "to 1.16",
        "nsigma": "to 0.7",
        "save_intermediate_files": "to 0.7",
        "scale_detection": "to 1.14",
        "wht_type": "0.7 to 0.9",
    },
    "resample": {"allowed_memory": "to 1.16", "good_bits": "to 0.15", "wht_type": "0.7 to 0.9"},
    "source_catalog": {"catalog_format": "to 0.9", "kernel_xsize": "to 1.3", "kernel_ysize": "to 1.3"},
}
_TRUE = frozenset(("true", "yes", "on", "1"))
# The fit and the matches of exposures with each other held for Gaia too, before it had parameters of its own.
_SHARED_WITH_GAIA = ("fitgeometry", "nclip", "sigma", "use2dhist", "separation", "tolerance")


def releases_of(step: str, name: str) -> str:
    """Return the releases that had a parameter of a step which is no more; empty if there was none.

    Parameters
    ----------
    step : str
        The name of the step in jwst.
    name : str
        Of the parameter.
    """
    return DROPPED.get(step, {}).get(name, "")


def renamed(step: str, values: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return what the parameters of older releases are in the present ones.

    Releases to 1.7 aligned to Gaia with ``align_to_gaia``, ``gaia_catalog`` and ``min_gaia``; now ``abs_refcat`` and
    the other ``abs_`` parameters align to any catalogue.

    Parameters
    ----------
    step : str
    values : mapping of str to value
        As a file gives them. What stands there under its present name is left alone.

    Returns
    -------
    dict
        By present name the value, and the parameter of the file that it comes from.
    """
    if step != "tweakreg" or "align_to_gaia" not in values:
        return {}
    found: dict[str, tuple[Any, str]] = {"abs_refcat": ("", "align_to_gaia")}
    if str(values["align_to_gaia"]).strip().lower() in _TRUE:
        own = {"gaia_catalog": "GAIADR2", "min_gaia": 5} | {k: v for k, v in values.items() if v is not None}
        # At least one star is needed for a fit, though 0 could be asked for.
        least = 1 if str(own["min_gaia"]).strip() == "0" else own["min_gaia"]
        found = {"abs_refcat": (own["gaia_catalog"], "gaia_catalog"), "abs_minobj": (least, "min_gaia")}
        found = {name: (value, given if given in values else "align_to_gaia") for name, (value, given) in found.items()}
        found |= {f"abs_{name}": (own[name], name) for name in _SHARED_WITH_GAIA if name in own}
    return {name: item for name, item in found.items() if name not in values}
