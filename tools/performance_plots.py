#!/usr/bin/env python3
"""Draws docs/performance/allocator_*.svg from docs/performance/allocator_grid.csv, which `build/tests/bench/bench_mirror --grid` printed:
how long one allocation pass takes that offers every agent, over the number of agents and over the number of frameworks.

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


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "performance")
    rows = read(os.path.join(folder, "allocator_grid.csv"))
    draw(rows, "agents", "frameworks", os.path.join(folder, "allocator_agents.svg"))
    draw(rows, "frameworks", "agents", os.path.join(folder, "allocator_frameworks.svg"))


if __name__ == "__main__":
    main()
