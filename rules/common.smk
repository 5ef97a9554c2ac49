# What rules say in the same way. What jobs read, take and cost is said in scripts/calflow/jobs.
STAGE2, STAGE3 = f"{OUTPUT}stage2", f"{OUTPUT}stage3"
LOGS, BENCHMARKS = f"{OUTPUT}logs", f"{OUTPUT}benchmarks"
requests = Requests(
    Sizes(plan),
    lambda: is_local(workflow),
    len(plan.exposures),
    cores=lambda: 1 if run.is_job or not is_local(workflow) else workflow.resource_settings.cores or 1,
)
jobs = Rules(plan, requests, code_hashes, SCRIPTS, mark_part)
files_of, parameters_of, resources_of, group_of = jobs.files, jobs.parameters, jobs.resources, jobs.group
geometry_of, saved_image, code_of = jobs.geometry, jobs.saved_image, jobs.code
kept_if_wanted = str if settings.extra_steps.save_clean else temp
