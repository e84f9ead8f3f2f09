#!/usr/bin/env bash
# run_pytest.sh DIR|FILE [pytest argument ...]: runs the Python tests of a folder (its files side by side: pytest_files.py), or of one file, with
# the system's Python and ends with the line "NAME: N passed, N failed, N skipped". Errors count as failed; so does a run that ends without
# a summary. Up to ten tests that failed are run once more, alone, and said so ("AGAIN ..."): the second run counts.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$1
shift
name=$(basename "$dir")
if [ ! -e "$dir" ]; then
    echo "run_pytest.sh: there is no '$dir'" >&2
    exit 2
fi
if [ -d "$dir" ] && ! compgen -G "$dir/test_*.py" >/dev/null && ! compgen -G "$dir/**/test_*.py" >/dev/null; then
    echo "$name: 0 passed, 0 failed, 0 skipped"
    exit 0
fi
pytest=(/usr/bin/python3 -m pytest -q -rsfE --color=no -p no:cacheprovider)
all=("${pytest[@]}")
[ ! -d "$dir" ] || all=(/usr/bin/python3 tools/pytest_files.py)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
PYTHONDONTWRITEBYTECODE=1 timeout --kill-after=30 "${PYTEST_TIMEOUT:-1800}" \
    "${all[@]}" "$dir" "$@" >"$log" 2>&1
rc=$?
summary=$(grep -E '^(=+ )?([0-9]+ [a-z]+(, )?)+ in [0-9.]+' "$log" | tail -n 1)
count() {
    printf '%s\n' "$summary" | grep -oE "[0-9]+ $1" | grep -oE '^[0-9]+' | awk '{n += $1} END {print n + 0}'
}
passed=$(count passed)
failed=$(($(count failed) + $(count 'errors?')))
skipped=$(count skipped)
if [ "$rc" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
    echo "$dir: pytest ended with status $rc"
fi
# Once more, and said so: what fails only sometimes is a fault to be found, but not in the change at hand.
broken=$(grep -cE '^ERROR [^ :]+\.py( |$)' "$log") # files that could not be read: not tried again
mapfile -t again < <(sed -nE 's/^(FAILED|ERROR) ([^ ]+::[^ ]+).*/\2/p' "$log" | sort -u)
if [ "$failed" -ne 0 ] && [ "${#again[@]}" -gt 0 ] && [ "${#again[@]}" -le 10 ]; then
    printf 'AGAIN %s: failed once\n' "${again[@]}"
    tail -n 300 "$log"
    if PYTHONDONTWRITEBYTECODE=1 timeout --kill-after=30 "${PYTEST_TIMEOUT:-1800}" \
        "${pytest[@]}" "${again[@]}" "$@" >"$log.again" 2>&1; then
        passed=$((passed + ${#again[@]}))
        failed=$broken
    else
        cat "$log.again" >>"$log"
    fi
    rm -f "$log.again"
fi
if [ "$failed" -ne 0 ]; then
    tail -n 200 "$log"
else
    grep -E '^SKIPPED' "$log"
fi
echo "$name: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
