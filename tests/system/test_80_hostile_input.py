"""What comes from enemies and broken clients, on the port of the master and of the agent: malformed, cut short, too large, too slow.
Each ends in a clear 4xx or a closed connection; meanwhile both daemons stay healthy and a scheduler's subscription stays of use."""
import copy
import json
import random
import select
import socket
import struct
import threading
import time

import pytest

from harness.http import JSON, PROTOBUF, Broken, Connection, eventually, get, head_bytes, request, request_bytes
from harness.scheduler import PATH, Scheduler, new_id, resources

SECONDS = 10

TIMEOUT = 2  # seconds, of a head and of a body
MASTER_FLAGS = AGENT_FLAGS = {"http_header_timeout": "%dsecs" % TIMEOUT, "http_body_timeout": "%dsecs" % TIMEOUT}
HEALTHY = 2.0
ANSWER = 8.0  # the timeouts above, and the time of a sweep, on a busy machine
CLOSED = None
WIRE = {"Host": "test", "Connection": "Upgrade", "Upgrade": "fairlead-wire/1"}
POST = {"Host": "test", "Content-Type": JSON}
PATHS = {"master": ["/api/v1", PATH], "agent": ["/api/v1", "/api/v1/executor"]}


@pytest.fixture(params=["master", "agent"])
def daemon(request, cluster):
    return cluster.master if request.param == "master" else cluster.agent


@pytest.fixture(scope="module")
def bystander(cluster):
    """A healthy scheduler that lives through all of it. It wants no offers before the end, so others get some."""
    with Scheduler(cluster.master.address) as s:
        offer = s.offer()
        s.do("SUPPRESS")
        s.decline(offer, 0)
        yield s


class Watch:
    """Asks the daemons all the time, as a healthy client, each on a new connection: the slowest answer, and what was wrong."""

    def __init__(self, daemons):
        self.daemons, self.over, self.slowest, self.wrong, self.asked = daemons, threading.Event(), 0.0, [], 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ask(self):
        for d in self.daemons:
            start = time.monotonic()
            try:
                status = request(d.address, "GET", "/health", wait=ANSWER).status
                if status != 200:
                    self.wrong.append((d.name, status))
            except (OSError, Broken) as e:
                self.wrong.append((d.name, e))
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.asked += 1

    def run(self):
        while not self.over.is_set():
            self.ask()
            self.over.wait(0.05)

    def end(self):
        self.over.set()
        self.thread.join()
        self.ask()
        assert not self.wrong and self.slowest < HEALTHY, (self.wrong[:3], self.slowest)


@pytest.fixture(autouse=True)
def undisturbed(cluster, bystander):
    pids = [d.process.pid for d in (cluster.master, cluster.agent)]
    watch = Watch([cluster.master, cluster.agent])
    yield watch
    watch.end()
    assert [d.process.pid for d in (cluster.master, cluster.agent) if d.process.poll() is None] == pids, "a daemon ended"
    assert not bystander.ended, "the subscription of a healthy scheduler was cut"
    task = new_id("nobody-knows")
    bystander.reconcile((task, None))
    bystander.status(task, wait=ANSWER)


def outcome(c, data=b"", end=False):
    """Sends and reads what becomes of it: a status, or CLOSED. Silence fails the test."""
    try:
        c.send(data)
        if end:
            c.sock.shutdown(socket.SHUT_WR)
    except (ConnectionError, OSError):
        pass  # refused before all of it was sent: the answer may still be there
    try:
        return c.answer().status
    except Broken as e:
        assert "closed" in str(e), e
        return CLOSED
    except (ConnectionError, OSError):
        return CLOSED


def ask(daemon, data, end=False):
    with Connection(daemon.address, ANSWER) as c:
        return outcome(c, data, end)


def refused(status, *clear):
    return status is CLOSED or status in (clear or range(400, 500))


# ---- the head ----

def test_random_bytes(daemon):
    r = random.Random(1)
    for n in [1, 2, 7, 64, 500, 4096, 100000] * 4:
        assert refused(ask(daemon, r.randbytes(n), end=True)), n


