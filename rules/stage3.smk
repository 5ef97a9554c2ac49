# Stage 3: _cal -> alignment and sky tables -> _crf -> _i2d -> _cat, _segm, per level-3 association.
# The joins exchange small tables; what touches pixels has one exposure at a time in memory.


rule describe_geometry:
    input:
        unpack(files_of("describe_geometry")),
    output:
        geometry=f"{STAGE3}/geometry/{{member}}.json",
    log:
        f"{LOGS}/describe_geometry/{{member}}.log",
    benchmark:
        f"{BENCHMARKS}/describe_geometry/{{member}}.tsv"
    group:
        "exposure"
    resources:
        **resources_of("describe_geometry"),
    params:
        **parameters_of("describe_geometry"),
    message:
        "{wildcards.member}: where its pixels lie"
    script:
        "../scripts/describe_geometry.py"


rule find_stars:
    input:
        unpack(files_of("find_stars")),
    output:
        stars=f"{STAGE3}/stars/{{member}}_cal_cat.{settings.stage3.tweakreg.catalog_format}",
    log:
        f"{LOGS}/find_stars/{{member}}.log",
    benchmark:
        f"{BENCHMARKS}/find_stars/{{member}}.tsv"
    group:
        "exposure"
    resources:
        **resources_of("find_stars"),
    params:
        **parameters_of("find_stars"),
    message:
        "{wildcards.member}: find stars"
    script:
        "../scripts/find_stars.py"


rule fetch_catalog:
    input:
        unpack(files_of("fetch_catalog")),
    output:
        catalog=f"{STAGE3}/catalogs/{{association}}_fit_{{catalog}}_ref.ecsv",
    log:
        f"{LOGS}/fetch_catalog/{{association}}_{{catalog}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_catalog/{{association}}_{{catalog}}.tsv"
    # Where the others run there may be no network.
    localrule: True
    resources:
        **resources_of("fetch_catalog"),
    params:
        **parameters_of("fetch_catalog"),
    message:
        "{wildcards.association}: fetch {wildcards.catalog}"
    script:
        "../scripts/fetch_catalog.py"


rule align:
    input:
        unpack(files_of("align")),
    output:
        table=f"{STAGE3}/{{association}}_alignment.ecsv",
    log:
        f"{LOGS}/align/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/align/{{association}}.tsv"
    group:
        group_of("alignment")
    resources:
        **resources_of("align"),
    params:
        **parameters_of("align"),
    message:
        "{wildcards.association}: align the exposures"
    script:
        "../scripts/align.py"


rule lay_grid:
    input:
        unpack(files_of("lay_grid")),
    output:
        grid=f"{STAGE3}/{{association}}_grid.json",
    log:
        f"{LOGS}/lay_grid/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/lay_grid/{{association}}.tsv"
    group:
        group_of("alignment")
    resources:
        **resources_of("lay_grid"),
    params:
        **parameters_of("lay_grid"),
    message:
        "{wildcards.association}: output grid"
    script:
        "../scripts/lay_grid.py"


use rule lay_grid as lay_outlier_grid with:
    input:
        unpack(files_of("lay_outlier_grid")),
    output:
        grid=f"{STAGE3}/outliers/{{association}}_grid.json",
    log:
        f"{LOGS}/lay_outlier_grid/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/lay_outlier_grid/{{association}}.tsv"
    params:
        **parameters_of("lay_outlier_grid"),
    message:
        "{wildcards.association}: grid of the outlier search"


use rule lay_grid as lay_common_grid with:
    input:
        unpack(files_of("lay_common_grid")),
    output:
        grid=f"{STAGE3}/grids/{{grid}}.json",
    log:
        f"{LOGS}/lay_common_grid/{{grid}}.log",
    benchmark:
        f"{BENCHMARKS}/lay_common_grid/{{grid}}.tsv"
    params:
        **parameters_of("lay_common_grid"),
    message:
        "common grid {wildcards.grid}"


rule find_overlaps:
    input:
        unpack(files_of("find_overlaps")),
    output:
        overlaps=f"{STAGE3}/sky/{{association}}_overlaps.json",
    log:
        f"{LOGS}/find_overlaps/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/find_overlaps/{{association}}.tsv"
    group:
        group_of("alignment")
    resources:
        **resources_of("find_overlaps"),
    params:
        **parameters_of("find_overlaps"),
    message:
        "{wildcards.association}: where the exposures overlap"
    script:
        "../scripts/find_overlaps.py"


