"""M3: the response codes of the v1 endpoints, case by case and in their order (features.md 1.0, 1.1, 11)."""
import base64
import json

import pytest

from harness.cluster import Cluster
from harness.http import JSON, PROTOBUF, Stream, eventually, get, request
from harness.scheduler import PATH, Scheduler

MASTER_PATHS = ["/api/v1", "/master/api/v1", "/api/v1/scheduler", "/master/api/v1/scheduler"]
AGENT_PATHS = ["/api/v1", "/slave(1)/api/v1", "/api/v1/executor", "/slave(1)/api/v1/executor"]
HEALTH = json.dumps({"type": "GET_HEALTH"})
SUBSCRIBE = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "codes"}}}


def addresses(cluster):
    return [(cluster.master.address, p) for p in MASTER_PATHS] + [(cluster.agent.address, p) for p in AGENT_PATHS]


def post(address, path, body, content=JSON, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return request(address, "POST", path, dict({"Content-Type": content}, **headers), body)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_405_other_methods(cluster, method):
    for address, path in addresses(cluster):
        a = request(address, method, path)
        assert a.status == 405 and a.headers["allow"] == "POST", (path, a)


def test_400_no_content_type(cluster):
    for address, path in addresses(cluster):
        assert request(address, "POST", path, {}, HEALTH).status == 400, path


@pytest.mark.parametrize("content", ["text/plain", "application/json; charset=utf-8", "Application/JSON", "application/x-www-form-urlencoded",
                                     "application/x-protobuf;a=b"])
def test_415_other_content_types(cluster, content):
    for address, path in addresses(cluster):
        assert post(address, path, HEALTH, content).status == 415, (path, content)


@pytest.mark.parametrize("body", ["", "{", "[]", "7", "null", '{"type":', '{"type":7}', '{"type":"GET_HEALTH"}}', "\xff\xfe", '{"type":{}}'])
def test_400_bodies_that_are_no_json(cluster, body):
    for address, path in addresses(cluster):
        assert post(address, path, body.encode("latin-1")).status == 400, (path, body)


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x08", b"\x0a\x50short", b"{}", b"\x07\x01"])
def test_400_bodies_that_are_no_protobuf(cluster, body):
    for address, path in addresses(cluster):
        assert post(address, path, body, PROTOBUF).status == 400, (path, body)


@pytest.mark.parametrize("call", [{}, {"type": "NO_SUCH_CALL"}])
def test_400_without_type(cluster, call):
    for address, path in addresses(cluster):
        a = post(address, path, json.dumps(call))
        # An unknown name is an unset type to one endpoint, UNKNOWN to the other; both are the caller's fault.
        assert a.status in ((400, 501) if call else (400,)), (path, a)


@pytest.mark.parametrize("kind", ["SET_LOGGING_LEVEL", "LIST_FILES", "READ_FILE", "GET_METRICS"])
def test_400_without_its_part(cluster, kind):
    for address in (cluster.master.address, cluster.agent.address):
        a = post(address, "/api/v1", json.dumps({"type": kind}))
        # The master's files and metrics are a later issue's, yet never more than 501.
        assert a.status in (400, 501), (address, a)
    assert post(cluster.agent.address, "/api/v1", json.dumps({"type": kind})).status == 400


def test_406_accept(cluster):
    for address, path in ((cluster.master.address, "/api/v1"), (cluster.agent.address, "/api/v1")):
        assert post(address, path, HEALTH, Accept="text/html").status == 406
        for good in ("*/*", JSON, PROTOBUF, "application/*", "text/html, application/json;q=0.2"):
            assert post(address, path, HEALTH, Accept=good).status == 200, good
        # Both allowed: JSON.
        assert post(address, path, HEALTH, Accept=PROTOBUF + ", " + JSON).headers["content-type"] == JSON
    a = post(cluster.master.address, PATH, json.dumps(SUBSCRIBE), Accept="text/html")
    assert a.status == 406


def test_order_of_checks(cluster):
    """When several things are wrong, the first of the list is told."""
    for address, path in addresses(cluster):
        assert request(address, "GET", path, {"Content-Type": "text/plain"}, "{").status == 405
        assert request(address, "POST", path, {"Accept": "text/html"}, "{").status == 400
        assert post(address, path, "{}", "text/plain", Accept="text/html").status == 415
        # Validation comes before Accept.
        assert post(address, path, "{}", Accept="text/html").status == 400


def test_health_in_both_encodings(cluster):
    for address in (cluster.master.address, cluster.agent.address):
        a = post(address, "/api/v1", HEALTH)
        assert a.status == 200 and a.headers["content-type"] == JSON
        assert a.json() == {"type": "GET_HEALTH", "get_health": {"healthy": True}}
        a = post(address, "/api/v1", b"\x08\x01", PROTOBUF, Accept=PROTOBUF)
        assert a.status == 200 and a.headers["content-type"] == PROTOBUF and a.body.endswith(b"\x08\x01")


def test_message_headers_on_a_plain_call(cluster):
    assert post(cluster.agent.address, "/api/v1", HEALTH, Message_Content_Type=JSON).status == 415
    assert post(cluster.agent.address, "/api/v1", HEALTH, Message_Accept=JSON).status == 406


def test_scheduler_subscribe_cases(cluster):
    m = cluster.master.address
    assert post(m, PATH, json.dumps({"type": "SUBSCRIBE"})).status == 400
    assert post(m, PATH, json.dumps({"type": "SUBSCRIBE", "subscribe": {}})).status == 400
    assert post(m, PATH, json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root"}}})).status == 400
    assert post(m, PATH, json.dumps(SUBSCRIBE), Mesos_Stream_Id="11111111-2222-3333-4444-555555555555").status == 400
    # The two ids must say the same.
    for outer, inner in (("a", "b"), ("a", None), (None, "b")):
        call = json.loads(json.dumps(SUBSCRIBE))
        if outer:
            call["framework_id"] = {"value": outer}
        if inner:
            call["subscribe"]["framework_info"]["id"] = {"value": inner}
        assert post(m, PATH, json.dumps(call)).status == 400, (outer, inner)


CALLS = {
    "ACCEPT": {"accept": {"offer_ids": []}}, "DECLINE": {"decline": {"offer_ids": []}}, "REVIVE": {}, "SUPPRESS": {}, "TEARDOWN": {},
    "KILL": {"kill": {"task_id": {"value": "t"}}}, "RECONCILE": {"reconcile": {"tasks": []}}, "REQUEST": {"request": {"requests": []}},
    "SHUTDOWN": {"shutdown": {"executor_id": {"value": "e"}, "agent_id": {"value": "a"}}},
    "ACKNOWLEDGE": {"acknowledge": {"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": base64.b64encode(b"u" * 16).decode()}},
    "MESSAGE": {"message": {"agent_id": {"value": "a"}, "executor_id": {"value": "e"}, "data": "YQ=="}},
}


@pytest.mark.parametrize("kind", sorted(CALLS))
def test_scheduler_call_cases(cluster, scheduler, kind):
    m = cluster.master.address

    def send(framework_id, stream_id, part=None):
        call = dict(CALLS[kind] if part is None else part, type=kind)
        if framework_id:
            call["framework_id"] = {"value": framework_id}
        return post(m, PATH, json.dumps(call), Mesos_Stream_Id=stream_id)
    assert send(None, scheduler.stream_id).status == 400                                    # no framework id
    assert send("nobody", scheduler.stream_id).status == 400                                # unknown framework
    assert send(scheduler.id, None).status == 400                                           # no stream id
    assert send(scheduler.id, "11111111-2222-3333-4444-555555555555").status == 400         # another stream's id
    assert send(scheduler.id, "not a uuid").status == 400
    if CALLS[kind]:
        assert send(scheduler.id, scheduler.stream_id, {}).status == 400                    # its part is missing
    a = send(scheduler.id, scheduler.stream_id)
    assert a.status == 202 and a.body == b"" and "content-type" not in a.headers


def test_acknowledge_wants_sixteen_bytes(cluster, scheduler):
    for raw in (b"", b"short", b"u" * 17):
        a = scheduler.call("ACKNOWLEDGE", {"agent_id": {"value": "a"}, "task_id": {"value": "t"},
                                           "uuid": base64.b64encode(raw).decode()})
        assert a.status == 400, raw


def test_403_known_but_not_connected(cluster):
    s = Scheduler(cluster.master.address, failover_timeout=60.0)
    s.subscribe()
    s.close()
    eventually(lambda: s.call("REVIVE").status == 403, 5)
    s.subscribe()
    s.teardown()


def test_501_is_for_unknown_calls_only(cluster):
    assert post(cluster.master.address, "/api/v1", json.dumps({"type": "UNKNOWN"})).status == 501
    s = post(cluster.master.address, PATH, json.dumps({"type": "UNKNOWN", "framework_id": {"value": "x"}}))
    assert s.status in (400, 501)


def test_update_framework_codes(cluster):
    info = {"user": "root", "name": "u", "roles": ["a"], "capabilities": [{"type": "MULTI_ROLE"}]}
    with Scheduler(cluster.master.address, ["MULTI_ROLE"], name="u", roles=["a"]) as s:
        own = dict(info, id={"value": s.id})
        assert s.call("UPDATE_FRAMEWORK", {"framework_info": dict(own, roles=["a", "b"])}).status == 200
        assert s.call("UPDATE_FRAMEWORK", {"framework_info": dict(own, user="nobody")}).status == 400
        assert s.call("UPDATE_FRAMEWORK", {"framework_info": dict(own, roles=["/bad"])}).status == 400


def test_404_paths(cluster):
    for d in (cluster.master, cluster.agent):
        assert get(d.address, "/nothing").status == 404
        assert get(d.address, "/api/v2").status == 404


def test_executor_cases(cluster):
    a = cluster.agent.address
    ids = {"executor_id": {"value": "e"}, "framework_id": {"value": "f"}}
    subscribe = dict(ids, type="SUBSCRIBE", subscribe={"unacknowledged_tasks": [], "unacknowledged_updates": []})
    assert post(a, "/api/v1/executor", json.dumps(subscribe)).status == 400                 # unknown framework
    assert post(a, "/api/v1/executor", json.dumps(dict(ids, type="SUBSCRIBE"))).status == 400
    assert post(a, "/api/v1/executor", json.dumps({"type": "SUBSCRIBE"})).status == 400
    assert post(a, "/api/v1/executor", json.dumps(dict(ids, type="UPDATE"))).status == 400
    assert post(a, "/api/v1/executor", json.dumps(dict(ids, type="MESSAGE", message={"data": "YQ=="}))).status == 400
    assert post(a, "/api/v1/executor", json.dumps(dict(ids, type="HEARTBEAT"))).status == 202


def test_307_or_503_when_not_leading_and_503_while_recovering():
    """With one master that leads at once, what is left of this row: the agent without a master serves, and redirects name the leader."""
    with Cluster(agents=0) as c:
        a = get(c.master.address, "/redirect")
        assert a.status == 307 and a.headers["location"] == "//" + c.master.address
        assert get(c.master.address, "/redirect/x").status == 404
        s = Stream(c.master.address, "/master" + PATH, json.dumps(SUBSCRIBE), {"Content-Type": JSON})
        assert s.answer.status == 200
        s.close()
