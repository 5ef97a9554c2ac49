"""Compare the files of a CRDS cache that are in use with what is published of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run
from calflow.references.crds_checks import check_cache
from calflow.references.crds_mappings import mappings_of
from calflow.web.crds_server import CrdsServer

if TYPE_CHECKING:
    from calflow.jobs.references import Checking


def check(input, output, params: "Checking"):
    """Print what was compared, what could not be, and what differs, which is an error."""
    mappings: dict[str, set[Path]] = {}
    for observatory, context in params.contexts:
        mappings.setdefault(observatory, set()).update(mappings_of(Path(params.mappings) / observatory, context))
    references = {name: [Path(path) for path in paths] for name, paths in params.references.items()}
    servers = {name: CrdsServer(url, params.retries) if url else None for name, url in params.urls.items()}
    found = check_cache({name: sorted(paths) for name, paths in mappings.items()}, references, servers)
    print(f"{len(found.by_itself)} mappings compared with their own checksums")
    print(f"{len(found.by_server)} mappings and reference files compared with the server")
    for observatory, reason in found.not_asked.items():
        numbers = f"{len(mappings.get(observatory, ()))} mappings and {len(references.get(observatory, ()))}"
        print(f"not compared with the server: {numbers} reference files of {observatory}: {reason}")
    for path in found.unknown:
        print(f"not compared: {path}: the server does not know it")
    for line in found.differences:
        print(f"differs: {line}")
    if found.differences:
        number = len(found.differences)
        raise ValueError(f"{number} differences from what is published, the first of them: {found.differences[0]}")


if "snakemake" in globals():
    run(check, snakemake)
