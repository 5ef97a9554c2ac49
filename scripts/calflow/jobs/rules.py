"""What rules ask of a job: its files, its parameters, its resources, as functions of their wildcards."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from calflow.jobs.all import JOBS
from calflow.jobs.code_hash import CodeHashes
from calflow.jobs.declaration import Job, flat
from calflow.jobs.libraries import versions
from calflow.jobs.requests import Requests
from calflow.plan.plan import Plan

# So many exposures ask for as much at once as a common node of a cluster has: a core and 2 GB each.
SMALL_ASSOCIATION = 8


class Rules:
    """
    The jobs of a plan, as rules take them.

    Parameters
    ----------
    plan : Plan
    requests : Requests
    code_hashes : CodeHashes
    scripts : Path
        The folder of the scripts.
    mark_part : callable
        From a file and the name of an item of it to the input of a job that reads that item alone.
    """

    def __init__(
        self,
        plan: Plan,
        requests: Requests,
        code_hashes: CodeHashes,
        scripts: Path,
        mark_part: Callable[[str, str], Any],
    ):
        self._plan = plan
        self._requests = requests
        self._code_hashes = code_hashes
        self._made: dict[tuple[Path, tuple[str, ...]], dict[str, str]] = {}
        self._scripts = scripts
        self._mark_part = mark_part

    def files(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the input function of a rule: from wildcards to files by role.

        Parameters
        ----------
        rule : str
            Its name.
        """
        job = JOBS[rule]

        def files(wildcards: Any) -> dict[str, Any]:
            named = _named(wildcards)
            found = self._marked(job, job.inputs(self._plan, **named))
            return found | {role: self._mark_part(found[role], named[name]) for role, name in job.parts.items()}

        return files

    def parameters(self, rule: str) -> dict[str, Any]:
        """Return the ``params`` of a rule: functions of the wildcards, by the name of the parameter.

        Parameters
        ----------
        rule : str
            Its name.
        """
        job = JOBS[rule]
        known = _Last(lambda wildcards: job.parameters(self._plan, **_named(wildcards)) if job.parameters else None)

        def value(name: str) -> Callable[..., Any]:
            # Snakemake compares no parameters between runs that are functions of `input`.
            if name in job.uncompared:
                return lambda wildcards, input: getattr(known(wildcards), name)
            return lambda wildcards: getattr(known(wildcards), name)

        found: dict[str, Any] = {name: value(name) for name in job.parameter_names}
        if job.tracked:
            found["stamps"] = lambda wildcards: self.stamps(job.inputs(self._plan, **_named(wildcards)))
            found |= self._code(job)
            if (carried := self._plan.settings.provenance) != "none":
                found["provenance"] = carried  # so that products are made again that carry something else
        return found

    def code(self, script: str) -> dict[str, str]:
        """Return the parameters that tell which code a script runs: a hash of ours, and the versions of libraries.

        Parameters
        ----------
        script : str
            Its file name.
        """
        return self._made_by(self._scripts / script)

    def _code(self, job: Job) -> dict[str, Any]:
        """Return the same of a job, which may depend on functions that its plan names; told when it is asked for."""
        script, functions = self._scripts / job.script, job.functions

        def of(name: str) -> Callable[[Any], str]:
            def value(wildcards: Any) -> str:
                named = functions(self._plan, **_named(wildcards)) if functions else ()
                return self._made_by(script, *named)[name]

            return value

        return {name: of(name) for name in ("code", "libraries")}

    def _made_by(self, script: Path, *functions: str) -> dict[str, str]:
        if (script, functions) not in self._made:  # asked for each job, twice
            hashes = self._code_hashes
            self._made[script, functions] = {
                "code": hashes.hash(script, *functions),
                "libraries": versions(hashes.libraries(script, *functions)),
            }
        return self._made[script, functions]

    def threads(self, mpixels: float) -> Callable[[Any], int]:
        """Return the ``threads`` of a rule that makes something of one image.

        Parameters
        ----------
        mpixels : float
            Of the image for each of them, at least.
        """
        return lambda wildcards: self._requests.threads(_named(wildcards), mpixels)

    def resources(self, rule: str) -> dict[str, Callable[..., int]]:
        """
        Return the memory (MB) and the time (minutes) that a rule asks for.

        They are functions of the wildcards alone: of what depends on the input, too, Snakemake silently leaves out
        of a group what it cannot tell before the group's first job has run.

        Parameters
        ----------
        rule : str
            Its name.
        """
        return {
            "mem_mb": lambda wildcards, attempt, threads: self._requests.memory(
                rule, _named(wildcards), attempt, threads
            ),
            "runtime": lambda wildcards, attempt: self._requests.minutes(rule, _named(wildcards), attempt),
        }

    def group(self, otherwise: str | None = None) -> Callable[[Any], str | None]:
        """
        Return the function that tells which jobs of an association a cluster runs as one job.

        Those of a small one are short and wait for each other: all of them up to its ``_crf``. In a large one each
        job that touches pixels is one of its own, since a group asks for the memory of all that may run at once.

        Parameters
        ----------
        otherwise : str, optional
            The group in a large association.
        """
        stage3 = self._plan.stage3

        def group(wildcards: Any) -> str | None:
            named = _named(wildcards)
            if "grid" in named:  # of several associations
                return None
            name = named["association"] if "association" in named else stage3.crf_of(named["crf"]).association
            return "association" if len(stage3.association(name).members) <= SMALL_ASSOCIATION else otherwise

        return group

    def geometry(self, wildcard: str) -> dict[str, str]:
        """Return the geometry as an output of a rule, for stage 3; nothing if assign_wcs is skipped.

        Parameters
        ----------
        wildcard : str
            The one that names the exposure.
        """
        plan = self._plan
        skipped = plan.settings.stage2.assign_wcs.skip
        return {} if skipped else {"geometry": f"{plan.folder}/geometry/{{{wildcard}}}_{{cal}}.json"}

    def saved_image(self, suffix: str) -> dict[str, str]:
        """Return an intermediate product of the outlier search as an output, if the configuration wants it.

        Parameters
        ----------
        suffix : str
            Such as ``blot``.
        """
        stage3 = self._plan.stage3
        wanted = stage3.settings.stage3.outlier_detection.saves_images()
        return {f"{suffix}_image": stage3.path(f"{{crf}}_{suffix}.fits")} if wanted else {}

    def stamps(self, files: Mapping[str, Any]) -> dict[str, str]:
        """Return the `stamps` of the files that a rule reads and no rule makes.

        Parameters
        ----------
        files : mapping of str to object
            A path, or a list of paths, by role.
        """
        return stamps(flat(files), *self._plan.unstamped, self._plan.stage3.folder)

    def _marked(self, job: Job, files: Mapping[str, Any]) -> dict[str, Any]:
        """Mark the files that count by their names alone: a later time of such a file means nothing."""
        from snakemake.io import ancient

        folders = tuple(f"{folder}/" for folder in self._plan.crds.folders())
        return {
            role: ancient(file)
            if role in job.once or (isinstance(file, str) and folders and file.startswith(folders))
            else file
            for role, file in files.items()
        }


