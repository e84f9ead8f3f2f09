"""GET /page/events: what a page shows after following a cluster is what a page that comes then is shown, and what /state says."""
import json
import socket
import subprocess

import pytest

from harness.cluster import Cluster, free_ports
from harness.http import eventually, get, get_json, post_json
from harness.page import Page
from harness.scheduler import Scheduler
from test_28_m28_auth import SECRETS, basic, login, only, write
from test_90_emulator import EMULATOR, Emulator, labels

SECONDS = 22
N = 24
FILE = """
cluster: test
agent_flags: {registration_backoff_factor: 20ms}
tasks: {duration: forever, kill_delay: 5ms}
groups:
  - name: node
    count: %d
    attributes: {rack: r7, level: 3}
    placement: [{region: r, zone: z1}]
    resources: {cpus: 8, mem: 8192, disk: 10000}
""" % N
DOMAIN = '{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z1"}}}'


@pytest.fixture(scope="module", params=["at_once", "by_a_process"])
def world(request):
    c = Cluster(0, {"domain": DOMAIN, "agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "1", "max_completed_tasks_per_framework": "20",
                    "state_snapshot_objects": "1" if request.param == "by_a_process" else "1000000", "cluster": "page"})
    try:
        e = Emulator(c, FILE, control="127.0.0.1:%d" % free_ports(1)[0]).start()
        e.control = e.flags["control"]
        c.agents.append(e)
        c.wait_agents(N, 30)
    except BaseException:
        print(c.logs())
        c.stop()
        raise
    yield c, e
    c.stop()


def same_at_rest(c, page):
    """The page that followed, one that comes now, and /state."""
    def look():
        with Page(c.master.address) as fresh:
            now = fresh.wait_ready().shown()
        followed = page.shown()
        for table, rows in now.items():
            assert followed[table] == rows, table
        agrees_with_state(c, now)
        return True

    eventually(look, 20, 0.3)


def agrees_with_state(c, tables):
    state = get_json(c.master.address, "/state")
    agents = {r["key"]: r for r in tables["agents"].values()}
    frameworks = {r["key"]: r for r in tables["frameworks"].values()}
    want = sorted((t["framework_id"], t["id"], t["state"].removeprefix("TASK_"), t["role"], t["resources"]["cpus"])
                  for f in state["frameworks"] + state["completed_frameworks"] for kind in ("tasks", "unreachable_tasks", "completed_tasks")
                  for t in f[kind])
    got = sorted((frameworks[t["framework"]]["id"], t["id"], t["state"], t["role"], t["resources"][0]) for t in tables["tasks"].values())
    assert got == want
    where = {t["id"]: t["slave_id"] for f in state["frameworks"] for t in f["tasks"]}
    assert where == {t["id"]: agents[t["agent"]]["id"] for t in tables["tasks"].values() if t["id"] in where}
    known = {a["id"]: a for a in agents.values() if a["state"] not in ("unreachable", "recovered")}
    assert sorted(known) == sorted(s["id"] for s in state["slaves"])
    for s in state["slaves"]:
        a = known[s["id"]]
        assert (a["hostname"], a["pid"], a["rack"], a["zone"]) == (s["hostname"], s["pid"], "r7", "z1")
        assert a["total"] == [s["resources"][n] for n in ("cpus", "gpus", "mem", "disk")]
        assert a["used"] == [s["used_resources"][n] for n in ("cpus", "gpus", "mem", "disk")]
    assert sum(a["state"] == "unreachable" for a in agents.values()) == state["unreachable_slaves"]
    assert {f["id"]: f["state"] == "completed" for f in frameworks.values()} == dict(
        [(f["id"], False) for f in state["frameworks"]] + [(f["id"], True) for f in state["completed_frameworks"]])
    for f in state["frameworks"]:
        row = next(r for r in frameworks.values() if r["id"] == f["id"])
        assert row["used"][0] == f["used_resources"]["cpus"] and row["offered"][0] == f["offered_resources"]["cpus"]
        assert row["tasks"] == len(f["tasks"])
    roles = {r["name"]: r for r in get_json(c.master.address, "/roles")["roles"]}
    assert set(roles) == set(tables["roles"])
    for name, r in roles.items():
        assert tables["roles"][name]["weight"] == r["weight"]
        assert tables["roles"][name]["used"][0] + tables["roles"][name]["offered"][0] == pytest.approx(r["resources"].get("cpus", 0))


