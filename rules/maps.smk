# Maps to pan and zoom in: of each combined image, and of the images that share a grid (docs/map.md).
# The tiles and the rows of the catalogue lie beside the page: some files for each Mpixel, made and replaced with it.
from calflow.plan.map_files import some_map_paths


rule association_map:
    input:
        unpack(files_of("association_map")),
    output:
        page=f"{OUTPUT}map/{{association}}/index.html",
        data=f"{OUTPUT}map/{{association}}/map.js",
        regions=f"{OUTPUT}map/{{association}}/footprints.reg",
        coverage=f"{OUTPUT}map/{{association}}/coverage.fits",
    log:
        f"{LOGS}/association_map/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/association_map/{{association}}.tsv"
    resources:
        **resources_of("association_map"),
    params:
        **parameters_of("association_map"),
    message:
        "{wildcards.association}: map"
    script:
        "../scripts/sky_map.py"


use rule association_map as grid_map with:
    input:
        unpack(files_of("grid_map")),
    output:
        page=f"{OUTPUT}map/grids/{{grid}}/index.html",
        data=f"{OUTPUT}map/grids/{{grid}}/map.js",
        regions=f"{OUTPUT}map/grids/{{grid}}/footprints.reg",
        coverage=f"{OUTPUT}map/grids/{{grid}}/coverage.fits",
    log:
        f"{LOGS}/grid_map/{{grid}}.log",
    benchmark:
        f"{BENCHMARKS}/grid_map/{{grid}}.tsv"
    resources:
        **resources_of("grid_map"),
    params:
        **parameters_of("grid_map"),
    message:
        "common grid {wildcards.grid}: map"


rule association_hips:
    input:
        unpack(files_of("association_hips")),
    output:
        properties=f"{OUTPUT}hips/{{association}}/properties",
        coverage=f"{OUTPUT}hips/{{association}}/Moc.fits",
    log:
        f"{LOGS}/association_hips/{{association}}.log",
    benchmark:
        f"{BENCHMARKS}/association_hips/{{association}}.tsv"
    resources:
        **resources_of("association_hips"),
    params:
        **parameters_of("association_hips"),
    message:
        "{wildcards.association}: HiPS"
    script:
        "../scripts/sky_hips.py"


rule map:
    input:
        lambda wildcards: some_map_paths(plan),
    message:
        f"the maps are made: open the index.html of each in {seen_from_command(workflow, f'{OUTPUT}map')}"
