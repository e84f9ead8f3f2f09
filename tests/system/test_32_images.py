"""Container images: registries, archives of docker save, OCI layouts; overlay, copy and bind; what images say of how to be run."""
import os
import subprocess

import pytest

from harness import images
from harness.cluster import BIN, Cluster
from harness.http import eventually, post_json
from harness.scheduler import Scheduler

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(bool(images.missing()), reason="needs docker-registry, skopeo, umoci, busybox-static")]


def agent_flags(folder, **more):
    return dict({"launcher": "linux", "isolation": "filesystem/linux,docker/runtime,namespaces/pid", "image_providers": "docker",
                 "docker_store_dir": folder + "/store", "docker_registry": folder + "/archives",
                 "resources": "cpus:8;mem:4096;disk:4096"}, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with `layout` (tags one, two, run), and archives made of them."""
    folder = str(tmp_path_factory.mktemp("images"))
    layout = images.Layout(folder + "/layout")
    layout.base("one", images.second)
    layout.base("run", entrypoint=["/bin/echo", "entry"], cmd=["from", "cmd"], env=["WHO=image", "PATH=/bin", "BOTH=image"],
                workingdir="/place/dir", user="12:34")
    archives = folder + "/archives"
    os.mkdir(archives)
    layout.save("one", archives + "/one.tar", "one:latest")
    layout.save("run", archives + "/app:v1.tar", "app:v1")
    os.mkdir(archives + "/team")
    os.symlink(layout.path, archives + "/team/layout")
    run_tar = archives + "/packed:one.tar"
    images.run("tar", "-C", layout.path, "-cf", run_tar, ".")
    return folder


@pytest.fixture(scope="module")
def archived(made):
    with Cluster(agents=0) as c:
        c.add_agent(agent_flags(made, docker_store_dir=c.folder + "/store"))
        c.wait_agents(1)
        with Scheduler(c.master.address, checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


def container(name, **more):
    return {"type": "MESOS", "mesos": {"image": dict({"type": "DOCKER", "docker": {"name": name}}, **more)}}


def run_image(world, name, shell="true", command=None, expect="TASK_FINISHED", image=None, **more):
    """Runs a task of the image to its end; its stdout, or the last status when it is to fail."""
    c, s = world
    offer = s.offer(cpus=0.1)
    t = s.task(offer, shell, container=container(name, **(image or {})), **more)
    if command:
        t["command"] = command
    s.launch(offer, t)
    end = s.end_of(t["task_id"]["value"], 30)
    assert end["state"] == expect, (end, output(c, t["task_id"]["value"], "stderr"))
    return output(c, t["task_id"]["value"]) if expect == "TASK_FINISHED" else end


def output(c, task_id, name="stdout"):
    for folder, _, files in os.walk(c.folder):
        if "/executors/%s/runs/" % task_id in folder and name in files and "/latest" not in folder and "/meta/" not in folder:
            with open(os.path.join(folder, name)) as f:
                return f.read()
    return ""


def store(c, what):
    return sorted(os.listdir("%s/store/%s" % (c.folder, what)))


def provisioned(c, agent=0):
    return os.listdir("%s/agent%d/provisioner/containers" % (c.folder, agent))


def mounted(c):
    with open("/proc/self/mountinfo") as f:
        return [line for line in f if c.folder in line]


# ---- archives and layouts ----

@pytest.mark.parametrize("name", ["one", "team/layout:one", "packed:one"])
def test_source(archived, name):
    out = run_image(archived, name, "cat /etc/release; ls /hidden; ls -d /gone || echo no; readlink /bin/sh")
    assert out.split() == ["second", "new", "no", "busybox"]


def test_removed_afterwards(archived):
    c, _ = archived
    run_image(archived, "one", "touch /made")
    eventually(lambda: provisioned(c) == [])
    assert mounted(c) == []
    assert run_image(archived, "one", "test -e /made || echo no") == "no\n"


def test_layers_are_shared(archived):
    c, _ = archived
    run_image(archived, "one")
    run_image(archived, "team/layout:one")
    before = store(c, "layers")
    assert len(before) >= 2
    assert store(c, "staging") == []
    run_image(archived, "packed:one")
    assert store(c, "layers") == before


@pytest.mark.parametrize("name,says", [("nothing", "no archive"), ("../one", "cannot be the name of an image"), ("one:other", "no archive"),
                                       ("team/layout:nothing", "no image of the layout")])
def test_missing(archived, name, says):
    end = run_image(archived, name, expect="TASK_FAILED")
    assert says in end["message"] and end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"


# ---- docker/runtime ----

def test_entrypoint_and_cmd(archived):
    assert run_image(archived, "app:v1", command={"shell": False}) == "entry from cmd\n"
    assert run_image(archived, "app:v1", command={"shell": False, "arguments": ["x"]}) == "entry x\n"
    assert run_image(archived, "app:v1", command={"shell": False, "value": "/bin/pwd", "arguments": ["pwd"]}) == "/place/dir\n"


def test_environment(archived):
    variables = [{"name": "BOTH", "value": "task"}]
    out = run_image(archived, "app:v1", command={"value": "echo $WHO $BOTH $PATH; pwd", "environment": {"variables": variables}})
    assert out == "image task /bin\n/place/dir\n"


def test_nothing_to_run(archived):
    assert "No executable is found" in run_image(archived, "one", command={"shell": False}, expect="TASK_FAILED")["message"]


# ---- other containers, other ways ----

def test_appc(archived):
    c, s = archived
    offer = s.offer(cpus=0.1)
    t = s.task(offer, "true", container={"type": "MESOS", "mesos": {"image": {"type": "APPC", "appc": {"name": "x"}}}})
    s.launch(offer, t)
    assert "not appc" in s.end_of(t["task_id"]["value"])["message"]


def test_nested(archived):
    """A container with an image of its own below one with another, and one below a container without."""
    c, s = archived
    for parent in ({"container": container("app:v1"), "command": {"value": "sleep 1000"}}, {}):
        t, st = s.run("sleep 1000", **parent)
        cid = {"value": "child", "parent": st["container_status"]["container_id"]}
        call = {"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {
            "container_id": cid, "container": container("one"), "command": {"value": "cat /etc/release > /out; cat /out"}}}
        assert post_json(c.agent.address, "/api/v1", call).status == 200
        call = {"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": cid}}
        answer = post_json(c.agent.address, "/api/v1", call)
        assert answer.json()["wait_nested_container"]["exit_status"] == 0, answer
        found = [d for d, _, fs in os.walk(c.folder) if d.endswith("/containers/child") and "stdout" in fs]
        with open(found[-1] + "/stdout") as f:
            assert f.read() == "second\n"
        s.kill(t)
        s.end_of(t)
    eventually(lambda: provisioned(c) == [])
    assert mounted(c) == []


def test_image_as_volume(archived):
    """Beside the machine's files, and beside another image."""
    volume = {"mode": "RO", "container_path": "vol", "image": {"type": "DOCKER", "docker": {"name": "one"}}}
    c, s = archived
    for info in ({"type": "MESOS"}, container("app:v1")):
        offer = s.offer(cpus=0.1)
        t = s.task(offer, "cat $MESOS_SANDBOX/vol/etc/release; test -e $MESOS_SANDBOX/vol/gone || echo no", container=dict(info, volumes=[volume]))
        s.launch(offer, t)
        end = s.end_of(t["task_id"]["value"])
        assert end["state"] == "TASK_FINISHED", end
        assert output(c, t["task_id"]["value"]) == "second\nno\n"
    eventually(lambda: provisioned(c) == [])
    assert mounted(c) == []


def test_nobody_holds_a_root(archived):
    """A container that was started beside another keeps nothing of the other's root when that is gone."""
    c, s = archived
    with_image, _ = s.run("sleep 1000", container=container("one"))
    beside, _ = s.run("echo $$; exec sleep 1000")
    other, _ = s.run("sleep 1000", container=container("app:v1"))
    eventually(lambda: output(c, beside) != "")
    pids = [p for p in c.processes() if open("/proc/%d/comm" % p).read() == "sleep\n"]
    assert pids
    s.kill(with_image)
    s.end_of(with_image)
    eventually(lambda: len(provisioned(c)) == 1)
    seen = {line.split()[4] for p in pids if os.path.exists("/proc/%d/mountinfo" % p) for line in open("/proc/%d/mountinfo" % p)
            if c.folder + "/agent0/provisioner/" in line}
    assert all("/%s/" % provisioned(c)[0] in point for point in seen), seen
    for t in (beside, other):
        s.kill(t)
        s.end_of(t)
    eventually(lambda: provisioned(c) == [])


def test_restart(archived):
    """What runs goes on over a restart of the agent, its root with it; what was laid out for nobody goes."""
    c, s = archived
    t, _ = s.run("echo mine > /mine; while test ! -e /mnt/mesos/sandbox/go; do sleep 0.05; done; cat /mine", container=container("one"))
    c.agent.kill9()
    orphan = c.folder + "/agent0/provisioner/containers/nobody"
    os.makedirs(orphan + "/backends/overlay/rootfses/x")
    os.makedirs(c.folder + "/store/staging/left/over")
    os.makedirs(c.folder + "/store/gc/left")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", orphan + "/backends/overlay/rootfses/x"], check=True)
    c.agent.start()
    c.wait_agents(1)
    eventually(lambda: len(provisioned(c)) == 1 and store(c, "staging") == store(c, "gc") == [])
    sandbox = [d for d, _, fs in os.walk(c.folder) if "/executors/%s/runs/" % t in d and "stdout" in fs and "/latest" not in d][0]
    with open(sandbox + "/go", "w"):
        pass
    assert s.end_of(t)["state"] == "TASK_FINISHED"
    assert output(c, t) == "mine\n"
    eventually(lambda: provisioned(c) == [])
    assert mounted(c) == []


def test_copy_and_ignored_runtime(made):
    with Cluster(agents=0) as c:
        c.add_agent(agent_flags(made, docker_store_dir=c.folder + "/store", image_provisioner_backend="copy", docker_ignore_runtime=True))
        c.wait_agents(1)
        with Scheduler(c.master.address) as s:
            world = c, s
            assert run_image(world, "one", "cat /etc/release; ls /hidden; ls -d /gone || echo no").split() == ["second", "new", "no"]
            assert mounted(c) == []
            assert run_image(world, "app:v1", "echo ${WHO:-nobody}; pwd") == "nobody\n/mnt/mesos/sandbox\n"
            end = run_image(world, "app:v1", command={"shell": False}, expect="TASK_FAILED")
            assert "no value" in end["message"]
        eventually(lambda: provisioned(c) == [])


def test_store_of_somebody(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12, 34)
    test_refused_flags(tmp_path, {"docker_store_dir": str(tmp_path / "theirs/store")}, "folder of user 12")


@pytest.mark.parametrize("flags,says", [({"image_providers": "appc"}, "appc"), ({"image_provisioner_backend": "aufs"}, "overlay, copy, bind"),
                                        ({"image_gc_config": "{}"}, "image_disk_headroom"), ({"image_providers": "zip"}, "docker and oci")])
def test_refused_flags(tmp_path, flags, says):
    words = ["--%s=%s" % item for item in dict(agent_flags(str(tmp_path)), **flags).items()]
    p = subprocess.run([os.path.join(BIN, "fairlead-agent"), "--master=127.0.0.1:1", "--ip=127.0.0.1", "--port=0",
                        "--work_dir=%s/work" % tmp_path, "--runtime_dir=%s/run" % tmp_path] + words, capture_output=True, text=True, timeout=20)
    assert p.returncode != 0 and says in p.stderr
