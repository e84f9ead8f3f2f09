"""M22: the names of the metrics, those that monitors know, and that each counts what happened; the same at /metrics, well formed."""
import itertools
import json
import os
import re

from harness.cluster import ROOT, Cluster
from harness.http import eventually, get, get_json, post_json
from harness.scheduler import Scheduler, custom_executor, new_id, resources, scalar

SECONDS = 20

AWARE = ["PARTITION_AWARE", "TASK_KILLING_STATE", "MULTI_ROLE", "RESERVATION_REFINEMENT"]
MASTER_FLAGS = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": 2}


# ---- names ----

def expanded(name):
    parts = [part.split(",") if i % 2 else [part] for i, part in enumerate(re.split(r"[{}]", name))]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def known_names():
    sections, section = {}, None
    with open(os.path.join(ROOT, "tests", "system", "data", "metric_names.txt"), encoding="utf-8") as f:
        for line in map(str.strip, f):
            if line.startswith("["):
                section = sections.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                section += expanded(line)
    return sections


NAMES = known_names()


def missing(metrics, names):
    return [name for name in names if name not in metrics]


def with_statistics(name):
    return [name] + ["%s/%s" % (name, s) for s in NAMES["timer statistics"]]


def framework_prefix(s):
    return "master/frameworks/%s/%s/" % (s.name_encoded, s.id)


def of_role(section, role):
    return [name.replace("ROLE", role) for name in NAMES[section]]


# ---- /metrics ----

SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')


def series(address, accept=None):
    """{(name, (label, value) ...): number} of /metrics; also looks at the form."""
    a = get(address, "/metrics", **({"Accept": accept} if accept else {}))
    assert a.status == 200, a
    got, types = {}, {}
    for line in a.text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types, "%s begins twice" % name
            types[name] = kind
        elif not line.startswith("#"):
            m = SAMPLE.match(line)
            assert m, line
            labels = tuple(sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', m[2] or "")))
            assert (m[1], labels) not in got, "%s is there twice" % line
            got[m[1], labels] = float(m[3])
            assert any(m[1] == t or m[1].startswith(t + "_") for t in types), "no TYPE before %s" % line
    return got


def value(all_series, name, **labels):
    found = [v for (n, has), v in all_series.items() if n == "fairlead_" + name and set(labels.items()) <= set(has)]
    assert found, "no fairlead_%s with %s" % (name, labels)
    return sum(found)


class Counted(Scheduler):
    """A framework, named so that its name must be encoded."""
    name_encoded = "count%20%2F%20me"

    def __init__(self, c, role, **more):
        super().__init__(c.master.address, AWARE, name="count / me", roles=[role], checkpoint=True, failover_timeout=60.0, **more)
        self.declined = []

    def decline(self, offer, seconds=5.0):
        self.declined.append(offer)
        super().decline(offer, seconds)


class Difference:
    """What grew since it was made."""

    def __init__(self, daemon):
        self.daemon, self.before = daemon, daemon.metrics()

    def __call__(self, name):
        return self.daemon.metrics().get(name, 0) - self.before.get(name, 0)

    def becomes(self, **want):
        """Waits until the differences (and values, for names with a leading '=') are so."""
        def look():
            now = self.daemon.metrics()
            got = {n: now.get(n[1:], 0) if n[0] == "=" else now.get(n, 0) - self.before.get(n, 0) for n in want}
            return got if got == want else None
        try:
            eventually(look)
        except AssertionError:
            now = self.daemon.metrics()
            wrong = {n: (now.get(n.lstrip("="), 0) - (0 if n[0] == "=" else self.before.get(n, 0)), w) for n, w in want.items()}
            raise AssertionError("metric: (is, should be): %s" % {n: v for n, v in wrong.items() if v[0] != v[1]})


# ---- the tests ----

def test_every_name_that_monitors_know(cluster):
    with Counted(cluster, "named") as s:
        s.run("exit 0", "TASK_FINISHED")
        set_quota(cluster, "named")
        m = eventually(lambda: (lambda now: now if "registrar/state_store_ms/p50" in now else None)(cluster.master.metrics()))
        assert missing(m, NAMES["master"]) == []
        assert missing(m, sum(map(with_statistics, set(NAMES["master timers"]) - {"registrar/state_fetch_ms"}), ["registrar/state_fetch_ms"])) == []
        assert missing(m, [framework_prefix(s) + name.replace("ROLE", "named") for name in NAMES["framework"]]) == []
        assert missing(m, of_role("role", "named") + of_role("quota", "named")) == []
        assert missing(cluster.agent.metrics(), NAMES["agent"]) == []
        s.teardown()
    gone = cluster.master.metrics()
    assert not [name for name in gone if name.startswith(framework_prefix(s))], "metrics of a framework that has gone"
    with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as f:
        text = f.read()
    assert [name for name in NAMES["left out"] if name not in text] == []


def set_quota(c, role):
    a = post_json(c.master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {
        "quota_configs": [{"role": role, "guarantees": {"cpus": {"value": 0.5}}, "limits": {"cpus": {"value": 100}}}]}})
    assert a.status == 200, a


