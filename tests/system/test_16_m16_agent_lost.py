"""M16: an agent that does not answer its pings becomes unreachable, its tasks too; when it comes back they go on."""
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler

SECONDS = 31

PINGS, TIMEOUT = 3, 1.0
MASTER_FLAGS = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "3"}


@pytest.mark.parametrize("aware", [True, False], ids=["aware", "plain"])
def test_away_and_back(cluster, aware):
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"] if aware else [], checkpoint=True, failover_timeout=60.0) as s:
        agent_id = cluster.agent_id()
        task_id, _ = s.run("sleep 1000", agent_id=agent_id)
        offer = s.offer(agent_id)
        n = s.mark()
        begin = time.monotonic()
        cluster.agent.freeze()
        try:
            e = s.wait_for(lambda e: e["type"] == "RESCIND", 10, n)
            assert e["rescind"]["offer_id"] == offer["id"]
            st = s.status(task_id, since=n, wait=10)
            took = time.monotonic() - begin
            assert st["state"] == ("TASK_UNREACHABLE" if aware else "TASK_LOST")
            assert st["reason"] == "REASON_SLAVE_REMOVED" or st["reason"] == "REASON_AGENT_REMOVED"
            assert st["source"] == "SOURCE_MASTER" and "uuid" not in st
            if aware:
                assert st["unreachable_time"]["nanoseconds"] > 0
            assert PINGS * TIMEOUT - 1.1 < took < PINGS * TIMEOUT + 2.5, took
            f = s.wait_for(lambda e: e["type"] == "FAILURE", 5, n)["failure"]
            assert f["agent_id"]["value"] == agent_id and "executor_id" not in f
            state = get_json(cluster.master.address, "/state")
            assert state["unreachable_slaves"] == 1 and state["slaves"] == []
            mine = [f for f in state["frameworks"] if f["id"] == s.id][0]
            assert [t["id"] for t in mine["unreachable_tasks"]] == [task_id] and mine["tasks"] == []
            assert cluster.master.metrics()["master/slaves_unreachable"] == 1
            n = s.mark()
        finally:
            cluster.agent.thaw()
        back = s.status(task_id, "TASK_RUNNING", since=n, wait=20)
        assert back["reason"] in ("REASON_SLAVE_REREGISTERED", "REASON_AGENT_REREGISTERED"), back
        cluster.wait_agents(1)
        assert cluster.slaves()[0]["id"] == agent_id
        assert get_json(cluster.master.address, "/state")["unreachable_slaves"] == 0
        s.kill(task_id)
        assert s.end_of(task_id, since=n)["state"] == "TASK_KILLED"


def test_a_short_silence_is_forgiven(cluster):
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"]) as s:
        task_id, _ = s.run("sleep 1000")
        n = s.mark()
        cluster.agent.freeze()
        time.sleep(1.5)
        cluster.agent.thaw()
        time.sleep(2.5)
        assert not s.statuses(task_id, since=n)
        assert get_json(cluster.master.address, "/state")["unreachable_slaves"] == 0


def test_a_killed_agent_is_disconnected_then_unreachable():
    """Its connection breaks, so its offers go at once and its resources are not offered; unreachable when it does not come back."""
    with Cluster(agents=1, master_flags=dict(MASTER_FLAGS, agent_reregister_timeout="2secs")) as c:
        with Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True) as s:
            task_id, _ = s.run("sleep 1000")
            s.offer()
            n = s.mark()
            c.agent.kill9()
            s.wait_for(lambda e: e["type"] == "RESCIND", 2, n)
            eventually(lambda: c.master.metrics()["master/slaves_disconnected"] == 1, 2)
            assert s.status(task_id, since=n, wait=15)["state"] == "TASK_UNREACHABLE"


def test_the_tightest_limits():
    """One ping a second and none may be missed. The agent stays while it answers, is told lost when it does not, and is back soon."""
    with Cluster(agents=1, master_flags={"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "1"},
                 agent_flags={"registration_backoff_factor": None}) as c:
        with Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
            task_id, _ = s.run("sleep 1000")
            n = s.mark()
            time.sleep(4)
            assert not s.statuses(task_id, since=n)
            assert c.master.metrics()["master/slave_reregistrations"] == 0
            # Each time: what kept the agent away once is no reason to wait longer the next.
            for _ in range(4):
                n = s.mark()
                c.agent.freeze()
                try:
                    assert s.status(task_id, since=n, wait=6)["state"] == "TASK_UNREACHABLE"
                    n = s.mark()
                finally:
                    c.agent.thaw()
                begin = time.monotonic()
                back = s.status(task_id, since=n, wait=20)
                assert back["state"] == "TASK_RUNNING" and back["reason"] == "REASON_AGENT_REREGISTERED", back
                assert time.monotonic() - begin < 5
