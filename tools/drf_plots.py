#!/usr/bin/env python3
"""Draws docs/drf/NAME.svg from each docs/drf/NAME.csv that tools/drf_experiments.py recorded: tasks above, dominant shares below.

    tools/drf_plots.py [FOLDER]
"""
import csv
import glob
import os
import sys

import matplotlib

matplotlib.use("svg")
# The same data give the same bytes: no date, and ids that do not change.
matplotlib.rcParams["svg.hashsalt"] = "fairlead"
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"A": "#1f77b4", "B": "#d95f02", "C": "#2ca02c"}


def read(path):
    lines = {}
    with open(path) as f:
        for row in csv.DictReader(f):
            times, tasks, shares = lines.setdefault(row["framework"], ([], [], []))
            times.append(float(row["seconds"]))
            tasks.append(int(row["tasks"]))
            shares.append(100 * float(row["dominant_share"]))
    return lines


def draw(path):
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7.5, 4.4), height_ratios=[1, 1])
    for name, (times, tasks, shares) in sorted(read(path).items()):
        above.step(times, tasks, where="post", color=COLOURS.get(name), label="framework " + name, linewidth=1.4)
        below.step(times, shares, where="post", color=COLOURS.get(name), linewidth=1.4)
    above.set_ylabel("tasks")
    above.set_ylim(bottom=0)
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False, ncol=3)
    below.set_ylabel("dominant share, %")
    below.set_ylim(0, 105)
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(os.path.splitext(path)[0] + ".svg", metadata={"Date": None})
    plt.close(figure)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "drf")
    for path in sorted(glob.glob(os.path.join(folder, "*.csv"))):
        draw(path)


if __name__ == "__main__":
    main()
