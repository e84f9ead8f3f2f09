"""Oversubscription: a fixed estimator's revocable cpus are offered to who can take them, run tasks at low priority, and are taken back by
the QoS controller when the load is high; what is not revocable does not notice."""
import contextlib
import json
import os
import subprocess

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler, amount, custom_executor, new_id, scalar

REVOCABLE = {"revocable": {}}
LOW, HIGH = "0.10 0.20 0.30 1/80 4711\n", "0.10 70.00 0.30 1/80 4711\n"


def modules(resources="cpus:3;mem:256", **thresholds):
    """--modules as the reference's operators write it: the libraries are not needed here."""
    estimator = {"name": "org_apache_mesos_FixedResourceEstimator", "parameters": [{"key": "resources", "value": resources}]}
    qos = {"name": "org_apache_mesos_LoadQoSController",
           "parameters": [{"key": k, "value": v} for k, v in (thresholds or {"load_threshold_5min": "60"}).items()]}
    return json.dumps({"libraries": [{"file": "libfixed_resource_estimator.so", "modules": [estimator]},
                                     {"file": "libload_qos_controller.so", "modules": [qos]}]})


def agent_flags(folder, **more):
    load = os.path.join(str(folder), "loadavg")
    with open(load, "w") as f:
        f.write(LOW)
    return dict({"resource_estimator": "org_apache_mesos_FixedResourceEstimator", "qos_controller": "org_apache_mesos_LoadQoSController",
                 "modules": modules(), "oversubscribed_resources_interval": "200ms", "qos_correction_interval_min": "100ms",
                 "load_average_file": load}, **more)


def revocable_total(c):
    return c.slaves()[0]["resources"].get("cpus_revocable")


@contextlib.contextmanager
def oversubscribed(flags):
    """A cluster whose master has heard the estimate: before, an agent's offer would come in two parts."""
    with Cluster(1, None, flags) as c:
        eventually(lambda: revocable_total(c) == 3)
        yield c


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with oversubscribed(agent_flags(tmp_path_factory.mktemp("load"))) as c:
        yield c


@pytest.fixture
def load(cluster):
    """Sets the load average that the agent reads."""
    def write(text):
        path = cluster.agent.flags["load_average_file"]
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)
    yield write
    write(LOW)


def revocable(offer, name="cpus"):
    return sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == name and "revocable" in r)


def taker(cluster, *capabilities):
    return Scheduler(cluster.master.address, ["REVOCABLE_RESOURCES", *capabilities])


def launch(s, offer, cpus=1, command="sleep 600", more_cpus=(), **more):
    """A task of revocable cpus, unless `more` says otherwise."""
    t = s.task(offer, command, resources=[scalar("cpus", cpus, **REVOCABLE), scalar("mem", 32), *more_cpus], **more)
    s.launch(offer, t)
    return t["task_id"]["value"]


def offer_of(s, cpus):
    """An outstanding offer with so many revocable cpus."""
    return eventually(lambda: next((o for o in list(s.held.values()) if revocable(o) == cpus), None))


def metric(cluster, name):
    return cluster.master.metrics()[name]


# ---- who gets them ----

def test_offered_to_those_who_say_so(cluster):
    with taker(cluster) as s:
        offer = offer_of(s, 3)
        assert revocable(offer, "mem") == 256 and amount(offer, "cpus") == 7 and amount(offer, "mem") == 1024 + 256


def test_hidden_from_the_others(cluster, scheduler):
    offer = scheduler.offer()
    assert not [r for r in offer["resources"] if "revocable" in r] and amount(offer, "cpus") == 4


def test_seen_by_operators(cluster):
    shown = eventually(lambda: [x for x in cluster.slaves() if x["resources"].get("cpus_revocable") == 3])[0]
    assert shown["resources"]["mem_revocable"] == 256 and shown["resources"]["cpus"] == 4
    assert get_json(cluster.master.address, "/state")["slaves"][0]["resources"]["cpus_revocable"] == 3
    assert metric(cluster, "master/cpus_revocable_total") == 3 and metric(cluster, "master/cpus_total") == 4
    assert cluster.agent.metrics()["slave/cpus_revocable_total"] == 3
    agents = post_json(cluster.master.address, "/api/v1", {"type": "GET_AGENTS"}, {"Accept": "application/json"}).json()
    total = agents["get_agents"]["agents"][0]["total_resources"]
    assert sorted((r["name"], r["scalar"]["value"]) for r in total if "revocable" in r) == [("cpus", 3.0), ("mem", 256.0)]


