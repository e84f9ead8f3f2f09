"""M27: nested and standalone containers through the agent's API, with real processes, for the posix and the linux launcher."""
import base64
import json
import os
import time
import uuid

import pytest

from harness.cluster import Cluster
from harness.http import JSON, Connection, Stream, eventually, post_json, request
from harness.scheduler import Scheduler

POSIX = {}
LINUX = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux,namespaces/pid,namespaces/ipc"}


@pytest.fixture(scope="module", params=["posix", pytest.param("linux", marks=pytest.mark.root)])
def world(request):
    with Cluster(agents=1, agent_flags=LINUX if request.param == "linux" else POSIX) as c:
        c.kind = request.param
        with Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


def ask(c, kind, expect=200, **body):
    call = {"type": kind}
    if body:
        call[kind.lower()] = body
    a = post_json(c.agent.address, "/api/v1", call)
    assert a.status == expect, (kind, a)
    return a.json() if a.body and a.status == 200 else a


class Parent:
    """A running command task, in whose container others are started."""

    def __init__(self, world, command="sleep 1000"):
        self.c, self.s = world
        self.task, st = self.s.run(command, mem=64)
        self.id = st["container_status"]["container_id"]
        self.sandbox = eventually(lambda: [d for d, _, _ in os.walk(self.c.folder)
                                           if d.endswith("/runs/" + self.id["value"]) and "/meta/" not in d])[0]

    def child(self, name=None):
        return {"value": "n-" + str(uuid.uuid4()) if name is None else name, "parent": self.id}

    def box(self, cid):
        return os.path.join(self.sandbox, "containers", cid["value"])

    def launch(self, command, cid=None, expect=200, **more):
        cid = cid or self.child()
        ask(self.c, "LAUNCH_NESTED_CONTAINER", expect, container_id=cid, command={"value": command}, **more)
        return cid

    def wait(self, cid, expect=200):
        a = ask(self.c, "WAIT_NESTED_CONTAINER", expect, container_id=cid)
        return a["wait_nested_container"] if expect == 200 else a

    def end(self):
        self.s.kill(self.task)
        self.s.end_of(self.task)


@pytest.fixture
def parent(world):
    p = Parent(world)
    yield p
    p.end()


def read(path):
    with open(path) as f:
        return f.read()


def ids(c, **show):
    d = ask(c, "GET_CONTAINERS", **show)["get_containers"]
    return [x["container_status"]["container_id"] for x in d.get("containers", [])]


def test_what_is_fetched_lies_in_its_sandbox(parent, tmp_path):
    """Also two deep; and not where a link in the parent's sandbox leads."""
    (tmp_path / "f").write_text("fetched\n")
    (tmp_path / "elsewhere").mkdir()
    outer = parent.launch("sleep 1000")
    inner = {"value": "n-" + str(uuid.uuid4()), "parent": outer}
    command = {"value": "cat f", "uris": [{"value": str(tmp_path / "f")}]}
    for cid, box in ((parent.child("one"), parent.box({"value": "one"})), (inner, parent.box(outer) + "/containers/" + inner["value"])):
        ask(parent.c, "LAUNCH_NESTED_CONTAINER", container_id=cid, command=command)
        assert parent.wait(cid)["exit_status"] == 0 and read(box + "/stdout") == "fetched\n"
    os.symlink(str(tmp_path / "elsewhere"), parent.box({"value": "two"}))
    body = {"container_id": parent.child("two"), "command": command}
    assert post_json(parent.c.agent.address, "/api/v1", {"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": body}).status >= 400
    assert os.listdir(tmp_path / "elsewhere") == []


def test_end_and_sandbox(parent):
    cid = parent.launch("echo $PWD; echo $MESOS_SANDBOX; exit 7")
    assert parent.wait(cid)["exit_status"] == 7 << 8
    assert parent.wait(cid)["exit_status"] == 7 << 8  # it is kept
    box = os.path.realpath(parent.box(cid))
    assert [os.path.realpath(x) for x in read(os.path.join(box, "stdout")).split()] == [box, box]
    ask(parent.c, "REMOVE_NESTED_CONTAINER", container_id=cid)
    assert not os.path.exists(box)
    parent.wait(cid, 404)


