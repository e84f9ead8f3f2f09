"""M8: KILL: TERM, a grace period, KILL; TASK_KILLING only for those who know that word."""
import os
import time

import pytest

from harness.http import eventually
from harness.scheduler import Scheduler, new_id

STUBBORN = "trap '' TERM; touch ready; while :; do sleep 0.1; done"
POLITE = "trap 'echo bye; exit 7' TERM; touch ready; while :; do sleep 0.1; done"


def ready(cluster, task_id):
    """Waits until the task's shell has set its trap."""
    def there():
        for folder, _, files in os.walk(cluster.folder):
            if "ready" in files and "/%s/" % task_id in folder + "/":
                return True
    eventually(there, 5)


def start(cluster, s, shell, **more):
    task_id, _ = s.run(shell, **more)
    ready(cluster, task_id)
    return task_id


def gone(cluster):
    eventually(lambda: not cluster.processes(), 5)


def test_term_is_enough_for_the_polite(cluster, scheduler):
    task_id = start(cluster, scheduler, POLITE)
    begin = time.monotonic()
    scheduler.kill(task_id)
    end = scheduler.end_of(task_id)
    assert end["state"] == "TASK_KILLED" and time.monotonic() - begin < 2
    assert "TASK_KILLING" not in scheduler.states(task_id)
    gone(cluster)


def test_killing_is_told_to_those_who_know_it(cluster, aware):
    task_id = start(cluster, aware, POLITE)
    aware.kill(task_id)
    aware.status(task_id, "TASK_KILLED")
    assert aware.states(task_id)[-2:] == ["TASK_KILLING", "TASK_KILLED"]


@pytest.mark.parametrize("own,asked,seconds", [(None, None, 3.0), (1.0, None, 1.0), (60.0, 1.0, 1.0)])
def test_grace_and_then_kill(cluster, scheduler, own, asked, seconds):
    """The default of 3 s; the task's own kill_policy; the one of the KILL call, which wins."""
    more = {} if own is None else {"kill_policy": {"grace_period": {"nanoseconds": int(own * 1e9)}}}
    task_id = start(cluster, scheduler, STUBBORN, **more)
    begin = time.monotonic()
    scheduler.kill(task_id, grace=asked)
    end = scheduler.end_of(task_id)
    took = time.monotonic() - begin
    assert end["state"] == "TASK_KILLED" and seconds - 0.2 < took < seconds + 2, took
    gone(cluster)


def test_a_second_kill_may_shorten_the_grace(cluster, scheduler):
    task_id = start(cluster, scheduler, STUBBORN, kill_policy={"grace_period": {"nanoseconds": 60 * 10 ** 9}})
    scheduler.kill(task_id)
    time.sleep(0.3)
    begin = time.monotonic()
    scheduler.kill(task_id, grace=0.2)
    assert scheduler.end_of(task_id)["state"] == "TASK_KILLED" and time.monotonic() - begin < 3


def test_all_its_processes_die(cluster, scheduler):
    task_id = start(cluster, scheduler, "setsid sleep 1000 & sleep 1000 & " + STUBBORN, kill_policy={
        "grace_period": {"nanoseconds": 0}})
    assert len(cluster.processes()) >= 3
    scheduler.kill(task_id)
    assert scheduler.end_of(task_id)["state"] == "TASK_KILLED"
    gone(cluster)


def test_kill_right_after_launch(cluster, scheduler):
    """Whether it has started or not: it ends once, and as killed."""
    offer = scheduler.offer()
    tasks = [scheduler.task(offer, "sleep 1000") for _ in range(5)]
    scheduler.launch(offer, *tasks)
    for t in tasks:
        scheduler.kill(t["task_id"]["value"])
    for t in tasks:
        assert scheduler.end_of(t["task_id"]["value"])["state"] == "TASK_KILLED"
    gone(cluster)


@pytest.mark.parametrize("known", [False, True])
def test_unknown_task(scheduler, aware, known):
    """As an explicit reconciliation answers."""
    s = aware if known else scheduler
    task_id = new_id()
    s.kill(task_id)
    end = s.status(task_id)
    assert end["state"] == ("TASK_UNKNOWN" if known else "TASK_LOST") and end["reason"] == "REASON_RECONCILIATION"
    assert end["source"] == "SOURCE_MASTER" and "uuid" not in end


def test_wrong_agent_is_ignored(cluster, scheduler):
    task_id, _ = scheduler.run("sleep 1000")
    scheduler.kill(task_id, agent_id="no-such-agent-S9")
    time.sleep(0.5)
    assert scheduler.states(task_id)[-1] == "TASK_RUNNING"
    scheduler.kill(task_id, agent_id=cluster.agent_id())
    scheduler.status(task_id, "TASK_KILLED")


def test_teardown_kills_everything(cluster):
    with Scheduler(cluster.master.address) as s:
        s.run("sleep 1000")
        s.run("sleep 1000")
    gone(cluster)
