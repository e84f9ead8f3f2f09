"""M2: SUBSCRIBE in JSON and protobuf: 200, Mesos-Stream-Id, RecordIO SUBSCRIBED, HEARTBEAT at once and every 15 s."""
import json
import re
import time

import pytest

from harness.http import JSON, PROTOBUF, Stream, get_json, request
from harness.proto import pbref
from harness.scheduler import PATH, Scheduler

SECONDS = 15

MESSAGES = pbref.load()
AGENTS = 0
INFO = {"user": "root", "name": "subscriber"}
CALL = {"type": "SUBSCRIBE", "subscribe": {"framework_info": INFO}}
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def in_protobuf():
    call = MESSAGES["mesos.v1.scheduler.Call"]()
    call.type = call.SUBSCRIBE
    call.subscribe.framework_info.user = "root"
    call.subscribe.framework_info.name = "subscriber"
    return call.SerializeToString()


def decode(data, encoding):
    if encoding == JSON:
        return json.loads(data)
    event = MESSAGES["mesos.v1.scheduler.Event"].FromString(data)
    return pbref.to_json(event)


@pytest.mark.parametrize("sent,asked", [(JSON, JSON), (PROTOBUF, PROTOBUF), (JSON, PROTOBUF), (PROTOBUF, JSON), (JSON, None)])
def test_both_encodings_in_both_directions(cluster, sent, asked):
    body = json.dumps(CALL) if sent == JSON else in_protobuf()
    s = Stream(cluster.master.address, PATH, body, {"Content-Type": sent, "Accept": asked, "Connection": "close"})
    try:
        want = asked or JSON
        assert s.answer.status == 200
        # The type of the records, exactly; not of the stream.
        assert s.answer.headers["content-type"] == want
        assert s.answer.headers["transfer-encoding"] == "chunked"
        assert UUID.match(s.answer.headers["mesos-stream-id"])
        first, second = decode(s.record(), want), decode(s.record(), want)
        assert first["type"] == "SUBSCRIBED" and second["type"] == "HEARTBEAT"
        sub = first["subscribed"]
        master = get_json(cluster.master.address, "/state")
        assert re.match(r"^%s-\d{4}$" % master["id"], sub["framework_id"]["value"])
        assert sub["heartbeat_interval_seconds"] == 15
        assert sub["master_info"]["id"] == master["id"] and sub["master_info"]["port"] == cluster.master.flags["port"]
        # One record a chunk: clients that exist rely on it.
        assert all(re.match(rb"^\d+\n", c) and len(c) == len(c.split(b"\n")[0]) + 1 + int(c.split(b"\n")[0])
                   for c in s.chunks)
        if want == JSON:
            assert b"\n" not in s.chunks[0].split(b"\n", 1)[1] and b'": ' not in s.chunks[0]
    finally:
        s.close()


def test_stream_ids_and_framework_ids_differ(cluster):
    with Scheduler(cluster.master.address) as a, Scheduler(cluster.master.address) as b:
        assert a.id != b.id and a.stream_id != b.stream_id
        shown = {f["id"]: f for f in get_json(cluster.master.address, "/frameworks")["frameworks"]}
        assert shown[a.id]["active"] and shown[a.id]["connected"] and shown[b.id]["name"] == "test"


def test_heartbeats_every_15_seconds(cluster):
    with Scheduler(cluster.master.address) as s:
        first = s.wait_for(lambda e: e["type"] == "HEARTBEAT", 2)
        second = s.wait_for(lambda e: e["type"] == "HEARTBEAT" and e is not first, 18)
        assert 14 < second["at"] - first["at"] < 16.5


def test_null_means_unset_and_unknown_keys_are_ignored(cluster):
    call = {"type": "SUBSCRIBE", "framework_id": None, "accept": None, "later": {"field": [1]},
            "subscribe": {"framework_info": dict(INFO, role=None, id=None, colour="red"), "force": None}}
    s = Stream(cluster.master.address, PATH, json.dumps(call), {"Content-Type": JSON})
    try:
        assert json.loads(s.record())["type"] == "SUBSCRIBED"
    finally:
        s.close()


def test_an_id_chosen_by_the_client_is_taken(cluster):
    s = Scheduler(cluster.master.address, framework_id="chosen-by-me-0001")
    try:
        assert s.subscribe()["type"] == "SUBSCRIBED" and s.id == "chosen-by-me-0001"
    finally:
        s.teardown()


def test_teardown_ends_the_stream_and_the_id(cluster):
    s = Scheduler(cluster.master.address)
    s.subscribe()
    s.do("TEARDOWN")
    s.wait_end(5)
    again = s.subscribe()
    assert again["type"] == "ERROR" and "removed" in again["error"]["message"]
    s.wait_end(5)


@pytest.mark.parametrize("change,word", [
    ({"role": "a//b"}, "role"),
    ({"role": "a", "roles": ["b"], "capabilities": ["MULTI_ROLE"]}, "role"),
    ({"roles": ["a", "a"], "capabilities": ["MULTI_ROLE"]}, "role"),
    ({"roles": ["a"]}, "role"),
    ({"failover_timeout": 1e12}, "failover_timeout"),
])
def test_refusals_are_an_error_event(cluster, change, word):
    s = Scheduler(cluster.master.address, **change)
    first = s.subscribe()
    assert first["type"] == "ERROR" and word in first["error"]["message"]
    s.wait_end(5)


def test_gone_scheduler_without_timeout_is_removed(cluster):
    s = Scheduler(cluster.master.address)
    s.subscribe()
    s.close()
    end = time.monotonic() + 5
    while any(f["id"] == s.id for f in get_json(cluster.master.address, "/frameworks")["frameworks"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert any(f["id"] == s.id for f in get_json(cluster.master.address, "/frameworks")["completed_frameworks"])
    assert request(cluster.master.address, "GET", "/health").status == 200
