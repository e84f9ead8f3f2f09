"""Prometheus, as Debian has it, scrapes a master and an agent with tasks: what they tell is well formed, the rules load, and every query of
the rules and of the dashboard finds something."""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import urllib.parse

import pytest

from harness.cluster import ROOT, Cluster, free_ports
from harness.http import eventually, get, get_json, post_json
from harness.scheduler import Scheduler, scalar

SECONDS = 20

RULES = os.path.join(ROOT, "packaging", "prometheus", "fairlead.rules.yml")
DASHBOARD = os.path.join(ROOT, "packaging", "grafana", "fairlead.json")
pytestmark = pytest.mark.skipif(not shutil.which("prometheus") or not shutil.which("promtool"), reason="needs Debian's prometheus")

# Queries that find nothing in a cluster where all is well, and why. An alert's comparison is taken off before, so that it is asked for what it
# compares; of an alert that joins two things, each is asked for.
MAY_BE_EMPTY = {}

CONFIG = """
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [%s]
scrape_configs:
  - job_name: fairlead-master
    static_configs: [{targets: ["%s"]}]
  - job_name: fairlead-agent
    static_configs: [{targets: ["%s"]}]
"""


class Prometheus:
    """Its own folder and port; ends with the test."""

    def __init__(self, c):
        self.folder = tempfile.mkdtemp(prefix="fairlead-prometheus-")
        self.address = "127.0.0.1:%d" % free_ports(1)[0]
        config = os.path.join(self.folder, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG % (RULES, c.master.address, c.agent.address))
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["prometheus", "--config.file=" + config, "--storage.tsdb.path=" + os.path.join(self.folder, "data"),
                                             "--web.listen-address=" + self.address], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, path, **query):
        a = get_json(self.address, "/api/v1/%s?%s" % (path, urllib.parse.urlencode(query)))
        assert a["status"] == "success", (query, a)
        return a["data"]

    def found(self, query):
        return self.ask("query", query=query)["result"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def promtool(*words, text=None):
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "linting" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


# ---- what is asked ----

def dashboard_queries():
    with open(DASHBOARD, encoding="utf-8") as f:
        dashboard = json.load(f)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], re.sub(r"\$(role|framework|agent)\b", ".*", query)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            m = re.match(r"label_values\((\w+), (\w+)\)$", variable["definition"])
            yield "variable " + variable["name"], 'count by (%s) (%s{%s!=""})' % (m[2], m[1], m[2])


SELECTOR = re.compile(r'\b(?:fairlead[a-z0-9_:]+|up)(?:\{[^}]*\})?')


def rule_queries(rules):
    """The whole query of a record; of an alert, which is silent when all is well, everything that it looks at."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if rule["type"] == "recording":
                yield rule["name"], rule["query"]
            else:
                for selector in SELECTOR.findall(rule["query"]):
                    yield rule["name"], selector


def are_there(p, queries):
    """All of them are answered with numbers; one that has no number yet (a rate of one sample) is not."""
    empty = {}
    for title, query in queries:
        result = p.found(query)
        if not [r for r in result if r["value"][1] != "NaN"] and query not in MAY_BE_EMPTY:
            empty.setdefault(title, []).append((query, result))
    assert not empty, empty
    return True


# ---- a cluster at work ----

def work(c, s):
    change_quota(c, "watched")
    for shell, end in (("exit 0", "TASK_FINISHED"), ("exit 1", "TASK_FAILED")):
        s.run(shell, end)
    offer = s.offer(cpus=0.2)
    bad = s.task(offer, "true")
    bad["resources"] = [scalar("cpus", 1000.0), scalar("mem", 32)]
    s.launch(offer, bad)  # an end that bears a reason
    s.status(bad["task_id"]["value"], "TASK_ERROR")


def change_quota(c, role):
    """Something for the registry to store."""
    a = post_json(c.master.address, "/api/v1", {"type": "UPDATE_QUOTA", "update_quota": {
        "quota_configs": [{"role": role, "guarantees": {"cpus": {"value": 0.1}}, "limits": {"cpus": {"value": 1000 + random.random()}}}]}})
    assert a.status == 200, a


def test_prometheus_finds_everything():
    promtool("check", "rules", RULES)
    promtool("check", "config", os.path.join(ROOT, "packaging", "prometheus", "prometheus.yml"))
    with Cluster() as c, Prometheus(c) as p, Scheduler(c.master.address, ["MULTI_ROLE"], name="watched", roles=["watched"]) as s:
        s.run("while :; do sleep 0.2; done")
        work(c, s)
        for d in (c.master, c.agent):
            promtool("check", "metrics", text=get(d.address, "/metrics").text)
        eventually(lambda: all(t["health"] == "up" for t in p.ask("targets")["activeTargets"]) and len(p.ask("targets")["activeTargets"]) == 2)
        rules = p.ask("rules")
        assert sum(len(g["rules"]) for g in rules["groups"]) > 30 and not [r for g in rules["groups"] for r in g["rules"] if r.get("lastError")]
        again = list(rule_queries(rules)) + list(dashboard_queries())
        assert len(again) > 100
        eventually(lambda: work(c, s) or are_there(p, again), wait=60)
        exposed = p.ask("targets")["activeTargets"]
        assert {t["lastError"] for t in exposed} == {""}
        quiet = [r["name"] for g in rules["groups"] for r in g["rules"] if r["type"] == "alerting" and r["state"] == "firing"]
        assert quiet == [], "nothing is wrong, and yet it fires"
        s.teardown()


def test_alerts_fire_when_they_should():
    promtool("test", "rules", os.path.join(ROOT, "tests", "system", "data", "fairlead.rules.test.yml"))


def test_every_alert_says_what_to_do_and_is_tested():
    with open(RULES, encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(ROOT, "tests", "system", "data", "fairlead.rules.test.yml"), encoding="utf-8") as f:
        tested = set(re.findall(r'alertname="(\w+)"', f.read()))
    alerts = re.split(r"\n      - alert: ", text)[1:]
    for alert in alerts:
        assert re.search(r"severity: (critical|warning|info)", alert) and "summary: " in alert and "description: " in alert, alert
    assert {a.split()[0] for a in alerts} == tested
