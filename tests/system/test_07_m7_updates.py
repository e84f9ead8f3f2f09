"""M7: status updates carry a uuid, wait for their ACK one by one, are sent again after 10 s, and survive the scheduler's restart."""
import time

from harness.http import eventually
from harness.scheduler import Scheduler

SECONDS = 11


def test_one_at_a_time_and_again_after_ten_seconds(cluster):
    """The one test that waits the protocol's ten seconds."""
    with Scheduler(cluster.master.address, ack=False) as s:
        offer = s.offer()
        t = s.task(offer, "true")
        task_id = t["task_id"]["value"]
        s.launch(offer, t)
        first = s.wait_for(lambda e: e["type"] == "UPDATE")
        assert first["update"]["status"]["state"] == "TASK_STARTING"
        second = s.wait_for(lambda e: e["type"] == "UPDATE" and e is not first, 14)
        # The same update; nothing overtakes it, though the task is long over.
        assert second["update"]["status"]["uuid"] == first["update"]["status"]["uuid"]
        assert 9.5 < second["at"] - first["at"] < 12
        for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
            st = s.status(task_id, state, 3)
            s.acknowledge(st)
        assert s.states(task_id) == ["TASK_STARTING", "TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        # Acknowledged: nothing comes again, and the task is over for the master.
        eventually(lambda: not cluster.master.metrics()["master/tasks_running"])


def test_a_wrong_ack_is_none(cluster):
    with Scheduler(cluster.master.address, ack=False) as s:
        offer = s.offer()
        t = s.task(offer, "true")
        s.launch(offer, t)
        first = s.status(t["task_id"]["value"], "TASK_STARTING")
        s.acknowledge(dict(first, uuid="MDAwMDAwMDAwMDAwMDAwMA=="))
        s.acknowledge(dict(first, task_id={"value": "another"}))
        time.sleep(0.5)
        assert s.states(t["task_id"]["value"]) == ["TASK_STARTING"]
        s.acknowledge(first)
        s.status(t["task_id"]["value"], "TASK_RUNNING")


def test_what_was_not_acked_comes_to_the_restarted_scheduler(cluster):
    s = Scheduler(cluster.master.address, ack=False, failover_timeout=60.0)
    s.subscribe()
    offer = s.offer()
    t = s.task(offer, "sleep 0.2; exit 4")
    task_id = t["task_id"]["value"]
    s.launch(offer, t)
    st = s.status(task_id, "TASK_STARTING")
    s.acknowledge(st)
    running = s.status(task_id, "TASK_RUNNING")
    s.close()
    s.wait_end()
    # Another process with the same id: it learns what the first did not acknowledge, from where it stopped.
    again = Scheduler(cluster.master.address, framework_id=s.id, failover_timeout=60.0)
    assert again.subscribe()["type"] == "SUBSCRIBED" and again.id == s.id
    try:
        end = again.end_of(task_id, 25)
        assert end["state"] == "TASK_FAILED" and "status 4" in end["message"]
        assert again.states(task_id) == ["TASK_RUNNING", "TASK_FAILED"]
        assert again.statuses(task_id)[0]["uuid"] == running["uuid"]
    finally:
        again.teardown()


def test_updates_of_many_tasks_do_not_wait_for_each_other(cluster):
    with Scheduler(cluster.master.address, ack=False) as s:
        offer = s.offer()
        tasks = [s.task(offer, "sleep 100") for _ in range(5)]
        s.launch(offer, *tasks)
        for t in tasks:
            s.status(t["task_id"]["value"], "TASK_STARTING")
        s.acknowledge(s.statuses(tasks[3]["task_id"]["value"])[0])
        s.status(tasks[3]["task_id"]["value"], "TASK_RUNNING")
        assert s.states(tasks[2]["task_id"]["value"]) == ["TASK_STARTING"]