# ---- what can be done with them ----

def test_a_task_runs_on_them_and_counts(cluster):
    with taker(cluster) as s:
        task = launch(s, offer_of(s, 3), 2)
        s.status(task, "TASK_RUNNING")
        offer_of(s, 1)  # what is left of them is offered again
        eventually(lambda: metric(cluster, "master/cpus_revocable_used") == 2)
        assert metric(cluster, "master/cpus_used") == 0
        assert abs(metric(cluster, "master/cpus_revocable_percent") - 2 / 3) < 1e-6
        assert cluster.slaves()[0]["used_resources"]["cpus_revocable"] == 2
        eventually(lambda: cluster.agent.metrics()["slave/cpus_revocable_used"] == 2)
        assert cluster.agent.metrics()["slave/cpus_revocable_total"] == 3
        s.kill(task)
        s.status(task, "TASK_KILLED")
    eventually(lambda: metric(cluster, "master/cpus_revocable_used") == 0)


def test_not_mixed_with_firm_ones_of_the_name(cluster):
    with taker(cluster) as s:
        task = launch(s, offer_of(s, 3), 1, more_cpus=[scalar("cpus", 1)])
        end = s.end_of(task)
        assert end["state"] == "TASK_ERROR" and end["reason"] == "REASON_TASK_INVALID" and "revocable" in end["message"]


def test_not_reserved_and_no_volume(cluster):
    with Scheduler(cluster.master.address, ["REVOCABLE_RESOURCES", "RESERVATION_REFINEMENT", "MULTI_ROLE"], roles=["r"],
                   principal="p") as s:
        offer = offer_of(s, 3)
        res = scalar("cpus", 1, reservations=[{"type": "DYNAMIC", "role": "r", "principal": "p"}], allocation_info={"role": "r"},
                     **REVOCABLE)
        n = s.mark()
        s.accept(offer, [{"type": "RESERVE", "reserve": {"resources": [res]}}])
        offer = s.offer(cpus=7)
        assert revocable(offer) == 3 and not [r for r in offer["resources"] if r.get("reservations")]
        assert not [e for e in s.events[n:] if e["type"] == "ERROR"]


# ---- the estimate changes ----

def test_offers_are_taken_back_when_the_estimate_changes(tmp_path):
    """A restarted agent with another estimate; the tasks of the first keep what they hold."""
    with oversubscribed(agent_flags(tmp_path)) as c, \
            Scheduler(c.master.address, ["REVOCABLE_RESOURCES", "PARTITION_AWARE"], checkpoint=True, failover_timeout=600) as s:
        task = launch(s, offer_of(s, 3), 2)
        s.status(task, "TASK_RUNNING")
        offer_of(s, 1)
        c.agent.kill9()
        c.agent.flags["modules"] = modules("cpus:5")
        c.agent.start()
        offer_of(s, 3)
        assert revocable_total(c) == 5
        c.agent.kill9()
        c.agent.flags["modules"] = modules("cpus:1")
        c.agent.start()
        eventually(lambda: revocable_total(c) == 2)  # all of it in use
        eventually(lambda: [o for o in s.held.values()])
        assert not [o for o in s.held.values() if revocable(o)]
        s.kill(task)
        s.status(task, "TASK_KILLED")
        offer_of(s, 1)
        # What the killed agent had no acknowledgement of is told again.
        assert list(dict.fromkeys(s.states(task))) == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"]


def test_a_new_master_is_told(tmp_path):
    with oversubscribed(agent_flags(tmp_path)) as c:
        c.master.kill9()
        c.master.start()
        eventually(lambda: revocable_total(c) == 3)
        with taker(c) as s:
            offer_of(s, 3)


# ---- corrections ----

