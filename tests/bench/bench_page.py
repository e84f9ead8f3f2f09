"""make bench-page: the web page's stream (GET /page/events) on a cluster of 5,000 agents with 100,000 tasks.

1. How long until a page has the whole picture, its bytes a task, and how long the master stood still for it.
2. What 50 pages cost the master while 1,000 tasks a second are launched and end: its CPU time with them and without, by row of a task that
   one page is sent.
PAGE_AGENTS, PAGE_TASKS, PAGE_SECONDS make it smaller.
"""
import multiprocessing
import os
import selectors
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale"))

from world import World, figure, say  # noqa: E402

AGENTS = int(os.environ.get("PAGE_AGENTS", "5000"))
TASKS = int(os.environ.get("PAGE_TASKS", "100000"))
SECONDS = float(os.environ.get("PAGE_SECONDS", "5"))
PAGES = 50
PICTURES = 5
ROUNDS = 3
HOSTS = """
cluster: page
agent_flags: {registration_backoff_factor: 100ms}
tasks: {start_delay: uniform 1ms 20ms, duration: forever, kill_delay: 10ms}
groups:
  - name: host
    count: %d
    placement: [{region: r, zone: a}, {region: r, zone: b}]
    attributes: {rack: r1}
    resources: {cpus: 64, mem: 65536, disk: 1000000}
workload:
""" % AGENTS
FILL = HOSTS + """
  - {name: services, frameworks: 10, jobs: %d, tasks: 1000, per_offer: 40, checkpoint: false, resources: {cpus: 0.1, mem: 32}}
""" % (TASKS // 1000)
CHURN = HOSTS + """
  - {name: jobs, frameworks: 20, jobs: 1000000, tasks: 20, duration: exponential 2secs 20secs, arrival: poisson 50/s, refuse: 5mins,
     checkpoint: false, resources: {cpus: 0.1, mem: 32}}
"""
REQUEST = b"GET /page/events HTTP/1.1\r\nHost: bench\r\n\r\n"


def write(w, name, text):
    path = os.path.join(w.folder, name + ".yaml")
    with open(path, "w") as f:
        f.write(text)
    return path


def dial(port):
    s = socket.create_connection(("127.0.0.1", port), 30)
    s.sendall(REQUEST)
    return s


def picture(port):
    """Seconds until `ready`, and all bytes until then."""
    began, size, tail = time.monotonic(), 0, b""
    with dial(port) as s:
        while b"event: ready" not in tail:
            data = s.recv(1 << 20)
            if not data:
                raise OSError("closed before it was ready")
            size += len(data)
            tail = tail[-100:] + data
        return time.monotonic() - began, size


def follow(port, count, ready, stop, queue):
    """That many pages; of the first, the rows of tasks after its picture are counted."""
    selector, text, rows, size, open_ = selectors.DefaultSelector(), b"", 0, 0, 0
    for i in range(count):
        selector.register(dial(port), selectors.EVENT_READ, i)
    seen = set()
    while not stop.is_set():
        for key, _ in selector.select(0.2):
            data = key.fileobj.recv(1 << 20)
            if not data:
                queue.put(None)
                return
            if key.data not in seen and b"event: ready" in data:
                seen.add(key.data)
                if len(seen) == count:
                    ready.set()
                    text, size = b"", 0
            if key.data == 0 and ready.is_set():
                size += len(data)
                text += data
                *events, text = text.split(b"\n\n")
                for event in events:
                    if b"event: tasks" in event:
                        rows += event.count(b"],[") + 1
    queue.put((rows, size))


def churn(w, seconds):
    """CPU time of the master over that long, and tasks launched in it."""
    launched = lambda: w.metrics()["master/tasks_finished"]  # noqa: E731
    cpu, tasks, began = w.master.cpu_s(), launched(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return (w.master.cpu_s() - cpu) / took, (launched() - tasks) / took


def pictures(w):
    times, size, hold = [], 0, []
    for _ in range(PICTURES):
        seconds, size = picture(w.port)
        times.append(1e3 * seconds)
        hold.append(w.metrics()["master/state_hold_ms"])
    figure("page.ready_ms", statistics.median(times), "ms")
    figure("page.bytes_task", size / TASKS, "bytes")
    figure("page.hold_ms", statistics.median(hold), "ms")


def with_pages(w):
    """The same as churn() while pages are open; and rows of tasks a second that each was sent, and bytes."""
    ready, stop, queue = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    readers = multiprocessing.Process(target=follow, args=(w.port, PAGES, ready, stop, queue), daemon=True)
    readers.start()
    if not ready.wait(60):
        raise OSError("the pages are not ready")
    began = time.monotonic()
    time.sleep(1)
    cost, tasks = churn(w, SECONDS)
    seconds = time.monotonic() - began
    stop.set()
    rows, size = queue.get(timeout=30)
    readers.join()
    return cost, tasks, rows / seconds, size / seconds


def subscribers(w):
    time.sleep(10)  # what was launched at once has ended, and tasks come evenly
    alone, watched = [], []
    for _ in range(ROUNDS):
        alone.append(churn(w, SECONDS))
        watched.append(with_pages(w))
    cost = statistics.median(b[0] - a[0] for a, b in zip(alone, watched))
    rows = statistics.median(b[2] for b in watched)
    say("share of a core, and tasks a second: %s; with %d pages: %s" %
        (", ".join("%.3f %.0f" % a for a in alone), PAGES, ", ".join("%.3f %.0f" % b[:2] for b in watched)))
    say("%.0f rows of tasks and %.0f kB a second to each page; a turn takes %.1f ms (p99)" %
        (rows, statistics.median(b[3] for b in watched) / 1e3, w.metrics()["master/page_write_ms/p99"]))
    figure("page.cpu_us_event", 1e6 * cost / rows, "us")
    figure("page.cpu_percent", 100 * cost, "%")


def main():
    with World() as w:
        hosts = write(w, "hosts", HOSTS.replace("workload:\n", ""))
        w.start_master(hosts)
        w.start_emulator(hosts)
        w.wait_agents(AGENTS)
        w.load(write(w, "fill", FILL), "fill", then="hold", quiet=True)
        w.wait(lambda: w.metrics()["master/tasks_running"] >= TASKS, 120, "%d tasks run" % TASKS, every=0.2)
        pictures(w)
        w.load(write(w, "churn", CHURN), "churn", quiet=True)
        w.wait(lambda: w.metrics()["master/tasks_finished"] > 2000, 60, "tasks come and go", every=0.2)
        subscribers(w)


if __name__ == "__main__":
    main()
