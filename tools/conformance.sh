#!/usr/bin/env bash
# conformance.sh [area ...]: runs the black-box protocol checks that stand beside this repository (../shared/conformance, or
# CONFORMANCE=dir) on the built daemons. Areas: scheduler, tasks, executor, ... (run.py --list).
set -u
cd "$(dirname "$0")/.." || exit 1
suite=${CONFORMANCE:-}
if [ -z "$suite" ]; then
    # A work tree of git lies elsewhere than the repository that the suite stands beside.
    top=$(cd "$(git rev-parse --git-common-dir 2>/dev/null || echo .)/.." && pwd)
    for dir in ../shared/conformance "$top/../shared/conformance"; do
        if [ -f "$dir/run.py" ]; then suite=$dir; break; fi
    done
fi
if [ ! -f "$suite/run.py" ]; then
    echo "there is no conformance suite at '../shared/conformance'; name its folder with CONFORMANCE=dir"
    echo "conformance: 0 passed, 0 failed, 1 skipped"
    exit 0
fi
arguments=()
for area in "$@"; do arguments+=(--only "$area"); done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$suite/run.py" --profile "$suite/profiles/fairlead.json" --json build/conformance.json \
    "${arguments[@]}" 2>&1 | tee "$log"
rc=${PIPESTATUS[0]}
read -r passed failed < <(sed -nE 's/.*([^0-9]|^)([0-9]+) passed, ([0-9]+) failed.*/\2 \3/p' "$log" | tail -n 1)
if [ "$rc" -ne 0 ] && [ "${failed:-0}" -eq 0 ]; then failed=1; fi
echo "conformance: ${passed:-0} passed, ${failed:-0} failed, 0 skipped"
[ "$failed" -eq 0 ]
