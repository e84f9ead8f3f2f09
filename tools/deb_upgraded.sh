#!/usr/bin/env bash
# deb_upgraded.sh FROM TO: copies the packages of folder FROM to folder TO as a higher version, VERSION+upgraded, for tests of upgrades.
set -eu
from=$1
to=$2
mkdir -p "$to"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for p in "$from"/*.deb; do
    version=$(dpkg-deb -f "$p" Version)
    dpkg-deb -R "$p" "$work/tree"
    # Its own version, and that of what it depends on exactly.
    sed -i -e "s/^Version: .*/&+upgraded/" -e "s/(= ${version//+/[+]})/(= $version+upgraded)/" "$work/tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/tree" "$to/" >/dev/null
    rm -rf "$work/tree"
done
