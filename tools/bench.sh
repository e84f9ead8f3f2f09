#!/usr/bin/env bash
# bench.sh [name ...]: runs the benchmarks (build/tests/bench/bench_*, tests/bench/*.py) and merges build/bench.json.
cd "$(dirname "$0")/.." || exit 1
exec /usr/bin/python3 tools/bench.py "$@"
