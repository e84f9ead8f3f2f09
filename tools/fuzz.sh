#!/usr/bin/env bash
# fuzz.sh [name ...]: builds every tests/fuzz/fuzz_NAME.c (or those named) with libFuzzer, ASan and UBSan under build/fuzz and runs
# each for FUZZ_SECONDS (60), FUZZ_JOBS (2) at a time. Seeds: tests/fuzz/corpus/NAME; what a run finds new is kept in
# build/fuzz/corpus/NAME, what breaks it in build/fuzz/crashes. One line a target with its executions a second; the last line is
# "fuzz: N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${FUZZ_SECONDS:-60}
jobs=${FUZZ_JOBS:-2}
out=build/fuzz
mkdir -p "$out/corpus" "$out/crashes" "$out/logs"

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for f in tests/fuzz/fuzz_*.c; do
        [ -e "$f" ] && names+=("$(basename "$f" .c)")
    done
fi
if [ ${#names[@]} -eq 0 ]; then
    echo "fuzz: 0 passed, 0 failed, 0 skipped"
    exit 0
fi
for i in "${!names[@]}"; do
    n=${names[$i]#fuzz_}
    names[i]=fuzz_${n%.c}
done

targets=("${names[@]/#/$out/tests/fuzz/}")
cc=clang
cxx=clang++
command -v ccache >/dev/null && cc="ccache clang" cxx="ccache clang++"
log=$out/logs/build.log
# The warnings are gcc's business; a target that is off by a clang warning is still worth its run. But gcc never sees the targets:
# a pointer of the wrong type is an error.
if ! make -s -j"$(nproc)" BUILD="$out" CC="$cc" CXX="$cxx" OPT='-O1 -g' WARN='-Wno-everything -Werror=incompatible-pointer-types' \
    SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' \
    "${targets[@]}" >"$log" 2>&1; then
    tail -n 30 "$log"
    echo "fuzz: 0 passed, ${#names[@]} failed, 0 skipped"
    exit 1
fi

run_one() { # fuzz_NAME
    local name=$1 short=${1#fuzz_} log=$out/logs/$1.log seeds=() rate peak
    mkdir -p "$out/corpus/$short"
    [ -d "tests/fuzz/corpus/$short" ] && seeds+=("tests/fuzz/corpus/$short")
    local options=(-max_total_time="$seconds" -max_len="${FUZZ_MAX_LEN:-65536}" -rss_limit_mb=2048 -timeout=20
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$out/crashes/$short-")
    [ -f "tests/fuzz/$short.dict" ] && options+=(-dict="tests/fuzz/$short.dict")
    if "$out/tests/fuzz/$name" "${options[@]}" "$out/corpus/$short" "${seeds[@]}" >"$log" 2>&1; then
        rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        echo "ok $name $rate exec/s, ${peak} MiB"
    else
        echo "FAILED $name"
        grep -vE '^INFO|^#' "$log" | tail -n 60
    fi
}
export -f run_one
export out seconds

results=$(printf '%s\n' "${names[@]}" | xargs -P "$jobs" -I{} bash -c 'run_one {}')
echo "$results"
failed=$(grep -c '^FAILED ' <<<"$results")
passed=$(grep -c '^ok ' <<<"$results")
echo "fuzz: $passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
