# The demo with IRIS: a field whose brightest stars have subarrays, in a folder of its own (see README.md).


rule demo_iris_data:
    output:
        association="data/rate/iris_p001_image2_asn.json",
        merge="data/merge/iris_p001_merge_asn.json",
        combination="data/stage3/iris_p001_image3_asn.json",
    log:
        "data/logs/demo_iris_data.log",
    params:
        **code_of("simulate_iris_demo.py"),
        seed=7,
    script:
        "../scripts/simulate_iris_demo.py"


rule demo_iris_picture:
    input:
        rate="data/rate/iris_p001_001_0004_rate.fits",
        cal=f"{STAGE2}/iris_p001_001_0001_cal.fits",
        merged=f"{STAGE2}/iris_p001_001_0004_merged_cal.fits",
        i2d=f"{STAGE3}/iris_p001_clear-k_i2d.fits",
    output:
        picture="iris.png",
    log:
        f"{LOGS}/demo_iris_picture.log",
    params:
        **code_of("demo_iris_picture.py"),
    script:
        "../scripts/demo_iris_picture.py"


rule demo_iris:
    input:
        lambda wildcards: [*plan.products(), *made_beside(plan)],
        "iris.png",
    message:
        f"the demo with IRIS is done: look at {seen_from_command(workflow, 'iris.png')}"
