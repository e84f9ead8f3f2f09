"""Container images: registries, archives of docker save, OCI layouts; overlay, copy and bind; what images say of how to be run."""
import os

import pytest

from harness import images
from harness.cluster import Cluster
from harness.http import eventually
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
