# The demo: a simulated MIRI field, reduced to an image and a catalogue, with pictures.
# Run it in a folder of its own (see README.md).


rule demo_data:
    output:
        association="data/rate/jw01234-o001_20230312t074713_image2_00001_asn.json",
        combination="data/stage3/jw01234-o001_20230312t074713_image3_00001_asn.json",
    log:
        "data/logs/demo_data.log",
    benchmark:
        "data/benchmarks/demo_data.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(1000, attempt),
        runtime=lambda wildcards, attempt: attempt * 10,
    params:
        seed=20,
        code=code_hash(SCRIPTS / "simulate_demo.py"),
    message:
        "simulate the demo's exposures and reference files in data/"
    script:
        "../scripts/simulate_demo.py"


rule demo_picture:
    input:
        unpack(lambda wildcards: plan.picture_input()),
    output:
        picture="before_and_after.png",
    log:
        f"{OUTPUT}logs/demo_picture.log",
    benchmark:
        f"{OUTPUT}benchmarks/demo_picture.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(1000, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        code=code_hash(SCRIPTS / "demo_picture.py"),
    message:
        "{output.picture}"
    script:
        "../scripts/demo_picture.py"


rule demo_combined_picture:
    input:
        unpack(lambda wildcards: plan.combined_picture_input()),
    output:
        picture="combined.png",
    log:
        f"{OUTPUT}logs/demo_combined_picture.log",
    benchmark:
        f"{OUTPUT}benchmarks/demo_combined_picture.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(1000, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        code=code_hash(SCRIPTS / "demo_combined_picture.py"),
    message:
        "{output.picture}"
    script:
        "../scripts/demo_combined_picture.py"


rule demo:
    input:
        lambda wildcards: plan.products(),
        "before_and_after.png",
        "combined.png",
    message:
        "the demo is done: look at before_and_after.png, at combined.png, and at the products in {OUTPUT}stage2 and {OUTPUT}stage3"
