"""M21: every JSON object of the older endpoints has exactly the keys of the protocol's tables (harness/keys.py), of their types, in a cluster
where all kinds of objects are to be seen."""
import json

import pytest
from google.protobuf.descriptor import FieldDescriptor as FD

from harness import keys
from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json
from harness.proto import pbref
from harness.scheduler import Scheduler, custom_executor, new_id, resources, scalar

SECONDS = 15

# Keys that no object here has. Each has its reason.
NOT_SEEN = {
    "pid": "frameworks that speak the older protocol have one; ours subscribe by HTTP",
    "git_tag": "a build of a tagged commit", "git_sha": "a build of a repository", "git_branch": "the same",
    "external_log_file": "a flag that names somebody else's file",
    "cpus_revocable": "needs an estimator: test_13x_oversubscription.py", "gpus_revocable": "the same",
    "cgroup_info": "needs the cgroups/net_cls isolator",
    "ip": "machines are known by their host names here", "hostname": "of a machine known by its address",
    "slaves[].reregistered_time": "test_17_m17_agent_killed.py",
    "infos[].principal": "quota set without authentication has none", "infos[].guarantee": "quota without guarantees has none",
    "statuses[].labels": "needs an executor that says them", "recovered_slaves[].domain": "a master that has just begun",
    "queued_tasks[].command": "a command task waits for nothing here", "log_dir": "a daemon that logs to files",
    "draining_machines[].statuses": "answers to inverse offers: test_23_m23_inverse_offers.py",
}

DOMAIN = {"fault_domain": {"region": {"name": "r1"}, "zone": {"name": "z1"}}}
MASTER_FLAGS = {"cluster": "golden", "agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "2", "domain": json.dumps(DOMAIN)}
AGENT_FLAGS = {"attributes": "rack:r7;level:3;span:[1-5]", "domain": json.dumps(DOMAIN),
               "resources": "cpus:4;cpus(static):1;mem:1024;disk:2048;ports:[31000-31099]"}
LABELS = {"labels": [{"key": "k", "value": "v"}]}
PORTS = {"ports": [{"number": 31000, "name": "p", "protocol": "tcp"}]}


def operate(c, kind, body):
    answer = post_json(c.master.address, "/api/v1", {"type": kind, kind.lower(): body})
    assert answer.status in (200, 202), (kind, answer)


def set_policies(c):
    operate(c, "UPDATE_WEIGHTS", {"weight_infos": [{"role": "eng", "weight": 2}]})
    operate(c, "UPDATE_QUOTA", {"quota_configs": [{"role": "eng", "guarantees": {"cpus": {"value": 1}}, "limits": {"cpus": {"value": 9}}}]})
    machines = [{"hostname": "spare-%d" % i} for i in range(2)]
    windows = [{"machine_ids": [m], "unavailability": {"start": {"nanoseconds": 1}, "duration": {"nanoseconds": 10 ** 18}}} for m in machines]
    operate(c, "UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": windows}})
    operate(c, "START_MAINTENANCE", {"machines": machines[:1]})


def fill_with_tasks(s, agent):
    """One that has everything a task can have, one of each kind of executor, one that ended, one that waits for its executor."""
    s.run("sleep 1000", agent_id=agent, labels=LABELS, discovery={"visibility": "CLUSTER", "name": "d", "ports": PORTS},
          container={"type": "MESOS"},
          resources=resources() + [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31000}]}}], limits={"mem": {"value": 64}}, command={"value": "sleep 1000", "user": "root"},
          health_check={"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0, "interval_seconds": 0.1})
    s.run("true", "TASK_FINISHED", agent_id=agent)
    offer = s.offer(agent, 0.5)
    t = s.task(offer, "", command=None, executor=custom_executor(s, labels=LABELS))
    s.launch(offer, t)
    s.status(t["task_id"]["value"], "TASK_RUNNING")
    offer = s.offer(agent, 0.5)
    pod = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": s.id},
           "resources": resources(0.1, 32, 32)}
    t = s.task(offer, "sleep 1000")
    s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": pod, "task_group": {"tasks": [t]}}}])
    s.status(t["task_id"]["value"], "TASK_RUNNING")
    offer = s.offer(agent, 0.5)
    silent = {"type": "CUSTOM", "executor_id": {"value": new_id("silent")}, "framework_id": {"value": s.id}, "resources": resources(0.1, 32),
              "command": {"value": "exec sleep 1000", "shell": True, "environment": {"variables": [{"name": "A", "value": "b"}]},
                          "uris": [{"value": "file:///etc/hostname", "executable": False}]}}
    s.launch(offer, s.task(offer, "", command=None, executor=silent, discovery={"visibility": "CLUSTER", "name": "q"}))


def reserve(c, agent):
    disk = scalar("disk", 64, reservations=[{"type": "DYNAMIC", "role": "ops", "principal": "p"}])
    operate(c, "RESERVE_RESOURCES", {"agent_id": {"value": agent}, "resources": [disk]})
    volume = dict(disk, disk={"persistence": {"id": "v1"}, "volume": {"container_path": "data", "mode": "RW"}})
    operate(c, "CREATE_VOLUMES", {"agent_id": {"value": agent}, "volumes": [volume]})
    slave, = (x for x in c.slaves() if x["id"] == agent)
    assert "ops" in slave["reserved_resources"]


