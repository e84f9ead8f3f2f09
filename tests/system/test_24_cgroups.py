"""Cgroup isolators from the framework's side: limits of tasks, groups of a pod's tasks, statistics, what is left."""
import glob
import os
import signal

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, new_id, scalar

SECONDS = 6

V2 = "/sys/fs/cgroup/unified/cgroup.procs"
MEMORY = "/sys/fs/cgroup/memory"
pytestmark = [pytest.mark.root, pytest.mark.skipif(not os.path.exists(MEMORY + "/cgroup.procs"), reason="cgroups of version 1 are not mounted")]

MB = 1 << 20
EATER = "python3 -c 'import time\nx=[]\nfor i in range(40): x.append(bytearray(4<<20))\ntime.sleep(100)'"


@pytest.fixture(scope="module")
def world():
    flags = {"launcher": "linux", "isolation": "cgroups/all", "cgroups_cpu_enable_pids_and_tids_count": True}
    if os.path.exists(V2):  # of which the kernel counts events on a machine with both versions
        flags.update(perf_events="task-clock,page-faults", perf_interval="250ms", perf_duration="200ms")
    with Cluster(agents=1, agent_flags=flags) as c:
        with Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


def root(c, controller="memory"):
    return "/sys/fs/cgroup/%s/%s" % (controller, c.agent.flags["cgroups_root"])


def text(*path):
    with open(os.path.join(*path)) as f:
        return f.read().strip()


def number(*path):
    return int(text(*path))


def pids(*path):
    return [int(p) for p in text(*path, "cgroup.procs").split()]


def container(status):
    return status["container_status"]["container_id"]["value"]


def test_limits_above_the_request(world):
    c, s = world
    task, st = s.run("sleep 1000", mem=64, limits={"cpus": {"value": "Infinity"}, "mem": {"value": 256}})
    cid = container(st)
    assert number(root(c), cid, "memory.soft_limit_in_bytes") < number(root(c), cid, "memory.limit_in_bytes")
    assert 256 * MB <= number(root(c), cid, "memory.limit_in_bytes") <= 288 * MB
    assert number(root(c, "cpu"), cid, "cpu.cfs_quota_us") == -1
    # It may use more than it asked for, so it goes first when the machine runs out.
    scores = [number("/proc/%d/oom_score_adj" % pid) for pid in pids(root(c), cid)]
    assert scores and all(score > 900 for score in scores)
    s.kill(task)
    s.end_of(task)
    task, st = s.run("sleep 1000", mem=32, limits={"cpus": {"value": 0.5}, "mem": {"value": "Infinity"}})
    cid = container(st)
    assert number(root(c), cid, "memory.limit_in_bytes") > 1 << 60
    assert 50000 <= number(root(c, "cpu"), cid, "cpu.cfs_quota_us") <= 60000
    s.kill(task)
    s.end_of(task)


def test_who_takes_too_much_is_told_what_to_change(world):
    _, s = world
    task, _ = s.run(EATER, mem=32)
    end = s.end_of(task)
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY")
    assert "Memory limit exceeded: Requested: 64MB Maximum Used: 64MB" in end["message"] and "Raise 'mem'" in end["message"]
    assert end["limitation"]["resources"][0]["name"] == "mem"


def test_statistics(world):
    c, s = world
    task, st = s.run("while :; do :; done", cpus=0.2)

    def one():
        found = [e["statistics"] for e in get_json(c.agent.address, "/containers") if e["container_id"] == container(st)]
        return found and found[0].get("cpus_user_time_secs", 0) > 0 and found[0]
    u = eventually(one)
    assert u["processes"] >= 1 and u["threads"] >= 1
    assert u["mem_limit_bytes"] == u["mem_soft_limit_bytes"] > 0
    for name in ("mem_total_bytes", "mem_rss_bytes", "mem_anon_bytes", "mem_file_bytes", "mem_cache_bytes", "mem_mapped_file_bytes",
                 "mem_unevictable_bytes", "mem_low_pressure_counter", "mem_medium_pressure_counter", "mem_critical_pressure_counter"):
        assert name in u, name
    assert u["blkio_statistics"]["throttling"][-1].get("device") is None
    if os.path.exists(V2):
        perf = eventually(lambda: one().get("perf", {}).get("task_clock", 0) > 0 and one()["perf"])
        assert perf["duration"] == pytest.approx(0.2) and "page_faults" in perf and "cycles" not in perf
    s.kill(task)
    s.end_of(task)


def test_devices_are_kept_out(world):
    _, s = world
    task, _ = s.run("head -c1 /dev/urandom >/dev/null || exit 1; (true </dev/kmsg) && exit 2; mknod m c 1 1 || exit 3; (true <m) && exit 4; exit 0",
                    state=("TASK_RUNNING", "TASK_FAILED"))
    assert s.end_of(task)["state"] == "TASK_FINISHED"


def pod(s, commands):
    """A group whose tasks have cgroups of their own; their ids."""
    offer = s.offer(cpus=0.2 + 0.1 * len(commands))
    executor = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": s.id},
                "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
    own = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
    tasks = [s.task(offer, command, mem=48, container=own, limits={"mem": {"value": 64}}) for command in commands]
    s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}}])
    return [t["task_id"]["value"] for t in tasks]


def test_tasks_of_a_pod_have_groups_below_their_executor(world):
    c, s = world
    tasks = pod(s, ["sleep 1000", "sleep 1000"])
    ids = [s.status(t, "TASK_RUNNING")["container_status"]["container_id"] for t in tasks]
    parent = ids[0]["parent"]["value"]
    for cid in ids:
        group = "%s/mesos/%s" % (parent, cid["value"])
        assert number(root(c), group, "memory.limit_in_bytes") == 64 * MB
        assert number(root(c), group, "memory.soft_limit_in_bytes") == 48 * MB
        assert pids(root(c), group) == pids(root(c, "pids"), group) and pids(root(c), group)
    assert not [path for path in glob.glob(root(c) + "/*.*") if os.path.isdir(path)]
    # An agent that was killed finds them again, and they are all gone in the end.
    c.agent.kill9()
    c.agent.start()
    eventually(lambda: all(a["active"] for a in c.slaves()))
    for t in tasks:
        s.kill(t)
        assert s.end_of(t)["state"] == "TASK_KILLED"
    eventually(lambda: not os.path.exists("%s/%s" % (root(c), parent)))


def test_one_of_a_pod_runs_out_alone(world):
    """Its own limit, not that of all, and the reason is told of it."""
    c, s = world
    good, bad = pod(s, ["sleep 1000", EATER])
    parent = s.status(bad, "TASK_RUNNING")["container_status"]["container_id"]["parent"]["value"]
    end = s.end_of(bad)
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY"), end
    assert "64MB" in end["message"]
    assert s.end_of(good)["state"] == "TASK_KILLED"
    eventually(lambda: not os.path.exists("%s/%s" % (root(c), parent)))


def test_orphans_are_found_in_nested_groups(world):
    """What no agent knows of is killed and removed when one starts."""
    c, _ = world
    group = root(c) + "/lost/mesos/deeper"
    os.makedirs(group)
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    with open(group + "/cgroup.procs", "w") as f:
        f.write(str(pid))
    c.agent.kill9()
    c.agent.start()
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    eventually(lambda: not os.path.exists(root(c) + "/lost"))
