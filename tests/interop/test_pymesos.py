"""The PyPI package pymesos 0.3.15, as published: its scheduler and its executor together, its operator's events and calls."""
import glob
import os

import pytest

from clients import HERE, USER, Cluster, eventually, get_json, install, place, published, python_client

SECONDS = 15


@pytest.fixture(scope="module")
def cluster():
    install("pypi")
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def watcher(cluster):
    with python_client(cluster, "pymesos_operator.py", "watch", cluster.master.address) as w:
        eventually(lambda: w.saw("subscribed"))
        yield w


@pytest.fixture(scope="module")
def run(cluster, watcher):
    """The scheduler from its first event to its teardown, while the operator watches."""
    executor = "PYTHONPATH='%s' PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 '%s'" % (
        place("pypi"), os.path.join(HERE, "pypi", "pymesos_executor.py"))
    return python_client(cluster, "pymesos_scheduler.py", cluster.master.address, USER, executor).run()


@pytest.fixture(scope="module")
def calls(cluster, run):
    """After the scheduler: maintenance takes the machine down, and its agent with what runs there."""
    agent = cluster.slaves()[0]
    return python_client(cluster, "pymesos_operator.py", "calls", cluster.master.address, cluster.agent.address, agent["id"],
                         agent["hostname"], "127.0.0.1").run()


def sandboxes(cluster, what):
    found = []
    for path in glob.glob(cluster.folder + "/agent0/slaves/*/frameworks/*/executors/*/runs/*-*/" + what):
        with open(path, errors="replace") as f:
            found.append(f.read())
    return "\n".join(found)


def only(run, what, who=None):
    found = [line for line in run.saw(what) if who is None or line["who"] == who]
    assert len(found) == 1, (what, run.told())
    return found[0]["answer"]


def test_package_is_the_published_one():
    assert published("pymesos") == ["0.3.15"]


def test_scheduler_registers_and_ends(run):
    assert run.status == 0, run.told()
    assert run.saw("error") == [] and run.saw("executor lost") == [], run.told()
    registered = run.saw("registered")
    assert len(registered) == 1 and registered[0]["framework"], run.told()
    assert tuple(int(n) for n in registered[0]["version"].split(".")) >= (1, 5, 0)
    assert run.saw("heartbeat") and run.saw("offers")
    assert "Traceback" not in run.errors(), run.told()


def test_executor_runs_both_tasks(cluster, run):
    assert run.states("brief") == ["TASK_RUNNING", "TASK_FINISHED"], run.told() + sandboxes(cluster, "stderr")
    assert run.states("lasting") == ["TASK_RUNNING", "TASK_KILLED"], run.told()
    assert [u["message"] for u in run.saw("update") if u["state"] == "TASK_RUNNING" and u["step"] == "launch"] == [
        "data: for brief", "data: for lasting"]
    assert {u["source"] for u in run.saw("update") if u["step"] != "reconcile"} == {"SOURCE_EXECUTOR"}
    assert "registered" in sandboxes(cluster, "stdout") and "Traceback" not in sandboxes(cluster, "stderr")


def test_messages_go_both_ways(run):
    assert sorted(m["text"] for m in run.saw("message")) == ["launched brief", "launched lasting"]


def test_reconciliation_is_answered(run):
    answers = [u for u in run.saw("update") if u["reason"] == "REASON_RECONCILIATION"]
    assert [(a["task"], a["state"], a["source"], a["step"]) for a in answers] == [("lasting", "TASK_RUNNING", "SOURCE_MASTER", "reconcile")]


def test_driver_tears_the_framework_down(cluster, run):
    completed = eventually(lambda: get_json(cluster.master.address, "/state")["completed_frameworks"])
    assert [f["name"] for f in completed] == ["pymesos-interop"]
    assert sorted((t["name"], t["state"]) for t in completed[0]["completed_tasks"]) == [
        ("brief", "TASK_FINISHED"), ("lasting", "TASK_KILLED")]


