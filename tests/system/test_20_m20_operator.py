"""M20: the operator API says what the older endpoints say, in both encodings; the stream of events keeps a copy equal to the state."""
import json
import threading

import pytest
from google.protobuf.message import DecodeError

from harness.cluster import Cluster
from harness.http import JSON, Broken, Stream, eventually, get_json, post_json, request
from harness.proto import pbref
from harness.scheduler import Scheduler

SECONDS = 10
MASTER_FLAGS = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "2"}
AGENTS = 2
PROTOBUF = "application/x-protobuf"
CLASSES = pbref.load()


@pytest.fixture(scope="module")
def world():
    with Cluster(AGENTS, MASTER_FLAGS) as c:
        s = Scheduler(c.master.address, ["PARTITION_AWARE"], failover_timeout=3600.0)
        s.subscribe()
        s.run("sleep 1000")
        s.run("true", "TASK_FINISHED")
        with Scheduler(c.master.address, name="gone"):
            pass
        yield c, s
        s.teardown()


def call(address, kind):
    answer = post_json(address, "/api/v1", {"type": kind})
    assert answer.status == 200, answer
    return answer.json()


def call_pb(address, package, kind):
    """The same in protobuf, as JSON of our independent codec."""
    c = CLASSES["mesos.v1.%s.Call" % package]()
    c.type = c.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name[kind].number
    answer = request(address, "POST", "/api/v1", {"Content-Type": PROTOBUF, "Accept": PROTOBUF}, c.SerializeToString())
    assert answer.status == 200 and answer.headers["content-type"] == PROTOBUF, answer
    m = CLASSES["mesos.v1.%s.Response" % package]()
    try:
        m.ParseFromString(answer.body)
    except DecodeError as e:
        raise AssertionError("%s: %s" % (kind, e))
    return pbref.to_json(m, defaults=True)


def value(v):
    return v["value"]


def tasks_of(get_tasks):
    return {kind: {(value(t["framework_id"]), value(t["task_id"])): t["state"] for t in get_tasks.get(kind, [])}
            for kind in ("tasks", "unreachable_tasks", "completed_tasks")}


def tasks_of_state(state):
    return {kind: {(f["id"], t["id"]): t["state"] for f in state["frameworks"] + state["completed_frameworks"] for t in f[kind]}
            for kind in ("tasks", "unreachable_tasks", "completed_tasks")}


def frameworks_of(get_frameworks):
    return {value(f["framework_info"]["id"]): (f["framework_info"]["name"], f["active"], f["connected"], f["recovered"], len(f.get("offers", [])))
            for f in get_frameworks["frameworks"]}


def scalars(resources):
    out = {}
    for r in resources:
        if r["type"] == "SCALAR":
            out[r["name"]] = out.get(r["name"], 0) + r["scalar"]["value"]
    return out


def positive(summary):
    return {k: v for k, v in summary.items() if not isinstance(v, str) and v}


def test_master_says_the_same(world):
    c, s = world
    eventually(lambda: s.offer())
    state = get_json(c.master.address, "/state")
    whole = call(c.master.address, "GET_STATE")["get_state"]
    assert tasks_of(whole["get_tasks"]) == tasks_of_state(state)
    assert tasks_of(call(c.master.address, "GET_TASKS")["get_tasks"]) == tasks_of_state(state)
    expected = {f["id"]: (f["name"], f["active"], f["connected"], f["recovered"], len(f["offers"])) for f in state["frameworks"]}
    for answer in (whole["get_frameworks"], call(c.master.address, "GET_FRAMEWORKS")["get_frameworks"]):
        assert frameworks_of(answer) == expected
        assert [value(f["framework_info"]["id"]) for f in answer["completed_frameworks"]] == [f["id"] for f in state["completed_frameworks"]]
    agents = {value(a["agent_info"]["id"]): a for a in call(c.master.address, "GET_AGENTS")["get_agents"]["agents"]}
    assert set(agents) == {a["id"] for a in state["slaves"]}
    for old in state["slaves"]:
        new = agents[old["id"]]
        assert (new["active"], new["deactivated"], new["version"], new["pid"]) == (old["active"], old["deactivated"], old["version"], old["pid"])
        assert scalars(new["total_resources"]) == positive(old["resources"])
        assert scalars(new.get("allocated_resources", [])) == positive(old["used_resources"])
        assert scalars(new.get("offered_resources", [])) == positive(old["offered_resources"])
        assert new["registered_time"]["nanoseconds"] / 1e9 == pytest.approx(old["registered_time"], abs=1e-3)
    roles = {r["name"]: r for r in call(c.master.address, "GET_ROLES")["get_roles"]["roles"]}
    for old in get_json(c.master.address, "/roles")["roles"]:
        assert [value(f) for f in roles[old["name"]].get("frameworks", [])] == old["frameworks"]
        assert roles[old["name"]]["weight"] == old["weight"]
    flags = {f["name"]: f["value"] for f in call(c.master.address, "GET_FLAGS")["get_flags"]["flags"]}
    assert flags == get_json(c.master.address, "/flags")["flags"] == state["flags"]
    version = call(c.master.address, "GET_VERSION")["get_version"]["version_info"]
    assert version == {k: v for k, v in get_json(c.master.address, "/version").items()}
    info = call(c.master.address, "GET_MASTER")["get_master"]
    assert info["master_info"]["id"] == state["id"] and info["start_time"] == state["start_time"]
    metrics = post_json(c.master.address, "/api/v1", {"type": "GET_METRICS", "get_metrics": {}}).json()["get_metrics"]["metrics"]
    assert {m["name"] for m in metrics} == set(get_json(c.master.address, "/metrics/snapshot"))


