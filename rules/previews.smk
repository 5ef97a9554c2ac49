# Pictures of products: each by itself, and a sheet of each exposure and association (docs/page.md).
from calflow.plan.preview_files import all_previews, preview_path


rule preview_scale:
    input:
        unpack(files_of("preview_scale")),
    output:
        scale=f"{OUTPUT}previews/scales/{{optics}}.json",
    log:
        f"{LOGS}/preview_scale/{{optics}}.log",
    resources:
        **resources_of("preview_scale"),
    params:
        **parameters_of("preview_scale"),
    message:
        "{wildcards.optics}: scale of brightness"
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


rule previews:
    input:
        lambda wildcards: [preview_path(plan, name) for name in all_previews(plan)],
    message:
        "the pictures of the products are made"
