"""Fetch a reference file that the CRDS cache lacks. Beside Gaia, no other job needs a network."""

from pathlib import Path

from calflow.job import run
from calflow.web.crds_server import CrdsServer, fetch_reference


def fetch(input, output, params):
    """Download, verify, move into place."""
    fetch_reference(CrdsServer(params.url, params.retries), params.observatory, Path(output.reference))


if "snakemake" in globals():
    run(fetch, snakemake)