def test_tasks_of_each_fate(cluster):
    d, agent = Difference(cluster.master), Difference(cluster.agent)
    with Counted(cluster, "fates") as s, Counted(cluster, "others") as other:
        for shell, end in (("exit 0", "TASK_FINISHED"), ("exit 0", "TASK_FINISHED"), ("exit 3", "TASK_FAILED")):
            s.run(shell, end)
        for o in list(s.held.values()):
            s.decline(o, 0.1)
        other.run("exit 0", "TASK_FINISHED")
        other.do("SUPPRESS")
        for o in list(other.held.values()):
            other.decline(o, 0)
        killed, _ = s.run("sleep 1000")
        running, _ = s.run("sleep 1000")
        s.kill(killed)
        s.status(killed, "TASK_KILLED")
        offer = s.offer(cpus=0.2)
        bad = s.task(offer, "true", cpus=0.1)
        bad["resources"] = resources(1000, 32)  # more than the offer has: TASK_ERROR
        s.launch(offer, bad)
        s.status(bad["task_id"]["value"], "TASK_ERROR")
        late = s.offer(cpus=0.2)
        s.decline(late, 0)
        s.launch(late, s.task(late, "true"))  # the offer is no longer: TASK_DROPPED
        p = framework_prefix(s)
        d.becomes(**{"master/tasks_finished": 3, "master/tasks_failed": 1, "master/tasks_killed": 1, "master/tasks_error": 1, "master/tasks_dropped": 1,
                     "=master/tasks_running": 1, "=master/tasks_staging": 0, "master/messages_kill_task": 1, "master/invalid_status_updates": 0,
                     "master/task_dropped/source_master/reason_invalid_offers": 1, "master/task_error/source_master/reason_task_invalid": 1,
                     "=master/frameworks_active": 2, "=master/frameworks_connected": 2, "master/messages_register_framework": 2,
                     "=" + p + "tasks/terminal/task_finished": 2, "=" + p + "tasks/terminal/task_failed": 1, "=" + p + "tasks/terminal/task_killed": 1,
                     "=" + p + "tasks/active/task_running": 1, "=" + p + "tasks/active/task_killing": 0, "=" + p + "calls/kill": 1,
                     "=" + p + "calls/subscribe": 1, "=" + p + "events/subscribed": 1, "=" + p + "subscribed": 1, "=" + p + "operations/launch": 5,
                     "=" + p + "offers/declined": len(s.declined), "=" + p + "calls/decline": len(s.declined),
                     "master/messages_decline_offers": len(s.declined + other.declined)})
        agent.becomes(**{"slave/tasks_finished": 3, "slave/tasks_failed": 1, "slave/tasks_killed": 1, "=slave/tasks_running": 1,
                         "=slave/executors_running": 1, "=slave/frameworks_active": 1, "slave/executors_terminated": 5})
        eventually(lambda: cluster.master.metrics()[p + "events/update"] == len([e for e in list(s.events) if e["type"] == "UPDATE"]))
        m = cluster.master.metrics()
        assert m[p + "calls/acknowledge"] >= 5
        assert m[p + "calls"] == sum(v for n, v in m.items() if n.startswith(p + "calls/")), "the sum of all kinds"
        assert m[p + "offers/sent"] >= m[p + "offers/accepted"] + m[p + "offers/declined"] > 0
        assert m["master/cpus_used"] == 0.1 and cluster.agent.metrics()["slave/cpus_used"] == 0.2, "the agent adds 0.1 for a command task"
        check_prometheus(cluster, s, running)
        s.kill(running)
        s.status(running, "TASK_KILLED")
        s.teardown()
        other.teardown()
    d.becomes(**{"=master/tasks_running": 0, "master/tasks_killed": 2, "master/messages_unregister_framework": 2, "=master/frameworks_active": 0})


