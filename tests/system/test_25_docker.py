"""Docker tasks and executors, run by a real Docker Engine (Debian's dockerd); and containerizers side by side."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

from harness.cluster import Cluster
from harness.engine import Engine, why_not
from harness.http import Stream, eventually, get, get_json, post_json
from harness.scheduler import Scheduler, custom_executor
from test_27_m27_nested import collect

FAST = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 5}


def container(image="box", network="HOST", volumes=None, parameters=None, **docker):
    c = {"type": "DOCKER", "docker": dict({"image": image, "network": network}, **docker)}
    if volumes:
        c["volumes"] = volumes
    if parameters:
        c["docker"]["parameters"] = [{"key": k, "value": v} for k, v in parameters]
    return c


@pytest.fixture(scope="module")
def engine():
    if why_not():
        pytest.skip(why_not())
    try:
        e = Engine()
    except RuntimeError as why:
        pytest.skip(str(why))
    with_image(e)
    yield e
    e.stop()


def with_image(e):
    e.make_image("greeter", 'ENTRYPOINT ["/bin/echo","hello"]', 'CMD ["world"]')


def flags(engine, **more):
    return dict({"containerizers": "docker,mesos", "docker_socket": engine.socket, "docker_remove_delay": "1hrs"}, **more)


@pytest.fixture(scope="module")
def cluster(engine):
    with Cluster(agent_flags=flags(engine)) as c:
        yield c


@pytest.fixture
def own(engine, request):
    """A cluster and scheduler of the test's own, for what it does to the agent."""
    with Cluster(agent_flags=flags(engine, **getattr(request, "param", {}))) as c:
        with Scheduler(c.master.address, checkpoint=True) as s:
            yield c, s


def sandbox(c, task_id):
    found = [os.path.realpath(d + "/latest") for d, _, _ in os.walk(c.folder)
             if d.endswith("/executors/%s/runs" % task_id) and "/meta/" not in d]
    return found[0]


def output(c, task_id, name="stdout"):
    with open("%s/%s" % (sandbox(c, task_id), name)) as f:
        return f.read()


def name_of(status):
    return "mesos-" + status["container_status"]["container_id"]["value"]


# ---- tasks ----

def test_shell_command(cluster, engine, scheduler):
    s = scheduler
    tid, st = s.run("env; pwd; echo to-stderr >&2; echo made > $MESOS_SANDBOX/made; cat /mnt/mesos/sandbox/made; sleep 0.5; exit 3",
                    container=container(), command={"value": "env; echo to-stderr >&2; echo made > $MESOS_SANDBOX/made; sleep 0.5; exit 3",
                                                    "environment": {"variables": [{"name": "OWN", "value": "a b"}]}})
    i, = json.loads(base64.b64decode(st["data"]))
    assert i["Name"] == "/" + name_of(st) and i["HostConfig"]["NetworkMode"] == "host"
    assert i["HostConfig"]["CpuShares"] == int(1024 * 0.2) and i["HostConfig"]["Memory"] == 64 << 20
    assert i["Config"]["Labels"]["MESOS_TASK_ID"] == tid
    assert st["container_status"]["executor_pid"] == i["State"]["Pid"]
    end = s.end_of(tid)
    assert (end["state"], end["message"]) == ("TASK_FAILED", "Container exited with status 3")
    env = dict(line.split("=", 1) for line in output(cluster, tid).splitlines() if "=" in line)
    assert env["OWN"] == "a b" and env["MESOS_SANDBOX"] == "/mnt/mesos/sandbox" and env["MESOS_CONTAINER_NAME"] == name_of(st)
    assert env["MESOS_ALLOCATION_ROLE"] == "*" and "MESOS_SLAVE_PID" not in env
    assert output(cluster, tid, "stderr") == "to-stderr\n"
    assert open(sandbox(cluster, tid) + "/made").read() == "made\n"
    assert s.states(tid)[:2] == ["TASK_STARTING", "TASK_RUNNING"]


@pytest.mark.parametrize("command,want", [({"shell": False}, "hello world\n"), ({"shell": False, "arguments": ["a", "b c"]}, "hello a b c\n"),
                                          ({"shell": False, "value": "x", "arguments": ["y"]}, "hello x y\n"), ({"value": "echo sh"}, "sh\n")])
def test_entrypoint(cluster, scheduler, command, want):
    tid, _ = scheduler.run("", "TASK_FINISHED", container=container("greeter"), command=command)
    assert output(cluster, tid) == want


