"""M14: quota limits and guarantees, force, rescind, consumption in /roles, and all of it after the master was killed."""
import time

import pytest

from harness.cluster import Cluster
from harness.greedy import Greedy, settled
from harness.http import eventually, get, get_json, post_json, request
from harness.scheduler import Scheduler, amount, scalar

SECONDS = 14

AGENT_FLAGS = {"resources": "cpus:6;mem:8192"}


@pytest.fixture
def quiet():
    """A cluster of its own: quota is the whole master's."""
    with Cluster(1, agent_flags=AGENT_FLAGS) as c:
        yield c


def values(amounts):
    return {k: {"value": float(v)} for k, v in (amounts or {}).items()}


def update(c, *configs, force=False, expect=200):
    """Each config: (role, guarantees, limits)."""
    a = post_json(c.master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {"force": force, "quota_configs": [
        {"role": r, "guarantees": values(g), "limits": values(l)} for r, g, l in configs]}})
    assert a.status == expect, a
    return a.body.decode()


def status(c):
    a = post_json(c.master.address, "/api/v1", {"type": "GET_QUOTA"})
    assert a.status == 200, a
    return a.json()["get_quota"]["status"]


def role(c, name):
    return {r["name"]: r for r in get_json(c.master.address, "/roles")["roles"]}[name]


def test_a_limit_caps_a_role(quiet):
    update(quiet, ("q", None, {"cpus": 2}))
    with Greedy(quiet.master.address, "q", 1, 256, name="x") as x, Greedy(quiet.master.address, "q", 1, 256, name="y") as y:
        assert sum(settled([x, y])) == 2
        assert all(amount(o, "cpus") <= 2 for o in x.seen + y.seen)
        # What is not limited rides along.
        assert max(amount(o, "mem") for o in x.seen + y.seen) > 4096
        q = role(quiet, "q")["quota"]
        assert q == {"role": "q", "guarantee": {}, "limit": {"cpus": 2.0}, "consumed": {"cpus": 2.0, "mem": 512.0}}
        update(quiet, ("q", None, {"cpus": 5}))
        eventually(lambda: x.tasks + y.tasks == 5)
        assert role(quiet, "q")["quota"]["consumed"]["cpus"] == 5.0


def test_a_limit_below_consumption_must_be_forced(quiet):
    with Greedy(quiet.master.address, "q", 1, 256, limit=3) as g:
        settled([g], quiet=0.5)
        why = update(quiet, ("q", None, {"cpus": 1}), expect=400)
        assert why.startswith("Invalid QuotaConfig: Role 'q' is already consuming 'cpus:3; mem:768'")
        assert status(quiet) == {}
        update(quiet, ("q", None, {"cpus": 1}), force=True)
        # Nothing is killed, nothing more is given.
        n = g.mark()
        g.limit = None
        g.do("REVIVE")
        time.sleep(1)
        assert g.tasks == 3
        assert not [o for e in g.events[n:] if e["type"] == "OFFERS" for o in e["offers"]["offers"] if amount(o, "cpus")]


def test_guarantees_hold_back_what_others_may_not_have(quiet):
    update(quiet, ("q", {"cpus": 4, "mem": 1024}, None))
    with Greedy(quiet.master.address, "other", 1, 256) as other:
        assert settled([other]) == [2]
        with Greedy(quiet.master.address, "q", 1, 256) as g:
            assert settled([g]) == [4]
        assert other.tasks == 2


def test_a_guarantee_takes_offers_of_others_back(quiet):
    with Scheduler(quiet.master.address, ["MULTI_ROLE"], roles=["other"]) as s:
        held = s.offer(cpus=6)["id"]["value"]
        update(quiet, ("q", {"cpus": 4}, None))
        e = s.wait_for(lambda e: e["type"] == "RESCIND")
        assert e["rescind"]["offer_id"]["value"] == held
        with Scheduler(quiet.master.address, ["MULTI_ROLE"], roles=["q"]) as q:
            assert amount(q.offer(cpus=4), "cpus") >= 4


def test_more_guarantees_than_capacity_must_be_forced(quiet):
    why = update(quiet, ("q", {"cpus": 4}, None), ("r", {"cpus": 4}, None), expect=400)
    assert "total quota guarantees 'cpus:8' exceed cluster capacity" in why and "(use 'force' flag" in why
    assert status(quiet) == {}
    update(quiet, ("q", {"cpus": 4}, None), ("r", {"cpus": 4}, None), force=True)
    assert [c["role"] for c in status(quiet)["configs"]] == ["q", "r"]


def test_what_no_force_allows(quiet):
    for config in (("eng/a", None, {"cpus": 1}), ("-x", None, {"cpus": 1}), ("q", None, {"cpus": -1}),
                   ("q", {"cpus": 2}, {"cpus": 1}), ("q", None, {"cpus": 1e13})):
        update(quiet, config, force=True, expect=400)
    assert status(quiet) == {}
    for body in ({}, {"update_quota": {"quota_configs": [{}]}}):
        assert post_json(quiet.master.address, "/api/v1", dict({"type": "UPDATE_QUOTA"}, **body)).status == 400


