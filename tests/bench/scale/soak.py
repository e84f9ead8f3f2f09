"""make soak: an hour at about half of the highest rate, with faults injected; what may not grow, does not, and every task has an end.

SOAK_SECONDS (3600) and SOAK_FILE (emulator/examples/load-soak.yaml) say how long and what. A line a minute; at the end all tasks are killed, and
the books must be empty: nothing runs, nothing is used or offered, in the master, the emulator and the schedulers alike. Memory and
descriptors are compared between the end of the first quarter and the end of the work: growth over 5 % (and 16 MiB) fails.
"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from world import EXAMPLES, Probe, World, say  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
FILE = os.environ.get("SOAK_FILE", os.path.join(EXAMPLES, "load-soak.yaml"))
EVERY_S = min(60, max(5, SECONDS / 20))
MIB = 1 << 20


class Sample:
    def __init__(self, w, load, began):
        m = w.metrics()
        self.at = time.monotonic() - began
        self.ended = sum(m["master/tasks_" + k] for k in ("finished", "failed", "killed", "lost", "error", "dropped", "gone"))
        self.running = m["master/tasks_running"]
        self.agents = m["master/slaves_active"]
        self.delay_ms = m.get("event_loop/delay_max_us", 0) / 1e3
        self.processes = {p.name: (p.memory(), p.descriptors(), p.cpu_s()) for p in (w.master, w.emulator, load)}

    def line(self, before):
        seconds = self.at - before.at
        text = "%5.0f s  %6.0f tasks/s  %6d running  %5d agents" % (self.at, (self.ended - before.ended) / seconds, self.running, self.agents)
        for name, (memory, fds, cpu) in self.processes.items():
            text += "  %s %.0f MiB %d fds %.0f %%" % (name, memory / MIB, fds, 100 * (cpu - before.processes[name][2]) / seconds)
        return text


def grown(early, late):
    """What a process has more of than it should."""
    found = []
    for name, (memory, fds, _) in late.processes.items():
        memory0, fds0, _ = early.processes[name]
        if memory > 1.05 * memory0 + 16 * MIB:
            found.append("%s grew from %.0f to %.0f MiB" % (name, memory0 / MIB, memory / MIB))
        if fds > fds0 + 0.02 * fds0 + 64:
            found.append("%s grew from %d to %d descriptors" % (name, fds0, fds))
    return found


def main():
    failed = []
    with World() as w:
        w.start_master(FILE)
        w.start_emulator(FILE, report="60secs")
        w.wait(lambda: w.metrics()["master/slaves_active"] > 0, 60, "agents are there")
        time.sleep(5)
        probe = Probe(w.address, 0.02)
        p, path = w.load(FILE, "load", then="kill", seconds="%dsecs" % SECONDS, limit="%dsecs" % (SECONDS + 300), quiet=True)
        began = time.monotonic()
        time.sleep(EVERY_S)
        samples = [Sample(w, p, began)]
        while time.monotonic() - began < SECONDS - EVERY_S:
            time.sleep(EVERY_S)
            if not p.alive():
                failed.append("the schedulers ended early: " + p.log()[-1000:])
                break
            samples.append(Sample(w, p, began))
            say(samples[-1].line(samples[-2]))
        early, late = samples[len(samples) // 4], samples[-1]
        failed += grown(early, late)
        r = w.report(p, path, 600)
        health = probe.end()
        time.sleep(5)
        m = w.metrics()
        for name in ("tasks_running", "tasks_staging", "tasks_starting", "tasks_killing", "tasks_unreachable", "cpus_used", "mem_used",
                     "outstanding_offers"):
            if m["master/" + name] != 0:
                failed.append("master/%s is %g after all was killed" % (name, m["master/" + name]))
        c = r["counts"]
        say("tasks: %s" % ", ".join("%d %s" % (c[k], k) for k in ("accepted", "running", "finished", "failed", "killed", "lost", "retried",
                                                                  "replaced", "unreachable", "errors")))
        say("the emulator's last words: " + w.emulator.log().strip().split("\n")[-1])
        say("/health: %d answers, p50 %.2f ms, p99 %.2f ms, at most %.1f ms; %d refused" %
            (health["n"], health["p50"], health["p99"], health["max"], health["down"]))
        ends = c["finished"] + c["failed"] + c["killed"] + c["lost"]
        if c["accepted"] != ends:
            failed.append("%d tasks were accepted, %d ended" % (c["accepted"], ends))
        if health["down"]:
            failed.append("/health was not answered %d times" % health["down"])
        say("%.0f tasks a second over %.0f s" % ((late.ended - samples[0].ended) / (late.at - samples[0].at), late.at))
    for f in failed:
        print("FAILED: " + f)
    print("soak: %d passed, %d failed, 0 skipped" % (not failed, len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
