"""M10: LAUNCH_GROUP on the default executor: all or nothing, one network and one volume for all, one failure ends the group."""
import os
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, new_id, scalar

SECONDS = 14

TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST")


def pod_executor(s, **more):
    e = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": s.id},
         "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
    e.update(more)
    return e


def launch(s, commands, executor=None, **more):
    """One group of these commands; the tasks' ids and the executor."""
    offer = s.offer(cpus=0.2 + 0.1 * len(commands))
    e = executor or pod_executor(s)
    tasks = [s.task(offer, c, **more) for c in commands]
    s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": e, "task_group": {"tasks": tasks}}}])
    return [t["task_id"]["value"] for t in tasks], e


def running(s, commands, **more):
    ids, e = launch(s, commands, **more)
    for t in ids:
        first = s.status(t, ("TASK_RUNNING",) + TERMINAL)
        assert first["state"] == "TASK_RUNNING", first
    return ids, e


def sandbox(c, executor):
    """The executor's run folder, whose tasks are below it."""
    tail = "/executors/%s/runs/latest" % executor["executor_id"]["value"]

    def there():
        for folder, names, _ in os.walk(c.folder):
            if (folder + "/latest").endswith(tail) and "latest" in names and "/meta/" not in folder:
                return os.path.realpath(folder + "/latest")
    return eventually(there)


def content(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def executors(c, s):
    return [e["id"] for f in get_json(c.agent.address, "/state")["frameworks"] if f["id"] == s.id
            for e in f["executors"]]


def test_a_container_and_a_sandbox_for_each(cluster, scheduler):
    ids, e = running(scheduler, ["echo $MESOS_TASK_ID $MESOS_CONTAINER_IP; pwd; echo $MESOS_SANDBOX; sleep 1000"] * 2)
    cids = [scheduler.status(t, "TASK_RUNNING")["container_status"]["container_id"] for t in ids]
    assert cids[0]["value"] != cids[1]["value"] and cids[0]["parent"] == cids[1]["parent"]
    box = sandbox(cluster, e)
    assert box.endswith(cids[0]["parent"]["value"])
    for t, cid in zip(ids, cids):
        own = "%s/tasks/%s" % (box, t)
        assert os.path.realpath(own) == "%s/containers/%s" % (box, cid["value"])
        lines = eventually(lambda: len(content(own + "/stdout").split()) == 4 and content(own + "/stdout").split())
        assert lines == [t, "127.0.0.1", os.path.realpath(own), os.path.realpath(own)]


def test_all_or_nothing(cluster, scheduler):
    """One task that asks for too much: none is started, nor is their executor."""
    offer = scheduler.offer(cpus=0.5)
    good = scheduler.task(offer, "touch started; sleep 1000")
    bad = scheduler.task(offer, "sleep 1000", cpus=10000.0)
    scheduler.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {
        "executor": pod_executor(scheduler), "task_group": {"tasks": [good, bad]}}}])
    for t in good, bad:
        end = scheduler.end_of(t["task_id"]["value"])
        assert end["state"] == "TASK_ERROR" and end["reason"] == "REASON_TASK_GROUP_INVALID"
    assert not executors(cluster, scheduler)


