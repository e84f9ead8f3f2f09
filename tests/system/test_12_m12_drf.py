"""M12: the DRF sorter with weights and hierarchical roles on a real cluster; offers of a framework with several roles.

The frameworks subscribe before the agent comes, so that none has a head start. The worked examples without weights are in
test_12_drf_experiments.py."""
from contextlib import ExitStack

from harness.cluster import Cluster
from harness.greedy import Greedy, settled
from harness.http import eventually, get_json, post_json, request
from harness.scheduler import Scheduler, amount

SECONDS = 11

NINE = "cpus:9;mem:18432"


def at_rest(cluster):
    """The metrics of a moment in which nothing is offered: what is counts for shares, too."""
    seen = []

    def nothing_offered():
        seen.append(cluster.master.metrics())
        assert seen[-1]["master/outstanding_offers"] == 0
        return True
    eventually(nothing_offered)
    return seen[-1]


def shared(demands, resources=NINE, weights=None, master_flags=None):
    """Tasks of each (role, cpus, mem) when one agent of these resources has been shared out; and /roles then."""
    with ExitStack() as stack:
        c = stack.enter_context(Cluster(agents=0, master_flags=master_flags))
        if weights:
            a = post_json(c.master.address, "/api/v1", {"type": "UPDATE_WEIGHTS", "update_weights": {
                "weight_infos": [{"role": r, "weight": w} for r, w in weights.items()]}})
            assert a.status == 200, a
        gs = [stack.enter_context(Greedy(c.master.address, *d)) for d in demands]
        c.add_agent({"resources": resources})
        tasks = settled(gs)
        eventually(lambda: c.master.metrics()["master/tasks_running"] == sum(tasks))
        return tasks, {r["name"]: r for r in get_json(c.master.address, "/roles")["roles"]}, at_rest(c)


def test_the_worked_example():
    tasks, roles, metrics = shared([("a", 1, 4096), ("b", 3, 1024)])
    assert tasks == [3, 2]
    assert roles["a"]["allocated"] == {"cpus": 3.0, "mem": 12288.0}
    assert roles["b"]["allocated"] == {"cpus": 6.0, "mem": 2048.0}
    for r in "ab":
        assert abs(metrics["allocator/mesos/roles/%s/shares/dominant" % r] - 2 / 3) < 0.01


def test_weights_divide_shares():
    tasks, roles, _ = shared([("a", 1, 1024), ("b", 1, 1024)], weights={"a": 2.0})
    assert tasks == [6, 3]
    assert roles["a"]["weight"] == 2.0 and roles["b"]["weight"] == 1.0


def test_the_flag_sets_weights():
    tasks, roles, _ = shared([("a", 1, 1024), ("b", 1, 1024)], master_flags={"weights": "b=2"})
    assert tasks == [3, 6]
    assert roles["b"]["weight"] == 2.0


def test_siblings_share_what_their_parent_gets():
    tasks, roles, _ = shared([("eng/a", 1, 1024), ("eng/b", 1, 1024), ("ops", 1, 1024)], "cpus:8;mem:16384")
    assert tasks == [2, 2, 4]
    assert roles["eng"]["allocated"]["cpus"] == roles["ops"]["allocated"]["cpus"] == 4.0
    assert roles["eng"]["frameworks"] == []


def test_weights_count_among_siblings():
    tasks, _, _ = shared([("eng/a", 1, 1024), ("eng/b", 1, 1024), ("ops", 1, 1024)], "cpus:12;mem:16384",
                         weights={"eng": 2.0, "eng/a": 3.0})
    assert tasks == [6, 2, 4]


def test_an_offer_is_of_one_role():
    with Cluster(agents=2) as c, Scheduler(c.master.address, ["MULTI_ROLE"], roles=["eng/a", "ops"]) as s:
        first, second = s.offer(role="eng/a"), s.offer(role="ops")
        for o in (first, second):
            assert {r["allocation_info"]["role"] for r in o["resources"]} == {o["allocation_info"]["role"]}
        t = s.task(first, "exec sleep 100", cpus=1)
        s.launch(first, t)
        s.status(t["task_id"]["value"], "TASK_RUNNING")
        roles = {r["name"]: r for r in get_json(c.master.address, "/roles")["roles"]}
        assert sorted(roles) == ["eng", "eng/a", "ops"]
        assert roles["eng"]["allocated"] == roles["eng/a"]["allocated"] == {"cpus": 1.0, "mem": 32.0}
        assert roles["ops"]["allocated"] == {} and roles["ops"]["offered"]["cpus"] == 4.0
        assert roles["eng/a"]["frameworks"] == roles["ops"]["frameworks"] == [s.id] and roles["eng"]["frameworks"] == []
        # Both agents' ports are counted as numbers, and resources are what is allocated and offered.
        assert roles["ops"]["resources"]["ports"] == 100.0
        assert amount(second, "cpus") == 4


def test_a_changed_weight_takes_offers_back():
    with Cluster(agents=1) as c, Scheduler(c.master.address, ["MULTI_ROLE"], roles=["a"]) as s:
        held = s.offer()["id"]["value"]
        a = request(c.master.address, "PUT", "/weights", {"Content-Type": "application/json"}, '[{"role":"a","weight":2.5}]')
        assert a.status == 200 and a.body == b"", a
        e = s.wait_for(lambda e: e["type"] == "RESCIND")
        assert e["rescind"]["offer_id"]["value"] == held
        assert get_json(c.master.address, "/weights") == [{"role": "a", "weight": 2.5}]
        for bad in ("", "{}", "[1]", '[{"role":"a"}]', '[{"role":"a","weight":0}]', '[{"role":"/a","weight":1}]'):
            assert request(c.master.address, "PUT", "/weights", {}, bad).status == 400, bad
        wrong = request(c.master.address, "POST", "/weights", {}, "[]")
        assert wrong.status == 405 and wrong.headers["allow"] == "GET, PUT"
        c.master.kill9()
        c.master.start()
        assert get_json(c.master.address, "/weights") == [{"role": "a", "weight": 2.5}]
