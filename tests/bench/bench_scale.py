"""make bench-scale: a master at the size of the largest clusters that are known.

1. 50,000 agents are admitted, durably; then the cluster is idle for two minutes.
2. One task is placed a thousand times among 1,000 frameworks: from the resource's return to TASK_RUNNING.
3. 40,000 agents with 400,000 tasks; the master is killed with -9 and started again: until all are back, until the first offer.
4. /state and GET_STATE at that size.
/health is asked all the while. SCALE_AGENTS, SCALE_BACK, SCALE_TASKS, SCALE_IDLE (seconds) make it smaller.
"""
import multiprocessing
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale"))

import state  # noqa: E402
from world import EXAMPLES, Probe, World, figure, fail, say, scaled  # noqa: E402

from harness.scheduler import Scheduler  # noqa: E402

AGENTS = int(os.environ.get("SCALE_AGENTS", "50000"))
BACK = int(os.environ.get("SCALE_BACK", "40000"))
TASKS = int(os.environ.get("SCALE_TASKS", "400000"))
IDLE_S = float(os.environ.get("SCALE_IDLE", "120"))
QUICK = {"quick": "agent_flags: {registration_backoff_factor: 100ms}"}
HUGE = os.path.join(EXAMPLES, "huge.yaml")
PLACE = os.path.join(EXAMPLES, "load-place.yaml")
SCALE = os.path.join(EXAMPLES, "load-scale.yaml")


def told(key, health):
    figure("health.%s_p99_ms" % key, health["p99"], "ms")
    say("/health while %s: %d answers, p50 %.2f ms, p99 %.2f ms, at most %.1f ms" %
        (key, health["n"], health["p50"], health["p99"], health["max"]))


def admit(w, agents):
    """The emulator's agents register; the figures are of the time from the first registration to the last."""
    base, cpu = w.master.memory(), w.master.cpu_s()
    probe = Probe(w.address)
    began = time.monotonic()
    w.start_emulator(scaled(HUGE, agents, w.folder, **QUICK), report="1secs")
    w.wait(lambda: w.metrics()["master/slaves_active"] > 0, 60, "the first agent is there", every=0.005)
    first = time.monotonic()
    w.wait_agents(agents, 120, every=0.01)
    end = time.monotonic()
    told("admit", probe.end())
    figure("admit.seconds", end - first, "s")
    figure("admit.with_emulator_s", end - began, "s")
    figure("admit.agent_cpu_us", 1e6 * (w.master.cpu_s() - cpu) / agents, "us")
    time.sleep(3)
    figure("agent.bytes", (w.master.memory() - base) / agents, "bytes")
    figure("agent.emulator_bytes", w.emulator.memory() / agents, "bytes")


def idle(w):
    probe = Probe(w.address, 0.02)
    cpu, emulator, began = w.master.cpu_s(), w.emulator.cpu_s(), time.monotonic()
    time.sleep(IDLE_S)
    seconds = time.monotonic() - began
    told("idle", probe.end())
    figure("idle.core_percent", 100 * (w.master.cpu_s() - cpu) / seconds, "%")
    figure("idle.emulator_percent", 100 * (w.emulator.cpu_s() - emulator) / seconds, "%")


def place(w):
    p, path = w.load(PLACE, "place")
    r = w.report(p, path, 120)
    for key in sorted(k for k in r if k.startswith("place.")):
        figure(key, r[key], "us")


def first_offer(address, since, queue):
    """Subscribes as soon as it can; how long after `since` the first offer came."""
    while True:
        try:
            with Scheduler(address, name="first") as s:
                s.offer(wait=60)
                queue.put(time.monotonic() - since)
                return
        except Exception:  # noqa: BLE001 (whatever a master that is starting does to a client)
            time.sleep(0.01)


def fill(w):
    base = w.master.memory()
    p, path = w.load(SCALE, "fill", jobs=TASKS // 1000, tasks=1000, then="hold")
    w.wait(lambda: w.metrics()["master/tasks_running"] >= TASKS, 180, "%d tasks run" % TASKS, every=0.2)
    figure("task.bytes", (w.master.memory() - base) / TASKS, "bytes")
    return p, path


def failover(w):
    w.master.kill9()
    probe = Probe(w.address)
    began = time.monotonic()
    queue = multiprocessing.Queue()
    offer = multiprocessing.Process(target=first_offer, args=(w.address, began, queue), daemon=True)
    w.start_master()
    offer.start()
    w.wait(lambda: w.metrics()["master/slaves_active"] >= BACK and w.metrics()["master/tasks_running"] >= TASKS, 120,
           "all agents and tasks are back", every=0.02)
    figure("failover.seconds", time.monotonic() - began, "s")
    figure("failover.master_cpu_s", w.master.cpu_s(), "s")
    try:
        figure("failover.first_offer_s", queue.get(timeout=60), "s")
    except multiprocessing.queues.Empty:
        fail("no offer within 60 s of the restart")
    offer.join()
    told("failover", probe.end())


def main():
    with World() as w:
        w.start_master(HUGE)
        admit(w, AGENTS)
        idle(w)
    with World() as w:
        w.start_master(PLACE)
        w.start_emulator(scaled(PLACE, AGENTS, w.folder, **QUICK))
        w.wait_agents(AGENTS)
        time.sleep(3)
        place(w)
    with World() as w:
        w.start_master(SCALE)
        w.start_emulator(scaled(SCALE, BACK, w.folder), report="1secs")
        w.wait_agents(BACK)
        fill(w)
        failover(w)
        probe = Probe(w.address)
        state.measure(w, "at_scale")
        told("state", probe.end())


if __name__ == "__main__":
    main()
