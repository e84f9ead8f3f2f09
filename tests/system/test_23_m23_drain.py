"""M23: DRAIN_AGENT, DEACTIVATE_AGENT, REACTIVATE_AGENT and MARK_AGENT_GONE on real agents, through restarts of either daemon."""
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler

API = "/api/v1"
STUBBORN = "trap '' TERM; while true; do sleep 0.1; done"
FOREVER = {"checkpoint": True, "failover_timeout": 600.0}


def api(address, kind, body=None):
    return post_json(address, API, dict({"type": kind}, **({kind.lower(): body} if body else {})))


def do(cluster, kind, agent_id, **more):
    return api(cluster.master.address, kind, dict({"agent_id": {"value": agent_id}}, **more)).status


def agent(cluster, agent_id):
    """What GET_AGENTS says of it; the older endpoint has to agree."""
    found = [a for a in api(cluster.master.address, "GET_AGENTS").json()["get_agents"]["agents"]
             if a["agent_info"]["id"]["value"] == agent_id]
    if not found:
        return None
    old = [s for s in cluster.slaves() if s["id"] == agent_id][0]
    a = found[0]
    assert (old["active"], old["deactivated"], old.get("drain_info")) == (a.get("active", False), a["deactivated"], a.get("drain_info"))
    assert ("estimated_drain_start_time_seconds" in old) == ("estimated_drain_start_time" in a)
    return a


def drain_state(cluster, agent_id):
    a = agent(cluster, agent_id)
    return a and a.get("drain_info", {}).get("state")


@pytest.fixture
def cluster():
    with Cluster() as c:
        yield c


def test_drain(cluster):
    agent_id = cluster.agent_id()
    with Scheduler(cluster.master.address, ["PARTITION_AWARE", "TASK_KILLING_STATE"], **FOREVER) as s:
        task_id, _ = s.run(STUBBORN, kill_policy={"grace_period": {"nanoseconds": 60 * 10**9}})
        time.sleep(0.3)
        offer = s.offer(agent_id)
        n = s.mark()
        begin = time.monotonic()
        assert do(cluster, "DRAIN_AGENT", agent_id, max_grace_period={"seconds": 2}) == 200
        assert s.wait_for(lambda e: e["type"] == "RESCIND", 5, n)["rescind"]["offer_id"] == offer["id"]
        a = agent(cluster, agent_id)
        assert a["drain_info"] == {"state": "DRAINING", "config": {"max_grace_period": {"nanoseconds": 2 * 10**9}, "mark_gone": False}}
        assert not a.get("active") and a["deactivated"] and a["estimated_drain_start_time"]["nanoseconds"] > 0
        killing = s.status(task_id, "TASK_KILLING", since=n)
        assert killing["reason"] == "REASON_AGENT_DRAINING"
        told = api(cluster.agent.address, "GET_AGENT").json()["get_agent"]
        assert told["drain_config"] == a["drain_info"]["config"] and "estimated_drain_start_time" in told
        assert "drain_config" in get_json(cluster.agent.address, "/state")
        assert do(cluster, "REACTIVATE_AGENT", agent_id) == 400
        st = s.end_of(task_id, since=n)
        assert (st["state"], st["reason"]) == ("TASK_KILLED", "REASON_AGENT_DRAINING")
        assert 1.5 < time.monotonic() - begin < 8
        eventually(lambda: drain_state(cluster, agent_id) == "DRAINED", 10)
        eventually(lambda: "drain_config" not in api(cluster.agent.address, "GET_AGENT").json()["get_agent"], 5)
        n = s.mark()
        time.sleep(1)
        assert not [e for e in s.events[n:] if e["type"] == "OFFERS"]
        assert do(cluster, "REACTIVATE_AGENT", agent_id) == 200
        s.offer(agent_id)
        assert "drain_info" not in agent(cluster, agent_id)
        s.run("true", "TASK_FINISHED")


