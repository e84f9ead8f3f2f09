"""The curl and jq calls of runbooks: as the reference's documentation of reservations, volumes, weights, quota, maintenance and the operator
API writes them, by the real programs. What a form, a header or a path of theirs has that ours would not take shows here."""
import json
import subprocess

import pytest

from clients import USER, Cluster, eventually
from harness.scheduler import Scheduler

SECONDS = 10
JSON = ["-H", "Content-Type: application/json"]
DISK = {"name": "disk", "type": "SCALAR", "scalar": {"value": 64}, "role": "ads", "reservation": {"principal": "ops"}}
VOLUME = dict(DISK, disk={"persistence": {"id": "v1", "principal": "ops"}, "volume": {"mode": "RW", "container_path": "data"}})


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def framework(cluster):
    with Scheduler(cluster.master.address, name="shop", user=USER) as s:
        s.run("echo said; exec sleep 1000", task_id={"value": "web.1"}, name="web")
        yield s


@pytest.fixture(scope="module")
def machine(cluster):
    return {"hostname": "127.0.0.1", "ip": "127.0.0.1"}


def curl(cluster, path, *arguments, agent=False):
    """Status and body. curl itself must be content with what it reads."""
    daemon = cluster.agent if agent else cluster.master
    done = subprocess.run(["curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}", *arguments, "http://%s%s" % (daemon.address, path)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def jq(text, query):
    return subprocess.run(["jq", "-r", query], input=text, capture_output=True, text=True, check=True).stdout.strip()


def asked(cluster, path, query, *arguments, **more):
    status, body = curl(cluster, path, *arguments, **more)
    assert status == 200, body
    return jq(body, query)


def slave_id(cluster):
    return asked(cluster, "/master/slaves", ".slaves[0].id")


def reserved(cluster):
    return asked(cluster, "/slaves", ".slaves[0].reserved_resources.ads.disk")


def test_is_it_well(cluster):
    assert curl(cluster, "/health", "-f")[0] == 200 and curl(cluster, "/master/health", "-f")[0] == 200
    assert curl(cluster, "/health", "-f", agent=True)[0] == 200 and curl(cluster, "/slave(1)/health", "-f", agent=True)[0] == 200


def test_who_leads(cluster):
    assert asked(cluster, "/master/state.json", ".leader", "--compressed") == "master@" + cluster.master.address
    status, body = curl(cluster, "/master/redirect", "-o", "/dev/null", "-D", "-")
    assert status == 307 and "//" + cluster.master.address in body


def test_how_much_is_used(cluster, framework):
    assert asked(cluster, "/metrics/snapshot", '."master/tasks_running"') == "1"
    assert asked(cluster, "/master/state-summary", ".slaves[0].used_resources.cpus") == "0.1"
    assert asked(cluster, "/monitor/statistics.json", ".[0].statistics.mem_limit_bytes > 0", agent=True) == "true"
    assert asked(cluster, "/tasks?limit=10&order=asc", ".tasks[0].id", "-G") == "web.1"


def test_sandbox(cluster, framework):
    state = curl(cluster, "/state", agent=True)[1]
    folder = jq(state, ".frameworks[0].executors[0].directory")
    names = asked(cluster, "/files/browse.json", ".[].path", "-G", "--data-urlencode", "path=" + folder, agent=True)
    assert [n.rsplit("/", 1)[1] for n in names.splitlines()] == ["stderr", "stdout"]
    read = ["-G", "--data-urlencode", "path=%s/stdout" % folder]
    eventually(lambda: "said\n" in curl(cluster, "/files/download", *read, agent=True)[1])
    assert "said" in asked(cluster, "/files/read?offset=0&length=50000", ".data", *read, agent=True)


def test_reservation_and_volume(cluster):
    agent = slave_id(cluster)

    def post(path, what, value):
        return curl(cluster, path, "-i", "-o", "/dev/null", "-u", "ops:secret", "-d", "slaveId=" + agent, "-d", "%s=%s" % (what, json.dumps([value])), "-X",
                    "POST")[0]
    assert post("/master/reserve", "resources", DISK) == 202
    eventually(lambda: reserved(cluster) == "64")
    assert post("/master/create-volumes", "volumes", VOLUME) == 202
    eventually(lambda: asked(cluster, "/slaves", ".slaves[0].reserved_resources_full.ads[0].disk.persistence.id") == "v1")
    assert post("/master/destroy-volumes", "volumes", VOLUME) == 202
    assert post("/master/unreserve", "resources", DISK) == 202
    eventually(lambda: reserved(cluster) == "null")


def test_weights(cluster):
    assert curl(cluster, "/weights", "-d", '[{"role": "ads", "weight": 2.5}]', "-X", "PUT")[0] == 200
    assert asked(cluster, "/weights", '.[] | select(.role == "ads") | .weight') == "2.5"


def test_quota(cluster):
    quota = {"role": "ads", "force": True, "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]}
    assert curl(cluster, "/quota", "-d", json.dumps(quota), "-X", "POST")[0] == 200
    assert asked(cluster, "/master/quota", ".infos[0].guarantee[0].scalar.value") in ("1", "1.0")
    assert curl(cluster, "/quota/ads", "-X", "DELETE")[0] == 200
    assert asked(cluster, "/quota", ".infos | length") == "0"


def test_logging(cluster):
    assert curl(cluster, "/logging/toggle?level=1&duration=1mins", "-X", "POST")[0] == 200


def test_operator_api(cluster):
    def call(value, query, **more):
        return asked(cluster, "/api/v1", query, *JSON, "-H", "Accept: application/json", "-X", "POST", "-d", json.dumps(value), **more)
    assert call({"type": "GET_HEALTH"}, ".get_health.healthy") == "true"
    assert call({"type": "GET_AGENTS"}, ".get_agents.agents | length") == "1"
    assert call({"type": "GET_CONTAINERS"}, ".type", agent=True) == "GET_CONTAINERS"
    value = {"type": "LIST_FILES", "list_files": {"path": "/no/such"}}
    assert curl(cluster, "/api/v1", *JSON, "-d", json.dumps(value))[0] == 404


def test_drain_and_back(cluster, framework):
    agent = slave_id(cluster)

    def call(kind):
        return curl(cluster, "/api/v1", *JSON, "-d", json.dumps({"type": kind, kind.lower(): {"agent_id": {"value": agent}}}))[0]
    assert call("DRAIN_AGENT") == 200
    framework.status("web.1", "TASK_KILLED")
    eventually(lambda: asked(cluster, "/slaves", ".slaves[0].drain_info.state") == "DRAINED")
    assert call("REACTIVATE_AGENT") == 200
    eventually(lambda: asked(cluster, "/slaves", ".slaves[0].deactivated") == "false")


def test_teardown(cluster, framework):
    assert curl(cluster, "/master/teardown", "-X", "POST", "-d", "frameworkId=" + framework.id)[0] == 200
    eventually(lambda: asked(cluster, "/frameworks", ".completed_frameworks[0].name") == "shop")


def test_maintenance(cluster, machine):
    """Last: the machine goes down, and its agent with it."""
    window = {"windows": [{"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": 1 << 60}}}]}
    assert curl(cluster, "/maintenance/schedule", *JSON, "-X", "POST", "-d", json.dumps(window))[0] == 200
    assert asked(cluster, "/maintenance/status", ".draining_machines[0].id.hostname") == "127.0.0.1"
    assert curl(cluster, "/machine/down", *JSON, "-X", "POST", "-d", json.dumps([machine]))[0] == 200
    assert asked(cluster, "/maintenance/status", ".down_machines[0].hostname") == "127.0.0.1"
    assert curl(cluster, "/machine/up", *JSON, "-X", "POST", "-d", json.dumps([machine]))[0] == 200
    assert asked(cluster, "/maintenance/schedule", ".windows // [] | length") == "0"
