"""/page/task: one task with the reasons and messages that the older endpoints leave out, while it runs and when it has ended."""
from harness.http import get, get_json
from harness.scheduler import new_id


def detail(cluster, framework, task):
    return get_json(cluster.master.address, "/page/task?framework_id=%s&task_id=%s" % (framework, task))


def test_reasons_and_messages(cluster, scheduler):
    offer = scheduler.offer()
    t = scheduler.task(offer, "sleep 100", name="shown")
    task = t["task_id"]["value"]
    scheduler.launch(offer, t)
    scheduler.status(task, "TASK_RUNNING")
    seen = detail(cluster, scheduler.id, task)
    assert seen["framework"] == {"id": scheduler.id, "name": "test"}
    assert seen["agent"] == {"id": cluster.agent_id(), "hostname": "127.0.0.1", "pid": "slave(1)@" + cluster.agent.address}
    assert seen["task"]["name"] == "shown" and seen["task"]["state"] == "TASK_RUNNING"
    assert seen["task"]["task_id"]["value"] == task
    scheduler.kill(task)
    scheduler.status(task, "TASK_KILLED")
    statuses = detail(cluster, scheduler.id, task)["task"]["statuses"]
    assert [s["state"] for s in statuses] == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"]
    assert statuses[-1]["message"].startswith("Command terminated with signal") and statuses[-1]["source"] == "SOURCE_EXECUTOR"


def test_what_is_not_there(cluster, scheduler):
    for query in ("", "?task_id=a", "?framework_id=" + scheduler.id):
        assert get(cluster.master.address, "/page/task" + query).status == 400
    for framework in (scheduler.id, new_id("f")):
        answer = get(cluster.master.address, "/page/task?framework_id=%s&task_id=none" % framework)
        assert answer.status == 404 and "knows no task 'none'" in answer.text
