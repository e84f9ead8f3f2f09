"""Gang offers end to end: one OFFERS event with all of it, a label that makes no sense, and jobs of the demonstration framework."""
import os
import subprocess

import pytest

from harness.cluster import ROOT, Cluster
from harness.http import get_json
from harness.scheduler import Scheduler, amount

THROTTLE = os.path.join(ROOT, os.environ.get("BUILD", "build"), "examples", "throttle")


@pytest.fixture
def cluster():
    c = Cluster(2)
    yield c
    c.stop()


def framework(cluster, label):
    return Scheduler(cluster.master.address, ["MULTI_ROLE"], roles=["eng"], labels={"labels": [{"key": "fairlead.gang", "value": label}]})


def test_all_in_one_event(cluster):
    with framework(cluster, "count=6 unit=cpus:1 hold=0secs") as s:
        offers = s.offers()
        assert len(offers) == 2 and sum(amount(o, "cpus") for o in offers) == 6
        for o in offers:
            s.launch(o, *[s.task(o, "sleep 60", cpus=1) for _ in range(int(amount(o, "cpus")))])
        s.wait_for(lambda e: sum(1 for x in s.events if x["type"] == "UPDATE" and x["update"]["status"]["state"] == "TASK_RUNNING") == 6)
        # Two processors are left: too few for another gang, and free for everybody else.
        with Scheduler(cluster.master.address) as other:
            other.offer(cpus=1)
        assert len([e for e in s.events if e["type"] == "OFFERS"]) == 1
        numbers = cluster.master.metrics()
        assert numbers["allocator/mesos/gangs/delivered"] == 1


def test_more_than_there_is(cluster):
    with framework(cluster, "total=cpus:9") as s:
        with Scheduler(cluster.master.address) as other:
            other.offer()
        why = get_json(cluster.master.address, "/explain?framework_id=" + s.id)
        assert why["roles"][0]["gang"]["state"] == "too large for the cluster"
        assert not [e for e in s.events if e["type"] == "OFFERS"]


def test_a_label_that_makes_no_sense(cluster):
    s = framework(cluster, "count=3")
    try:
        first = s.subscribe()
        assert first["type"] == "ERROR" and "'count=' needs 'unit='" in first["error"]["message"]
    finally:
        s.close()


def test_jobs_take_turns(cluster):
    """Two jobs of five processors each, of eight: neither waits for the other with a part of it in its hands."""
    jobs = [subprocess.Popen([THROTTLE, "--master", cluster.master.address, "--name", name, "--cpus", "1", "--mem", "32", "--seconds", "1",
                              "--total", "5", "--gang", "count=5 unit=cpus:1;mem:32 hold=5secs", "--quiet"]) for name in ("a", "b")]
    try:
        assert [j.wait(60) for j in jobs] == [0, 0]
    finally:
        for j in jobs:
            j.kill()