@pytest.mark.parametrize("data", [b"\0" * 200, b"\r\n" * 500 + b"\0", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET nowhere HTTP/1.1\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 300, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                  b"GET /%zz HTTP/1.1\r\n\r\n", b"GET /%00 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA\0b: c\r\n\r\n"])
def test_heads_that_are_none(daemon, data):
    status = ask(daemon, data, end=True)
    assert refused(status) or status == 505, status


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nX: " + b"a" * 90000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
                                  b"GET /" + b"a" * 90000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + b"N" * 90000 + b": v\r\n"])
def test_header_bombs(daemon, head):
    assert refused(ask(daemon, head), 431, 400)


def test_many_headers_are_fine(daemon):
    assert ask(daemon, head_bytes("GET", "/health", {"X-%d" % i: "v" for i in range(200)})) == 200


# ---- how long the body is ----

@pytest.mark.parametrize("length", ["-1", "+5", "5 5", "0x10", "", "five", "5,5", "99999999999999999999999999", "18446744073709551615",
                                    "18446744073709551616", "1e3", "5\r\nContent-Length: 5", "5\r\nContent-Length: 6",
                                    "5\r\nTransfer-Encoding: chunked"])
def test_lengths_that_are_none(daemon, length):
    for path in PATHS["master" if daemon.program.endswith("master") else "agent"]:
        assert refused(ask(daemon, head_bytes("POST", path, dict(POST, **{"Content-Length": length})) + b"hello", end=True), 400, 413)


def test_a_length_over_the_limit_is_refused_at_once(daemon):
    start = time.monotonic()
    assert refused(ask(daemon, head_bytes("POST", "/api/v1", dict(POST, **{"Content-Length": str(1 << 40)}))), 413)
    assert time.monotonic() - start < TIMEOUT


def test_a_body_that_never_comes(daemon):
    start = time.monotonic()
    assert refused(ask(daemon, head_bytes("POST", "/api/v1", dict(POST, **{"Content-Length": str(60 << 20)}))), 408)
    assert time.monotonic() - start > TIMEOUT * 0.8, "so soon it was no timeout"


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"3\r\nhello\r\n0\r\n\r\n",
                                  b"ffffffffffffffffff\r\nhello", b"5hello\r\n", b"\r\n\r\n", b"5\nhello\n0\n\n"])
def test_bad_chunks(daemon, body):
    assert refused(ask(daemon, head_bytes("POST", "/api/v1", dict(POST, **{"Transfer-Encoding": "chunked"})) + body, end=True))


def test_a_body_cut_short(daemon):
    for headers in ({"Content-Length": "1000"}, {"Transfer-Encoding": "chunked"}):
        data = head_bytes("POST", "/api/v1", dict(POST, **headers)) + b'3E8\r\n{"type":'
        assert refused(ask(daemon, data, end=True))
        with Connection(daemon.address) as c:
            c.send(data)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit(daemon, chunked):
    piece = b"a" * (1 << 20)
    how = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(70 << 20)}
    with Connection(daemon.address, ANSWER) as c:
        c.send(head_bytes("POST", "/api/v1", dict(POST, **how)))
        sent = 0
        while sent < 70 and not select.select([c.sock], [], [], 0)[0]:
            try:
                c.send(b"100000\r\n" + piece + b"\r\n" if chunked else piece)
            except OSError:
                break
            sent += 1
        assert refused(outcome(c), 413)


# ---- slowness ----

def test_byte_by_byte(daemon):
    body = json.dumps({"type": "GET_HEALTH"})
    with Connection(daemon.address, ANSWER) as c:
        for b in request_bytes("POST", "/api/v1", {"Content-Type": JSON, "Accept": JSON}, body):
            c.send(bytes([b]))
            time.sleep(0.001)
        assert c.answer().status == 200


def test_silent_connections_are_closed_and_others_served(daemon, undisturbed):
    silent = [Connection(daemon.address, ANSWER) for _ in range(100)]
    slow = [Connection(daemon.address, ANSWER) for _ in range(10)]
    try:
        before = undisturbed.asked
        for c in slow:
            c.send(b"GET / HTTP/1.1\r\nX: ")
        assert [get(daemon.address, "/health").status for _ in range(10)] == [200] * 10
        end = time.monotonic() + ANSWER
        for c in silent:
            c.wait = max(end - time.monotonic(), 0.1)
            assert c.closed(), "a silent connection is kept"
        for c in slow:
            assert refused(outcome(c), 408)
        assert undisturbed.asked - before > 10
    finally:
        for c in silent + slow:
            c.close()