def test_operator_is_told_of_everything(run, watcher):
    eventually(lambda: watcher.saw("framework removed"))
    assert [f["name"] for f in watcher.saw("framework added")] == ["pymesos-interop"], watcher.told()
    assert sorted((t["name"], t["state"]) for t in watcher.saw("task added")) == [("brief", "TASK_STAGING"), ("lasting", "TASK_STAGING")]
    for task, states in (("brief", ["TASK_RUNNING", "TASK_FINISHED"]), ("lasting", ["TASK_RUNNING", "TASK_KILLED"])):
        assert [t["state"] for t in watcher.saw("task updated") if t["task"] == task] == states, watcher.told()
    assert [f["name"] for f in watcher.saw("framework removed")] == ["pymesos-interop"]
    assert "Traceback" not in watcher.errors() and "ERROR" not in watcher.errors(), watcher.told()


@pytest.mark.parametrize("who", ["master", "agent"])
def test_calls_of_master_and_agent(calls, who):
    assert only(calls, "health", who)["get_health"]["healthy"] is True
    assert only(calls, "version", who)["get_version"]["version_info"]["version"].count(".") == 2
    assert "work_dir" in [f["name"] for f in only(calls, "flags", who)["get_flags"]["flags"]]
    names = [m["name"] for m in only(calls, "metrics", who)["get_metrics"]["metrics"]]
    assert ("master/uptime_secs" if who == "master" else "slave/uptime_secs") in names
    assert only(calls, "logging", who)["get_logging_level"]["level"] == 1
    assert "get_state" in only(calls, "state", who)
    for kind in ("frameworks", "executors", "tasks"):
        assert "get_" + kind in only(calls, kind, who)
    assert sorted(t["name"] for t in only(calls, "tasks", who)["get_tasks"]["completed_tasks"]) == ["brief", "lasting"]


def test_calls_that_ask_the_master(cluster, calls):
    assert calls.status == 0, calls.told()
    assert only(calls, "master")["get_master"]["master_info"]["port"] == int(cluster.master.address.split(":")[1])
    agents = only(calls, "agents")["get_agents"]["agents"]
    assert [(a["active"], a["agent_info"]["hostname"]) for a in agents] == [(True, "127.0.0.1")]
    assert only(calls, "containers")["type"] == "GET_CONTAINERS"


def test_calls_that_change_roles(calls):
    assert only(calls, "weights")["get_weights"]["weight_infos"] == [{"role": "heavy", "weight": 3.5}]
    assert [r["weight"] for r in only(calls, "roles")["get_roles"]["roles"] if r["name"] == "heavy"] == [3.5]
    quota = only(calls, "quota")["get_quota"]["status"]
    assert [(i["role"], i["guarantee"][0]["scalar"]["value"]) for i in quota["infos"]] == [("heavy", 1.0)]
    assert only(calls, "quota removed")["get_quota"]["status"].get("infos", []) == []


def test_calls_that_reserve(calls):
    def disks(what):
        total = only(calls, what)["get_agents"]["agents"][0]["total_resources"]
        return sorted((r["scalar"]["value"], [x["role"] for x in r.get("reservations", [])],
                       r.get("disk", {}).get("persistence", {}).get("id")) for r in total if r["name"] == "disk")
    assert disks("reserved") == [(64.0, ["heavy"], None), (1984.0, [], None)]
    assert disks("created") == [(64.0, ["heavy"], "pymesos"), (1984.0, [], None)]
    assert disks("unreserved") == [(2048.0, [], None)]


def test_calls_of_maintenance(calls):
    window, = only(calls, "schedule")["get_maintenance_schedule"]["schedule"]["windows"]
    assert [m["hostname"] for m in window["machine_ids"]] == ["127.0.0.1"]
    draining = only(calls, "maintenance")["get_maintenance_status"]["status"]
    assert [m["id"]["hostname"] for m in draining["draining_machines"]] == ["127.0.0.1"]
    down = only(calls, "down")["get_maintenance_status"]["status"]
    assert [m["hostname"] for m in down["down_machines"]] == ["127.0.0.1"]
    assert not only(calls, "up")["get_maintenance_status"]["status"].get("down_machines")
