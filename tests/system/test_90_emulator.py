"""fairlead-emulator: hundreds of agents at a real master; tasks end as the file and their labels say; the cluster grows, shrinks and fails."""
import os
import re
import signal
import subprocess

import pytest

from harness.cluster import BIN, ROOT, Cluster, Daemon, free_network, free_ports
from harness.http import eventually, get_json, post_json, request
from harness.scheduler import Scheduler, new_id, scalar

ALONE = "thousands of agents that share the processors with it"
SECONDS = 13

THROTTLE = os.path.join(ROOT, os.environ.get("BUILD", "build"), "examples", "throttle")
EMULATOR = os.path.join(BIN, "fairlead-emulator")

FILE = """
cluster: test
agent_flags: {registration_backoff_factor: 20ms}
tasks:
  start_delay: uniform 1ms 20ms
  duration: uniform 100ms 300ms
  kill_delay: 10ms
groups:
  - name: plain
    count: 160
    placement: [{region: r, zone: z1, count: 80}, {region: r, zone: z2, count: 80}]
    attributes: {kind: plain}
    resources: {cpus: 8, mem: 8192, disk: 10000, licences: 3}
  - name: gpu
    count: 40
    placement: [{region: r, zone: z1}, {region: r, zone: z2}]
    resources: {cpus: 16, mem: 65536, disk: 10000, gpus: 8}
    tasks: {duration: forever}
"""


