#!/usr/bin/env bash
# webui_test.sh: the unit tests of the page's sources, which need nothing but node. Ends with "webui: N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 1
out=$(timeout 120 node --test --test-reporter=tap webui/test/*.test.mjs 2>&1)
rc=$?
[ "$rc" -eq 0 ] || printf '%s\n' "$out"
printf '%s\n' "$out" | awk -v rc="$rc" '
    /^# pass /    { pass = $3 }
    /^# fail /    { fail = $3 }
    /^# skipped / { skip = $3 }
    END { if (rc && !fail) fail = 1; printf "webui: %d passed, %d failed, %d skipped\n", pass, fail, skip }'
exit "$rc"
