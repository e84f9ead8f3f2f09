"""Which offers a framework gets and which it does not: constraints, filters, minima, suppression, fault domains, GPUs, time."""
import json
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, amount, scalar

SECONDS = 41

QUIET = 0.7  # three allocations


def domain(region, zone):
    return json.dumps({"fault_domain": {"region": {"name": region}, "zone": {"name": zone}}})


@pytest.fixture(scope="module")
def cluster():
    """Three agents, `far` in another region than the master's."""
    with Cluster(0, {"domain": domain("eu", "z0")}) as c:
        c.add_agent({"hostname": "near1", "attributes": "rack:r1;os:centos7;level:3", "domain": domain("eu", "z1")})
        c.add_agent({"hostname": "near2", "attributes": "rack:r22;span:[10-20]", "domain": domain("eu", "z2")})
        c.add_agent({"hostname": "far", "domain": domain("us", "z1")})
        c.wait_agents(3)
        yield c


ALL = {"near1", "near2", "far"}


def hosts(s):
    with s.lock:
        return {o["hostname"] for o in s.held.values()}


def offered(s, expected, quiet=QUIET):
    """Those hosts' offers come, and for some time no other's."""
    try:
        eventually(lambda: hosts(s) >= expected, 5)
        time.sleep(quiet)
        assert hosts(s) == expected
    except AssertionError as e:
        raise AssertionError("offers of %s, not of %s: %s; %s" % (hosts(s), expected, s.short()[-10:], e))


def aware(cluster, *capabilities, **more):
    return Scheduler(cluster.master.address, ["REGION_AWARE", *capabilities], **more)


def debug(cluster):
    return get_json(cluster.master.address, "/allocator/offer_constraints_debug")["frameworks"]


# ---- offer constraints ----

def attribute(name):
    return {"attribute_name": name}


def pseudo(kind):
    return {"pseudoattribute_type": kind}


def constraint(selector, predicate, value=None):
    body = {} if value is None else {"regex" if "matches" in predicate else "value": value}
    return {"selector": selector, "predicate": {predicate: body}}


def constraints(*groups, role="*"):
    return {"role_constraints": {role: {"groups": [{"attribute_constraints": list(g)} for g in groups]}}}


HOST, REGION, ZONE = pseudo("HOSTNAME"), pseudo("REGION"), pseudo("ZONE")
PREDICATES = [
    (constraint(attribute("rack"), "exists"), {"near1", "near2"}),
    (constraint(attribute("rack"), "not_exists"), {"far"}),
    (constraint(attribute("rack"), "text_equals", "r1"), {"near1"}),
    (constraint(attribute("rack"), "text_not_equals", "r1"), {"near2", "far"}),
    (constraint(attribute("rack"), "text_matches", "r[0-9]"), {"near1"}),  # the whole of it
    (constraint(attribute("rack"), "text_matches", "r[0-9]+"), {"near1", "near2"}),
    (constraint(attribute("rack"), "text_not_matches", "r[0-9]"), {"near2", "far"}),
    (constraint(attribute("os"), "text_matches", "(?i)CENT.*"), {"near1"}),
    # What is no text passes all that is said of text.
    (constraint(attribute("level"), "text_equals", "4"), {"near1"}),
    (constraint(attribute("level"), "text_not_equals", "3"), ALL),
    (constraint(attribute("span"), "text_matches", "nothing"), {"near2"}),
    (constraint(attribute("span"), "text_not_matches", ".*"), ALL),
    (constraint(HOST, "text_equals", "near2"), {"near2"}),
    (constraint(HOST, "text_matches", "near."), {"near1", "near2"}),
    (constraint(HOST, "exists"), ALL),
    (constraint(REGION, "text_equals", "us"), {"far"}),
    (constraint(REGION, "text_not_equals", "us"), {"near1", "near2"}),
    (constraint(ZONE, "text_matches", "z1"), {"near1", "far"}),
    (constraint(ZONE, "not_exists"), set()),
]


