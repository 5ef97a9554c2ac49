"""What calflow's engine uses of Snakemake's inside: each name with how it must behave, what for, and what breaks.

`SNAKEFILE` is a small workflow whose run tries all of it. The names are those under which the engine's files know the
objects: `dag` is ``workflow.dag``, `job` one of its jobs. To take up a new version of Snakemake, see what fails here.
"""

import inspect
import json
import logging
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Use:
    """A name: an expression that is true while it is as it should be, what it is for, and what breaks without it."""

    check: str
    what_for: str
    breaks: str


def takes(function, *names):
    """Tell whether a function can be called with these names of arguments."""
    return set(names) <= set(inspect.signature(function).parameters)


PLAN = "`snakemake plan` and the look ahead of large runs"
SUMMARY = "the summary at the end of a run"
CAUSES = "the causes in `snakemake plan`"
WARM = "the warm start: each job would start Python anew"
COMMAND = "the checks of the command line before a run"
LOCK = "that the run after a killed one goes on by itself"
CUT_OFF = "leaving out jobs that would make what is there"
DISPLAY = "what is told while a run runs: Snakemake's own text, or a wrong one, in its place"
CARRIED = "`provenance`: what products carry of how they were made"
THREADS = "the end of a run: jobs with threads would wait until nothing else is left"
SIGNALS = "that a run ends on SIGTERM and Ctrl-C"