class Emulator(Daemon):
    """Not a daemon that serves: it is ready when the master knows all of its agents."""

    def __init__(self, cluster, text, **flags):
        self.file = os.path.join(cluster.folder, "cluster.yaml")
        with open(self.file, "w") as f:
            f.write(text)
        super().__init__("fairlead-emulator", "emulator", cluster.folder, {"port": 5051, "master": cluster.master.address,
                                                                          "first_address": free_network(), "report": "1secs", **flags})

    def start(self, wait=False):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen([EMULATOR, self.file] + ["--%s=%s" % f for f in self.flags.items()], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        return self


def domain_of(path):
    return subprocess.run([EMULATOR, path, "--print_domain"], capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def make(text, agents, whole=True, **flags):
    c = Cluster(0, {"domain": '{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z1"}}}'})
    try:
        e = Emulator(c, text, **flags).start()
        c.agents.append(e)
        c.wait_agents(agents, 30)
        if whole:
            assert domain_of(e.file) == c.master.flags["domain"]
            eventually(lambda: "All %d agents are registered" % agents in e.log())
    except BaseException:
        print(c.logs())
        c.stop()
        raise
    return c, e


@pytest.fixture(scope="module")
def world():
    c, e = make(FILE, 200)
    yield c, e
    c.stop()


def zone(slave):
    return slave["domain"]["fault_domain"]["zone"]["name"]


def test_what_the_master_sees(world):
    c, e = world
    slaves = c.slaves()
    assert len({s["pid"] for s in slaves}) == 200 and len({s["hostname"] for s in slaves}) == 200
    gpu = [s for s in slaves if s["hostname"].startswith("gpu-")]
    assert len(gpu) == 40 and all(s["resources"]["gpus"] == 8 for s in gpu)
    assert sum(1 for s in gpu if zone(s) == "z1") == 20
    plain = next(s for s in slaves if s["hostname"] == "plain-081")
    assert zone(plain) == "z2" and plain["attributes"] == {"kind": "plain"} and plain["resources"]["licences"] == 3
    assert plain["pid"] == "slave(1)@%s:5051" % e.flags["first_address"].replace(".0.1", ".0.81")


def test_tasks_finish_and_are_acknowledged(world):
    c, _ = world
    with Scheduler(c.master.address) as s:
        ids = []
        for offer in s.offers()[:50]:
            tasks = [s.task(offer, "true", cpus=1) for _ in range(3)]
            ids += [t["task_id"]["value"] for t in tasks]
            s.launch(offer, *tasks)
        for i in ids:
            s.end_of(i)
            assert s.states(i) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], i
        eventually(lambda: all(get_json(c.master.address, "/metrics/snapshot")["master/tasks_" + n] == 0
                               for n in ("staging", "starting", "running")))


def labels(**pairs):
    return {"labels": [{"key": "emulator." + k, "value": v} for k, v in pairs.items()]}


def test_a_task_says_how_it_ends(world):
    with Scheduler(world[0].master.address) as s:
        offer = s.offer(cpus=4)
        failed = s.task(offer, "x", labels=labels(duration="10ms", exit="7"))
        never = s.task(offer, "x", labels=labels(duration="whenever"))
        s.launch(offer, failed, never)
        end = s.end_of(failed["task_id"]["value"])
        assert end["state"] == "TASK_FAILED" and end["message"] == "Command exited with status 7"
        end = s.end_of(never["task_id"]["value"])
        assert end["state"] == "TASK_FAILED" and "emulator.duration" in end["message"]


def test_kills(world):
    with Scheduler(world[0].master.address) as s:
        offer = s.offer(cpus=4)
        task = s.task(offer, "x", labels=labels(duration="forever"))
        i = task["task_id"]["value"]
        s.launch(offer, task)
        s.status(i, "TASK_RUNNING")
        s.kill(i)
        assert s.end_of(i)["state"] == "TASK_KILLED"


def test_the_master_comes_back(world):
    """A task of a checkpointing framework runs on while the master is away, and all agents find it again."""
    c, e = world
    with Scheduler(c.master.address, failover_timeout=60.0, checkpoint=True) as s:
        offer = s.offer(cpus=4)
        task = s.task(offer, "x", labels=labels(duration="forever"))
        i = task["task_id"]["value"]
        s.launch(offer, task)
        s.status(i, "TASK_RUNNING")
        c.master.kill9()
        c.master.start()
        c.wait_agents(200, 30)
        with Scheduler(c.master.address, framework_id=s.id, failover_timeout=60.0, checkpoint=True) as again:
            again.reconcile()
            assert again.status(i)["state"] == "TASK_RUNNING"
            again.kill(i)
            again.end_of(i)
            again.teardown()


def test_an_agent_that_is_gone_comes_back_as_another(world):
    """MARK_AGENT_GONE ends an agent; what watches over it starts it again, with a new id."""
    c, _ = world
    old = next(s for s in c.slaves() if s["hostname"] == "plain-100")["id"]
    post_json(c.master.address, "/api/v1", {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": old}}})

    def back():
        found = [s for s in c.slaves() if s["hostname"] == "plain-100" and s["active"]]
        return found and found[0]["id"] != old

    eventually(back)


GPUS = """
cluster: gpus
agent_flags: {registration_backoff_factor: 20ms}
groups:
  - name: node
    count: 12
    placement: [{region: r, zone: z1}, {region: r, zone: z2}, {region: r, zone: z3}]
    resources: {cpus: 16, mem: 65536, disk: 10000, gpus: 8}
"""


def test_gangs_fill_the_cluster_zone_by_zone():
    """Twelve nodes in three zones; jobs of 2 workers with a node's GPUs each, in one zone: six fit, and a seventh has nothing at all."""
    c, _ = make(GPUS, 12)
    jobs = []
    try:
        for k in range(7):
            jobs.append(subprocess.Popen(
                [THROTTLE, "--master", c.master.address, "--name", "job%d" % k, "--cpus", "8", "--mem", "1024", "--gpus", "8",
                 "--seconds", "600", "--total", "2", "--gang", "count=2 unit=cpus:8;mem:1024;gpus:8 same=zone hold=1secs", "--quiet"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: c.master.metrics()["master/tasks_running"] == 12, 30)
        assert [s["used_resources"]["gpus"] for s in c.slaves()] == [8] * 12
        state = get_json(c.master.address, "/state")
        where = {s["id"]: zone(s) for s in state["slaves"]}
        sizes = []
        for f in state["frameworks"]:
            zones = [where[t["slave_id"]] for t in f["tasks"]]
            sizes.append(len(zones))
            assert len(set(zones)) <= 1, "a job in two zones: %s" % zones
        assert sorted(sizes) == [0, 2, 2, 2, 2, 2, 2]
    finally:
        for j in jobs:
            j.kill()
            j.wait()
        c.stop()


CHANGES = """
cluster: changes
agent_flags: {registration_backoff_factor: 20ms}
tasks: {duration: forever, kill_delay: 10ms}
groups:
  - name: plain
    count: 40
    resources: {cpus: 8, mem: 8192, disk: 10000}
  - name: gpu
    count: 20
    resources: {cpus: 16, mem: 65536, disk: 10000, gpus: 8}
"""


def make_changing():
    c, e = make(CHANGES, 60, whole=False, workers="3")
    e.control = re.search(r"Control at (\S+)\.", e.log()).group(1)
    return c, e


@pytest.fixture(scope="module")
def changing():
    c, e = make_changing()
    yield c, e
    c.stop()


def say(e, verb, **body):
    r = post_json(e.control, "/" + verb, body)
    return r.json() if r.status == 200 else (r.status, r.text)


def status(e):
    return get_json(e.control, "/status")


def group(e, name):
    return next(g for g in status(e)["groups"] if g["name"] == name)


def alive(pid):
    return os.path.exists("/proc/%d" % pid) and open("/proc/%d/stat" % pid).read().split(")")[1].split()[0] != "Z"


def test_workers_share_the_agents(changing):
    c, e = changing
    eventually(lambda: status(e)["registered"] == 60)
    s = status(e)
    assert [w["agents"] for w in s["workers"]] == [20, 20, 20] and len({w["pid"] for w in s["workers"]}) == 3
    assert s["master"] == c.master.address and s["agents"] == 60
    assert group(e, "gpu")["registered"] == 20


def test_grow_and_shrink(changing):
    c, e = changing
    eventually(lambda: status(e)["registered"] == 60)
    names = {s["hostname"] for s in c.slaves()}
    assert say(e, "grow", group="gpu", count=10)["agents"] == 70
    eventually(lambda: status(e)["registered"] == 70 and "All 70 agents are registered" in e.log())
    more = sorted({s["hostname"] for s in c.slaves()} - names)
    assert len(more) == 10 and all(n.startswith("gpu-") for n in more)
    removed = c.master.metrics()["master/slave_removals/reason_unregistered"]
    answer = say(e, "shrink", group="gpu", count=5)
    assert answer["nodes"] == 5 and answer["agents"] == 65
    eventually(lambda: c.master.metrics()["master/slave_removals/reason_unregistered"] == removed + 5)
    eventually(lambda: status(e)["registered"] == 65)
    assert not {s["hostname"] for s in c.slaves() if s["active"]} & set(more[5:])
    # Machines that are lost say nothing: the master sees connections that end.
    assert say(e, "shrink", group="gpu", count=5, how="kill")["nodes"] == 5
    eventually(lambda: sum(1 for s in c.slaves() if s["active"]) == 60)


def test_a_killed_agent_recovers_its_tasks(changing):
    """kill -9 of an agent: what its framework checkpointed goes on, and what ended meanwhile is told when the agent is back."""
    c, e = changing
    with Scheduler(c.master.address, checkpoint=True) as s:
        offer = next(o for o in s.offers() if o["hostname"].startswith("plain-"))
        node = offer["hostname"]
        goes_on = s.task(offer, "x", labels=labels(duration="forever"))
        ends = s.task(offer, "x", labels=labels(duration="700ms", exit="3"))
        s.launch(offer, goes_on, ends)
        for t in (goes_on, ends):
            s.status(t["task_id"]["value"], "TASK_RUNNING")
        before = status(e)
        assert say(e, "fail", how="kill", nodes=[node], **{"for": "1500ms"})["nodes"] == 1
        eventually(lambda: status(e)["registered"] == before["registered"] - 1)
        end = s.end_of(ends["task_id"]["value"])
        assert end["state"] == "TASK_FAILED" and end["message"] == "Command exited with status 3", end
        eventually(lambda: status(e)["registered"] == before["registered"])
        after = status(e)
        assert after["restarts"] == before["restarts"] + 1 and after["faults"]["kill"] == before["faults"]["kill"] + 1
        assert after["tasks"]["running"] == 1
        mine = next(a for a in c.slaves() if a["hostname"] == node)
        assert mine["id"] == offer["agent_id"]["value"]
        s.kill(goes_on["task_id"]["value"])
        assert s.end_of(goes_on["task_id"]["value"])["state"] == "TASK_KILLED"


def pod(s, offer, *tasks):
    executor = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": s.id},
                "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
    s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": list(tasks)}}}])
    return [t["task_id"]["value"] for t in tasks]


def test_a_group_of_tasks(changing):
    """The emulated agent plays the default executor: a group ends with its first task that fails, and the pod with its last."""
    c, e = changing
    with Scheduler(c.master.address) as s:
        offer = s.offer(cpus=2)
        a, b = pod(s, offer, s.task(offer, "x", labels=labels(duration="200ms")), s.task(offer, "x", labels=labels(duration="300ms")))
        for t in (a, b):
            assert s.end_of(t)["state"] == "TASK_FINISHED", s.end_of(t)
            assert s.states(t) == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        offer = s.offer(cpus=2)
        fails, falls = pod(s, offer, s.task(offer, "x", labels=labels(duration="300ms", exit="4")), s.task(offer, "x"))
        s.status(falls, "TASK_RUNNING")
        assert s.end_of(fails)["state"] == "TASK_FAILED" and s.end_of(falls)["state"] == "TASK_KILLED"
        offer = s.offer(cpus=2)
        killed, = pod(s, offer, s.task(offer, "x"))
        s.status(killed, "TASK_RUNNING")
        s.kill(killed)
        assert s.end_of(killed)["state"] == "TASK_KILLED"
        # Their executors end too, and nothing is used any more.
        eventually(lambda: not any(a["used_resources"].get("cpus") for a in c.slaves()))
        assert status(e)["tasks"]["running"] == 0


def test_a_custom_executor_lives_through_a_kill(changing):
    c, e = changing
    with Scheduler(c.master.address, checkpoint=True) as s:
        offer = next(o for o in s.offers() if o["hostname"].startswith("plain-"))
        own = {"executor_id": {"value": new_id("own")}, "framework_id": {"value": s.id}, "command": {"value": "mine"},
               "resources": [scalar("cpus", 0.1), scalar("mem", 32)]}
        stays = s.task(offer, None, command=None, executor=own, labels=labels(duration="forever"))
        ends = s.task(offer, None, command=None, executor=own, labels=labels(duration="700ms"))
        s.launch(offer, stays, ends)
        for t in (stays, ends):
            s.status(t["task_id"]["value"], "TASK_RUNNING")
        before = status(e)["restarts"]
        say(e, "fail", how="kill", nodes=[offer["hostname"]], **{"for": "1500ms"})
        assert s.end_of(ends["task_id"]["value"])["state"] == "TASK_FINISHED"
        assert status(e)["restarts"] == before + 1 and status(e)["tasks"]["running"] == 1
        s.kill(stays["task_id"]["value"])
        assert s.end_of(stays["task_id"]["value"])["state"] == "TASK_KILLED"


def test_fail_and_heal(changing):
    c, e = changing
    assert say(e, "fail", how="flap", group="plain", fraction=0.5, every="200ms", away="100ms")["nodes"] == 20
    eventually(lambda: group(e, "plain")["faults"]["flap"] > 40)
    assert group(e, "gpu")["faults"]["flap"] == 0
    assert say(e, "fail", how="lag", group="gpu", lag="uniform 1ms 5ms")["nodes"] == 20
    assert say(e, "fail", how="partition", nodes=["plain-01"])["nodes"] == 1
    killed = group(e, "gpu")["faults"]["kill"]
    assert say(e, "fail", how="kill", group="gpu", count=4)["nodes"] == 4
    eventually(lambda: group(e, "gpu")["faults"]["kill"] == killed + 4)
    eventually(lambda: group(e, "gpu")["registered"] <= 16)
    assert group(e, "plain")["faults"]["partition"] == 1
    assert say(e, "heal")["nodes"] == 60
    eventually(lambda: status(e)["registered"] == 60)
    flaps = group(e, "plain")["faults"]["flap"]
    eventually(lambda: "agents cut off" in e.log().splitlines()[-1])
    assert group(e, "plain")["faults"]["flap"] == flaps


def test_commands_that_make_no_sense(changing):
    _, e = changing
    before = status(e)["commands"]
    for verb, body, code, words in [
            ("grow", {"group": "x", "count": 1}, 404, "there is no group 'x'"),
            ("grow", {"group": "gpu"}, 400, "needs the key 'count'"),
            ("grow", {"group": "gpu", "count": 0}, 400, "'count' must be"),
            ("shrink", {"group": "gpu", "count": 1, "how": "nicely"}, 400, "'how' is unregister or kill"),
            ("fail", {"how": "explode"}, 400, "not 'explode'"),
            ("fail", {"how": "kill", "nodes": ["gpu-01", "gpu-99"]}, 404, "there is no node 'gpu-99'"),
            ("fail", {"how": "lag", "for": "soon"}, 400, "fail:1: "),
            ("heal", {"all": True}, 400, "has no key 'all'")]:
        assert say(e, verb, **body)[0] == code and words in say(e, verb, **body)[1], (verb, body, say(e, verb, **body))
    assert post_json(e.control, "/heal", {}, headers={"Content-Type": "text/plain"}).status == 415
    assert request(e.control, "GET", "/heal").status == 405
    assert status(e)["commands"] == before


def test_verbs(changing):
    _, e = changing

    def verb(*words):
        out = subprocess.run([EMULATOR, "--at=" + e.control] + list(words), capture_output=True, text=True, timeout=20, check=False)
        return out.returncode, out.stdout + out.stderr

    code, text = verb("status")
    assert code == 0 and "60 of 60 agents registered" in text and "group gpu: 20 of 20" in text and "worker 3: process" in text, text
    assert verb("grow", "gpu", "1")[0] == 0
    eventually(lambda: status(e)["registered"] == 61)
    assert verb("shrink", "gpu", "1", "how=kill")[0] == 0
    assert verb("fail", "lose", "group=gpu", "fraction=0.5", "lose=0.01", "for=1secs")[0] == 0
    assert verb("heal")[0] == 0
    assert verb("grow", "gpu") == (1, "fairlead-emulator: 'grow' needs 'count'; --help says more\n")
    code, text = verb("fail", "explode")
    assert code == 1 and "not 'explode'" in text


def test_a_worker_that_dies_is_an_error():
    """And no worker outlives a supervisor that is killed."""
    c, e = make_changing()
    try:
        end_badly(e)
    finally:
        c.stop()


def end_badly(e):
    eventually(lambda: "All 60 agents" in e.log())
    pids = [w["pid"] for w in status(e)["workers"]]
    os.kill(pids[1], signal.SIGKILL)
    assert e.process.wait(20) == 1
    assert "worker 2 of 3 (process %d), with 20 agents, was killed by signal 9" % pids[1] in e.log()
    eventually(lambda: not any(alive(p) for p in pids))
    e.start()
    eventually(lambda: "All 60 agents" in e.log().split("was killed")[1])
    e.control = re.findall(r"Control at (\S+)\.", e.log())[-1]
    pids = [w["pid"] for w in status(e)["workers"]]
    assert len(pids) == 3 and all(alive(p) for p in pids)
    e.process.kill()
    e.process.wait()
    eventually(lambda: not any(alive(p) for p in pids))


FAULTS = """
cluster: faults
agent_flags: {registration_backoff_factor: 20ms, status_update_retry_interval_min: 200ms}
faults: {lag: uniform 1ms 20ms}
tasks: {duration: 200ms}
groups:
  - name: flaps
    count: 10
    resources: {cpus: 4, mem: 4096}
    faults:
      flap: {every: uniform 500ms 1secs, away: uniform 100ms 200ms}
  - name: loses
    count: 10
    resources: {cpus: 4, mem: 4096}
    faults: {lose: 0.05}
  - name: dead
    count: 1
    resources: {cpus: 4, mem: 4096}
    faults: {lose: 1}
"""


def test_faults():
    """Connections that break, messages that are late or lost: a task that an agent has got comes to its end all the same, by repetition."""
    c, e = make(FAULTS, 20, whole=False)
    try:
        with Scheduler(c.master.address) as s:
            started = set()
            for _ in range(12):
                offer = s.offer(cpus=1)
                task = s.task(offer, "x", cpus=0.5)
                started.add(task["task_id"]["value"])
                s.launch(offer, task)
            # A launch itself may be lost, or its agent away.
            eventually(lambda: sum(1 for i in started if any(x["state"] == "TASK_FINISHED" for x in s.statuses(i))) >= 6, 30)
        eventually(lambda: "messages lost" in e.log() and "tasks: 0 running" in e.log().splitlines()[-1], 20)
        lost = e.log().splitlines()[-1].split(";")[1].split()
        assert int(lost[0]) > 5 and int(lost[3]) > 0, lost
        assert not [x for x in c.slaves() if x["hostname"].startswith("dead")]
    finally:
        c.stop()


@pytest.mark.parametrize("name", ["small", "kemu", "nomad-c1m", "huge"])
def test_examples(name):
    out = subprocess.run([EMULATOR, os.path.join(ROOT, "emulator", "examples", name + ".yaml"), "--check"], capture_output=True, text=True,
                         timeout=20, check=False)
    assert out.returncode == 0 and out.stdout.startswith(name + ": "), out


def test_mistakes_are_named_with_their_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("groups:\n  - name: a\n    count: 1\n    resources: {cpus: 1, mem: 1}\n    size: 3\n")
    out = subprocess.run([EMULATOR, str(path)], capture_output=True, text=True, timeout=20, check=False)
    assert out.returncode == 1 and "c.yaml:5: a group has no key 'size'" in out.stderr, out


def test_up_and_down(tmp_path):
    """`fairlead up --emulate`: a master with the right fault domain, and all agents of the file."""
    (tmp_path / "c.yaml").write_text(GPUS)
    port = free_ports(2)[0]
    fairlead = os.path.join(BIN, "fairlead")
    where = ["--dir", str(tmp_path / "c")]
    up = subprocess.run([fairlead, "up", "--detach", "--port", str(port), "--emulate", str(tmp_path / "c.yaml")] + where, timeout=60,
                        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    try:
        assert up.returncode == 0 and "12 emulated agents" in up.stdout, up
        slaves = get_json("127.0.0.1:%d" % port, "/slaves")["slaves"]
        assert sorted(zone(s) for s in slaves) == ["z1"] * 4 + ["z2"] * 4 + ["z3"] * 4
    finally:
        down = subprocess.run([fairlead, "down"] + where, timeout=60, check=False)
    assert down.returncode == 0


def test_kemu(tmp_path):
    """The ready file with 20,400 GPUs, and 15 jobs of 100 workers, 15 of 50 and 12 of 25: each in one zone, all of them whole, no GPU left."""
    port = free_ports(2)[0]
    address = "127.0.0.1:%d" % port
    fairlead = os.path.join(BIN, "fairlead")
    where = ["--dir", str(tmp_path / "c")]
    up = subprocess.run([fairlead, "up", "--detach", "--port", str(port), "--emulate", os.path.join(ROOT, "emulator/examples/kemu.yaml")] + where,
                        timeout=90, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    sizes = [100] * 15 + [50] * 15 + [25] * 12
    jobs = []
    try:
        assert up.returncode == 0, up
        for k, size in enumerate(sizes):
            # A zone has 850 nodes. Small jobs that come before large ones could leave 25 nodes in each of two zones, and none for a job of 50.
            if k == 30:
                eventually(lambda: get_json(address, "/metrics/snapshot")["master/tasks_running"] == 2250, 60, 0.2)
            gang = "count=%d unit=cpus:8;mem:65536;gpus:8 same=zone hold=10secs" % size
            jobs.append(subprocess.Popen([THROTTLE, "--master", address, "--name", "job%d" % k, "--cpus", "8", "--mem", "65536", "--gpus", "8",
                                          "--seconds", "6000", "--total", str(size), "--gang", gang, "--quiet"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: get_json(address, "/metrics/snapshot")["master/tasks_running"] == 2550, 60, 0.5)
        state = get_json(address, "/state")
        where_is = {s["id"]: zone(s) for s in state["slaves"]}
        assert sorted(len(f["tasks"]) for f in state["frameworks"]) == sorted(sizes)
        assert all(len({where_is[t["slave_id"]] for t in f["tasks"]}) == 1 for f in state["frameworks"])
        assert sum(s["used_resources"]["gpus"] for s in state["slaves"]) == 20400
    finally:
        for j in jobs:
            j.kill()
            j.wait()
        subprocess.run([fairlead, "down"] + where, timeout=60, check=False)
