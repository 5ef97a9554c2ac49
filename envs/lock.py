"""Resolve the versions pinned in pyproject.toml, with all they need, into the lock files of this folder.

Run by `make lock`, in the environment of `tools`. One resolution serves all Pythons and platforms that pyproject.toml
names; a requirement that is not for all of them says so by a marker. What is not pinned keeps the version that it has
in the lock files, as long as that fits; with ``--upgrade`` it gets the newest one.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
PYPROJECT = FOLDER.parent / "pyproject.toml"
OLDEST_PYTHON = "3.11"


@dataclass(frozen=True)
class LockFile:
    """
    A file of requirements, each with its version and its hashes.

    Attributes
    ----------
    name : str
        Of the file.
    purpose : str
        What its first line says it is for.
    extras, groups : tuple of str
        Optional dependencies and dependency groups of pyproject.toml that it has.
    over : tuple of str
        Lock files that are installed with it: what they have is not repeated.
    alone : bool
        Whether it is for an environment without calflow's dependencies.
    """

    name: str
    purpose: str
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    alone: bool = False


LOCK_FILES = (
    LockFile("lock.txt", "What a run needs", extras=("crds", "fast", "cluster-generic")),
    LockFile("test.txt", "What tests and lint need", groups=("test",), over=("lock.txt",)),
    LockFile("parquet.txt", "What catalogues as parquet need", extras=("parquet",), over=("lock.txt",)),
    LockFile("slurm.txt", "What runs on SLURM need", extras=("slurm",), over=("lock.txt",)),
    LockFile("cloud.txt", "What runs on Kubernetes and in S3 need", extras=("kubernetes", "s3"), over=("lock.txt",)),
    LockFile("test-s3.txt", "What tests with S3 need", groups=("test-s3",), over=("lock.txt", "test.txt", "cloud.txt")),
    LockFile("docs.txt", "What the documentation needs", groups=("docs",), over=("lock.txt",)),
    LockFile("tools.txt", "What `make lock` and `make audit` need", groups=("tools",), alone=True),
)


def requirements(text: str) -> dict[str, str]:
    """
    Split the text of a lock file.

    Parameters
    ----------
    text : str
        As uv writes it: a requirement in a line of its own, its hashes and comments in indented lines below.

    Returns
    -------
    dict
        The lines of each requirement by its name, version and marker, for example
        ``"photutils==3.0.0 ; python_full_version < '3.12'"``.
    """
    found: dict[str, str] = {}
    requirement = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            requirement = line.strip().removesuffix("\\").strip()
            found[requirement] = ""
        found[requirement] += line
    return found


def resolve(lock_file: LockFile, preferred: str, *, hashes: bool) -> str:
    """
    Have uv resolve what a lock file is to have, with what is below it.

    Parameters
    ----------
    lock_file : LockFile
        What to resolve.
    preferred : str
        Requirements whose versions are taken where they fit.
    hashes : bool
        Whether to write hashes, of all files of each version.

    Returns
    -------
    str
        Requirements, one a line, with hashes and comments below.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON]
    command += ["--fork-strategy", "fewest", "--no-header", "--annotation-style", "line"]
    command += ["--generate-hashes"] if hashes else []
    for group in lock_file.groups:
        command += ["--group", group]
    for extra in lock_file.extras:
        command += ["--extra", extra]
    command += [] if lock_file.alone else [PYPROJECT.name]
    with tempfile.TemporaryDirectory() as folder:
        # uv prefers what stands in the file that it is to write.
        output = Path(folder) / lock_file.name
        output.write_text(preferred)
        subprocess.run([*command, "--output-file", str(output)], check=True, cwd=PYPROJECT.parent)
        return output.read_text()


def main() -> None:
    """Write all lock files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="the newest version of all that is not pinned")
    upgrade = parser.parse_args().upgrade
    paths = {lock_file.name: FOLDER / lock_file.name for lock_file in LOCK_FILES}
    known = {name: "" if upgrade or not path.exists() else path.read_text() for name, path in paths.items()}

    # All at once, so that they fit together whichever of them are installed.
    together = [lock_file for lock_file in LOCK_FILES if not lock_file.alone]
    everything = LockFile(
        name="all.txt",
        purpose="",
        extras=tuple(extra for lock_file in together for extra in lock_file.extras),
        groups=tuple(group for lock_file in together for group in lock_file.groups),
    )
    versions = resolve(everything, "".join(known[lock_file.name] for lock_file in together), hashes=False)

    written: dict[str, dict[str, str]] = {}
    for lock_file in LOCK_FILES:
        text = resolve(lock_file, known[lock_file.name] if lock_file.alone else versions, hashes=True)
        below = {requirement for name in lock_file.over for requirement in written[name]}
        lines = {requirement: lines for requirement, lines in requirements(text).items() if requirement not in below}
        written[lock_file.name] = lines
        over = f", over {', '.join(lock_file.over)}" if lock_file.over else ""
        header = f"# {lock_file.purpose}{over}. Resolved from pyproject.toml by `make lock`: do not edit.\n"
        paths[lock_file.name].write_text(header + "".join(lines.values()))
        print(f"{lock_file.name}: {len(lines)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
