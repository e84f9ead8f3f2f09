"""The Docker containerizer against an engine that is played: networks with addresses, ports, registries with credentials, DNS, and an
engine that is slow, refuses, or talks nonsense. No root and no Docker needed."""
import base64
import json
import os
import tempfile
import time

import pytest

from harness.cluster import Cluster
from harness.fake_engine import FakeEngine, create, frame, inspect, wait
from harness.http import eventually, get
from harness.scheduler import resources
from test_25_docker import container, name_of, output, sandbox

DNS = {"docker": [{"network_mode": "BRIDGE", "dns": {"nameservers": ["10.0.0.1"], "search": ["a.b"], "options": ["ndots:3"]}},
                  {"network_mode": "USER", "dns": {"nameservers": ["10.0.0.2"]}},
                  {"network_mode": "USER", "network_name": "blue", "dns": {"nameservers": ["10.0.0.3"]}}]}
AUTHS = {"auths": {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"hub:secret").decode()}, "reg.example:5000": {"identitytoken": "tok"}}}


@pytest.fixture(scope="module")
def engine():
    with tempfile.TemporaryDirectory(prefix="fl-fake-") as d:
        e = FakeEngine(d + "/docker.sock")
        yield e
        e.stop()


@pytest.fixture(scope="module")
def cluster(engine):
    with Cluster(agent_flags={"containerizers": "mesos,docker", "docker_socket": engine.socket, "default_container_dns": json.dumps(DNS),
                              "docker_config": json.dumps(AUTHS), "cgroups_enable_cfs": True}) as c:
        yield c


@pytest.fixture(autouse=True)
def fresh(engine):
    engine.reset()


