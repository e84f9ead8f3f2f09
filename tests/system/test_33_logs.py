"""Rotation of what tasks write: by the agent's flag, by the reference's logger module and a task's own variables, on a terminal; and
what happens to it when the agent goes away."""
import json
import os

import pytest

from harness.cluster import Cluster
from harness.http import eventually
from harness.scheduler import Scheduler, new_id

# A module without a name is somebody else's mistake, and passed over.
MODULE = {"libraries": [{"modules": [{"parameters": []}, {"name": "org_apache_mesos_LogrotateContainerLogger", "parameters": [
    {"key": "max_stdout_size", "value": "64KB"}, {"key": "logrotate_stdout_options", "value": "rotate 2\ncompress"},
    {"key": "max_stderr_size", "value": "32KB"}]}]}]}
LINE = "%07d 0123456789012345678901234567890123456789012345678901\n"  # 61 bytes
WRITER = "i=0; while [ $i -lt %d ]; do printf '%s' $i; i=$((i+1)); done"


def sandbox(c, task):
    found = []
    for folder, _, files in os.walk(c.folder + "/agent0/slaves"):
        if "/executors/%s/runs/" % task in folder and "/latest" not in folder and "stdout" in files:
            found.append(folder)
    assert len(found) == 1, found
    return found[0]


def read(folder, name):
    with open(os.path.join(folder, name)) as f:
        return f.read()


def finish(s, command, **more):
    offer = s.offer()
    t = s.task(offer, command, **more)
    s.launch(offer, t)
    s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["task_id"] == t["task_id"] and
               e["update"]["status"]["state"] == "TASK_FINISHED", wait=20)
    return t["task_id"]["value"]


@pytest.fixture(scope="module")
def module():
    with Cluster(agent_flags={"container_logger": "org_apache_mesos_LogrotateContainerLogger", "modules": json.dumps(MODULE)}) as c:
        s = Scheduler(c.master.address, name="logs")
        s.subscribe()
        yield c, s


def test_newest_lines_are_kept_whole(module):
    c, s = module
    folder = sandbox(c, finish(s, WRITER % (5000, LINE.replace("\n", "\\n").replace("%07d", "%07d"))))
    assert sorted(f for f in os.listdir(folder) if f.startswith("stdout")) == ["stdout", "stdout.1", "stdout.2"]
    kept = read(folder, "stdout.2") + read(folder, "stdout.1") + read(folder, "stdout")
    assert all(os.path.getsize(os.path.join(folder, f)) <= 65536 for f in os.listdir(folder) if f.startswith("stdout"))
    lines = kept.splitlines(keepends=True)
    first = int(lines[1][:7])
    assert lines[1:] == [LINE % i for i in range(first, 5000)] and first < 5000 - 1500


def test_without_older_files_the_last_part_is_left(module):
    c, s = module
    folder = sandbox(c, finish(s, "(%s) >&2" % WRITER % (1500, LINE.replace("\n", "\\n"))))
    assert [f for f in os.listdir(folder) if f.startswith("stderr")] == ["stderr"]
    assert read(folder, "stderr").endswith(LINE % 1499) and os.path.getsize(folder + "/stderr") <= 32768


def test_a_task_may_choose(module):
    c, s = module
    env = {"variables": [{"name": "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "value": "8KB"},
                         {"name": "CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "value": "rotate 1"}]}
    offer = s.offer()
    t = s.task(offer, None, command={"value": WRITER % (1000, LINE.replace("\n", "\\n")), "environment": env})
    s.launch(offer, t)
    s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["task_id"] == t["task_id"] and
               e["update"]["status"]["state"] == "TASK_FINISHED", wait=20)
    folder = sandbox(c, t["task_id"]["value"])
    assert sorted(f for f in os.listdir(folder) if f.startswith("stdout")) == ["stdout", "stdout.1"]
    assert os.path.getsize(folder + "/stdout.1") <= 8192


def test_a_task_that_puts_a_folder_in_the_way(module):
    c, s = module
    folder = sandbox(c, finish(s, "mkdir -p stdout.1/x stdout.2/x; " + WRITER % (2000, LINE.replace("\n", "\\n"))))
    assert os.path.getsize(folder + "/stdout") <= 65536 and read(folder, "stdout").endswith(LINE % 1999)


def test_a_task_that_puts_a_link_in_the_way(module, tmp_path):
    c, s = module
    victim = tmp_path / "victim"
    victim.write_text("mine")
    finish(s, "rm stdout; ln -s %s stdout; " % victim + WRITER % (2500, LINE.replace("\n", "\\n")))
    assert victim.read_text() == "mine"


def test_the_agent_may_go_meanwhile():
    with Cluster(agent_flags={"container_log_max_size": "16KB", "container_log_max_files": 3}) as c:
        s = Scheduler(c.master.address, name="logs", checkpoint=True, failover_timeout=60)
        s.subscribe()
        offer = s.offer()
        go = c.folder + "/go"
        t = s.task(offer, "while [ ! -e %s ]; do sleep 0.05; done; %s" % (go, WRITER % (3000, LINE.replace("\n", "\\n"))),
                   task_id={"value": new_id()})
        s.launch(offer, t)
        s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_RUNNING")
        c.agent.kill9()
        open(go, "w").close()
        folder = sandbox(c, t["task_id"]["value"])
        eventually(lambda: read(folder, "stdout").endswith(LINE % 2999))
        assert sorted(f for f in os.listdir(folder) if f.startswith("stdout")) == ["stdout", "stdout.1", "stdout.2", "stdout.3"]
        c.agent.start()
        s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_FINISHED", wait=20)


def test_a_terminal_is_rotated_too():
    with Cluster(agent_flags={"container_log_max_size": "16KB"}) as c:
        s = Scheduler(c.master.address, name="logs")
        s.subscribe()
        tty = {"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 100}}}
        folder = sandbox(c, finish(s, WRITER % (2000, LINE.replace("\n", "\\n")), container=tty))
        assert os.path.getsize(folder + "/stdout") <= 16384 and os.path.exists(folder + "/stdout.5")


@pytest.mark.parametrize("flags,said", [({"container_logger": "other"}, "there is no 'other'")])
def test_an_unknown_logger(flags, said):
    with Cluster(agents=0) as c:
        a = c.add_agent(flags, start=False)
        a.start(wait=False)
        assert a.process.wait(10) != 0
        assert said in a.log()