def test_one_volume_and_one_network():
    """What one task writes into the volume of their executor's sandbox and serves on a loopback port, the other reads."""
    volume = {"type": "MESOS", "volumes": [{"mode": "RW", "container_path": "shared", "source": {
        "type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "common"}}}]}
    server = ("python3 -u -c 'import socket\ns = socket.socket(); s.bind((\"127.0.0.1\", 0)); s.listen()\n"
              "open(\"shared/port.new\", \"w\").write(str(s.getsockname()[1]))\n"
              "import os; os.rename(\"shared/port.new\", \"shared/port\")\nc = s.accept()[0]; c.sendall(b\"hello\"); c.close()'; sleep 1000")
    client = ("while [ ! -e shared/port ]; do sleep 0.05; done; python3 -c 'import socket\n"
              "c = socket.create_connection((\"127.0.0.1\", int(open(\"shared/port\").read()))); print(c.recv(9).decode())'; sleep 1000")
    flags = {"isolation": "posix/cpu,posix/mem,filesystem/posix,volume/sandbox_path"}
    with Cluster(agents=1, agent_flags=flags) as c, Scheduler(c.master.address) as s:
        ids, e = running(s, [server, client], container=volume)
        out = "%s/tasks/%s/stdout" % (sandbox(c, e), ids[1])
        eventually(lambda: content(out) == "hello\n", 10)
        assert os.path.exists(sandbox(c, e) + "/common/port")


@pytest.mark.root
def test_one_network_of_their_own():
    """With namespaces: both tasks are in the network namespace of their executor."""
    flags = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux,namespaces/pid"}
    with Cluster(agents=1, agent_flags=flags) as c, Scheduler(c.master.address) as s:
        ids, e = running(s, ["readlink /proc/self/ns/net; sleep 1000"] * 2)
        outs = ["%s/tasks/%s/stdout" % (sandbox(c, e), t) for t in ids]
        eventually(lambda: all(content(o) for o in outs))
        assert content(outs[0]) == content(outs[1]) and content(outs[0]).startswith("net:[")
        s.kill(ids[0])
        assert s.end_of(ids[1])["state"] == "TASK_KILLED"
        eventually(lambda: not c.processes())


def test_one_failure_ends_the_group(cluster, scheduler):
    ids, e = launch(scheduler, ["sleep 0.5; exit 3", "sleep 1000", "sleep 1000"])
    end = scheduler.end_of(ids[0])
    assert end["state"] == "TASK_FAILED" and end["message"] == "Command exited with status 3"
    for t in ids[1:]:
        assert scheduler.end_of(t)["state"] == "TASK_KILLED"
    eventually(lambda: not executors(cluster, scheduler))
    eventually(lambda: not cluster.processes())


def test_one_kill_ends_the_group(cluster, aware):
    ids, _ = running(aware, ["sleep 1000", "sleep 1000"])
    aware.kill(ids[1])
    for t in ids:
        assert aware.end_of(t)["state"] == "TASK_KILLED"
        assert aware.states(t)[-2:] == ["TASK_KILLING", "TASK_KILLED"]


def test_one_that_finishes_does_not(cluster, scheduler):
    ids, _ = launch(scheduler, ["true", "sleep 2"])
    assert scheduler.end_of(ids[0])["state"] == "TASK_FINISHED"
    time.sleep(0.5)
    assert scheduler.states(ids[1])[-1] == "TASK_RUNNING"
    assert scheduler.end_of(ids[1])["state"] == "TASK_FINISHED"
    eventually(lambda: not executors(cluster, scheduler))


def test_groups_on_one_executor(cluster, scheduler):
    first, e = running(scheduler, ["sleep 1000", "sleep 1000"])
    second, _ = running(scheduler, ["sleep 1000"], executor=e)
    assert executors(cluster, scheduler) == [e["executor_id"]["value"]]
    scheduler.kill(first[0])
    assert scheduler.end_of(first[1])["state"] == "TASK_KILLED"
    time.sleep(0.3)
    assert scheduler.states(second[0])[-1] == "TASK_RUNNING"
    scheduler.kill(second[0])
    assert scheduler.end_of(second[0])["state"] == "TASK_KILLED"


def test_kill_policy_and_longest_time(cluster, scheduler):
    ids, e = running(scheduler, ["trap '' TERM; touch ready; while :; do sleep 0.1; done"],
                     kill_policy={"grace_period": {"nanoseconds": 10**9}})
    eventually(lambda: os.path.exists("%s/tasks/%s/ready" % (sandbox(cluster, e), ids[0])))
    begin = time.monotonic()
    scheduler.kill(ids[0])
    assert scheduler.end_of(ids[0])["state"] == "TASK_KILLED"
    assert 0.8 < time.monotonic() - begin < 3
    ids, _ = running(scheduler, ["sleep 1000"], max_completion_time={"nanoseconds": 10**9})
    end = scheduler.end_of(ids[0])
    assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"


def test_the_agent_killed_and_back():
    """Pods go on without their agent: what ended meanwhile is told, what runs can be killed, nothing is started twice."""
    with Cluster(agents=1) as c, Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True,
                                           failover_timeout=60.0) as s:
        ends = [running(s, [command])[0][0] for command in ("sleep 0.8", "sleep 0.8; exit 4")]
        ids, e = running(s, ["date +%s%N >> starts; sleep 1000", "sleep 1000"])
        n = s.mark()
        c.agent.kill9()
        time.sleep(1.2)
        c.agent.start(wait=False)
        c.wait_agents(1)
        assert s.end_of(ends[0], since=n)["state"] == "TASK_FINISHED"
        end = s.end_of(ends[1], since=n)
        assert end["state"] == "TASK_FAILED" and "status 4" in end["message"]
        assert not [st for t in ids for st in s.statuses(t, since=n) if st["state"] in TERMINAL]
        s.kill(ids[0])
        for t in ids:
            assert s.end_of(t, since=n)["state"] == "TASK_KILLED"
        assert len(content("%s/tasks/%s/starts" % (sandbox(c, e), ids[0])).split()) == 1
        eventually(lambda: not c.processes())


def test_executors_that_show_tokens(tmp_path):
    """With authenticated executors the pod's own is let in, for its own containers, by the token in its environment."""
    key = tmp_path / "key"
    key.write_text("a secret of some length")
    key.chmod(0o600)
    creds = tmp_path / "credentials"
    creds.write_text("ops secret\n")
    creds.chmod(0o600)
    flags = {"authenticate_http_executors": True, "authenticate_http_readwrite": True, "jwt_secret_key": str(key),
             "http_credentials": str(creds)}
    with Cluster(agents=1, agent_flags=flags) as c, Scheduler(c.master.address) as s:
        ids, _ = running(s, ["sleep 1000", "sleep 1000"])
        s.kill(ids[0])
        assert s.end_of(ids[1])["state"] == "TASK_KILLED"
        assert c.agent.process.poll() is None
