"""M13, the master's side: reservations and volumes by offers, by operators' calls and by the older forms; what becomes of operations."""
import json
import urllib.parse

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json, request
from harness.scheduler import Scheduler, new_id, resources, scalar

SECONDS = 19

CAPABILITIES = ["PARTITION_AWARE", "MULTI_ROLE", "RESERVATION_REFINEMENT"]


def reserved(name, value, role="r", **more):
    return scalar(name, value, reservations=[{"type": "DYNAMIC", "role": role}], **more)


def volume(pid, size, role="r"):
    return reserved("disk", size, role, disk={"persistence": {"id": pid},
                                              "volume": {"container_path": "data", "mode": "RW"}})


def framework(c, role="r", **more):
    return Scheduler(c.master.address, CAPABILITIES, roles=[role], checkpoint=True, failover_timeout=60.0, **more)


def form(c, path, **fields):
    body = urllib.parse.urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()})
    return request(c.master.address, "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, body)


def call(c, kind, **fields):
    return post_json(c.master.address, "/api/v1", {"type": kind, kind.lower(): fields})


def v1(c, kind, agent_id, **fields):
    return call(c, kind, agent_id={"value": agent_id}, **fields)


def slave(c):
    return c.slaves()[0]


def held(c, role="r"):
    return slave(c)["reserved_resources"].get(role, {})


def volumes(c, role="r"):
    full = slave(c)["reserved_resources_full"].get(role, [])
    return {r["disk"]["persistence"]["id"]: r["scalar"]["value"] for r in full if r.get("disk", {}).get("persistence")}


def operations(c):
    a = post_json(c.master.address, "/api/v1", {"type": "GET_OPERATIONS"})
    assert a.status == 200, a
    return a.json()["get_operations"].get("operations", [])


def offer_with(s, want, wait=20.0):
    return eventually(lambda: next((o for o in list(s.held.values()) if want(o)), None), wait)


def has_volume(pid):
    return lambda o: any(r.get("disk", {}).get("persistence", {}).get("id") == pid for r in o["resources"])


def use(s, o, shell, *rs):
    """A task that takes these resources with some of the offer's free ones."""
    t = s.task(o, shell)
    t["resources"] = resources(0.1, 32) + [dict(r, allocation_info=o["allocation_info"]) for r in rs]
    s.launch(o, t)
    return t["task_id"]["value"]


# ---- the forms, through kills ----

def test_what_an_operator_reserves_and_makes_outlives_tasks_and_agents():
    with Cluster() as c:
        a = c.agent_id()
        assert form(c, "/reserve", slaveId=a, resources=[reserved("cpus", 1), reserved("disk", 100)]).status == 202
        assert (held(c)["cpus"], held(c)["disk"]) == (1, 100)  # at once
        v = volume("v1", 64)
        assert form(c, "/create-volumes", slaveId=a, volumes=[v]).status == 202
        assert volumes(c) == {"v1": 64}
        with framework(c) as s:
            end = s.end_of(use(s, offer_with(s, has_volume("v1")), "echo kept > data/f", v))
            assert end["state"] == "TASK_FINISHED", end
        c.agent.kill9()
        c.agent.start()
        eventually(lambda: c.agent_id() == a)
        c.wait_agents(1)
        assert (volumes(c), held(c)["disk"]) == ({"v1": 64}, 100)
        with framework(c) as s:
            task = use(s, offer_with(s, has_volume("v1")), "grep kept data/f && sleep 1000", v)
            s.status(task, "TASK_RUNNING")
            answer = form(c, "/destroy-volumes", slaveId=a, volumes=[v])
            assert answer.status == 400 and "in use" in answer.text, answer
            s.kill(task)
            s.end_of(task)
        assert form(c, "/unreserve", slaveId=a, resources=[reserved("disk", 100)]).status == 409  # the volume is on it
        assert form(c, "/destroy-volumes", slaveId=a, volumes=[v]).status == 202
        assert form(c, "/unreserve", slaveId=a, resources=[reserved("cpus", 1), reserved("disk", 100)]).status == 202
        assert not held(c)
        eventually(lambda: not get_json(c.agent.address, "/state")["reserved_resources"])


def test_both_formats_of_reservations(cluster):
    a = cluster.agent_id()
    old = scalar("cpus", 0.5, role="old", reservation={"principal": "p"})
    new = scalar("cpus", 0.5, reservations=[{"type": "DYNAMIC", "role": "old", "principal": "p"}])
    assert form(cluster, "/reserve", slaveId=a, resources=[old]).status == 202
    full = slave(cluster)["reserved_resources_full"]["old"]
    assert full[0]["reservations"] == new["reservations"] and full[0]["role"] == "old"
    assert form(cluster, "/unreserve", slaveId=a, resources=[new]).status == 202
    assert not held(cluster, "old")


GOOD = [reserved("cpus", 0.5)]


@pytest.mark.parametrize("path,fields,status,says", [
    ("/reserve", {"resources": GOOD}, 400, "Missing 'slaveId'"),
    ("/reserve", {"slaveId": "ID"}, 400, "Missing 'resources'"),
    ("/unreserve", {"slaveId": "ID"}, 400, "Missing 'resources'"),
    ("/create-volumes", {"slaveId": "ID"}, 400, "Missing 'volumes'"),
    ("/destroy-volumes", {"slaveId": "ID"}, 400, "Missing 'volumes'"),
    ("/reserve", {"slaveId": "ID", "resources": "x["}, 400, "'resources'"),
    ("/reserve", {"slaveId": "ID", "resources": {}}, 400, "'resources'"),
    ("/reserve", {"slaveId": "ID", "resources": [{"name": 7}]}, 400, "name"),
    ("/reserve", {"slaveId": "ID", "resources": GOOD, "source": "]"}, 400, "'source'"),
    ("/reserve", {"slaveId": "nobody", "resources": GOOD}, 400, "No agent found"),
    ("/reserve", {"slaveId": "ID", "resources": [scalar("cpus", 0.5)]}, 400, "not dynamically reserved"),
    ("/reserve", {"slaveId": "ID", "resources": [reserved("cpus", -1)]}, 400, "invalid"),
    ("/reserve", {"slaveId": "ID", "resources": [reserved("cpus", 99)]}, 409, "does not contain"),
    ("/unreserve", {"slaveId": "ID", "resources": GOOD}, 409, "does not contain"),
    ("/unreserve", {"slaveId": "ID", "resources": [volume("v", 1)]}, 400, "destroyed before"),
    ("/create-volumes", {"slaveId": "ID", "volumes": GOOD}, 400, "not a persistent volume"),
    ("/create-volumes", {"slaveId": "ID", "volumes": [volume("v", 1)]}, 409, "does not contain"),
    ("/destroy-volumes", {"slaveId": "ID", "volumes": [volume("v", 1)]}, 400, "not found"),
])
def test_a_form_that_is_refused(cluster, path, fields, status, says):
    before = slave(cluster)["reserved_resources_full"]
    fields = {k: cluster.agent_id() if v == "ID" else v for k, v in fields.items()}
    answer = form(cluster, path, **fields)
    assert answer.status == status and says in answer.text, (answer, answer.text)
    assert slave(cluster)["reserved_resources_full"] == before


def test_forms_are_posted(cluster):
    for path in ("/reserve", "/unreserve", "/create-volumes", "/destroy-volumes"):
        answer = request(cluster.master.address, "GET", path)
        assert answer.status == 405 and answer.headers["allow"] == "POST", answer


# ---- the operator API ----

def test_the_calls_of_the_operator():
    with Cluster() as c:
        a = c.agent_id()
        steps = [
            ("RESERVE_RESOURCES", {"resources": [reserved("disk", 100)]}, 100, {}),
            ("CREATE_VOLUMES", {"volumes": [volume("v", 40)]}, 100, {"v": 40}),
            ("GROW_VOLUME", {"volume": volume("v", 40), "addition": reserved("disk", 20)}, 100, {"v": 60}),
            ("SHRINK_VOLUME", {"volume": volume("v", 60), "subtract": {"value": 35}}, 100, {"v": 25}),
            ("DESTROY_VOLUMES", {"volumes": [volume("v", 25)]}, 100, {}),
            ("RESERVE_RESOURCES", {"source": [reserved("disk", 60)], "resources": [reserved("disk", 60, "r/sub")]}, 40, {}),
            ("UNRESERVE_RESOURCES", {"resources": [reserved("disk", 40)]}, 0, {}),
        ]
        for kind, fields, disk, vols in steps:
            answer = v1(c, kind, a, **fields)
            assert (answer.status, answer.body) == (202, b""), (kind, answer)
            assert (held(c).get("disk", 0), volumes(c)) == (disk, vols), kind
        assert held(c, "r/sub")["disk"] == 60
        # The agent has done all of it, and the master has acknowledged that to it.
        eventually(lambda: not operations(c))
        assert get_json(c.agent.address, "/state")["reserved_resources"]["r/sub"]["disk"] == 60
        m = c.master.metrics()
        assert m["master/operations/finished"] == len(steps) and m["master/operations/pending"] == 0


@pytest.mark.parametrize("kind,fields,status", [
    ("RESERVE_RESOURCES", {"resources": [scalar("cpus", 1)]}, 400),
    ("RESERVE_RESOURCES", {"resources": [reserved("cpus", 99)]}, 409),
    ("RESERVE_RESOURCES", {"resources": [reserved("cpus", 1)], "source": [scalar("cpus", 2)]}, 400),
    ("UNRESERVE_RESOURCES", {"resources": [reserved("cpus", 1)]}, 409),
    ("CREATE_VOLUMES", {"volumes": [volume("v", 1)]}, 409),
    ("DESTROY_VOLUMES", {"volumes": [volume("v", 1)]}, 400),
    ("GROW_VOLUME", {"volume": volume("v", 1), "addition": reserved("disk", 1)}, 409),
    ("SHRINK_VOLUME", {"volume": volume("v", 1), "subtract": {"value": 1}}, 400),
])
def test_a_call_that_is_refused(cluster, kind, fields, status):
    assert v1(cluster, kind, cluster.agent_id(), **fields).status == status
    assert v1(cluster, kind, "nobody", **fields).status == 400
    assert post_json(cluster.master.address, "/api/v1", {"type": kind}).status == 400


def test_offers_are_rescinded_when_it_takes_them():
    with Cluster() as c, framework(c, "x") as s:
        a = c.agent_id()
        o = s.offer()
        n = s.mark()
        assert v1(c, "RESERVE_RESOURCES", a, resources=[reserved("cpus", 99)]).status == 409
        assert v1(c, "RESERVE_RESOURCES", a, resources=[reserved("cpus", 3.5)]).status == 202
        gone = s.wait_for(lambda e: e["type"] == "RESCIND", since=n)
        assert gone["rescind"]["offer_id"] == o["id"]
        assert sum(e["type"] == "RESCIND" for e in s.events[n:]) == 1
        # What is left comes back, but not before five seconds have passed.
        back = s.wait_for(lambda e: e["type"] == "OFFERS", since=n)
        assert back["at"] - gone["at"] > 4
        left = back["offers"]["offers"][0]["resources"]
        assert [r["scalar"]["value"] for r in left if r["name"] == "cpus"] == [0.5]


# ---- by offers ----

def op(kind, part, oid=None, **fields):
    return dict({"type": kind, part: fields}, **({"id": {"value": oid}} if oid else {}))


def status_of(s, oid, since=0, wait=20.0):
    def its(e):
        return e["type"] == "UPDATE_OPERATION_STATUS" and \
            e["update_operation_status"]["status"].get("operation_id", {}).get("value") == oid
    return s.wait_for(its, wait, since)["update_operation_status"]["status"]


def acknowledge(s, status):
    s.do("ACKNOWLEDGE_OPERATION_STATUS", {"agent_id": status["agent_id"], "operation_id": status["operation_id"],
                                          "uuid": status["uuid"]["value"]})


def reconcile(s, oid, agent_id=None):
    n = s.mark()
    body = {"operation_id": {"value": oid}}
    if agent_id:
        body["agent_id"] = {"value": agent_id}
    s.do("RECONCILE_OPERATIONS", {"operations": [body]})
    status = status_of(s, oid, n)
    assert "uuid" not in status
    return status["state"]


def test_a_reservation_is_refined_by_offer(cluster):
    with framework(cluster, "top/sub") as s:
        a = cluster.agent_id()
        assert v1(cluster, "RESERVE_RESOURCES", a, resources=[reserved("cpus", 0.5, "top")]).status == 202
        refined = scalar("cpus", 0.2, reservations=[{"type": "DYNAMIC", "role": r} for r in ("top", "top/sub")])
        o = offer_with(s, lambda o: any(r.get("reservations") for r in o["resources"]))
        s.accept(o, [op("RESERVE", "reserve", resources=[refined])])
        eventually(lambda: held(cluster, "top/sub").get("cpus") == 0.2)
        o = offer_with(s, lambda o: any(len(r.get("reservations", [])) == 2 for r in o["resources"]))
        s.accept(o, [op("UNRESERVE", "unreserve", resources=[refined])])
        eventually(lambda: held(cluster, "top").get("cpus") == 0.5)
        assert v1(cluster, "UNRESERVE_RESOURCES", a, resources=[reserved("cpus", 0.5, "top")]).status == 202


def test_feedback_is_kept_until_it_is_acknowledged():
    with Cluster() as c, framework(c) as s:
        good, bad, free = new_id("op"), new_id("op"), new_id("op")
        s.accept(s.offer(), [op("RESERVE", "reserve", good, resources=[reserved("cpus", 1)]),
                             op("RESERVE", "reserve", bad, resources=[reserved("cpus", 99)]),
                             op("UNRESERVE", "unreserve", None, resources=[reserved("cpus", 0.5)])])
        error = status_of(s, bad)
        assert error["state"] == "OPERATION_ERROR" and error["message"] and "uuid" not in error
        done = status_of(s, good)
        assert done["state"] == "OPERATION_FINISHED" and done["agent_id"]["value"] == c.agent_id()
        assert "converted_resources" not in done
        listed = eventually(lambda: [o for o in operations(c) if o["info"].get("id", {}).get("value") == good])
        assert listed[0]["latest_status"]["state"] == "OPERATION_FINISHED"
        assert listed[0]["framework_id"]["value"] == s.id
        assert reconcile(s, good, c.agent_id()) == reconcile(s, good) == "OPERATION_FINISHED"
        assert reconcile(s, free, c.agent_id()) == reconcile(s, free) == reconcile(s, free, "x") == "OPERATION_UNKNOWN"
        acknowledge(s, done)
        eventually(lambda: not operations(c))
        assert reconcile(s, good) == "OPERATION_UNKNOWN"


def test_a_status_outlives_the_master():
    with Cluster() as c, framework(c) as s:
        oid = new_id("op")
        s.accept(s.offer(), [op("RESERVE", "reserve", oid, resources=[reserved("cpus", 1)])])
        first = status_of(s, oid)
        c.master.kill9()
        c.master.start()
        s.wait_end()
        n = s.mark()
        c.wait_agents(1)
        s.subscribe()
        assert held(c)["cpus"] == 1
        again = status_of(s, oid, n, wait=40)
        assert again["uuid"] == first["uuid"]
        assert reconcile(s, oid, c.agent_id()) == "OPERATION_FINISHED"
        acknowledge(s, again)
        eventually(lambda: not operations(c))


def test_operations_of_lost_and_gone_agents():
    with Cluster(agents=2, master_flags={"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": 1}) as c, \
            framework(c) as s:
        ids = [c.agent_id(a) for a in c.agents]
        ops = [new_id("op"), new_id("op")]
        for agent_id, oid in zip(ids, ops):
            s.accept(s.offer(agent_id), [op("RESERVE", "reserve", oid, resources=[reserved("cpus", 1)])])
            status_of(s, oid)
        n = s.mark()
        assert v1(c, "MARK_AGENT_GONE", ids[1]).status == 200
        assert status_of(s, ops[1], n)["state"] == "OPERATION_GONE_BY_OPERATOR"
        c.agent.freeze()
        lost = status_of(s, ops[0], n)
        assert lost["state"] == "OPERATION_UNREACHABLE" and lost["agent_id"]["value"] == ids[0]
        assert reconcile(s, ops[0], ids[0]) == "OPERATION_UNREACHABLE"
        assert reconcile(s, ops[1], ids[1]) == "OPERATION_GONE_BY_OPERATOR"
        c.agent.thaw()
        c.wait_agents(1)
        eventually(lambda: reconcile(s, ops[0], ids[0]) == "OPERATION_FINISHED")