def launch(s, n, cpus=1, **label):
    """n tasks spread over the offers that are there; their ids."""
    ids = []
    while len(ids) < n:
        offer = s.offer(cpus=cpus)
        tasks = [s.task(offer, "x", cpus=cpus, labels=labels(**label)) for _ in range(min(n - len(ids), 4))]
        ids += [t["task_id"]["value"] for t in tasks]
        s.launch(offer, *tasks)
    return ids


def test_the_first_picture(world):
    c, _ = world
    with Page(c.master.address) as page:
        page.wait_ready()
        assert page.answer.headers["content-type"].startswith("text/event-stream")
        assert page.answer.headers["cache-control"] == "no-store"
        state = get_json(c.master.address, "/state")
        assert page.hello["version"] == 1 and page.hello["cluster"] == "page" and page.hello["id"] == state["id"]
        assert page.hello["resources"] == ["cpus", "gpus", "mem", "disk"] and page.hello["principal"] is None
        row = next(iter(page.tables["agents"].values()))
        assert row["attributes"] == {"rack": "r7", "level": 3} and (row["region"], row["zone"], row["rack"]) == ("r", "z1", "r7")
        assert row["state"] == "active" and row["total"] == [8, 0, 8192, 10000]
        same_at_rest(c, page)
        assert get_json(c.master.address, "/metrics/snapshot")["master/page_subscribers"] == 1
        # Nothing changes, so it beats.
        page.until(lambda p: p.counts.get("beat", 0) >= 2)
        assert page.beat["outstanding_offers"] == 0
    eventually(lambda: get_json(c.master.address, "/metrics/snapshot")["master/page_subscribers"] == 0)


def test_a_cluster_is_followed(world):
    c, e = world
    with Page(c.master.address) as page:
        page.wait_ready()
        with Scheduler(c.master.address, capabilities=["PARTITION_AWARE", "MULTI_ROLE"], roles=["eng/web", "ops"], checkpoint=True,
                       failover_timeout=0.0) as s:
            ids = launch(s, 60)
            for i in ids:
                s.status(i, "TASK_RUNNING")
            same_at_rest(c, page)
            task = page.task(ids[0])
            assert task["state"] == "RUNNING" and task["started"] == task["at"] > 1e9 and task["executor"] is None
            assert abs(page.tables["roles"]["eng"]["used"][0] + page.tables["roles"].get("ops", {"used": [0]})["used"][0] - 60) < 1e-6
            assert max(r["share"] for r in page.tables["roles"].values()) > 0

            # Ends: rows of completed tasks, as long as the master keeps them.
            for i in ids[:30]:
                s.kill(i)
            for i in ids[:30]:
                s.end_of(i)
            same_at_rest(c, page)
            assert sum(t["state"] == "KILLED" for t in page.by_id("tasks")) == 20
            assert sum(len(g.get("tasks", ())) for g in page.gone) >= 10

            # Operators' doing.
            assert post_json(c.master.address, "/api/v1", {"type": "UPDATE_WEIGHTS", "update_weights": {
                "weight_infos": [{"role": "eng", "weight": 2.5}]}}).status == 200
            assert post_json(c.master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {"force": True, "quota_configs": [
                {"role": "ops", "guarantees": {"cpus": {"value": 3}}, "limits": {"cpus": {"value": 150}}}]}}).status == 200
            page.until(lambda p: p.tables["roles"]["eng"]["weight"] == 2.5 and p.tables["roles"].get("ops", {}).get("limit"))
            assert page.tables["roles"]["ops"]["guarantee"] == [3, None, None, None]
            assert page.tables["roles"]["ops"]["limit"] == [150, None, None, None]
            idle = next(iter(page.by_id("agents")))
            assert post_json(c.master.address, "/api/v1", {"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": idle}}}).status == 200
            page.until(lambda p: p.by_id("agents")[idle]["state"] == "deactivated")
            assert post_json(c.master.address, "/api/v1", {"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": {"value": idle}}}).status == 200
            page.until(lambda p: p.by_id("agents")[idle]["state"] == "active")

            # Agents that are not heard of, and come back: the same keys, for they are the same agents.
            busy = next(a for a in page.by_id("agents").values() if a["tasks"] > 0)
            verb(e, "fail", "partition", "nodes=" + busy["hostname"])
            page.until(lambda p: p.tables["agents"][busy["key"]]["state"] == "unreachable", 30)
            page.until(lambda p: any(t["state"] == "UNREACHABLE" for t in p.tables["tasks"].values()))
            same_at_rest(c, page)
            verb(e, "heal")
            page.until(lambda p: p.tables["agents"].get(busy["key"], {}).get("state") == "active", 30)
            same_at_rest(c, page)
        page.until(lambda p: any(f["state"] == "completed" for f in p.tables["frameworks"].values()))
        same_at_rest(c, page)
        assert post_json(c.master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {"force": True, "quota_configs": [
            {"role": "ops"}]}}).status == 200
        page.until(lambda p: p.tables["roles"].get("ops", {"limit": None})["limit"] is None)


