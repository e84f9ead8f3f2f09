"""M4: OFFERS for each agent, one role each; DECLINE with its filter; REVIVE and SUPPRESS."""
import time

from harness.http import get_json
from harness.scheduler import Scheduler, amount

AGENTS = 2


def all_offers(s, n, wait=5, since=0):
    found = []
    end = time.monotonic() + wait
    while len(found) < n:
        e = s.wait_for(lambda e: e["type"] == "OFFERS", max(0.01, end - time.monotonic()), since)
        since = next(i for i, x in enumerate(s.events) if x is e) + 1
        found += e["offers"]["offers"]
    return found


def quiet(s, seconds, since):
    """No offer for so long."""
    time.sleep(seconds)
    assert not [e for e in s.events[since:] if e["type"] == "OFFERS"], s.short()[since:]


def test_an_offer_of_each_agent(cluster, scheduler):
    offers = all_offers(scheduler, 2)
    assert sorted(o["agent_id"]["value"] for o in offers) == sorted(s["id"] for s in cluster.slaves())
    for o in offers:
        assert amount(o, "cpus") == 4 and amount(o, "mem") == 1024 and amount(o, "disk") == 2048
        assert [r["ranges"]["range"] for r in o["resources"] if r["name"] == "ports"] == [[{"begin": 31000, "end": 31099}]]
        assert o["framework_id"]["value"] == scheduler.id and o["hostname"] == "127.0.0.1"
        assert o["url"]["path"] == "/slave(1)" and o["url"]["address"]["port"] in cluster.ports
        # Not for a framework of one role of the old kind.
        assert "allocation_info" not in o and all("allocation_info" not in r for r in o["resources"])
    assert len({o["id"]["value"] for o in offers}) == 2
    shown = get_json(cluster.master.address, "/frameworks")["frameworks"]
    assert [len(f["offers"]) for f in shown if f["id"] == scheduler.id] == [2]


def test_one_role_an_offer(cluster):
    with Scheduler(cluster.master.address, ["MULTI_ROLE"], roles=["left", "right"]) as s:
        offers = all_offers(s, 2)
        assert sorted(o["allocation_info"]["role"] for o in offers) == ["left", "right"]
        for o in offers:
            assert {r["allocation_info"]["role"] for r in o["resources"]} == {o["allocation_info"]["role"]}


def test_decline_filters_for_the_seconds_given(scheduler):
    offers = all_offers(scheduler, 2)
    n = scheduler.mark()
    declined = time.monotonic()
    for o in offers:
        scheduler.decline(o, 2)
    e = scheduler.wait_for(lambda e: e["type"] == "OFFERS", 6, n)
    assert 1.9 <= e["at"] - declined < 4
    # Zero is no filter at all.
    o = e["offers"]["offers"][0]
    n = scheduler.mark()
    scheduler.decline(o, 0)
    again = scheduler.wait_for(lambda e: e["type"] == "OFFERS", 1.5, n)
    assert o["agent_id"] in [x["agent_id"] for x in again["offers"]["offers"]]


def test_default_filter_is_five_seconds(scheduler):
    offers = all_offers(scheduler, 2)
    n = scheduler.mark()
    declined = time.monotonic()
    for o in offers:
        scheduler.do("DECLINE", {"offer_ids": [o["id"]]})
    e = scheduler.wait_for(lambda e: e["type"] == "OFFERS", 8, n)
    assert 4.9 <= e["at"] - declined < 7


def test_revive_clears_filters(scheduler):
    for o in all_offers(scheduler, 2):
        scheduler.decline(o, 600)
    n = scheduler.mark()
    quiet(scheduler, 0.7, n)
    scheduler.do("REVIVE")
    assert len(all_offers(scheduler, 2, since=n)) == 2


def test_suppress_until_revive(scheduler):
    offers = all_offers(scheduler, 2)
    scheduler.do("SUPPRESS")
    n = scheduler.mark()
    for o in offers:
        scheduler.decline(o, 0)
    quiet(scheduler, 0.7, n)
    scheduler.do("REVIVE")
    assert len(all_offers(scheduler, 2, since=n)) == 2


def test_a_role_alone_is_suppressed(cluster):
    with Scheduler(cluster.master.address, ["MULTI_ROLE"], roles=["left", "right"]) as s:
        offers = all_offers(s, 2)
        s.do("SUPPRESS", {"roles": ["left"]})
        n = s.mark()
        for o in offers:
            s.decline(o, 0)
        assert {o["allocation_info"]["role"] for o in all_offers(s, 2, since=n)} == {"right"}
        # One bad role drops the call in silence.
        s.do("REVIVE", {"roles": ["left", "nobody"]})


def test_what_is_declined_goes_to_the_other_framework(cluster):
    with Scheduler(cluster.master.address, name="first") as a:
        offers = all_offers(a, 2)
        with Scheduler(cluster.master.address, name="second") as b:
            quiet(b, 0.5, 0)
            for o in offers:
                a.decline(o, 60)
            assert len(all_offers(b, 2)) == 2


def test_a_dead_agent_takes_its_offer_back(cluster):
    extra = cluster.add_agent()
    cluster.wait_agents(3)
    with Scheduler(cluster.master.address) as s:
        gone = cluster.agent_id(extra)
        offers = {o["agent_id"]["value"]: o["id"]["value"] for o in all_offers(s, 3)}
        extra.kill9()
        e = s.wait_for(lambda e: e["type"] == "RESCIND", 5)
        assert e["rescind"]["offer_id"]["value"] == offers[gone]
