#!/usr/bin/env bash
# make deb: Debian packages of what `make` has built, in build/deb. Nothing is compiled again: the folder debian/ stands alone in a
# tree of its own and its rules lay out the files by tools/install.sh. The version is that of VERSION, and the commit's number and name
# unless the commit is tagged; DEB_VERSION says another, DEB_OUT another folder.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
out=${DEB_OUT:-$build/deb}

version=$(cat VERSION)
date=$(LC_ALL=C date -R)
if git rev-parse -q --verify HEAD >/dev/null 2>&1; then
    date=$(git log -1 --format=%cD)
    if ! git describe --exact-match --match "v$version" >/dev/null 2>&1; then
        version=$version+git$(git rev-list --count HEAD).$(git rev-parse --short HEAD)
    fi
fi
version=${DEB_VERSION:-$version}

for need in dpkg-buildpackage dh; do
    command -v "$need" >/dev/null || {
        echo "make deb: '$need' is needed; install it by tools/deps.sh" >&2
        exit 1
    }
done

tree=$out/tree
rm -rf "$tree"
mkdir -p "$tree/fairlead"
cp -r packaging/debian "$tree/fairlead/debian"
cat >"$tree/fairlead/debian/changelog" <<EOF
fairlead ($version) unstable; urgency=medium

  * See the history of the sources.

 -- Fairlead maintainers <fairlead@example.org>  $date
EOF

# Make's variables of this build are not those of the package's rules.
if ! (cd "$tree/fairlead" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u DESTDIR -u PREFIX -u BUILD -u VERSION \
    FAIRLEAD_TREE="$top" FAIRLEAD_BUILD="$build" SOURCE_DATE_EPOCH="$(date -d "$date" +%s)" \
    dpkg-buildpackage -b -us -uc -d -nc) >"$out/log" 2>&1; then
    tail -40 "$out/log"
    echo "make deb: failed; all of it is in $out/log" >&2
    exit 1
fi
rm -f "$out"/*.deb
mv "$tree"/*.deb "$out/"
rm -rf "$tree"
(cd "$out" && stat -c '%9s  %n' ./*.deb)
