# The demo: a simulated MIRI field, and a picture of what stage 2 makes of it.


rule demo_data:
    output:
        association="demo/rate/demo_asn.json",
    params:
        seed=20,
        code=code_hash(SCRIPTS / "simulate_demo.py"),
    log:
        "demo/logs/demo_data.log",
    benchmark:
        "demo/benchmarks/demo_data.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/calflow.yaml"
    message:
        "simulate the demo's exposures and reference files"
    script:
        "../scripts/simulate_demo.py"