rule measure_sky:
    input:
        unpack(files_of("measure_sky")),
    output:
        sky=f"{STAGE3}/sky/{{association}}/{{member}}.json",
    log:
        f"{LOGS}/measure_sky/{{association}}/{{member}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_sky/{{association}}/{{member}}.tsv"
    group:
        group_of()
    resources:
        **resources_of("measure_sky"),
    params:
        **parameters_of("measure_sky"),
    message:
        "{wildcards.member}: measure the sky"
    script:
        "../scripts/measure_sky.py"


rule match_sky:
    input:
        unpack(files_of("match_sky")),
    output:
        table=f"{STAGE3}/{{association}}_sky.ecsv",
    log:
        f"{LOGS}/match_sky/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/match_sky/{{association}}.tsv"
    group:
        group_of()
    resources:
        **resources_of("match_sky"),
    params:
        **parameters_of("match_sky"),
    message:
        "{wildcards.association}: sky levels"
    script:
        "../scripts/match_sky.py"


rule resample_group:
    input:
        unpack(files_of("resample_group")),
    output:
        **saved_image("outlier_i2d"),
        layer=temp(f"{STAGE3}/outliers/{{crf}}_layer.npy"),
        window=temp(f"{STAGE3}/outliers/{{crf}}_layer.json"),
    log:
        f"{LOGS}/resample_group/{{crf}}.log",
    benchmark:
        f"{BENCHMARKS}/resample_group/{{crf}}.tsv"
    group:
        group_of()
    resources:
        **resources_of("resample_group"),
    params:
        **parameters_of("resample_group"),
    message:
        "{wildcards.crf}: resample the group for the outlier search"
    script:
        "../scripts/resample_group.py"


rule take_median:
    input:
        unpack(files_of("take_median")),
    output:
        **saved_image("median"),
        median=f"{STAGE3}/outliers/{{crf}}_median.npy",
    log:
        f"{LOGS}/take_median/{{crf}}.log",
    benchmark:
        f"{BENCHMARKS}/take_median/{{crf}}.tsv"
    group:
        group_of()
    threads: jobs.threads(2)
    resources:
        **resources_of("take_median"),
    params:
        **parameters_of("take_median"),
    message:
        "{wildcards.crf}: median of the groups"
    script:
        "../scripts/take_median.py"


# The same of the errors, if the search goes by their median. The median of the images stays as it is.
if settings.stage3.outlier_detection.error == "median":

    use rule resample_group as resample_error with:
        input:
            unpack(files_of("resample_error")),
        output:
            layer=temp(f"{STAGE3}/outliers/{{crf}}_layer_error.npy"),
            window=temp(f"{STAGE3}/outliers/{{crf}}_layer_error.json"),
        log:
            f"{LOGS}/resample_error/{{crf}}.log",
        benchmark:
            f"{BENCHMARKS}/resample_error/{{crf}}.tsv"
        params:
            **parameters_of("resample_error"),
        message:
            "{wildcards.crf}: resample the errors of the group for the outlier search"

    use rule take_median as take_median_error with:
        input:
            unpack(files_of("take_median_error")),
        output:
            median=f"{STAGE3}/outliers/{{crf}}_median_error.npy",
        log:
            f"{LOGS}/take_median_error/{{crf}}.log",
        benchmark:
            f"{BENCHMARKS}/take_median_error/{{crf}}.tsv"
        params:
            **parameters_of("take_median_error"),
        message:
            "{wildcards.crf}: median of the errors of the groups"


# Where the median is hit itself, the lowest of the groups stands for it, if that is wanted.
if settings.stage3.outlier_detection.search == "lowest":

    rule take_lowest:
        input:
            unpack(files_of("take_lowest")),
        output:
            lowest=f"{STAGE3}/outliers/{{crf}}_lowest.npy",
        log:
            f"{LOGS}/take_lowest/{{crf}}.log",
        benchmark:
            f"{BENCHMARKS}/take_lowest/{{crf}}.tsv"
        group:
            group_of()
        resources:
            **resources_of("take_lowest"),
        params:
            **parameters_of("take_lowest"),
        message:
            "{wildcards.crf}: lowest of the groups"
        script:
            "../scripts/take_lowest.py"


