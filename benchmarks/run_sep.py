"""Find and measure the sources of an image with sep, in its environment of ``make benchmark-c``.

Arguments: the image, its noise (FITS, the first HDU of each), the catalogue and the segmentation map to be written, a
JSON text with what `c_programs.py` gives to each program.
"""

import json
import sys

import fitsio
import numpy as np
import sep


def main() -> None:
    """Read, find, measure, write."""
    image, noise, catalogue, segmentation, text = sys.argv[1:]
    options = json.loads(text)
    sci, err = fitsio.read(image), fitsio.read(noise)
    mask = err > options["no_value"]
    sep.set_extract_pixstack(10 * sep.get_extract_pixstack())
    background = sep.Background(sci, mask=mask, bw=options["box"], bh=options["box"])
    background.subfrom(sci)
    objects, segments = sep.extract(
        sci,
        options["threshold"],
        err=err,
        mask=mask,
        minarea=options["area"],
        filter_kernel=np.array(options["kernel"]),
        filter_type="conv",  # that of source-extractor
        deblend_nthresh=options["levels"],
        deblend_cont=options["contrast"],
        segmentation_map=True,
    )
    x, y, a, b, theta = (np.ascontiguousarray(objects[name]) for name in ("x", "y", "a", "b", "theta"))
    common = {"err": err, "mask": mask, "segmap": segments, "seg_id": np.arange(1, len(x) + 1, dtype=np.int32)}
    fluxes = [sep.sum_circle(sci, x, y, d / 2, **common)[:2] for d in options["diameters"]]
    kron, _ = sep.kron_radius(sci, x, y, a, b, theta, 6.0, mask=mask, segmap=segments, seg_id=common["seg_id"])
    radius = np.maximum(2.5 * kron, 1.75)  # as for FLUX_AUTO; in units of a and b
    auto, auto_err, flag = sep.sum_ellipse(sci, x, y, a, b, theta, radius, subpix=1, **common)
    half = sep.flux_radius(sci, x, y, 6.0 * a, 0.5, normflux=auto, subpix=5, mask=mask)[0]
    x_windowed, y_windowed, _ = sep.winpos(sci, x, y, np.clip(2 / 2.35 * half, 0.5, None), mask=mask)
    columns = {"x": x_windowed, "y": y_windowed, "x_moment": x, "y_moment": y, "a": a, "b": b, "theta": theta}
    columns |= {"auto": auto, "auto_err": auto_err, "iso": objects["flux"], "flag": flag}
    for number, (flux, flux_err) in enumerate(fluxes):
        columns |= {f"aperture{number}": flux, f"aperture{number}_err": flux_err}
    fitsio.write(catalogue, columns, clobber=True)
    fitsio.write(segmentation, segments, clobber=True)


if __name__ == "__main__":
    main()
