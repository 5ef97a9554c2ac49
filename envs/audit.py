"""Look for known vulnerabilities of all that the lock files of this folder pin.

Run by `make audit`, in the environment of `tools`. Prints one line for each package with a vulnerability. The exit
status is 0 if all packages were looked up and none has one, 1 if one has, 2 if not all could be looked up.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def pinned(paths: list[Path]) -> dict[str, list[str]]:
    """
    Return what lock files pin, for whatever Python and platform.

    Parameters
    ----------
    paths : list of Path
        The lock files.

    Returns
    -------
    dict
        The versions of each package by its name, in order.
    """
    pins = sorted({pin for path in paths for pin in PIN.findall(path.read_text())})
    versions: dict[str, list[str]] = {}
    for name, version in pins:
        versions.setdefault(name, []).append(version)
    return versions


def rounds(versions: dict[str, list[str]]) -> list[list[str]]:
    """
    Spread pins over requirement files, since pip-audit takes one version of a package at a time.

    Parameters
    ----------
    versions : dict
        The versions of each package by its name.

    Returns
    -------
    list of list of str
        Requirements such as ``numpy==2.4.6``; a package stands once in each list.
    """
    most = max(map(len, versions.values()))
    return [
        [f"{name}=={several[index]}" for name, several in versions.items() if index < len(several)]
        for index in range(most)
    ]


def look_up(requirements: list[str], options: list[str]) -> list[dict]:
    """
    Have pip-audit look up packages.

    Parameters
    ----------
    requirements : list of str
        Such as ``numpy==2.4.6``.
    options : list of str
        More options of pip-audit, such as another service.

    Returns
    -------
    list of dict
        For each package ``name``, and either ``version`` and ``vulns`` or ``skip_reason``.

    Raises
    ------
    ConnectionError
        If the service does not answer; with the last line of what pip-audit says.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text("\n".join(requirements) + "\n")
        command = ["pip-audit", "--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
        run = subprocess.run([*command, *options, "--requirement", str(path)], capture_output=True, text=True)
    try:
        return json.loads(run.stdout)["dependencies"]
    except ValueError:
        lines = run.stderr.strip().splitlines() or [f"pip-audit ended with exit status {run.returncode}"]
        raise ConnectionError(lines[-1]) from None


def verdict(packages: list[dict]) -> tuple[list[str], int]:
    """
    Say what came of an audit.

    Parameters
    ----------
    packages : list of dict
        As `look_up` returns them.

    Returns
    -------
    lines : list of str
        What to print.
    status : int
        The exit status.
    """
    skipped = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    lines = []
    for package in vulnerable:
        for found in package["vulns"]:
            names = ", ".join([found["id"], *found.get("aliases", [])])
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            lines.append(f"{package['name']} {package['version']}: {names}; mended in {fixed}")
    if skipped:
        lines.append(f"{len(skipped)} of {len(packages)} packages could not be looked up: {skipped[0]['skip_reason']}")
    if len(skipped) < len(packages):
        looked_up = len(packages) - len(skipped)
        lines.append(f"{looked_up} packages were looked up, {len(vulnerable)} have known vulnerabilities")
    return lines, 1 if vulnerable else 2 if skipped else 0


def main() -> int:
    """Audit all lock files; what is given on the command line goes to pip-audit."""
    try:
        packages = [
            package
            for requirements in rounds(pinned(sorted(FOLDER.glob("*.txt"))))
            for package in look_up(requirements, sys.argv[1:])
        ]
    except ConnectionError as error:
        print(f"nothing was looked up, no service answers: {error}", file=sys.stderr)
        return 2
    lines, status = verdict(packages)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