@pytest.mark.parametrize("capabilities,state", [([], "TASK_LOST"), (["PARTITION_AWARE"], "TASK_GONE")])
def test_high_load_kills_what_is_revocable(cluster, load, capabilities, state):
    with taker(cluster, *capabilities) as s, Scheduler(cluster.master.address) as other:
        before = cluster.agent.metrics()["slave/executors_preempted"]
        offer = offer_of(s, 3)
        firm = s.task(offer, "sleep 600")
        loose = s.task(offer, "sleep 600", resources=[scalar("cpus", 1, **REVOCABLE), scalar("mem", 32)])
        s.launch(offer, firm, loose)
        for t in (firm, loose):
            s.status(t["task_id"]["value"], "TASK_RUNNING")
        load(HIGH)
        end = s.end_of(loose["task_id"]["value"])
        assert (end["state"], end["reason"], end["source"]) == (state, "REASON_CONTAINER_PREEMPTED", "SOURCE_AGENT")
        assert end["message"] == "Container preempted by QoS correction"
        load(LOW)
        assert s.states(firm["task_id"]["value"])[-1] == "TASK_RUNNING"
        assert cluster.agent.metrics()["slave/executors_preempted"] == before + 1
        # The master's own books know of it, and what it held is free again.
        eventually(lambda: metric(cluster, "master/cpus_revocable_used") == 0)
        eventually(lambda: sum(revocable(o) for o in list(s.held.values())) == 3)
        s.kill(firm["task_id"]["value"])
        s.status(firm["task_id"]["value"], "TASK_KILLED")
        assert not [e for e in other.events if e["type"] == "UPDATE"]


def test_a_custom_executor_is_killed_with_its_tasks(cluster, load):
    with taker(cluster, "PARTITION_AWARE") as s:
        offer = offer_of(s, 3)
        e = custom_executor(s)
        tasks = [s.task(offer, None, command=None, executor=e, task_id={"value": new_id()},
                        resources=[scalar("disk", 16)] + ([scalar("mem", 16, **REVOCABLE)] if i else [])) for i in range(2)]
        e["resources"] = [scalar("cpus", 0.1)]
        s.launch(offer, *tasks)
        for t in tasks:
            s.status(t["task_id"]["value"], "TASK_RUNNING")
        load(HIGH)
        for t in tasks:
            end = s.end_of(t["task_id"]["value"])
            assert (end["state"], end["reason"]) == ("TASK_GONE", "REASON_CONTAINER_PREEMPTED")


# ---- low priority ----

@pytest.mark.root
@pytest.mark.parametrize("low,shares", [(True, 21), (False, 2150)])
def test_revocable_cpus_have_a_low_share(tmp_path, low, shares):
    if not os.path.isdir("/sys/fs/cgroup/cpu"):
        pytest.skip("no cgroup v1 cpu controller")
    flags = agent_flags(tmp_path, launcher="linux", isolation="cgroups/cpu", revocable_cpu_low_priority=low)
    with oversubscribed(flags) as c, taker(c) as s:
        task = launch(s, offer_of(s, 3), 2)
        pid = s.status(task, "TASK_RUNNING")["container_status"]["executor_pid"]
        with open("/proc/%d/cgroup" % pid) as f:
            rows = [line.strip().split(":", 2) for line in f]
        path = next(p for _, controllers, p in rows if "cpu" in controllers.split(","))
        with open("/sys/fs/cgroup/cpu%s/cpu.shares" % path) as f:
            assert int(f.read()) == shares  # of 2 cpus, and 0.1 that every command has beside it
        s.kill(task)
        s.status(task, "TASK_KILLED")


# ---- mistakes ----

@pytest.mark.parametrize("flags,words", [
    (["--resource_estimator=org_example_Guess"], ["--resource_estimator", "org_example_Guess"]),
    (["--qos_controller=org_example_Guess"], ["--qos_controller", "org_example_Guess"]),
    (["--resource_estimator=fixed"], ["resources"]),
    (["--qos_controller=load", "--qos_load_threshold_5min=high"], ["load_threshold_5min", "high"]),
    (["--resource_estimator=fixed", "--modules={"], ["--modules", "JSON"]),
])
def test_mistakes_are_one_line(tmp_path, flags, words):
    out = subprocess.run([os.path.join(BIN, "fairlead-agent"), "--ip=127.0.0.1", "--port=0", "--work_dir=%s" % tmp_path,
                          "--master=127.0.0.1:1", "--launcher=posix", "--isolation=posix/cpu,posix/mem"] + flags,
                         capture_output=True, text=True, timeout=20, check=False)
    assert out.returncode > 0, out
    last = [line for line in out.stderr.splitlines() if "fairlead-agent" in line][-1]
    assert all(w in last for w in words), out.stderr
