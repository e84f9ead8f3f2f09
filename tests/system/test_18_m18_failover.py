"""M18: a framework that comes back within its failover timeout finds its tasks; after it they are killed and its id is refused."""
import time

from harness.http import eventually, get_json
from harness.scheduler import Scheduler

AGENTS = 1


def shown(cluster, framework_id, where="frameworks"):
    return [f for f in get_json(cluster.master.address, "/frameworks")[where] if f["id"] == framework_id]


def test_within_the_timeout(cluster):
    s = Scheduler(cluster.master.address, failover_timeout=30.0)
    s.subscribe()
    task_id, _ = s.run("sleep 1000")
    s.close()
    eventually(lambda: shown(cluster, s.id)[0]["connected"] is False)
    assert shown(cluster, s.id)[0]["active"] is False
    time.sleep(0.5)
    assert len(cluster.processes()) >= 1
    again = Scheduler(cluster.master.address, failover_timeout=30.0, framework_id=s.id)
    assert again.subscribe()["type"] == "SUBSCRIBED" and again.stream_id != s.stream_id
    again.reconcile()
    assert again.status(task_id)["state"] == "TASK_RUNNING"
    again.offer()
    again.kill(task_id)
    assert again.end_of(task_id)["state"] == "TASK_KILLED"
    again.teardown()


def test_after_the_timeout(cluster):
    s = Scheduler(cluster.master.address, failover_timeout=1.0)
    s.subscribe()
    s.run("sleep 1000")
    s.close()
    begin = time.monotonic()
    eventually(lambda: shown(cluster, s.id, "completed_frameworks"), 5)
    assert 0.7 < time.monotonic() - begin < 3
    eventually(lambda: not cluster.processes())
    again = Scheduler(cluster.master.address, framework_id=s.id)
    e = again.subscribe()
    assert e["type"] == "ERROR" and "Framework has been removed" in e["error"]["message"]
    again.wait_end(5)


def test_the_newer_scheduler_wins(cluster):
    """Two at a time: the old stream hears ERROR and ends; its calls are refused."""
    old = Scheduler(cluster.master.address, failover_timeout=30.0)
    old.subscribe()
    task_id, _ = old.run("sleep 1000")
    new = Scheduler(cluster.master.address, failover_timeout=30.0, framework_id=old.id)
    new.subscribe()
    e = old.wait_for(lambda e: e["type"] == "ERROR", 5)
    assert "failed over" in e["error"]["message"]
    old.wait_end(5)
    assert old.call("REVIVE").status == 400
    # The break of the old stream does not count against the new one.
    time.sleep(0.3)
    assert shown(cluster, new.id)[0]["connected"] is True
    new.kill(task_id)
    assert new.end_of(task_id)["state"] == "TASK_KILLED"
    new.teardown()


def test_offers_of_the_old_one_are_void(cluster):
    old = Scheduler(cluster.master.address, failover_timeout=30.0)
    old.subscribe()
    offer = old.offer()
    new = Scheduler(cluster.master.address, failover_timeout=30.0, framework_id=old.id)
    new.subscribe()
    t = new.task(offer, "true")
    new.launch(offer, t)
    st = new.status(t["task_id"]["value"])
    assert st["state"] == "TASK_LOST" and st["reason"] == "REASON_INVALID_OFFERS"
    new.teardown()


def test_a_restarted_master_lets_frameworks_and_tasks_come_back(cluster):
    s = Scheduler(cluster.master.address, failover_timeout=60.0, checkpoint=True)
    s.subscribe()
    task_id, _ = s.run("sleep 1000")
    cluster.master.kill9()
    cluster.master.start()
    again = Scheduler(cluster.master.address, failover_timeout=60.0, checkpoint=True, framework_id=s.id)
    assert again.subscribe()["type"] == "SUBSCRIBED" and again.id == s.id
    cluster.wait_agents(1)

    def known():
        again.reconcile((task_id, None))
        return "TASK_RUNNING" in again.states(task_id)
    eventually(known, 10, 0.3)
    again.kill(task_id)
    assert again.end_of(task_id)["state"] == "TASK_KILLED"
    again.teardown()
