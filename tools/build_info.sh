#!/usr/bin/env bash
# build_info.sh FILE: writes what /version tells of the build, and leaves FILE alone when nothing changed.
# SOURCE_DATE_EPOCH makes builds reproducible; otherwise the date is the commit's.
set -eu
mkdir -p "$(dirname "$1")"
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
new=$1.$$ # two makes may run at once
cat > "$new" <<EOF
#define FL_BUILD_SHA  "$(git rev-parse HEAD 2>/dev/null || true)"
#define FL_BUILD_BRANCH "$(git symbolic-ref HEAD 2>/dev/null || true)"
#define FL_BUILD_TAG "$(git describe --exact --tags 2>/dev/null || true)"
#define FL_BUILD_DATE "$(date -u -d "@$epoch" '+%Y-%m-%d %H:%M:%S')"
#define FL_BUILD_TIME $epoch.0
#define FL_BUILD_USER "fairlead"
EOF
if cmp -s "$new" "$1"; then rm "$new"; else mv "$new" "$1"; fi
