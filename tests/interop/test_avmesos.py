"""The PyPI package avmesos 0.4.2, as published: the scheduler library of a project that still runs on Mesos. It handles an event only once
the length of the next one has arrived on the same line, so a heartbeat must follow the first event at once."""
import pytest

from clients import USER, Cluster, eventually, get_json, install, published, python_client

SECONDS = 10


@pytest.fixture(scope="module")
def cluster():
    install("pypi")
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def run(cluster):
    return python_client(cluster, "avmesos_client.py", "http://" + cluster.master.address, USER).run(90)


def test_package_is_the_published_one():
    assert published("avmesos") == ["0.4.2"]


def test_it_subscribes(run):
    assert run.status == 0, run.told()
    assert run.saw("error") == [] and run.saw("stream ended") == [], run.told()
    subscribed, = run.saw("subscribed")
    assert subscribed["framework"] and subscribed["stream"] and subscribed["version"].count(".") == 2


def test_tasks_run_end_and_are_killed(run):
    assert run.states("brief") == ["TASK_RUNNING", "TASK_FINISHED"], run.told()
    assert run.states("lasting") == ["TASK_RUNNING", "TASK_KILLED"], run.told()


def test_reconciliation_is_answered(run):
    answers = [u for u in run.saw("update") if u["reason"] == "REASON_RECONCILIATION" and u["task"] != "nudge"]
    assert [(a["task"], a["state"], a["source"]) for a in answers] == [("lasting", "TASK_RUNNING", "SOURCE_MASTER")]


def test_a_task_that_never_was_is_lost(run):
    assert {(u["state"], u["reason"]) for u in run.saw("update") if u["task"] == "nudge"} == {("TASK_LOST", "REASON_RECONCILIATION")}


def test_suppressed_until_revived(run):
    assert [o["step"] for o in run.saw("offers")] == ["launch", "revive"], run.told()
    assert run.saw("declined") and run.saw("teardown")


def test_master_has_seen_the_same(cluster, run):
    framework, = eventually(lambda: get_json(cluster.master.address, "/state")["completed_frameworks"])
    assert framework["name"] == "avmesos-interop"
    assert sorted((t["name"], t["state"]) for t in framework["completed_tasks"]) == [("brief", "TASK_FINISHED"), ("lasting", "TASK_KILLED")]
