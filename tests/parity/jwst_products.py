"""Let jwst open calflow's products of stage 3, and run its own steps on them.

A plain command for the Python that has jwst: ``jwst_products.py DATA PRODUCTS ASSOCIATION OUTPUT``. DATA is that of the
oracle, PRODUCTS has the ``_crf``, ``_i2d`` and ``_segm`` files of the ASSOCIATION. OUTPUT gets `opened.json`, what jwst
finds in each file, the ``_i2d`` of its ResampleStep and the ``_cat`` and ``_segm`` of its SourceCatalogStep.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Read the command line."""
    data, products, association, output = (Path(argument).resolve() for argument in sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    for line in (data / "env.sh").read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = value
    os.environ["CRDS_PATH"] = str(data / "crds")

    opened = {path.name: open_product(path) for path in sorted(products.glob("*.fits"))}
    (output / "opened.json").write_text(json.dumps(opened))
    run_steps(products, association, output)


def open_product(path: Path) -> dict:
    """Return the type of the model, and by its WCS the sky positions of a few pixels."""
    import numpy as np
    from stdatamodels.jwst import datamodels

    with datamodels.open(path) as model:
        model.validate()
        found = {"model": type(model).__name__}
        if model.meta.hasattr("wcs") and model.meta.wcs is not None:
            ny, nx = model.data.shape
            x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, nx - 1, 5), np.linspace(0, ny - 1, 5)))
            sky = np.array(model.meta.wcs(x, y))
            back = np.array(model.meta.wcs.invert(*sky))
            found |= {"frames": model.meta.wcs.available_frames, "x": x.tolist(), "y": y.tolist(), "sky": sky.tolist()}
            found["round_trip"] = float(np.nanmax(np.abs(back - (x, y))))
        return found


def run_steps(products: Path, association: Path, output: Path) -> None:
    """Resample the ``_crf`` files, and catalogue the ``_i2d``."""
    from jwst.resample import ResampleStep
    from jwst.source_catalog import SourceCatalogStep

    tree = json.loads(association.read_text())
    (product,) = tree["products"]
    for member in product["members"]:
        name = member["expname"].replace("_cal.fits", f"_{tree['asn_id']}_crf.fits")
        member["expname"] = str(products / name)
    flagged = output / "crf_asn.json"
    flagged.write_text(json.dumps(tree))
    os.chdir(output)
    ResampleStep.call(str(flagged), output_dir=str(output), save_results=True)
    SourceCatalogStep.call(str(products / f"{product['name']}_i2d.fits"), output_dir=str(output), save_results=True)


if __name__ == "__main__":
    main()
