"""The web page in a browser at real daemons: each view by its link, with the numbers of /state; it follows what happens; it loads little,
asks nobody but the master, and axe finds nothing serious in it. Pictures of all views: build/screenshots/."""
import json

import pytest

from harness.browser import PHONE, WIDE, Browser, BrowserWorld
from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler, scalar

SECONDS = 60
LIMIT = 150 * 1024  # bytes of the first load
HEAVY = 5000  # ms until interactive, on a machine that does much else; `make bench-ui` has the figure


def domain(zone):
    return json.dumps({"fault_domain": {"region": {"name": "north"}, "zone": {"name": zone}}})


class World(BrowserWorld):
    """Three agents in two zones, one of them drained; a framework with tasks that run, failed and finished; weights and quota."""

    def __init__(self):
        self.c = Cluster(0, {"domain": domain("z1"), "cluster": "harbour", "agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "4",
                             "allocation_interval": "100ms"})
        try:
            for i, zone in enumerate(("z1", "z1", "z2")):
                self.c.add_agent({"hostname": "node-%d" % i, "domain": domain(zone), "attributes": "rack:r%d;kind:plain" % i,
                                  "resources": "cpus:4;mem:2048;disk:4096;ports:[31000-31099]"})
            self.c.wait_agents(3)
            self.prepare()
            self.browser = Browser()
        except BaseException:
            print(self.c.logs())
            self.stop()
            raise

    def prepare(self):
        self.ids = {s["hostname"]: s["id"] for s in self.c.slaves()}
        self.call("UPDATE_WEIGHTS", weight_infos=[{"role": "web", "weight": 2.5}])
        quota = {"role": "web", "guarantees": {"cpus": {"value": 1}}, "limits": {"cpus": {"value": 9}}}
        self.call("UPDATE_QUOTA", force=True, quota_configs=[quota])
        self.call("DRAIN_AGENT", agent_id={"value": self.ids["node-1"]})
        self.s = Scheduler(self.c.master.address, ["PARTITION_AWARE", "MULTI_ROLE"], roles=["web"], name="storefront", checkpoint=True, failover_timeout=600.0,
                           webui_url="http://shop.example/")
        self.s.subscribe()
        self.running = [self.run("node-0", "echo serving; exec sleep 1000", "TASK_RUNNING", name="front-%d" % i) for i in range(3)]
        self.failed = self.run("node-0", "echo oh >&2; exit 3", "TASK_FAILED", name="migrate")
        self.finished = self.run("node-0", "true", "TASK_FINISHED", name="report")
        eventually(lambda: next(a for a in get_json(self.c.master.address, "/slaves")["slaves"] if a["hostname"] == "node-1")
                   .get("drain_info", {}).get("state") == "DRAINED")

    def run(self, host, shell, state, **more):
        return self.s.run(shell, state, agent_id=self.ids[host], cpus=0.5, resources=[scalar("cpus", 0.5), scalar("mem", 64)], **more)[0]

    def call(self, kind, **body):
        a = post_json(self.c.master.address, "/api/v1", {"type": kind, kind.lower(): body})
        assert a.status in (200, 202), a
        return a

    @property
    def state(self):
        return get_json(self.c.master.address, "/state")

    @property
    def routes(self):
        f = self.s.id
        return {"overview": "#/", "tasks": "#/tasks", "task": "#/tasks/%s/%s" % (f, self.failed), "agents": "#/agents",
                "agent": "#/agents/" + self.ids["node-0"], "drained": "#/agents/" + self.ids["node-1"], "frameworks": "#/frameworks",
                "framework": "#/frameworks/" + f, "roles": "#/roles", "offers": "#/offers", "topology": "#/topology",
                "maintenance": "#/maintenance"}


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.stop()


def memory(mb):
    if mb < 1000:
        return "%d MB" % mb
    return "%s GB" % ("%.1f" % (mb / 1024)).removesuffix(".0")


def cell(part, total, of=lambda x: "%g" % x):
    return "%s / %s" % (of(part), of(total))


