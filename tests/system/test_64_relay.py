"""The master passes requests below /agent/AGENT_ID/ on to that agent: files, state, the operator API; in any amount, and whatever the
agent does, only the request that asked it suffers."""
import base64
import hashlib
import json
import os
import socket
import threading

import pytest

from harness.cluster import Cluster
from harness.http import JSON, Broken, Connection, eventually, get, get_json, request, request_bytes
from harness.scheduler import Scheduler

MB = 1 << 20


@pytest.fixture(scope="module")
def cluster():
    with Cluster(agents=2, master_flags={"agent_relay_timeout": "1secs", "max_agent_relays": 4}) as c:
        c.ids = [c.agent_id(a) for a in c.agents]
        yield c


@pytest.fixture(scope="module")
def sandbox(cluster):
    """Of a task on the first agent: its path for /files, and where it is."""
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"]) as s:
        s.run("echo hello; sleep 1000")
        runs = [(a, d) for a in cluster.agents for d, _, files in os.walk(a.flags["work_dir"])
                if "stdout" in files and "/meta/" not in d]
        assert len(runs) == 1
        agent, path = runs[0]
        yield cluster.agent_id(agent), agent, path


def ask(cluster, agent_id, path, method="GET", headers=None, body=None):
    return request(cluster.master.address, method, "/agent/%s%s" % (agent_id, path), headers, body)


def counter(cluster, name):
    return cluster.master.metrics()["master/" + name]


def test_reading(cluster, sandbox):
    agent_id, agent, path = sandbox
    for what in ("/state", "/state.json", "/version", "/flags", "/containers", "/monitor/statistics", "/metrics/snapshot"):
        a = ask(cluster, agent_id, what)
        assert a.status == 200, (what, a)
        assert a.headers["content-type"].startswith(JSON)
    assert ask(cluster, agent_id, "/health").status == 200
    assert ask(cluster, agent_id, "/state").json()["id"] == agent_id
    assert ask(cluster, agent_id, "/state", "HEAD").status == 200
    # Below the process id, too, as every route.
    assert get(cluster.master.address, "/master/agent/%s/version" % agent_id).status == 200


def test_files(cluster, sandbox):
    agent_id, agent, path = sandbox
    listed = ask(cluster, agent_id, "/files/browse?path=" + path).json()
    assert {"stdout", "stderr"} <= {os.path.basename(f["path"]) for f in listed}
    part = ask(cluster, agent_id, "/files/read?path=%s/stdout&offset=1&length=4" % path).json()
    assert part == {"data": "ello", "offset": 1}
    a = ask(cluster, agent_id, "/files/download?path=%s/stdout" % path)
    assert a.body == b"hello\n" and "stdout" in a.headers["content-disposition"]
    # What a task wrote is no page of the master.
    assert "sandbox" in a.headers["content-security-policy"] and a.headers["x-content-type-options"] == "nosniff"
    direct, relayed = (request(*where, {"Accept-Encoding": "gzip"}) for where in
                       ((agent.address, "GET", "/state"), (cluster.master.address, "GET", "/agent/%s/state" % agent_id)))
    assert direct.headers["content-encoding"] == relayed.headers["content-encoding"] == "gzip"
    # The agent's own refusals come as they are.
    assert ask(cluster, agent_id, "/files/browse?path=/etc").status == get(agent.address, "/files/browse?path=/etc").status == 404
    assert ask(cluster, agent_id, "/files/browse").status == 400


def test_calls_and_one_connection(cluster, sandbox):
    agent_id, agent, _ = sandbox
    body = json.dumps({"type": "GET_VERSION"})
    a = ask(cluster, agent_id, "/api/v1", "POST", {"Content-Type": JSON, "Accept": JSON}, body)
    assert a.status == 200 and a.json()["type"] == "GET_VERSION"
    path = "/agent/%s/api/v1" % agent_id
    with Connection(cluster.master.address) as c:
        # Sent at once, answered in order; the second with its body in pieces.
        c.send(request_bytes("POST", path, {"Content-Type": JSON}, body) +
               request_bytes("POST", path, {"Content-Type": JSON, "Transfer-Encoding": "chunked"}) +
               b"5\r\n" + body[:5].encode() + b"\r\n%x\r\n" % (len(body) - 5) + body[5:].encode() + b"\r\n0\r\n\r\n" +
               request_bytes("GET", "/agent/%s/version" % agent_id) + request_bytes("GET", "/version"))
        for _ in range(2):
            assert c.answer().json()["type"] == "GET_VERSION"
        assert "version" in c.answer().json() and "version" in c.answer().json()
    with Connection(cluster.master.address) as c:
        c.send(b"GET /agent/%s/version HTTP/1.0\r\n\r\n" % agent_id.encode())
        assert "version" in c.answer().json()


