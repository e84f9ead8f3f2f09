"""fairlead-loadgen: schedulers of both APIs and encodings at a real master with emulated agents; gangs, kills, and what the reports say."""
import json
import os
import signal
import subprocess
import xml.dom.minidom

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually, get_json
from test_90_emulator import Emulator

ALONE = "it loads a master as much as it can, and measures it"

LOADGEN = os.path.join(BIN, "fairlead-loadgen")

CLUSTER = """
cluster: test
agent_flags: {registration_backoff_factor: 20ms}
tasks:
  start_delay: uniform 1ms 10ms
  duration: forever
groups:
  - name: host
    count: 40
    placement: [{region: r, zone: z1}, {region: r, zone: z2}]
    resources: {cpus: 16, mem: 32768, disk: 10000}
  - name: gpu
    count: 40
    placement: [{region: r, zone: z1}, {region: r, zone: z2}]
    resources: {cpus: 16, mem: 32768, disk: 10000, gpus: 8}
  - name: flaky
    count: 1
    # Too little memory for what the other tests launch.
    resources: {cpus: 1, mem: 20, flaky: 5}
    tasks: {exits: [{code: 3, probability: 1}]}
"""


@pytest.fixture(scope="module")
def world():
    c = Cluster(0, {"domain": '{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z1"}}}'})
    try:
        c.agents.append(Emulator(c, CLUSTER).start())
        c.wait_agents(81, 30)
    except BaseException:
        print(c.logs())
        c.stop()
        raise
    yield c
    c.stop()


def arguments(c, workload, *flags):
    path = os.path.join(c.folder, "workload.yaml")
    with open(path, "w") as f:
        f.write(CLUSTER + "workload:\n" + workload)
    limit = [] if any(f.startswith("--limit") for f in flags) else ["--limit=20secs"]
    return [LOADGEN, path, "--master=" + c.master.address, "--quiet", "--json=" + os.path.join(c.folder, "report.json")] + limit + list(flags)


def read(c):
    with open(os.path.join(c.folder, "report.json")) as f:
        return json.load(f)


def run(c, workload, *flags, status=0):
    r = subprocess.run(arguments(c, workload, *flags), capture_output=True, text=True, timeout=40)
    assert r.returncode == status, r.stdout + r.stderr
    return r, read(c)


def nothing_is_left(c):
    m = get_json(c.master.address, "/metrics/snapshot")
    assert [m["master/" + k] for k in ("tasks_staging", "tasks_starting", "tasks_running", "frameworks_active")] == [0, 0, 0, 0]
    return True


@pytest.mark.parametrize("api", ["libframework", "http", "http, encoding: json"])
def test_each_api(world, api):
    entry = "  - {name: a, api: %s, frameworks: 3, jobs: 6, tasks: 20}\n" % api
    out, report = run(world, entry, "--then=kill", "--master_pid=%d" % world.master.process.pid)
    assert report["ok"] and report["frameworks"] == 3 and out.stdout.endswith("ok\n")
    counts = report["counts"]
    assert [counts[k] for k in ("jobs", "tasks", "accepted", "running", "killed")] == [6, 120, 120, 120, 120]
    assert [counts[k] for k in ("lost", "failed", "retried", "errors", "disconnects")] == [0] * 5
    # Three updates of each task: starting, running, killed.
    assert counts["acknowledged"] == 360
    for name in ("accept_to_running", "accept_to_acked", "submitted_to_running", "kill_to_terminal"):
        h = report["latency"][name]
        assert h["n"] == 120 and 0 < h["p50_us"] <= h["p99_us"] <= h["max_us"] < 20e6, name
    assert (report["latency"]["call"]["n"] > 360) == (api != "libframework")
    assert 0 < report["seconds"]["accepted"] <= report["seconds"]["settled"] and report["seconds"]["killed"] > 0
    assert report["processes"]["work"]["master"]["rss_peak"] > 0 and "cpu_us_per_task" in report["processes"]["kill"]["loadgen"]
    assert report["master_metrics"]["master/tasks_killed"]["difference"] == 120
    share = report["entries"][0]["accepted_per_framework"]
    assert share == {"min": 40, "mean": 40.0, "max": 40, "jain": 1.0}
    eventually(lambda: nothing_is_left(world))


