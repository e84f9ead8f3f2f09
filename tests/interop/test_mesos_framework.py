"""The npm package mesos-framework 0.5.3, as published, against a real master and agent: its own JSON over its own HTTP client.

The package comes from the machine's npm registry, held to the checksums of npm/package-lock.json, and is kept in build/interop. Without
node, npm or a registry these tests fail: a client that was never run has shown nothing."""
import filecmp
import json
import os
import pwd
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from harness.cluster import BIN, Cluster  # noqa: E402
from harness.http import eventually, get_json  # noqa: E402

SOURCE = os.path.join(HERE, "npm")
PLACE = os.path.join(os.path.dirname(BIN), "interop")
VERSION = "0.5.3"


def installed():
    """npm writes node_modules/.package-lock.json last; another lock file than ours asks for another installation."""
    mine, theirs = os.path.join(SOURCE, "package-lock.json"), os.path.join(PLACE, "package-lock.json")
    return (os.path.exists(os.path.join(PLACE, "node_modules", ".package-lock.json")) and os.path.exists(theirs)
            and filecmp.cmp(mine, theirs, shallow=False))


def install():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.fail("'%s' is not installed; tools/deps.sh installs it" % program, pytrace=False)
    if installed():
        return
    os.makedirs(PLACE, exist_ok=True)
    # Half of an installation must not pass for a whole one.
    shutil.rmtree(os.path.join(PLACE, "node_modules"), ignore_errors=True)
    for f in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(SOURCE, f), PLACE)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", PLACE]
    try:
        done = subprocess.run(command, cwd=PLACE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=180)
        status, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired as e:
        status, said = "none within 180 s", (e.stdout or b"").decode(errors="replace")
    if status != 0:
        pytest.fail("npm could not install mesos-framework %s into '%s' (status %s); it needs an npm registry that it can reach "
                    "('npm config get registry'). It said:\n%s" % (VERSION, PLACE, status, said[-2000:]), pytrace=False)


class Run:
    """What one run of client.js saw, and the master's view of the framework after it."""

    def __init__(self, cluster):
        shutil.copy(os.path.join(SOURCE, "client.js"), PLACE)
        host, port = cluster.master.address.split(":")
        command = ["node", os.path.join(PLACE, "client.js"), host, port, pwd.getpwuid(os.geteuid()).pw_name, cluster.folder]
        environment = {k: v for k, v in os.environ.items() if k not in ("HOST", "PORT0")}
        try:
            done = subprocess.run(command, cwd=cluster.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            self.status, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as e:
            self.status, out, err = "none within 60 s", e.stdout or b"", e.stderr or b""
        self.told = "status %s\n%s\n%s\n%s" % (self.status, out.decode(), err.decode()[-2000:], cluster.logs())
        self.lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]

    def saw(self, what):
        return [line for line in self.lines if line["saw"] == what]

    def updates(self, task, answers=False):
        return [u for u in self.saw("update") if u["task"] == task and (u["reason"] == "REASON_RECONCILIATION") == answers]


@pytest.fixture(scope="module")
def cluster():
    install()
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def run(cluster):
    return Run(cluster)


@pytest.fixture(autouse=True)
def what_it_told(request, run):
    """Under a failure: all that the client and the daemons wrote."""
    print(run.told)


def states(updates):
    """Without TASK_STARTING, which an executor may send or not."""
    return [u["state"] for u in updates if u["state"] != "TASK_STARTING"]


def test_package_is_the_published_one():
    with open(os.path.join(PLACE, "node_modules", "mesos-framework", "package.json")) as f:
        assert json.load(f)["version"] == VERSION


def test_subscribes_and_accepts(run):
    assert len(run.saw("subscribed")) == 1
    subscribed = run.saw("subscribed")[0]
    assert subscribed["framework"] and subscribed["stream"]
    assert run.saw("heartbeat")
    assert run.saw("offers")
    assert run.saw("accept")


def test_task_that_ends_by_itself(run):
    assert states(run.updates("brief")) == ["TASK_RUNNING", "TASK_FINISHED"]


def test_task_that_is_killed(run):
    assert run.saw("kill")
    updates = run.updates("lasting")
    assert states(updates) == ["TASK_RUNNING", "TASK_KILLED"]
    assert updates[-1]["step"] == "kill"


def test_reconciliation_of_running_and_of_ended(run):
    """Explicit, of one task each: its state while it runs; lost, for a framework without capabilities, once it was forgotten."""
    answers = run.updates("lasting", answers=True)
    assert [(a["state"], a["source"], a["uuid"], a["step"]) for a in answers] == [
        ("TASK_RUNNING", "SOURCE_MASTER", False, "reconcile"), ("TASK_LOST", "SOURCE_MASTER", False, "reconcile ended")]
    assert run.updates("brief", answers=True) == []


def test_every_update_is_acknowledged(run):
    assert len(run.saw("acknowledged")) == len([u for u in run.saw("update") if u["uuid"]]) >= 4


def test_no_error(run):
    assert run.saw("error") == []
    assert run.saw("teardown")
    assert run.status == 0


def test_master_has_seen_the_same(cluster, run):
    """After the teardown: the framework is among the completed ones, with both tasks as the client saw them end."""
    def completed():
        return [f for f in get_json(cluster.master.address, "/state")["completed_frameworks"]
                if f["id"] == run.saw("subscribed")[0]["framework"]]
    framework = eventually(completed)[0]
    assert framework["name"] == "npm-interop"
    assert sorted((t["name"].split("-")[0], t["state"]) for t in framework["completed_tasks"]) == [
        ("brief", "TASK_FINISHED"), ("lasting", "TASK_KILLED")]
