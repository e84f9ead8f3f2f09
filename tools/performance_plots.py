#!/usr/bin/env python3
"""Draws docs/performance/*.svg from the data beside them: allocator_grid.csv, which `build/tests/bench/bench_mirror --grid` printed (how long one
allocation pass takes that offers every agent), and scale_tasks.csv and scale_agents.csv of tests/bench/scale/growth.py.

    tools/performance_plots.py [FOLDER]
"""
import csv
import os
import sys

import matplotlib

matplotlib.use("svg")
# The same data give the same bytes: no date, and ids that do not change.
matplotlib.rcParams["svg.hashsalt"] = "fairlead"
import matplotlib.pyplot as plt  # noqa: E402


def read(path):
    with open(path) as f:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(f)]


def draw(rows, x, lines, path):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for n in sorted({row[lines] for row in rows}):
        part = sorted((row for row in rows if row[lines] == n), key=lambda row: row[x])
        xs = [row[x] for row in part]
        left.plot(xs, [row["round_us"] / 1e3 for row in part], marker=".", linewidth=1.2, label="%g %s" % (n, lines))
        right.plot(xs, [row["round_us"] / row["agents"] for row in part], marker=".", linewidth=1.2)
    left.set_ylabel("one pass, ms")
    right.set_ylabel("an offer, us")
    right.set_ylim(bottom=0)
    left.set_yscale("log")
    left.legend(fontsize=7, frameon=False)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel(x)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_growth(rows, x, panels, path):
    """`panels`: (label of the axis, {column: name}, logarithmic) each."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.4))
    xs = [row[x] for row in rows]
    for a, (label, columns, log) in zip(axes, panels):
        for column, name in columns.items():
            a.plot(xs, [row[column] for row in rows], marker=".", linewidth=1.2, label=name)
        a.set_xscale("log")
        if log:
            a.set_yscale("log")
        else:
            a.set_ylim(bottom=0)
        a.set_xlabel(x)
        a.set_ylabel(label)
        a.grid(alpha=0.3)
        a.spines[["top", "right"]].set_visible(False)
        if len(columns) > 1:
            a.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "performance")
    rows = read(os.path.join(folder, "allocator_grid.csv"))
    draw(rows, "agents", "frameworks", os.path.join(folder, "allocator_agents.svg"))
    draw(rows, "frameworks", "agents", os.path.join(folder, "allocator_frameworks.svg"))
    draw_growth(read(os.path.join(folder, "scale_tasks.csv")), "tasks",
                [("s", {"seconds": "all running", "kill_seconds": "all killed"}, True),
                 ("CPU us a task", {"master_us": "master", "emulator_us": "emulator", "load_us": "generator"}, False),
                 ("master, bytes a task", {"task_bytes": ""}, False)], os.path.join(folder, "scale_tasks.svg"))
    draw_growth(read(os.path.join(folder, "scale_agents.csv")), "agents",
                [("s", {"admit_s": "admitted", "failover_s": "back after kill -9", "state_s": "/state read"}, True),
                 ("master, CPU us an agent", {"admit_us": "admitted", "failover_us": "back, with 10 tasks"}, False),
                 ("master, bytes an agent", {"agent_bytes": ""}, False)], os.path.join(folder, "scale_agents.svg"))


if __name__ == "__main__":
    main()
