#!/usr/bin/env bash
# demo.sh MASTER: two frameworks with different demands count the words of this machine's documentation together, one task a
# directory. The sum is compared with what one pipeline counts, and printed beside the share of the cluster each of them had.
set -eu
cd "$(dirname "$0")/.."
master=${1:-127.0.0.1:5050}
tree=${DEMO_TREE:-/usr/share/doc}
tmp=$(mktemp -d)
sampler=
trap '[ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true; rm -rf "$tmp"' EXIT

find "$tree" -mindepth 1 -maxdepth 1 -type d | LC_ALL=C sort >"$tmp/all"
awk 'NR % 2' "$tmp/all" >"$tmp/first"
awk 'NR % 2 == 0' "$tmp/all" >"$tmp/second"

# One wants processors, the other memory: eighteen tasks of either would fill the cluster with it.
read -r cpus mem < <(build/bin/fairlead agents --master "$master" | awk '
    NR > 1 { split($4, c, "/"); split($5, m, "/"); cpus += c[2]; mem += m[2] }
    END { print cpus, mem }')
share() { awk -v total="$1" -v parts="$2" 'BEGIN { printf "%.3f", total / parts }'; }

echo "Counting the words in $(wc -l <"$tmp/all") directories of $tree with two frameworks ..."
build/examples/wordcount --master "$master" --name hungry-for-cpus \
    --cpus "$(share "$cpus" 18)" --mem "$(share "$mem" 72)" <"$tmp/first" >"$tmp/first.out" &
first=$!
build/examples/wordcount --master "$master" --name hungry-for-memory \
    --cpus "$(share "$cpus" 72)" --mem "$(share "$mem" 18)" <"$tmp/second" >"$tmp/second.out" &
second=$!

# Shares while both are at work.
(while sleep 0.1; do
    build/bin/fairlead frameworks --master "$master" 2>/dev/null |
        awk '$2 ~ /^hungry-for/ { sub("%", "", $7); print $2, $7 }' >"$tmp/sample" || true
    if [ "$(wc -l <"$tmp/sample")" = 2 ]; then cat "$tmp/sample" >>"$tmp/shares"; fi
done) &
sampler=$!

wait "$first" || { cat "$tmp/first.out"; exit 1; }
wait "$second" || { cat "$tmp/second.out"; exit 1; }
kill "$sampler" 2>/dev/null || true
wait "$sampler" 2>/dev/null || true
sampler=

touch "$tmp/shares"
for side in first:hungry-for-cpus second:hungry-for-memory; do
    awk -v name="${side#*:}" -v said="$(cat "$tmp/${side%:*}.out")" '
        $1 == name { sum += $2; n++; if ($2 > max) max = $2 }
        END { printf "  %-18s %s; dominant share %.1f%% on average, %.1f%% at most\n", name, said, n ? sum / n : 0, max }' "$tmp/shares"
done
counted=$(awk '{ sum += $1 } END { printf "%.0f", sum }' "$tmp/first.out" "$tmp/second.out")
expected=$(find "$tree" -mindepth 2 -type f -print0 | LC_ALL=C wc -w --files0-from=- | awk 'END { print $1 }')
if [ "$counted" = "$expected" ]; then
    echo "  together           $counted words; one pipeline (find | wc -w) counts the same"
else
    echo "  together           $counted words, but one pipeline (find | wc -w) counts $expected"
    exit 1
fi
