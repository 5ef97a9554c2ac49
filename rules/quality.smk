# How good the products are: JSON files of what is measured on exposures and associations (docs/page.md).
from calflow.plan.quality_files import association_qualities


rule exposure_quality:
    input:
        unpack(files_of("exposure_quality")),
    output:
        quality=f"{OUTPUT}quality/exposures/{{member}}.json",
    log:
        f"{LOGS}/exposure_quality/{{member}}.log",
    benchmark:
        f"{BENCHMARKS}/exposure_quality/{{member}}.tsv"
    group:
        "exposure"
    resources:
        **resources_of("exposure_quality"),
    params:
        **parameters_of("exposure_quality"),
    message:
        "{wildcards.member}: how good it is"
    script:
        "../scripts/exposure_quality.py"


rule association_completeness:
    input:
        unpack(files_of("association_completeness")),
    output:
        completeness=f"{OUTPUT}quality/completeness/{{association}}.json",
    log:
        f"{LOGS}/association_completeness/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/association_completeness/{{association}}.tsv"
    resources:
        **resources_of("association_completeness"),
    params:
        **parameters_of("association_completeness"),
    message:
        "{wildcards.association}: how complete its catalogue is"
    script:
        "../scripts/association_completeness.py"


rule association_quality:
    input:
        unpack(files_of("association_quality")),
    output:
        quality=f"{OUTPUT}quality/{{association}}.json",
    log:
        f"{LOGS}/association_quality/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/association_quality/{{association}}.tsv"
    resources:
        **resources_of("association_quality"),
    params:
        **parameters_of("association_quality"),
    message:
        "{wildcards.association}: how good it is"
    script:
        "../scripts/association_quality.py"


rule quality:
    input:
        lambda wildcards: list(association_qualities(plan).values()),
    message:
        "the quality of the products is measured"
