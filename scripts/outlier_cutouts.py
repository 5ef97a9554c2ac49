"""Cut out the strongest outliers of an association, flagged and not. Makes a PNG, and the numbers of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits

from calflow.files.geometry_files import read_json, write_json
from calflow.job import run
from calflow.pictures.suspects import draw_suspects
from calflow.quality.suspects import find_suspects

if TYPE_CHECKING:
    from calflow.jobs.previews import Cutting

NUMBER = 6  # of each kind


def cut_out(input, output, params: "Cutting"):
    """Draw them by the scale of their filter, and write where they are and how strong."""
    files = (map(Path, input[role]) for role in ("cals", "crfs", "geometries"))
    members = list(zip(params.exposures, *files, strict=True))
    found, told = find_suspects(Path(input.alignment), Path(input.i2d), members, params.snr, params.scale, NUMBER)
    unit = str(fits.getheader(input.i2d, "SCI").get("BUNIT", ""))
    title = f"{params.association}: outliers against the combined image"
    draw_suspects(found, title, unit, read_json(Path(input.scale)), Path(output.picture))
    write_json(Path(output.numbers), {"snr": params.snr, "scale": params.scale, "outliers": told})


if "snakemake" in globals():
    run(cut_out, snakemake)
