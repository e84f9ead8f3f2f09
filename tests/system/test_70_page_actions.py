"""What operators do on the web page, in a browser at real daemons: agents are taken out and used again, a framework is torn down;
a log is followed, a sandbox is browsed, a file is downloaded, a shell runs in a task's container."""
import os
import re

import pytest

from harness.browser import PHONE, WIDE, Browser, BrowserWorld
from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler

SECONDS = 45
PRINTS = """printf 'first\\nsecond\\n' > notes.txt; mkdir sub; echo deep > sub/below; head -c 3000 /dev/zero | tr '\\0' x > big
n=0; while [ ! -e stop ]; do n=$((n+1)); echo "line $n"; sleep 0.2; done; echo done; exec sleep 1000"""


class World(BrowserWorld):
    def __init__(self):
        self.c = Cluster(0, {"cluster": "harbour"})
        try:
            self.c.master.stop()
            self.c.master.flags["log_dir"] = self.c.folder + "/master-log"
            self.c.master.start()
            for i in range(2):
                self.c.add_agent({"hostname": "node-%d" % i})
            self.c.wait_agents(2)
            self.ids = {a["hostname"]: a["id"] for a in self.c.slaves()}
            self.s = Scheduler(self.c.master.address, ["PARTITION_AWARE"], name="storefront")
            self.s.subscribe()
            self.task, self.status = self.s.run(PRINTS, agent_id=self.ids["node-0"], name="talker")
            self.browser = Browser()
        except BaseException:
            print(self.c.logs())
            self.stop()
            raise

    @property
    def sandbox(self):
        return "%s/slaves/%s/frameworks/%s/executors/%s/runs/latest" % (self.c.agent.flags["work_dir"], self.ids["node-0"], self.s.id, self.task)

    def route(self, *more):
        return "#/" + "/".join(("tasks", self.s.id, self.task) + more)

    def agent(self, host):
        return next(a for a in self.c.slaves() if a["hostname"] == host)


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.stop()


