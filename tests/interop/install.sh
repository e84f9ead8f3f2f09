#!/usr/bin/env bash
# install.sh PART...: the clients of others that the tests here run, from their registries, pinned and held to checksums, each part below
# build/interop/PART. A part that is there already, of the same list and the same tools, is left as it is. Parts: npm, pypi, mesos-go,
# mesos-dns, telegraf. What cannot be had ends this with status 1 and the reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
place=$root/${BUILD:-build}/interop
seconds=240 # for one part, downloads included

need() { # PROGRAM what for
    command -v "$1" >/dev/null || {
        echo "install.sh: '$1' is not installed; tools/deps.sh installs it" >&2
        exit 1
    }
}

npm_part() {
    need node
    need npm
    cp "$here/npm/package.json" "$here/npm/package-lock.json" "$1"
    timeout "$seconds" npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1 --prefix "$1"
}

# pymesos is published as source alone, and its http-parser builds with no Python newer than 3.10: that one is Debian's.
pypi_part() {
    /usr/bin/python3 -m pip --version >/dev/null 2>&1 || {
        echo "install.sh: Debian's python3 has no pip; tools/deps.sh installs it" >&2
        exit 1
    }
    timeout "$seconds" /usr/bin/python3 -m pip install --disable-pip-version-check --root-user-action=ignore --no-compile \
        --no-build-isolation --require-hashes --no-deps --target "$1" -r "$here/pypi/requirements.txt"
}

# Compiled without optimisation: they run for seconds, and the compiler is most of what these tests cost.
go_part() { # FOLDER NAME package...
    local folder=$1 name=$2
    shift 2
    need go
    cp "$here/go/$name/"* "$folder"
    mkdir -p "$folder/bin"
    (cd "$folder" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local timeout "$seconds" go build -trimpath -buildvcs=false \
        -gcflags='all=-N -l' -ldflags='-s -w' -o bin/ "$@")
}

make_part() { # NAME FOLDER
    local commands=github.com/mesos/mesos-go/api/v1/cmd
    case $1 in
    npm) npm_part "$2" ;;
    pypi) pypi_part "$2" ;;
    mesos-go) go_part "$2" mesos-go $commands/example-scheduler $commands/example-executor $commands/msh $commands/mwatch ;;
    mesos-dns) go_part "$2" mesos-dns github.com/mesosphere/mesos-dns ;;
    telegraf) go_part "$2" telegraf . ;;
    *)
        echo "install.sh: there is no part '$1'" >&2
        exit 2
        ;;
    esac
}

stamp_of() { # NAME: what a part is made of
    local source=$here/go/$1 tool=go
    case $1 in
    npm) source=$here/npm tool=node ;;
    pypi) source=$here/pypi tool=/usr/bin/python3 ;;
    esac
    {
        cat "$0" "$source"/package*.json "$source"/requirements.txt "$source"/go.* "$source"/main.go 2>/dev/null || true
        $tool --version 2>/dev/null || $tool version 2>/dev/null || true
    } | sha256sum
}

# Go is often where it was unpacked, not where a shell looks.
[ ! -x /usr/local/go/bin/go ] || PATH=$PATH:/usr/local/go/bin
mkdir -p "$place"
for part in "$@"; do
    (
        flock 9 # test files run side by side
        stamp=$(stamp_of "$part")
        if [ "$(cat "$place/$part/.installed" 2>/dev/null)" != "$stamp" ]; then
            # Half of an installation must not pass for a whole one.
            rm -rf "${place:?}/$part"
            mkdir -p "$place/$part"
            make_part "$part" "$place/$part"
            echo "$stamp" >"$place/$part/.installed"
        fi
    ) 9>"$place/$part.lock"
done
