"""The CRDS cache of a plan: what it lacks, and where that is fetched from."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.settings import References
from calflow.instruments import crds_servers
from calflow.references.crds_builds import UnknownBuild, pinned
from calflow.references.crds_contexts import OPERATIONAL
from calflow.references.reference_change import ReferenceChange
from calflow.references.references import Reference

PATH_VARIABLE = "CRDS_PATH"
SERVER_VARIABLE = "CRDS_SERVER_URL"


@dataclass(frozen=True)
class Fetch:
    """A reference file that is to be fetched into the cache.

    Attributes
    ----------
    path : Path
        Where it will be.
    observatory : str
        The name of the observatory in CRDS.
    url : str
        The server that has it.
    """

    path: Path
    observatory: str
    url: str


class CrdsCache:
    """What a plan needs to know of the CRDS cache.

    Parameters
    ----------
    path : Path, optional
        The cache; None: no references are from one.
    fetches : iterable of Fetch
        What it lacks.
    changes : iterable of ReferenceChange
        What another context would change.
    contexts : iterable of (observatory, context)
        In which references were chosen, or would be.
    """

    def __init__(
        self,
        path: Path | None = None,
        fetches: Iterable[Fetch] = (),
        changes: Iterable[ReferenceChange] = (),
        contexts: Iterable[tuple[str, str]] = (),
    ):
        self.contexts = tuple(contexts)
        self.references, self.mappings = (str(path / name) if path else "" for name in ("references", "mappings"))
        self.fetches = {str(fetch.path.relative_to(self.references)): fetch for fetch in fetches}
        self.changes = tuple(changes)

    def folders(self) -> tuple[str, ...]:
        """Return the folders of files that count by their names alone."""
        return (self.references,) if self.references else ()

    def find(self, name: str, observatory: str) -> str | None:
        """Return the path of a reference in the cache, in the folder of its instrument or flat; None: not there.

        Parameters
        ----------
        name : str
            Of its file, such as ``jwst_miri_flat_0001.fits``.
        observatory : str
            Its name in CRDS, such as ``jwst``.
        """
        folder = f"{self.references}/{observatory}"
        places = (f"{folder}/{part}/{name}" for part in name.split("_")[1:2])
        return next((path for path in (*places, f"{folder}/{name}") if os.path.isfile(path)), None)

    def pattern(self) -> str:
        """Return a regular expression for the paths, below its folder, of the files that it lacks."""
        return "|".join(map(re.escape, self.fetches)) or "(?!)"


def cache_path(settings: References) -> Path | None:
    """Return the CRDS cache of a configuration, or None if it names none.

    Parameters
    ----------
    settings : References
        The configuration.
    """
    given = settings.crds_path or os.environ.get(PATH_VARIABLE)
    return Path(os.path.expanduser(given)) if given else None


def server_url(settings: References, observatory: str) -> str | None:
    """Return the server of an observatory, or None if none is known.

    Parameters
    ----------
    settings : References
        The configuration.
    observatory : str
        Its name in CRDS, such as ``jwst``.
    """
    given = settings.crds_server or os.environ.get(SERVER_VARIABLE) or crds_servers().get(observatory)
    # "serverless" is how the package crds is told to do without one.
    return given if given and given.startswith(("http://", "https://")) and "serverless" not in given else None


def update_url(settings: References) -> str | None:
    """Return the server that `update_crds` asks: the given one, else the first that is known.

    Parameters
    ----------
    settings : References
        The configuration.
    """
    return server_url(settings, next(iter(crds_servers()), ""))


def wanted_contexts(settings: References) -> list[str]:
    """Return the contexts that `update_crds` fetches: those that the configuration pins, or ``operational``.

    Parameters
    ----------
    settings : References
        The configuration.

    Raises
    ------
    UnknownBuild
    """
    given = settings.crds_context or [os.environ.get("CRDS_CONTEXT") or OPERATIONAL]
    names = [pinned(name) for name in (*given, *(settings.compare_context or ()))]
    return [name if name.endswith(".pmap") else OPERATIONAL for name in names]


def pinned_contexts(settings: References) -> list[tuple[str, str]]:
    """Return the contexts that a configuration pins or compares with, each with its observatory.

    Parameters
    ----------
    settings : References
        The configuration.
    """
    try:
        names = [name for name in wanted_contexts(settings) if name.endswith(".pmap")]
    except UnknownBuild:  # told where it is used
        return []
    return [(name.partition("_")[0], name) for name in names]


def check_update(settings: References) -> None:
    """Raise InputError if `update_crds` has no cache to bring up to date, or no server.

    Parameters
    ----------
    settings : References
        The configuration.
    """
    problems = Problems()
    if cache_path(settings) is None:
        right = f"set it, or the environment variable {PATH_VARIABLE}"
        problems.add(Problem("config", "references.crds_path", "is not set", right))
    if update_url(settings) is None:
        right = f"give one that begins with https://, or set the environment variable {SERVER_VARIABLE}"
        problems.add(Problem("config", "references.crds_server", "no server to update the cache from", right))
    try:
        wanted_contexts(settings)
    except UnknownBuild as error:
        problems.add(Problem("config", "references.crds_context", error.wrong, error.right))
    problems.raise_any()


def check_crds_source(settings: References) -> None:
    """Raise InputError if `check_crds` has no cache to check.

    Parameters
    ----------
    settings : References
        The configuration.
    """
    if settings.source != "crds":
        right = "set references.source: crds and references.crds_path; files of a folder have no published checksums"
        raise InputError([Problem("config", "references.source", f"is {settings.source!r}, not a CRDS cache", right)])


class MissingReferences:
    """Reference files that the rules choose and the cache lacks.

    Parameters
    ----------
    settings : References
    problems : Problems
    """

    def __init__(self, settings: References, problems: Problems):
        self.settings = settings
        self.problems = problems
        self._users: dict[Path, list[Path]] = {}
        self._kinds: dict[Path, tuple[str, str]] = {}

    def add(self, chosen: Mapping[str, Reference | Problem], observatory: str, user: Path) -> None:
        """Note which of the references that were chosen are not in the cache.

        Parameters
        ----------
        chosen : mapping of str to Reference or Problem
            By type.
        observatory : str
            Its name in CRDS, such as ``jwst``.
        user : Path
            The exposure, or the association, that they were chosen for.
        """
        for reftype, reference in chosen.items():
            if isinstance(reference, Reference) and reference.path and reference.missing:
                self._users.setdefault(reference.path, []).append(user)
                self._kinds[reference.path] = reftype, observatory

    def fetches(self, is_job: bool = False) -> list[Fetch]:
        """Return the files that are to be fetched; those that cannot be are problems.

        Parameters
        ----------
        is_job : bool
            Whether this is planned in a job of a cluster, where the cache need not be writable: what the job needs
            is there.
        """
        if not self.settings.fetch:
            for path in self._users:
                self._tell(path)
            return []
        found = []
        for observatory in sorted({observatory for _, observatory in self._kinds.values()}):
            url = server_url(self.settings, observatory)
            paths = [path for path, (_, of) in self._kinds.items() if of == observatory]
            found += [Fetch(path, observatory, url or "") for path in paths]
            if url is None:
                wrong = f"no server is known to fetch {len(paths)} reference files of {observatory!r} from"
                right = f"give one that begins with https://, or set the environment variable {SERVER_VARIABLE}"
                self.problems.add(Problem("config", "references.crds_server", wrong, right))
        for folder in sorted({path.parent for path in self._users}) if not is_job else ():
            self._check_writable(folder)
        return found

    def _tell(self, path: Path) -> None:
        users = self._users[path]
        more = f" ({len(users) - 1} more need it)" if len(users) > 1 else ""
        right = f"set references.fetch: true to have it fetched, or put it into {str(path.parent)!r}"
        wrong = f"needs {path.name!r}; not in the cache{more}"
        self.problems.add(Problem(str(users[0]), self._kinds[path][0], wrong, right))

    def _check_writable(self, folder: Path) -> None:
        place = next(place for place in (folder, *folder.absolute().parents) if os.path.exists(place))
        if not os.path.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
            right = "take a cache that can be written to, or put the files there in another way"
            self.problems.add(Problem(str(folder), "", "reference files cannot be written here", right))
