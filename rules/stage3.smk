# Stage 3: _cal -> alignment and sky tables -> _crf -> _i2d -> _cat, _segm, per level-3 association.
# The joins (alignment, sky, grid) exchange small tables; what touches pixels is a job per exposure, per group or
# per association, with one exposure at a time in memory.

STAGE3 = f"{OUTPUT}stage3"
stage3 = plan.stage3


# Intermediate products of the outlier search, if they are wanted.
SAVED_GROUP, SAVED_MEDIAN, SAVED_BLOT = (
    {name: f"{STAGE3}/{{crf}}_{suffix}.fits"} if settings.stage3.outlier_detection.saves_images() else {}
    for name, suffix in (("outlier_i2d", "outlier_i2d"), ("median_image", "median"), ("blot", "blot"))
)


rule describe_geometry:
    input:
        cal=lambda wildcards: stage3.exposure_input(wildcards.member)["cal"],
    output:
        geometry=f"{STAGE3}/geometry/{{member}}.json",
    log:
        f"{OUTPUT}logs/describe_geometry/{{member}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/describe_geometry/{{member}}.tsv"
    group:
        "exposure"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        stamps=lambda wildcards: plan.stamps(stage3.exposure_input(wildcards.member)),
        code=code_hash(SCRIPTS / "describe_geometry.py"),
    message:
        "{wildcards.member}: where its pixels lie"
    script:
        "../scripts/describe_geometry.py"


