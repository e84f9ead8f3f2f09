#!/usr/bin/python3
"""Runs benchmarks and keeps what they measured.

A benchmark prints lines "key value unit" (place.p50_us 310 us). One that prints each key once is run BENCH_RUNS times (5); one
that prints a key several times has done its own runs. Everything else it prints is passed on. The medians are merged into
build/bench.json: key -> {"value": median, "unit": ..., "runs": [...], "command": ...}. Names as arguments choose among them.
"""

import glob
import json
import os
import re
import statistics
import subprocess
import sys

# Minutes each and gigabytes of memory: only when they are named, and once unless BENCH_RUNS says more.
LONG = ("million", "scale", "serving")
LINE = re.compile(r"^([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)\s+(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s+(\S+)$")


def parse(text):
    """[(key, value, unit)] of the lines that have the form, and the lines that do not."""
    found, rest = [], []
    for line in text.splitlines():
        match = LINE.match(line.strip())
        if match:
            found.append((match.group(1), float(match.group(2)), match.group(3)))
        else:
            rest.append(line)
    return found, rest


def run(command, runs, timeout):
    """{key: (unit, [values])} of one benchmark; None when it failed."""
    values = {}
    for _ in range(runs):
        try:
            out = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            print(f"{' '.join(command)}: not done after {timeout} s", file=sys.stderr)
            return None
        found, rest = parse(out.stdout)
        for line in rest:
            print(f"  {line}")
        if out.returncode != 0 or not found:
            print(f"{' '.join(command)}: status {out.returncode}, {len(found)} figures", file=sys.stderr)
            return None
        for key, value, unit in found:
            values.setdefault(key, (unit, []))[1].append(value)
        if len(found) > len(values):
            break
    return values


def name_of(path):
    return re.sub(r"^bench_|\.py$", "", os.path.basename(path))


def merge(path, results):
    data = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
    data.update(results)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1, sort_keys=True)
        f.write("\n")
    os.replace(path + ".new", path)


def main():
    build = os.environ.get("BUILD", "build")
    timeout = int(os.environ.get("BENCH_TIMEOUT", "1800"))
    programs = sorted(p for p in glob.glob(f"{build}/tests/bench/bench_*") if os.access(p, os.X_OK) and "." not in p)
    commands = [[p] for p in programs] + [["/usr/bin/python3", p] for p in sorted(glob.glob("tests/bench/*.py"))]
    wanted = [name_of(n) for n in sys.argv[1:]]
    commands = [c for c in commands if (name_of(c[-1]) in wanted if wanted else name_of(c[-1]) not in LONG)]
    failed = 0
    for command in commands:
        print(f"{os.path.basename(command[-1])}:", flush=True)
        runs = os.environ.get("BENCH_RUNS", "1" if name_of(command[-1]) in LONG else "5")
        values = run(command, int(runs), timeout)
        if values is None:
            failed += 1
            continue
        results = {}
        for key, (unit, numbers) in values.items():
            median = statistics.median(numbers)
            results[key] = {"value": median, "unit": unit, "runs": numbers, "command": " ".join(command)}
            print(f"  {key:32} {median:14.6g} {unit:8} of {len(numbers)} ({min(numbers):.6g} .. {max(numbers):.6g})")
        merge(os.path.join("build", "bench.json"), results)
    print(f"bench: {len(commands) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
