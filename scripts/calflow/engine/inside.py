"""Snakemake's private names, and what stands in place of parts of it: here and nowhere else.

But for `signals`, which has a subclass of its scheduler. Another version of Snakemake means these two files first.
``tests/engine_contract.py`` says of each name, and of those without an underscore that `calflow.engine` uses, what it
is for and what breaks without it.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import snakemake.api  # before the others: they import each other
import snakemake.common
import snakemake.rules
import snakemake.script
import snakemake.workflow
from snakemake.dag import DAG, ScriptProcessor
from snakemake.io import IOCache, Mtime, _IOFile
from snakemake.iocontainers import InputFiles
from snakemake.persistence import PersistenceBase
from snakemake.persistence.file import FilePersistence
from snakemake.rules import Rule
from snakemake.script import PythonScript


def execute_by(workflow: Any, execute: Callable[[Any, Any, Callable[[], Any]], Any]) -> None:
    """
    Have a function called in place of the execution of a workflow.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    execute : callable
        Gets the plugin that executes, its settings, and the execution itself, to be called or not.
    """
    original = workflow.execute

    def execute_instead(executor_plugin: Any, executor_settings: Any, *rest: Any, **others: Any) -> Any:
        return execute(
            executor_plugin,
            executor_settings,
            lambda: original(executor_plugin, executor_settings, *rest, **others),
        )

    workflow.execute = execute_instead


def build_graph(workflow: Any, executor_plugin: Any, executor_settings: Any, targets: Sequence[str]) -> None:
    """Build the graph of some targets as an execution would, but without locks and without what only a run needs.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    executor_plugin : Snakemake's plugin
        How jobs are executed.
    executor_settings : Snakemake's settings
        Of that plugin.
    targets : sequence of str
        Files and rules.
    """
    workflow._executor_plugin = executor_plugin
    workflow.executor_settings = executor_settings
    workflow.dag_settings.targets = list(targets)
    workflow._prepare_dag(
        forceall=workflow.dag_settings.forceall,
        ignore_incomplete=True,  # nothing is run: what was interrupted is a reason like any other
        lock_warn_only=True,
        nolock=True,
        shadow_prefix=None,
    )
    # A graph that is only looked at needs no environments, and no check for outputs within outputs: that is a sixth of
    # the time. A run does both.
    workflow.dag.update_conda_envs = workflow.dag.check_directory_outputs = _nothing
    _know_producers(workflow.dag)
    workflow.async_run(workflow.dag.init())


def _know_producers(dag: Any) -> None:
    """Have a graph look for the job that makes a file once, instead of once for each job that reads it.

    Snakemake itself knows files that no job makes, as long as it looks at one target.
    """
    known: dict[Any, Any] = {}
    update = dag.update

    async def update_and_know(jobs: Any, file: Any = None, visited: Any = None, **options: Any) -> Any:
        producer = await update(jobs, file=file, visited=visited, **{**options, "known_producers": known})
        if file is not None:
            known.setdefault(file, [producer])
        return producer

    dag.update = update_and_know


def compare_files_as_texts() -> None:
    """Have Python compare the files of rules by their texts, which it does itself; Snakemake asks what the text is of.

    In a process that builds graphs and runs nothing.
    """
    for name in ("__hash__", "__eq__"):
        setattr(_IOFile, name, getattr(str, name))


def look_at_files_once() -> None:
    """Have graphs ask of a file only what they go by, and that once: a third of the time to build them.

    In a process that builds graphs and runs nothing, of files on this machine. Snakemake looks for the folder of each
    file that is not there, each time; for times that it compares with nothing; for names of which it would warn; and
    for jobs by their logs.
    """
    file_class: Any = _IOFile
    exists = _IOFile.exists_local

    async def exists_once(file: Any) -> bool:
        known = file.rule.workflow.iocache.exists_local
        found = dict.get(known, file)  # its own look-up goes by the folder of the file, too
        if found is None:
            found = known[file] = await exists(file)
        return bool(found)

    async def look_when_asked(*_: Any, **__: Any) -> None:
        pass

    def know_by_output(dag: Any, job: Any) -> None:
        dag.job_cache.update({(job.rule, file): job for file in job.output})

    file_class.is_storage = False
    file_class.check = _say_nothing
    file_class.exists = file_class.exists_local = exists_once
    IOCache.mtime_inventory = look_when_asked  # type: ignore[method-assign]
    DAG.cache_job = know_by_output  # type: ignore[method-assign]
    _take_inputs_as_given()


def _take_inputs_as_given() -> None:
    """Have the files that the one function of a rule gives be its inputs as they are, if no wildcards are in them.

    Snakemake makes each three times, to put wildcards and the prefix of a module into it.
    """
    expand = Rule.expand_input

    def given(rule: Any, wildcards: Any, groupid: Any = None) -> Any:
        functions = [item for _, item in rule.input._allitems()]
        if len(functions) != 1 or rule.dependencies or getattr(functions[0], "flags", None) != {"unpack": True}:
            return expand(rule, wildcards, groupid)
        by_role, _ = rule.apply_input_function(functions[0], wildcards, groupid=groupid)
        inputs = InputFiles()
        for role, files in by_role.items():
            start, is_one = len(inputs), isinstance(files, str | Path)
            inputs.extend(_IOFile(file, rule=rule) for file in ([files] if is_one else files))
            inputs._set_name(role, start, end=None if is_one else len(inputs))
        if any("{" in file for file in inputs):
            return expand(rule, wildcards, groupid)
        return inputs, {}, {}, False

    Rule.expand_input = given  # type: ignore[method-assign]


def _say_nothing(_: Any) -> None:
    pass


def _nothing() -> None:
    pass


def file_of_record(workflow: Any, path: Any) -> str | None:
    """Return the file in which Snakemake has its record of a product; None if its records are not files.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    path : Snakemake's file
    """
    persistence = workflow.persistence
    if not isinstance(persistence, FilePersistence):
        return None
    return str(persistence._record_path(persistence._metadata_path, path))


def forget_graph(workflow: Any) -> None:
    """Let go of the graph of a workflow and of what is recorded of its files, so that another can be built.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    workflow._dag = workflow._persistence = None