def test_uris_volumes_and_parameters(cluster, engine, scheduler):
    """What is fetched is in the sandbox; volumes as they are given; options of `docker run` become fields of the API."""
    s = scheduler
    src = tempfile.mkdtemp(dir=cluster.folder)
    os.chmod(src, 0o755)
    with open(src + "/fetched", "w") as f:
        f.write("by the fetcher\n")
    tid, st = s.run(
        "", "TASK_RUNNING",
        command={"value": "ls /data; touch /data/x; echo w > rel/in; id -u; hostname; echo $E; sleep 100",
                 "uris": [{"value": src + "/fetched"}]},
        container=dict(container(network="NONE", privileged=True, volumes=[
            {"host_path": src, "container_path": "/data", "mode": "RO"}, {"host_path": "below", "container_path": "/abs", "mode": "RW"},
            {"host_path": src, "container_path": "rel", "mode": "RW"}],
            parameters=[("user", "bob"), ("env", "E=f"), ("label", "k=v"), ("ulimit", "nofile=64:128"), ("cap-add", "NET_ADMIN"),
                        ("workdir", "/mnt/mesos/sandbox"), ("shm-size", "8m"), ("rm", "true")]), hostname="inside"))
    i = engine.inspect(name_of(st))
    h = i["HostConfig"]
    here = sandbox(cluster, tid)
    assert h["Binds"] == [src + ":/data:ro", here + "/below:/abs:rw", src + ":/mnt/mesos/sandbox/rel:rw", here + ":/mnt/mesos/sandbox"]
    assert h["Privileged"] and h["NetworkMode"] == "none" and h["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
    assert h["Ulimits"] == [{"Name": "nofile", "Soft": 64, "Hard": 128}] and h["ShmSize"] == 8 << 20
    assert i["Config"]["User"] == "bob" and i["Config"]["Labels"]["k"] == "v" and i["Config"]["Hostname"] == "inside"
    out = eventually(lambda: output(cluster, tid) if output(cluster, tid).endswith("f\n") else None)
    assert out == "fetched\n1234\ninside\nf\n"
    with open(here + "/fetched") as f:  # not by the container's user: the sandbox is for the task's
        assert f.read() == "by the fetcher\n"
    s.kill(tid, grace=0)
    s.end_of(tid)


def test_uris_out_of_the_cache(engine):
    """Docker tasks and others share the fetcher's cache and its counters."""
    with tempfile.TemporaryDirectory() as folder, Cluster(
            agent_flags=flags(engine, fetcher_cache_dir=folder + "/cache", fetcher_cache_size="1MB")) as c, Scheduler(c.master.address) as s:
        os.chmod(folder, 0o755)
        with open(folder + "/cached", "w") as f:
            f.write("the first\n")
        command = {"value": "cat $MESOS_SANDBOX/cached", "uris": [{"value": folder + "/cached", "cache": True}]}
        for how in ({"container": container()}, {"container": container()}, {}):
            tid, _ = s.run("", "TASK_FINISHED", command=command, **how)
            assert output(c, tid).endswith("the first\n")
            with open(folder + "/cached", "w") as f:
                f.write("the second\n")
        m = {k.rsplit("/", 1)[1]: v for k, v in c.agent.metrics().items() if k.startswith("containerizer/fetcher/")}
        assert (m["task_fetches_succeeded"], m["task_fetches_failed"], m["cache_size_used_bytes"]) == (3, 0, 10)


@pytest.mark.parametrize("change,why", [
    (container(parameters=[("frobnicate", "1")]), "parameter 'frobnicate'"),
    (container(parameters=[("ulimit", "nofile")]), "nofile=1024:2048"),
    (dict(container(), hostname="h"), "Unable to set hostname with host network mode"),
    (container(network="USER"), "No network info found in container info"),
    (container(port_mappings=[{"host_port": 31000, "container_port": 80}]), "Port mappings are only supported for bridge"),
    (container(network="BRIDGE", port_mappings=[{"host_port": 1, "container_port": 80}]), "Port [1] not included in resources"),
    (container(volumes=[{"host_path": "a", "container_path": "b", "mode": "RW"}]), "of a volume are relative"),
    (container("../x"), "cannot be the name of a Docker image"),
    (container("127.0.0.1:1/none:1"), "Failed to pull the Docker image '127.0.0.1:1/none:1'"),
])
def test_refused(cluster, scheduler, change, why):
    tid, st = scheduler.run("true", "TASK_FAILED", container=change)
    assert why in st["message"] and st["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert scheduler.states(tid) == ["TASK_FAILED"]


def test_what_does_not_start(cluster, scheduler):
    _, st = scheduler.run("", "TASK_FAILED", container=container(parameters=[("entrypoint", "/none")]), command={"shell": False, "value": "x"})
    assert "Failed to run docker container: start: the Docker Engine answered 400" in st["message"] and "/none" in st["message"]


def test_pull_from_a_registry(cluster, engine, scheduler):
    """Debian's docker-registry, which wants a password: without one the task fails, with a .dockercfg among its URIs it runs."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed")
    d = tempfile.mkdtemp(dir=cluster.folder)
    os.chmod(d, 0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = "127.0.0.1:%d" % probe.getsockname()[1]
    with open(d + "/htpasswd", "w") as f:
        f.write("me:$2b$04$hjFomCHTjb1JWZ7RvTxqrON64U3bgsW4PzWt7wNO4BPfgwjBu6D0C\n")  # "secret"
    with open(d + "/config.yml", "w") as f:
        json.dump({"version": 0.1, "storage": {"filesystem": {"rootdirectory": d + "/data"}}, "http": {"addr": host},
                   "auth": {"htpasswd": {"realm": "r", "path": d + "/htpasswd"}}}, f)
    entry = {host: {"auth": base64.b64encode(b"me:secret").decode()}}
    for name, content in (("/.dockercfg", entry), ("/config.json", {"auths": entry})):
        with open(d + name, "w") as f:
            json.dump(content, f)
        os.chmod(d + name, 0o644)
    with open(d + "/log", "w") as log:
        registry = subprocess.Popen(["docker-registry", "serve", d + "/config.yml"], stdout=log, stderr=log)
    try:
        eventually(lambda: get(host, "/v2/").status == 401)
        image = host + "/team/box:1"
        engine.docker("tag", "box", image)
        engine.docker("--config", d, "push", image)
        engine.docker("rmi", image)
        _, st = scheduler.run("true", "TASK_FAILED", container=container(image))
        assert "Failed to pull the Docker image '%s'" % image in st["message"]
        scheduler.run("", "TASK_FINISHED", container=container(image), command={"value": "true", "uris": [{"value": d + "/.dockercfg"}]})
    finally:
        registry.terminate()
        registry.wait(10)


# ---- ends ----

def test_kill(cluster, engine, scheduler):
    """The stop signal of the image or the option first; after the grace period everything."""
    s = scheduler
    polite, _ = s.run("trap 'echo asked; exit 0' USR1; while :; do sleep 0.1; done", container=container(parameters=[("stop-signal", "USR1")]))
    deaf, st = s.run("trap '' TERM; while :; do sleep 0.1; done", container=container())
    time.sleep(0.3)
    t = time.monotonic()
    s.kill(polite)
    s.kill(deaf, grace=1)
    assert s.end_of(polite)["state"] == "TASK_KILLED"
    assert "asked" in output(cluster, polite)
    end = s.end_of(deaf)
    assert (end["state"], end["message"]) == ("TASK_KILLED", "Container exited with status 137") and time.monotonic() - t >= 0.9
    assert name_of(st) not in engine.names()


def test_memory(cluster, scheduler):
    tid, _ = scheduler.run("head -c 300m /dev/zero | tail", container=container())
    end = scheduler.end_of(tid)
    assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", end
    assert end["message"].startswith("Memory limit exceeded: Requested: 64MB")
    assert end["limitation"]["resources"][0]["scalar"]["value"] == 64


def test_statistics(cluster, scheduler):
    tid, _ = scheduler.run("while :; do :; done", container=container())

    def counted():
        found = [c["statistics"] for c in get_json(cluster.agent.address, "/containers") if c["executor_id"] == tid]
        return found and found[0]["cpus_user_time_secs"] + found[0]["cpus_system_time_secs"] > 0.1 and found[0]
    st = eventually(counted)
    assert st["mem_limit_bytes"] == 64 << 20 and st["mem_rss_bytes"] > 0
    scheduler.kill(tid, grace=0)
    scheduler.end_of(tid)


# ---- checks ----

def test_command_health_check(cluster, scheduler):
    """Runs in the container, with the variables of the check; the task is killed when it fails too often."""
    tid, _ = scheduler.run("sleep 1000", container=container(), health_check=dict(
        FAST, type="COMMAND", grace_period_seconds=0, consecutive_failures=2,
        command={"value": "test -e /bin/busybox && test ! -e /mnt/mesos/sandbox/$F", "environment": {"variables": [{"name": "F", "value": "sick"}]}}))
    eventually(lambda: any(st.get("healthy") for st in scheduler.statuses(tid)))
    open(sandbox(cluster, tid) + "/sick", "w").close()
    end = scheduler.end_of(tid)
    assert end["state"] == "TASK_KILLED" and end["healthy"] is False


def test_http_health_check_in_its_network(cluster, scheduler):
    tid, _ = scheduler.run("mkdir /tmp/w; echo ok > /tmp/w/index.html; httpd -f -p 127.0.0.1:8080 -h /tmp/w", container=container(network="NONE"),
                           health_check=dict(FAST, type="HTTP", grace_period_seconds=10, consecutive_failures=50,
                                             http={"port": 8080, "path": "/index.html"}))
    eventually(lambda: any(st.get("healthy") for st in scheduler.statuses(tid)))
    scheduler.kill(tid, grace=0)
    scheduler.end_of(tid)


def test_session(cluster, scheduler):
    """A command of an operator in the container: its output, its exit status, and its end with the connection."""
    tid, st = scheduler.run("sleep 1000", container=container(), command={"value": "sleep 1000"})
    root = st["container_status"]["container_id"]

    def call(kind, name, **body):
        return {"type": kind, kind.lower(): dict(body, container_id={"value": name, "parent": root})}

    def session(name, shell):
        body = json.dumps(call("LAUNCH_NESTED_CONTAINER_SESSION", name, command={"value": shell}))
        s = Stream(cluster.agent.address, "/api/v1", body, {"Content-Type": "application/json", "Accept": "application/recordio",
                                                            "Message-Accept": "application/json"})
        assert s.answer.status == 200, s.answer
        return s

    s = session("a", "echo out; echo err >&2; head -c 100000 /dev/zero; exit 3")
    out = collect(s)
    assert out["STDOUT"] == b"out\n" + bytes(100000) and out["STDERR"] == b"err\n"
    end = post_json(cluster.agent.address, "/api/v1", call("WAIT_NESTED_CONTAINER", "a")).json()["wait_nested_container"]
    assert end["exit_status"] == 3 << 8
    s = session("b", "echo on; exec sleep 777")
    collect(s, b"on")
    s.close()
    assert post_json(cluster.agent.address, "/api/v1", call("WAIT_NESTED_CONTAINER", "b")).status in (200, 404)
    eventually(lambda: not [p for p in map(cmdline, filter(str.isdigit, os.listdir("/proc"))) if p == b"sleep\x00777\x00"])
    refused = post_json(cluster.agent.address, "/api/v1", call("LAUNCH_NESTED_CONTAINER", "c", command={"value": "true"}))
    assert refused.status != 200 and "Nested containers are not supported in Docker containers" in refused.text
    scheduler.kill(tid, grace=0)
    scheduler.end_of(tid)


def cmdline(pid):
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as f:
            return f.read()
    except OSError:
        return b""


# ---- executors, composing ----

def test_custom_executor(cluster, engine, scheduler):
    e = custom_executor(scheduler)
    repo = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    e["container"] = container(volumes=[{"host_path": p, "container_path": p, "mode": "RO"} for p in ("/usr", "/etc", repo)],
                               parameters=[("workdir", "/mnt/mesos/sandbox")])
    offer = scheduler.offer(cpus=0.5)
    tasks = [scheduler.task(offer, "", command=None, executor=e, data=base64.b64encode(b"later 1").decode()) for _ in range(2)]
    scheduler.launch(offer, *tasks)
    st = scheduler.status(tasks[0]["task_id"]["value"], "TASK_RUNNING")
    assert engine.inspect(name_of(st))["State"]["Running"]
    for t in tasks:
        assert scheduler.end_of(t["task_id"]["value"])["state"] == "TASK_FINISHED"
    with open(sandbox(cluster, e["executor_id"]["value"]) + "/environment") as f:
        env = json.load(f)
    assert env["MESOS_SANDBOX"] == "/mnt/mesos/sandbox" and env["MESOS_EXECUTOR_ID"] == e["executor_id"]["value"]
    assert env["MESOS_AGENT_ENDPOINT"] == cluster.agent.address


def test_beside_mesos_containers(cluster, engine, scheduler):
    before = len(engine.names("-a"))
    plain, _ = scheduler.run("echo plain", "TASK_FINISHED")
    mesos, _ = scheduler.run("echo mesos", "TASK_FINISHED", container={"type": "MESOS"})
    assert output(cluster, plain) == "plain\n" and output(cluster, mesos) == "mesos\n" and len(engine.names("-a")) == before


@pytest.mark.parametrize("own", [{"containerizers": "mesos"}], indirect=True)
def test_not_enabled(own):
    _, st = own[1].run("true", "TASK_FAILED", container=container())
    assert st["message"] == ("None of the enabled containerizers (mesos) could create a container for the provided TaskInfo/ExecutorInfo "
                             "message")


def test_unknown_containerizer(cluster):
    a = cluster.add_agent({"containerizers": "mesos,external"}, start=False)
    try:
        a.start(wait=False)
        assert a.process.wait(10) == 1
        assert "'external', which is no containerizer of this agent" in a.log()
    finally:
        a.stop()
        cluster.agents.remove(a)


# ---- restarts ----

COUNT = "i=0; while [ $i -lt %d ]; do echo $i; echo e$i >&2; i=$((i+1)); [ $((i %% 50)) != 0 ] || sleep 0.02; done"


def test_agent_killed(own, engine):
    """Neither loss nor repetition of output, whenever the agent is killed; the exit status of what ended meanwhile is learned."""
    c, s = own
    n = 6000
    tid, _ = s.run(COUNT % n + "; exit 7", container=container())
    deaf, _ = s.run("sleep 1000", container=container(), kill_policy={"grace_period": {"nanoseconds": 0}})
    for pause in (0.2, 0.25, 0.3, 0.15):
        time.sleep(pause)
        c.agent.kill9()
        c.agent.start()
    c.agent.kill9()
    eventually(lambda: len(engine.names()) == 1)
    c.agent.start()
    end = s.end_of(tid)
    assert (end["state"], end["message"]) == ("TASK_FAILED", "Container exited with status 7")
    assert output(c, tid).split() == [str(i) for i in range(n)]
    assert output(c, tid, "stderr").split() == ["e%d" % i for i in range(n)]
    s.kill(deaf)
    assert s.end_of(deaf)["state"] == "TASK_KILLED"


def test_engine_killed(own, engine):
    """Containers go on (--live-restore), and so do the tasks; a launch without an engine says why it fails."""
    c, s = own
    tid, _ = s.run("i=0; while [ ! -e $MESOS_SANDBOX/stop ]; do echo $i; i=$((i+1)); sleep 0.05; done", container=container())
    engine.kill9()
    try:
        _, st = s.run("true", "TASK_FAILED", container=container())
        assert "the Docker Engine at '%s' does not answer" % engine.socket in st["message"]
        assert c.agent.healthy()
    finally:
        engine.start()
    time.sleep(1.5)
    open(sandbox(c, tid) + "/stop", "w").close()
    assert s.end_of(tid)["state"] == "TASK_FINISHED"
    lines = output(c, tid).split()
    assert lines == [str(i) for i in range(len(lines))] and len(lines) > 20


@pytest.mark.parametrize("own", [{"docker_remove_delay": "100ms"}], indirect=True)
def test_orphans_and_removal(own, engine):
    """What nobody knows is removed by a starting agent, unless it is another agent's; what has ended is removed after the delay."""
    c, s = own
    _, st = s.run("true", "TASK_FINISHED", container=container())
    eventually(lambda: name_of(st) not in engine.names("-a"))
    names = {kind: "mesos-%s" % uuid.uuid4() for kind in ("orphan", "others")}
    engine.docker("run", "-d", "--network=none", "--name", names["orphan"], "box", "sleep", "1000")
    engine.docker("run", "-d", "--network=none", "--label", "fairlead.work_dir=/else", "--name", names["others"], "box", "sleep", "1000")
    engine.docker("run", "-d", "--network=none", "--name", "my-mesos-thing", "box", "sleep", "1000")
    c.agent.stop()
    c.agent.start()
    eventually(lambda: names["orphan"] not in engine.names("-a"))
    assert {names["others"], "my-mesos-thing"} <= set(engine.names())
    engine.docker("rm", "-f", names["others"], "my-mesos-thing")