# ---- bodies ----

def everywhere(daemon, body, content=JSON):
    """The answers of the daemon's paths of the v1 API to one body."""
    for path in PATHS["master" if daemon.program.endswith("master") else "agent"]:
        yield request(daemon.address, "POST", path, {"Content-Type": content}, body, ANSWER).status


DEEP = 5000


@pytest.mark.parametrize("body", ["[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP,
                                  '{"type":"SUBSCRIBE","x":' + "[" * DEEP + "]" * DEEP + "}",
                                  '{"subscribe":' * DEEP + "1" + "}" * DEEP,
                                  "{" + ",".join('"k%d":0' % i for i in range(100000)) + "}",
                                  "{" + ",".join('"type":"GET_HEALTH"' for _ in range(20000)) + ',"type":7}',
                                  '{"type":"' + "a" * 1000000 + '"}', '{"type":' + "9" * 100000 + "}", '{"type":1e999999}',
                                  '{"type":"\\ud800"}', '{"type":"GET_HEALTH"', '{"type":"GET_HEALTH"}{}', '{"type":"GET_HEALTH\0"}'],
                         ids=range(14))
def test_json_bombs(daemon, body):
    assert set(everywhere(daemon, body)) == {400}


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
def test_invalid_utf8(daemon, bad):
    for body in (b'{"type":"' + bad + b'"}', b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"' + bad + b'"}}}'):
        assert set(everywhere(daemon, body)) == {400}


def test_protobuf_garbage(daemon):
    r = random.Random(2)
    bodies = [b"\x0a\xff\xff\xff\xff\x0f", b"\x0a" * 1000, b"\x0b" * 5000, b"\xff" * 50, b"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"]
    for body in bodies + [b"\xff" + r.randbytes(n) for n in (1, 10, 100, 1000, 10000)]:
        for content in (PROTOBUF, JSON):
            assert set(everywhere(daemon, body, content)) == {400}, body[:40]


def test_executor_garbage(cluster):
    ids = {"framework_id": {"value": "../../etc"}, "executor_id": {"value": "\0/.."}}
    task = {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "uuid": "AAAA", "source": "SOURCE_EXECUTOR"}
    for call in ({"type": "SUBSCRIBE"}, {"type": "SUBSCRIBE", "subscribe": {"unacknowledged_tasks": [{}] * 500}}, dict(ids, type="UPDATE"),
                 dict(ids, type="SUBSCRIBE", subscribe={}), dict(ids, type="UPDATE", update={"status": task}),
                 dict(ids, type="MESSAGE", message={"data": "!!no base64"}), dict(ids, type="MESSAGE", message={"data": "AAAA"}),
                 dict(ids, type="HEARTBEAT"), dict(ids, type=-1), dict(ids, type=2 ** 70), dict(ids, type=None)):
        a = request(cluster.agent.address, "POST", "/api/v1/executor", {"Content-Type": JSON, "Authorization": "Bearer \x01"},
                    json.dumps(call), ANSWER)
        assert 400 <= a.status < 500, (call, a)


# ---- the channel between daemons ----

def frame(kind, payload, length=None, flags=0):
    return struct.pack("<IHH", len(payload) + 4 if length is None else length, kind, flags) + payload


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, random.Random(3).randbytes(50000), frame(1, b"", 0xffffffff),
                                  frame(1, b"", (64 << 20) + 1), frame(1, b"", 0), frame(1, b"", 3), frame(999, b"hello"), frame(0, b""),
                                  frame(1, b"", 4, 1), frame(1, b"\xff" * 100), frame(1, b""), frame(2, b"\x0a\x7f"), frame(12, b"\x08"),
                                  frame(2, b"\x0b" * 100000)], ids=range(15))