@pytest.fixture(scope="module")
def world():
    with Cluster(3, MASTER_FLAGS, AGENT_FLAGS) as c:
        ids = [c.agent_id(a) for a in c.agents]
        set_policies(c)
        single = Scheduler(c.master.address, name="single", failover_timeout=3600.0)
        single.subscribe()
        single.run("sleep 1000", agent_id=ids[0])
        single.close()
        s = Scheduler(c.master.address, ["MULTI_ROLE", "PARTITION_AWARE", "RESERVATION_REFINEMENT"], roles=["eng", "ops"], labels=LABELS,
                      webui_url="http://framework", hostname="h", principal="p", checkpoint=True, failover_timeout=3600.0)
        s.subscribe()
        fill_with_tasks(s, ids[0])
        s.run("trap : TERM; while :; do sleep 1; done", agent_id=ids[1])
        s.run("sleep 1000", agent_id=ids[2])
        with Scheduler(c.master.address, name="gone"):
            pass
        single.subscribe()
        reserve(c, ids[0])
        operate(c, "DRAIN_AGENT", {"agent_id": {"value": ids[1]}, "max_grace_period": {"seconds": 600}})
        c.agents[2].kill9()
        eventually(lambda: get_json(c.master.address, "/state")["unreachable_slaves"] == 1, 30)
        yield c
        single.close()
        s.teardown()


CLASSES = pbref.load()
FIELDS = {FD.TYPE_STRING: str, FD.TYPE_BYTES: str, FD.TYPE_ENUM: str, FD.TYPE_BOOL: bool}


def proto_faults(name, value):
    return message_faults(CLASSES["mesos.v1." + name].DESCRIPTOR, value, name)


def message_faults(descriptor, value, path):
    """What makes it something else than that message in the older spelling."""
    if not isinstance(value, dict):
        return ["%s: %r is no object" % (path, value)]
    by_name = {pbref.key_of(f, True): f for f in descriptor.fields}
    found = ["%s: '%s' is missing" % (path, n) for n, f in by_name.items() if f.label == FD.LABEL_REQUIRED and n not in value]
    for k, v in value.items():
        f = by_name.get(k)
        here = "%s.%s" % (path, k)
        if f is None:
            found.append("%s: %s has no such field" % (here, descriptor.full_name))
            continue
        if f.label == FD.LABEL_REPEATED and not isinstance(v, list):
            found.append("%s: no list" % here)
            continue
        for one in v if f.label == FD.LABEL_REPEATED else [v]:
            if f.message_type:
                found += message_faults(f.message_type, one, here)
            elif not (isinstance(one, FIELDS[f.type]) if f.type in FIELDS else keys.TYPES[keys.NUMBER](one)):
                found.append("%s: %r is of another type" % (here, one))
    return found


def unseen(k, table):
    return [u for u in k.unmet(table) if not any(("." + name + "?") in u + "?" or ("." + name + ".") in u for name in NOT_SEEN)]


def seen(table, address, paths):
    k = keys.Keys(proto_faults)
    found = []
    for path in paths:
        found += k.faults(get_json(address, path), table, path)
    return found, unseen(k, table)


@pytest.mark.parametrize("path", sorted(keys.MASTER))
def test_master(world, path):
    found, unmet = seen(keys.MASTER[path], world.master.address, [path, "/master" + path] if path != "/system/stats.json" else [path])
    assert not found, "\n".join(found)
    assert not unmet, "no object of this cluster has %s: the table or the cluster is wrong" % unmet


@pytest.mark.parametrize("path", sorted(keys.AGENT))
def test_agent(world, path):
    k = keys.Keys(proto_faults)
    found = []
    for agent in world.agents[:2]:
        found += k.faults(get_json(agent.address, path), keys.AGENT[path], path)
    unmet = unseen(k, keys.AGENT[path])
    assert not found, "\n".join(found)
    assert not unmet, "no object of these agents has %s: the table or the cluster is wrong" % unmet


def test_files(world):
    executor = get_json(world.agent.address, "/state")["frameworks"][0]["executors"][0]
    for path, table in keys.FILES.items():
        where = executor["directory"] + ("/stdout" if path == "/files/read" else "")
        found, _ = seen(table, world.agent.address, ["%s?path=%s" % (path, where)])
        assert not found, "\n".join(found)


def test_the_comparison_finds_what_is_wrong():
    k = keys.Keys(proto_faults)
    table = {"a": keys.NUMBER, "b?": [keys.TEXT], "c?": keys.Map(keys.FLAG), "d?": keys.Proto("DomainInfo")}
    assert k.faults({"a": 1}, table) == []
    for value in ({}, {"a": True}, {"a": "1"}, {"a": 1, "x": 1}, {"a": 1, "b": "t"}, {"a": 1, "b": [1]}, {"a": 1, "c": {"k": 0}},
                  {"a": 1, "d": {"fault_domain": {"region": {"name": "r"}}}}, {"a": 1, "d": {"other": 1}}, []):
        assert len(k.faults(value, table)) == 1, value
    assert k.unmet({"z?": keys.TEXT}) == [".z?"]