def good_for_all(w, name):
    """axe in both schemes, and pictures, also of a phone's width."""
    w.shot(name + "-dark")
    for box in ("dialog", "main", "html"):
        assert w.page.evaluate("(s) => [...document.querySelectorAll(s)].every((e) => e.scrollWidth <= e.clientWidth)", box), box + " is too wide"
    bad = w.axe()
    w.page.emulate_media(color_scheme="light")
    w.shot(name + "-light")
    bad += w.axe(runOnly=["color-contrast"])
    w.page.emulate_media(color_scheme="dark")
    w.page.set_viewport_size(PHONE)
    w.until(lambda: w.page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"])
    w.shot(name + "-phone")
    w.page.set_viewport_size(WIDE)
    assert bad == []


def dialog(w, name):
    d = w.page.get_by_role("dialog", name=name)
    d.wait_for()
    return d


def test_drain_and_undo(world, window):
    window.open("#/agents/" + world.ids["node-1"])
    window.button("Drain").click()
    d = dialog(window, "Drain node-1?")
    good_for_all(window, "dialog")
    d.get_by_role("button", name="Cancel").click()
    d.wait_for(state="detached")
    assert "drain_info" not in world.agent("node-1")
    window.button("Drain").click()
    d = dialog(window, "Drain node-1?")
    d.get_by_label("Longest time for tasks to end").fill("soon")
    d.get_by_role("button", name="Drain").click()
    d.get_by_role("alert").get_by_text("is no duration").wait_for()
    d.get_by_label("Longest time for tasks to end").fill("90 s")
    d.get_by_role("button", name="Drain").click()
    d.wait_for(state="detached")
    window.sees("node-1 drains; its tasks have at most 1 min")
    window.says("nothing runs there")
    drain = eventually(lambda: world.agent("node-1")["drain_info"])
    assert drain["state"] == "DRAINED" and drain["config"]["max_grace_period"]["nanoseconds"] == 90 * 10**9

    window.button("Reactivate").click()
    d = dialog(window, "Reactivate node-1?")
    d.get_by_role("button", name="Reactivate").click()
    window.sees("node-1 is used again.")
    window.button("Deactivate").wait_for()
    assert "drain_info" not in world.agent("node-1") and world.agent("node-1")["deactivated"] is False


def test_deactivate_and_undo(world, window):
    window.open("#/agents/" + world.ids["node-1"])
    window.button("Deactivate").click()
    dialog(window, "Deactivate node-1?").get_by_role("button", name="Deactivate").click()
    window.says("An operator deactivated the agent")
    assert world.agent("node-1")["deactivated"] is True
    window.button("Reactivate").click()
    dialog(window, "Reactivate node-1?").get_by_role("button", name="Reactivate").click()
    window.until(lambda: world.agent("node-1")["deactivated"] is False)
    window.button("Deactivate").wait_for()


def test_a_log_is_followed(world, window):
    window.open(world.route())
    window.says("talker", "The task runs")
    window.page.get_by_role("link", name="stdout", exact=True).click()
    log = window.page.get_by_role("log")
    log.get_by_text("line 1", exact=False).first.wait_for()

    def last():
        return int(re.findall(r"line (\d+)", log.inner_text())[-1])

    seen = last()
    window.until(lambda: last() > seen + 2)
    good_for_all(window, "log")
    window.page.get_by_label("Only lines with").fill("line 1")
    window.until(lambda: all(x.startswith("line 1") for x in log.inner_text().split("\n") if x))
    with open(world.sandbox + "/stop", "w"):
        pass
    window.page.get_by_label("Only lines with").fill("")
    window.until(lambda: log.inner_text().rstrip().endswith("done"))
    with open(world.sandbox + "/stdout") as f:
        assert [x for x in log.inner_text().split("\n") if x] == [x for x in f.read().split("\n") if x]


def test_a_sandbox_is_browsed_and_a_file_downloaded(world, window):
    window.open(world.route())
    window.page.get_by_role("link", name="Sandbox", exact=True).click()
    names = "() => [...document.querySelectorAll('main table.files tbody tr')].map((r) => r.cells[0].innerText.trim())"
    window.until(lambda: {"notes.txt", "sub/", "big", "stdout", "stderr"} <= set(window.page.evaluate(names)))
    window.says("2.9 KB")
    good_for_all(window, "files")
    with window.page.expect_download() as got:
        window.page.get_by_role("link", name="Download notes.txt", exact=True).click()
    with open(got.value.path()) as f:
        assert f.read() == "first\nsecond\n"
    assert got.value.suggested_filename == "notes.txt"
    window.page.get_by_role("link", name="sub/", exact=True).click()
    window.page.get_by_role("link", name="below", exact=True).click()
    window.until(lambda: window.page.get_by_role("log").inner_text().strip() == "deep")
    window.page.get_by_role("link", name="sandbox", exact=True).click()
    window.until(lambda: "notes.txt" in window.page.evaluate(names))


def test_a_shell_in_the_container(world, window):
    """What it shows was not typed: the shell counted, in the task's sandbox."""
    window.open(world.route())
    window.page.get_by_role("link", name="Shell", exact=True).click()
    screen = "() => document.querySelector('.xterm-rows')?.innerText.replaceAll('\\u00a0', ' ') ?? ''"
    window.until(lambda: window.page.evaluate(screen).strip())
    window.page.locator(".xterm-helper-textarea").focus()
    window.page.keyboard.type("echo answer-$((6 * 7)); tail -n 1 notes.txt; echo from-page > from-page\n")
    window.until(lambda: "answer-42" in window.page.evaluate(screen) and "second" in window.page.evaluate(screen))
    eventually(lambda: os.path.exists(world.sandbox + "/from-page"))
    good_for_all(window, "shell")
    window.page.locator(".xterm-helper-textarea").focus()
    window.page.keyboard.type("exit 3\n")
    window.says("The shell ended with status 3.")


def test_what_a_task_uses_is_drawn(world, window):
    window.open(world.route())
    window.page.locator(".charts canvas").nth(1).wait_for()
    good_for_all(window, "task-running")


def test_the_masters_log(world, window):
    window.open("#/log")
    window.until(lambda: "storefront" in window.page.get_by_role("log").inner_text() or "node-0" in window.page.get_by_role("log").inner_text())


def test_maintenance(world, window):
    """A window is scheduled, its machine taken down, which ends its agent, and brought up again."""
    window.open("#/maintenance")
    window.says("No maintenance is scheduled.")
    window.button("Schedule maintenance").click()
    d = dialog(window, "Schedule maintenance")
    good_for_all(window, "maintenance-dialog")
    d.get_by_label("Agents", exact=True).fill("node-1")
    d.get_by_role("button", name="+ node-1").click()
    d.get_by_role("button", name="Schedule").click()
    d.wait_for(state="detached")
    window.says("1 machine", "node-1", "scheduled")
    window.until(lambda: window.page.get_by_role("button", name="Take down node-1").is_visible())
    good_for_all(window, "maintenance-window")
    plan = get_json(world.c.master.address, "/maintenance/schedule")["windows"]
    assert [m["hostname"] for w in plan for m in w["machine_ids"]] == ["node-1"] and plan[0]["unavailability"]["duration"]["nanoseconds"] == 7200 * 10**9
    window.page.get_by_role("button", name="Take down node-1").click()
    d = window.page.get_by_role("dialog")
    d.locator("button[type=submit]").click()
    d.wait_for(state="detached")
    window.page.get_by_role("button", name="Bring up node-1").wait_for()
    assert [m["hostname"] for m in get_json(world.c.master.address, "/maintenance/status")["down_machines"]] == ["node-1"]
    window.page.get_by_role("button", name="Bring up node-1").click()
    d = window.page.get_by_role("dialog")
    d.locator("button[type=submit]").click()
    window.says("No maintenance is scheduled.")
    assert not get_json(world.c.master.address, "/maintenance/status").get("down_machines")


def test_a_framework_is_torn_down(world, window):
    """After the others: their task goes with it."""
    window.open("#/frameworks/" + world.s.id)
    window.button("Tear down").click()
    d = window.page.get_by_role("dialog")
    d.get_by_role("textbox").fill("another")
    d.get_by_role("button", name="Tear down").click()
    d.get_by_role("alert").wait_for()
    assert get_json(world.c.master.address, "/state")["frameworks"]
    d.get_by_role("textbox").fill("storefront")
    d.get_by_role("button", name="Tear down").click()
    window.says("The framework ended or was removed.")
    state = get_json(world.c.master.address, "/state")
    assert state["frameworks"] == [] and state["completed_frameworks"][0]["completed_tasks"][0]["state"] == "TASK_KILLED"