def test_channels_of_garbage_are_closed(cluster, data):
    with Connection(cluster.master.address, ANSWER) as c:
        c.send(head_bytes("GET", "/wire", WIRE))
        assert c.head().status == 101
        c.send(data)
        c.held = b""
        assert c.closed()


@pytest.mark.parametrize("data", [b"", b"\x10", b"\x10\0\0\0\1\0\0", frame(1, b"abc", 1000), frame(2, b"a" * 100000, 60 << 20)],
                         ids=range(5))
def test_channels_cut_short_are_closed(cluster, data):
    with Connection(cluster.master.address, ANSWER) as c:
        c.send(head_bytes("GET", "/wire", WIRE))
        assert c.head().status == 101
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
        assert c.closed()


# ---- calls that are nearly right ----

STRANGE = [None, True, -1, 0, 1e308, -1e-300, 2 ** 63, 2 ** 64, "", "a" * 5000, "\0", "../..", "*", [], {}, [[]], [{}], {"value": None}, "NaN",
           {"value": "x"}, ["LAUNCH"], "\u2028\U0001f600"]


def places(value, found):
    """Every (container, key) below a value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def mutated(r, call):
    """The text of a call with some of it spoiled: first its parts, then now and then its bytes."""
    call = copy.deepcopy(call)
    for _ in range(r.randint(0, 3)):
        where = places(call, [])
        if not where:
            break
        box, key = r.choice(where)
        how = r.randrange(4)
        if how == 0:
            del box[key]
        elif how == 1:
            box[key] = [copy.deepcopy(box[key])] * r.choice([0, 2, 300])
        elif how == 2:
            box[key] = copy.deepcopy(r.choice(where)[0])
        else:
            box[key] = copy.deepcopy(r.choice(STRANGE))
    data = bytearray(json.dumps(call).encode())
    for _ in range(r.choice([0, 0, 0, 1, 5])):
        at = r.randrange(len(data))
        data[at:at + r.randint(0, 4)] = r.randbytes(r.randint(0, 4))
    return bytes(data)


def accept_of(scheduler, offer):
    # Not a shell's: what is spoiled here may be run.
    task = {"name": "t", "task_id": {"value": new_id()}, "agent_id": offer["agent_id"], "resources": resources(),
            "command": {"shell": False, "value": "/bin/true", "arguments": ["true", "x"]}}
    return {"type": "ACCEPT", "framework_id": {"value": scheduler.id},
            "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0.0},
                       "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}]}}


def nearly_right(address, body, headers):
    with Connection(address, ANSWER) as c:
        c.send(request_bytes("POST", PATH, dict({"Content-Type": JSON, "Accept": JSON}, **headers), body))
        status = c.head().status
    assert 200 <= status < 300 or 400 <= status < 500 or status in (501, 503), (status, body[:2000])
    return status


def test_mutated_calls(cluster):
    r = random.Random(80)
    address = cluster.master.address
    subscribe = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {
        "user": "root", "name": "mutant", "roles": ["a", "b/c"], "hostname": "h", "labels": {"labels": [{"key": "k", "value": "v"}]},
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]}, "suppressed_roles": ["a"]}}
    seen = [nearly_right(address, mutated(r, subscribe), {}) for _ in range(150)]
    assert 200 in seen and 400 in seen
    with Scheduler(address) as s:
        offer = s.offer()
        seen = []
        for _ in range(150):
            with s.lock:
                offer = next(iter(s.held.values()), offer)
            s.used([offer["id"]])
            seen.append(nearly_right(address, mutated(r, accept_of(s, offer)), {"Mesos-Stream-Id": s.stream_id}))
        assert 202 in seen and 400 in seen


def test_afterwards_all_is_as_before(cluster, bystander):
    """The last: the bystander gets offers again on its first subscription, and its task runs on the agent that was there."""
    assert [s["active"] for s in cluster.slaves()] == [True]
    mark = bystander.mark()
    bystander.do("REVIVE")
    bystander.offers(mark)
    task, _ = bystander.run("true", "TASK_FINISHED", agent_id=cluster.agent_id())
    assert task
    eventually(lambda: cluster.master.metrics()["master/slaves_active"] == 1)