def test_drain_goes_on_after_restarts(cluster):
    """The agent is killed while it drains, then the master; the task ends nevertheless, acknowledged after a while."""
    agent_id = cluster.agent_id()
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"], ack=False, **FOREVER) as s:
        task_id, _ = s.run(STUBBORN, state="TASK_STARTING")
        first = s.status(task_id)
        s.acknowledge(first)
        s.acknowledge(s.status(task_id, "TASK_RUNNING"))
        assert do(cluster, "DRAIN_AGENT", agent_id, max_grace_period={"seconds": 3}) == 200
        eventually(lambda: "drain_config" in api(cluster.agent.address, "GET_AGENT").json()["get_agent"], 5)
        cluster.agent.kill9()
        cluster.agent.start()
        end = s.end_of(task_id, wait=30)
        assert (end["state"], end["reason"]) == ("TASK_KILLED", "REASON_AGENT_DRAINING")
        assert drain_state(cluster, agent_id) == "DRAINING"
        s.close()
        cluster.master.kill9()
        cluster.master.start()
        s.subscribe()
        eventually(lambda: drain_state(cluster, agent_id) == "DRAINING", 20)
        n = s.mark()
        again = s.status(task_id, "TASK_KILLED", wait=30)
        time.sleep(0.5)
        assert drain_state(cluster, agent_id) == "DRAINING"
        s.acknowledge(again)
        eventually(lambda: drain_state(cluster, agent_id) == "DRAINED", 10)
        assert not [e for e in s.events[n:] if e["type"] == "OFFERS"]


def test_deactivated_agents_stay_so(cluster):
    agent_id = cluster.agent_id()
    with Scheduler(cluster.master.address, **FOREVER) as s:
        task_id, _ = s.run("sleep 1000")
        assert do(cluster, "REACTIVATE_AGENT", agent_id) == 400
        assert do(cluster, "DEACTIVATE_AGENT", agent_id) == 200
        cluster.master.kill9()
        s.close()
        cluster.master.start()
        s.subscribe()
        eventually(lambda: agent(cluster, agent_id), 20)
        a = agent(cluster, agent_id)
        assert a["deactivated"] and not a.get("active")
        n = s.mark()
        s.kill(task_id)
        assert s.end_of(task_id, since=n)["state"] == "TASK_KILLED"  # otherwise it works
        assert not [e for e in s.events[n:] if e["type"] == "OFFERS"]
        assert do(cluster, "REACTIVATE_AGENT", agent_id) == 200
        s.offer(agent_id)
        assert not agent(cluster, agent_id)["deactivated"]


@pytest.mark.parametrize("aware", [True, False], ids=["aware", "plain"])
def test_gone(cluster, aware):
    agent_id = cluster.agent_id()
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"] if aware else [], **FOREVER) as s:
        task_id, _ = s.run("sleep 1000")
        cluster.agent.freeze()  # it does not hear of it now
        n = s.mark()
        assert do(cluster, "MARK_AGENT_GONE", agent_id) == 200
        st = s.end_of(task_id, since=n)
        assert (st["state"], st["reason"]) == (("TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR") if aware else
                                               ("TASK_LOST", "REASON_AGENT_REMOVED"))
        assert s.wait_for(lambda e: e["type"] == "FAILURE", 5, n)["failure"]["agent_id"]["value"] == agent_id
        assert do(cluster, "MARK_AGENT_GONE", agent_id) == 200
        assert do(cluster, "MARK_AGENT_GONE", "nobody") == 404
        cluster.agent.kill9()
        cluster.agent.start(wait=False)
        assert cluster.agent.process.wait(20) is not None  # told to end
        eventually(lambda: cluster.processes() == [], 10)
        n = s.mark()
        s.reconcile((task_id, agent_id))
        assert s.status(task_id, since=n)["state"] == st["state"]
        cluster.agent.start()
        cluster.wait_agents(1)
        assert cluster.slaves()[0]["id"] != agent_id


def test_drain_and_gone(cluster):
    agent_id = cluster.agent_id()
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"], **FOREVER) as s:
        task_id, _ = s.run("sleep 1000")
        assert do(cluster, "DRAIN_AGENT", agent_id, mark_gone=True) == 200
        st = s.end_of(task_id)
        assert (st["state"], st["reason"]) == ("TASK_GONE_BY_OPERATOR", "REASON_AGENT_DRAINING")
        assert cluster.agent.process.wait(20) is not None
        assert cluster.slaves() == []
