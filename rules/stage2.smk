# Stage 2: _rate[ints] -> _bsub[ints] -> _cal[ints] -> _i2d, one exposure at a time.
# What is done with one exposure is one job of a cluster: each has to wait in the queue and starts Snakemake twice.


rule apply_extra_steps:
    input:
        unpack(files_of("apply_extra_steps")),
    output:
        clean=kept_if_wanted(f"{STAGE2}/{{exposure}}_{{place}}_clean.fits"),
    log:
        f"{LOGS}/apply_extra_steps/{{exposure}}_{{place}}.log",
    benchmark:
        f"{BENCHMARKS}/apply_extra_steps/{{exposure}}_{{place}}.tsv"
    group:
        # After stage 2, or with a mask of sources, it may wait for other exposures, which a group must not.
        lambda wildcards: None if waits_for_others(plan, **wildcards) else "exposure"
    resources:
        **resources_of("apply_extra_steps"),
    params:
        **parameters_of("apply_extra_steps"),
    message:
        "{wildcards.exposure}: extra steps on its _{wildcards.place}"
    script:
        "../scripts/apply_extra_steps.py"


rule mask_sources:
    input:
        unpack(files_of("mask_sources")),
    output:
        mask=f"{STAGE2}/masks/{{source}}/{{exposure}}_sources.fits",
    log:
        f"{LOGS}/mask_sources/{{source}}/{{exposure}}.log",
    benchmark:
        f"{BENCHMARKS}/mask_sources/{{source}}/{{exposure}}.tsv"
    resources:
        **resources_of("mask_sources"),
    params:
        **parameters_of("mask_sources"),
    message:
        "{wildcards.exposure}: where the combined image has sources"
    script:
        "../scripts/mask_sources.py"


rule collect_exposures:
    input:
        unpack(files_of("collect_exposures")),
    output:
        collection=f"{STAGE2}/collected/{{collection}}.fits",
    log:
        f"{LOGS}/collect_exposures/{{collection}}.log",
    benchmark:
        f"{BENCHMARKS}/collect_exposures/{{collection}}.tsv"
    resources:
        **resources_of("collect_exposures"),
    params:
        **parameters_of("collect_exposures"),
    message:
        "look at all exposures of {wildcards.collection}"
    script:
        "../scripts/collect_exposures.py"


rule combine_background:
    input:
        unpack(files_of("combine_background")),
    output:
        background=f"{STAGE2}/backgrounds/{{background}}.fits",
    log:
        f"{LOGS}/combine_background/{{background}}.log",
    benchmark:
        f"{BENCHMARKS}/combine_background/{{background}}.tsv"
    resources:
        **resources_of("combine_background"),
    params:
        **parameters_of("combine_background"),
    message:
        "average the background exposures of set {wildcards.background}"
    script:
        "../scripts/combine_background.py"


rule model_sky:
    input:
        unpack(files_of("model_sky")),
    output:
        background=f"{STAGE2}/skies/{{background}}.fits",
    log:
        f"{LOGS}/model_sky/{{background}}.log",
    benchmark:
        f"{BENCHMARKS}/model_sky/{{background}}.tsv"
    resources:
        **resources_of("model_sky"),
    params:
        **parameters_of("model_sky"),
    message:
        "model the sky of set {wildcards.background}"
    script:
        "../scripts/model_sky.py"


rule save_combined_background:
    input:
        unpack(files_of("save_combined_background")),
    output:
        background=f"{STAGE2}/{{exposure}}_combinedbackground.fits",
    log:
        f"{LOGS}/save_combined_background/{{exposure}}.log",
    benchmark:
        f"{BENCHMARKS}/save_combined_background/{{exposure}}.tsv"
    resources:
        **resources_of("save_combined_background"),
    params:
        **parameters_of("save_combined_background"),
    message:
        "{wildcards.exposure}: the background as subtracted"
    script:
        "../scripts/save_combined_background.py"