rule flag_outliers:
    input:
        unpack(files_of("flag_outliers")),
    output:
        **saved_image("blot"),
        crf=f"{STAGE3}/{{crf}}_crf.fits",
        counts=f"{STAGE3}/outliers/{{crf}}_count.json",
    log:
        f"{LOGS}/flag_outliers/{{crf}}.log",
    benchmark:
        f"{BENCHMARKS}/flag_outliers/{{crf}}.tsv"
    group:
        group_of()
    resources:
        **resources_of("flag_outliers"),
    params:
        **parameters_of("flag_outliers"),
    message:
        "{wildcards.crf}: flag outliers"
    script:
        "../scripts/flag_outliers.py"


rule count_outliers:
    input:
        unpack(files_of("count_outliers")),
    output:
        table=f"{STAGE3}/{{association}}_outliers.ecsv",
    log:
        f"{LOGS}/count_outliers/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/count_outliers/{{association}}.tsv"
    group:
        group_of()
    resources:
        **resources_of("count_outliers"),
    params:
        **parameters_of("count_outliers"),
    message:
        "{wildcards.association}: numbers of outliers"
    script:
        "../scripts/count_outliers.py"


rule combine:
    input:
        unpack(files_of("combine")),
    output:
        i2d=f"{STAGE3}/{{association}}_i2d.fits",
    log:
        f"{LOGS}/combine/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/combine/{{association}}.tsv"
    threads: jobs.threads(2)
    resources:
        **resources_of("combine"),
    params:
        **parameters_of("combine"),
    message:
        "{wildcards.association}: combine the exposures"
    script:
        "../scripts/combine.py"


# They are kept, so that only those are made again that another exposure reaches.
if plan.stage3.in_pieces:

    rule combine_piece:
        input:
            unpack(files_of("combine_piece")),
        output:
            piece=f"{STAGE3}/pieces/{{association}}_{{piece}}.fits",
            facts=f"{STAGE3}/pieces/{{association}}_{{piece}}.json",
        log:
            f"{LOGS}/combine_piece/{{association}}_{{piece}}.log",
        benchmark:
            f"{BENCHMARKS}/combine_piece/{{association}}_{{piece}}.tsv"
        threads: jobs.threads(2)
        resources:
            **resources_of("combine_piece"),
        params:
            **parameters_of("combine_piece"),
        message:
            "{wildcards.association}: combine piece {wildcards.piece} of the image"
        script:
            "../scripts/combine_piece.py"


# Known only if it is wanted: the name of an association may end in a number, too.
if settings.stage3.resample.single:

    ruleorder: combine_group > combine

    use rule combine as combine_group with:
        input:
            unpack(files_of("combine_group")),
        output:
            i2d=f"{STAGE3}/{{association}}_{{group}}_i2d.fits",
        log:
            f"{LOGS}/combine_group/{{association}}_{{group}}.log",
        benchmark:
            f"{BENCHMARKS}/combine_group/{{association}}_{{group}}.tsv"
        params:
            **parameters_of("combine_group"),
        message:
            "{wildcards.association}: image of group {wildcards.group}"


rule catalog_sources:
    input:
        unpack(files_of("catalog_sources")),
    output:
        catalog=f"{STAGE3}/{{association}}_cat.ecsv",
        segm=f"{STAGE3}/{{association}}_segm.fits",
        regions=f"{STAGE3}/{{association}}_cat.reg",
    log:
        f"{LOGS}/catalog_sources/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/catalog_sources/{{association}}.tsv"
    resources:
        **resources_of("catalog_sources"),
    params:
        **parameters_of("catalog_sources"),
    message:
        "{wildcards.association}: source catalogue"
    script:
        "../scripts/catalog_sources.py"


rule save_parquet:
    input:
        unpack(files_of("save_parquet")),
    output:
        parquet=f"{STAGE3}/{{association}}_cat.parquet",
    log:
        f"{LOGS}/save_parquet/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/save_parquet/{{association}}.tsv"
    resources:
        **resources_of("save_parquet"),
    params:
        **parameters_of("save_parquet"),
    message:
        "{wildcards.association}: catalogue as parquet"
    script:
        "../scripts/save_parquet.py"