def test_arrival_and_ends(world):
    entry = "  - {name: a, jobs: 10, tasks: 3, duration: 50ms, arrival: every 20ms, place: spread}\n" \
            "  - {name: b, after: a, api: http, tasks: 30, duration: 10ms, parallel: 5, measure: true}\n"
    _, report = run(world, entry)
    a, b = report["entries"]
    assert a["counts"]["finished"] == 30 and b["counts"]["finished"] == 30
    assert 0.2 < a["complete_s"] < b["complete_s"] and b["started_s"] >= a["complete_s"]
    assert report["place.p50_us"] > 0 and a["latency"]["freed_to_offered"]["n"] > 0
    rows = report["series"]["rows"]
    assert len(rows) >= 2 and len(rows[0]) == len(report["series"]["columns"])


def test_gangs(world):
    entry = "  - {name: g, frameworks: 4, jobs: 4, tasks: 10, resources: {cpus: 8, gpus: 8}, gang: {same: zone}}\n"
    _, report = run(world, entry)
    assert report["gangs"] == {"jobs": 4, "whole": 4, "partial": 0, "zone_pure": 4}
    assert report["counts"]["running"] == 40


def test_page(world):
    page = os.path.join(world.folder, "report.html")
    run(world, "  - {name: <a>, tasks: 10, duration: 10ms}\n", "--html=" + page)
    with open(page) as f:
        text = f.read()
    dom = xml.dom.minidom.parseString(text)
    assert len(dom.getElementsByTagName("svg")) == 3 and len(dom.getElementsByTagName("polyline")) > 4
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text and "prefers-color-scheme" in text


def test_a_failure_is_told(world):
    entry = "  - {name: a, tasks: 5, duration: 10ms, %sresources: {cpus: 0.1, flaky: 1}}\n"
    out, report = run(world, entry % "retry: false, ", status=1)
    assert not report["ok"] and report["counts"]["failed"] == 5 and report["counts"]["retried"] == 0
    assert [(e["n"], e["first"]) for e in report["errors_by_kind"]] == [(5, "Command exited with status 3")]
    assert "5 x TASK_FAILED" in out.stdout and out.stdout.endswith("NOT OK\n")
    _, report = run(world, entry % "", "--seconds=1secs")
    assert report["counts"]["retried"] >= 5


def test_too_much_is_given_up(world):
    out, report = run(world, "  - {name: a, tasks: 10000, resources: {cpus: 4}}\n", "--seconds=1secs")
    assert report["ok"] and report["counts"]["running"] == 160
    out, report = run(world, "  - {name: a, tasks: 10000, resources: {cpus: 4}}\n", "--limit=1secs", status=1)
    assert report["why"] == "the time of --limit is over; 9840 of 10000 tasks are not where they should be, and 9840 of them wait for offers"
    eventually(lambda: nothing_is_left(world))


def test_hold_until_asked(world):
    p = subprocess.Popen(arguments(world, "  - {name: a, frameworks: 2, jobs: 2, tasks: 50}\n", "--then=hold"), stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: get_json(world.master.address, "/metrics/snapshot")["master/tasks_running"] == 100)
        p.send_signal(signal.SIGTERM)
        out, _ = p.communicate(timeout=20)
    finally:
        p.kill()
    assert p.returncode == 0 and "ok\n" in out and read(world)["running_at_end"] == 100
    eventually(lambda: nothing_is_left(world))


def test_mistakes_name_the_line(world):
    args = arguments(world, "  - name: a\n    colour: red\n")
    r = subprocess.run(args, capture_output=True, text=True, timeout=20)
    line = len(CLUSTER.split("\n")) + 2
    assert r.returncode == 1 and "workload.yaml:%d: an entry has no key 'colour'" % line in r.stderr
