"""M17: the agent killed with -9 and started again: checkpointed tasks run on, no update is lost, what ended meanwhile is told truly."""
import os
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, b64, custom_executor

SECONDS = 13

POSIX = {}
LINUX = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux,namespaces/pid"}


@pytest.fixture(params=["posix", pytest.param("linux", marks=pytest.mark.root)])
def own(request):
    with Cluster(agents=1, agent_flags=LINUX if request.param == "linux" else POSIX) as c:
        c.kind = request.param
        with Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


def restart(c, down=0.0):
    c.agent.kill9()
    time.sleep(down)
    c.agent.start(wait=False)
    c.wait_agents(1)


def test_commands(own):
    c, s = own
    agent_id = c.agent_id()
    stays, _ = s.run("echo $$ > pid; touch begun; while [ ! -e stop ]; do sleep 0.05; done; exit 9", mem=64)
    good, _ = s.run("sleep 0.6")
    bad, _ = s.run("sleep 0.6; exit 5")
    killed, _ = s.run("sleep 1000")
    before = [t["pid"] if "pid" in t else None for t in c.slaves()]
    folder = eventually(lambda: [d for d, _, fs in os.walk(c.folder) if "begun" in fs and "/latest" not in d])[0]
    n = s.mark()
    restart(c, 1.2)
    assert c.agent_id() == agent_id and len(before) == 1
    # What ended while nobody looked.
    end = s.end_of(good, since=n)
    assert end["state"] == "TASK_FINISHED" and end["source"] == "SOURCE_EXECUTOR", end
    end = s.end_of(bad, since=n)
    assert end["state"] == "TASK_FAILED" and "status 5" in end["message"]
    # What runs on can still be killed, and still tells its own end.
    assert not [st for st in s.statuses(stays, since=n) if st["state"] != "TASK_RUNNING"]
    s.reconcile((stays, agent_id))
    assert s.status(stays, since=n)["state"] == "TASK_RUNNING"
    s.kill(killed)
    assert s.end_of(killed, since=n)["state"] == "TASK_KILLED"
    with open(os.path.join(folder, "stop"), "w"):
        pass
    end = s.end_of(stays, since=n)
    assert end["state"] == "TASK_FAILED" and "status 9" in end["message"]
    eventually(lambda: not c.processes())


def test_unacknowledged_updates_come_again(own):
    c, s = own
    s.ack = False
    offer = s.offer()
    t = s.task(offer, "sleep 0.1; exit 6")
    task_id = t["task_id"]["value"]
    s.launch(offer, t)
    first = s.status(task_id, "TASK_STARTING")
    n = s.mark()
    restart(c, 0.3)
    again = s.status(task_id, "TASK_STARTING", since=n)
    assert again["uuid"] == first["uuid"]
    for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"):
        s.acknowledge(s.status(task_id, state, since=n))
    # Each once acknowledged, and in order.
    order = [x for i, x in enumerate(s.states(task_id)) if i == 0 or s.states(task_id)[i - 1] != x]
    assert order == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]


def test_custom_executor(own):
    c, s = own
    ex = custom_executor(s)
    eid = ex["executor_id"]["value"]
    offer = s.offer(cpus=1)
    tasks = [s.task(offer, "", command=None, executor=ex, data=b64(d)) for d in ("stay", "later 0.8")]
    s.launch(offer, *tasks)
    stays, ends = [t["task_id"]["value"] for t in tasks]
    s.status(stays, "TASK_RUNNING")
    s.status(ends, "TASK_RUNNING")
    n = s.mark()
    restart(c, 1.2)
    # The update that the executor could not hand over then, it hands over now.
    assert s.end_of(ends, since=n)["state"] == "TASK_FINISHED"
    assert not [st for st in s.statuses(stays, since=n) if st["state"] != "TASK_RUNNING"]
    s.do("MESSAGE", {"agent_id": offer["agent_id"], "executor_id": {"value": eid}, "data": b64("still there?")})
    assert s.wait_for(lambda e: e["type"] == "MESSAGE", since=n)["message"]["data"] == b64("echo still there?")
    s.kill(stays)
    assert s.end_of(stays, since=n)["state"] == "TASK_KILLED"


def test_again_and_again(own):
    """Ten tasks over five kills of the agent: each is told to have ended exactly as it did."""
    c, s = own
    if c.kind == "linux":
        rounds = 2
    else:
        rounds = 5
    offer = s.offer()
    tasks = [s.task(offer, "sleep %g; exit %d" % (0.3 * i, i)) for i in range(10)]
    s.launch(offer, *tasks)
    for t in tasks:
        s.status(t["task_id"]["value"], ("TASK_RUNNING", "TASK_FINISHED"))
    for _ in range(rounds):
        restart(c)
    for i, t in enumerate(tasks):
        end = s.end_of(t["task_id"]["value"])
        assert end["state"] == ("TASK_FAILED" if i else "TASK_FINISHED") and "status %d" % i in end["message"], end


def test_without_checkpoint_tasks_go_with_the_agent():
    with Cluster(agents=1) as c, Scheduler(c.master.address, ["PARTITION_AWARE"]) as s:
        task_id, _ = s.run("sleep 1000")
        n = s.mark()
        restart(c)
        assert s.end_of(task_id, since=n)["state"] in ("TASK_LOST", "TASK_DROPPED", "TASK_GONE", "TASK_FAILED")
        eventually(lambda: not c.processes())
        assert get_json(c.agent.address, "/state")["frameworks"] == []