def test_a_call_that_waits(cluster, sandbox):
    """Longer than an agent may take to begin: it is asked whether it lives meanwhile."""
    agent_id, _, path = sandbox
    parent = os.path.basename(path)
    child = {"value": "waits", "parent": {"value": parent}}

    def call(kind, **body):
        return ask(cluster, agent_id, "/api/v1", "POST", {"Content-Type": JSON, "Accept": JSON}, json.dumps({"type": kind, kind.lower(): body}))
    assert call("LAUNCH_NESTED_CONTAINER", container_id=child, command={"value": "sleep 2.5; exit 3"}).status == 200
    a = call("WAIT_NESTED_CONTAINER", container_id=child)
    assert a.status == 200 and a.json()["wait_nested_container"]["exit_status"] == 3 << 8


def test_what_is_not_relayed(cluster):
    agent_id = cluster.ids[0]
    for path in ("", "/", "/api/v1/executor", "/logging/toggle", "/wire", "/help", "/files", "/files/", "/state/x", "/state%2fx",
                 "/files/../logging/toggle", "/%2e%2e/state", "//state", "/State", "/api/v1.json", "/agent/%s/state" % agent_id):
        a = ask(cluster, agent_id, path)
        # The server knows no path that goes up; all others come to the relay.
        up = ".." in path or "%2e" in path
        assert a.status == (404 if up else 403) and agent_id in a.text, (path, a)
    assert get(cluster.master.address, "/agent").status == 404
    assert get(cluster.master.address, "/agent/").status == 404
    a = ask(cluster, "no-such-agent", "/state")
    assert a.status == 404 and "no-such-agent" in a.text and "/slaves" in a.text


def rss(daemon):
    with open("/proc/%d/status" % daemon.process.pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) * 1024