READS = {"master": ("GET_HEALTH", "GET_FLAGS", "GET_VERSION", "GET_LOGGING_LEVEL", "GET_STATE", "GET_AGENTS", "GET_FRAMEWORKS", "GET_EXECUTORS",
                    "GET_OPERATIONS", "GET_TASKS", "GET_ROLES", "GET_WEIGHTS", "GET_MASTER", "GET_MAINTENANCE_STATUS",
                    "GET_MAINTENANCE_SCHEDULE", "GET_QUOTA"),
         "agent": ("GET_HEALTH", "GET_FLAGS", "GET_VERSION", "GET_LOGGING_LEVEL", "GET_STATE", "GET_FRAMEWORKS", "GET_EXECUTORS",
                   "GET_OPERATIONS", "GET_TASKS", "GET_AGENT", "GET_RESOURCE_PROVIDERS")}


def sorted_all(v):
    """Lists in an order that depends on their content only."""
    if isinstance(v, dict):
        return {k: sorted_all(x) for k, x in v.items()}
    if isinstance(v, list):
        return sorted((sorted_all(x) for x in v), key=lambda x: json.dumps(x, sort_keys=True))
    return v


def filled(v):
    """Without empty lists: in protobuf they are nothing."""
    if isinstance(v, dict):
        return {k: filled(x) for k, x in v.items() if x != []}
    return [filled(x) for x in v] if isinstance(v, list) else v


@pytest.mark.parametrize("daemon,kind", [(d, k) for d in READS for k in READS[d]])
def test_both_encodings_say_the_same(world, daemon, kind):
    c, _ = world
    address = c.master.address if daemon == "master" else c.agent.address

    def same():
        assert sorted_all(filled(call(address, kind))) == sorted_all(filled(call_pb(address, daemon, kind)))
        return True
    eventually(same)  # what changes by itself may do so in between


class Mirror:
    """A copy of the state that only the stream of events keeps up to date."""

    def __init__(self, address):
        self.tasks, self.agents, self.frameworks = {}, set(), {}
        self.first = threading.Event()
        self.kinds = []
        body = json.dumps({"type": "SUBSCRIBE"})
        self.stream = Stream(address, "/api/v1", body, {"Content-Type": JSON, "Accept": JSON}, wait=60)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        assert self.first.wait(20)

    def read(self):
        try:
            while True:
                record = self.stream.record()
                if record is None:
                    return
                self.take(json.loads(record))
        except (Broken, OSError, ValueError):
            pass

    def take(self, e):
        kind = e["type"]
        self.kinds.append(kind)
        if kind == "SUBSCRIBED":
            state = e["subscribed"]["get_state"]
            for group in tasks_of(state["get_tasks"]).values():
                self.tasks.update(group)
            self.agents = {value(a["agent_info"]["id"]) for a in state["get_agents"].get("agents", [])}
            self.frameworks = {k: v[2] for k, v in frameworks_of(state["get_frameworks"]).items()}
            self.first.set()
        elif kind == "TASK_ADDED":
            t = e["task_added"]["task"]
            self.tasks[(value(t["framework_id"]), value(t["task_id"]))] = t["state"]
        elif kind == "TASK_UPDATED":
            u = e["task_updated"]
            self.tasks[(value(u["framework_id"]), value(u["status"]["task_id"]))] = u["state"]
        elif kind == "AGENT_ADDED":
            self.agents.add(value(e["agent_added"]["agent"]["agent_info"]["id"]))
        elif kind == "AGENT_REMOVED":
            self.agents.discard(value(e["agent_removed"]["agent_id"]))
        elif kind in ("FRAMEWORK_ADDED", "FRAMEWORK_UPDATED"):
            f = e[kind.lower()]["framework"]
            self.frameworks[value(f["framework_info"]["id"])] = f["connected"]
        elif kind == "FRAMEWORK_REMOVED":
            self.frameworks.pop(value(e["framework_removed"]["framework_info"]["id"]), None)


def test_events_keep_a_copy_equal(world):
    c, s = world
    mirror = Mirror(c.master.address)

    def equal(agents=True):
        state = get_json(c.master.address, "/state")
        tasks = {}
        for group in tasks_of_state(state).values():
            tasks.update(group)
        assert mirror.tasks == tasks
        assert not agents or mirror.agents == {a["id"] for a in state["slaves"]}
        assert set(mirror.frameworks) == {f["id"] for f in state["frameworks"]}
        return True
    eventually(equal)
    task, _ = s.run("sleep 1000")
    s.run("exit 1", "TASK_FAILED")
    s.kill(task)
    s.status(task, "TASK_KILLED")
    s.do("SUPPRESS")
    for offer in list(s.held.values()):
        s.decline(offer)
    with Scheduler(c.master.address, name="visitor") as visitor:
        visitor.run("sleep 1000")
        eventually(equal)
    s.do("REVIVE")
    eventually(equal)
    c.add_agent()
    c.wait_agents(AGENTS + 1)
    lost = c.agent_id(c.agents[-1])
    s.run("sleep 1000", agent_id=lost)
    eventually(equal)
    c.agents[-1].kill9()
    eventually(lambda: get_json(c.master.address, "/state")["unreachable_slaves"] == 1, 30)
    # As in the reference, only an agent that says good-bye is removed by an event.
    eventually(lambda: equal(agents=False))
    assert lost in mirror.agents
    assert mirror.kinds[0] == "SUBSCRIBED" and {"TASK_ADDED", "TASK_UPDATED", "AGENT_ADDED", "FRAMEWORK_ADDED", "FRAMEWORK_REMOVED"} <= set(mirror.kinds)
    mirror.stream.close(mirror.thread)
