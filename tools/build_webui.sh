#!/usr/bin/env bash
# build_webui.sh OUT: builds the web page from webui/ into OUT (index.html, assets/). What npm brings lies beside OUT, in OUT.npm, never in
# the sources. Without a package.json the plain webui/index.html is the page.
set -eu
cd "$(dirname "$0")/.."
out=$1
rm -rf "$out.new"
mkdir -p "$out.new/assets"

if [ ! -e webui/package.json ]; then
    echo "web page: no webui/package.json, so webui/index.html as it is" >&2
    cp webui/index.html "$out.new/index.html"
else
    npm_dir=$out.npm
    mkdir -p "$npm_dir"
    lock=$(cat webui/package.json webui/package-lock.json | sha256sum)
    if [ "$(cat "$npm_dir/installed" 2>/dev/null)" != "$lock" ]; then
        cp webui/package.json webui/package-lock.json "$npm_dir/"
        (cd "$npm_dir" && npm ci --silent --no-audit --no-fund)
        echo "$lock" >"$npm_dir/installed"
    fi
    # The sources beside node_modules, where esbuild looks for it.
    find "$npm_dir" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name installed -exec rm -rf {} +
    cp -R webui/. "$npm_dir/"
    new=$(realpath "$out.new")
    (cd "$npm_dir" && OUT="$new" npm run --silent build)
fi
rm -rf "$out"
mv "$out.new" "$out"