def test_refusals(parent):
    cid = parent.launch("sleep 1000")
    parent.launch("sleep 1000", cid, 202)
    ask(parent.c, "REMOVE_NESTED_CONTAINER", 500, container_id=cid)
    for bad in ("a/b", "a b", "a.b", "", "..", "x" * 243):
        parent.launch("true", parent.child(bad), 400)
    parent.launch("true", {"value": "orphan", "parent": {"value": "nobody"}}, 400)
    parent.launch("true", {"value": "alone"}, 400)
    ask(parent.c, "KILL_NESTED_CONTAINER", 404, container_id=parent.child())
    parent.wait(parent.child(), 404)
    ask(parent.c, "LAUNCH_NESTED_CONTAINER", 400, container_id=parent.child(),
        command={"value": "no-such-program", "shell": False})
    ask(parent.c, "KILL_NESTED_CONTAINER", 400, container_id=cid, signal=1000)
    ask(parent.c, "KILL_NESTED_CONTAINER", container_id=cid)
    assert parent.wait(cid)["exit_status"] == 9


def test_signal(parent):
    cid = parent.launch("trap 'exit 3' USR1; touch ready; while true; do sleep 0.05; done")
    eventually(lambda: os.path.exists(os.path.join(parent.box(cid), "ready")))
    ask(parent.c, "KILL_NESTED_CONTAINER", container_id=cid, signal=10)
    assert parent.wait(cid)["exit_status"] == 3 << 8


def test_deep(parent):
    chain, cid = [], parent.id
    for i in range(6):
        cid = {"value": "d%d" % i, "parent": cid}
        parent.launch("sleep 1000", cid)
        chain.append(cid)
    assert all(x in ids(parent.c, show_nested=True) for x in chain)
    assert not any(x in ids(parent.c) for x in chain)
    deepest = os.path.join(parent.sandbox, *["containers/d%d" % i for i in range(6)])
    assert os.path.isdir(deepest)
    # The end of one is the end of what is in it, and of nothing else.
    ask(parent.c, "KILL_NESTED_CONTAINER", container_id=chain[2])
    for x in chain[2:]:
        assert parent.wait(x)["exit_status"] == 9
    left = ids(parent.c, show_nested=True)
    assert chain[1] in left and chain[2] not in left and chain[3] not in left


def test_goes_with_its_parent(world):
    p = Parent(world)
    mark = "1000.%d" % os.getpid()
    a, b = p.launch("sleep %s" % mark), p.launch("setsid sleep %s & sleep %s" % (mark, mark))
    c = {"value": "below", "parent": b}
    p.launch("sleep %s" % mark, c)
    p.end()
    for x in (a, b, c):
        eventually(lambda: x not in ids(p.c, show_nested=True))
        p.wait(x, 404)
    eventually(lambda: not [x for x in os.popen("ps axo args").read().splitlines() if "sleep " + mark in x])


def test_links_lead_nowhere(world):
    """The sandbox belongs to the task's user: links in it must not make the agent write or remove elsewhere."""
    c, _ = world
    victim = os.path.join(c.folder, "victim")
    os.makedirs(os.path.join(victim, "in"))
    p = Parent(world, "ln -s %s containers; touch done; sleep 1000" % victim)
    eventually(lambda: os.path.exists(os.path.join(p.sandbox, "done")))
    p.launch("touch written", p.child("in"), 400)
    ask(c, "REMOVE_NESTED_CONTAINER", 500, container_id=p.child("in"))
    assert os.listdir(victim) == ["in"] and os.listdir(os.path.join(victim, "in")) == []
    p.end()


# Namespaces and cgroups are the linux launcher's.
@pytest.mark.parametrize("world", [pytest.param("linux", marks=pytest.mark.root)], indirect=True)
def test_shares(world):
    c, s = world
    p = Parent(world, "mkdir m; readlink /proc/self/ns/ipc > ipc; cat /proc/self/cgroup > cg; sleep 1000")
    cid = p.launch("readlink /proc/self/ns/ipc; cat /proc/self/cgroup > cg; readlink /proc/self/ns/pid > pid; echo $$")
    p.wait(cid)
    eventually(lambda: os.path.exists(os.path.join(p.sandbox, "cg")))
    out = read(os.path.join(p.box(cid), "stdout")).split()
    assert out[0] == read(os.path.join(p.sandbox, "ipc")).strip()
    assert int(out[1]) < 10  # a process namespace of its own

    def memory(path):
        return [x for x in read(path).splitlines() if ":memory:" in x or x.startswith("0::")]

    assert memory(os.path.join(p.box(cid), "cg")) == memory(os.path.join(p.sandbox, "cg"))
    own = p.child()
    ask(c, "LAUNCH_CONTAINER", container_id=own, command={"value": "cat /proc/self/cgroup > cg"},
        container={"type": "MESOS", "linux_info": {"share_cgroups": False}},
        resources=[{"name": "mem", "type": "SCALAR", "scalar": {"value": 48}}])
    p.wait(own)
    assert memory(os.path.join(p.box(own), "cg")) != memory(os.path.join(p.sandbox, "cg"))
    p.end()


