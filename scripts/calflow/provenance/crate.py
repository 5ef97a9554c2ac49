"""A run as an RO-Crate: workflow, configuration, inputs, jobs, products and software, as JSON-LD.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) by the profile Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun/workflow/0.5). Inputs lie elsewhere: they are named by their content (RFC 6920), so that the
same results give the same crate wherever they are made.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calflow.files.version import VERSION
from calflow.jobs.all import JOBS
from calflow.provenance.lineage import PRODUCT, Source, digest_of

METADATA = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# Beside the products, what the crate has of its own.
CONFIGURATION, WORKFLOW = "crate/configuration.yaml", "crate/workflow"
FORMATS = {
    ".fits": "application/fits",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".asdf": "application/vnd.asdf",
    ".ecsv": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".reg": "text/plain",
    ".html": "text/html",
    ".py": "text/x-python",
}
Entity = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """
    What a crate tells of a run.

    Attributes
    ----------
    output : str
        The folder of the products, as the beginning of their paths.
    products : sequence of str
        Those that are there.
    others : sequence of str
        Other files in that folder that belong to the crate, such as pages.
    sources : mapping of str to Source
        The products, and all that they were made of.
    names : sequence of str
        Of the associations, or of the exposures without any.
    date : str
        When the crate was published, as ISO 8601 has it.
    citation : mapping
        What ``CITATION.cff`` says of calflow.
    libraries : mapping of str to str
        The versions of what runs a job, by name.
    """

    output: str
    products: Sequence[str]
    others: Sequence[str]
    sources: Mapping[str, Source]
    names: Sequence[str]
    date: str
    citation: Mapping[str, Any]
    libraries: Mapping[str, str]


def crate_of(run: Run) -> str:
    """Return the metadata of a run as JSON-LD.

    Parameters
    ----------
    run : Run
    """
    files = {path: entity for path in _paths(run) if (entity := _file(run, path))}
    inputs = [path for path, source in run.sources.items() if path in files and source.kind != PRODUCT]
    software = _software(run)
    authors = [_author(number, each) for number, each in enumerate(run.citation.get("authors") or (), 1)]
    actions = _actions(run, files)
    own = _own_files(run, authors)
    whole: Entity = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"The run of calflow {VERSION}",
        "description": "All jobs together; those of each rule stand beside it.",
        "instrument": _to(own[0]),
        "object": _all(own[1], *(files[path] for path in inputs)),
        "result": _all(*(files[path] for path in run.products if path in files)),
    }
    parts = [*own, *files.values()]
    graph = [
        *_head(run, parts, [whole, *actions], authors),
        *own,
        *authors,
        *software,
        *files.values(),
        whole,
        *actions,
        *_gone(run, files),
        *_parameters(run),
    ]
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _head(run: Run, parts: Iterable[Entity], actions: Iterable[Entity], authors: Iterable[Entity]) -> list[Entity]:
    profiles: list[Entity] = [
        {"@id": address, "@type": "CreativeWork", "name": name, "version": version}
        for address, (name, version) in PROFILES.items()
    ]
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, _to(profiles[2])],
    }
    license = {
        "@id": "#license",
        "@type": "CreativeWork",
        "name": "Not stated",
        "description": "Under which terms the data may be used is not said here; for the code its LICENSE says it.",
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Reduction by calflow: {_names(run.names)}",
        "description": "Calibrated exposures, combined images and catalogues, with what they were made of and by what.",
        "datePublished": run.date,
        "license": _to(license),
        "author": _all(*authors),
        "conformsTo": _all(*profiles),
        "hasPart": _all(*parts),
        "mainEntity": {"@id": f"{WORKFLOW}/Snakefile"},
        "mentions": _all(*actions),
    }
    return [descriptor, root, *profiles, license]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _own_files(run: Run, authors: Sequence[Entity]) -> list[Entity]:
    """Return the workflow, the configuration, the folder of the code, and the scripts of the jobs."""
    workflow = {
        "@id": f"{WORKFLOW}/Snakefile",
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": str(run.citation.get("title", "calflow")),
        "description": str(run.citation.get("abstract", "")),
        "version": VERSION,
        "encodingFormat": "text/plain",
        "license": {"@id": f"{WORKFLOW}/LICENSE"},
        "programmingLanguage": {"@id": "#snakemake"},
        "creator": _all(*authors),
        "citation": {"@id": f"{WORKFLOW}/CITATION.cff"},
    }
    folder = {"@id": f"{WORKFLOW}/", "@type": "Dataset", "name": "calflow", "description": "The code, as it is now."}
    plain = {"CITATION.cff": "how to cite calflow", "LICENSE": "the terms of its code"}
    rules = {source.rule for source in run.sources.values()}
    scripts: dict[str, Entity] = {}
    for rule in sorted(rules & JOBS.keys()):
        path = f"{WORKFLOW}/scripts/{JOBS[rule].script}"
        libraries = {name for source in run.sources.values() if source.rule == rule for name in _libraries(source)}
        scripts[path] = {
            "@id": path,
            "@type": ["File", "SoftwareSourceCode"],
            "name": JOBS[rule].script,
            "version": VERSION,
            "encodingFormat": FORMATS[".py"],
            "softwareRequirements": _all(*({"@id": _library_id(library)} for library in sorted(libraries))),
        }
    return [
        workflow,
        {
            "@id": CONFIGURATION,
            "@type": "File",
            "name": "the configuration, all keys",
            "encodingFormat": FORMATS[".yaml"],
        },
        folder,
        *(
            {"@id": f"{WORKFLOW}/{name}", "@type": "File", "name": text, "encodingFormat": "text/plain"}
            for name, text in plain.items()
        ),
        *scripts.values(),
    ]


def _software(run: Run) -> list[Entity]:
    """Return Snakemake, and the libraries, with the versions that count for a job as they are on record."""
    versions = {library for source in run.sources.values() for library in _libraries(source)}
    versions |= {f"{name} {version}" for name, version in run.libraries.items()}
    language = {
        "@id": "#snakemake",
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": {"@id": "https://doi.org/10.12688/f1000research.29032.2"},
        "url": {"@id": "https://snakemake.github.io"},
    }
    applications = [
        {"@id": _library_id(each), "@type": "SoftwareApplication", "name": each.split()[0], "version": each.split()[1]}
        for each in sorted(versions)
    ]
    return [language, *applications]


def _libraries(source: Source) -> list[str]:
    return [each for each in source.libraries.split(", ") if " " in each]


def _library_id(library: str) -> str:
    return f"#software/{quote(library.replace(' ', '-'))}"


def _author(number: int, author: Mapping[str, Any]) -> Entity:
    """Return an author of ``CITATION.cff``: a person, or another with a name alone."""
    if "family-names" in author or "given-names" in author:
        name = " ".join(str(author[part]) for part in ("given-names", "family-names") if part in author)
        entity: Entity = {"@id": str(author.get("orcid") or f"#author/{number}"), "@type": "Person", "name": name}
        return entity | ({"affiliation": str(author["affiliation"])} if "affiliation" in author else {})
    return {"@id": f"#author/{number}", "@type": "Organization", "name": str(author.get("name", "(no name)"))}


def _paths(run: Run) -> list[str]:
    return list(dict.fromkeys((*run.products, *run.others, *run.sources)))


def _file(run: Run, path: str) -> Entity | None:
    """Return a file that is there, and is what was made or read; None for another."""
    source = run.sources.get(path, Source(PRODUCT))
    if source.trouble and source.kind != PRODUCT:
        return None
    digest = digest_of(Path(path))
    if not digest:
        return None
    digits = digest.partition(":")[2]
    inside = source.kind == PRODUCT and path.startswith(run.output)
    return {
        "@id": _escaped(path.removeprefix(run.output)) if inside else _by_content(digits),
        "@type": "File",
        "name": Path(path).name,
        "description": f"made by {source.rule}" if source.rule else source.kind,
        "encodingFormat": FORMATS.get(Path(path).suffix, "application/octet-stream"),
        "contentSize": str(Path(path).stat().st_size),
        "sha256": digits,
    }


def _by_content(digits: str) -> str:
    return f"ni:///sha-256;{urlsafe_b64encode(bytes.fromhex(digits)).decode().rstrip('=')}"


def _escaped(path: str) -> str:
    return quote(path, safe="/-._~+,=@")


def _actions(run: Run, files: Mapping[str, Entity]) -> list[Entity]:
    """Return each job: what it read and was given, what it made, and by which script."""
    made_by: dict[tuple[Any, ...], list[str]] = {}
    for path, source in run.sources.items():
        if source.rule:
            key = source.rule, source.code, tuple(source.made_of), tuple(source.parameters.values())
            made_by.setdefault(key, []).append(path)
    actions: list[Entity] = []
    for (rule, code, made_of, parameters), paths in made_by.items():
        script = f"{WORKFLOW}/scripts/{JOBS[rule].script}" if rule in JOBS else f"{WORKFLOW}/Snakefile"
        actions.append(
            {
                "@id": f"#job/{rule}/{_escaped(paths[0].removeprefix(run.output))}",
                "@type": "CreateAction",
                "name": f"{rule} {Path(paths[0]).name}",
                "description": f"by code {code}" if code else "by code that is not on record",
                "actionStatus": "http://schema.org/CompletedActionStatus",
                "instrument": {"@id": script},
                "object": _all(*(_any(run, path, files) for path in made_of), *map(_parameter, parameters)),
                "result": _all(*(_any(run, path, files) for path in paths)),
            }
        )
    return actions


def _any(run: Run, path: str, files: Mapping[str, Entity]) -> Entity:
    return files.get(path) or {"@id": f"#gone/{_escaped(path.removeprefix(run.output))}"}


def _gone(run: Run, files: Mapping[str, Entity]) -> list[Entity]:
    """Return the files that are not there any more, such as temporary ones, with the digests on record."""
    digests = {path: digest for source in run.sources.values() for path, digest in source.made_of.items() if digest}
    return [
        _any(run, path, files)
        | {"@type": "CreativeWork", "name": Path(path).name, "description": source.trouble or "is not kept"}
        | ({"sha256": digests[path].partition(":")[2]} if path in digests else {})
        for path, source in run.sources.items()
        if path not in files
    ]


def _parameters(run: Run) -> list[Entity]:
    texts = {text for source in run.sources.values() for text in source.parameters.values()}
    return [
        _parameter(text) | {"@type": "PropertyValue", "name": "parameters of a job", "value": text}
        for text in sorted(texts)
    ]


def _parameter(text: str) -> Entity:
    return {"@id": f"#parameters/{sha256(text.encode()).hexdigest()[:16]}"}


def _to(entity: Entity) -> Entity:
    return {"@id": entity["@id"]}


def _all(*entities: Entity) -> Any:
    """Return references to entities; to one alone, as RO-Crate has it, no list."""
    found = [{"@id": each} for each in dict.fromkeys(entity["@id"] for entity in entities)]
    return found[0] if len(found) == 1 else found
