"""M5: ACCEPT LAUNCH of a command task: STARTING, RUNNING, FINISHED; stdout and stderr in the sandbox."""
import os
import pwd

import pytest

from harness.http import eventually, get, get_json, post_json
from harness.scheduler import new_id, resources


def sandbox(cluster, task_id, framework_id):
    """The folder of a command task, as the agent's /state says."""
    state = get_json(cluster.agent.address, "/state")
    for f in state["frameworks"] + state["completed_frameworks"]:
        for e in f["executors"] + f["completed_executors"]:
            if f["id"] == framework_id and e["id"] == task_id:
                return e["directory"]
    raise AssertionError("no executor '%s' on the agent" % task_id)


def read(cluster, path):
    return get_json(cluster.agent.address, "/files/read?path=%s&offset=0" % path)["data"]


def test_the_whole_way(cluster, scheduler):
    offer = scheduler.offer()
    t = scheduler.task(offer, "", name="walk",
                       command={"value": "echo to stdout; echo to stderr >&2; echo $GREETING; pwd",
                                "environment": {"variables": [{"name": "GREETING", "value": "gr\u00fc\u00df dich"}]}},
                       labels={"labels": [{"key": "k", "value": "v"}]})
    task_id = t["task_id"]["value"]
    scheduler.launch(offer, t)
    end = scheduler.end_of(task_id)
    assert scheduler.states(task_id) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    for s in scheduler.statuses(task_id):
        assert s["uuid"] and s["agent_id"] == offer["agent_id"] and s["source"] == "SOURCE_EXECUTOR", s
        assert s["executor_id"]["value"] == task_id and "timestamp" in s
        assert s["container_status"]["container_id"]["value"]
    assert end["message"] == "Command exited with status 0" and "reason" not in end
    folder = sandbox(cluster, task_id, scheduler.id)
    assert read(cluster, folder + "/stdout").endswith("to stdout\ngr\u00fc\u00df dich\n%s\n" % folder)
    assert read(cluster, folder + "/stderr").endswith("to stderr\n")
    names = [os.path.basename(f["path"]) for f in get_json(cluster.agent.address, "/files/browse?path=" + folder)]
    assert "stdout" in names and "stderr" in names
    assert get(cluster.agent.address, "/files/download?path=%s/stderr" % folder).body.endswith(b"to stderr\n")
    virtual = "/frameworks/%s/executors/%s/runs/latest/stderr" % (scheduler.id, task_id)
    assert read(cluster, virtual).endswith("to stderr\n")
    # The master has it as completed, with its history.
    f = [f for f in get_json(cluster.master.address, "/state")["frameworks"] if f["id"] == scheduler.id][0]
    done = eventually(lambda: [x for x in f_tasks(cluster, scheduler.id) if x["id"] == task_id])[0]
    assert done["state"] == "TASK_FINISHED" and done["labels"] == [{"key": "k", "value": "v"}] and done["executor_id"] == ""
    assert [s["state"] for s in done["statuses"]] == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert f["name"] == "test"


def f_tasks(cluster, framework_id):
    frameworks = get_json(cluster.master.address, "/state")["frameworks"]
    return [f for f in frameworks if f["id"] == framework_id][0]["completed_tasks"]


def test_staging_until_the_first_update(cluster, scheduler):
    """What the master says of a task before its agent has spoken."""
    scheduler.ack = False
    task_id, _ = scheduler.run("sleep 100", "TASK_STARTING")
    a = post_json(cluster.master.address, "/api/v1", {"type": "GET_TASKS"}).json()["get_tasks"]
    mine = [t for t in a["tasks"] if t["task_id"]["value"] == task_id][0]
    assert mine["state"] in ("TASK_STARTING", "TASK_RUNNING") and mine["framework_id"]["value"] == scheduler.id


@pytest.mark.parametrize("command,state,message", [
    ("exit 3", "TASK_FAILED", "exited with status 3"),
    ("kill -9 $$", "TASK_FAILED", "terminated with signal Killed"),
    ("no-such-program-at-all", "TASK_FAILED", "exited with status 127"),
    ("true", "TASK_FINISHED", "exited with status 0"),
])
def test_ends_are_told_truly(scheduler, command, state, message):
    _, end = scheduler.run(command, state)
    assert message in end["message"] and "reason" not in end


def test_arguments_without_a_shell(cluster, scheduler):
    offer = scheduler.offer()
    t = scheduler.task(offer, "", command={"shell": False, "value": "/bin/echo", "arguments": ["echo", "$HOME", "two words"]})
    scheduler.launch(offer, t)
    scheduler.status(t["task_id"]["value"], "TASK_FINISHED")
    assert read(cluster, sandbox(cluster, t["task_id"]["value"], scheduler.id) + "/stdout").endswith("$HOME two words\n")


def test_uris_are_there_before_the_command(cluster, scheduler):
    source = os.path.join(cluster.folder, "fetched.txt")
    with open(source, "w") as f:
        f.write("fetched before")
    offer = scheduler.offer()
    t = scheduler.task(offer, "", command={"value": "grep before fetched.txt", "uris": [{"value": source}]})
    scheduler.launch(offer, t)
    end = scheduler.end_of(t["task_id"]["value"])
    assert end["state"] == "TASK_FINISHED", end
    offer = scheduler.offer()
    t = scheduler.task(offer, "", command={"value": "true", "uris": [{"value": source + ".missing"}]})
    scheduler.launch(offer, t)
    end = scheduler.end_of(t["task_id"]["value"])
    assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"


def test_twenty_at_once(cluster, scheduler):
    offer = scheduler.offer()
    tasks = [scheduler.task(offer, "echo %d; exit %d" % (i, i % 3), cpus=0.1, mem=32) for i in range(20)]
    scheduler.launch(offer, *tasks)
    for i, t in enumerate(tasks):
        end = scheduler.end_of(t["task_id"]["value"])
        assert end["state"] == ("TASK_FAILED" if i % 3 else "TASK_FINISHED")
        assert read(cluster, sandbox(cluster, t["task_id"]["value"], scheduler.id) + "/stdout").endswith("%d\n" % i)


def test_resources_come_back_when_the_task_ends(cluster, scheduler):
    whole = scheduler.offer()
    t = scheduler.task(whole, "sleep 100", cpus=1.5, mem=100)
    scheduler.launch(whole, t)
    scheduler.status(t["task_id"]["value"], "TASK_RUNNING")
    rest = scheduler.offer()
    assert [r["scalar"]["value"] for r in rest["resources"] if r["name"] in ("cpus", "mem")] == [2.5, 924]
    used = cluster.slaves()[0]["used_resources"]
    assert used["cpus"] == 1.5 and used["mem"] == 100
    scheduler.decline(rest, 0)
    scheduler.kill(t["task_id"]["value"])
    scheduler.status(t["task_id"]["value"], "TASK_KILLED")
    scheduler.offer(cpus=4)


@pytest.mark.root
def test_runs_as_the_user_it_names(cluster, scheduler):
    who = pwd.getpwnam("nobody").pw_name
    offer = scheduler.offer()
    t = {"name": "t", "task_id": {"value": new_id()}, "agent_id": offer["agent_id"], "resources": resources(),
         "command": {"value": "id -un; touch mine", "user": who}}
    scheduler.launch(offer, t)
    end = scheduler.end_of(t["task_id"]["value"])
    folder = sandbox(cluster, t["task_id"]["value"], scheduler.id)
    assert end["state"] == "TASK_FINISHED", read(cluster, folder + "/stderr")
    assert read(cluster, folder + "/stdout").endswith(who + "\n")
