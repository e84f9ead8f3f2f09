#!/usr/bin/env bash
# build_webui.sh OUT: builds the web page from webui/ into OUT (index.html, assets/). What npm brings lies beside OUT, in OUT.npm, never in
# the sources; only what the page itself is made of (webui/README.md says how to have ESLint and a browser's driver there too).
set -eu
cd "$(dirname "$0")/.."
out=$1
npm_dir=$out.npm
rm -rf "$out.new"
mkdir -p "$out.new/assets" "$npm_dir"

lock=$(cat webui/package.json webui/package-lock.json | sha256sum)
if [ "$(cat "$npm_dir/installed" 2>/dev/null)" != "$lock" ]; then
    cp webui/package.json webui/package-lock.json webui/.npmrc "$npm_dir/"
    (cd "$npm_dir" && npm ci --silent --omit=dev)
    echo "$lock" >"$npm_dir/installed"
fi
# The sources beside node_modules, where esbuild looks for it.
find "$npm_dir" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name installed -exec rm -rf {} +
tar -C webui --exclude=./node_modules -cf - . | tar -C "$npm_dir" -xf -
new=$(realpath "$out.new")
(cd "$npm_dir" && OUT="$new" npm run --silent build)
rm -rf "$out"
mv "$out.new" "$out"