rule find_stars:
    input:
        unpack(lambda wildcards: stage3.exposure_input(wildcards.member)),
    output:
        stars=f"{STAGE3}/stars/{{member}}_cal_cat.{settings.stage3.tweakreg.catalog_format}",
    log:
        f"{OUTPUT}logs/find_stars/{{member}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/find_stars/{{member}}.tsv"
    group:
        "exposure"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            500 + 100 * stage3.size(wildcards.member) // 10**6, attempt
        ),
        runtime=lambda wildcards, attempt: attempt * (5 + stage3.size(wildcards.member) // 4_000_000),
    params:
        finder=lambda wildcards: stage3.finder_parameters(wildcards.member),
        stamps=lambda wildcards: plan.stamps(stage3.exposure_input(wildcards.member)),
        code=code_hash(SCRIPTS / "find_stars.py"),
    message:
        "{wildcards.member}: find stars"
    script:
        "../scripts/find_stars.py"


rule fetch_catalog:
    input:
        # Fetched once: an exposure that is made again has not moved on the sky.
        geometries=lambda wildcards: ancient(stage3.geometries(wildcards.association)),
    output:
        catalog=f"{STAGE3}/catalogs/{{association}}_fit_{{catalog}}_ref.ecsv",
    log:
        f"{OUTPUT}logs/fetch_catalog/{{association}}_{{catalog}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/fetch_catalog/{{association}}_{{catalog}}.tsv"
    # Where the others run there may be no network.
    localrule: True
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * 10,
    params:
        catalog=lambda wildcards: wildcards.catalog.upper(),
        epoch=lambda wildcards: stage3.epoch(wildcards.association),
        url=os.environ.get("ASTROMETRIC_CATALOG_URL"),
        retries=4,
        code=code_hash(SCRIPTS / "fetch_catalog.py"),
    message:
        "{wildcards.association}: fetch {wildcards.catalog}"
    script:
        "../scripts/fetch_catalog.py"


rule align:
    input:
        unpack(lambda wildcards: stage3.alignment_input(wildcards.association)),
    output:
        table=f"{STAGE3}/{{association}}_alignment.ecsv",
    log:
        f"{OUTPUT}logs/align/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/align/{{association}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association, "alignment")
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            500 + len(stage3.association(wildcards.association).members), attempt
        ),
        runtime=lambda wildcards, attempt: attempt
        * (5 + len(stage3.association(wildcards.association).members) // 20),
    params:
        members=lambda wildcards: stage3.identities(wildcards.association),
        alignment_step=lambda wildcards: stage3.association(wildcards.association).alignment_step,
        targets=lambda wildcards: stage3.targets(wildcards.association),
        status=lambda wildcards: stage3.status(wildcards.association, "assign_mtwcs", "tweakreg"),
        tweakreg=lambda wildcards: stage3.parameters(wildcards.association).tweakreg.alignment_parameters(),
        stamps=lambda wildcards: plan.stamps(stage3.alignment_input(wildcards.association)),
        code=code_hash(SCRIPTS / "align.py"),
    message:
        "{wildcards.association}: align the exposures"
    script:
        "../scripts/align.py"


rule lay_grid:
    input:
        unpack(lambda wildcards: stage3.grid_input(wildcards.association)),
    output:
        grid=f"{STAGE3}/{{association}}_grid.json",
    log:
        f"{OUTPUT}logs/lay_grid/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/lay_grid/{{association}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association, "alignment")
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        grid=lambda wildcards: stage3.grid_parameters(wildcards.association),
        max_pixels=uncompared(settings.max_output_pixels),
        stamps=lambda wildcards: plan.stamps(stage3.grid_input(wildcards.association)),
        code=code_hash(SCRIPTS / "lay_grid.py"),
    message:
        "{wildcards.association}: output grid"
    script:
        "../scripts/lay_grid.py"


rule lay_outlier_grid:
    input:
        unpack(lambda wildcards: stage3.outlier_grid_input(wildcards.association)),
    output:
        grid=f"{STAGE3}/outliers/{{association}}_grid.json",
    log:
        f"{OUTPUT}logs/lay_outlier_grid/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/lay_outlier_grid/{{association}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association, "alignment")
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        grid=lambda wildcards: stage3.default_grid_parameters(),
        max_pixels=uncompared(settings.max_output_pixels),
        stamps=lambda wildcards: plan.stamps(stage3.outlier_grid_input(wildcards.association)),
        code=code_hash(SCRIPTS / "lay_grid.py"),
    message:
        "{wildcards.association}: grid of the outlier search"
    script:
        "../scripts/lay_grid.py"


rule lay_common_grid:
    input:
        unpack(lambda wildcards: stage3.common_grid_input(wildcards.grid)),
    output:
        grid=f"{STAGE3}/grids/{{grid}}.json",
    log:
        f"{OUTPUT}logs/lay_common_grid/{{grid}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/lay_common_grid/{{grid}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        grid=lambda wildcards: stage3.common_grid_parameters(wildcards.grid),
        max_pixels=uncompared(settings.max_output_pixels),
        stamps=lambda wildcards: plan.stamps(stage3.common_grid_input(wildcards.grid)),
        code=code_hash(SCRIPTS / "lay_grid.py"),
    message:
        "common grid {wildcards.grid}"
    script:
        "../scripts/lay_grid.py"


rule measure_sky:
    input:
        unpack(lambda wildcards: stage3.sky_input(wildcards.association, wildcards.member)),
    output:
        sky=f"{STAGE3}/sky/{{association}}/{{member}}.json",
    log:
        f"{OUTPUT}logs/measure_sky/{{association}}/{{member}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/measure_sky/{{association}}/{{member}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association)
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            400 + 60 * stage3.size(wildcards.member) // 10**6, attempt
        ),
        runtime=lambda wildcards, attempt: attempt * (5 + stage3.size(wildcards.member) // 4_000_000),
    params:
        exposure=lambda wildcards: wildcards.member,
        skymatch=lambda wildcards: stage3.parameters(wildcards.association).skymatch.measuring_parameters(),
        stamps=lambda wildcards: plan.stamps(stage3.sky_input(wildcards.association, wildcards.member)),
        code=code_hash(SCRIPTS / "measure_sky.py"),
    message:
        "{wildcards.member}: measure the sky"
    script:
        "../scripts/measure_sky.py"


rule match_sky:
    input:
        unpack(lambda wildcards: stage3.sky_match_input(wildcards.association)),
    output:
        table=f"{STAGE3}/{{association}}_sky.ecsv",
    log:
        f"{OUTPUT}logs/match_sky/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/match_sky/{{association}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association)
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            300 + len(stage3.association(wildcards.association).members) ** 2 // 10000, attempt
        ),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        skymatch=lambda wildcards: stage3.parameters(wildcards.association).skymatch.matching_parameters(),
        stamps=lambda wildcards: plan.stamps(stage3.sky_match_input(wildcards.association)),
        code=code_hash(SCRIPTS / "match_sky.py"),
    message:
        "{wildcards.association}: sky levels"
    script:
        "../scripts/match_sky.py"


