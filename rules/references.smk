# Reference files of Liger and IRIS made of calibration exposures: raw darks -> dark, raw flats -> flat.


rule make_reference:
    input:
        unpack(lambda wildcards: plan.made_reference(wildcards.reference).inputs()),
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
        mem_mb=lambda wildcards, input: 800 + int(2 * input.size_mb / len(input.exposures)),
        runtime=lambda wildcards, input: 5 + int(input.size_mb / 50),
    params:
        type=lambda wildcards: plan.made_reference(wildcards.reference).type,
        images=lambda wildcards: plan.made_reference(wildcards.reference).images,
        window=lambda wildcards: plan.made_reference(wildcards.reference).window,
        keywords=lambda wildcards: dict(plan.made_reference(wildcards.reference).keywords),
        combination=lambda wildcards: settings.make_references[wildcards.reference].combination(),
        normalisation=lambda wildcards: settings.make_references[wildcards.reference].normalisation,
        stamps=lambda wildcards: stamps(
            plan.made_reference(wildcards.reference).exposures, plan.reference_folder
        ),
        code=code_hash(SCRIPTS / "make_reference.py"),
    message:
        "{output.reference}"
    script:
        "../scripts/make_reference.py"


rule references:
    input:
        plan.made_products(),
    message:
        "the references are made"