def renew_threads(workflow: Any) -> None:
    """Give a workflow event loops and threads of its own, after a fork.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    workflow._async_runners = {}
    workflow._async_executor = ThreadPoolExecutor()


def has_locks(folder: Path) -> bool:
    """Tell whether Snakemake has locks.

    Parameters
    ----------
    folder : Path
        Its folder, ``.snakemake``.
    """
    return any(folder.glob("locks/*"))


def remove_locks(workflow: Any) -> None:
    """Have Snakemake delete its locks, between finding where they would be and asking whether there are any.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    prepare = workflow._prepare_dag

    def prepare_and_unlock(*arguments: Any, **options: Any) -> Any:
        result = prepare(*arguments, **options)
        workflow.persistence.cleanup_locks()
        # Snakemake deletes the folder too, and wants it back.
        os.makedirs(os.path.join(workflow.persistence.path, "locks"), exist_ok=True)
        return result

    workflow._prepare_dag = prepare_and_unlock


def know_stored(workflow: Any, bucket: str, objects: Sequence[tuple[str, int, float]]) -> None:
    """Have Snakemake know what is stored in a bucket before it builds a graph: it asks for nothing else there is.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With a default storage.
    bucket : str
    objects : sequence of (str, int, float)
        Keys, sizes and times of writing, seconds.
    """
    prepare = workflow._prepare_dag

    def prepare_and_know(*arguments: Any, **options: Any) -> Any:
        result = prepare(*arguments, **options)
        known = workflow.iocache
        folder = workflow.storage_registry.default_storage_provider.local_prefix / bucket
        # The plugin goes through the folder of the first file if this is not there, and Snakemake asks for what is not
        # listed if this is not there.
        known.exists_in_storage[str(folder)] = True
        known.exists_in_storage.has_inventory.add(str(folder))
        for key, size, time in objects:
            name = str(folder / key)
            known.exists_in_storage[name], known.size[name], known.mtime[name] = True, size, Mtime(storage=time)
        return result

    workflow._prepare_dag = prepare_and_know


def default_resources(workflow: Any, *names: str) -> dict[str, Any]:
    """Return those of the named default resources that are given, as they are given: one computed per job is a text.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    *names : str
        Such as ``mem_mb``.
    """
    given = workflow.resource_settings._parsed_default_resources
    return {name: given[name].raw for name in names if name in given}


