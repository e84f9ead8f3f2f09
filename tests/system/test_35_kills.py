"""Nothing leaks and nothing is told wrongly when the agent is killed at any instant; reboot, changed configuration, upgrade of binaries."""
import os
import random
import shutil
import signal
import subprocess

import pytest

import harness.cluster
from harness import images
from harness.cluster import BIN
from harness.http import eventually, get_json
from harness.kills import Killed, of_image
from harness.scheduler import TERMINAL, new_id, scalar

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(images.missing()), reason="needs docker-registry, skopeo, umoci, busybox-static")]

SECONDS = 20


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    seed = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    with Killed(str(tmp_path_factory.mktemp("kills")), seed) as k:
        yield k


def test_kills(world):
    found = world.run(12)
    print(found)
    assert not found["leaks"] and not found["twice"] and not found["errors"], found
    assert sum(found["ends"].values()) == len(world.busy.tasks)
    leaks, descriptors = world.quiet()
    assert not leaks and not descriptors, (leaks, descriptors)


def launch_three(k, shell):
    """A command, one with an image, one in a pod; {kind: id}, running."""
    offer = k.s.offer(cpus=1)
    ids = {}
    plain, image = k.s.task(offer, shell), k.s.task(offer, shell, container=of_image())
    pod = k.s.task(offer, shell)
    executor = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": k.s.id},
                "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
    k.busy.executors.add(executor["executor_id"]["value"])
    k.s.accept(offer, [{"type": "LAUNCH", "launch": {"task_infos": [plain, image]}},
                       {"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": [pod]}}}])
    for kind, t in (("command", plain), ("image", image), ("pod", pod)):
        ids[kind] = t["task_id"]["value"]
        k.busy.tasks[ids[kind]] = kind
        first = k.s.status(ids[kind], ("TASK_RUNNING",) + TERMINAL)
        assert first["state"] == "TASK_RUNNING", first
    return ids


def test_upgrade(world, tmp_path, monkeypatch):
    """Another file in the place of each program, while tasks run: what the old ones started goes on and is told to have ended."""
    k, agent = world, world.c.agent
    place = str(tmp_path / "bin")
    shutil.copytree(BIN, place)

    def start():
        with monkeypatch.context() as m:
            m.setattr(harness.cluster, "BIN", place)
            agent.start()
        k.c.wait_agents(1)
    agent.kill9()
    start()
    before = launch_three(k, "touch began; while [ ! -e go ]; do sleep 0.1; done; exit 3")
    dies = launch_three(k, "sleep 1000")
    old = {n: os.stat("%s/%s" % (place, n)).st_ino for n in os.listdir(place)}
    for n in old:
        shutil.copy2("%s/%s" % (BIN, n), "%s/.%s" % (place, n))
        os.rename("%s/.%s" % (place, n), "%s/%s" % (place, n))
    assert all(os.stat("%s/%s" % (place, n)).st_ino != i for n, i in old.items())
    n = k.s.mark()
    agent.signal(signal.SIGTERM)
    assert agent.process.wait(10) == 0
    start()
    # Those of before and new ones, side by side.
    after = launch_three(k, "true; exit 4")
    for kind, t in after.items():
        assert "status 4" in k.s.end_of(t)["message"], kind
    assert not [s for ids in (before, dies) for t in ids.values() for s in k.s.statuses(t, since=n) if s["state"] in TERMINAL]
    for t in dies.values():
        k.s.kill(t)
    for kind, t in dies.items():
        assert k.s.end_of(t)["state"] == "TASK_KILLED", kind
    for folder, names, files in os.walk(k.c.folder + "/agent0/slaves"):
        if "began" in files and not os.path.islink(folder):
            with open(folder + "/go", "w"):
                pass
    for kind, t in before.items():
        end = k.s.end_of(t)
        assert end["state"] == "TASK_FAILED" and "status 3" in end["message"], (kind, end)
    assert not k.no_leaks()


def forget_machine(k):
    """What a reboot takes: processes, mounts, cgroups and the runtime folder; the machine has another boot id than it was."""
    if k.c.agent.process.poll() is None:
        k.c.agent.kill9()

    def gone():
        left = k.processes()
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not left
    eventually(gone)
    eventually(lambda: k.c.remove_cgroups() or not k.cgroups())
    k.c.unmount()
    shutil.rmtree(k.c.agent.flags["runtime_dir"])
    with open(k.c.folder + "/agent0/meta/boot_id") as f:
        boot = f.read()
    with open(k.c.folder + "/agent0/meta/boot_id", "w") as f:
        f.write("0" * len(boot))


def test_reboot(world):
    k = world
    agent_id = k.c.agent_id()
    tasks = launch_three(k, "sleep 1000")
    n = k.s.mark()
    forget_machine(k)
    k.c.agent.start()
    k.c.wait_agents(1)
    assert k.c.agent_id() == agent_id
    for kind, t in tasks.items():
        end = k.s.end_of(t, since=n)
        assert end["state"] in ("TASK_FAILED", "TASK_GONE"), (kind, end)
        assert end["reason"] in ("REASON_EXECUTOR_TERMINATED", "REASON_EXECUTOR_REREGISTRATION_TIMEOUT"), (kind, end)
    assert not k.no_leaks()


def refused(k):
    """What the agent says when it does not start with its flags."""
    words = ["--%s=%s" % item for item in k.c.agent.flags.items()]
    p = subprocess.run([os.path.join(BIN, "fairlead-agent")] + words, capture_output=True, text=True, timeout=20)
    assert p.returncode != 0, p
    return p.stderr


def test_configuration(world):
    """Changed resources and attributes: an error that says what to do, the same agent, or after a reboot another one."""
    k, flags = world, world.c.agent.flags
    agent_id = k.c.agent_id()
    stays, _ = k.s.run("sleep 1000")
    k.busy.tasks[stays] = "command"
    k.c.agent.kill9()
    flags["resources"] = "cpus:20;mem:8192;disk:8192"
    said = refused(k)
    assert "resources" in said and "slaves/latest" in said and "additive" in said, said
    flags["reconfiguration_policy"] = "additive"
    flags["attributes"] = "rack:one;row:five"
    n = k.s.mark()
    k.c.agent.start()
    k.c.wait_agents(1)
    assert k.c.agent_id() == agent_id
    assert get_json(k.c.agent.address, "/state")["resources"]["cpus"] == 20
    eventually(lambda: [s["attributes"] for s in k.c.slaves() if s["id"] == agent_id] == [{"rack": "one", "row": "five"}])
    assert not [s for s in k.s.statuses(stays, since=n) if s["state"] in TERMINAL]
    k.c.agent.kill9()
    flags["attributes"] = "rack:two"
    assert "attributes" in refused(k)
    # After a reboot it is another agent.
    forget_machine(k)
    k.c.agent.start()
    k.c.wait_agents(1)
    eventually(lambda: k.c.agent_id() not in ("", agent_id))
    assert k.s.end_of(stays, since=n)["state"] in TERMINAL
    assert not k.no_leaks()
