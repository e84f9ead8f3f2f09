"""M15: reconciliation, explicit and implicit: the six answers, for frameworks that know about partitions and for others (features.md 3.4).

Answers carry no uuid, REASON_RECONCILIATION and SOURCE_MASTER. The sixth, TASK_GONE_BY_OPERATOR, needs an agent that an operator has
marked gone (row M23); its place here is taken by silence while an agent's return is awaited, the case without an answer."""
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, new_id

AGENTS = 2
MASTER_FLAGS = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "3"}


@pytest.fixture(params=[False, True], ids=["plain", "aware"])
def s(request, cluster):
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"] if request.param else [], failover_timeout=60.0) as scheduler:
        scheduler.aware = request.param
        yield scheduler


def answer(s, task_id, agent_id=None):
    n = s.mark()
    s.reconcile((task_id, agent_id))
    st = s.status(task_id, since=n, wait=5)
    assert st["reason"] == "REASON_RECONCILIATION" and st["source"] == "SOURCE_MASTER" and "uuid" not in st, st
    return st


def test_known_task(s):
    task_id, running = s.run("sleep 1000")
    for agent_id in (running["agent_id"]["value"], None, "another-S7"):
        st = answer(s, task_id, agent_id)
        assert st["state"] == "TASK_RUNNING" and st["agent_id"] == running["agent_id"]


def test_unknown_task_of_a_registered_agent(cluster, s):
    st = answer(s, new_id(), cluster.agent_id())
    assert st["state"] == ("TASK_GONE" if s.aware else "TASK_LOST")


def test_unknown_task_of_an_unknown_agent(s):
    st = answer(s, new_id(), "no-such-agent-S9")
    assert st["state"] == ("TASK_UNKNOWN" if s.aware else "TASK_LOST")


def test_unknown_task_without_an_agent(s):
    st = answer(s, new_id())
    assert st["state"] == ("TASK_UNKNOWN" if s.aware else "TASK_LOST") and "agent_id" not in st


def test_implicit_names_all_tasks_and_no_other(s):
    assert_all = [s.run("sleep 1000")[0] for _ in range(3)]
    ended, _ = s.run("true", "TASK_FINISHED")
    eventually(lambda: not [t for f in get_json(s.address, "/state")["frameworks"] if f["id"] == s.id
                            for t in f["tasks"] if t["id"] == ended])
    n = s.mark()
    s.reconcile()
    for task_id in assert_all:
        st = s.status(task_id, since=n)
        assert st["state"] == "TASK_RUNNING" and st["reason"] == "REASON_RECONCILIATION" and "uuid" not in st
    time.sleep(0.2)
    assert not s.statuses(ended, since=n)


def test_silence_while_an_agent_may_come_back():
    """After a failover of the master nothing is said of what the missing agents may have."""
    with Cluster(agents=1) as c:
        agent_id = c.agent_id()
        c.agent.freeze()
        c.master.kill9()
        c.master.start()
        with Scheduler(c.master.address, ["PARTITION_AWARE"]) as s:
            known, anywhere, elsewhere = new_id(), new_id(), new_id()
            s.reconcile((known, agent_id), (anywhere, None), (elsewhere, "no-such-agent-S9"))
            assert s.status(elsewhere)["state"] == "TASK_UNKNOWN"
            time.sleep(0.3)
            assert not s.statuses(known) and not s.statuses(anywhere)
            c.agent.thaw()
            c.wait_agents(1, 30)
            assert answer(s, known, agent_id)["state"] == "TASK_GONE"
            assert answer(s, anywhere)["state"] == "TASK_UNKNOWN"
