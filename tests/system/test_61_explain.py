"""`fairlead explain` and GET /explain: the reason, and what to do, for each way in which a framework is not offered an agent."""
import json
import os
import subprocess

import pytest

from harness.cluster import BIN, Cluster
from harness.http import get, get_json
from harness.scheduler import Scheduler


@pytest.fixture
def cluster():
    c = Cluster(1)
    yield c
    c.stop()


def framework(cluster, role, **more):
    return Scheduler(cluster.master.address, ["MULTI_ROLE"], roles=[role], **more)


def explain(cluster, framework, agent=None):
    path = "/explain?framework_id=" + framework + ("&agent_id=" + agent if agent else "")
    return get_json(cluster.master.address, path)


def reasons(answer):
    return {a["role"]: a["reason"] for a in answer["agents"]}


def cli(cluster, *words):
    return subprocess.run([os.path.join(BIN, "fairlead"), "explain", "--master", cluster.master.address] + list(words),
                          capture_output=True, text=True, timeout=20)


def test_reasons(cluster):
    with framework(cluster, "eng") as s:
        offer = s.offer()
        held = explain(cluster, s.id)
        assert reasons(held) == {"eng": "HOLDS"}
        assert "cpus" in held["agents"][0]["holds"]
        assert held["summary"]["holds"] == 1
        s.decline(offer, 60)
        filtered = explain(cluster, s.id)
        assert reasons(filtered) == {"eng": "FILTERED"}
        assert 50 < filtered["agents"][0]["filters"][0]["seconds_left"] <= 60
        s.do("SUPPRESS")
        assert reasons(explain(cluster, s.id)) == {"eng": "SUPPRESSED"}
        with framework(cluster, "ops") as other:
            other.offer()
            s.do("REVIVE")
            taken = explain(cluster, s.id)
            assert reasons(taken) == {"eng": "NOTHING_FREE"}
            assert taken["agents"][0]["held_by_others"][0]["framework_id"] == other.id


def test_command_line(cluster):
    with framework(cluster, "eng", name="web") as s:
        s.decline(s.offer(), 60)
        said = cli(cluster, "web")
        assert said.returncode == 0, said.stderr
        assert "role eng" in said.stdout
        assert "its filter has not expired" in said.stdout
        assert "REVIVE ends it" in said.stdout
        agent = get_json(cluster.master.address, "/slaves")["slaves"][0]["id"]
        assert json.loads(cli(cluster, "--json", s.id, agent).stdout)["agents"][0]["reason"] == "FILTERED"


def test_errors(cluster):
    assert get(cluster.master.address, "/explain").status == 400
    assert get(cluster.master.address, "/explain?framework_id=nobody").status == 404
    assert cli(cluster).returncode == 2
    said = cli(cluster, "nobody")
    assert said.returncode == 3 and "there is no framework 'nobody'" in said.stderr
    with framework(cluster, "eng") as s:
        assert get(cluster.master.address, "/explain?framework_id=%s&agent_id=none" % s.id).status == 404