def check_prometheus(c, s, running):
    """The same at /metrics, and series that end with their object."""
    eventually(lambda: value(series(c.master.address), "event_loop_delay_seconds_count") > 0)
    m, now = c.master.metrics(), series(c.master.address)
    assert not [k for k in now if k[0] == "fairlead_unlisted"], "each metric has a row in master/metrics.def"
    assert value(now, "master_tasks_ended_total", state="finished") == m["master/tasks_finished"]
    assert value(now, "master_resource_capacity", resource="mem", revocable="false") == m["master/mem_total"] * 1048576
    assert value(now, "framework_tasks_ended_total", framework="count / me", state="finished", framework_id=s.id) == 2
    for name, least in (("allocator_run", 3), ("master_offer_answer", 6), ("master_launch", 3), ("registrar_store", 1), ("event_loop_delay", 1),
                        ("http_request", 20), ("master_status_update_latency", 8)):
        n = value(now, name + "_seconds_count")
        assert n >= least, (name, n)
        assert value(now, name + "_seconds_bucket", le="+Inf") == n
    assert value(now, "master_launch_seconds_sum") < 60 * value(now, "master_launch_seconds_count")
    assert series(c.master.address, "application/openmetrics-text; version=1.0.0")
    of_task = series(c.agent.address)
    assert not [k for k in of_task if k[0] == "fairlead_unlisted"], "each metric has a row in agent/metrics.def"
    assert value(of_task, "container_memory_limit_bytes", task=running, framework_id=s.id) >= 32 * 1048576
    assert value(of_task, "container_cpu_seconds_total", task=running) >= 0


def test_a_series_ends_with_its_task(cluster):
    with Counted(cluster, "ending") as s:
        t, _ = s.run("sleep 1000")
        eventually(lambda: [k for k in series(cluster.agent.address) if ("task", t) in k[1]])
        s.kill(t)
        s.status(t, "TASK_KILLED")
        eventually(lambda: not [k for k in series(cluster.agent.address) if ("task", t) in k[1]])
        s.teardown()
    eventually(lambda: not [k for k in series(cluster.master.address) if ("framework_id", s.id) in k[1]])


def test_operations_and_roles(cluster):
    d = Difference(cluster.master)
    with Counted(cluster, "ops") as s:
        offer = s.offer(cpus=0.5)
        reserved = scalar("cpus", 0.5, reservations=[{"type": "DYNAMIC", "role": "ops"}], allocation_info={"role": "ops"})
        s.accept(offer, [{"type": "RESERVE", "reserve": {"resources": [reserved]}}])
        d.becomes(**{"master/operations/total": 1, "master/operations/finished": 1, "master/operations/reserve/total": 1,
                     "master/operations/reserve/finished": 1, "=master/operations/pending": 0})
        offer = eventually(lambda: next((o for o in list(s.held.values()) if any(r.get("reservations") for r in o["resources"])), None))
        s.accept(offer, [{"type": "UNRESERVE", "unreserve": {"resources": [reserved]}}])
        d.becomes(**{"master/operations/total": 2, "master/operations/unreserve/finished": 1, "=" + framework_prefix(s) + "operations": 2,
                     "=" + framework_prefix(s) + "operations/unreserve": 1})
        s.do("SUPPRESS")
        d.becomes(**{"=" + framework_prefix(s) + "roles/ops/suppressed": 1, "master/messages_suppress_offers": 1})
        s.do("REVIVE")
        d.becomes(**{"=" + framework_prefix(s) + "roles/ops/suppressed": 0, "master/messages_revive_offers": 1})
        offer = s.offer(cpus=0.2)
        s.decline(offer, 1000)
        d.becomes(**{"=allocator/mesos/offer_filters/roles/ops/active": 1})
        s.do("REVIVE")
        s.run("sleep 1000")
        assert cluster.master.metrics()["allocator/mesos/roles/ops/shares/dominant"] > 0
        s.teardown()


