"""make bench-serving: what serving costs while tasks are launched: 20 clients that read /state, subscribers of the v1 event stream, /health.

A master, 500 emulated agents with 20,000 tasks, and a load generator that launches tasks which end after a few seconds. Subscribers and readers
are processes of their own (serving_clients.c). Each step is one mix of them; SERVING_STEPS chooses ("subscribers:rate:readers", with readers "20",
"20p" for 20 with a pause of 1 s, or "0"), SERVING_SECONDS (10) is how long each is measured, SERVING_TASKS what is there before.
"""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale"))

from world import ROOT, TICK, Probe, World, figure, say  # noqa: E402

AGENTS = int(os.environ.get("SERVING_AGENTS", "500"))
TASKS = int(os.environ.get("SERVING_TASKS", "20000"))
SECONDS = float(os.environ.get("SERVING_SECONDS", "10"))
STEPS = os.environ.get("SERVING_STEPS", "0:1000:0 0:1000:20 0:1000:20p 10:1000:0 100:1000:0 300:50:0 300:200:0 300:1000:0 1000:50:0 1000:200:0 "
                                        "1000:1000:0 1000:1000:20")
CLIENTS = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tests", "bench", "serving_clients")
MIB = 1 << 20
HOSTS = """
cluster: serving
agent_flags: {registration_backoff_factor: 100ms}
tasks: {start_delay: uniform 1ms 20ms, duration: forever, kill_delay: 10ms}
groups:
  - name: host
    count: %d
    resources: {cpus: 64, mem: 65536, disk: 1000000}
workload:
""" % AGENTS
FILL = HOSTS + """
  - {name: services, frameworks: 4, jobs: %d, tasks: 100, per_offer: 40, checkpoint: false, resources: {cpus: 0.1, mem: 32}}
""" % (TASKS // 100)
CHURN = HOSTS + """
  - {name: jobs, frameworks: 10, jobs: 1000000, tasks: 10, duration: uniform 2secs 6secs, arrival: poisson %g/s, refuse: 5mins,
     checkpoint: false, resources: {cpus: 0.1, mem: 32}}
"""


def write(w, name, text):
    path = os.path.join(w.folder, name + ".yaml")
    with open(path, "w") as f:
        f.write(text)
    return path


class Clients:
    """serving_clients; None of them is a process that does nothing."""

    def __init__(self, w, what, count, pause=None):
        self.process = None
        if count:
            words = [CLIENTS, str(w.port), what, str(count)] + ([str(pause)] if pause is not None else [])
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise OSError("the clients have ended")
        return text.split()

    def numbers(self):
        """{name: number} since it was asked last."""
        if not self.process:
            return {}
        self.process.send_signal(signal.SIGUSR1)
        words = self.line()
        return {name: float(value) for name, value in zip(words[::2], words[1::2])}

    def end(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


def threads(pid):
    """CPU seconds so far, by thread; "core" is the main one, and "children" those that have ended."""
    found = {}
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, tid)) as f:
            text = f.read()
        name = "core" if int(tid) == pid else "io"
        fields = text.rsplit(")", 1)[1].split()
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICK
        if int(tid) == pid:
            found["children"] = (int(fields[13]) + int(fields[14])) / TICK
    return found


def measured(w, subscribers, readers):
    """What happens in SECONDS seconds."""
    probe = Probe(w.address, 0.01)
    subscribers.numbers()
    readers.numbers()
    cpu, before, began = threads(w.master.pid), w.metrics(), time.monotonic()
    time.sleep(SECONDS)
    took = time.monotonic() - began
    after, now = w.metrics(), threads(w.master.pid)
    out = {"subscribers": subscribers.numbers(), "readers": readers.numbers(), "health": probe.end(), "took": took,
           "cpu": {name: (now[name] - cpu.get(name, 0)) / took for name in now}}
    grown = lambda key: after.get(key, 0) - before.get(key, 0)  # noqa: E731
    out["finished"] = grown("master/tasks_finished") / took
    out["slow"] = grown("http/overrun_streams_closed")
    return out


