"""How each cost grows with agents and tasks: docs/performance/scale_*.csv, which tools/performance_plots.py draws.

    python3 tests/bench/scale/growth.py tasks [FILE]     10,000 to 1,000,000 tasks on 5,000 agents
    python3 tests/bench/scale/growth.py agents [FILE]    1,000 to 50,000 agents: admitted, ten tasks on each, the master killed, its state read
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import state  # noqa: E402
from world import EXAMPLES, ROOT, World, scaled  # noqa: E402

FOLDER = os.path.join(ROOT, "docs", "performance")
JOBS = [int(n) for n in os.environ.get("GROWTH_JOBS", "10,30,100,300,1000").split(",")]
AGENTS = [int(n) for n in os.environ.get("GROWTH_AGENTS", "1000,2000,5000,10000,20000,50000").split(",")]
MIB = 1 << 20


def tasks(jobs):
    """One row: jobs of 1,000 tasks, run and killed."""
    cluster, n = os.path.join(EXAMPLES, "load-million.yaml"), jobs * 1000
    with World() as w:
        w.start_master(cluster)
        w.start_emulator(cluster)
        w.wait_agents(5000)
        time.sleep(1)
        idle = w.master.memory()
        p, path = w.load(cluster, "tasks", jobs=jobs, then="kill", limit="400secs")
        r = w.report(p, path, 420)
        work, h = r["processes"]["work"], r["latency"]["accept_to_running"]
        return {"tasks": n, "seconds": r["seconds"]["settled"], "kill_seconds": r["seconds"]["killed"],
                "master_us": work["master"]["cpu_us"] / n, "emulator_us": work["emulator"]["cpu_us"] / n,
                "load_us": work["loadgen"]["cpu_us"] / n, "p50_ms": h["p50_us"] / 1e3, "p99_ms": h["p99_us"] / 1e3,
                "master_mib": work["master"]["rss_after"] / MIB, "task_bytes": (work["master"]["rss_after"] - idle) / n}


def agents(n):
    """One row: so many agents with ten tasks each."""
    with World() as w:
        cluster = scaled(os.path.join(EXAMPLES, "load-scale.yaml"), n, w.folder)
        w.start_master(cluster)
        base = w.master.memory()
        began = time.monotonic()
        w.start_emulator(cluster)
        w.wait_agents(n, every=0.01)
        admitted, cpu = time.monotonic() - began, w.master.cpu_s()
        time.sleep(2)
        held = w.master.memory() - base
        w.load(cluster, "fill", jobs=n // 100, tasks=1000, then="hold")
        w.wait(lambda: w.metrics()["master/tasks_running"] >= n * 10, 240, "the tasks run", every=0.1)
        w.master.kill9()
        began = time.monotonic()
        w.start_master()
        w.wait(lambda: w.metrics()["master/slaves_active"] >= n and w.metrics()["master/tasks_running"] >= n * 10, 120, "all are back",
               every=0.02)
        back = time.monotonic() - began
        back_cpu = w.master.cpu_s()
        seconds, size = state.read_all(w.address, state.forms(w.address)["state"])
        return {"agents": n, "admit_s": admitted, "admit_us": 1e6 * cpu / n, "agent_bytes": held / n, "failover_s": back,
                "failover_us": 1e6 * back_cpu / n, "state_s": seconds, "state_mb": size / 1e6}


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    row, sizes = {"tasks": (tasks, JOBS), "agents": (agents, AGENTS)}[what]
    path = sys.argv[2] if len(sys.argv) > 2 else os.path.join(FOLDER, "scale_%s.csv" % what)
    lines = []
    for n in sizes:
        r = row(n)
        if not lines:
            lines.append(",".join(r))
        lines.append(",".join("%.6g" % v for v in r.values()))
        print(lines[-1], flush=True)
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
