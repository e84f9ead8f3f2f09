"""More is asked than can be done: a framework that does not read its events is cut off and told why, a client that floods the master does
not hold up the others, and the master's own delay can be read."""
import json
import os
import socket
import subprocess
import threading
import time

from harness.cluster import BIN, Cluster
from harness.http import JSON, Broken, Connection, Stream, eventually, get, request_bytes
from harness.scheduler import PATH, Scheduler
from test_90_emulator import Emulator

ALONE = "it measures how long others wait while a flood goes on"

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


BURST = """
cluster: burst
agent_flags: {registration_backoff_factor: 20ms}
tasks: {start_delay: uniform 1ms 50ms, duration: forever}
groups:
  - {name: host, count: 100, resources: {cpus: 64, mem: 65536, disk: 100000}}
workload:
  - {name: burst, frameworks: 4, jobs: 20, tasks: 1000, resources: {cpus: 0.1, mem: 32}, per_offer: 200}
"""


class Probe:
    """How long /health took, each time asked on a new connection, until it is told to end."""

    def __init__(self, address):
        self.address, self.took, self.wrong = address, [], None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.over.wait(0.005):
                start = time.monotonic()
                assert get(self.address, "/health").status == 200
                self.took.append(time.monotonic() - start)
        except Exception as e:  # told by the test's own thread
            self.wrong = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)

    def p99(self):
        return sorted(self.took)[len(self.took) * 99 // 100]


def test_health_is_answered_while_a_burst_of_tasks_goes_on(tmp_path):
    """20,000 tasks accepted at once, all their updates and acknowledgements, then all killed."""
    c = Cluster(0)
    try:
        c.agents.append(Emulator(c, BURST).start())
        c.wait_agents(100, 60)
        workload, report = tmp_path / "burst.yaml", tmp_path / "burst.json"
        workload.write_text(BURST)
        words = [os.path.join(BIN, "fairlead-loadgen"), str(workload), "--master=" + c.master.address, "--quiet",
                 "--json=%s" % report, "--limit=100secs", "--then=kill"]
        with Probe(c.master.address) as probe:
            done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        counts = json.loads(report.read_text())["counts"]
        assert (counts["accepted"], counts["running"], counts["killed"]) == (20000, 20000, 20000)
        assert probe.wrong is None, probe.wrong
        # A generous bound for a busy machine: it was seconds when requests were taken in the order they came.
        assert len(probe.took) > 20 and probe.p99() < 0.2, (len(probe.took), probe.p99(), max(probe.took))
        m = c.master.metrics()
        assert m["event_loop/http_wait_max_us"] > 0 and m["event_loop/wire_wait_max_us"] > 0
    finally:
        c.stop()


def test_the_delay_of_the_loops_can_be_read(cluster):
    m = cluster.master.metrics()
    for name in ("event_loop/delay_us", "event_loop/delay_max_us", "event_loop/io_delay_us", "event_loop/io_delay_max_us"):
        assert 0 <= m[name] < 5e6, (name, m[name])
    assert m["event_loop/delay_max_us"] >= m["event_loop/delay_us"]
    eventually(lambda: "event_loop/delay_ms/p99" in cluster.master.metrics())
    assert m["master/event_queue_http_requests"] >= 0
