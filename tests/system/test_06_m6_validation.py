"""M6: what is wrong with a task is told as TASK_ERROR with its reason, and nothing of it runs (features.md 1.1a)."""
import pytest

from harness.scheduler import Scheduler, new_id, resources, scalar


def executor(eid, **more):
    return dict({"executor_id": {"value": eid}, "command": {"value": "sleep 100"}, "type": "CUSTOM"}, **more)


# Changes of a good task, each of which makes it a bad one.
BAD = {
    "neither command nor executor": {"command": None},
    "command and executor": {"executor": executor("both")},
    "empty id": {"task_id": {"value": ""}},
    "id with a slash": {"task_id": {"value": "a/b"}},
    "id with a backslash": {"task_id": {"value": "a\\b"}},
    "id with a control character": {"task_id": {"value": "a\nb"}},
    "id of one dot": {"task_id": {"value": "."}},
    "id of two dots": {"task_id": {"value": ".."}},
    "id of 256 characters": {"task_id": {"value": "x" * 256}},
    "no resources": {"resources": []},
    "more cpus than offered": {"resources": resources(cpus=1000)},
    "oversized": {"resources": resources(mem=1 << 40)},
    "negative": {"resources": [scalar("cpus", -1), scalar("mem", 32)]},
    "unknown resource": {"resources": [scalar("cpus", 0.1), scalar("unicorns", 1)]},
    "ports that overlap": {"resources": resources() + [{"name": "ports", "type": "RANGES", "ranges": {
        "range": [{"begin": 31000, "end": 31005}, {"begin": 31003, "end": 31009}]}}]},
    "ports not offered": {"resources": resources() + [{"name": "ports", "type": "RANGES", "ranges": {
        "range": [{"begin": 100, "end": 100}]}}]},
    "resources of a role not offered": {"resources": [scalar("cpus", 0.1, role="other"), scalar("mem", 32)]},
    "another agent": {"agent_id": {"value": "no-such-agent-S0"}},
    "limit below its request": {"limits": {"cpus": {"value": 0.05}}},
    "limit of disk": {"limits": {"disk": {"value": 100}}},
    "negative grace period": {"kill_policy": {"grace_period": {"nanoseconds": -1}}},
    "negative completion time": {"max_completion_time": {"nanoseconds": -1}},
    "executor of another framework": {"command": None, "executor": executor("foreign", framework_id={"value": "someone-else"})},
    "executor id with a slash": {"command": None, "executor": executor("a/b")},
    "environment without value": {"command": {"value": "true", "environment": {"variables": [{"name": "X"}]}}},
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_one_bad_task(scheduler, case):
    offer = scheduler.offer()
    bad = scheduler.task(offer, "sleep 100", **dict({"task_id": {"value": new_id()}}, **BAD[case]))
    if bad.get("executor") and "framework_id" not in bad["executor"]:
        bad["executor"]["framework_id"] = {"value": scheduler.id}
    n = scheduler.mark()
    scheduler.launch(offer, bad)
    s = scheduler.status(bad["task_id"]["value"], since=n)
    assert s["state"] == "TASK_ERROR" and s["reason"] == "REASON_TASK_INVALID" and s["source"] == "SOURCE_MASTER", s
    assert s["message"] and "uuid" not in s
    # All of it comes back.
    scheduler.offer(cpus=4)


def test_the_good_ones_beside_a_bad_one_run(scheduler):
    offer = scheduler.offer()
    good = [scheduler.task(offer, "true") for _ in range(2)]
    bad = scheduler.task(offer, "true", task_id={"value": "a/b"})
    scheduler.launch(offer, good[0], bad, good[1])
    assert scheduler.status("a/b")["state"] == "TASK_ERROR"
    for t in good:
        assert scheduler.end_of(t["task_id"]["value"])["state"] == "TASK_FINISHED"


def test_tasks_that_together_are_too_much(scheduler):
    offer = scheduler.offer()
    tasks = [scheduler.task(offer, "sleep 100", cpus=3) for _ in range(2)]
    scheduler.launch(offer, *tasks)
    assert scheduler.status(tasks[0]["task_id"]["value"])["state"] in ("TASK_STARTING", "TASK_RUNNING")
    assert scheduler.status(tasks[1]["task_id"]["value"])["state"] == "TASK_ERROR"


def test_an_id_twice(scheduler):
    task_id, _ = scheduler.run("sleep 100")
    offer = scheduler.offer()
    scheduler.launch(offer, scheduler.task(offer, "true", task_id={"value": task_id}))
    s = scheduler.status(task_id, "TASK_ERROR")
    assert s["reason"] == "REASON_TASK_INVALID"


def test_one_executor_id_with_two_meanings(scheduler):
    offer = scheduler.offer()
    own = {"framework_id": {"value": scheduler.id}, "resources": resources()}
    tasks = [scheduler.task(offer, None, command=None, executor=executor("same", **own)),
             scheduler.task(offer, None, command=None, executor=executor("same", name="different", **own))]
    scheduler.launch(offer, *tasks)
    s = scheduler.status(tasks[1]["task_id"]["value"])
    assert s["state"] == "TASK_ERROR" and s["reason"] == "REASON_TASK_INVALID"


@pytest.mark.parametrize("aware", [False, True])
def test_offers_that_are_gone(cluster, aware):
    """An offer used twice, or never made: DROPPED, LOST to those who do not know that word."""
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"] if aware else []) as s:
        offer = s.offer()
        s.decline(offer, 0)
        for offer_id in (offer["id"], {"value": "never-made-O1"}):
            t = s.task(offer, "true")
            s.launch(dict(offer, id=offer_id), t)
            st = s.status(t["task_id"]["value"])
            assert st["state"] == ("TASK_DROPPED" if aware else "TASK_LOST") and st["reason"] == "REASON_INVALID_OFFERS"


def test_a_group_is_refused_whole(scheduler):
    """No disk for the default executor, or one bad task of two: neither starts (features.md 1.1a, 11)."""
    offer = scheduler.offer()

    def group(disk, bad):
        tasks = [scheduler.task(offer, "sleep 100") for _ in range(2)]
        if bad:
            tasks[1]["resources"] = []
        ex = {"type": "DEFAULT", "executor_id": {"value": new_id("e")}, "framework_id": {"value": scheduler.id},
              "resources": resources(0.1, 32, disk)}
        scheduler.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": ex, "task_group": {"tasks": tasks}}}])
        for t in tasks:
            s = scheduler.status(t["task_id"]["value"])
            assert s["state"] == "TASK_ERROR" and s["reason"] == "REASON_TASK_GROUP_INVALID", s
    group(None, False)
    offer = scheduler.offer(cpus=4)
    group(32, True)
