# calflow: imaging of JWST, Liger and IRIS, from count rates to combined images and catalogues.
# The configuration is in config.yaml; what a run will do is decided in scripts/calflow/plan.
import copy
import logging
import os
import re
import sys
from pathlib import Path

from snakemake import __version__ as snakemake_version
from snakemake.utils import min_version

if not isinstance(workflow.current_basedir, os.PathLike):  # of a module that is github(...)
    sys.exit("calflow is a package, too, and has to lie on this machine: clone it, and name that Snakefile")
HERE = Path(workflow.current_basedir)
# Of another workflow: docs/module.md. The folder of the main Snakefile is as it was given, perhaps with "..".
IS_MODULE = HERE != Path(os.path.abspath(workflow.basedir))
SCRIPTS = HERE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from calflow.engine.versions import is_tested
from calflow.commands.names import COMMANDS
from calflow.engine.targets import TOLD, asks_for

if IS_MODULE:
    from calflow.module_run import ModuleRun as Run
elif is_tested(snakemake_version):  # says more of one that is too old than min_version does
    from calflow.engine.warm_start.launcher import start_early

    if not asks_for({*COMMANDS, *TOLD}):
        start_early(workflow, config)  # while the plan is made, and before what that needs is loaded
    from calflow.run import Run
else:
    from calflow.plain_run import PlainRun as Run

min_version("9.20")

# Snakemake's log cannot be written on a full disk; that is told in one line, not in a traceback for each line of it.
logging.raiseExceptions = False

run = Run(workflow, snakemake_version)
given = copy.deepcopy(config)  # what the user gave, before the defaults come to it
given_files = workflow.configfiles[::-1]  # those of the user, the strongest first
if not IS_MODULE:  # whose config has no defaults: those are declared

    configfile: f"{HERE}/config.yaml"


from calflow.configuration.paths import seen_from_here
from calflow.jobs.code_hash import CodeHashes, cache_of_code
from calflow.references.crds_cache import check_crds_source, check_update
from calflow.plan.first_pass import FIRST
from calflow.plan.handed_on import handed_on
from calflow.plan.made_beside import made_beside
from calflow.plan.plan import Plan
from calflow.plan.planner import make_plan
from calflow.jobs.extra_steps import waits_for_others
from calflow.jobs.requests import Requests
from calflow.jobs.rules import Rules
from calflow.jobs.sizes import Sizes
from calflow.inputs.storage_mirror import mirror_storage
from calflow.engine.environments import set_environment
from calflow.engine.kinds import by_kind, of_notices
from calflow.engine.modules import below_prefix, named_after_module
from calflow.engine.reading import default_storage, is_local, seen_from_command
from calflow.engine.unchanged import mark_part
from calflow.engine.targets import is_only_target, shows_results, wanted_stages
from calflow.commands.commands import answer_command
from calflow.printable import printable
from calflow.configuration.problems import InputError
from calflow.configuration.settings import SHIPPED, read_settings

config_files = [] if IS_MODULE else [*map(seen_from_here, given_files), SHIPPED]
look_into_storage = lambda settings: mirror_storage(
    *default_storage(workflow), settings.output, Path(".snakemake/calflow/storage.json")
)

if not run.is_job and not IS_MODULE:
    answer_command(config, given, config_files, look_into_storage)
try:
    if IS_MODULE:
        config = given = below_prefix(config, workflow)
    plan = handed_on(config) if run.is_job else None
    settings = plan.settings if plan else read_settings(config, config_files, given=given)
    if plan:
        pass  # that of the run which submitted this job
    elif is_only_target("update_crds"):
        # Without it there may be no context to plan with.
        check_update(settings.references)
        plan = Plan(settings, ())
    else:
        if is_only_target("check_crds"):
            check_crds_source(settings.references)
        look_into_storage(settings)
        plan = make_plan(
            settings,
            config_files,
            cache=Path(".snakemake/calflow/headers"),
            stages=wanted_stages(),
            is_job=run.is_job,
        )
except InputError as error:
    sys.exit(str(named_after_module(error) if IS_MODULE else error))

if plan.made_associations:
    logger.info(printable(plan.made_associations.summary()))
    logger.info(printable(plan.made_associations.used_line()))
for notice in by_kind(of_notices(plan.notices)):
    logger.warning(printable(notice))

OUTPUT = plan.output
# Other runs have no rules for it, which would cost time to read.
are_shown = IS_MODULE or settings.page or settings.previews or shows_results()
code_hashes = CodeHashes(cache_of_code(otherwise=Path(".snakemake/calflow/code")))
# Those of a first pass are in folders of their own.
PASS = f"(?:{FIRST})?" if plan.first_pass.associations else ""
MERGED = "|".join(map(re.escape, plan.merges)) or "(?!)"  # a regular expression for their roots


wildcard_constraints:
    exposure=rf"{PASS}[^/]+",
    merged=MERGED,
    reference=r"[^/]+",
    background=r"[0-9a-f]+",
    place="rate|cal",
    collection=r"[^/]+",
    cal="cal|calints",
    bsub="bsub|bsubints",
    member=rf"{PASS}[^/]+",
    # The products of a group in the outlier search end like those of an association.
    association=rf"{PASS}[^/]+(?<!_outlier)",
    source=r"[^/]+",
    crf=rf"{PASS}[^/]+",
    grid=r"[^/]+",
    optics=r"[^/]+",
    scale=r"[^/]+",
    preview=r"[^/]+",
    group=r"[0-9]+",
    piece=r"[0-9]+",
    part=r"[1-9][0-9]*",
    catalog=r"[^/_]+(_s3)?",


# Functions, so that a target that is not wanted costs nothing.
rule all:
    default_target: not IS_MODULE
    input:
        lambda wildcards: [*plan.products(), *made_beside(plan)],
    message:
        "everything is made"


if not IS_MODULE:

    rule plan:
        message:
            "never a job: the plan is printed before any job, see scripts/calflow/forecast"

    rule lineage:
        message:
            "never a job: it is printed before any job, see scripts/calflow/provenance"

    for command in COMMANDS:

        rule:
            name:
                command
            message:
                "never a job: it is answered before any job, see scripts/calflow/commands"


rule references:
    input:
        lambda wildcards: plan.reference_products(),
    message:
        "the reference files are made"


rule stage2:
    input:
        lambda wildcards: plan.stage2_products(),
    message:
        "stage 2 is made"


rule stage3:
    input:
        lambda wildcards: plan.stage3.products(),
    message:
        "stage 3 is made"


include: "rules/common.smk"
include: "rules/references.smk"
include: "rules/stage2.smk"
include: "rules/stage3.smk"


if are_shown:

    include: "rules/quality.smk"
    include: "rules/previews.smk"
    include: "rules/pages.smk"
    include: "rules/maps.smk"


if not IS_MODULE:

    include: "rules/demo.smk"
    include: "rules/demo_iris.smk"


code_hashes.save()
set_environment(workflow, "../envs/calflow.yaml", HERE)
run.surround(plan, config)


onstart:
    code_hashes.save()  # of the jobs, too, whose functions their plan names
    if plan.made_associations:
        try:
            plan.made_associations.write()
        except InputError as error:
            sys.exit(str(error))
    run.begin()


onsuccess:
    run.end()


onerror:
    run.end()
