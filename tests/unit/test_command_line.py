"""Commands that ask for what there is not are refused before any job, with what would be right."""

from types import SimpleNamespace

import pytest
from snakemake.exceptions import InputFunctionException, MissingRuleException, WorkflowError

from calflow.engine.command_line import check_command_line
from calflow.engine.execution import Execution

CAL, I2D = "results/stage2/jw01_mirimage_cal.fits", "results/stage3/jw01-o001_i2d.fits"


class UnknownThing(Exception):
    """What a rule raises that cannot make a file."""


def run(
    *targets,
    cores=2,
    nodes=None,
    raises=None,
    dry=False,
    local=True,
    stage2=(CAL,),
    stage3=(I2D,),
    forced=(),
    until=(),
    prioritized=(),
):
    """Return what a run says; it does nothing, or raises something."""

    def execute():
        if raises:
            raise raises
        return "done"

    workflow = SimpleNamespace(
        dag_settings=SimpleNamespace(targets=set(targets), forcerun=set(forced), until=set(until), omit_from=set()),
        scheduling_settings=SimpleNamespace(prioritytargets=set(prioritized)),
        rules=[SimpleNamespace(name=name, has_wildcards=lambda: False) for name in ("all", "stage2", "stage3", "plan")],
        resource_settings=SimpleNamespace(cores=cores, nodes=nodes),
    )
    products = {"stage2": lambda: list(stage2), "stage3": lambda: list(stage3)}
    check = check_command_line({"all": lambda: [*stage2, *stage3], **products}, (UnknownThing,))
    settings = SimpleNamespace(local_exec=local, dryrun_exec=dry)
    return check(Execution(workflow, SimpleNamespace(common_settings=settings)), execute)


def test_what_is_there_is_run():
    assert run() == run("stage2") == run(CAL) == run("plan", "stage3") == "done"


@pytest.mark.parametrize("options", [{"cores": 0}, {"cores": -1}, {"local": False, "nodes": 0}])
def test_no_cores(options):
    option = "--cores" if options.get("local", True) else "--jobs"
    with pytest.raises(SystemExit, match=f"command line: {option}: .* give {option} 1 or more"):
        run(**options)
    assert run(**options, dry=True) == "done"


def test_no_products():
    with pytest.raises(SystemExit, match=r"the configuration: names nothing to make for all; give input"):
        run(stage2=(), stage3=())
    with pytest.raises(SystemExit, match=r"nothing to make for stage3; there is something for all, stage2"):
        run("stage3", stage3=())
    assert run("stage2", "stage3", stage3=()) == "done"
    assert run("demo_data", stage2=(), stage3=()) == "done"


@pytest.mark.parametrize(
    ("target", "right"),
    [
        ("stage4", "did you mean 'stage"),
        ("results/stage2/jw01_mirimage_kal.fits", f"did you mean '{CAL}'"),
        ("result/stage3/jw01-o001_i2d.fits", f"did you mean '{I2D}'"),
        ("nothing_alike", "known are all, plan, stage2, stage3$"),
        ("jw01_mirimage_cal.fits", f"did you mean '{CAL}'"),  # where it is, is left out
        ("/home/me/a/very/long/way/to/the/folder/results/stage2/jw01_mirimage_cal.fits", f"did you mean '{CAL}'"),
        ("nothing/like/it", "known are all, plan, stage2, stage3$"),
    ],
)
def test_a_target_that_no_rule_makes(target, right):
    with pytest.raises(SystemExit, match=rf"command line: {target}: no such target; {right}"):
        run(target, raises=MissingRuleException(target))


@pytest.mark.parametrize(
    ("name", "right"),
    [("jw01_rate.fits", "give a product"), ("my.yaml", "a configuration is given by --configfile .*my.yaml")],
)
def test_a_target_that_is_no_product(name, right, tmp_path):
    file = tmp_path / name
    file.touch()
    with pytest.raises(SystemExit, match=rf"{name}: is there, but nothing here makes it; {right}"):
        run(str(file), raises=MissingRuleException(str(file)))


def test_options_that_name_what_is_not_there():
    with pytest.raises(SystemExit, match=r"command line: --forcerun stag2: no such rule or product; .* 'stage2'"):
        run(forced=["stag2"], raises=MissingRuleException("stag2"))
    with pytest.raises(SystemExit, match=r"command line: --prioritize stag2: no such rule or product"):
        run(prioritized=["stag2"], raises=MissingRuleException("stag2"))
    with pytest.raises(SystemExit, match=rf"--until jw01_mirimage_cal.fits: no such rule or product; .* '{CAL}'"):
        run("stage2", until=["jw01_mirimage_cal.fits"], raises=MissingRuleException("jw01_mirimage_cal.fits"))


def test_a_target_that_the_plan_does_not_have():
    rule = SimpleNamespace(name="calibrate", workflow=SimpleNamespace(linemaps={}), lineno=1, snakefile="stage2.smk")
    error = InputFunctionException(UnknownThing("no exposure 'jw09'"), {}, rule=rule)
    with pytest.raises(SystemExit, match=rf"jw09_cal.fits: no exposure 'jw09'; did you mean '{CAL}'"):
        run("results/stage2/jw09_cal.fits", raises=error)
    with pytest.raises(SystemExit, match=r"command line: all: no exposure 'jw09'$"):
        run(raises=error)


def test_other_errors_are_left_to_snakemake():
    for error in (WorkflowError("other"), MissingRuleException(CAL)):
        with pytest.raises(type(error)):
            run(raises=error)


def test_the_nearest_of_very_many():
    many = [f"results/stage2/jw{number:05}_cal.fits" for number in range(20000)]
    with pytest.raises(SystemExit, match=r"did you mean 'results/stage2/jw12345_cal\.fits'"):
        run("results/stage2/jw12345_kal.fits", raises=MissingRuleException("x"), stage2=many)