def ports(*ranges):
    return resources(0.1, 32) + [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": a, "end": b} for a, b in ranges]}}]


def created(engine):
    return engine.requests("POST", "/containers/create")[-1]["body"]


def test_bridge(cluster, engine, scheduler):
    """The address goes where schedulers and name services look for it; ports are bound, DNS is the operator's."""
    engine.inspection = {"NetworkSettings": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2", "Networks": {"bridge": {}}}}
    tid, st = scheduler.run("x", container=container("there", "BRIDGE", port_mappings=[
        {"host_port": 31001, "container_port": 80}, {"host_port": 31002, "container_port": 53, "protocol": "UDP"}],
        parameters=[("publish", "127.0.0.1:31003:90")]), resources=ports((31001, 31002)))
    assert st["labels"] == {"labels": [{"key": "Docker.NetworkSettings.IPAddress", "value": "172.17.0.2"}]}
    assert [a["ip_address"] for a in st["container_status"]["network_infos"][0]["ip_addresses"]] == ["172.17.0.2", "fd00::2"]
    assert json.loads(base64.b64decode(st["data"]))[0]["Id"] == "c0ffee"
    b = created(engine)
    assert b["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "31001"}], "53/udp": [{"HostIp": "", "HostPort": "31002"}],
                                               "90/tcp": [{"HostIp": "127.0.0.1", "HostPort": "31003"}]}
    assert set(b["ExposedPorts"]) == {"80/tcp", "53/udp", "90/tcp"}
    assert (b["HostConfig"]["Dns"], b["HostConfig"]["DnsSearch"], b["HostConfig"]["DnsOptions"]) == (["10.0.0.1"], ["a.b"], ["ndots:3"])
    assert b["HostConfig"]["CpuQuota"] == 20000 and b["Cmd"] == ["-c", "x"] and b["Entrypoint"] == ["/bin/sh"]
    engine.finish(name_of(st), 4)
    assert scheduler.end_of(tid)["message"] == "Container exited with status 4"
    assert output(cluster, tid) == "hello\nbye\n"


@pytest.mark.parametrize("name,dns", [("blue", "10.0.0.3"), ("green", "10.0.0.2")])
def test_user_network(cluster, engine, scheduler, name, dns):
    engine.inspection = {"NetworkSettings": {"IPAddress": "", "Networks": {name: {"IPAddress": "10.9.0.7"}}}}
    c = dict(container("there", "USER", parameters=[("net-alias", "me")]), network_infos=[{"name": name, "labels": {"labels": [{"key": "k", "value": "v"}]}}])
    tid, st = scheduler.run("x", container=c)
    info, = st["container_status"]["network_infos"]
    assert info["name"] == name and info["ip_addresses"][0]["ip_address"] == "10.9.0.7" and info["labels"]["labels"][0]["key"] == "k"
    b = created(engine)
    assert b["HostConfig"]["NetworkMode"] == name and b["HostConfig"]["Dns"] == [dns]
    assert b["NetworkingConfig"] == {"EndpointsConfig": {name: {"Aliases": ["me"]}}}
    scheduler.kill(tid)
    assert scheduler.end_of(tid)["state"] == "TASK_KILLED"


def auth_of(request):
    text = request["headers"].get("X-Registry-Auth")
    return text and json.loads(base64.urlsafe_b64decode(text))


@pytest.mark.parametrize("image,query,auth", [
    ("busy", ("busy", "latest"), {"username": "hub", "password": "secret", "serveraddress": "docker.io"}),
    ("reg.example:5000/a/b:1.2", ("reg.example:5000/a/b", "1.2"), {"identitytoken": "tok", "serveraddress": "reg.example:5000"}),
    ("other.example/a@sha256:" + "0" * 64, ("other.example/a", "sha256:" + "0" * 64), None),
])
def test_pull(cluster, engine, scheduler, image, query, auth):
    tid, st = scheduler.run("x", container=container(image))
    p, = engine.requests("POST", "/images/create")
    assert (p["query"]["fromImage"], p["query"]["tag"]) == query and auth_of(p) == auth
    engine.finish(name_of(st))
    assert scheduler.end_of(tid)["state"] == "TASK_FINISHED"


def test_pull_with_the_tasks_own_credentials(cluster, engine, scheduler):
    """What a URI brought is nearer than the flag; an image that is there is pulled all the same when asked for."""
    path = cluster.folder + "/.dockercfg"
    with open(path, "w") as f:
        json.dump({"https://docker.io/v1/": {"auth": base64.b64encode(b"me:mine").decode()}}, f)
    os.chmod(path, 0o644)
    tid, st = scheduler.run("x", container=container("there", force_pull_image=True), command={"value": "x", "uris": [{"value": path}]})
    assert auth_of(engine.requests("POST", "/images/create")[0])["username"] == "me"
    assert not engine.requests("GET", "/images/.*")
    engine.finish(name_of(st))
    scheduler.end_of(tid)


def test_failures(cluster, engine, scheduler):
    engine.pull_error = "toomanyrequests: slow down"
    _, st = scheduler.run("x", "TASK_FAILED", container=container("no"))
    assert st["message"] == "Failed to pull the Docker image 'no': toomanyrequests: slow down"
    engine.instead["POST", "/containers/create"] = lambda h: h.answer(500, {"message": "no space left"})
    _, st = scheduler.run("x", "TASK_FAILED", container=container("there"))
    assert st["message"] == "Failed to run docker container: create: the Docker Engine answered 500: no space left"
    engine.instead["POST", "/containers/create"] = lambda h: h.answer(201, raw=b"<html>")
    _, st = scheduler.run("x", "TASK_FAILED", container=container("there"))
    assert "with what is no JSON" in st["message"]


def test_slow_engine(cluster, engine, scheduler):
    """A kill while the image is pulled ends the pull; one while the container is created waits for the answer. The agent answers all along."""
    def never(h):
        h.begin()
        time.sleep(5)

    engine.instead["POST", "/images/create"] = never
    offer = scheduler.offer(cpus=0.1)
    t = scheduler.task(offer, "x", container=container("big"))
    scheduler.launch(offer, t)
    tid = t["task_id"]["value"]
    eventually(lambda: engine.requests("POST", "/images/create"))
    began = time.monotonic()
    scheduler.kill(tid)
    assert scheduler.end_of(tid)["state"] in ("TASK_KILLED", "TASK_FAILED") and time.monotonic() - began < 3

    def late(h):
        time.sleep(1)
        create(h, engine)

    engine.instead = {("POST", "/containers/create"): late}
    offer = scheduler.offer(cpus=0.1)
    t = scheduler.task(offer, "x", container=container("there"))
    scheduler.launch(offer, t)
    tid = t["task_id"]["value"]
    eventually(lambda: engine.requests("POST", "/containers/create"))
    began = time.monotonic()
    assert get(cluster.agent.address, "/health").status == 200 and time.monotonic() - began < 0.5
    scheduler.kill(tid)
    scheduler.end_of(tid)
    eventually(lambda: engine.requests("POST", "/containers/mesos-.*/stop"))
    assert not engine.requests("POST", "/containers/.*/start")


def test_broken_answers(cluster, engine, scheduler):
    """Output that is no frames, an inspection that fails at first, a wait that breaks: the task's end is told all the same."""
    def nonsense(h):
        h.begin()
        h.chunk(b"\xffnonsense of some length")
        h.chunk(b"")

    failures = []

    def flaky(h):
        failures.append(1)
        if len(failures) < 3:
            return h.answer(503, {"message": "later"})
        del engine.instead["GET", "/containers/mesos-.*/json"]
        inspect(h, engine, h.path.split("/")[2])

    waits = []

    def cut(h):
        waits.append(1)
        if len(waits) == 1:
            h.begin()
            h.close_connection = True
            return
        wait(h, engine, h.path.split("/")[2])

    engine.instead = {("GET", "/containers/.*/logs"): nonsense, ("GET", "/containers/mesos-.*/json"): flaky, ("POST", "/containers/.*/wait"): cut}
    tid, st = scheduler.run("x", container=container("there"))
    eventually(lambda: len(waits) == 2)
    engine.finish(name_of(st), 2)
    assert scheduler.end_of(tid)["message"] == "Container exited with status 2" and len(failures) == 3
    assert "is no frame of a container's output" in cluster.agent.log()


def test_log_positions(cluster, engine, scheduler):
    """A log that breaks off and begins again from some time before: equal times are told apart by their count, each stream by itself."""
    at = ["2026-11-21T19:52:%02d.000000001Z" % s for s in range(10)]
    all_of = [frame("a\n", 1, at[0]), frame("x\n", 2, at[0]), frame("b\n", 1, at[0]), frame("c\n", 1, at[1]), frame("d\n", 1, at[1]),
              frame("y\n", 2, at[1]), frame("e\n", 1, at[1]), frame("part", 1, at[5]), frame("ed\n", 1, at[5])]
    begun = []

    def broken(h):
        begun.append(h.query["since"])
        h.begin()
        data = b"".join(all_of[:(4, 5, 8, 9)[min(len(begun), 4) - 1]])
        for i in range(0, len(data), 7):
            h.chunk(data[i:i + 7])
        if len(begun) < 4:
            h.close_connection = True
            return
        h.chunk(b"")

    engine.instead = {("GET", "/containers/.*/logs"): broken}
    tid, st = scheduler.run("x", container=container("there"))
    eventually(lambda: len(begun) == 4)
    engine.finish(name_of(st))
    scheduler.end_of(tid)
    assert output(cluster, tid) == "a\nb\nc\nd\ne\nparted\n" and output(cluster, tid, "stderr") == "x\ny\n"
    assert begun[0] == "0" and int(begun[3]) > 1.7e9 and sandbox(cluster, tid)
