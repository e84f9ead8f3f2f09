#!/usr/bin/env python3
"""Runs the experiments of docs/drf.md on a real cluster of this machine and records what happened.

    tools/drf_experiments.py [--out docs/drf] [--speed 10] [NAME ...]

Each experiment is a master, an agent and a few `throttle` frameworks (libframework/examples) that come and go at given times.
Many times a second the frameworks' tasks and shares are read from /frameworks of the master; what changed is one line of
OUT/NAME.csv. tools/drf_plots.py draws the pictures from those files. --speed divides the article's times (tasks of 20 to 40
seconds): at 10 an experiment takes seconds instead of minutes.
"""
import argparse
import csv
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))

from harness.cluster import Cluster  # noqa: E402
from harness.http import eventually, get_json  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))

SETTLE_SECONDS = 4

# name: cluster, frameworks (name, cpus, mem, from, to in seconds of the article), how long, and how tasks are taken.
# `settle`: one task an offer and tasks that do not end, as in the worked examples, which stop where nothing fits any more; those are
# not speeded up.
EXPERIMENTS = {
    "paper": {"cpus": 9, "mem": 18000, "settle": True, "length": SETTLE_SECONDS,
              "frameworks": [("A", 1, 4000, 0, None), ("B", 3, 1000, 0, None)]},
    "article": {"cpus": 10, "mem": 20000, "settle": True, "length": SETTLE_SECONDS,
                "frameworks": [("A", 3, 2000, 0, None), ("B", 1, 5000, 0, None)]},
    "equal": {"cpus": 6, "mem": 6600, "length": 480,
              "frameworks": [("A", 0.5, 512, 0, None), ("B", 0.5, 512, 100, 380), ("C", 0.5, 512, 200, 300)]},
    "different": {"cpus": 6, "mem": 6600, "length": 300,
                  "frameworks": [("A", 2, 1000, 0, None), ("B", 1, 2000, 0, None)]},
    "large": {"cpus": 6, "mem": 6600, "length": 300,
              "frameworks": [("A", 2, 1000, 0, None), ("B", 1, 2500, 0, None)]},
}


class Framework:
    def __init__(self, master, speed, settle, row):
        self.name, self.cpus, self.mem, self.start, self.end = row
        seconds = "3600" if settle else "%g..%g" % (20 / speed, 40 / speed)
        self.command = [os.path.join(BUILD, "examples", "throttle"), "--master", master, "--name", self.name, "--quiet",
                        "--cpus", str(self.cpus), "--mem", str(self.mem), "--seconds", seconds, "--refuse", str(5 / speed)]
        if settle:
            self.command += ["--per-offer", "1"]
        self.process = None

    def follow(self, now):
        """Comes and goes when its times say so."""
        if self.process is None and now >= self.start:
            self.process = subprocess.Popen(self.command)
        if self.end is not None and now >= self.end:
            self.stop()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)


def sample(master, cluster):
    """One row for each framework that is there: tasks that hold resources, and the shares of all resources."""
    rows = []
    for f in get_json(master, "/frameworks")["frameworks"]:
        used = f["used_resources"]
        shares = {"cpus": used["cpus"] / cluster["cpus"], "mem": used["mem"] / cluster["mem"]}
        rows.append((f["name"], len(f["tasks"]), shares["cpus"], shares["mem"], max(shares.values())))
    return sorted(rows)


def record(table, frameworks, master, spec, speed):
    """Until the experiment is over. A row says what held from then on; the last rows say when that was."""
    last = {}
    started = time.monotonic()
    while True:
        now = (time.monotonic() - started) * speed
        over = now >= spec["length"]
        for framework in frameworks:
            framework.follow(now)
        rows = {row[0]: row for row in sample(master, spec)}
        for name in sorted(set(rows) | set(last)):
            row = rows.get(name, (name, 0, 0, 0, 0))
            if over or last.get(name) != row:
                table.writerow(["%.2f" % now, row[0], row[1]] + ["%.4f" % share for share in row[2:]])
        last = rows
        if over:
            return
        time.sleep(0.02)


def run(name, spec, speed, out):
    speed = 1 if spec.get("settle") else speed
    resources = "cpus:%g;mem:%g;disk:10000" % (spec["cpus"], spec["mem"])
    cluster = Cluster(0, {"allocation_interval": "%dms" % (1000 / speed)})
    frameworks = [Framework(cluster.master.address, speed, spec.get("settle"), row) for row in spec["frameworks"]]
    path = os.path.join(out, name + ".csv")
    try:
        # Those that are there from the beginning wait for the first resources together: who was quicker must not matter.
        for framework in frameworks:
            framework.follow(0)
        first = sum(framework.start == 0 for framework in frameworks)
        eventually(lambda: len(get_json(cluster.master.address, "/frameworks")["frameworks"]) == first)
        cluster.add_agent({"resources": resources})
        cluster.wait_agents(1)
        with open(path, "w", newline="") as f:
            table = csv.writer(f, lineterminator="\n")
            table.writerow(["seconds", "framework", "tasks", "cpus_share", "mem_share", "dominant_share"])
            record(table, frameworks, cluster.master.address, spec, speed)
    finally:
        for framework in frameworks:
            framework.stop()
        cluster.stop()
    return path


def read(path):
    """{framework: [(seconds, tasks, dominant share), ...]}"""
    lines = {}
    with open(path) as f:
        for row in csv.DictReader(f):
            lines.setdefault(row["framework"], []).append((float(row["seconds"]), int(row["tasks"]), float(row["dominant_share"])))
    return lines


def mean(line, begin, end):
    """Tasks and dominant share, averaged over the time from `begin` to `end`."""
    tasks = share = 0.0
    for now, following in zip(line, line[1:]):
        seconds = max(0.0, min(end, following[0]) - max(begin, now[0]))
        tasks += seconds * now[1]
        share += seconds * now[2]
    return tasks / (end - begin), share / (end - begin)


def time_at(line, tasks, begin, end):
    """The part of that time in which so many tasks held resources."""
    held = sum(max(0.0, min(end, following[0]) - max(begin, now[0])) for now, following in zip(line, line[1:]) if now[1] == tasks)
    return held / (end - begin)


def summary(path, spec):
    """What each framework had on average in the second half of the time."""
    words = []
    for name, line in sorted(read(path).items()):
        tasks, share = mean(line, spec["length"] / 2, spec["length"])
        words.append("%s %.2f tasks, %.1f %%" % (name, tasks, 100 * share))
    return "; ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "drf"))
    parser.add_argument("--speed", type=float, default=10)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    args = parser.parse_args()
    unknown = [n for n in args.names if n not in EXPERIMENTS]
    if unknown:
        parser.error("no experiment %s; there are %s" % (", ".join(unknown), ", ".join(EXPERIMENTS)))
    os.makedirs(args.out, exist_ok=True)
    for name in args.names or EXPERIMENTS:
        path = run(name, EXPERIMENTS[name], args.speed, args.out)
        print("%-10s %s" % (name, summary(path, EXPERIMENTS[name])), flush=True)


if __name__ == "__main__":
    main()
