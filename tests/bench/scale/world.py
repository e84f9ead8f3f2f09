"""What the benchmarks of scale share: a master, an emulator and load on loopback, what their processes cost, and who probes /health meanwhile.

Processes are stopped by the ids that were started here; nothing outlives the program that began it.
"""
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

from harness.cluster import BIN, command_line, free_ports  # noqa: E402
from harness.http import get_json  # noqa: E402

EXAMPLES = os.path.join(ROOT, "emulator", "examples")
TICK = os.sysconf("SC_CLK_TCK")


def figure(key, value, unit):
    """The line that tools/bench.py keeps."""
    print("%s %.6g %s" % (key, value, unit), flush=True)


def say(text):
    print("# " + text, flush=True)


def fail(text):
    print(text, file=sys.stderr, flush=True)
    sys.exit(1)


class Process:
    """A program of ours, what it printed, and what it and its children cost."""

    def __init__(self, folder, name, words):
        self.name = name
        self.words = words
        self.path = os.path.join(folder, name + ".log")
        self.process = None

    def start(self):
        with open(self.path, "a") as log:
            self.process = subprocess.Popen([os.path.join(BIN, self.words[0])] + self.words[1:], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        return self

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self, wait=20):
        if not self.alive():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill9()

    def pids(self):
        found, left = [], [self.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    left += [int(p) for p in f.read().split()]
            except OSError:
                pass
        return found

    def cpu_s(self):
        """User and system time so far, of it and its children that live."""
        total = 0
        for pid in self.pids():
            try:
                with open("/proc/%d/stat" % pid) as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def memory(self, what="VmRSS"):
        """Bytes, of it and its children: VmRSS now, VmHWM at most. Pages shared by a fork count once (Pss where there are children)."""
        total = 0
        pids = self.pids()
        for pid in pids:
            try:
                if len(pids) > 1 and what == "VmRSS":
                    with open("/proc/%d/smaps_rollup" % pid) as f:
                        total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
                else:
                    with open("/proc/%d/status" % pid) as f:
                        total += int(re.search(r"^%s:\s+(\d+)" % what, f.read(), re.M).group(1)) * 1024
            except (OSError, AttributeError):
                continue
        return total

    def descriptors(self):
        """Open ones of all its file tables (a thread of the master may have one of its own)."""
        seen = 0
        for pid in self.pids():
            try:
                for thread in os.listdir("/proc/%d/task" % pid):
                    seen += len(os.listdir("/proc/%d/task/%s/fd" % (pid, thread)))
            except OSError:
                continue
        return seen


def probe(address, every_s, queue, stop):
    """Asks for /health on one connection and keeps how long each answer took; connects again when the master is gone."""
    host, port = address.split(":")
    request = ("GET /health HTTP/1.1\r\nHost: %s\r\n\r\n" % address).encode()
    times, s, down = [], None, 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            if s is None:
                s = socket.create_connection((host, int(port)), 10)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                began = time.monotonic()
            s.sendall(request)
            if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                raise OSError("not 200")
            times.append(time.monotonic() - began)
        except OSError:
            down += 1
            s = None
        time.sleep(every_s)
    queue.put((times, down))


class Probe:
    """/health, asked from another process until it is told to end."""

    def __init__(self, address, every_s=0.005):
        self.queue, self.stop = multiprocessing.Queue(), multiprocessing.Event()
        self.process = multiprocessing.Process(target=probe, args=(address, every_s, self.queue, self.stop), daemon=True)
        self.process.start()

    def end(self):
        """Milliseconds: {"n", "p50", "p99", "max"}."""
        self.stop.set()
        times, down = self.queue.get(timeout=15)
        self.process.join()
        times.sort()
        if not times:
            return {"n": 0, "p50": 0, "p99": 0, "max": 0, "down": down}
        at = lambda q: 1e3 * times[min(len(times) - 1, int(q * len(times)))]  # noqa: E731
        return {"n": len(times), "p50": at(0.5), "p99": at(0.99), "max": 1e3 * times[-1], "down": down}


class World:
    def __init__(self, master_flags=None):
        self.folder = tempfile.mkdtemp(prefix="fairlead-scale-")
        self.port = free_ports(1)[0]
        self.address = "127.0.0.1:%d" % self.port
        self.master_flags = {"ip": "127.0.0.1", "hostname": "127.0.0.1", "port": self.port, "work_dir": self.folder + "/master",
                             "logging_level": "WARNING"}
        self.master_flags.update(master_flags or {})
        self.master = self.emulator = None
        self.others = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for p in self.others + [self.emulator, self.master]:
            if p is not None:
                if kind is not None and p.process is not None:
                    say("last of %s: %s" % (p.name, p.log()[-1500:]))
                p.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def metrics(self):
        return get_json(self.address, "/metrics/snapshot")

    def start_master(self, cluster=None):
        """Until it answers."""
        if cluster:
            domain = subprocess.run([os.path.join(BIN, "fairlead-emulator"), cluster, "--print_domain"], capture_output=True, text=True,
                                    check=True, timeout=30).stdout.strip()
            if domain:
                self.master_flags["domain"] = domain
        self.master = Process(self.folder, "master", ["fairlead-master"] + command_line(self.master_flags)).start()
        self.wait(lambda: self.metrics() is not None, 60, "the master answers", every=0.005)
        return self.master

    def start_emulator(self, cluster, **flags):
        words = ["fairlead-emulator", cluster, "--master=" + self.address] + command_line(flags)
        self.emulator = Process(self.folder, "emulator", words).start()
        return self.emulator

    def load(self, workload, report, **flags):
        """fairlead-loadgen to its end; what its report says."""
        path = os.path.join(self.folder, report + ".json")
        words = ["fairlead-loadgen", workload, "--master=" + self.address, "--json=" + path,
                 "--master_pid=%d" % self.master.pid, "--emulator_pid=%d" % self.emulator.pid]
        p = Process(self.folder, report, words + command_line(flags))
        self.others.append(p)
        p.start()
        return p, path

    def report(self, p, path, wait):
        try:
            status = p.process.wait(wait)
        except subprocess.TimeoutExpired:
            fail("fairlead-loadgen is not done after %d s:\n%s" % (wait, p.log()[-2000:]))
        if status != 0:
            fail("fairlead-loadgen ended with status %d:\n%s" % (status, p.log()[-2000:]))
        with open(path) as f:
            return json.load(f)

    def wait(self, condition, seconds, what, every=0.05):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for p in (self.master, self.emulator):
                if p is not None and p.process is not None and not p.alive():
                    fail("%s ended while it was waited until %s:\n%s" % (p.name, what, p.log()[-2000:]))
            try:
                if condition():
                    return
            except (OSError, ValueError, AssertionError):
                pass
            time.sleep(every)
        fail("not within %g s: %s" % (seconds, what))

    def wait_agents(self, n, seconds=120, every=0.05):
        self.wait(lambda: self.metrics()["master/slaves_active"] >= n, seconds, "%d agents are active" % n, every)


def scaled(path, agents, folder, **extra):
    """A copy of a cluster's file with about so many agents; its groups keep their proportions. `extra` are lines at its end."""
    with open(path) as f:
        text = f.read()
    counts = [int(n) for n in re.findall(r"^    count: (\d+)$", text, re.M)]
    left, total = agents, sum(counts)

    def put(match):
        nonlocal left, total
        n = round(left * int(match.group(1)) / total)
        left, total = left - n, total - int(match.group(1))
        return "    count: %d" % n

    text = re.sub(r"^    count: (\d+)$", put, text, flags=re.M)
    for line in extra.values():
        text += line + "\n"
    out = os.path.join(folder, "cluster-%d.yaml" % agents)
    with open(out, "w") as f:
        f.write(text)
    return out
