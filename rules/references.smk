# Reference files made of calibration exposures: the `reference_makers` of the configuration. And fetched ones.


rule make_reference:
    input:
        unpack(lambda wildcards: plan.made_reference(wildcards.reference).files()),
    output:
        reference=f"{OUTPUT}references/{{reference}}.fits",
    log:
        f"{OUTPUT}logs/make_reference/{{reference}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/make_reference/{{reference}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(
            1200 + int(4 * input.size_mb / len(input.exposures)), attempt
        ),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 50)),
    params:
        reftype=lambda wildcards: plan.made_reference(wildcards.reference).settings.type,
        combination=lambda wildcards: plan.made_reference(wildcards.reference).settings.combination(),
        normalisation=lambda wildcards: plan.made_reference(wildcards.reference).settings.normalisation,
        window=lambda wildcards: plan.made_reference(wildcards.reference).window.numbers,
        images=lambda wildcards: list(plan.made_reference(wildcards.reference).family.images),
        keywords=lambda wildcards: dict(plan.made_reference(wildcards.reference).keywords),
        stamps=lambda wildcards: plan.stamps(plan.made_reference(wildcards.reference).files()),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "make_reference.py"),
    message:
        "{wildcards.reference}: make a reference file"
    script:
        "../scripts/make_reference.py"


rule fetch_reference:
    output:
        # Of what the cache lacks, nothing else. `update`: should another run have fetched it meanwhile, it stays.
        reference=update(f"{plan.crds.references}/{{crds_file}}"),
    log:
        f"{OUTPUT}logs/fetch_reference/{{crds_file}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/fetch_reference/{{crds_file}}.tsv"
    wildcard_constraints:
        crds_file=plan.crds.pattern(),
    # Others wait for it.
    priority: 1
    # Where the others run there may be no network. One at a time: profiles/default has one `crds_download`.
    localrule: True
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=200,
        runtime=60,
        crds_download=1,
    params:
        url=lambda wildcards: plan.crds.fetches[wildcards.crds_file].url,
        observatory=lambda wildcards: plan.crds.fetches[wildcards.crds_file].observatory,
        retries=4,
    message:
        "{wildcards.crds_file}: fetch a reference file"
    script:
        "../scripts/fetch_reference.py"


rule update_crds:
    log:
        f"{OUTPUT}logs/update_crds.log",
    localrule: True
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        url=server_url(settings.references, "jwst"),
        crds_path=str(cache_path(settings.references)),
        contexts=lambda wildcards: wanted_contexts(settings.references),
        # A plan needs these themselves, not only their names.
        reftypes=READ_BY_THE_PLAN,
        retries=4,
    message:
        "bring the mappings of the CRDS cache up to date"
    script:
        "../scripts/update_crds.py"


rule check_crds:
    log:
        f"{OUTPUT}logs/check_crds.log",
    localrule: True
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        contexts=lambda wildcards: plan.crds.contexts,
        mappings=lambda wildcards: plan.crds.mappings,
        references=lambda wildcards: plan.crds_references(),
        urls=lambda wildcards: {name: server_url(settings.references, name) for name, _ in plan.crds.contexts},
        retries=1,
    message:
        "compare the files of the CRDS cache that are in use with what is published of them"
    script:
        "../scripts/check_crds.py"