@pytest.mark.parametrize("one,expected", PREDICATES)
def test_constraints(cluster, one, expected):
    with aware(cluster, beside={"offer_constraints": constraints([one])}) as s:
        offered(s, expected)
        ids = {a["hostname"]: a["id"] for a in cluster.slaves()}
        shown = debug(cluster)[s.id]
        assert shown["suppressed_roles"] == []
        assert sorted(shown["excluded_by_attribute_constraints"]["*"]) == sorted(ids[h] for h in ALL - expected)


def test_groups_are_alternatives_and_inside_all_must_hold(cluster):
    rack, far = constraint(attribute("rack"), "exists"), constraint(REGION, "text_equals", "us")
    z1 = constraint(ZONE, "text_equals", "z1")
    with aware(cluster, beside={"offer_constraints": constraints([rack, z1], [far])}) as s:
        offered(s, {"near1", "far"})


def test_each_role_has_its_own(cluster):
    near2 = constraint(HOST, "text_equals", "near2")
    with aware(cluster, "MULTI_ROLE", roles=["a", "b"], beside={"offer_constraints": constraints([near2], role="a")}) as s:
        offered(s, ALL)
        with s.lock:
            assert {o["hostname"] for o in s.held.values() if o["allocation_info"]["role"] == "a"} <= {"near2"}
        assert len(debug(cluster)[s.id]["excluded_by_attribute_constraints"]["a"]) == 2
        assert debug(cluster)[s.id]["excluded_by_attribute_constraints"]["b"] == []



def test_constraints_change_with_the_framework(cluster):
    with aware(cluster, beside={"offer_constraints": constraints([constraint(HOST, "text_equals", "near1")])}) as s:
        offered(s, {"near1"})
        answer = s.call("UPDATE_FRAMEWORK", None, update_framework={
            "framework_info": dict(s.info, id={"value": s.id}),
            "offer_constraints": constraints([constraint(HOST, "text_equals", "far")])})
        assert answer.status == 200, answer
        offered(s, {"near1", "far"})  # what was offered stays
        shown = [f for f in get_json(cluster.master.address, "/frameworks")["frameworks"] if f["id"] == s.id][0]
        assert shown["offer_constraints"]["role_constraints"]["*"]["groups"]
        # Without constraints all agents are for it again.
        answer = s.call("UPDATE_FRAMEWORK", None, update_framework={"framework_info": dict(s.info, id={"value": s.id})})
        assert answer.status == 200, answer
        offered(s, ALL)


BAD = [
    ({"role_constraints": {"*": {"groups": []}}}, "groups"),
    (constraints([]), "group"),
    (constraints([constraint({}, "exists")]), "selector"),
    (constraints([constraint(pseudo("UNKNOWN"), "exists")]), "pseudo"),
    (constraints([{"selector": HOST, "predicate": {}}]), "predicate"),
    (constraints([constraint(HOST, "text_matches", "(")]), "'('"),
    (constraints([constraint(HOST, "text_matches", "(a|b|c){40}")]), "(a|b|c){40}"),
    (constraints([constraint(HOST, "text_not_matches", r"(?i)\w{50}")]), r"\w{50}"),
    (constraints([constraint(HOST, "exists")], role="other"), "other"),
]


@pytest.mark.parametrize("bad,word", BAD)
def test_bad_constraints_are_refused(cluster, bad, word):
    s = aware(cluster, beside={"offer_constraints": bad})
    first = s.subscribe()
    assert first["type"] == "ERROR" and word in first["error"]["message"], first
    s.wait_end()
    s.close()
    with aware(cluster) as s:
        offered(s, ALL, 0)
        answer = s.call("UPDATE_FRAMEWORK", None, update_framework={"framework_info": dict(s.info, id={"value": s.id}),
                                                                    "offer_constraints": bad})
        assert answer.status == 400 and word in answer.text, answer