def test_reservations_are_consumed_by_whom_they_are_for():
    with Cluster(1, agent_flags={"resources": "cpus:2;mem:1024;cpus(q):3;mem(q):512"}) as c:
        assert role(c, "q")["quota"]["consumed"] == {"cpus": 3.0, "mem": 512.0}
        assert role(c, "q")["reserved"] == {"cpus": 3.0, "mem": 512.0}
        update(c, ("q", None, {"cpus": 2}), expect=400)
        update(c, ("q", None, {"cpus": 3}))
        with Scheduler(c.master.address, ["MULTI_ROLE", "RESERVATION_REFINEMENT"], roles=["q"]) as s:
            # What is reserved is offered, and of the rest as much as the limit leaves: nothing.
            o = s.offer()
            assert amount(o, "cpus") == 3 and all(r.get("reservations") for r in o["resources"] if r["name"] == "cpus")
            assert amount(o, "mem") == 1536
            assert role(c, "q")["quota"]["consumed"] == {"cpus": 3.0, "mem": 512.0}


def test_the_older_endpoint(quiet):
    request_body = '{"role":"q","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":2}}]}'
    address = quiet.master.address
    assert get_json(address, "/quota") == {}
    a = request(address, "POST", "/quota", {}, request_body)
    assert a.status == 200 and a.body == b"", a
    assert get_json(address, "/quota") == {
        "infos": [{"role": "q", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 2.0}}]}],
        "configs": [{"role": "q", "guarantees": {"cpus": {"value": 2.0}}, "limits": {"cpus": {"value": 2.0}}}]}
    again = request(address, "POST", "/quota", {}, request_body)
    assert again.status == 400 and b"which already has quota" in again.body
    assert request(address, "POST", "/quota", {}, "rubbish").status == 400
    too_much = request(address, "POST", "/quota", {}, request_body.replace('"q"', '"r"').replace(":2}", ":20}"))
    assert too_much.status == 409 and b"use 'force'" in too_much.body
    forced = request(address, "POST", "/quota", {}, '{"force":true,' + request_body.replace('"q"', '"r"').replace(":2}", ":20}")[1:])
    assert forced.status == 200
    wrong = request(address, "PUT", "/quota", {}, request_body)
    assert wrong.status == 405 and wrong.headers["allow"] == "GET, POST, DELETE"
    assert request(address, "DELETE", "/quota").status == 400
    assert request(address, "DELETE", "/master/quota/q").status == 200
    assert request(address, "DELETE", "/quota/q").status == 400
    assert request(address, "DELETE", "/quota/r").status == 200
    assert get_json(address, "/quota") == {}
    assert get(address, "/quota?jsonp=f").body == b"f({});"


def test_the_older_calls(quiet):
    def call(kind, body, expect=200):
        a = post_json(quiet.master.address, "/api/v1", {"type": kind, kind.lower(): body})
        assert a.status == expect, a

    call("SET_QUOTA", {"quota_request": {"role": "q", "guarantee": [scalar("cpus", 1)]}})
    assert status(quiet)["infos"][0]["guarantee"][0]["scalar"] == {"value": 1.0}
    call("SET_QUOTA", {"quota_request": {"role": "q", "guarantee": [scalar("cpus", 1)]}}, 400)
    call("REMOVE_QUOTA", {"role": "q"})
    call("REMOVE_QUOTA", {"role": "q"}, 400)
    update(quiet, ("q", None, {"cpus": 1}))
    update(quiet, ("q", None, None))
    assert status(quiet) == {"infos": [{"role": "q"}], "configs": [{"role": "q"}]}


def test_quota_outlives_the_master_and_waits_for_agents():
    with Cluster(2, {"allocator_agent_recovery_factor": "1"}, AGENT_FLAGS) as c:
        update(c, ("q", {"cpus": 1}, {"cpus": 2}), ("gone", None, {"cpus": 1}))
        update(c, ("gone", None, None))
        away = c.agents[1]
        away.freeze()
        c.master.kill9()
        c.master.start()
        assert status(c)["configs"] == [{"role": "q", "guarantees": values({"cpus": 1}), "limits": values({"cpus": 2})}]
        c.wait_agents(1)
        with Scheduler(c.master.address, ["MULTI_ROLE"], roles=["other"]) as s:
            time.sleep(1.5)
            assert not [e for e in s.events if e["type"] == "OFFERS"]
            away.thaw()
            assert amount(s.offer(), "cpus") > 0
        with Greedy(c.master.address, "q", 1, 256) as g:
            assert settled([g]) == [2]