class _Last:
    """Remembers what a function said last: Snakemake asks for the parameters of a job one after the other."""

    def __init__(self, function: Callable[[Any], Any]):
        self._function = function
        self._key: tuple[str, ...] | None = None
        self._value: Any = None

    def __call__(self, wildcards: Any) -> Any:
        key = tuple(_named(wildcards).values())
        if key != self._key:
            self._value, self._key = self._function(wildcards), key
        return self._value


def _named(wildcards: Any) -> dict[str, str]:
    """Return wildcards by name: Snakemake's own are a list, of which ``in`` asks for values."""
    return dict(wildcards.items())


def stamps(files: Iterable[str | Path], *folders: str) -> dict[str, str]:
    """Return size and time of files that no rule makes, as a parameter of the rule that reads them.

    Snakemake compares times only: an input replaced by another file that is older than the products, as a
    download or a copy with its time kept, would go unnoticed.

    Parameters
    ----------
    files : iterable of str or Path
        Paths.
    *folders : str
        What lies in them is left out: rules make it, or it counts by its name.
    """
    stamped = {}
    for file in map(str, files):
        if not file.startswith(tuple(f"{folder}/" for folder in folders)):
            status = Path(file).stat()
            stamped[file] = f"{status.st_size} bytes, {status.st_mtime_ns} ns"
    return stamped
