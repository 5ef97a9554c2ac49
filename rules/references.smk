# Reference files made of calibration exposures: the `reference_makers` of the configuration.


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
        mem_mb=lambda wildcards, input, attempt: request.memory(1200 + int(4 * input.size_mb / len(input.exposures)), attempt),
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