rule subtract_background:
    input:
        unpack(files_of("subtract_background")),
    output:
        bsub=f"{STAGE2}/{{exposure}}_{{bsub}}.fits",
    log:
        f"{LOGS}/subtract_background/{{exposure}}_{{bsub}}.log",
    benchmark:
        f"{BENCHMARKS}/subtract_background/{{exposure}}_{{bsub}}.tsv"
    resources:
        **resources_of("subtract_background"),
    params:
        **parameters_of("subtract_background"),
    message:
        "{wildcards.exposure}: subtract the background"
    script:
        "../scripts/subtract_background.py"


rule calibrate:
    input:
        unpack(files_of("calibrate")),
    output:
        **geometry_of("exposure"),
        cal=f"{STAGE2}/{{exposure}}_{{cal}}.fits",
    log:
        f"{LOGS}/calibrate/{{exposure}}_{{cal}}.log",
    benchmark:
        f"{BENCHMARKS}/calibrate/{{exposure}}_{{cal}}.tsv"
    wildcard_constraints:
        # Merged exposures are named alike.
        exposure=rf"{PASS}(?!(?:{MERGED})_cal(?:ints)?\.)[^/]+",
    group:
        "exposure"
    resources:
        **resources_of("calibrate"),
    params:
        **parameters_of("calibrate"),
    message:
        "{wildcards.exposure}: world coordinates, flat field, photometry"
    script:
        "../scripts/calibrate.py"


rule merge_subarrays:
    input:
        unpack(files_of("merge_subarrays")),
    output:
        **geometry_of("merged"),
        cal=f"{STAGE2}/{{merged}}_{{cal}}.fits",
    log:
        f"{LOGS}/merge_subarrays/{{merged}}_{{cal}}.log",
    benchmark:
        f"{BENCHMARKS}/merge_subarrays/{{merged}}_{{cal}}.tsv"
    resources:
        **resources_of("merge_subarrays"),
    params:
        **parameters_of("merge_subarrays"),
    message:
        "{wildcards.merged}: put concurrent subarrays into their full frame"
    script:
        "../scripts/merge_subarrays.py"


rule save_flat:
    input:
        unpack(files_of("save_flat")),
    output:
        reference=f"{STAGE2}/{{exposure}}_interpolatedflat.fits",
    log:
        f"{LOGS}/save_flat/{{exposure}}.log",
    benchmark:
        f"{BENCHMARKS}/save_flat/{{exposure}}.tsv"
    resources:
        **resources_of("save_flat"),
    params:
        **parameters_of("save_flat"),
    message:
        "{wildcards.exposure}: the flat as applied"
    script:
        "../scripts/save_reference.py"


use rule save_flat as save_dark with:
    input:
        unpack(files_of("save_dark")),
    output:
        reference=f"{STAGE2}/{{exposure}}_applieddark.fits",
    log:
        f"{LOGS}/save_dark/{{exposure}}.log",
    benchmark:
        f"{BENCHMARKS}/save_dark/{{exposure}}.tsv"
    params:
        **parameters_of("save_dark"),
    message:
        "{wildcards.exposure}: the dark as applied"


rule resample_exposure:
    input:
        unpack(files_of("resample_exposure")),
    output:
        i2d=f"{STAGE2}/{{exposure}}_i2d.fits",
    log:
        f"{LOGS}/resample_exposure/{{exposure}}.log",
    benchmark:
        f"{BENCHMARKS}/resample_exposure/{{exposure}}.tsv"
    # Nothing waits for a quick look: it is made beside the last jobs of stage 3 (scripts/calflow/engine/spare_jobs.py).
    priority: -1
    group:
        "exposure"
    resources:
        **resources_of("resample_exposure"),
    params:
        **parameters_of("resample_exposure"),
    message:
        "{wildcards.exposure}: quick look"
    script:
        "../scripts/resample_exposure.py"
