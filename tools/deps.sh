#!/usr/bin/env bash
# Installs what Fairlead needs to be built, run and tested on a bare Debian 12. Safe to repeat: it asks
# for nothing when all is there. Every package the project uses stands here, by purpose.
# deps.sh plots: what draws the pictures of the documents, besides.
# deps.sh vm: a kernel and what boots it, for `make vm-cgroups2`, `vm-xfs` and `vm-packages`, besides.
set -eu

build="build-essential pkg-config ccache protobuf-compiler protobuf-c-compiler libprotobuf-c-dev libprotobuf-dev
       libevent-dev libssl-dev liblmdb-dev uthash-dev libjansson-dev libhttp-parser-dev libwslay-dev zlib1g-dev
       libcgroup-dev libcap-dev libseccomp-dev libcurl4-openssl-dev libarchive-dev libre2-dev libyaml-dev
       musl-tools"
run="procps iproute2"
packages="dpkg-dev debhelper"
tests="check libsubunit-dev busybox-static python3 python3-pytest python3-protobuf curl jq openssl
       containernetworking-plugins iptables docker.io docker-registry skopeo umoci xfsprogs crun zsh fish
       prometheus chromium"
lint="git clang clang-format clang-tidy libclang-rt-14-dev cppcheck shellcheck mandoc"
# Clients of others that the tests install: from PyPI, npm and the Go proxy (tests/interop/install.sh). Node, npm and Go often come from
# elsewhere, newer than Debian's: only what the machine does not have at all.
interop="python3-pip python3-http-parser"
command -v node >/dev/null || interop="$interop nodejs"
command -v npm >/dev/null || interop="$interop npm"
command -v go >/dev/null || [ -x /usr/local/go/bin/go ] || interop="$interop golang-go"
plots=
[ "${1:-}" != plots ] || plots="python3-matplotlib"
vm=
[ "${1:-}" != vm ] || vm="qemu-system-x86 linux-image-cloud-amd64 busybox-static debootstrap"

missing=
for p in $build $run $packages $tests $lint $interop $plots $vm; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "These packages are missing; install them as root and run this again: $missing" >&2
    exit 1
fi
# The tests start their own Docker Engine and registry. Those of the packages would run on this machine from now on, and the Engine
# would change its packet filter.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
apt-get install -y -qq --no-install-recommends $missing
