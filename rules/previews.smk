# Pictures of products: each by itself, a sheet of each exposure and association, and common grids in colour (docs/page.md).
from calflow.plan.colour_files import some_colour_paths
from calflow.plan.made_beside import all_pictures


rule preview_noise:
    input:
        unpack(files_of("preview_noise")),
    output:
        noise=f"{OUTPUT}previews/noise/{{optics}}.json",
    log:
        f"{LOGS}/preview_noise/{{optics}}.log",
    resources:
        **resources_of("preview_noise"),
    params:
        **parameters_of("preview_noise"),
    message:
        "{wildcards.optics}: noise of the filter"
    script:
        "../scripts/preview_noise.py"


rule preview_scale:
    input:
        unpack(files_of("preview_scale")),
    output:
        scale=f"{OUTPUT}previews/scales/{{scale}}.json",
    log:
        f"{LOGS}/preview_scale/{{scale}}.log",
    resources:
        **resources_of("preview_scale"),
    params:
        **parameters_of("preview_scale"),
    message:
        "{wildcards.scale}: scale of brightness"
    script:
        "../scripts/preview_scale.py"


rule preview:
    input:
        unpack(files_of("preview")),
    output:
        picture=f"{OUTPUT}previews/{{preview}}.png",
    log:
        f"{LOGS}/preview/{{preview}}.log",
    benchmark:
        f"{BENCHMARKS}/preview/{{preview}}.tsv"
    resources:
        **resources_of("preview"),
    params:
        **parameters_of("preview"),
    message:
        "{wildcards.preview}: picture"
    script:
        "../scripts/preview.py"


rule outlier_cutouts:
    input:
        unpack(files_of("outlier_cutouts")),
    output:
        picture=f"{OUTPUT}previews/outliers/{{association}}.png",
        numbers=f"{OUTPUT}previews/outliers/{{association}}.json",
    log:
        f"{LOGS}/outlier_cutouts/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/outlier_cutouts/{{association}}.tsv"
    resources:
        **resources_of("outlier_cutouts"),
    params:
        **parameters_of("outlier_cutouts"),
    message:
        "{wildcards.association}: cut-outs of outliers"
    script:
        "../scripts/outlier_cutouts.py"


rule colour_picture:
    input:
        unpack(files_of("colour_picture")),
    output:
        picture=f"{OUTPUT}colour/{{grid}}.png",
        numbers=f"{OUTPUT}colour/{{grid}}.json",
    log:
        f"{LOGS}/colour_picture/{{grid}}.log",
    benchmark:
        f"{BENCHMARKS}/colour_picture/{{grid}}.tsv"
    resources:
        **resources_of("colour_picture"),
    params:
        **parameters_of("colour_picture"),
    message:
        "{wildcards.grid}: colour picture"
    script:
        "../scripts/colour_picture.py"


rule colour:
    input:
        lambda wildcards: some_colour_paths(plan),
    message:
        f"the colour pictures are made: look at {seen_from_command(workflow, f'{OUTPUT}colour')}"


rule previews:
    input:
        lambda wildcards: all_pictures(plan),
    message:
        "the pictures of the products are made"
