#!/usr/bin/env bash
# check.sh: what `make check` runs: packages, build, then every part of the tests. Each part ends with its own line
# "NAME: N passed, N failed, N skipped"; the last line of all is their sum, alone. Exit status 0 when nothing failed.
# CHECK_PARTS="unit system" runs only these.
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
jobs=$(nproc)
parts=${CHECK_PARTS:-unit webui tools proto system interop}

run() { # NAME command...: a part without a closing line of its own counts as one failure
    local name=$1 start=$SECONDS
    shift
    echo "---- $name"
    "$@" 2>&1 | tee "$log.part"
    local rc=${PIPESTATUS[0]}
    local line
    line=$(grep -E '^[a-z_]+: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log.part" | tail -n 1)
    if [ -z "$line" ]; then
        line="$name: 0 passed, $((rc != 0)) failed, 0 skipped"
    elif [ "$rc" -ne 0 ] && [[ $line == *" 0 failed,"* ]]; then
        line=${line/ 0 failed,/ 1 failed,}
    fi
    echo "$line" >>"$log"
    echo "---- $name took $((SECONDS - start)) s"
    rm -f "$log.part"
    return "$rc"
}

run_part() {
    case $1 in
    unit) run unit make -s -j"$jobs" unit ;;
    webui) run webui tools/webui_test.sh ;;
    *) if [ -d "tests/$1" ]; then run "$1" tools/run_pytest.sh "tests/$1"; fi ;;
    esac
}

run deps tools/deps.sh
if run build make -s -j"$jobs" all; then
    for part in $parts; do run_part "$part"; done
fi

echo
grep -vE ': 0 passed, 0 failed, 0 skipped$' "$log"
awk '{p += $2; f += $4; s += $6} END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0}' "$log"
