# Reference files made of calibration exposures: the `reference_makers` of the configuration. And fetched ones.


rule make_reference:
    input:
        unpack(files_of("make_reference")),
    output:
        reference=f"{OUTPUT}references/{{reference}}.fits",
    log:
        f"{LOGS}/make_reference/{{reference}}.log",
    benchmark:
        f"{BENCHMARKS}/make_reference/{{reference}}.tsv"
    resources:
        **resources_of("make_reference"),
    params:
        **parameters_of("make_reference"),
    message:
        "{wildcards.reference}: make a reference file"
    script:
        "../scripts/make_reference.py"


rule fetch_reference:
    output:
        # Of what the cache lacks, nothing else. `update`: should another run have fetched it meanwhile, it stays.
        reference=update(f"{plan.crds.references}/{{crds_file}}"),
    log:
        f"{LOGS}/fetch_reference/{{crds_file}}.log",
    wildcard_constraints:
        crds_file=plan.crds.pattern(),
    # Others wait for it.
    priority: 1
    # Where the others run there may be no network. One at a time: profiles/default has one `crds_download`.
    localrule: True
    resources:
        mem_mb=200,
        runtime=60,
        crds_download=1,
    params:
        **parameters_of("fetch_reference"),
    message:
        "{wildcards.crds_file}: fetch a reference file"
    script:
        "../scripts/fetch_reference.py"


rule update_crds:
    log:
        f"{LOGS}/update_crds.log",
    localrule: True
    params:
        **parameters_of("update_crds"),
    script:
        "../scripts/update_crds.py"


rule check_crds:
    log:
        f"{LOGS}/check_crds.log",
    localrule: True
    params:
        **parameters_of("check_crds"),
    script:
        "../scripts/check_crds.py"
