"""M1: an agent registers and is seen in /state, /slaves and GET_AGENTS within two seconds."""
import time

from harness.cluster import Cluster
from harness.http import eventually, get, get_json, post_json

AGENTS = 0


def operator(address, kind):
    a = post_json(address, "/api/v1", {"type": kind})
    assert a.status == 200, a
    return a.json()


def test_agent_is_everywhere_within_two_seconds():
    with Cluster(agents=0) as c:
        # Flags of the list in M1, in the reference's syntax.
        a = c.add_agent({"resources": "cpus:3;mem:512;disk:1024;ports:[31000-31005,31010-31012]",
                         "attributes": "rack:r1;weight:2.5;span:[1-5]", "hostname": "node-a"}, start=False)
        begin = time.monotonic()
        a.start(wait=False)
        eventually(lambda: len(get_json(c.master.address, "/slaves")["slaves"]) == 1, 2)
        eventually(lambda: len(get_json(c.master.address, "/state")["slaves"]) == 1, 2)
        eventually(lambda: len(operator(c.master.address, "GET_AGENTS")["get_agents"].get("agents", [])) == 1, 2)
        assert time.monotonic() - begin < 2
        slave = get_json(c.master.address, "/slaves")["slaves"][0]
        state = get_json(c.master.address, "/state")
        typed = operator(c.master.address, "GET_AGENTS")["get_agents"]["agents"][0]
        assert slave["hostname"] == "node-a" and slave["active"] is True
        assert slave["pid"] == "slave(1)@" + a.address
        assert slave["resources"]["cpus"] == 3 and slave["resources"]["mem"] == 512 and slave["resources"]["disk"] == 1024
        assert slave["resources"]["ports"] == "[31000-31005, 31010-31012]"
        assert slave["attributes"] == {"rack": "r1", "weight": 2.5, "span": "[1-5]"}
        assert state["slaves"][0]["id"] == slave["id"] == typed["agent_info"]["id"]["value"]
        assert state["activated_slaves"] == 1 and state["unreachable_slaves"] == 0
        assert slave["id"] == state["id"] + "-S0"
        assert typed["active"] is True and typed["agent_info"]["hostname"] == "node-a"
        assert typed["agent_info"]["port"] == a.flags["port"]
        assert {r["name"]: r["scalar"]["value"] for r in typed["total_resources"] if r["type"] == "SCALAR"} == \
            {"cpus": 3, "mem": 512, "disk": 1024}
        # The agent knows who it is, too.
        own = get_json(a.address, "/state")
        assert own["id"] == slave["id"] and own["hostname"] == "node-a"
        assert c.master.metrics()["master/slaves_active"] == 1
        assert a.metrics()["slave/registered"] == 1


def test_ids_count_up_and_are_not_reused():
    with Cluster(agents=2) as c:
        ids = sorted(s["id"] for s in c.slaves())
        assert [i.rsplit("-", 1)[1] for i in ids] == ["S0", "S1"]


def test_a_restarted_master_takes_its_agents_back_under_the_same_ids():
    """The registry outlives kill -9."""
    with Cluster(agents=1) as c:
        before = c.agent_id()
        uuid = get_json(c.master.address, "/state")["id"]
        c.master.kill9()
        c.master.start()
        assert get_json(c.master.address, "/state")["id"] != uuid
        c.wait_agents(1)
        assert c.slaves()[0]["id"] == before


def test_agent_waits_for_its_master():
    with Cluster(agents=0) as c:
        c.master.stop()
        c.add_agent()
        c.master.start()
        c.wait_agents(1)


def test_plain_endpoints(cluster):
    m = cluster.master.address
    assert get(m, "/health").status == 200
    assert [int(x) for x in get_json(m, "/version")["version"].split(".")] >= [1, 5, 0]
    assert get_json(m, "/flags")["flags"]["allocation_interval"] == "200ms"
    a = get(m, "/redirect")
    assert a.status == 307 and a.headers["location"] == "//" + m
    assert get(m, "/master/redirect").headers["location"] == "//" + m
    for path in ("/state", "/state.json", "/master/state", "/master/state.json", "/state/", "/state-summary", "/frameworks",
                 "/tasks/", "/roles"):
        assert get(m, path).status == 200, path
    assert get(m, "/no-such-thing").status == 404
