# Stage 2: _rate[ints] -> _bsub[ints] -> _cal[ints] -> _i2d, one exposure at a time.
# Memory: what was measured, as a multiple of the input, over what the interpreter and its imports take.

# Where the pixels lie on the sky, for stage 3.
GEOMETRY = (
    {}
    if settings.stage2.assign_wcs.skip
    else {"geometry": f"{OUTPUT}stage2/geometry/{{exposure}}_{{cal}}.json"}
)
# What is done with one exposure is one job of a cluster: each has to wait in the queue and starts Snakemake twice.
# In a group all resources are functions of wildcards, or of input from outside it: Snakemake leaves out, silently,
# what it cannot tell before the first job of the group has run.
# `stamps` must not take `input`: Snakemake does not compare parameters that depend on it.


rule combine_background:
    input:
        unpack(lambda wildcards: plan.lasting(plan.background_set(wildcards.background).files())),
    output:
        # Not temporary: made anew for one exposure, it would drag all others along.
        background=f"{OUTPUT}stage2/backgrounds/{{background}}.fits",
    log:
        f"{OUTPUT}logs/combine_background/{{background}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/combine_background/{{background}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(
            1200 + int(2 * input.size_mb / len(input.members)), attempt
        ),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 200)),
    params:
        bkg_subtract=lambda wildcards: plan.background_parameters(wildcards.background),
        window=lambda wildcards: plan.background_set(wildcards.background).window.numbers,
        depth=lambda wildcards: plan.background_set(wildcards.background).depth,
        undarkened=lambda wildcards: list(map(str, plan.background_set(wildcards.background).undarkened)),
        images=lambda wildcards: plan.background_images(wildcards.background),
        stamps=lambda wildcards: plan.background_stamps(wildcards.background),
        code=code_hash(SCRIPTS / "combine_background.py"),
    message:
        "average the background exposures of set {wildcards.background}"
    script:
        "../scripts/combine_background.py"


rule model_sky:
    input:
        unpack(lambda wildcards: plan.lasting(plan.background_set(wildcards.background).files())),
    output:
        background=f"{OUTPUT}stage2/skies/{{background}}.fits",
    log:
        f"{OUTPUT}logs/model_sky/{{background}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/model_sky/{{background}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(
            1200 + int(8 * input.size_mb / len(input.members)), attempt
        ),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 100)),
    params:
        sky_model=lambda wildcards: plan.sky_parameters(wildcards.background),
        window=lambda wildcards: plan.background_set(wildcards.background).window.numbers,
        undarkened=lambda wildcards: list(map(str, plan.background_set(wildcards.background).undarkened)),
        images=lambda wildcards: plan.background_images(wildcards.background),
        stamps=lambda wildcards: plan.background_stamps(wildcards.background),
        code=code_hash(SCRIPTS / "model_sky.py"),
    message:
        "model the sky of set {wildcards.background}"
    script:
        "../scripts/model_sky.py"


rule save_combined_background:
    input:
        background=lambda wildcards: plan.subtraction_input(wildcards.exposure)["background"],
    output:
        background=f"{OUTPUT}stage2/{{exposure}}_combinedbackground.fits",
    log:
        f"{OUTPUT}logs/save_combined_background/{{exposure}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/save_combined_background/{{exposure}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(300, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        code=code_hash(SCRIPTS / "save_combined_background.py"),
    message:
        "{output.background}"
    script:
        "../scripts/save_combined_background.py"


rule subtract_background:
    input:
        unpack(lambda wildcards: plan.subtraction_input(wildcards.exposure, wildcards.bsub)),
    output:
        bsub=f"{OUTPUT}stage2/{{exposure}}_{{bsub}}.fits",
    log:
        f"{OUTPUT}logs/subtract_background/{{exposure}}_{{bsub}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/subtract_background/{{exposure}}_{{bsub}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(300 + int(4 * input.size_mb), attempt),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 200)),
    params:
        images=lambda wildcards: plan.images(wildcards.exposure),
        facts=lambda wildcards: plan.facts(wildcards.exposure),
        origin=lambda wildcards: plan.association_record(wildcards.exposure),
        stamps=lambda wildcards: stamps(
            plan.subtraction_input(wildcards.exposure, wildcards.bsub).values(), *plan.made
        ),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "subtract_background.py"),
    message:
        "{wildcards.exposure}: subtract the background"
    script:
        "../scripts/subtract_background.py"