CONTRACT = {
    # How a run is surrounded
    "workflow.execute": Use(
        "list(inspect.signature(Workflow.execute).parameters)[1:3] == ['executor_plugin', 'executor_settings']",
        "doing something before, after or instead of an execution",
        "the lock, the plan, the checks of the command line",
    ),
    "workflow.is_main_process": Use(
        "workflow.is_main_process is True", "telling a run from the job of a cluster", "jobs would wait for the lock"
    ),
    "workflow.modifier": Use(
        "(modifier := workflow.modifier.path_modifier).prefix is None and modifier.inner_modifier is None"
        " and modifier.modifies_prefixes is False",
        "the prefix of a module",
        "`prefix` where calflow is a module of another workflow",
    ),
    "workflow.executor_plugin": Use("workflow.executor_plugin.name == 'local'", "telling SLURM", "the check of SLURM"),
    "workflow.executor_settings": Use(
        "hasattr(workflow, 'executor_settings')", "building a graph; how SLURM is asked", f"the check of SLURM, {PLAN}"
    ),
    "workflow.local_exec": Use("workflow.local_exec is True", "telling a run on this machine", WARM),
    "workflow.rules": Use(
        "all(hasattr(rule, 'name') and hasattr(rule, 'has_wildcards') for rule in workflow.rules)",
        "the names of rules",
        COMMAND,
    ),
    "workflow.is_rule": Use("workflow.is_rule('one') and not workflow.is_rule('one.txt')", "telling rules", PLAN),
    "workflow.dag_settings": Use(
        "set('targets forceall forcerun forcetargets until omit_from batch target_jobs'.split())"
        " <= set(vars(workflow.dag_settings))",
        "what the command line asks for",
        f"{COMMAND}, {PLAN}",
    ),
    "workflow.scheduling_settings": Use(
        "'prioritytargets' in vars(workflow.scheduling_settings)", "what the command line asks for", PLAN
    ),
    "workflow.execution_settings": Use(
        "{'lock', 'no_hooks'} <= set(vars(workflow.execution_settings))", "--nolock and --no-hooks", "the lock"
    ),
    "workflow.deployment_settings": Use(
        "not workflow.deployment_settings.deployment_method", "telling conda", f"conda, or {WARM}"
    ),
    "workflow.resource_settings": Use(
        "workflow.resource_settings.cores == 1 and workflow.resource_settings.nodes is None"
        " and workflow.resource_settings._parsed_default_resources['mem_mb'].raw == 100",
        "the number of cores or jobs; the account and partition that jobs get on SLURM",
        f"{COMMAND}, the times in `snakemake plan`, the check of SLURM",
    ),
    "workflow.storage_settings": Use(
        "{'default_storage_provider', 'default_storage_prefix'} <= set(vars(workflow.storage_settings))",
        "telling S3",
        "runs with data in S3",
    ),
    "workflow.storage_registry": Use(
        "workflow.storage_registry.default_storage_provider is None", "the client of S3", "runs with data in S3"
    ),
    "workflow.iocache": Use(
        "set('exists_in_storage size mtime'.split()) <= set(dir(workflow.iocache))"
        " and isinstance(workflow.iocache.exists_in_storage.has_inventory, set)",
        "telling what there is in S3",
        "listing S3 once: each file is asked for, and three times if it is not there",
    ),
    "cli.get_argument_parser": Use(
        "list(cli.get_argument_parser().parse_known_args(['--cores', '2', 'a', '--nolock', 'b'])[0].targets) == ['a']"
        " or list(cli.get_argument_parser().parse_known_args(['-c2', '--', 'a', 'b'])[0].targets) == ['a', 'b']",
        "the targets while the Snakefile is read",
        "that `snakemake stage2` plans stage 2 alone, and `update_crds` nothing",
    ),
    "exceptions.MissingRuleException": Use(
        "issubclass(exceptions.MissingRuleException, Exception)", "files that no rule makes", COMMAND
    ),
    "exceptions.InputFunctionException": Use(
        "issubclass(exceptions.InputFunctionException, Exception)", "files that a rule refuses", COMMAND
    ),
    "logging.logger": Use("hasattr(logger, 'addFilter')", "what a run prints", f"{SUMMARY}, {DISPLAY}"),
    # What a run tells while it runs
    "logging.handler": Use(
        "[isinstance(handler, logging.StreamHandler) for handler in logger.handlers if handler.name == HANDLER]"
        " == [True]",
        "the place of Snakemake's words on the terminal",
        DISPLAY,
    ),
    "workflow.output_settings": Use(
        "set('verbose quiet printshellcmds show_failed_logs debug_dag log_handler_settings dryrun'.split())"
        " <= set(vars(workflow.output_settings))",
        "leaving the terminal to Snakemake where somebody asks for its words",
        DISPLAY,
    ),
    "logging.JOB_INFO": Use(
        "{record['jobid'] for record in records['job_info']} == {job.jobid for job in dag.jobs}"
        " and {'rule_name', 'rule_msg'} <= set(records['job_info'][0])",
        "which jobs run",
        DISPLAY,
    ),
    "logging.JOB_FINISHED": Use(
        "{record['job_id'] for record in records['job_finished']} >= {jobs['one'].jobid, jobs['two'].jobid}",
        "which jobs are done",
        DISPLAY,
    ),
    "logging.JOB_ERROR": Use(
        "{'jobid', 'log', 'indent'} <= set(job.get_log_error_info())", "which job failed, and its log", DISPLAY
    ),
    "logging.GROUP_ERROR": Use(
        "all(f'{name}=' in inspect.getsource(GroupJob.log_error) for name in ('aux_logs', 'job_error_info'))",
        "a group of jobs that failed, of which none says why",
        DISPLAY,
    ),
    "job.jobid": Use("isinstance(job.jobid, int)", "which job a record is about", DISPLAY),
    # The graph
    "workflow._prepare_dag": Use(
        "takes(workflow._prepare_dag, 'forceall', 'ignore_incomplete', 'lock_warn_only', 'nolock', 'shadow_prefix')",
        "building graphs, and the moment at which the locks of a dead run are deleted",
        f"{PLAN}, {LOCK}",
    ),
    "workflow._executor_plugin": Use("hasattr(workflow, '_executor_plugin')", "building a graph before a run", PLAN),
    "workflow._dag": Use("workflow._dag is workflow.dag", "letting go of a graph", PLAN),
    "workflow._persistence": Use("workflow._persistence is workflow.persistence", "letting go of a graph", PLAN),
    "workflow._async_runners": Use("isinstance(workflow._async_runners, dict)", "graphs in several processes", PLAN),
    "workflow._async_executor": Use(
        "hasattr(workflow._async_executor, 'submit')", "graphs in several processes", f"{PLAN}: they would hang"
    ),
    "workflow.async_run": Use("takes(workflow.async_run, 'coro')", "building a graph", PLAN),
    "workflow.dag": Use("workflow.dag is dag", "the graph", f"{PLAN}, {SUMMARY}"),
    "dag.init": Use("inspect.iscoroutinefunction(dag.init)", "building a graph", PLAN),
    "dag.update": Use(
        "takes(dag.update, 'jobs', 'file', 'visited', 'known_producers')"
        " and 'known_producers[file], True' in inspect.getsource(type(dag).collect_potential_dependencies)",
        "looking once for the job that makes a file",
        "a fifth of the plan's time",
    ),
    "inside.compare_files_as_texts": Use(
        "all(str(path) == str.__str__(path._file) and hash(path) == hash(str(path)) for path in job.input)",
        "comparing files as Python compares texts",
        "the plan's time",
    ),
    "inside.look_at_files_once": Use(
        "all(takes(io._IOFile.__dict__[name], 'self') for name in ('exists', 'exists_local', 'check'))"
        " and isinstance(io._IOFile.is_storage, property) and issubclass(io.ExistsDict, dict)"
        " and isinstance(workflow.iocache.exists_local, io.ExistsDict)"
        " and takes(io.IOCache.mtime_inventory, 'jobs')"
        " and 'mtime = await self.mtime_uncached()' in inspect.getsource(io._IOFile.mtime)",
        "asking of a file only what graphs go by",
        "a quarter of the plan's time",
    ),
    "inside.expand_input": Use(
        "takes(type(job.rule).expand_input, 'wildcards', 'groupid') and job.rule.dependencies == {}"
        " and [type(each).__name__ for each in job.rule.expand_input({})]"
        " == ['InputFiles', 'dict', 'dict', 'bool'] and io.unpack(len).flags == {'unpack': True}"
        " and takes(job.rule.apply_input_function, 'func', 'wildcards', 'groupid')",
        "making the inputs of a job once",
        "a tenth of the plan's time",
    ),
    "dag.job_cache": Use(
        "isinstance(dag.job_cache, dict) and 'self.job_cache[(job.rule, f)] = job' in inspect.getsource(dag.cache_job)",
        "finding jobs by their products",
        PLAN,
    ),
    "dag.update_conda_envs": Use(
        "callable(dag.update_conda_envs)", "leaving it out of graphs that are looked at", "a sixth of the plan's time"
    ),
    "dag.check_directory_outputs": Use(
        "callable(dag.check_directory_outputs)", "leaving it out of graphs that are looked at", "the plan's time"
    ),
    "dag.toposorted": Use(
        "[sorted(job.rule.name for job in level) for level in dag.toposorted()]"
        " == [['one', 'three'], ['two'], ['all']]",
        "the order of the jobs",
        PLAN,
    ),
    "dag.needrun": Use("dag.needrun(job)", "which jobs run", PLAN),
    "dag.needrun_jobs": Use(
        "{job.rule.name for job in dag.needrun_jobs(exclude_finished=False)} == {'all', 'one', 'two', 'three'}",
        "which jobs run, and whether any does",
        f"{PLAN}, {SUMMARY}, {WARM}",
    ),
    "dag.reason": Use("dag.reason(job) is reason and reason", "why a job runs", CAUSES),
    "dag.job_dependencies": Use(
        "[other.rule.name for other in dag.job_dependencies(two)] == ['one']", "what a job waits for", PLAN
    ),
    "dag.dependencies": Use(
        "{job.rule.name: set(map(str, files)) for job, files in dag.dependencies[target].items()}"
        " == {'two': {'two.txt'}, 'three': {'three.txt'}}",
        "the products behind the name of a target",
        SUMMARY,
    ),
    "dag.depending": Use("[other.rule.name for other in dag.depending[job]] == ['two']", "what is blocked", SUMMARY),
    "dag.finished": Use("not dag.finished(job)", "what is made", SUMMARY),
    "dag.jobs": Use("{job.rule.name for job in dag.jobs} >= {'one', 'two'}", "the files of a graph", PLAN),
    "dag.targetjobs": Use("[job.rule.name for job in dag.targetjobs] == ['all']", "what was asked for", SUMMARY),
    "dag.targetfiles": Use("not dag.targetfiles", "what was asked for", SUMMARY),
    # Jobs and files
    "job.rule": Use(
        "(job.rule.name, job.rule.priority, target.rule.name) == ('one', 0, 'all')"
        " and (str(job.rule.script), two.rule.script) == ('script.py', None)",
        "what a job is called",
        f"{PLAN}, {SUMMARY}",
    ),
    "job.wildcards": Use("list(map(str, two.wildcards)) == ['two']", "what a job is of", SUMMARY),
    "job.wildcards_dict": Use("dict(two.wildcards_dict) == {'name': 'two'}", "what a job is of", PLAN),
    "job.input": Use("sorted(map(str, job.input)) == ['a.txt', 'b.txt']", "which inputs are new", CAUSES),
    "job.output": Use("list(map(str, job.output)) == ['one.txt', 'one.tmp']", "what a job makes", f"{PLAN}, {SUMMARY}"),
    "job.threads": Use(
        "job.threads == 1 and job.rule.resources['_cores'].raw == 1 and two.rule.resources['_cores'].raw is None"
        " and two.threads == 1",
        "how many cores a job takes",
        "the times in `snakemake plan` of jobs with threads",
    ),
    "job.params": Use("dict(job.params.items()) == {'number': 2, 'code': 'x'}", "which parameter is another", CAUSES),
    "job.log": Use("list(map(str, job.log)) == ['one.log']", "where its reason to fail stands", SUMMARY),
    "job.is_group": Use("job.is_group() is False", "jobs that ran together", SUMMARY),
    "path.is_temp": Use("[bool(path.is_temp) for path in job.output] == [False, True]", "what is not kept", PLAN),
    "path.is_ancient": Use(
        "[bool(path.is_ancient) for path in job.input] == [False, False]",
        "inputs whose time does not count",
        "knowing without a graph what is up to date",
    ),
    "path.flags": Use("job.input[0].flags == {}", "inputs of which a part is read", CUT_OFF),
    "path.is_storage": Use("not job.output[0].is_storage", "telling S3", f"{CAUSES}, with data in S3"),
    "path.storage_object": Use("hasattr(type(job.output[0]), 'storage_object')", "names of objects in S3", CAUSES),
    "path.rule": Use("job.output[0].rule.workflow is workflow", "the prefix of objects in S3", CAUSES),
    # Why a job runs
    "reason.params_changed": Use("'2' in reason.params_changed.only_new", "which parameter is another", CAUSES),
    "reason.input_changed": Use("reason.input_changed", "whether the inputs are others", CAUSES),
    "reason.updated_input": Use("set(map(str, reason_of_three.updated_input)) == {'c.txt'}", "new inputs", CAUSES),
    "reason.updated_input_run": Use(
        "set(map(str, reason_of_two.updated_input_run)) == {'one.txt'}", "leaving out what follows", CAUSES
    ),
    "reason.missing_output": Use("not reason.missing_output", "what is missing", CAUSES),
    "reason.incomplete_output": Use("not reason.incomplete_output", "what was interrupted", CAUSES),
    "reason.forced": Use("not reason.forced", "what the command line forces", CAUSES),
    "reason.no_metadata": Use("reason.no_metadata is False", "products without a record", CAUSES),
    "workflow.persistence": Use("workflow.persistence is persistence", "what is recorded", f"{CAUSES}, {LOCK}"),
    "persistence.metadata": Use("bool(persistence.metadata(job.output[0]))", "which products were made before", CAUSES),
    "persistence.input": Use("persistence.input(job.output[0]) == ['a.txt']", "which inputs are new", CAUSES),
    "persistence.params": Use("set(persistence.params(job.output[0])) == {'1', \"'x'\"}", "old parameters", CAUSES),
    "persistence.has_metadata": Use(
        "persistence.has_metadata(job) is True", "whether a product was made before", CAUSES
    ),
    "persistence.params_changed": Use(
        "set(persistence.params_changed(job).only_new) == {'2'}", "what changed for a job behind another", CAUSES
    ),
    "persistence.input_changed": Use("any(persistence.input_changed(job))", "the same of the set of inputs", CAUSES),
    "persistence._record_path": Use(
        "Path(persistence._record_path(persistence._metadata_path, job.output[0])).is_file()"
        " and type(persistence).__name__ == 'FilePersistence'",
        "the files of records, which change with them",
        "knowing without a graph what is up to date",
    ),
    "persistence._metadata_path": Use("Path(persistence._metadata_path).is_dir()", "the same", "the same"),
    "workflow.workflow_settings": Use(
        "'consider_ancient' in vars(workflow.workflow_settings)", "what the command line asks for", "the same"
    ),
    "persistence.cleanup_locks": Use("callable(persistence.cleanup_locks)", "deleting locks", LOCK),
    "persistence.path": Use("Path(persistence.path, 'locks').is_dir()", "where the locks are", LOCK),
    # The scheduler
    "workflow.JobScheduler": Use(
        "type(workflow.scheduler).__name__ == 'Scheduler'", "putting a scheduler of our own in its place", SIGNALS
    ),
    "workflow.scheduler": Use("workflow.scheduler is scheduler", "the jobs that failed", SUMMARY),
    "scheduler.failed": Use("scheduler.failed == set()", "the jobs that failed", SUMMARY),
    "scheduler.dryrun": Use("scheduler.dryrun is False", "leaving dry runs to die at once", SIGNALS),
    "scheduler.exit_gracefully": Use("callable(scheduler.exit_gracefully)", "ending on SIGTERM", SIGNALS),
    "scheduler._open_jobs": Use(
        "'self._open_jobs.acquire()' in inspect.getsource(JobScheduler.schedule)",
        "the place where the scheduler waits, and an interrupt can come",
        SIGNALS,
    ),
    "scheduler.job_selector": Use(
        "takes(JobScheduler.job_selector, 'jobs')", "keeping quick looks for the end of a run", "a tenth of small runs"
    ),
    "job.priority": Use("job.priority == 0", "telling jobs that nothing waits for", "the same"),
    "scheduler.resources": Use("scheduler.resources['_cores'] == 1", "how many cores are free", THREADS),
    "job.resources": Use(
        "(setattr(two.resources, '_cores', 3), two.threads, setattr(two.resources, '_cores', 1)) == (None, 3, None)",
        "giving a job fewer cores",
        THREADS,
    ),
    "job.scheduler_resources": Use(
        "two.scheduler_resources['_cores'] == 1 and two.scheduler_resources is two.scheduler_resources",
        "the same",
        THREADS,
    ),
    # Early cut-off
    "dag.forcerules": Use("dag.forcerules == set()", "what the command line forces, behind other jobs too", CUT_OFF),
    "dag.forcefiles": Use("dag.forcefiles == set()", "the same of files", CUT_OFF),
    "job.benchmark": Use("str(job.benchmark) == 'one.tsv'", "files that are as old as the output", CUT_OFF),
    "reason.code_changed": Use("not reason.code_changed", "other triggers, if somebody sets them", CUT_OFF),
    "reason.software_stack_changed": Use("not reason.software_stack_changed", "the same", CUT_OFF),
    "persistence.has_outdated_metadata": Use(
        "persistence.has_outdated_metadata(job) is False", "records of an older Snakemake", CUT_OFF
    ),
    "persistence.incomplete": Use(
        "inspect.iscoroutinefunction(persistence.incomplete)", "products that were being written", CUT_OFF
    ),
    "record.endtime": Use("record.endtime > 1e9", "when a temporary file was made that is gone", CUT_OFF),
    "record.input_checksums": Use("isinstance(record.input_checksums, dict)", "what was read", CUT_OFF),
    "dag.finish": Use("takes(dag.finish, 'job', 'update_checkpoint_dependencies')", "what counts as finished", CUT_OFF),
    "inside.checksum": Use(
        "takes(io._IOFile.checksum, 'threshold', 'force', 'algorithm')", "the content of products alone", CUT_OFF
    ),
    "inside.flag": Use("io.flag('a', 'b', 'c').flags == {'b': 'c'}", "the same", CUT_OFF),
    "inside.input_checksums": Use(
        "takes(PersistenceBase.input_checksums, 'job', 'input_path')",
        "judging jobs with temporary files by time",
        CUT_OFF,
    ),
    "inside.max_checksum_file_size": Use(
        "'max_checksum_file_size' in vars(workflow.dag_settings)", "recording the content of all products", CUT_OFF
    ),
    "scheduler.run": Use("takes(JobScheduler.run, 'jobs', 'executor')", "the moment before jobs are started", CUT_OFF),
    "scheduler.running": Use("isinstance(scheduler.running, set)", "jobs that count as finished", CUT_OFF),
    "scheduler.finished_jobs": Use("isinstance(scheduler.finished_jobs, int)", "the same", CUT_OFF),
    "scheduler._free_resources": Use("takes(scheduler._free_resources, 'job')", "the same", CUT_OFF),
    "scheduler._lock": Use("hasattr(scheduler._lock, 'acquire')", "the same", CUT_OFF),
    "scheduler.print_progress": Use("isinstance(scheduler.print_progress, bool)", "telling how far a run is", CUT_OFF),
    "scheduler.progress": Use("callable(scheduler.progress)", "the same", CUT_OFF),
    "scheduler.touch": Use("scheduler.touch is False", "leaving --touch alone", CUT_OFF),
    # Scripts
    "PythonScript.evaluate": Use("takes(PythonScript.evaluate, 'edit')", "watching how scripts end", SUMMARY),
    "PythonScript.execute_script": Use(
        "takes(PythonScript.execute_script, 'fname', 'edit')", "forking in place of starting Python", WARM
    ),
    "script.log": Use("list(map(str, script.log)) == ['one.log']", "of which job a script is", SUMMARY),
    "script.input": Use("list(script.input.items()) == [] and list(script.input)", "what products carry", CARRIED),
    "script.output": Use("list(map(str, script.output)) == ['one.txt', 'one.tmp']", "the same", CARRIED),
    "script.params": Use("dict(script.params.items())['code'] == 'x'", "the same", CARRIED),
    "script.wildcards": Use("list(script.wildcards) == []", "why they cannot carry it", CARRIED),
    "script.rulename": Use("script.rulename == 'one'", "the same", CARRIED),
    "script.path": Use("script.path.get_filename().endswith('script.py')", "which libraries it needs", WARM),
    "script.resources": Use("script.resources.get('tmpdir')", "the folder of its temporary files", WARM),
    "script.bench_record": Use("type(script.bench_record).__name__ == 'BenchmarkRecord'", "its time and memory", WARM),
    "benchmark.BenchmarkRecord": Use(
        "set('running_time cpu_time cpu_usage max_rss max_vms max_uss io_in io_out data_collected'.split())"
        " <= set(vars(benchmark.BenchmarkRecord()))",
        "its time and memory",
        "the records of runs, by which `snakemake plan` forecasts",
    ),
    "common.get_function_params": Use(
        "takes(common.get_function_params, 'func') and rules.get_function_params is common.get_function_params",
        "remembering signatures",
        "the time of large graphs",
    ),
    "inside.ScriptProcessor.process_job": Use(
        "takes(ScriptProcessor.process_job, 'job') and ScriptProcessor in map(type, dag.dag_processors)"
        " and ScriptProcessor.script_type == 'script'",
        "looking at each script once",
        "the time of large graphs",
    ),
    "inside.get_language": Use(
        "scripts and 'nbformat' not in modules", "not loading the libraries of notebooks", "0.15 s of each run"
    ),
}


