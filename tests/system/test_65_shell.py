"""A shell into a task through the master: a WebSocket on one side, a session of the agent on the other."""
import json
import os
import struct
import subprocess
import urllib.parse

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually, get, get_json, post_json
from harness.scheduler import Scheduler
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket


@pytest.fixture(scope="module")
def cluster():
    with Cluster(agents=2, master_flags={"agent_relay_timeout": "2secs", "max_agent_relays": 3}) as c:
        yield c


class Place:
    """A task's container."""

    def __init__(self, cluster, task, status):
        self.cluster, self.task, self.n = cluster, task, 0
        self.agent_id = status["agent_id"]["value"]
        self.agent = next(a for a in cluster.agents if cluster.agent_id(a) == self.agent_id)
        self.container = status["container_status"]["container_id"]["value"]

    def path(self, child=None, **query):
        self.n += 1
        query["container_id"] = self.container + "." + (child or "shell-%d" % self.n)
        return "/agent/%s/shell?%s" % (self.agent_id, urllib.parse.urlencode(query))

    def open(self, headers=None, **query):
        return WebSocket(self.cluster.master.address, self.path(**query), headers)

    def nested(self):
        a = post_json(self.agent.address, "/api/v1", {"type": "GET_CONTAINERS", "get_containers": {"show_nested": True}}).json()
        ids = [c["container_status"]["container_id"] for c in a["get_containers"].get("containers", [])]
        return [i["value"] for i in ids if i.get("parent", {}).get("value") == self.container]


@pytest.fixture(scope="module")
def place(cluster):
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"]) as s:
        task, status = s.run("sleep 1000", mem=64)
        yield Place(cluster, task, status)


def until(w, text):
    """Reads output up to a text, which is in the result."""
    got = b""
    while text not in got:
        kind, data = w.read()
        if kind == PING:
            continue
        assert kind == BINARY, (got, kind, data)
        got += data
    return got


def last_words(w):
    """What comes behind the output: the text, and the close frame's code."""
    while True:
        kind, data = w.read()
        if kind == TEXT:
            break
        assert kind in (BINARY, PING), (kind, data)
    while True:
        kind, end = w.read()
        if kind == CLOSE:
            break
    w.frame(CLOSE, end[:2])
    assert w.closed()
    return json.loads(data), struct.unpack(">H", end[:2])[0]


def test_a_session(cluster, place):
    with place.open(rows=30, columns=100) as w:
        assert w.answer.status == 101
        # What is typed before the shell is there is not lost; keys in many small frames, and one message in parts.
        w.frame(BINARY, b"stty -echo; echo re")
        w.frame(BINARY, b"ady-", fin=False)
        w.frame(0, b"$((6*7)) $TERM `stt", fin=False)
        w.frame(PING, b"are you there")
        w.frame(0, b"y size`\n")
        kind, data = w.read()
        while kind != PONG:
            kind, data = w.read()
        assert data == b"are you there"
        assert b"ready-42 xterm-256color 30 100" in until(w, b"30 100")
        w.frame(TEXT, b'{"rows":41,"columns":132}')
        w.frame(BINARY, b"until [ \"`stty size`\" = '41 132' ]; do :; done; echo resized-$((1+1))\n")
        until(w, b"resized-2")
        assert len(place.nested()) == 1
        assert cluster.master.metrics()["master/agent_relays"] == 1
        w.frame(BINARY, b"exit 7\n")
        assert last_words(w) == ({"exit": 7 << 8}, 1000)
    eventually(lambda: not place.nested())
    eventually(lambda: cluster.master.metrics()["master/agent_relays"] == 0)


def test_commands(place):
    with place.open(command="echo out; echo err >&2; kill -9 $$") as w:
        got = until(w, b"err")
        assert b"out" in got
        assert last_words(w) == ({"exit": 9}, 1000)
    with place.open(command="head -c 3000000 /dev/zero | tr '\\0' x; echo; echo whole") as w:
        got = until(w, b"whole")
        assert got.count(b"x") == 3000000
        assert last_words(w)[0] == {"exit": 0}


def test_a_reader_that_stops(cluster, place):
    """The shell waits for it, and so little is held; then all of it comes."""
    with place.open(command="i=0; while [ $i -lt 100 ]; do head -c 300000 /dev/zero | tr '\\0' x; i=$((i+1)); done; echo end") as w:
        until(w, b"x")
        for _ in range(5):
            assert get(cluster.master.address, "/health").status == 200
        n = 0
        while True:
            kind, data = w.read()
            if kind == TEXT:
                break
            n += data.count(b"x")
        assert n > 29000000 and json.loads(data) == {"exit": 0}


def test_exec_through_the_master(cluster, place):
    """The command line's session, three requests through the relay; it lasts longer than an agent may take to begin an answer."""
    done = subprocess.run([os.path.join(BIN, "fairlead"), "exec", "--via-master", "--master", cluster.master.address, place.task, "--",
                           "sh", "-c", "wc -c; sleep 3; exit 5"], input=b"x" * 3000000, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout.strip()) == (5, b"3000000"), done
    eventually(lambda: not place.nested())


