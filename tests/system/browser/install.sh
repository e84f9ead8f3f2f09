#!/usr/bin/env bash
# install.sh: Playwright (PyPI) and axe-core (npm), pinned and held to checksums, in build/browser; the browser is Debian's chromium. What is
# there already, of the same lists, is left as it is. What cannot be had ends this with status 1 and the reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
place=$root/build/browser
seconds=240 # for each of the two, downloads included

for program in chromium node npm; do
    command -v "$program" >/dev/null || {
        echo "install.sh: '$program' is not installed; tools/deps.sh installs it" >&2
        exit 1
    }
done
mkdir -p "$place"
exec 9>"$place/lock"
flock 9 # test files run side by side
stamp=$(cat "$0" "$here"/package*.json "$here/requirements.txt" | sha256sum)
[ "$(cat "$place/installed" 2>/dev/null)" != "$stamp" ] || exit 0
# Half of an installation must not pass for a whole one.
rm -rf "${place:?}"/{installed,python,npm}
mkdir "$place/npm"
cp "$here"/package*.json "$here/.npmrc" "$place/npm"
timeout "$seconds" npm ci --prefix "$place/npm" --silent --fetch-retries=1 &
timeout "$seconds" /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
    --require-hashes --no-deps --target "$place/python" -r "$here/requirements.txt"
wait $!
echo "$stamp" >"$place/installed"
