"""M23: the maintenance schedule, by the operator API and by the older endpoints, with real agents."""
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get, get_json, post_json, request
from harness.scheduler import Scheduler

API = "/api/v1"


def api(cluster, kind, body=None):
    call = {"type": kind}
    if body is not None:
        call[kind.lower()] = body
    return post_json(cluster.master.address, API, call)


def machine(cluster):
    return {"hostname": "127.0.0.1", "ip": "127.0.0.1"}


def window(*machines, start_in=3600, length=600):
    return {"machine_ids": list(machines), "unavailability": {"start": {"nanoseconds": int((time.time() + start_in) * 1e9)},
                                                              "duration": {"nanoseconds": int(length * 1e9)}}}


def schedule(cluster, *windows):
    return post_json(cluster.master.address, "/maintenance/schedule", {"windows": list(windows)}).status


def machines(cluster, what, *ids):
    return post_json(cluster.master.address, "/machine/" + what, list(ids)).status


def status(cluster):
    return get_json(cluster.master.address, "/maintenance/status")


@pytest.fixture
def calm(cluster):
    """No schedule is left behind."""
    yield cluster
    for m in status(cluster).get("down_machines", []):
        assert machines(cluster, "up", m) == 200
    assert schedule(cluster) == 200


def test_both_faces_show_the_same(calm):
    m, other = machine(calm), {"hostname": "Elsewhere", "ip": "127.8.8.8"}
    w = window(m, other)
    assert get_json(calm.master.address, "/maintenance/schedule") == {} and status(calm) == {}
    assert schedule(calm, w) == 200
    assert get_json(calm.master.address, "/maintenance/schedule") == {"windows": [w]}
    a = api(calm, "GET_MAINTENANCE_SCHEDULE")
    assert a.json() == {"type": "GET_MAINTENANCE_SCHEDULE", "get_maintenance_schedule": {"schedule": {"windows": [w]}}}
    assert api(calm, "START_MAINTENANCE", {"machines": [{"hostname": "elsewhere", "ip": "127.8.8.8"}]}).status == 200
    assert status(calm) == {"draining_machines": [{"id": m}], "down_machines": [other]}
    a = api(calm, "GET_MAINTENANCE_STATUS")
    assert a.json()["get_maintenance_status"] == {"status": status(calm)}
    assert api(calm, "UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": [window(m)]}}).status == 400
    assert api(calm, "STOP_MAINTENANCE", {"machines": [other]}).status == 200
    assert get_json(calm.master.address, "/maintenance/schedule")["windows"][0]["machine_ids"] == [m]


def test_refusals(calm):
    where = calm.master.address
    m = machine(calm)
    assert schedule(calm, window()) == 400
    assert schedule(calm, window(m, m)) == 400
    assert schedule(calm, window({})) == 400
    assert schedule(calm, window({"ip": "no address"})) == 400
    assert schedule(calm, window(m, length=-1)) == 400
    assert machines(calm, "down", m) == 400 and machines(calm, "up", m) == 400 and machines(calm, "down") == 400
    for path, allowed in (("/maintenance/schedule", "GET, POST"), ("/maintenance/status", "GET"), ("/machine/down", "POST"),
                          ("/machine/up", "POST")):
        a = request(where, "DELETE", path)
        assert (a.status, a.headers["allow"]) == (405, allowed), a
    assert get(where, "/machine/down").status == 405
    for body in (b"{}", b"[", b"[1]", b"", b'"x"'):
        assert request(where, "POST", "/machine/down", {}, body).status == 400, body
    for body in (b"[]", b"{", b'{"windows":[{"machine_ids":[{"ip":"127.0.0.1"}]}]}'):
        assert request(where, "POST", "/maintenance/schedule", {}, body).status == 400, body
    for kind in ("UPDATE_MAINTENANCE_SCHEDULE", "START_MAINTENANCE", "STOP_MAINTENANCE"):
        assert api(calm, kind).status == 400


def test_offers_tell_of_it(calm):
    with Scheduler(calm.master.address) as s:
        first = s.offer()
        assert "unavailability" not in first
        n = s.mark()
        w = window(machine(calm))
        assert schedule(calm, w) == 200
        e = s.wait_for(lambda e: e["type"] == "RESCIND", 5, n)
        assert e["rescind"]["offer_id"] == first["id"]
        assert s.offer()["unavailability"] == w["unavailability"]


def test_a_machine_that_is_down():
    with Cluster() as c, Scheduler(c.master.address, checkpoint=True, failover_timeout=60.0) as s:
        m = machine(c)
        old = c.agent_id()
        task_id, _ = s.run("sleep 1000")
        assert schedule(c, window(m)) == 200
        n = s.mark()
        assert machines(c, "down", m) == 200
        st = s.end_of(task_id, since=n)
        assert (st["state"], st["reason"]) == ("TASK_LOST", "REASON_AGENT_REMOVED")
        assert s.wait_for(lambda e: e["type"] == "FAILURE", 5, n)["failure"]["agent_id"]["value"] == old
        assert c.agent.process.wait(20) is not None
        assert c.slaves() == []
        # Neither a new agent nor, after a restart, the new master's memory lets it in.
        c.master.kill9()
        c.master.start()
        assert status(c) == {"down_machines": [m]}
        c.agent.start(wait=False)
        assert c.agent.process.wait(20) is not None
        assert machines(c, "up", m) == 200
        assert get_json(c.master.address, "/maintenance/schedule") == {}
        c.agent.start()
        c.wait_agents(1)
        assert c.slaves()[0]["id"] != old
        eventually(lambda: c.processes() == [], 10)