def told(prefix, r, report):
    run = report["latency"].get("accept_to_running", {})
    figure(prefix + "tasks_s", r["finished"], "1/s")
    if run.get("n"):
        figure(prefix + "launch_p50_ms", run["p50_us"] / 1e3, "ms")
        figure(prefix + "launch_p99_ms", run["p99_us"] / 1e3, "ms")
    figure(prefix + "health_p50_ms", r["health"]["p50"], "ms")
    figure(prefix + "health_p99_ms", r["health"]["p99"], "ms")
    for name, share in sorted(r["cpu"].items()):
        figure(prefix + name + "_cores", share, "cores")
    if r["readers"]:
        figure(prefix + "state_mean_ms", r["readers"]["mean_us"] / 1e3, "ms")
        figure(prefix + "state_p99_ms", r["readers"]["p99_us"] / 1e3, "ms")
        figure(prefix + "states_s", r["readers"]["answers"] / r["took"], "1/s")
    if r["subscribers"]:
        figure(prefix + "events_s", r["subscribers"]["events"] / r["took"], "1/s")
        figure(prefix + "bytes_s", r["subscribers"]["bytes"] / r["took"], "B/s")
        figure(prefix + "slow_closed", r["slow"], "streams")


def settle(w, subscribers, count):
    """Waits until nothing more comes, and looks whether every stream that is open had every event."""
    seen = subscribers.numbers()
    while seen and seen["events"] > count:
        time.sleep(1)
        seen = subscribers.numbers()
    if seen and seen["open"] and (seen["added_min"] != seen["added_max"] or seen["updated_min"] != seen["updated_max"] or seen["broken"]):
        raise AssertionError("events were lost: %s" % seen)
    return seen


def step(w, text):
    count, rate, readers = text.split(":")
    prefix = "serving.s%s_r%s_c%s." % (count, rate, readers)
    subscribers = Clients(w, "subscribe", int(count))
    began = time.monotonic()
    if subscribers.process:
        if subscribers.line() != ["ready"]:
            raise OSError("the subscribers are not ready")
        figure(prefix + "subscribed_s", time.monotonic() - began, "s")
        settle(w, subscribers, int(count))
    clients = Clients(w, "state", int(readers.rstrip("p")), 1000 if readers.endswith("p") else 0)
    churn = write(w, "churn" + rate, CHURN % (float(rate) / 10))
    p, path = w.load(churn, "churn-" + text.replace(":", "-"), seconds="%dsecs" % (SECONDS + 7), quiet=True)
    time.sleep(6)
    r = measured(w, subscribers, clients)
    figure(prefix + "master_mib", w.master.memory() / MIB, "MiB")
    report = w.report(p, path, 60)
    clients.end()
    told(prefix, r, report)
    seen = settle(w, subscribers, int(count))
    subscribers.end()
    say("%s: accepted to running: %s; streams: %s; load %s" % (text, report["latency"].get("accept_to_running"), seen, "%.1f %.1f %.1f" % os.getloadavg()))
    w.wait(lambda: w.metrics()["master/tasks_running"] <= TASKS, 60, "the launched tasks are gone", every=0.5)


def main():
    with World() as w:
        hosts = write(w, "hosts", HOSTS.replace("workload:\n", ""))
        w.start_master(hosts)
        w.start_emulator(hosts)
        w.wait_agents(AGENTS)
        w.load(write(w, "fill", FILL), "fill", then="hold", quiet=True)
        w.wait(lambda: w.metrics()["master/tasks_running"] >= TASKS, 120, "%d tasks run" % TASKS, every=0.2)
        for text in STEPS.split():
            step(w, text)
        say("the master's log: " + w.master.log()[-1000:].strip())


if __name__ == "__main__":
    main()
