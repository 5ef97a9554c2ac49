# Pages for people: one HTML file for each association (docs/page.md).
from calflow.plan.made_beside import association_pages, colour_pictures, exposure_pages


rule association_page:
    input:
        unpack(files_of("association_page")),
    output:
        page=f"{OUTPUT}pages/{{association}}.html",
    log:
        f"{LOGS}/association_page/{{association}}.log",
    resources:
        **resources_of("association_page"),
    params:
        **parameters_of("association_page"),
    message:
        "{wildcards.association}: page"
    script:
        "../scripts/association_page.py"


rule exposure_page:
    input:
        unpack(files_of("exposure_page")),
    output:
        page=f"{OUTPUT}pages/{{association}}/{{part}}.html",
    log:
        f"{LOGS}/exposure_page/{{association}}_{{part}}.log",
    resources:
        **resources_of("exposure_page"),
    params:
        **parameters_of("exposure_page"),
    message:
        "{wildcards.association}: page {wildcards.part} of its exposures"
    script:
        "../scripts/exposure_page.py"


rule pages:
    input:
        lambda wildcards: [*association_pages(plan), *exposure_pages(plan), *colour_pictures(plan)],
    message:
        f"the pages are made: look at {seen_from_command(workflow, f'{OUTPUT}pages')}"
