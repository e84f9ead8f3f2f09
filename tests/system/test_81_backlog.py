"""More is asked than can be done: a framework that does not read its events is cut off and told why, a client that floods the master does
not hold up the others, and the master's own delay can be read."""
import json
import socket
import threading
import time

from harness.http import JSON, Broken, Connection, Stream, eventually, get, request_bytes
from harness.scheduler import PATH, Scheduler

AGENTS = 0
LIMIT = 1 << 20
MASTER_FLAGS = {"framework_max_unsent": "1MB"}
HEALTHY = 2.0  # seconds for an answer, on a busy machine
SLOW = "master/frameworks_slow_disconnected"


def subscribe_and_never_read(address, name):
    """A Stream of a small receive buffer, read up to the SUBSCRIBED event; its framework id and stream id."""
    info = {"user": "root", "name": name, "failover_timeout": 0.0}
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
    stream = Stream(address, PATH, json.dumps(call), {"Content-Type": JSON, "Accept": JSON}, wait=60)
    event = json.loads(stream.record())
    assert event["type"] == "SUBSCRIBED"
    return stream, event["subscribed"]["framework_id"]["value"], stream.answer.headers["mesos-stream-id"]


def reconcile(framework_id, stream_id, n):
    """A request that brings `n` events of some 400 bytes."""
    tasks = [{"task_id": {"value": "no-such-task-%d" % i}} for i in range(n)]
    call = {"type": "RECONCILE", "framework_id": {"value": framework_id}, "reconcile": {"tasks": tasks}}
    return request_bytes("POST", PATH, {"Host": "x", "Content-Type": JSON, "Mesos-Stream-Id": stream_id}, json.dumps(call))


class Watch:
    """Another framework's latency, from a call to its event, and /health's, while something goes on."""

    def __init__(self, address):
        self.address, self.slowest, self.asked, self.wrong = address, 0.0, 0, None
        self.scheduler = Scheduler(address)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def ask(self):
        start, mark = time.monotonic(), self.scheduler.mark()
        self.scheduler.do("RECONCILE", {"tasks": [{"task_id": {"value": "mine"}}]})
        self.scheduler.wait_for(lambda e: e["type"] == "UPDATE", 20, mark)
        assert get(self.address, "/health").status == 200
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.asked += 1

    def run(self):
        try:
            while not self.over.is_set():
                self.ask()
        except Exception as e:  # told by the test's own thread
            self.wrong = e

    def __enter__(self):
        self.scheduler.subscribe()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)
        self.scheduler.close()


def test_who_does_not_read_is_cut_off_and_told_why(cluster):
    master = cluster.master
    before = master.metrics()[SLOW]
    with Watch(master.address) as watch:
        stream, framework_id, stream_id = subscribe_and_never_read(master.address, "sleeper")
        with Connection(master.address, wait=60) as c:
            for _ in range(60):  # 120,000 updates
                c.send(reconcile(framework_id, stream_id, 2000))
                if c.answer("POST").status != 202:
                    break
            eventually(lambda: master.metrics()[SLOW] == before + 1)
    assert watch.wrong is None, watch.wrong
    assert watch.asked > 3 and watch.slowest < HEALTHY, (watch.asked, watch.slowest)
    # What was queued is still there for who begins to read, and its last word says what happened.
    events = []
    while True:
        record = stream.record()
        if record is None:
            break
        events.append(json.loads(record))
    assert events[-1]["type"] == "ERROR" and "does not read" in events[-1]["error"]["message"], events[-1]
    assert len(events) > 2000
    stream.close()
    assert "framework %s does not read its events" % framework_id in master.log()
    # Only this one: the other framework's stream stayed, and it is no longer known.
    assert master.metrics()[SLOW] == before + 1
    assert not watch.scheduler.ended or watch.over.is_set()
    with Connection(master.address) as c:
        c.send(reconcile(framework_id, stream_id, 1))
        assert c.answer("POST").status in (400, 403)


def test_who_reads_slowly_is_not_cut_off(cluster):
    """Far over the limit at once, but under the multiple that a burst may have."""
    master = cluster.master
    before = master.metrics()[SLOW]
    stream, framework_id, stream_id = subscribe_and_never_read(master.address, "reader")
    n, seen = 12000, 0  # some 4 MB
    with Connection(master.address, wait=60) as c:
        c.send(reconcile(framework_id, stream_id, n))
        assert c.answer("POST").status == 202
    while seen < n:
        seen += json.loads(stream.record())["type"] == "UPDATE"
    assert master.metrics()[SLOW] == before
    stream.close()


def test_a_client_that_pipelines_without_end_takes_its_turns(cluster):
    """It never reads an answer: the master stops reading it, and everybody else is served in time."""
    master = cluster.master
    sleeper, framework_id, stream_id = subscribe_and_never_read(master.address, "flooder")
    call = {"type": "ACKNOWLEDGE", "framework_id": {"value": framework_id},
            "acknowledge": {"agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": "AAAAAAAAAAAAAAAAAAAAAA=="}}
    one = request_bytes("POST", PATH, {"Host": "x", "Content-Type": JSON, "Mesos-Stream-Id": stream_id}, json.dumps(call))
    host, port = master.address.split(":")
    flood = socket.create_connection((host, int(port)))
    flood.settimeout(3)
    sent, stopped = 0, False
    with Watch(master.address) as watch:
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                sent += flood.send(one * 200)
        except socket.timeout:
            stopped = True
        time.sleep(1)  # a time to be watched
    assert watch.wrong is None, watch.wrong
    assert watch.asked > 3 and watch.slowest < HEALTHY, (watch.asked, watch.slowest)
    assert stopped, "the master took %d bytes of requests whose answers nobody reads" % sent
    flood.close()
    sleeper.close()


def test_the_delay_of_the_loops_can_be_read(cluster):
    m = cluster.master.metrics()
    for name in ("event_loop/delay_us", "event_loop/delay_max_us", "event_loop/io_delay_us", "event_loop/io_delay_max_us"):
        assert 0 <= m[name] < 5e6, (name, m[name])
    assert m["event_loop/delay_max_us"] >= m["event_loop/delay_us"]
    eventually(lambda: "event_loop/delay_ms/p99" in cluster.master.metrics())
    assert m["master/event_queue_http_requests"] >= 0
