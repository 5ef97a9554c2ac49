# The demo with IRIS: a simulated field whose brightest stars have concurrent subarrays, reduced to an image.
# Run it in a folder of its own (see README.md).


rule demo_iris_data:
    output:
        association="data/rate/iris_p001_image2_asn.json",
        merge="data/merge/iris_p001_merge_asn.json",
        combination="data/stage3/iris_p001_image3_asn.json",
    log:
        "data/logs/demo_iris_data.log",
    benchmark:
        "data/benchmarks/demo_iris_data.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(1000, attempt),
        runtime=lambda wildcards, attempt: attempt * 10,
    params:
        seed=7,
        code=code_hash(SCRIPTS / "simulate_iris_demo.py"),
    message:
        "simulate the exposures and reference files of the demo with IRIS in data/"
    script:
        "../scripts/simulate_iris_demo.py"


rule demo_iris_picture:
    input:
        rate="data/rate/iris_p001_001_0004_rate.fits",
        cal=f"{OUTPUT}stage2/iris_p001_001_0001_cal.fits",
        merged=f"{OUTPUT}stage2/iris_p001_001_0004_merged_cal.fits",
        i2d=f"{OUTPUT}stage3/iris_p001_clear-k_i2d.fits",
    output:
        picture="iris.png",
    log:
        f"{OUTPUT}logs/demo_iris_picture.log",
    benchmark:
        f"{OUTPUT}benchmarks/demo_iris_picture.tsv"
    conda:
        "../envs/calflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: request.memory(1000, attempt),
        runtime=lambda wildcards, attempt: attempt * 5,
    params:
        code=code_hash(SCRIPTS / "demo_iris_picture.py"),
    message:
        "{output.picture}"
    script:
        "../scripts/demo_iris_picture.py"


rule demo_iris:
    input:
        lambda wildcards: plan.products(),
        "iris.png",
    message:
        "the demo with IRIS is done: look at iris.png, and at the products in {OUTPUT}stage2 and {OUTPUT}stage3"