def test_bounds_of_regular_expressions_are_flags():
    """What the usual bounds allow is refused under small ones, and the other way round."""
    ok, big = "near[0-9]+", r"(?i)\w{50}"
    for flags, pattern, first in [({}, ok, "SUBSCRIBED"), ({}, big, "ERROR"),
                                  ({"offer_constraints_re2_max_program_size": 5}, ok, "ERROR"),
                                  ({"offer_constraints_re2_max_mem": "64B"}, ok, "ERROR"),
                                  ({"offer_constraints_re2_max_mem": "8MB", "offer_constraints_re2_max_program_size": 100000}, big,
                                   "SUBSCRIBED")]:
        with Cluster(0, flags) as c:
            s = Scheduler(c.master.address, beside={"offer_constraints": constraints([constraint(HOST, "text_matches", pattern)])})
            event = s.subscribe()
            assert event["type"] == first, (flags, pattern, event)
            s.teardown()


# ---- fault domains ----

def test_offers_name_the_domain(cluster):
    with aware(cluster) as s:
        offered(s, ALL, 0)
        for o in s.held.values():
            zone = {"near1": "z1", "near2": "z2", "far": "z1"}[o["hostname"]]
            assert o["domain"] == json.loads(domain("us" if o["hostname"] == "far" else "eu", zone))
    shown = {a["hostname"]: a["domain"]["fault_domain"]["region"]["name"] for a in cluster.slaves()}
    assert shown == {"near1": "eu", "near2": "eu", "far": "us"}


def test_other_regions_are_for_those_who_know_of_them(cluster, scheduler):
    offered(scheduler, {"near1", "near2"})


# ---- decline filters ----

def fill(s, host, cpus, mem, seconds=600.0, **more):
    """A sleeping task that takes so much of that agent; the rest of the offer is declined for `seconds`."""
    offer = next(o for o in list(s.held.values()) if o["hostname"] == host)
    t = s.task(offer, "sleep 600", cpus=cpus, mem=mem, **more)
    s.launch(offer, t, seconds=seconds)
    s.status(t["task_id"]["value"], "TASK_RUNNING")
    return t["task_id"]["value"]


def stop(s, task):
    s.kill(task)
    s.status(task, "TASK_KILLED")


def decline_all(s, seconds, only=None):
    for o in list(s.held.values()):
        if only is None or o["hostname"] == only:
            s.decline(o, seconds)


def test_a_filter_hides_subsets_and_no_more(cluster):
    with aware(cluster, name="other") as other:
        offered(other, ALL, 0)
        task = fill(other, "near1", 1, 64)  # of 4 and 1024; the rest is declined
        with aware(cluster, name="first") as s:
            offered(s, {"near1"})
            assert [amount(o, "cpus") for o in s.held.values()] == [3]
            decline_all(s, 600)
            stop(other, task)
            # All 4 are more than either declined: one is offered them, and when it declines, too, the other.
            takers = []
            for _ in range(2):
                x = eventually(lambda: next((x for x in (s, other) if "near1" in hosts(x)), None))
                takers.append(x.info["name"])
                assert [amount(o, "cpus") for o in x.held.values() if o["hostname"] == "near1"] == [4]
                decline_all(x, 600, "near1")
            assert sorted(takers) == ["first", "other"]
            time.sleep(QUIET)
            assert "near1" not in hosts(s) | hosts(other)


def test_less_than_was_declined_is_hidden(cluster):
    with aware(cluster, name="first") as s:
        offered(s, ALL, 0)
        decline_all(s, 600)
        with aware(cluster, name="second") as other:
            offered(other, ALL)
            task = fill(other, "near1", 3, 64, seconds=600)
            offered(s, set())
            stop(other, task)
            offered(other, ALL)  # more than the 1 cpu that it declined
            offered(s, set())


def test_revive_is_by_role(cluster):
    with aware(cluster, "MULTI_ROLE", roles=["a", "b"]) as s:
        def held_by(role):
            with s.lock:
                return {o["hostname"] for o in s.held.values() if o["allocation_info"]["role"] == role}

        offered(s, ALL, 0)
        for _ in range(3):  # each agent's offer in turn by either role
            decline_all(s, 600)
            time.sleep(QUIET)
        offered(s, set())
        s.do("REVIVE", {"roles": ["a"]})
        eventually(lambda: held_by("a") == ALL)
        assert not held_by("b")
        s.do("SUPPRESS", {"roles": ["a"]})
        decline_all(s, 0)
        offered(s, set())
        assert debug(cluster)[s.id]["suppressed_roles"] == ["a"]
        s.do("REVIVE", {"roles": ["b"]})
        eventually(lambda: held_by("b") == ALL)
        assert not held_by("a")
        s.do("REVIVE")
        decline_all(s, 600)
        eventually(lambda: held_by("a") == ALL)