def test_messages_of_a_custom_executor():
    with Cluster() as c:
        d, agent = Difference(c.master), Difference(c.agent)
        with Counted(c, "talk") as s:
            offer = s.offer(cpus=0.5)
            t = {"name": "t", "task_id": {"value": new_id()}, "agent_id": offer["agent_id"], "resources": resources(0.1, 32),
                 "executor": custom_executor(s, kind="echo")}
            s.launch(offer, t)
            s.status(t["task_id"]["value"], "TASK_RUNNING")
            s.do("MESSAGE", {"agent_id": offer["agent_id"], "executor_id": t["executor"]["executor_id"], "data": "aGVsbG8="})
            d.becomes(**{"master/messages_framework_to_executor": 1, "master/valid_framework_to_executor_messages": 1})
            agent.becomes(**{"slave/valid_framework_messages": 2})  # it comes back
            d.becomes(**{"master/messages_executor_to_framework": 1, "master/valid_executor_to_framework_messages": 1})
            s.teardown()


def test_an_agent_that_is_lost():
    with Cluster(2, MASTER_FLAGS) as c:
        d = Difference(c.master)
        gone = c.agents[1]
        gone_id = c.agent_id(gone)
        with Counted(c, "lost") as s:
            t, _ = s.run("sleep 1000", agent_id=gone_id)
            d.becomes(**{"=master/tasks_running": 1, "=master/slaves_active": 2})
            gone.freeze()
            d.becomes(**{"=master/slaves_unreachable": 1, "=master/slaves_active": 1, "=master/tasks_unreachable": 1, "=master/tasks_running": 0,
                         "master/slave_unreachable_scheduled": 1, "master/slave_unreachable_completed": 1, "master/slave_removals": 1,
                         "master/slave_removals/reason_unhealthy": 1, "=" + framework_prefix(s) + "tasks/active/task_unreachable": 1})
            gone.thaw()
            s.status(t, "TASK_RUNNING", since=len(s.events))
            d.becomes(**{"=master/slaves_unreachable": 0, "=master/slaves_active": 2, "=master/tasks_running": 1, "master/slave_reregistrations": 1,
                         "=" + framework_prefix(s) + "tasks/active/task_unreachable": 0, "=" + framework_prefix(s) + "tasks/active/task_running": 1})
            s.kill(t)
            s.status(t, "TASK_KILLED")
            s.teardown()


def test_metrics_of_the_operator_api_are_the_same(cluster):
    a = post_json(cluster.master.address, "/api/v1", {"type": "GET_METRICS", "get_metrics": {}})
    told = {m["name"] for m in a.json()["get_metrics"]["metrics"]}
    assert set(NAMES["master"]) <= told and set(get_json(cluster.master.address, "/metrics/snapshot")) - told == set()


def test_limits_of_what_prometheus_is_shown():
    with Cluster(1, {"metrics_max_frameworks": 1, "metrics_max_roles": 1}) as c:
        with Counted(c, "a"), Counted(c, "b"):
            now = series(c.master.address)
            assert len({v for _, labels in now for k, v in labels if k == "framework_id"}) == 1
            assert len({v for _, labels in now for k, v in labels if k == "role"}) == 1
            assert value(now, "metrics_left_out", label="framework_id") > 50
            assert len([n for n in c.master.metrics() if n.endswith("/subscribed")]) == 4  # of each, with the event's


def test_who_may_not_read_the_one_may_not_read_the_other():
    rules = {"permissive": True, "get_endpoints": [{"principals": {"type": "NONE"}, "paths": {"values": ["/metrics/snapshot"]}}]}
    with Cluster(0, {"acls": json.dumps(rules)}) as c:
        assert [get(c.master.address, path).status for path in ("/metrics/snapshot", "/metrics")] == [403, 403]