def test_the_client_goes(cluster, place):
    for politely in (True, False):
        w = place.open()
        w.frame(BINARY, b"echo up-$((2*2)); trap '' HUP; sleep 1000\n")
        until(w, b"up-4")
        assert len(place.nested()) == 1
        if politely:
            w.frame(CLOSE, struct.pack(">H", 1001))
            kind, _ = w.read()
            while kind != CLOSE:
                kind, _ = w.read()
        w.close()
        eventually(lambda: not place.nested())
    eventually(lambda: cluster.master.metrics()["master/agent_relays"] == 0)


def test_the_wrong_frames(cluster, place):
    def wrong(code, *frames):
        with place.open() as w:
            for kind, data, more in frames:
                w.frame(kind, data, **more)
            kind, data = w.read()
            while kind != CLOSE:
                kind, data = w.read()
            assert struct.unpack(">H", data[:2])[0] == code
        eventually(lambda: not place.nested())

    wrong(1002, (BINARY, b"ls\n", {"mask": False}))
    wrong(1002, (3, b"", {}))
    wrong(1002, (0, b"no beginning", {}))
    wrong(1002, (PING, b"", {"fin": False}))
    wrong(1007, (TEXT, b"\xff\xfe", {}))
    wrong(1003, (TEXT, b"{}", {}))
    wrong(1003, (TEXT, b'{"rows":0,"columns":-1}', {}))
    wrong(1009, (BINARY, b"x" * ((1 << 20) + 1), {}))


def test_the_handshake(cluster, place):
    master = cluster.master.address

    def status(headers=None, path=None):
        with WebSocket(master, path or place.path(), headers) as w:
            return w.answer

    assert status({"Upgrade": None}).status == 400
    assert status({"Connection": "close"}).status == 400
    assert status({"Upgrade": "h2c"}).status == 400
    assert get(master, place.path()).status == 400
    a = status({"Sec-WebSocket-Version": "8"})
    assert a.status == 426 and a.headers["sec-websocket-version"] == "13"
    for key in (None, "", "short", "x" * 24 + "=="):
        assert status({"Sec-WebSocket-Key": key}).status == 400
    assert status({"Origin": "http://evil.example"}).status == 403
    assert status({"Origin": "null"}).status == 403
    assert status({"Content-Length": "1"}).status == 400
    base = "/agent/%s/shell" % place.agent_id
    for query in ("", "?container_id=", "?container_id=one", "?container_id=.a", "?container_id=a.", "?container_id=a..b",
                  "?container_id=a.b%0A", "?container_id=a.b/c", "?container_id=a.b&rows=x", "?container_id=a.b&columns=100000"):
        assert status(path=base + query).status == 400, query
    assert status(path="/agent/nobody/shell?container_id=a.b").status == 404
    assert not place.nested()
    with place.open({"Origin": "http://" + master}, command="true") as w:
        assert last_words(w) == ({"exit": 0}, 1000)


def test_failures(cluster, place):
    with WebSocket(cluster.master.address, "/agent/%s/shell?container_id=no-such.x" % place.agent_id) as w:
        words, code = last_words(w)
        assert code == 1011 and place.agent_id in words["error"] and "no-such" in words["error"]
    # As many as may be, and the next is refused.
    held = [place.open() for _ in range(3)]
    for w in held:
        w.frame(BINARY, b"echo up-$((2*2))\n")
        until(w, b"up-4")
    with place.open() as w:
        assert w.answer.status == 503 and "--max_agent_relays" in w.answer.text
    for w in held:
        w.close()
    eventually(lambda: cluster.master.metrics()["master/agent_relays"] == 0)
    eventually(lambda: not place.nested())
    # An agent that hangs, and one that is gone.
    other = next(a for a in cluster.agents if a is not place.agent)
    agent_id = cluster.agent_id(other)
    path = "/agent/%s/shell?container_id=a.b" % agent_id
    other.freeze()
    try:
        with WebSocket(cluster.master.address, path) as w:
            words, code = last_words(w)
            assert code == 1011 and agent_id in words["error"]
    finally:
        other.thaw()
    other.kill9()
    with WebSocket(cluster.master.address, path) as w:
        words, code = last_words(w)
        assert code == 1011 and other.address in words["error"]
    assert get_json(cluster.master.address, "/metrics/snapshot")["master/agent_relays_failed"] >= 3


def test_the_master_ends(place, cluster):
    """With a shell open; the agent then ends the container."""
    w = place.open()
    w.frame(BINARY, b"echo up-$((2*2))\n")
    until(w, b"up-4")
    cluster.master.signal(15)
    assert cluster.master.process.wait(20) == 0
    w.close()
    eventually(lambda: not place.nested())
    cluster.master.start()
    assert os.path.exists(cluster.master.log_path)