def test_suppressed_from_the_beginning(cluster):
    with aware(cluster, "MULTI_ROLE", roles=["a", "b"], beside={"suppressed_roles": ["a"]}) as s:
        offered(s, ALL)
        assert {o["allocation_info"]["role"] for o in s.held.values()} == {"b"}
        answer = s.call("UPDATE_FRAMEWORK", None, update_framework={"framework_info": dict(s.info, id={"value": s.id}),
                                                                    "suppressed_roles": ["b"]})
        assert answer.status == 200, answer
        for o in list(s.held.values()):
            s.decline(o, 0)
        eventually(lambda: hosts(s) == ALL)
        assert {o["allocation_info"]["role"] for o in s.held.values()} == {"a"}


def test_offers_of_a_role_that_is_given_up_are_rescinded(cluster):
    with aware(cluster, "MULTI_ROLE", roles=["a"]) as s:
        offered(s, ALL, 0)
        old = set(s.held)
        answer = s.call("UPDATE_FRAMEWORK", None, update_framework={"framework_info": dict(s.info, roles=["b"], id={"value": s.id})})
        assert answer.status == 200, answer
        eventually(lambda: {e["rescind"]["offer_id"]["value"] for e in s.events if e["type"] == "RESCIND"} == old)
        eventually(lambda: hosts(s) == ALL)
        assert {o["allocation_info"]["role"] for o in s.held.values()} == {"b"}


# ---- how little is worth an offer ----

def minimum(*sets, role="*"):
    """offer_filters of a role; each set is a dict from name to amount."""
    quantities = [{"quantities": {k: {"value": v} for k, v in one.items()}} for one in sets]
    return {role: {"min_allocatable_resources": {"quantities": quantities}}}


def taken(cluster, cpus, mem):
    """A framework that holds so much of near1, and nothing else."""
    s = aware(cluster, name="holder")
    s.subscribe()
    eventually(lambda: hosts(s) == ALL)
    fill(s, "near1", cpus, mem)
    s.do("SUPPRESS")
    decline_all(s, 0)
    return s


@pytest.mark.parametrize("filters,expected", [
    ({}, True),                                               # 0.01 cpus or 32 MB
    (minimum({"cpus": 2}), True),
    (minimum({"cpus": 2.5}), False),
    (minimum({"cpus": 2, "mem": 600}), False),                # both of one set
    (minimum({"cpus": 3}, {"mem": 500}), True),               # or another set
    (minimum({"cpus": 3}, {"mem": 600}), False),
    (minimum({"gpus": 1}), False),
    (minimum(), True),
])
def test_minimum_of_the_framework(cluster, filters, expected):
    """2 cpus and 512 MB are left of near1."""
    holder = taken(cluster, 2, 512)
    try:
        with aware(cluster, offer_filters=filters) as s:
            if any("gpus" in q["quantities"] for f in filters.values() for q in f["min_allocatable_resources"]["quantities"]):
                offered(s, set())
            else:
                offered(s, ALL if expected else ALL - {"near1"})
    finally:
        holder.teardown()


def test_minimum_of_the_master_and_none(cluster):
    """Nothing but 16 MB, disk and ports are left of near1."""
    holder = taken(cluster, 4, 1024 - 16)
    try:
        with aware(cluster) as s:
            offered(s, ALL - {"near1"})
        with aware(cluster, offer_filters=minimum()) as s:
            offered(s, ALL)
            left = next(o for o in s.held.values() if o["hostname"] == "near1")
            assert amount(left, "mem") == 16 and amount(left, "cpus") == 0 and amount(left, "disk") == 2048
        with aware(cluster, offer_filters=minimum({"disk": 1000})) as s:
            offered(s, ALL)
    finally:
        holder.teardown()


