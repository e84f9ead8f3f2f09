"""M23: a framework that uses an agent is asked to leave it before its maintenance; what it answers is shown to operators."""
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler

MACHINE = {"hostname": "127.0.0.1", "ip": "127.0.0.1"}


def window(start_in=3600):
    return {"machine_ids": [MACHINE], "unavailability": {"start": {"nanoseconds": int((time.time() + start_in) * 1e9)},
                                                         "duration": {"nanoseconds": 600 * 10**9}}}


def schedule(cluster, *windows):
    assert post_json(cluster.master.address, "/maintenance/schedule", {"windows": list(windows)}).status == 200


def answers(cluster, s):
    """What the framework answered, as both faces show it."""
    old = get_json(cluster.master.address, "/maintenance/status")
    new = post_json(cluster.master.address, "/api/v1", {"type": "GET_MAINTENANCE_STATUS"}).json()["get_maintenance_status"]["status"]
    assert old == new
    found = [x for d in old.get("draining_machines", []) for x in d.get("statuses", []) if x["framework_id"]["value"] == s.id]
    assert all(abs(x["timestamp"]["nanoseconds"] / 1e9 - time.time()) < 60 for x in found)
    return [x["status"] for x in found]


def inverse(s, since=0, wait=10):
    offers = s.wait_for(lambda e: e["type"] == "INVERSE_OFFERS", wait, since)["inverse_offers"]["inverse_offers"]
    assert len(offers) == 1
    return offers[0]


def rescinded(s, offer, since):
    e = s.wait_for(lambda e: e["type"] == "RESCIND_INVERSE_OFFER", 10, since)
    assert e["rescind_inverse_offer"] == {"inverse_offer_id": offer["id"]}


def answer(s, kind, offer, seconds):
    s.do(kind, {"inverse_offer_ids": [offer["id"]], "filters": {"refuse_seconds": seconds}})


@pytest.fixture
def calm(cluster):
    yield cluster
    schedule(cluster)


def test_asked_and_answered(calm):
    w = window()
    with Scheduler(calm.master.address) as s:
        agent_id = calm.agent_id()
        s.run("sleep 1000")
        schedule(calm, w)
        offer = inverse(s)
        assert offer["framework_id"]["value"] == s.id and offer["agent_id"]["value"] == agent_id
        assert offer["unavailability"] == w["unavailability"] and not offer.get("resources")
        assert offer["url"] == {"scheme": "http", "path": "/slave(1)", "address": {
            "hostname": "127.0.0.1", "ip": "127.0.0.1", "port": int(calm.agent.address.split(":")[1])}}
        prefix, number = offer["id"]["value"].rsplit("-O", 1)
        assert agent_id.startswith(prefix)
        later = s.offer(agent_id)  # of the same counter, and it tells of the maintenance
        assert later["unavailability"] == w["unavailability"]
        assert later["id"]["value"] != offer["id"]["value"]
        n = s.mark()
        time.sleep(1)  # one at a time
        assert not [e for e in s.events[n:] if e["type"] == "INVERSE_OFFERS"]
        assert answers(calm, s) == []
        answer(s, "ACCEPT_INVERSE_OFFERS", offer, 2)
        eventually(lambda: answers(calm, s) == ["ACCEPT"], 5)
        begin = time.monotonic()
        again = inverse(s, n)
        assert 1 < time.monotonic() - begin < 6 and again["id"] != offer["id"]
        assert answers(calm, s) == ["ACCEPT"]  # the last answer, not the last question
        n = s.mark()
        answer(s, "DECLINE_INVERSE_OFFERS", again, 100)
        eventually(lambda: answers(calm, s) == ["DECLINE"], 5)
        time.sleep(1)
        assert not [e for e in s.events[n:] if e["type"] == "INVERSE_OFFERS"]
        s.do("REVIVE")  # clears this filter as well
        inverse(s, n)


def test_whose_answer_counts(calm):
    with Scheduler(calm.master.address) as s, Scheduler(calm.master.address) as other:
        s.run("sleep 1000")
        schedule(calm, window())
        offer = inverse(s)
        for kind in ("ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"):
            answer(other, kind, offer, 0)
            answer(s, kind, {"id": {"value": "nothing"}}, 0)
        assert answers(calm, s) == [] and answers(calm, other) == []
        answer(s, "ACCEPT_INVERSE_OFFERS", offer, 100)
        eventually(lambda: answers(calm, s) == ["ACCEPT"], 5)


def test_another_schedule_asks_anew(calm):
    with Scheduler(calm.master.address) as s:
        s.run("sleep 1000")
        schedule(calm, window())
        first = inverse(s)
        n = s.mark()
        w = window(7200)
        schedule(calm, w)
        rescinded(s, first, n)
        second = inverse(s, n)
        assert second["unavailability"] == w["unavailability"]
        answer(s, "ACCEPT_INVERSE_OFFERS", second, 100)
        eventually(lambda: answers(calm, s) == ["ACCEPT"], 5)
        n = s.mark()
        schedule(calm, window(9000))  # the filter was for the other one
        third = inverse(s, n)
        assert answers(calm, s) == []
        n = s.mark()
        schedule(calm)
        rescinded(s, third, n)
        time.sleep(1)
        assert not [e for e in s.events[n:] if e["type"] == "INVERSE_OFFERS"]


def test_rescinded_with_the_agent():
    with Cluster() as c, Scheduler(c.master.address, checkpoint=True, failover_timeout=600.0) as s:
        s.run("sleep 1000")
        schedule(c, window())
        first = inverse(s)
        n = s.mark()
        c.agent.freeze()
        assert post_json(c.master.address, "/api/v1", {"type": "DEACTIVATE_AGENT", "deactivate_agent": {
            "agent_id": first["agent_id"]}}).status == 200
        rescinded(s, first, n)
        c.agent.thaw()
        assert post_json(c.master.address, "/api/v1", {"type": "REACTIVATE_AGENT", "reactivate_agent": {
            "agent_id": first["agent_id"]}}).status == 200
        second = inverse(s, n, wait=20)
        # A new subscription knows nothing of the old one's; it is asked again.
        s.close()
        n = s.mark()
        s.subscribe()
        third = inverse(s, n, wait=20)
        assert third["id"] != second["id"]
        n = s.mark()
        assert post_json(c.master.address, "/machine/down", [MACHINE]).status == 200
        rescinded(s, third, n)


def test_offer_timeout():
    with Cluster(master_flags={"offer_timeout": "1secs"}) as c, Scheduler(c.master.address) as s:
        s.run("sleep 1000")
        schedule(c, window())
        first = inverse(s)
        n = s.mark()
        rescinded(s, first, n)
        assert inverse(s, n)["id"] != first["id"]