rule calibrate:
    input:
        unpack(lambda wildcards: plan.lasting(plan.calibration_input(wildcards.exposure, wildcards.cal))),
    output:
        **GEOMETRY,
        cal=f"{OUTPUT}stage2/{{exposure}}_{{cal}}.fits",
    log:
        f"{OUTPUT}logs/calibrate/{{exposure}}_{{cal}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/calibrate/{{exposure}}_{{cal}}.tsv"
    wildcard_constraints:
        # Merged exposures are named alike.
        exposure=rf"(?!(?:{plan.merge_pattern()})_cal(?:ints)?\.)[^/]+",
    group:
        "exposure"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(500 + int(6 * input.size_mb), attempt),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 100)),
    params:
        # One parameter a step and a fact: a dry run then shows what has changed, and no more.
        sip=lambda wildcards: plan.stage2(wildcards.exposure).assign_wcs.sip_parameters(),
        flat_field=lambda wildcards: plan.stage2(wildcards.exposure).flat_field.model_dump(
            include={"inverse"}
        ),
        photom=lambda wildcards: plan.stage2(wildcards.exposure).photom.model_dump(exclude={"skip"}),
        sky_model=lambda wildcards: plan.stage2(wildcards.exposure).bkg_subtract.sky_parameters(),
        images=lambda wildcards: plan.images(wildcards.exposure),
        steps=lambda wildcards: plan.steps(wildcards.exposure),
        facts=lambda wildcards: plan.facts(wildcards.exposure),
        count_rate_unit=lambda wildcards: plan.count_rate_unit(wildcards.exposure),
        origin=lambda wildcards: plan.origin(wildcards.exposure),
        # Takes `input` so that it is not compared: a context that chooses the same references changes nothing.
        context=lambda wildcards, input: plan.context(wildcards.exposure),
        status=lambda wildcards: plan.status(wildcards.exposure),
        full_frame=lambda wildcards: plan.full_frame(wildcards.exposure),
        filter_offset=lambda wildcards: plan.filter_offset(wildcards.exposure),
        photom_row=lambda wildcards: plan.photom_row(wildcards.exposure),
        stamps=lambda wildcards: stamps(
            plan.calibration_input(wildcards.exposure, wildcards.cal).values(), *plan.made
        ),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "calibrate.py"),
    message:
        "{wildcards.exposure}: world coordinates, flat field, photometry"
    script:
        "../scripts/calibrate.py"


rule merge_subarrays:
    input:
        unpack(lambda wildcards: plan.merge_input(wildcards.merged, wildcards.cal)),
    output:
        **{name: path.replace("{exposure}", "{merged}") for name, path in GEOMETRY.items()},
        cal=f"{OUTPUT}stage2/{{merged}}_{{cal}}.fits",
    log:
        f"{OUTPUT}logs/merge_subarrays/{{merged}}_{{cal}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/merge_subarrays/{{merged}}_{{cal}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(500 + int(4 * input.size_mb), attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        ids=lambda wildcards: sorted(plan.merge(wildcards.merged).subarrays),
        origin=lambda wildcards: plan.merge_record(wildcards.merged),
        stamps=lambda wildcards: plan.stamps(plan.merge_input(wildcards.merged, wildcards.cal)),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "merge_subarrays.py"),
    message:
        "{wildcards.merged}: put concurrent subarrays into their full frame"
    script:
        "../scripts/merge_subarrays.py"


rule save_flat:
    input:
        unpack(lambda wildcards: plan.lasting(plan.applied_reference(wildcards.exposure, "flat"))),
    output:
        reference=f"{OUTPUT}stage2/{{exposure}}_interpolatedflat.fits",
    log:
        f"{OUTPUT}logs/save_flat/{{exposure}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/save_flat/{{exposure}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(300 + int(2 * input.size_mb), attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        reftype="flat",
        images=lambda wildcards: plan.images(wildcards.exposure),
        optional=lambda wildcards: plan.optional_planes(wildcards.exposure, "flat"),
        window=lambda wildcards: plan.window(wildcards.exposure),
        keywords=lambda wildcards: plan.detector_keywords(wildcards.exposure),
        stamps=lambda wildcards: stamps(
            plan.applied_reference(wildcards.exposure, "flat").values(), *plan.made
        ),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "save_reference.py"),
    message:
        "{wildcards.exposure}: the flat as applied"
    script:
        "../scripts/save_reference.py"


use rule save_flat as save_dark with:
    input:
        unpack(lambda wildcards: plan.lasting(plan.applied_reference(wildcards.exposure, "dark"))),
    output:
        reference=f"{OUTPUT}stage2/{{exposure}}_applieddark.fits",
    log:
        f"{OUTPUT}logs/save_dark/{{exposure}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/save_dark/{{exposure}}.tsv"
    params:
        reftype="dark",
        images=lambda wildcards: plan.images(wildcards.exposure),
        optional=lambda wildcards: plan.optional_planes(wildcards.exposure, "dark"),
        window=lambda wildcards: plan.window(wildcards.exposure),
        keywords=lambda wildcards: plan.detector_keywords(wildcards.exposure),
        stamps=lambda wildcards: stamps(
            plan.applied_reference(wildcards.exposure, "dark").values(), *plan.made
        ),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "save_reference.py"),
    message:
        "{wildcards.exposure}: the dark as applied"


rule resample_exposure:
    input:
        unpack(lambda wildcards: plan.quick_look_input(wildcards.exposure)),
    output:
        i2d=f"{OUTPUT}stage2/{{exposure}}_i2d.fits",
    log:
        f"{OUTPUT}logs/resample_exposure/{{exposure}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/resample_exposure/{{exposure}}.tsv"
    # Nothing waits for a quick look: it fills the gaps that the joins of stage 3 leave.
    priority: -1
    group:
        "exposure"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            500 + (74 * plan.size(wildcards.exposure) + 96 * plan.image_size(wildcards.exposure)) // 10**6,
            attempt,
        ),
        runtime=lambda wildcards, attempt: attempt
        * (5 + (plan.size(wildcards.exposure) + plan.image_size(wildcards.exposure)) // 4_000_000),
    params:
        origin=lambda wildcards: plan.quick_look_record(wildcards.exposure),
        resample=lambda wildcards: plan.stage2(wildcards.exposure).resample.model_dump(
            exclude={"skip", "output_wcs", "single", "blendheaders", "in_memory"}
        ),
        max_pixels=uncompared(settings.max_output_pixels),
        stamps=lambda wildcards: stamps(plan.quick_look_input(wildcards.exposure).values(), *plan.made),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "resample_exposure.py"),
    message:
        "{wildcards.exposure}: quick look"
    script:
        "../scripts/resample_exposure.py"