rule resample_group:
    input:
        unpack(lambda wildcards: stage3.group_input(wildcards.crf)),
    output:
        **SAVED_GROUP,
        layer=temp(f"{STAGE3}/outliers/{{crf}}_layer.npy"),
        window=temp(f"{STAGE3}/outliers/{{crf}}_layer.json"),
    log:
        f"{OUTPUT}logs/resample_group/{{crf}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/resample_group/{{crf}}.tsv"
    group:
        lambda wildcards: stage3.job_group(association_of(wildcards))
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            500 + 180 * stage3.pixels_of(wildcards.crf) // 10**6, attempt
        ),
        runtime=lambda wildcards, attempt: attempt
        * (5 + stage3.all_pixels_of(wildcards.crf, group=True) // 2_000_000),
    params:
        plane="sci",
        exposures=lambda wildcards: [member.root for member in stage3.group(wildcards.crf)],
        outlier_detection=lambda wildcards: stage3.parameters(
            association_of(wildcards)
        ).outlier_detection.resampling_parameters(),
        stamps=lambda wildcards: plan.stamps(stage3.group_input(wildcards.crf)),
        code=code_hash(SCRIPTS / "resample_group.py"),
    message:
        "{wildcards.crf}: resample the group for the outlier search"
    script:
        "../scripts/resample_group.py"


rule take_median:
    input:
        unpack(lambda wildcards: stage3.median_input(wildcards.crf)),
    output:
        **SAVED_MEDIAN,
        # Kept: other thresholds, or a lost _crf, then need no group again.
        median=f"{STAGE3}/outliers/{{crf}}_median.npy",
    log:
        f"{OUTPUT}logs/take_median/{{crf}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/take_median/{{crf}}.tsv"
    group:
        lambda wildcards: stage3.job_group(association_of(wildcards))
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(500, attempt),
        runtime=lambda wildcards, attempt: attempt * (5 + stage3.all_pixels_of(wildcards.crf) // 20_000_000),
    params:
        code=code_hash(SCRIPTS / "take_median.py"),
    message:
        "{wildcards.crf}: median of the groups"
    script:
        "../scripts/take_median.py"


# The same of the errors, if the search goes by their median. The median of the images stays as it is.
if settings.stage3.outlier_detection.error == "median":

    use rule resample_group as resample_error with:
        input:
            unpack(lambda wildcards: stage3.group_input(wildcards.crf, errors=True)),
        output:
            layer=temp(f"{STAGE3}/outliers/{{crf}}_layer_error.npy"),
            window=temp(f"{STAGE3}/outliers/{{crf}}_layer_error.json"),
        log:
            f"{OUTPUT}logs/resample_error/{{crf}}.log",
        benchmark:
            f"{OUTPUT}benchmarks/resample_error/{{crf}}.tsv"
        params:
            plane="err",
            exposures=lambda wildcards: [member.root for member in stage3.group(wildcards.crf)],
            outlier_detection=lambda wildcards: stage3.parameters(
                association_of(wildcards)
            ).outlier_detection.resampling_parameters(),
            stamps=lambda wildcards: plan.stamps(stage3.group_input(wildcards.crf, errors=True)),
            code=code_hash(SCRIPTS / "resample_group.py"),
        message:
            "{wildcards.crf}: resample the errors of the group for the outlier search"

    use rule take_median as take_median_error with:
        input:
            unpack(lambda wildcards: stage3.median_input(wildcards.crf, errors=True)),
        output:
            median=f"{STAGE3}/outliers/{{crf}}_median_error.npy",
        log:
            f"{OUTPUT}logs/take_median_error/{{crf}}.log",
        benchmark:
            f"{OUTPUT}benchmarks/take_median_error/{{crf}}.tsv"
        message:
            "{wildcards.crf}: median of the errors of the groups"


rule flag_outliers:
    input:
        unpack(lambda wildcards: stage3.crf_input(wildcards.crf)),
    output:
        **SAVED_BLOT,
        crf=f"{STAGE3}/{{crf}}_crf.fits",
        counts=f"{STAGE3}/outliers/{{crf}}_count.json",
    log:
        f"{OUTPUT}logs/flag_outliers/{{crf}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/flag_outliers/{{crf}}.tsv"
    group:
        lambda wildcards: stage3.job_group(association_of(wildcards))
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(
            500 + 120 * stage3.pixels_of(wildcards.crf) // 10**6, attempt
        ),
        runtime=lambda wildcards, attempt: attempt * (5 + stage3.pixels_of(wildcards.crf) // 2_000_000),
    params:
        exposure=lambda wildcards: stage3.crf_of(wildcards.crf).exposure,
        origin=lambda wildcards: stage3.record(association_of(wildcards), "resample", "source_catalog"),
        alignment_step=lambda wildcards: stage3.association(association_of(wildcards)).alignment_step,
        status=lambda wildcards: stage3.status(association_of(wildcards), "outlier_detection"),
        sip=lambda wildcards: stage3.parameters(association_of(wildcards)).tweakreg.sip_parameters(),
        subtract=lambda wildcards: stage3.parameters(association_of(wildcards)).skymatch.subtract,
        outlier_detection=lambda wildcards: stage3.parameters(
            association_of(wildcards)
        ).outlier_detection.flagging_parameters(),
        stamps=lambda wildcards: plan.stamps(stage3.crf_input(wildcards.crf)),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "flag_outliers.py"),
    message:
        "{wildcards.crf}: flag outliers"
    script:
        "../scripts/flag_outliers.py"


rule count_outliers:
    input:
        counts=lambda wildcards: stage3.outlier_counts(wildcards.association),
    output:
        table=f"{STAGE3}/{{association}}_outliers.ecsv",
    log:
        f"{OUTPUT}logs/count_outliers/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/count_outliers/{{association}}.tsv"
    group:
        lambda wildcards: stage3.job_group(wildcards.association)
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(300, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        code=code_hash(SCRIPTS / "count_outliers.py"),
    message:
        "{wildcards.association}: numbers of outliers"
    script:
        "../scripts/count_outliers.py"


rule combine:
    input:
        unpack(lambda wildcards: stage3.combination_input(wildcards.association)),
    output:
        i2d=f"{STAGE3}/{{association}}_i2d.fits",
    log:
        f"{OUTPUT}logs/combine/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/combine/{{association}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(
            stage3.combination_mb(wildcards.association, input.grid), attempt
        ),
        runtime=lambda wildcards, input, attempt: attempt
        * stage3.combination_minutes(input.grid, input.size_mb),
    params:
        members=lambda wildcards: stage3.identities(wildcards.association),
        common_grid=lambda wildcards: stage3.association(wildcards.association).common_grid,
        alignment_step=lambda wildcards: stage3.association(wildcards.association).alignment_step,
        status=lambda wildcards: stage3.status(wildcards.association, "skymatch", "outlier_detection"),
        resample=lambda wildcards: stage3.parameters(wildcards.association).resample.drizzle_parameters(),
        origin=lambda wildcards: stage3.record(wildcards.association, "source_catalog"),
        stamps=lambda wildcards: plan.stamps(stage3.combination_input(wildcards.association)),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "combine.py"),
    message:
        "{wildcards.association}: combine the exposures"
    script:
        "../scripts/combine.py"


# Known only if it is wanted: the name of an association may end in a number, too.
if settings.stage3.resample.single:

    ruleorder: combine_group > combine

    use rule combine as combine_group with:
        input:
            unpack(lambda wildcards: stage3.combination_input(wildcards.association, int(wildcards.group))),
        output:
            i2d=f"{STAGE3}/{{association}}_{{group}}_i2d.fits",
        log:
            f"{OUTPUT}logs/combine_group/{{association}}_{{group}}.log",
        benchmark:
            f"{OUTPUT}benchmarks/combine_group/{{association}}_{{group}}.tsv"
        params:
            members=lambda wildcards: stage3.identities(wildcards.association, int(wildcards.group)),
            common_grid=lambda wildcards: stage3.association(wildcards.association).common_grid,
            alignment_step=lambda wildcards: stage3.association(wildcards.association).alignment_step,
            status=lambda wildcards: stage3.status(wildcards.association, "skymatch", "outlier_detection"),
            resample=lambda wildcards: stage3.parameters(wildcards.association).resample.drizzle_parameters(),
            origin=lambda wildcards: stage3.record(wildcards.association, "source_catalog"),
            stamps=lambda wildcards: plan.stamps(
                stage3.combination_input(wildcards.association, int(wildcards.group))
            ),
            write_date=settings.write_date,
            code=code_hash(SCRIPTS / "combine.py"),
        message:
            "{wildcards.association}: image of group {wildcards.group}"


rule catalog_sources:
    input:
        unpack(lambda wildcards: plan.lasting(stage3.catalog_input(wildcards.association))),
    output:
        catalog=f"{STAGE3}/{{association}}_cat.ecsv",
        segm=f"{STAGE3}/{{association}}_segm.fits",
        regions=f"{STAGE3}/{{association}}_cat.reg",
    log:
        f"{OUTPUT}logs/catalog_sources/{{association}}.log",
    benchmark:
        f"{OUTPUT}benchmarks/catalog_sources/{{association}}.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: request.memory(1000 + int(4 * input.size_mb), attempt),
        runtime=lambda wildcards, input, attempt: attempt * (5 + int(input.size_mb / 20)),
    params:
        source_catalog=lambda wildcards: stage3.parameters(wildcards.association).source_catalog.model_dump(
            exclude={"skip", "suffix"}
        ),
        rows=lambda wildcards: stage3.aperture_rows(wildcards.association),
        missing=lambda wildcards: stage3.missing_references(wildcards.association),
        stamps=lambda wildcards: plan.stamps(stage3.catalog_input(wildcards.association)),
        write_date=settings.write_date,
        code=code_hash(SCRIPTS / "catalog_sources.py"),
    message:
        "{wildcards.association}: source catalogue"
    script:
        "../scripts/catalog_sources.py"
