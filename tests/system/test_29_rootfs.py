"""Tasks of images: what of the machine, and of other tasks, they must not see or reach; volumes and secrets in them; sessions."""
import base64
import json
import os
import shutil
import tempfile

import pytest

from harness import images
from harness.cluster import Cluster
from harness.http import eventually, get, post_json
from harness.scheduler import Scheduler, b64

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(bool(images.missing()), reason="needs docker-registry, skopeo, umoci, busybox-static")]

RESOLVER = "fairlead_DirectorySecretResolver"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("rootfs"))
    layout = images.Layout(folder + "/layout")
    layout.base("base")
    os.mkdir(folder + "/archives")
    layout.save("base", folder + "/archives/base.tar", "base:latest")
    os.makedirs(folder + "/secrets/db")
    with open(folder + "/secrets/db/password", "w") as f:
        f.write("by-name-88231")
    modules = {"libraries": [{"modules": [{"name": RESOLVER, "parameters": [{"key": "dir", "value": folder + "/secrets"}]}]}]}
    flags = {"launcher": "linux", "image_providers": "docker", "docker_registry": folder + "/archives",
             "isolation": "filesystem/linux,docker/runtime,namespaces/pid,namespaces/ipc,volume/secret",
             "secret_resolver": RESOLVER, "modules": json.dumps(modules), "resources": "cpus:8;mem:4096;disk:4096"}
    with Cluster(agents=0) as c:
        c.add_agent(dict(flags, docker_store_dir=c.folder + "/store"))
        c.wait_agents(1)
        with Scheduler(c.master.address, checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


def image(**more):
    return dict({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "base"}}}}, **more)


def launch(world, shell, container=None, environment=None):
    c, s = world
    offer = s.offer(cpus=0.1)
    t = s.task(offer, shell, container=container or image())
    if environment:
        t["command"]["environment"] = {"variables": environment}
    s.launch(offer, t)
    return t["task_id"]["value"]


def sandbox(c, task_id):
    for folder, _, _ in os.walk(c.folder):
        if "/executors/%s/runs/" % task_id in folder and "/latest" not in folder and "/meta/" not in folder:
            return folder
    return None


def read(path):
    with open(path) as f:
        return f.read()


def output(world, shell, **more):
    c, s = world
    t = launch(world, shell, **more)
    end = s.end_of(t, 30)
    box = sandbox(c, t)
    assert end["state"] == "TASK_FINISHED", (end, read(box + "/stderr"))
    return read(box + "/stdout")


def everywhere(top, text):
    """Files below it that hold the text."""
    found = []
    for folder, _, names in os.walk(top):
        for n in names:
            path = os.path.join(folder, n)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    if text.encode() in f.read():
                        found.append(path)
    return found


def test_the_machine_is_out_of_reach(world):
    c, s = world
    other = launch(world, "exec sleep 1000")
    s.status(other, "TASK_RUNNING")
    said = output(world, "ls /; test -e %s && echo sees-work-dir; test -e /usr/bin/python3 && echo sees-usr;"
                         "for p in /proc/[0-9]*; do ls $p/root/ $p/cwd/ 2>/dev/null; done | grep -c -e usr -e boot;"
                         "cat /proc/*/cmdline | grep -c 'sleep[^s]*1000'; ls -l /proc/self/fd | grep -c %s; cat /proc/mounts | "
                         "grep -c -e memory -e %s; true" % (c.folder, c.folder, c.folder))
    s.kill(other)
    s.end_of(other)
    assert said.split() == ["bin", "dev", "etc", "gone", "hidden", "mnt", "proc", "sys", "tmp", "0", "0", "0", "0"]


def test_environment_and_directory(world):
    assert output(world, "pwd; echo $MESOS_SANDBOX; echo x > f; ls") == "/mnt/mesos/sandbox\n/mnt/mesos/sandbox\nf\nstderr\nstdout\n"


