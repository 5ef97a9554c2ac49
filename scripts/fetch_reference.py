"""Fetch a reference file that the CRDS cache lacks. Beside Gaia, no other job needs a network."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run
from calflow.web.crds_server import CrdsServer, fetch_reference

if TYPE_CHECKING:
    from calflow.jobs.references import Fetching


def fetch(input, output, params: "Fetching"):
    """Download, verify, move into place."""
    fetch_reference(CrdsServer(params.url, params.retries), params.observatory, Path(output.reference))


if "snakemake" in globals():
    run(fetch, snakemake)