def test_the_overview(world, window):
    window.open("")
    state = world.state
    f = state["frameworks"][0]
    window.says("harbour", "%d agents" % len(state["slaves"]), "1 framework ", "%d tasks running" % len(f["tasks"]), "1 task failed", "storefront",
                "1 agent taken out", "node-1", "north / z2")
    assert window.page.title() == "harbour"
    nav = window.text("nav#nav")
    assert "Agents3" in nav.replace(" ", "") and "Tasks5" in nav.replace(" ", "") and state["version"] in nav
    used = sum(s["used_resources"]["cpus"] for s in state["slaves"])
    total = sum(s["resources"]["cpus"] for s in state["slaves"])
    window.says("%g used" % used, "of %g" % total, memory(sum(s["used_resources"]["mem"] for s in state["slaves"])) + " used")


def test_lists_say_what_state_says(world, window):
    window.open("#/agents")
    state = world.state
    for s in state["slaves"]:
        row = window.row("Host", s["hostname"])
        tasks = sum(t["slave_id"] == s["id"] for f in state["frameworks"] for t in f["tasks"])
        assert row["Tasks"] == str(tasks)
        assert row["CPUs"] == cell(s["used_resources"]["cpus"], s["resources"]["cpus"])
        assert row["Memory"] == cell(s["used_resources"]["mem"], s["resources"]["mem"], lambda x: memory(x) if x else "0")
        assert row["State"] == ("drained" if s["hostname"] == "node-1" else "active")
        assert row["Zone"] == "north / " + s["domain"]["fault_domain"]["zone"]["name"]
    window.says("3 agents")

    window.go("#/tasks")
    window.says("5 tasks")
    rows = {r["Name"]: r for r in window.rows()}
    for f in state["frameworks"]:
        for t in f["tasks"] + f["completed_tasks"]:
            row = rows[t["name"]]
            assert (row["Id"], row["State"].upper(), row["Framework"], row["Role"], row["CPUs"], row["Memory"]) == \
                (t["id"], t["state"][5:], f["name"], t["role"], "%g" % t["resources"]["cpus"], memory(t["resources"]["mem"]))
    assert len(rows) == 5

    window.go("#/frameworks")
    f, row = state["frameworks"][0], window.row("Name", "storefront")
    assert (row["State"], row["Roles"], row["User"], row["Tasks"]) == ("active", "web", "root", str(len(f["tasks"])))
    assert row["CPUs"] == "%g" % f["used_resources"]["cpus"] and row["Memory"] == memory(f["used_resources"]["mem"])

    window.go("#/roles")
    row = window.row("Role", "web")
    role = next(r for r in get_json(world.c.master.address, "/roles")["roles"] if r["name"] == "web")
    assert row["Weight"] == "%g" % role["weight"] == "2.5" and row["CPUs"] == "1.5 / 1–9" and row["Frameworks"] == "1"


def test_single_things(world, window):
    state = world.state
    node = next(s for s in state["slaves"] if s["hostname"] == "node-0")
    window.open(world.routes["agent"])
    window.says("node-0", node["id"], "active", "%g used" % node["used_resources"]["cpus"], "of %g" % node["resources"]["cpus"], "rack r0")
    window.until(lambda: window.facts()["Ports"] == node["resources"]["ports"])
    assert window.facts()["Address"] == node["pid"].split("@")[1] and window.facts()["Zone"] == "z1"
    window.until(lambda: len(window.rows()) == 3)

    window.go(world.routes["drained"]).says("node-1", "drained", "nothing runs there")
    window.go(world.routes["task"]).says("migrate", world.failed, "failed", "Command exited with status 3", "the executor", "running")
    facts = window.facts()
    assert facts["Framework"] == "storefront" and facts["Agent"] == "node-0" and facts["Role"] == "web"
    window.go("#/tasks/%s/%s" % (world.s.id, world.finished)).says("report", "finished")
    window.go(world.routes["framework"]).says("storefront", "active", "Why does it wait?", "weight 2.5", "web")
    assert window.facts()["Tasks"] == "3 tasks"
    window.until(lambda: window.facts()["Its own page"] == "http://shop.example/")
    offers = eventually(lambda: [o for o in get_json(world.c.master.address, "/state")["frameworks"][0]["offers"]])
    window.go("#/offers").until(lambda: len(window.rows()) == len(offers))
    assert {r["Agent"] for r in window.rows()} == {s["hostname"] for s in state["slaves"] if s["id"] in {o["slave_id"] for o in offers}}


