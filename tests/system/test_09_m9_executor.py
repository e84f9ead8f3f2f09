"""M9: a custom executor over the v1 executor API: SUBSCRIBE, LAUNCH, UPDATE, ACKNOWLEDGED, MESSAGE, KILL, SHUTDOWN; registration timeout."""
import json
import os
import time

import pytest

from harness.http import eventually, get_json
from harness.scheduler import b64, custom_executor, resources

AGENT_FLAGS = {"executor_registration_timeout": "3secs", "executor_shutdown_grace_period": "1secs"}


def sandbox(cluster, executor_id):
    state = get_json(cluster.agent.address, "/state")
    for f in state["frameworks"] + state["completed_frameworks"]:
        for e in f["executors"] + f["completed_executors"]:
            if e["id"] == executor_id:
                return e["directory"]
    raise AssertionError("no executor '%s'" % executor_id)


def events(cluster, executor_id):
    with open(os.path.join(sandbox(cluster, executor_id), "events")) as f:
        return f.read().split("\n")[:-1]


def launch(s, executor, data="", n=1):
    offer = s.offer(cpus=0.5)
    tasks = [s.task(offer, "", command=None, executor=executor, data=b64(data)) for _ in range(n)]
    s.launch(offer, *tasks)
    return [t["task_id"]["value"] for t in tasks]


def test_the_whole_way(cluster, scheduler):
    ex = custom_executor(scheduler)
    eid = ex["executor_id"]["value"]
    task_id, = launch(scheduler, ex)
    st = scheduler.status(task_id, "TASK_RUNNING")
    assert st["message"] == "says the executor" and st["executor_id"]["value"] == eid
    assert st["container_status"]["container_id"]["value"]
    # A second task goes to the same executor.
    other, = launch(scheduler, ex, "finish")
    scheduler.status(other, "TASK_FINISHED")
    eventually(lambda: events(cluster, eid).count("LAUNCH") == 2)
    eventually(lambda: events(cluster, eid).count("ACKNOWLEDGED") == 3)
    # Bytes to it and back.
    scheduler.do("MESSAGE", {"agent_id": st["agent_id"], "executor_id": {"value": eid}, "data": b64("hello \0 there")})
    e = scheduler.wait_for(lambda e: e["type"] == "MESSAGE")
    assert e["message"]["data"] == b64("echo hello \0 there") and e["message"]["executor_id"]["value"] == eid
    scheduler.kill(task_id)
    scheduler.status(task_id, "TASK_KILLED")
    scheduler.do("SHUTDOWN", {"executor_id": {"value": eid}, "agent_id": st["agent_id"]})
    f = scheduler.wait_for(lambda e: e["type"] == "FAILURE")["failure"]
    assert f["executor_id"]["value"] == eid and f["agent_id"] == st["agent_id"] and f["status"] == 0
    seen = events(cluster, eid)
    assert seen[0] == "SUBSCRIBED" and seen[1] == "LAUNCH" and "KILL" in seen and seen[-1] == "SHUTDOWN"


def test_environment(cluster, scheduler):
    ex = custom_executor(scheduler)
    task_id, = launch(scheduler, ex)
    scheduler.status(task_id, "TASK_RUNNING")
    folder = sandbox(cluster, ex["executor_id"]["value"])
    with open(os.path.join(folder, "environment")) as f:
        env = json.load(f)
    assert env["MESOS_FRAMEWORK_ID"] == scheduler.id and env["MESOS_EXECUTOR_ID"] == ex["executor_id"]["value"]
    assert env["MESOS_SLAVE_ID"] == cluster.agent_id() and env["MESOS_SLAVE_PID"] == "slave(1)@" + cluster.agent.address
    assert env["MESOS_AGENT_ENDPOINT"] == cluster.agent.address and env["MESOS_CHECKPOINT"] == "0"
    assert env["MESOS_DIRECTORY"] == env["MESOS_SANDBOX"] == folder
    assert env["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"].startswith("1")
    assert "MESOS_RECOVERY_TIMEOUT" not in env and env["LIBPROCESS_PORT"] == "0"


def test_several_tasks_at_once(cluster, scheduler):
    ex = custom_executor(scheduler)
    for task_id in launch(scheduler, ex, n=5):
        scheduler.status(task_id, "TASK_RUNNING")


def test_one_that_never_registers(scheduler):
    begin = time.monotonic()
    task_id, = launch(scheduler, custom_executor(scheduler, kind="silent"))
    end = scheduler.end_of(task_id)
    assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
    assert 2.5 < time.monotonic() - begin < 6


def test_one_that_ignores_shutdown(cluster, scheduler):
    ex = custom_executor(scheduler, kind="stubborn")
    task_id, = launch(scheduler, ex)
    st = scheduler.status(task_id, "TASK_RUNNING")
    begin = time.monotonic()
    scheduler.do("SHUTDOWN", {"executor_id": ex["executor_id"], "agent_id": st["agent_id"]})
    end = scheduler.end_of(task_id)
    assert end["state"] in ("TASK_FAILED", "TASK_KILLED") and 0.8 < time.monotonic() - begin < 4
    eventually(lambda: not cluster.processes())


@pytest.mark.parametrize("program,reason", [("exit 5", "REASON_EXECUTOR_TERMINATED"), ("exec /no/such/program", "REASON_EXECUTOR_TERMINATED")])
def test_one_that_ends_at_once(scheduler, program, reason):
    ex = custom_executor(scheduler)
    ex["command"] = {"value": program}
    task_id, = launch(scheduler, ex)
    end = scheduler.end_of(task_id)
    assert end["state"] == "TASK_FAILED" and end["reason"] == reason, end


def test_its_resources_count(cluster, scheduler):
    task_id, = launch(scheduler, custom_executor(scheduler, resources=resources(0.25, 64)))
    scheduler.status(task_id, "TASK_RUNNING")
    used = cluster.slaves()[0]["used_resources"]
    assert used["cpus"] == 0.35 and used["mem"] == 96
