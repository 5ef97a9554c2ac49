"""What stands around what Snakemake executes."""

from types import SimpleNamespace

import pytest

from calflow.engine.execution import Execution, surround


class Workflow:
    """As much of Snakemake's workflow as is executed."""

    def __init__(self, *, is_main_process=True):
        self.is_main_process, self.done = is_main_process, []

    def execute(self, executor_plugin, executor_settings, scheduler_plugin, updated_files=None):
        self.done.append((executor_plugin, executor_settings, scheduler_plugin, updated_files))
        return True


def layer(name, told):
    def around(execution, execute):
        told.append(f"{name} begins")
        result = execute()
        told.append(f"{name} ends")
        return result

    return around


def test_the_first_layer_stands_around_the_others():
    told, workflow = [], Workflow()
    surround(workflow, [layer("outer", told), layer("inner", told)])
    assert workflow.execute(
        executor_plugin="local", executor_settings=None, scheduler_plugin="greedy", updated_files=["a"]
    )
    assert told == ["outer begins", "inner begins", "inner ends", "outer ends"]
    assert workflow.done == [("local", None, "greedy", ["a"])]


def test_a_layer_may_do_without_the_execution():
    told, workflow = [], Workflow()
    surround(workflow, [lambda execution, execute: execution.plugin, layer("inner", told)])
    assert workflow.execute("local", None, "greedy") == "local"
    assert (told, workflow.done) == ([], [])


def test_the_job_of_a_cluster_is_executed_as_it_is():
    workflow = Workflow(is_main_process=False)
    surround(workflow, [lambda execution, execute: pytest.fail("surrounded")])
    assert workflow.execute("local", None, "greedy")


def execution(*, local=True, dry=False, touch=False, lock=True, cores=2, nodes=None, **dag):
    settings = {"targets": [], "until": set(), "omit_from": set(), "batch": None, "target_jobs": set()}
    settings |= {"forcetargets": False, "forcerun": set(), "forceall": False}
    workflow = SimpleNamespace(
        dag_settings=SimpleNamespace(**settings | dag),
        scheduling_settings=SimpleNamespace(prioritytargets=set()),
        execution_settings=SimpleNamespace(lock=lock),
        resource_settings=SimpleNamespace(cores=cores, nodes=nodes),
        is_rule=lambda name: name == "all",
    )
    common = SimpleNamespace(local_exec=local, dryrun_exec=dry, touch_exec=touch)
    return Execution(workflow, SimpleNamespace(common_settings=common))


def test_how_many_jobs_run_at_once():
    assert execution(cores=4).at_once == 4
    assert execution(local=False, cores=None, nodes=50).at_once == 50


def test_a_dry_run_takes_no_lock():
    assert execution().takes_locks
    assert not execution(dry=True).takes_locks
    assert not execution(lock=False).takes_locks


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        ({}, False),
        ({"until": {"all"}}, True),
        ({"forcetargets": True}, True),
        ({"forcerun": {"all"}}, False),  # in each part of the graph
        ({"forcerun": {"results/a.fits"}}, True),
    ],
)
def test_what_needs_the_graph_of_all_targets_at_once(options, whole):
    assert execution(**options).is_whole is whole