def test_volumes(world):
    with tempfile.TemporaryDirectory() as host:
        os.chmod(host, 0o777)
        said = output(world, "echo x > /data/deep/f; cat in/f; touch in/g 2>/dev/null || echo ro; cat /other/etc/release",
                      container=image(volumes=[
                          {"mode": "RW", "container_path": "/data/deep", "host_path": host},
                          {"mode": "RO", "container_path": "in",
                           "source": {"type": "HOST_PATH", "host_path": {"path": host}}},
                          {"mode": "RO", "container_path": "/other",
                           "image": {"type": "DOCKER", "docker": {"name": "base"}}}]))
        assert said == "x\nro\nfirst\n"
        assert os.listdir(host) == ["f"]


def test_secrets(world):
    c, s = world
    by_name = {"type": "REFERENCE", "reference": {"name": "db", "key": "password"}}
    t = launch(world, "echo $A $B; cat /keys/pass; sleep 1000",
               container=image(volumes=[{"mode": "RO", "container_path": "/keys/pass",
                                         "source": {"type": "SECRET", "secret": by_name}}]),
               environment=[{"name": "A", "type": "SECRET", "secret": by_name},
                            {"name": "B", "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": b64("by-value-88232")}}}])
    out = eventually(lambda: sandbox(c, t) and os.path.exists(sandbox(c, t) + "/stdout") and
                     read(sandbox(c, t) + "/stdout").endswith("88231") and read(sandbox(c, t) + "/stdout"))
    assert out == "by-name-88231 by-value-88232\nby-name-88231"
    for address, path in ((c.master.address, "/state"), (c.master.address, "/tasks"), (c.agent.address, "/state"),
                          (c.agent.address, "/containers")):
        body = get(address, path).body
        assert b"88231" not in body and b64("by-value-88232").encode() not in body and b"88232" not in body, path
    for path in everywhere(c.folder, "by-name-88231"):
        assert path == sandbox(c, t) + "/stdout" or os.stat(path).st_mode & 0o77 == 0, path
    s.kill(t)
    s.end_of(t)
    lost = launch(world, "true", environment=[{"name": "A", "type": "SECRET",
                                               "secret": {"type": "REFERENCE", "reference": {"name": "../../etc/passwd"}}}])
    assert s.end_of(lost)["state"] == "TASK_FAILED"


def test_a_session_is_in_the_image(world):
    c, s = world
    t = launch(world, "exec sleep 1000")
    s.status(t, "TASK_RUNNING")
    cid = eventually(lambda: [x["container_id"] for x in get(c.agent.address, "/containers").json() if x.get("executor_id") == t])[0]
    child = {"value": "plain", "parent": {"value": cid}}
    a = post_json(c.agent.address, "/api/v1", {"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {
        "container_id": child, "command": {"value": "test -d /usr/bin && echo machine; cat ../../stdout; ls ../.."}}})
    assert a.status == 200, a
    post_json(c.agent.address, "/api/v1", {"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": child}})
    assert read(sandbox(c, t) + "/containers/plain/stdout") == "machine\ncontainers\nstderr\nstdout\n"
    a = post_json(c.agent.address, "/api/v1", {"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
        "container_id": {"value": "look", "parent": {"value": cid}}, "command": {"value": "pwd; echo $MESOS_SANDBOX; ls /"}}})
    assert a.status == 200, a
    text = b"".join(base64.b64decode(p) for p in recordio_data(a.body))
    assert text.split() == b"/mnt/mesos/sandbox /mnt/mesos/sandbox bin dev etc gone hidden mnt proc sys tmp".split()
    s.kill(t)
    s.end_of(t)


def recordio_data(body):
    while body:
        size, body = body.split(b"\n", 1)
        record, body = json.loads(body[:int(size)]), body[int(size):]
        if record.get("type") == "DATA" and record["data"]["type"] != "STDIN":
            yield record["data"]["data"]


def test_nothing_is_left(world):
    c, _ = world
    with open("/proc/self/mountinfo") as f:
        assert [line for line in f if c.folder in line] == []
    assert os.listdir(c.folder + "/agent0/provisioner/containers") == [] or eventually(
        lambda: os.listdir(c.folder + "/agent0/provisioner/containers") == [])
