#!/usr/bin/env bash
# make up: installs what is missing, builds, runs a master and three agents on this machine, gives them real work, and stays until
# interrupted. UP_ARGS goes to `fairlead up`; UP_DEMO=0 leaves the work out; UP_ONCE=1 ends after it.
set -eu
cd "$(dirname "$0")/.."

tools/deps.sh
make -s -j"$(nproc)" all

log=$(mktemp)
# shellcheck disable=SC2086 # several words are meant
build/bin/fairlead up ${UP_ARGS:-} >"$log" &
up=$!
trap 'kill -TERM "$up" 2>/dev/null || true; wait "$up" || true; rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# The words of `fairlead up` are its sign that the cluster is ready.
until grep -q '^  page' "$log"; do
    if ! kill -0 "$up" 2>/dev/null; then
        exit 1
    fi
    sleep 0.1
done
cat "$log"
if [ "${UP_DEMO:-1}" != 0 ]; then
    tools/demo.sh "$(sed -n 's|^  page *http://\(.*\)/$|\1|p' "$log")"
fi
if [ "${UP_ONCE:-0}" = 1 ]; then
    exit 0
fi
echo "The cluster stays up until you press Ctrl-C."
wait "$up"