def verb(e, *words):
    out = subprocess.run([EMULATOR, "--at=" + e.control] + list(words), capture_output=True, text=True, timeout=20, check=False)
    assert out.returncode == 0, out.stdout + out.stderr


def test_changes_are_gathered(world):
    """A hundred tasks that start and end: a row for each state that lasted, not for each update."""
    c, _ = world
    with Page(c.master.address) as page, Scheduler(c.master.address, failover_timeout=0.0) as s:
        page.wait_ready()
        before = dict(page.rows)
        ids = launch(s, 100, cpus=0.1, duration="1ms", start="1ms")
        for i in ids:
            s.end_of(i)
        same_at_rest(c, page)
        assert page.rows["tasks"] - before["tasks"] <= 4 * len(ids)
        assert page.largest <= 1000


def test_many_pages_and_a_slow_one(world):
    c, _ = world
    pages = [Page(c.master.address) for _ in range(12)]
    slow = socket.create_connection(("127.0.0.1", int(c.master.address.rsplit(":", 1)[1])))
    slow.sendall(b"GET /page/events HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        for p in pages:
            p.wait_ready()
        with Scheduler(c.master.address, failover_timeout=0.0) as s:
            i = launch(s, 1)[0]
            for p in pages:
                p.until(lambda p: (p.task(i) or {}).get("state") == "RUNNING")
            assert get(c.master.address, "/health").status == 200
        for p in pages[:2]:
            same_at_rest(c, p)
    finally:
        slow.close()
        for p in pages:
            p.close()
    eventually(lambda: get_json(c.master.address, "/metrics/snapshot")["master/page_subscribers"] == 0)


def test_refusals(world):
    c, _ = world
    a = post_json(c.master.address, "/page/events", {})
    assert a.status == 405 and a.headers["allow"] == "GET"
    assert get(c.master.address, "/page/events/more").status == 404


def test_who_sees_what(tmp_path):
    """The rules of VIEW_... hold for the picture, for what follows, and for what is gone."""
    rules = {"view_frameworks": only("op", "users"), "view_tasks": only("op", "users"), "view_roles": only("op", "roles")}
    credentials = write(str(tmp_path), "credentials", json.dumps({"credentials": [{"principal": p, "secret": x} for p, x in SECRETS.items()]}))
    flags = {"authenticate_http_readonly": True, "credentials": credentials, "acls": json.dumps(rules), "max_completed_tasks_per_framework": "1"}
    guest = basic("guest")
    with login(basic("op")), Cluster(1, flags) as c:
        with Page(c.master.address) as op, Page(c.master.address, guest) as other:
            op.wait_ready()
            other.wait_ready()
            assert op.hello["principal"] == "op" and other.hello["principal"] == "guest"
            with Scheduler(c.master.address, failover_timeout=0.0) as s:
                ids = [s.run("true", state="TASK_FINISHED")[0] for _ in range(3)]
                op.until(lambda p: p.task(ids[-1]) and p.gone and p.tables["roles"] and p.tables["frameworks"])
                with Page(c.master.address, guest) as late:
                    late.wait_ready()
                    assert late.tables["agents"] and sees_nothing(late)
            op.until(lambda p: any(f["state"] == "completed" for f in p.tables["frameworks"].values()))
            beats = other.counts.get("beat", 0)
            other.until(lambda p: p.counts.get("beat", 0) > beats)
            assert other.tables["agents"] and sees_nothing(other)
        assert get(c.master.address, "/page/events", Authorization=None).status == 401
        # The page itself is for all, and sends a browser where it asks for a name; from there it comes back.
        assert get(c.master.address, "/", Authorization=None).status == 200
        refused = get(c.master.address, "/page/sign-in", Authorization=None)
        assert refused.status == 401 and refused.headers["www-authenticate"].startswith("Basic realm=")
        back = get(c.master.address, "/page/sign-in")
        assert back.status == 303 and back.headers["location"] == "/"


def sees_nothing(page):
    return not (page.tables["frameworks"] or page.tables["tasks"] or page.tables["roles"] or page.gone)