def test_the_first_load_is_small(world):
    """What the browser fetches until the page can be used: from a browser that has nothing yet."""
    with world.browser.window(world.c.master.address) as w:
        w.open("")
        until = w.page.evaluate("() => performance.getEntriesByType('navigation')[0].domInteractive")
        sizes = w.transferred()
        assert sum(sizes.values()) < LIMIT, sizes
        assert all(sizes[f] > 0 for f in sizes if f == "/" or f.endswith((".js", ".css"))), sizes
        assert until < HEAVY
        w.only_the_master()
        # The worker's stream is among what was seen: that nothing else was asked for means something.
        assert w.base + "page/events" in w.urls
        policy = w.page.request.get(w.base).headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe-eval" not in policy
        w.page.evaluate("() => { const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i); }")
        w.until(lambda: any(c.startswith("content policy: img-src") for c in w.complaints))


@pytest.mark.parametrize("name", ["overview", "tasks", "task", "agents", "agent", "drained", "frameworks", "framework", "roles", "offers",
                                  "topology", "maintenance"])
def test_a_view_for_everybody(world, window, name):
    """axe in dark and light, nothing wider than a phone, and pictures of all three."""
    window.open(world.routes[name])
    window.until(lambda: "Asking" not in window.text())
    window.shot(name + "-dark")
    bad = window.axe()
    window.page.emulate_media(color_scheme="light")
    window.shot(name + "-light")
    bad += window.axe(runOnly=["color-contrast"])
    window.page.emulate_media(color_scheme="dark")
    window.page.set_viewport_size(PHONE)
    wide = "() => Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth)"
    window.until(lambda: window.page.evaluate(wide) <= PHONE["width"])
    window.shot(name + "-phone")
    window.page.set_viewport_size(WIDE)
    assert bad == []


def test_it_follows(world, window):
    """A task that starts and ends, an agent that is lost, a master that is started again: without a reload."""
    window.open("#/tasks?sort=name")
    window.until(lambda: len(window.rows()) == 5)
    window.page.evaluate("() => { globalThis.here = true; }")
    late = world.run("node-2", "exec sleep 1000", "TASK_RUNNING", name="late")
    assert window.row("Name", "late")["Agent"] == "node-2"
    window.until(lambda: window.row("Name", "late")["State"] == "running")

    window.go("#/agents?sort=hostname")
    lost = world.c.agents[2]
    assert window.row("Host", "node-2")["State"] == "active"
    lost.kill9()
    window.until(lambda: window.row("Host", "node-2")["State"] == "unreachable")
    window.go("#/").says("1 agent unreachable", "node-2")
    window.go("#/tasks/%s/%s" % (world.s.id, late)).says("unreachable")

    window.go("#/agents?sort=hostname")
    world.c.master.kill9()
    window.page.locator(".banner").wait_for()
    assert window.text(".connection") == "not connected"
    assert len(window.rows()) == 3, "what was known stays in sight"
    world.c.master.start()
    world.s.subscribe()
    window.live()
    window.page.locator(".banner").wait_for(state="detached")
    window.until(lambda: {r["Host"].split()[0]: r["State"] for r in window.rows()} ==
                 {"node-0": "active", "node-1": "drained", "\u2026" + world.ids["node-2"][37:]: "unreachable"})
    window.go("#/tasks?state=RUNNING").until(lambda: sorted(r["Name"] for r in window.rows()) == ["front-0", "front-1", "front-2"])
    assert window.page.evaluate("() => globalThis.here"), "the page was never loaded again"
    # A master that does not listen is all that the console may speak of.
    window.complaints = [c for c in window.complaints if "ERR_CONNECTION_REFUSED" not in c and "ERR_INCOMPLETE_CHUNKED" not in c]
