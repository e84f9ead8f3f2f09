"""The npm package mesos-framework 0.5.3, as published, against a real master and agent: its own JSON over its own HTTP client."""
import json

import pytest

from clients import USER, Cluster, eventually, get_json, install, node_client, place

SECONDS = 15
VERSION = "0.5.3"


@pytest.fixture(scope="module")
def cluster():
    install("npm")
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def run(cluster):
    host, port = cluster.master.address.split(":")
    return node_client(cluster, "client.js", host, port, USER, cluster.folder).run()


@pytest.fixture(autouse=True)
def what_it_told(request, run):
    """Under a failure: all that the client and the daemons wrote."""
    print(run.told())


def updates(run, task, answers=False):
    return [u for u in run.saw("update") if u["task"] == task and (u["reason"] == "REASON_RECONCILIATION") == answers]


def test_package_is_the_published_one():
    with open(place("npm", "node_modules", "mesos-framework", "package.json")) as f:
        assert json.load(f)["version"] == VERSION


def test_subscribes_and_accepts(run):
    assert len(run.saw("subscribed")) == 1
    subscribed = run.saw("subscribed")[0]
    assert subscribed["framework"] and subscribed["stream"]
    assert run.saw("heartbeat")
    assert run.saw("offers")
    assert run.saw("accept")


def test_task_that_ends_by_itself(run):
    assert run.states("brief") == ["TASK_RUNNING", "TASK_FINISHED"]


def test_task_that_is_killed(run):
    assert run.saw("kill")
    assert run.states("lasting") == ["TASK_RUNNING", "TASK_KILLED"]
    assert updates(run, "lasting")[-1]["step"] == "kill"


def test_reconciliation_of_running_and_of_ended(run):
    """Explicit, of one task each: its state while it runs; lost, for a framework without capabilities, once it was forgotten."""
    answers = updates(run, "lasting", answers=True)
    assert [(a["state"], a["source"], a["uuid"], a["step"]) for a in answers] == [
        ("TASK_RUNNING", "SOURCE_MASTER", False, "reconcile"), ("TASK_LOST", "SOURCE_MASTER", False, "reconcile ended")]
    assert updates(run, "brief", answers=True) == []


def test_every_update_is_acknowledged(run):
    assert len(run.saw("acknowledged")) == len([u for u in run.saw("update") if u["uuid"]]) >= 4


def test_no_error(run):
    assert run.saw("error") == []
    assert run.saw("teardown")
    assert run.status == 0


def test_master_has_seen_the_same(cluster, run):
    """After the teardown: the framework is among the completed ones, with both tasks as the client saw them end."""
    def completed():
        return [f for f in get_json(cluster.master.address, "/state")["completed_frameworks"]
                if f["id"] == run.saw("subscribed")[0]["framework"]]
    framework = eventually(completed)[0]
    assert framework["name"] == "npm-interop"
    assert sorted((t["name"].split("-")[0], t["state"]) for t in framework["completed_tasks"]) == [
        ("brief", "TASK_FINISHED"), ("lasting", "TASK_KILLED")]


def test_a_failed_task_is_launched_again(cluster, run):
    """By the package itself, as another task of the same kind."""
    host, port = cluster.master.address.split(":")
    keeper = node_client(cluster, "keeper.js", host, port, USER, cluster.folder).run()
    assert keeper.states("flaky") == ["TASK_RUNNING", "TASK_FAILED", "TASK_RUNNING", "TASK_KILLED"], keeper.told()
    assert len({u["id"] for u in keeper.saw("update")}) == 2
    assert keeper.saw("error") == [] and keeper.saw("teardown") and keeper.status == 0, keeper.told()