def test_a_large_file_to_a_slow_reader(cluster, sandbox):
    agent_id, _, path = sandbox
    size = 50 * MB
    with open(path + "/large", "wb") as f:
        wanted = hashlib.sha256()
        for i in range(size // MB):
            f.write(bytes([i]) * MB)
            wanted.update(bytes([i]) * MB)
    ask(cluster, agent_id, "/version")
    before = rss(cluster.master)
    with Connection(cluster.master.address) as c:
        c.send(request_bytes("GET", "/agent/%s/files/download?path=%s/large" % (agent_id, path)))
        assert c.head().status == 200
        # Nobody reads: what the sockets hold comes to rest, and nothing grows. Others are served meanwhile.
        for _ in range(5):
            assert ask(cluster, agent_id, "/health").status == 200
        most, got, whole = rss(cluster.master), 0, hashlib.sha256()
        while True:
            piece = c.chunk()
            if not piece:
                break
            if got // (10 * MB) != (got + len(piece)) // (10 * MB):
                most = max(most, rss(cluster.master))
            got += len(piece)
            whole.update(piece)
    assert got == size and whole.hexdigest() == wanted.hexdigest()
    assert most - before < 12 * MB, (before, most)
    # A client that leaves in the middle is forgotten.
    with Connection(cluster.master.address) as c:
        c.send(request_bytes("GET", "/agent/%s/files/download?path=%s/large" % (agent_id, path)))
        c.exactly(MB)
    eventually(lambda: counter(cluster, "agent_relays") == 0)
    os.unlink(path + "/large")


def test_too_many(cluster, sandbox):
    agent_id, _, path = sandbox
    with open(path + "/held", "wb") as f:
        f.truncate(32 * MB)
    held = []
    refused = counter(cluster, "agent_relays_refused")
    try:
        for _ in range(4):
            c = Connection(cluster.master.address)
            held.append(c)
            c.send(request_bytes("GET", "/agent/%s/files/download?path=%s/held" % (agent_id, path)))
            assert c.head().status == 200
        a = ask(cluster, agent_id, "/state")
        assert a.status == 503 and agent_id in a.text and "--max_agent_relays" in a.text
        assert counter(cluster, "agent_relays") == 4 and counter(cluster, "agent_relays_refused") == refused + 1
    finally:
        for c in held:
            c.close()
    eventually(lambda: ask(cluster, agent_id, "/health").status == 200)
    os.unlink(path + "/held")


def test_an_agent_that_hangs_or_dies(cluster, sandbox):
    """The second agent; the first is asked all the time."""
    agent_id = next(i for i in cluster.ids if i != sandbox[0])
    agent = cluster.agents[cluster.ids.index(agent_id)]
    failed = counter(cluster, "agent_relays_failed")
    agent.freeze()
    try:
        a = ask(cluster, agent_id, "/state")
        assert a.status == 504 and agent_id in a.text and "--agent_relay_timeout" in a.text
        assert ask(cluster, sandbox[0], "/health").status == 200
        # With a body that the agent does not take.
        a = ask(cluster, agent_id, "/api/v1", "POST", {"Content-Type": JSON}, "x" * MB)
        assert a.status == 504
    finally:
        agent.thaw()
    assert eventually(lambda: ask(cluster, agent_id, "/health").status == 200)
    agent.kill9()
    a = ask(cluster, agent_id, "/state")
    assert a.status == 502 and agent_id in a.text and agent.address in a.text
    assert counter(cluster, "agent_relays_failed") >= failed + 3
    # The port is somebody's who speaks otherwise.
    answers = [b"", b"garbage\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nContent-Le"]
    cut = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
    kept = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Security-Policy: default-src *\r\nContent-Length: 2\r\n\r\nok"
    host, port = agent.address.split(":")
    with socket.create_server((host, int(port))) as listening:
        def serve():
            for text in answers + cut + [kept]:
                s, _ = listening.accept()
                with s:
                    s.recv(65536)
                    s.sendall(text)
        t = threading.Thread(target=serve)
        t.start()
        for text in answers:
            a = ask(cluster, agent_id, "/state")
            assert a.status == 502 and agent_id in a.text, (text, a)
        for text in cut:
            with pytest.raises(Broken):
                ask(cluster, agent_id, "/state")
        a = ask(cluster, agent_id, "/state")
        assert a.body == b"ok" and "set-cookie" not in a.headers and "*" not in a.headers["content-security-policy"]
        t.join()
    eventually(lambda: counter(cluster, "agent_relays") == 0)
    assert ask(cluster, sandbox[0], "/health").status == 200


# ---- who may ----

def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (name, secret)).encode()).decode()}


def test_authentication(tmp_path):
    both = tmp_path / "both.json"
    both.write_text(json.dumps({"credentials": [{"principal": "ops", "secret": "s1"}, {"principal": "guest", "secret": "s2"}]}))
    one = tmp_path / "one.json"
    one.write_text(json.dumps({"credentials": [{"principal": "ops", "secret": "s1"}]}))
    for f in (both, one):
        f.chmod(0o600)
    with Cluster(master_flags={"authenticate_http_readwrite": True, "credentials": str(both)},
                 agent_flags={"authenticate_http_readonly": True, "http_credentials": str(one)}) as c:
        agent_id = next(s["id"] for s in c.slaves())
        call = (agent_id, "/api/v1", "POST")
        version = json.dumps({"type": "GET_VERSION"})
        typed = {"Content-Type": JSON}
        # Reading is open at this master, and the agent asks for itself.
        a = ask(c, agent_id, "/state")
        assert a.status == 401 and "agent-readonly" in a.headers["www-authenticate"]
        assert ask(c, agent_id, "/state", headers=basic("guest", "s2")).status == 401
        assert ask(c, agent_id, "/state", headers=basic("ops", "s1")).status == 200
        # Calls are in the master's realm for what changes something.
        a = ask(c, *call, typed, version)
        assert a.status == 401 and "master-readwrite" in a.headers["www-authenticate"]
        assert ask(c, *call, {**typed, **basic("guest", "bad")}, version).status == 401
        assert ask(c, *call, {**typed, **basic("guest", "s2")}, version).status == 200
        assert ask(c, agent_id, "/state", "POST", {}, "x").status == 401


def test_switched_off():
    with Cluster(master_flags={"agent_relay": False}) as c:
        a = ask(c, c.agent_id(), "/state")
        assert a.status == 403 and "--agent_relay" in a.text