def test_minimum_is_by_role(cluster):
    with aware(cluster, "MULTI_ROLE", roles=["a", "b"], offer_filters=minimum({"cpus": 100}, role="a")) as s:
        offered(s, ALL)
        assert {o["allocation_info"]["role"] for o in s.held.values()} == {"b"}


@pytest.mark.parametrize("filters,word", [
    (minimum({}), "offer_filters"),
    (minimum({"cpus": -1}), "cpus"),
])
def test_bad_minima_are_refused(cluster, filters, word):
    s = aware(cluster, offer_filters=filters)
    first = s.subscribe()
    assert first["type"] == "ERROR" and word in first["error"]["message"], first
    s.close()


# ---- time ----

def test_an_offer_that_is_not_used_is_taken_back():
    with Cluster(1, {"offer_timeout": "1secs"}) as c, Scheduler(c.master.address) as s:
        event = s.wait_for(lambda e: e["type"] == "OFFERS")
        offer = event["offers"]["offers"][0]
        back = s.wait_for(lambda e: e["type"] == "RESCIND", 5)
        assert back["rescind"]["offer_id"] == offer["id"] and 0.9 < back["at"] - event["at"] < 3
        again = s.offers(s.events.index(back))[0]  # nobody declined it
        assert again["id"] != offer["id"] and amount(again, "cpus") == 4
        t = s.task(offer, "true")
        s.accept(offer, [{"type": "LAUNCH", "launch": {"task_infos": [t]}}])
        end = s.end_of(t["task_id"]["value"])
        assert (end["state"], end["reason"]) == ("TASK_LOST", "REASON_INVALID_OFFERS")
        # One that is used in time is no longer waited for.
        task, _ = s.run("sleep 600")
        n = s.mark()
        time.sleep(1.5)
        assert s.states(task)[-1] == "TASK_RUNNING"
        assert not [e for e in s.events[n:] if e["type"] == "ERROR"]


# ---- capabilities ----

GPU_AGENT = {"resources": "cpus:4;mem:1024;disk:2048;gpus:2;ports:[31000-31099]"}


def test_gpus_are_kept_for_those_who_use_them():
    with Cluster(0) as c:
        c.add_agent(dict(GPU_AGENT, hostname="gpu"))
        c.add_agent({"hostname": "plain"})
        c.wait_agents(2)
        with Scheduler(c.master.address) as s:
            offered(s, {"plain"})
        with Scheduler(c.master.address, ["GPU_RESOURCES"]) as s:
            offered(s, {"gpu", "plain"})
            assert sorted(amount(o, "gpus") for o in s.held.values()) == [0, 2]


def test_gpus_for_all_by_flag():
    with Cluster(1, {"filter_gpu_resources": False}, GPU_AGENT) as c, Scheduler(c.master.address) as s:
        assert amount(s.offer(), "gpus") == 2


def test_refined_reservations_need_their_capability():
    resources = json.dumps([scalar("cpus", 4), scalar("mem", 1024),
                            scalar("cpus", 2, reservations=[{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b"}][:1]),
                            scalar("disk", 1024)])
    with Cluster(1, None, {"resources": resources}) as c:
        with Scheduler(c.master.address, ["MULTI_ROLE", "RESERVATION_REFINEMENT"], roles=["a/b"], principal="p") as s:
            offer = s.offer(cpus=6)
            mine = scalar("cpus", 1, reservations=[{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b", "principal": "p"}],
                          allocation_info={"role": "a/b"})
            s.accept(offer, [{"type": "RESERVE", "reserve": {"resources": [mine]}}])
            offer = s.offer(cpus=6)
            assert [r["scalar"]["value"] for r in offer["resources"] if len(r.get("reservations", [])) == 2] == [1]
        with Scheduler(c.master.address, ["MULTI_ROLE"], roles=["a/b"]) as s:
            assert amount(s.offer(), "cpus") == 5  # the refined one is left out
        with Scheduler(c.master.address, role="other") as s:
            assert amount(s.offer(), "cpus") == 4
