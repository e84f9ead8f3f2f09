"""Answers about the state that a process of its own writes: consistent while tasks come and go, shared, and nobody's trouble but the caller's when
that process dies or a client reads slowly."""
import json
import os
import signal
import socket
import threading
import time

import pytest

from harness.cluster import Cluster
from harness.http import JSON, Stream, eventually, get, get_json, post_json
from harness.scheduler import Scheduler
from test_90_emulator import Emulator

FILE = """
cluster: test
agent_flags: {registration_backoff_factor: 20ms}
tasks:
  duration: uniform 50ms 400ms
groups:
  - name: plain
    count: 120
    attributes: {text: %s}
    resources: {cpus: 64, mem: 65536, disk: 10000}
""" % ("x" * 8000)


@pytest.fixture(scope="module")
def world():
    c = Cluster(0, {"state_snapshot_objects": "1", "max_state_snapshot_bytes": "16MB", "max_completed_tasks_per_framework": "300"})
    try:
        e = Emulator(c, FILE).start()
        c.agents.append(e)
        c.wait_agents(120, 30)
    except BaseException:
        print(c.logs())
        c.stop()
        raise
    yield c
    c.stop()


def metric(c, name):
    return get_json(c.master.address, "/metrics/snapshot")["master/state_snapshot" + name]


def call(c, kind):
    return post_json(c.master.address, "/api/v1", {"type": kind}).json()


def ids_of_state(state):
    return [t["id"] for f in state["frameworks"] + state["completed_frameworks"]
            for kind in ("tasks", "unreachable_tasks", "completed_tasks") for t in f[kind]]


def ids_of_call(answer):
    return [t["task_id"]["value"] for kind in ("tasks", "unreachable_tasks", "completed_tasks")
            for t in answer["get_state"]["get_tasks"][kind]]


def launch_some(s, rounds, per_offer=4):
    ids = []
    for _ in range(rounds):
        mark = s.mark()
        for offer in s.offers()[:20]:
            tasks = [s.task(offer, "true", cpus=1) for _ in range(per_offer)]
            ids += [t["task_id"]["value"] for t in tasks]
            s.launch(offer, *tasks)
        s.offers(since=mark)
    return ids


def test_readers_while_tasks_come_and_go(world):
    c, stop, seen, wrong = world, threading.Event(), [0, 0], []

    def read(kind):
        while not stop.is_set():
            try:
                ids = ids_of_state(get_json(c.master.address, "/state")) if kind == 0 else ids_of_call(call(c, "GET_STATE"))
                if len(set(ids)) != len(ids):
                    wrong.append("a task twice")
                seen[kind] += 1
            except Exception as e:
                wrong.append(repr(e))
                return

    before = metric(c, "s")
    threads = [threading.Thread(target=read, args=(i % 2,)) for i in range(4)]
    with Scheduler(c.master.address) as s:
        for t in threads:
            t.start()
        try:
            ids = launch_some(s, 3)
            # No answer is older than its request: what was told is in it.
            for i in ids[:40:4]:
                s.status(i, "TASK_RUNNING")
                assert i in ids_of_state(get_json(c.master.address, "/state"))
        finally:
            stop.set()
            for t in threads:
                t.join()
    assert not wrong, wrong[:3]
    assert min(seen) > 5
    assert metric(c, "s") > before


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


def test_the_process_is_killed(world):
    c, answers, stop = world, [], threading.Event()
    pid = c.master.process.pid

    def read():
        while not stop.is_set():
            answers.append(get(c.master.address, "/state"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until and not any(a.status == 500 for a in answers):
            for p in children(pid):
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    finally:
        stop.set()
        reader.join()
    bad = next(a for a in answers if a.status == 500)
    assert "ended before it was done" in bad.text
    assert get_json(c.master.address, "/state")["activated_slaves"] == 120
    eventually(lambda: metric(c, "_processes") == 0)
    assert metric(c, "s_failed") >= 1


def slow_reader(c):
    host, port = c.master.address.rsplit(":", 1)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((host, int(port)))
    # More than the kernel takes of a connection that nobody reads.
    s.sendall(b"GET /state HTTP/1.1\r\nHost: x\r\n\r\n" * 6)
    s.recv(16)
    return s


def test_slow_readers_are_bounded(world):
    c, slow = world, []
    size = len(get(c.master.address, "/state").body)
    try:
        refused = None
        for _ in range(2 + (16 << 20) // size):
            slow.append(slow_reader(c))
            answer = get(c.master.address, "/state")
            if answer.status != 200:
                refused = answer
                break
        assert refused is not None and refused.status == 503, (size, len(slow))
        assert "max_state_snapshot_bytes" in refused.text
        assert metric(c, "_bytes") > 0 and metric(c, "s_refused") >= 1
        assert get(c.master.address, "/health").status == 200
        # What is read late is whole.
        data = b""
        slow[0].settimeout(10)
        while data.count(b"HTTP/1.1 200 OK") < 4:
            piece = slow[0].recv(1 << 20)
            assert piece
            data += piece
        for answer in data.split(b"\r\n\r\n")[1:4]:
            body = answer[:answer.rindex(b"}") + 1]
            assert json.loads(body)["activated_slaves"] == 120
    finally:
        for s in slow:
            s.close()
    eventually(lambda: metric(c, "_bytes") == 0)
    assert get(c.master.address, "/state").status == 200


def test_subscribers_miss_nothing(world):
    """SUBSCRIBED shows a task, or its TASK_ADDED follows; never both, never neither."""
    c, tasks, told, streams = world, [], [], []

    def read():
        streams.append(Stream(c.master.address, "/api/v1", json.dumps({"type": "SUBSCRIBE"}), {"Content-Type": JSON}))
        first = json.loads(streams[0].record())["subscribed"]["get_state"]["get_tasks"]
        told.extend(t["task_id"]["value"] for kind in first.values() for t in kind)
        while True:
            try:
                record = streams[0].record()
            except OSError:
                return  # closed by us
            if record is None:
                return
            event = json.loads(record)
            if event["type"] == "TASK_ADDED":
                told.append(event["task_added"]["task"]["task_id"]["value"])

    reader = threading.Thread(target=read)
    with Scheduler(c.master.address) as s:
        for n, offer in enumerate(s.offers()[:30]):
            new = [s.task(offer, "true", cpus=1) for _ in range(2)]
            tasks += [t["task_id"]["value"] for t in new]
            s.launch(offer, *new)
            if n == 5:
                reader.start()
        try:
            eventually(lambda: set(tasks) <= set(told))
            time.sleep(0.2)
        finally:
            streams[0].close()
            reader.join(20)
        assert len(told) == len(set(told))
