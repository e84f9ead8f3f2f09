#!/usr/bin/env bash
# install.sh: copies what `make` built to DESTDIR/PREFIX: programs, libframework with its headers, pkg-config file and man pages.
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix
build=${BUILD:-build}
version=$(cat VERSION)

install -d "$to/bin"
for f in "$build"/bin/*; do
    if [ -f "$f" ]; then install -m 755 "$f" "$to/bin/"; fi
done

if [ -f "$build/lib/libframework.so" ]; then
    install -d "$to/lib/pkgconfig" "$to/include/fairlead"
    install -m 755 "$build/lib/libframework.so" "$to/lib/libframework.so.$version"
    ln -sf "libframework.so.$version" "$to/lib/libframework.so.1"
    ln -sf libframework.so.1 "$to/lib/libframework.so"
    install -m 644 libframework/fairlead/*.h "$to/include/fairlead/"
    sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" packaging/framework.pc.in >"$to/lib/pkgconfig/framework.pc"
    chmod 644 "$to/lib/pkgconfig/framework.pc"
fi

for section in 1 3 5 7 8; do
    for page in docs/man/*."$section"; do
        [ -f "$page" ] || continue
        install -d "$to/share/man/man$section"
        install -m 644 "$page" "$to/share/man/man$section/"
    done
done
install -d "$to/share/doc/fairlead"
install -m 644 README.md LICENSE "$to/share/doc/fairlead/"
install -d "$to/share/doc/fairlead/emulator"
install -m 644 emulator/examples/*.yaml "$to/share/doc/fairlead/emulator/"
