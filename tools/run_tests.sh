#!/usr/bin/env bash
# run_tests.sh NAME program...: runs libcheck programs, TEST_JOBS of them at a time (default: the machine's cores), shows the output of
# those that fail, and ends with the line "NAME: N passed, N failed, N skipped". A program that fails is run once more when all are
# through, alone, and said so ("AGAIN ..."): the second run counts. Exit status 1 when anything failed.
set -u

# One program's turn: FOLDER NUMBER PROGRAM. Leaves <number>.log, and in <number>.result the checks, those that failed (-1: no report)
# and the status.
if [ "${1:-}" = --one ]; then
    log=$2/$3.log
    CK_VERBOSITY=normal timeout --kill-after=10 "${TEST_TIMEOUT:-300}" "$4" >"$log" 2>&1 </dev/null
    rc=$?
    n=0
    bad=-1
    line=$(grep -E '^[0-9]+%: Checks: [0-9]+' "$log" | tail -n 1)
    if [ -n "$line" ]; then
        read -r n f e < <(printf '%s\n' "$line" | sed -E 's/.*Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+).*/\1 \2 \3/')
        bad=$((f + e))
        if [ "$bad" -eq 0 ] && [ "$rc" -ne 0 ]; then bad=1; fi
    fi
    echo "$n $bad $rc" >"$2/$3.result"
    exit 0
fi

name=$1
shift
# Files and no pipes: what a broken test leaves running must not keep the run waiting for the end of its output.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
i=0
for t in "$@"; do
    printf '%s\0%s\0' "$i" "$t"
    i=$((i + 1))
done | xargs -0 -r -n 2 -P "${TEST_JOBS:-$(nproc)}" "$0" --one "$folder"

pass=0
fail=0
i=0
for t in "$@"; do
    read -r n bad rc <"$folder/$i.result"
    if [ "$bad" -ne 0 ]; then
        # Shown, not hidden: a test that fails only sometimes is a fault to be found, but not in the change at hand.
        printf 'AGAIN %s: failed once:\n%s\n' "$t" "$(tail -n 40 "$folder/$i.log")"
        "$0" --one "$folder" "$i" "$t"
        read -r n bad rc <"$folder/$i.result"
    fi
    if [ "$bad" -lt 0 ]; then
        fail=$((fail + 1))
        printf '%s: ended with status %d and no report:\n%s\n' "$t" "$rc" "$(tail -n 30 "$folder/$i.log")"
    else
        pass=$((pass + n - bad))
        fail=$((fail + bad))
        if [ "$bad" -ne 0 ]; then printf '%s:\n%s\n' "$t" "$(tail -n 40 "$folder/$i.log")"; fi
    fi
    i=$((i + 1))
done
echo "$name: $pass passed, $fail failed, 0 skipped"
[ "$fail" -eq 0 ]