AT_THE_END = ("script.", "logging.JOB_INFO", "logging.JOB_FINISHED", "inside.get_language")  # of a run


def problems(objects, contract=CONTRACT):
    """Return what is not as it should be by the names: what the check says, what the name is for, and what breaks."""
    found = {}
    for name, use in contract.items():
        try:
            holds = bool(eval(use.check, objects))
            why = f"{use.check} is false"
        except Exception as error:
            holds, why = False, repr(error)
        if not holds:
            found[name] = f"{name}: {why}. It is for {use.what_for}; without it, this breaks: {use.breaks}"
    return found


@dataclass
class Trial:
    """A run that tries the names: at its start those of the graph, at its end those of scripts."""

    workflow: object
    scripts: list = field(default_factory=list)
    records: dict = field(default_factory=lambda: defaultdict(list))
    found: dict = field(default_factory=dict)

    def watch_records(self):
        from snakemake.logging import logger

        handler = logging.Handler()
        handler.emit = lambda record: self.records[str(getattr(record, "event", None))].append(vars(record))
        logger.addHandler(handler)

    def watch_scripts(self):
        from calflow.engine.inside import start_scripts_by

        def start(script, fname, start_python):
            self.scripts.append(script)
            start_python()

        start_scripts_by(start)

    def objects(self):
        """Return what the checks speak of."""
        import snakemake.benchmark
        import snakemake.cli
        import snakemake.exceptions
        import snakemake.io
        import snakemake.jobs
        import snakemake.rules
        from snakemake.dag import ScriptProcessor
        from snakemake.logging import logger
        from snakemake.persistence import PersistenceBase
        from snakemake.scheduling.job_scheduler import JobScheduler
        from snakemake.script import PythonScript
        from snakemake.workflow import Workflow

        from calflow.engine.run_log import HANDLER

        dag = self.workflow.dag
        jobs = {job.rule.name: job for job in dag.jobs}
        scripts = [script for script in self.scripts if "one.log" in map(str, script.log)]
        return globals() | {
            "Workflow": Workflow, "JobScheduler": JobScheduler, "PythonScript": PythonScript, "logger": logger,
            "ScriptProcessor": ScriptProcessor, "scripts": scripts, "modules": sys.modules,
            "HANDLER": HANDLER, "GroupJob": snakemake.jobs.GroupJob, "jobs": jobs, "records": self.records,
            "cli": snakemake.cli, "common": snakemake.common, "rules": snakemake.rules,
            "exceptions": snakemake.exceptions, "io": snakemake.io, "PersistenceBase": PersistenceBase,
            "record": self.workflow.persistence.metadata(jobs["one"].output[0]),
            "benchmark": snakemake.benchmark,
            "workflow": self.workflow, "dag": dag, "persistence": self.workflow.persistence,
            "scheduler": self.workflow.scheduler, "job": jobs["one"], "two": jobs["two"], "target": jobs["all"],
            "reason": dag.reason(jobs["one"]), "reason_of_two": dag.reason(jobs["two"]),
            "reason_of_three": dag.reason(jobs["three"]), "script": scripts[0] if scripts else SimpleNamespace(),
        }  # fmt: skip

    def begin(self):
        first = {name: use for name, use in CONTRACT.items() if not name.startswith(AT_THE_END)}
        self.found = problems(self.objects(), first)

    def end(self, path):
        last = {name: use for name, use in CONTRACT.items() if name.startswith(AT_THE_END)}
        self.found |= problems(self.objects(), last)
        Path(path).write_text(json.dumps(self.found))


SNAKEFILE = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
from calflow.engine.signals import take_signals
from calflow.engine.speed import speed_up
from calflow.engine.timers import stop_timers
from tests.engine_contract import Trial

speed_up()
take_signals()
trial = Trial(workflow)
trial.watch_scripts()
trial.watch_records()

rule all:
    input: "two.txt", "three.txt"

rule one:
    input: ["a.txt", "b.txt"][:config["number"]]
    output: "one.txt", temp("one.tmp")
    params: number=config["number"], code="x"
    log: "one.log"
    benchmark: "one.tsv"
    script: "script.py"

rule two:
    input: "one.txt"
    output: "{{name}}.txt"
    wildcard_constraints: name="two"
    threads: lambda wildcards: 2
    shell: "touch {{output}}"

rule three:
    input: "c.txt"
    output: "three.txt"
    shell: "touch {{output}}"

onstart:
    if config["number"] == 2:
        trial.begin()

onsuccess:
    if config["number"] == 2:
        trial.end("found.json")
    stop_timers()
"""
SCRIPT = "from pathlib import Path\nfor path in snakemake.output: Path(path).touch()\n"