def test_standalone(world):
    c, _ = world
    cid = {"value": "alone-" + str(uuid.uuid4())}
    res = [{"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in (("cpus", 0.1), ("mem", 32))]
    ask(c, "LAUNCH_CONTAINER", container_id=cid, command={"value": "sleep 1000"}, resources=res)
    below = {"value": "in-it", "parent": cid}
    ask(c, "LAUNCH_CONTAINER", container_id=below, command={"value": "sleep 1000"})
    assert cid in ids(c, show_standalone=True) and cid not in ids(c) and below in ids(c, show_nested=True)
    ask(c, "KILL_CONTAINER", container_id=cid)
    assert ask(c, "WAIT_CONTAINER", container_id=cid)["wait_container"]["exit_status"] == 9
    ask(c, "WAIT_CONTAINER", 404, container_id=below)
    ask(c, "REMOVE_CONTAINER", container_id=cid)
    ask(c, "WAIT_CONTAINER", 404, container_id=cid)
    reserved = [dict(res[0], reservations=[{"type": "STATIC", "role": "r"}])]
    ask(c, "LAUNCH_CONTAINER", 400, container_id=cid, command={"value": "true"}, resources=reserved)


def test_agent_killed(world):
    c, s = world
    p = Parent(world)
    stays = p.launch("sleep 1000")
    ended = p.launch("exit 4")
    p.wait(ended)
    meanwhile = p.launch("while [ ! -e ../../go ]; do sleep 0.05; done; exit 5")
    alone = {"value": "alone-" + str(uuid.uuid4())}
    ask(c, "LAUNCH_CONTAINER", container_id=alone, command={"value": "sleep 1000"})
    c.agent.kill9()
    with open(os.path.join(p.sandbox, "go"), "w"):
        pass
    time.sleep(0.5)
    c.agent.start(wait=False)
    c.wait_agents(1)
    eventually(lambda: post_json(c.agent.address, "/api/v1", {"type": "GET_HEALTH"}).status == 200)
    assert p.wait(ended)["exit_status"] == 4 << 8
    assert p.wait(meanwhile)["exit_status"] == 5 << 8
    assert stays in ids(c, show_nested=True) and alone in ids(c, show_standalone=True)
    more = p.launch("exit 6")
    assert p.wait(more)["exit_status"] == 6 << 8
    ask(c, "KILL_NESTED_CONTAINER", container_id=stays)
    assert p.wait(stays)["exit_status"] == 9
    ask(c, "KILL_CONTAINER", container_id=alone)
    assert ask(c, "WAIT_CONTAINER", container_id=alone)["wait_container"]["exit_status"] == 9
    p.end()
    eventually(lambda: not c.processes())


# ---- sessions ----

STREAM = {"Content-Type": JSON, "Accept": "application/recordio", "Message-Accept": JSON}


def stream(c, kind, **body):
    s = Stream(c.agent.address, "/api/v1", json.dumps({"type": kind, kind.lower(): body}), STREAM)
    assert s.answer.status == 200, s.answer
    assert s.answer.headers["content-type"] == "application/recordio"
    return s


def session(p, command, cid=None, **more):
    return stream(p.c, "LAUNCH_NESTED_CONTAINER_SESSION", container_id=cid or p.child(), command={"value": command}, **more)


def collect(s, want=None):
    out = {"STDOUT": b"", "STDERR": b""}
    while True:
        r = s.record()
        if r is None:
            return out
        r = json.loads(r)
        if r["type"] == "DATA":
            out[r["data"]["type"]] += base64.b64decode(r["data"]["data"])
        if want and want in out["STDOUT"]:
            return out


class Input:
    """ATTACH_CONTAINER_INPUT: a request that is written record by record."""

    def __init__(self, c, cid):
        self.c = Connection(c.agent.address)
        self.c.send(b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/recordio\r\n"
                    b"Message-Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.record({"type": "CONTAINER_ID", "container_id": cid})

    def record(self, part):
        r = json.dumps({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": part}).encode()
        r = b"%d\n%s" % (len(r), r)
        self.c.send(b"%x\r\n%s\r\n" % (len(r), r))

    def io(self, **io):
        self.record({"type": "PROCESS_IO", "process_io": io})

    def type(self, data):
        self.io(type="DATA", data={"type": "STDIN", "data": base64.b64encode(data).decode()})

    def end(self):
        self.c.send(b"0\r\n\r\n")
        a = self.c.answer("POST")
        self.c.close()
        return a


def test_session_output_and_status(parent):
    cid = parent.child()
    s = session(parent, "echo out; echo err >&2; exit 3", cid)
    assert collect(s) == {"STDOUT": b"out\n", "STDERR": b"err\n"}
    assert parent.wait(cid)["exit_status"] == 3 << 8


def test_session_much_output(parent):
    s = session(parent, "head -c 3000000 /dev/zero | tr '\\0' x")
    assert len(collect(s)["STDOUT"]) == 3000000


def test_session_input(parent):
    cid = parent.child()
    s = session(parent, "cat; echo over", cid)
    i = Input(parent.c, cid)
    i.io(type="CONTROL", control={"type": "HEARTBEAT", "heartbeat": {"interval": {"nanoseconds": 10 ** 9}}})
    i.type(b"one\n")
    collect(s, b"one\n")
    big = b"y" * 300000
    for at in range(0, len(big), 50000):
        i.type(big[at:at + 50000])
    i.type(b"")
    assert collect(s)["STDOUT"] == big + b"over\n"
    assert i.end().status == 200


def test_session_terminal(parent):
    cid = parent.child()
    s = session(parent, "tty; stty size; read x; stty size; echo got $x", cid,
                container={"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 70}}})
    assert b"20 70" in collect(s, b"20 70")["STDOUT"]
    i = Input(parent.c, cid)
    i.io(type="CONTROL", control={"type": "TTY_INFO", "tty_info": {"window_size": {"rows": 30, "columns": 90}}})
    i.type(b"hello\n")
    out = collect(s)["STDOUT"]
    assert b"30 90" in out and b"got hello" in out
    assert i.end().status == 200


def test_session_goes_with_its_connection(parent):
    cid = parent.child()
    s = session(parent, "echo up; sleep 1000", cid)
    collect(s, b"up")
    other = stream(parent.c, "ATTACH_CONTAINER_OUTPUT", container_id=cid)
    s.close()
    eventually(lambda: cid not in ids(parent.c, show_nested=True))
    assert parent.wait(cid)["exit_status"] == 9
    collect(other)  # ends as well


def test_session_is_in_its_container(world):
    c, _ = world
    p = Parent((c, world[1]), "export MARK=parents; exec sleep 1000")
    out = collect(session(p, "readlink /proc/self/ns/pid /proc/self/ns/mnt; ps ax | grep -c '[s]leep 1000'"))
    assert c.kind != "linux" or out["STDOUT"].split()[2] == b"1", out
    # What it starts and leaves goes with it.
    mark = "1000.%d" % (os.getpid() + 1)
    s = session(p, "setsid sleep %s & echo left" % mark)
    collect(s)
    eventually(lambda: not [x for x in os.popen("ps axo args").read().splitlines() if "sleep " + mark in x])
    p.end()


def test_attach_refusals(parent):
    c = parent.c
    plain = parent.launch("sleep 1000")
    for cid, status in ((plain, 500), (parent.id, 500), (parent.child(), 404), ({"value": "nobody"}, 404)):
        ask(c, "ATTACH_CONTAINER_OUTPUT", status, container_id=cid)
        assert Input(c, cid).end().status == status
    ask(c, "ATTACH_CONTAINER_INPUT", 415, type="CONTAINER_ID", container_id=plain)
    body = json.dumps({"type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": {"container_id": plain}})
    for headers, status in (({"Accept": "text/html"}, 406), ({"Message-Accept": JSON}, 406),
                            ({"Accept": "application/recordio", "Message-Accept": "text/html"}, 406),
                            ({"Message-Content-Type": JSON}, 415)):
        assert request(c.agent.address, "POST", "/api/v1", dict({"Content-Type": JSON}, **headers), body).status == status
    bad = request(c.agent.address, "POST", "/api/v1", {"Content-Type": "application/recordio"}, "1\nx")
    assert bad.status == 400
    for text in ("x\n", "2\n{}", "99999999\n", ""):
        a = request(c.agent.address, "POST", "/api/v1",
                    {"Content-Type": "application/recordio", "Message-Content-Type": JSON}, text)
        assert 400 <= a.status < 500, (text, a)


def test_terminal_of_a_task(world):
    c, s = world
    p = Parent.__new__(Parent)
    p.c, p.s = world
    p.task, st = s.run("tty; while read x; do echo said $x; done; sleep 1000",
                       container={"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 70}}})
    p.id = st["container_status"]["container_id"]
    p.sandbox = eventually(lambda: [d for d, _, _ in os.walk(c.folder)
                                    if d.endswith("/runs/" + p.id["value"]) and "/meta/" not in d])[0]
    out = stream(c, "ATTACH_CONTAINER_OUTPUT", container_id=p.id)
    i = Input(c, p.id)
    i.type(b"hello\n")
    assert b"said hello" in collect(out, b"said hello")["STDOUT"]
    assert i.end().status == 200
    assert "/dev/pts" in read(os.path.join(p.sandbox, "stdout")) and "said hello" in read(os.path.join(p.sandbox, "stdout"))
    # It outlives the agent.
    c.agent.kill9()
    time.sleep(0.3)
    c.agent.start(wait=False)
    c.wait_agents(1)
    time.sleep(0.5)
    assert s.states(p.task)[-1] == "TASK_RUNNING"
    p.end()


def test_a_slow_reader_makes_it_wait(parent):
    cid = parent.child()
    s = session(parent, "head -c 14000000 /dev/zero; echo over", cid)
    time.sleep(1.0)
    # It is still there: what nobody reads is not piled up in the agent, and nobody is cut off.
    assert cid in ids(parent.c, show_nested=True)
    with open("/proc/%d/status" % parent.c.agent.process.pid) as f:
        rss = [int(x.split()[1]) for x in f if x.startswith("VmRSS")][0]
    assert rss < 100000, rss
    n = len(collect(s)["STDOUT"])
    assert n == 14000005, n


# ---- who may ----

def test_rules():
    from test_28_m28_auth import basic, only, ruled

    rules = {k: only("op", "users") for k in (
        "launch_nested_containers_under_parent_with_user", "wait_nested_containers", "kill_nested_containers",
        "remove_nested_containers", "launch_nested_container_sessions_under_parent_with_user", "attach_containers_input",
        "attach_containers_output", "launch_standalone_containers", "wait_standalone_containers",
        "kill_standalone_containers", "remove_standalone_containers", "view_standalone_containers")}
    with ruled(rules) as c, Scheduler(c.master.address) as s:
        p = Parent((c, s))
        guest, cid = basic("guest"), p.launch("sleep 1000")
        alone = {"value": "alone-" + str(uuid.uuid4())}
        ask(c, "LAUNCH_CONTAINER", container_id=alone, command={"value": "sleep 1000"})
        part = {"container_id": cid, "command": {"value": "true"}}
        for kind in ("LAUNCH_NESTED_CONTAINER", "WAIT_NESTED_CONTAINER", "KILL_NESTED_CONTAINER", "REMOVE_NESTED_CONTAINER",
                     "LAUNCH_NESTED_CONTAINER_SESSION", "ATTACH_CONTAINER_OUTPUT", "LAUNCH_CONTAINER", "WAIT_CONTAINER",
                     "KILL_CONTAINER", "REMOVE_CONTAINER"):
            for which in (cid, alone):
                if which is alone and ("NESTED" in kind or "ATTACH" in kind):
                    continue
                call = {"type": kind, kind.lower(): dict(part, container_id=which)}
                assert post_json(c.agent.address, "/api/v1", call, guest).status == 403, kind
        shown = post_json(c.agent.address, "/api/v1", {"type": "GET_CONTAINERS", "get_containers": {"show_standalone": True}},
                          guest).json()["get_containers"]["containers"]
        assert alone["value"] not in [x["container_id"]["value"] for x in shown]
        assert cid in ids(c, show_nested=True) and alone in ids(c, show_standalone=True)
        p.end()
