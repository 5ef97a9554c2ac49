# The demo: a simulated MIRI field, reduced to an image and a catalogue, in a folder of its own (see README.md).


rule demo_data:
    output:
        association="data/rate/jw01234-o001_20230312t074713_image2_00001_asn.json",
        combination="data/stage3/jw01234-o001_20230312t074713_image3_00001_asn.json",
    log:
        "data/logs/demo_data.log",
    params:
        **code_of("simulate_demo.py"),
        seed=20,
    script:
        "../scripts/simulate_demo.py"


rule demo_picture:
    input:
        unpack(files_of("demo_picture")),
    output:
        picture="before_and_after.png",
    log:
        f"{LOGS}/demo_picture.log",
    params:
        **code_of("demo_picture.py"),
    script:
        "../scripts/demo_picture.py"


rule demo_combined_picture:
    input:
        unpack(files_of("demo_combined_picture")),
    output:
        picture="combined.png",
    log:
        f"{LOGS}/demo_combined_picture.log",
    params:
        **code_of("demo_combined_picture.py"),
    script:
        "../scripts/demo_combined_picture.py"


rule demo:
    input:
        lambda wildcards: [*plan.products(), *made_beside(plan)],
        "before_and_after.png",
        "combined.png",
    message:
        f"the demo is done: look at {f'{OUTPUT}page.html, ' if settings.page else ''}before_and_after.png and combined.png in {seen_from_command(workflow, '.')}"
