"""make bench-million: 1,000 jobs of 1,000 tasks on 5,000 emulated agents, all of them running and acknowledged; then all killed.

The file is emulator/examples/load-million.yaml. MILLION_JOBS, MILLION_TASKS (of a job), MILLION_FRAMEWORKS and MILLION_AGENTS make it smaller
or otherwise; MILLION_RUNS (3) is how often. The HTML report of the last run is build/million.html.
"""
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale"))

from world import EXAMPLES, ROOT, Probe, World, figure, say, scaled  # noqa: E402

JOBS = int(os.environ.get("MILLION_JOBS", "1000"))
TASKS = int(os.environ.get("MILLION_TASKS", "1000"))
FRAMEWORKS = int(os.environ.get("MILLION_FRAMEWORKS", "20"))
AGENTS = int(os.environ.get("MILLION_AGENTS", "5000"))
FILE = os.path.join(EXAMPLES, "load-million.yaml")
MIB = 1 << 20


def latency(report, key, prefix):
    h = report["latency"].get(key)
    if not h or not h["n"]:
        return
    for q in ("p50", "p99", "max"):
        figure("million.%s_%s_ms" % (prefix, q), h[q + "_us"] / 1e3, "ms")


def run():
    total = JOBS * TASKS
    with World() as w:
        w.start_master(FILE)
        w.start_emulator(scaled(FILE, AGENTS, w.folder), report="5secs")
        w.wait_agents(AGENTS)
        time.sleep(1)
        probe = Probe(w.address)
        idle, cpu = w.master.memory(), w.master.cpu_s()
        html = os.path.join(w.folder, "million.html")
        p, path = w.load(FILE, "million", jobs=JOBS, tasks=TASKS, frameworks=FRAMEWORKS, then="kill", limit="400secs", html=html)
        r = w.report(p, path, 420)
        health = probe.end()
        cpu = w.master.cpu_s() - cpu
        s, work, kill = r["seconds"], r["processes"]["work"], r["processes"]["kill"]
        figure("million.seconds", s["settled"], "s")
        figure("million.accepted_s", s["accepted"], "s")
        figure("million.tasks_s", total / s["settled"], "1/s")
        for name in ("master", "emulator", "loadgen"):
            figure("million.%s_cpu_us" % name, work[name]["cpu_us"] / total, "us")
            figure("million.%s_peak_mib" % name, work[name]["rss_peak"] / MIB, "MiB")
        figure("million.task_bytes", (work["master"]["rss_after"] - idle) / total, "bytes")
        latency(r, "accept_to_running", "accept_running")
        latency(r, "kill_to_terminal", "kill_terminal")
        figure("million.kill_seconds", s["killed"], "s")
        figure("million.kill_master_cpu_us", kill["master"]["cpu_us"] / total, "us")
        time.sleep(3)
        figure("million.master_after_mib", w.master.memory() / MIB, "MiB")
        figure("million.emulator_after_mib", w.emulator.memory() / MIB, "MiB")
        figure("million.health_p99_ms", health["p99"], "ms")
        say("the master used %.1f s of CPU in all; /health: p50 %.2f ms, at most %.1f ms" % (cpu, health["p50"], health["max"]))
        if os.path.exists(html):
            os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
            shutil.copy(html, os.path.join(ROOT, "build", "million.html"))


if __name__ == "__main__":
    for _ in range(int(os.environ.get("MILLION_RUNS", "3"))):
        run()
