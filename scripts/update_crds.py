"""Bring a CRDS cache up to date: what the server says of itself, and the mappings of contexts."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run
from calflow.web.client import WebError
from calflow.web.crds_server import CrdsServer, fetch_mappings, fetch_references, record_server

if TYPE_CHECKING:
    from calflow.jobs.references import Updating

log = logging.getLogger(__name__)


def update(input, output, params: "Updating"):
    """Fetch what is lacking, and then record which context is operational."""
    server = CrdsServer(params.url, params.retries)
    info = server.info()
    observatory, crds_path = str(info["observatory"]), Path(params.crds_path)
    operational = info.get("operational_context") or info.get("latest_context")
    if not operational:
        raise WebError(f"the CRDS server {server.url} names no operational context")
    for context in dict.fromkeys(operational if name == "operational" else name for name in params.contexts):
        if not context.startswith(f"{observatory}_"):
            log.warning("%s is not of %s, whose server %s is", context, observatory, server.url)
            continue
        fetched = fetch_mappings(server, info, crds_path, context)
        fetched += fetch_references(server, info, crds_path, context, params.reftypes)
        print(f"{context}: {len(fetched)} files fetched into {crds_path}" if fetched else f"{context}: complete")
    record_server(info, crds_path)
    print(f"{observatory}: the operational context is {operational}")


if "snakemake" in globals():
    run(update, snakemake)
