"""bench-idle_containers: one agent that holds ten thousand containers which do nothing.

What it costs: CPU of the agent, memory of a container (all of it: shim, command, kernel, agent, cgroups), the time of /containers and
of /health while that is read. IDLE_CONTAINERS makes it smaller, IDLE_ISOLATION changes what separates them.
"""
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
sys.path.insert(0, os.path.join(HERE, "scale"))

from harness.cluster import ROOT, Cluster  # noqa: E402
from harness.http import get_json  # noqa: E402
from harness.scheduler import Scheduler, new_id, resources  # noqa: E402
from world import Probe  # noqa: E402

COUNT = int(os.environ.get("IDLE_CONTAINERS", "10000"))
ISOLATION = os.environ.get("IDLE_ISOLATION", "cgroups/cpu,cgroups/mem,namespaces/pid,filesystem/linux")
BATCH = 250
RUNS = int(os.environ.get("IDLE_RUNS", "5"))
PAUSE = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tests", "bench", "pause")


def figure(key, value, unit):
    print("idle_containers.%s %.4g %s" % (key, value, unit), flush=True)


def cpu_s(pid):
    """User and system time of the process, threads included."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def available():
    """Bytes of the machine that could be had now."""
    with open("/proc/meminfo") as f:
        return 1024 * next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))


def resident(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return 1024 * next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def tasks(offer, n):
    return [{"name": "idle", "task_id": {"value": new_id()}, "agent_id": offer["agent_id"], "resources": resources(0.01, 1),
             "command": {"shell": False, "value": PAUSE}} for _ in range(n)]


class Counter(Scheduler):
    """Counts what runs instead of keeping its events."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.running = self.ended_tasks = 0

    def keep_offers(self, event):
        super().keep_offers(event)
        if event["type"] == "UPDATE":
            state = event["update"]["status"]["state"]
            self.running += state == "TASK_RUNNING"
            if state not in ("TASK_STARTING", "TASK_RUNNING"):
                self.ended_tasks += 1
                if self.ended_tasks == 1 and state != "TASK_KILLED":
                    print(event["update"]["status"], file=sys.stderr)

    def until(self, n, seconds):
        end = time.monotonic() + seconds
        while self.running < n and self.ended_tasks == 0 and time.monotonic() < end:
            time.sleep(0.05)
        if self.running < n:
            raise SystemExit("%d of %d containers run, %d ended" % (self.running, n, self.ended_tasks))


def launch(s):
    began = time.monotonic()
    for first in range(0, COUNT, BATCH):
        n = min(BATCH, COUNT - first)
        offer = s.offer(cpus=0.01 * n, wait=60)
        s.launch(offer, *tasks(offer, n))
        s.until(first + n, 60)
    return time.monotonic() - began


def listing(address):
    """Times of /containers, and of /health while it is read."""
    probe = Probe(address)
    for _ in range(RUNS):
        began = time.monotonic()
        n = len(get_json(address, "/containers"))
        figure("list_s", time.monotonic() - began, "s")
        if n != COUNT:
            raise SystemExit("/containers has %d of %d" % (n, COUNT))
    health = probe.end()
    figure("health_p50_ms", health["p50"], "ms")
    figure("health_p99_ms", health["p99"], "ms")


def measure(c):
    s = Counter(c.master.address, name="idle")
    agent = c.agent.process.pid
    s.subscribe()
    before, own = available(), resident(agent)
    figure("started_s", COUNT / launch(s), "/s")
    time.sleep(5)
    figure("bytes", (before - available()) / COUNT, "bytes")
    figure("agent_bytes", (resident(agent) - own) / COUNT, "bytes")
    cpu, began = cpu_s(agent), time.monotonic()
    time.sleep(float(os.environ.get("IDLE_SECONDS", "20")))
    figure("agent_cpu_percent", 100 * (cpu_s(agent) - cpu) / (time.monotonic() - began), "%")
    cpu = cpu_s(agent)
    listing(c.agent.address)
    figure("list_cpu_us", 1e6 * (cpu_s(agent) - cpu) / RUNS / COUNT, "us")
    began = time.monotonic()
    s.call("TEARDOWN")
    while left(c) > 0 and time.monotonic() < began + 120:
        time.sleep(0.1)
    figure("destroyed_s", COUNT / (time.monotonic() - began), "/s")


def left(c):
    folder = c.agent.flags["runtime_dir"] + "/containers"
    return len(os.listdir(folder)) if os.path.isdir(folder) else 0


def main():
    if os.geteuid() != 0:
        raise SystemExit("containers need root")
    run = "/dev/shm/fairlead-idle-%d" % os.getpid()
    flags = {"launcher": "linux", "isolation": ISOLATION, "runtime_dir": run, "max_executors": COUNT + 10,
             "resources": "cpus:%d;mem:%d;disk:1000" % (COUNT // 100 + 2, COUNT + 100)}
    with Cluster(agent_flags=flags) as c:
        try:
            measure(c)
        except BaseException:
            print(c.logs()[-3000:], file=sys.stderr)
            raise
    shutil.rmtree(run, ignore_errors=True)


main()