def take_prefix(workflow: Any) -> str:
    """Return the prefix of the module that is being read, and keep Snakemake from putting it in front of paths.

    Raises
    ------
    ValueError
        If other prefixes are replaced, or those of a module around it; with what says so.
    """
    modifier = workflow.modifier.path_modifier
    if modifier.modifies_prefixes:
        raise ValueError("replace_prefix")
    if modifier.inner_modifier is not None and modifier.inner_modifier.prefix:
        raise ValueError("prefix of the module around it")
    # A module is read once more for each of its rules that is changed.
    prefix = str(getattr(modifier, "taken_prefix", modifier.prefix) or "")
    modifier.taken_prefix, modifier.prefix = prefix, None
    return prefix


def schedule_by(scheduler: type) -> None:
    """Have the runs of this process scheduled by a subclass of Snakemake's scheduler.

    Parameters
    ----------
    scheduler : type
        A subclass of Snakemake's scheduler.
    """
    vars(snakemake.workflow)["JobScheduler"] = scheduler


def evaluate_scripts_by(evaluate: Callable[[Any, Callable[[], None]], None]) -> None:
    """Have a function called in place of each script of a local job.

    Parameters
    ----------
    evaluate : callable
        Takes the script, and a function that writes and runs it.
    """
    original = PythonScript.evaluate

    def evaluate_instead(script: Any, edit: bool = False) -> None:
        evaluate(script, lambda: original(script, edit))

    PythonScript.evaluate = evaluate_instead  # type: ignore[method-assign]


def start_scripts_by(start: Callable[[Any, str, Callable[[], None]], None]) -> None:
    """Have a function called in place of each start of Python for a script.

    Parameters
    ----------
    start : callable
        Takes the script, its file, and a function that starts Python.
    """
    original = PythonScript.execute_script

    def start_instead(script: Any, fname: str, edit: bool = False) -> None:
        start(script, fname, lambda: original(script, fname, edit))

    PythonScript.execute_script = start_instead  # type: ignore[method-assign]


def compare_content_by(checksum: Callable[[Any], str | None], may_tell: Callable[[Any], bool]) -> None:
    """
    Have the content of files compared, and recorded, by a function.

    Parameters
    ----------
    checksum : callable
        Gets a file of Snakemake's, returns the checksum or None, which equals no other.
    may_tell : callable
        Tells of a job whether its inputs may be compared with its records before a run.
    """

    async def checksum_of(file: Any, *arguments: Any, **options: Any) -> str | None:
        return checksum(file)

    recorded = PersistenceBase.input_checksums

    def recorded_if_it_tells(persistence: Any, job: Any, input_path: Any) -> set[Any]:
        return recorded(persistence, job, input_path) if may_tell(job) else {None}

    _IOFile.checksum = checksum_of  # type: ignore[method-assign]
    PersistenceBase.input_checksums = recorded_if_it_tells  # type: ignore[method-assign]


def remember_signatures() -> None:
    """Look at the signature of each input function once, instead of once per job."""
    remembering = functools.cache(snakemake.common.get_function_params)
    for module in (snakemake.common, snakemake.rules):
        vars(module)["get_function_params"] = remembering


def look_at_scripts_once() -> None:
    """Look whether the script of a rule is there once, instead of once per job; and tell Python by the file's name.

    Snakemake loads the libraries of notebooks before it asks whether a script is one: 0.15 s.
    """
    looked_at: set[Any] = set()
    process, language = ScriptProcessor.process_job, snakemake.script.get_language

    def process_once(processor: Any, job: Any) -> None:
        # The place of a script may depend on wildcards; what notebooks are, another class of this kind knows.
        once = type(processor) is ScriptProcessor and "{" not in str(job.rule.script)
        if not once or job.rule not in looked_at:
            process(processor, job)
        if once:
            looked_at.add(job.rule)

    def language_by_name(file: Any, source: str) -> str | None:
        return "python" if file.get_filename().endswith(".py") else language(file, source)

    ScriptProcessor.process_job = process_once  # type: ignore[method-assign]
    vars(snakemake.script)["get_language"] = language_by_name
