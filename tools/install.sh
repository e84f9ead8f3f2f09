#!/usr/bin/env bash
# install.sh: copies what `make` built to DESTDIR/PREFIX. The one place that knows what goes where: packaging/debian only divides among
# packages what this has laid out.
#   bin                command line, tools
#   sbin               the daemons
#   libexec/fairlead   what the agent starts; it looks there by itself
#   LIBDIR, include    libframework; LIBDIR is below PREFIX, "lib" or for Debian "lib/x86_64-linux-gnu"
#   SYSCONFDIR         configuration of the services, never written over: /etc, or PREFIX/etc for a PREFIX outside of /usr
#   UNITDIR            units of systemd: PREFIX/lib/systemd/system; the user of the master: lib/sysusers.d
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix
build=${BUILD:-build}
libdir=${LIBDIR:-lib}
unitdir=${UNITDIR:-$prefix/lib/systemd/system}
case $prefix in
/usr | /usr/*) sysconf=${SYSCONFDIR:-/etc} ;;
*) sysconf=${SYSCONFDIR:-$prefix/etc} ;;
esac
version=$(cat VERSION)

folder_of() {
    case $1 in
    fairlead-master | fairlead-agent) echo sbin ;;
    fairlead-shim | fairlead-default-executor | fairlead-image | fairlead-rootfs | fairlead-cni-*) echo libexec/fairlead ;;
    *) echo bin ;;
    esac
}

# What stands in a file as @NAME@ depends on where things go.
place() { # MODE FROM TO
    install -d "$(dirname "$3")"
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@VERSION@|$version|g" -e "s|@SYSCONFDIR@|$sysconf|g" "$2" >"$3"
    chmod "$1" "$3"
}

keep() { # MODE FROM TO: unless it is there
    if [ ! -e "$3" ]; then place "$1" "$2" "$3"; fi
}

for f in "$build"/bin/*; do
    [ -f "$f" ] || continue
    folder=$to/$(folder_of "$(basename "$f")")
    install -d "$folder"
    install -m 755 "$f" "$folder/"
done

if [ -f "$build/lib/libframework.so" ]; then
    install -d "$to/$libdir/pkgconfig" "$to/include/fairlead"
    install -m 644 "$build/lib/libframework.so" "$to/$libdir/libframework.so.$version"
    ln -sf "libframework.so.$version" "$to/$libdir/libframework.so.1"
    ln -sf libframework.so.1 "$to/$libdir/libframework.so"
    install -m 644 libframework/fairlead/*.h "$to/include/fairlead/"
    place 644 packaging/framework.pc.in "$to/$libdir/pkgconfig/framework.pc"
    install -d "$to/share/doc/libframework-dev/examples"
    install -m 644 libframework/examples/*.c "$to/share/doc/libframework-dev/examples/"
fi

for section in 1 3 5 7 8; do
    for page in docs/man/*."$section"; do
        [ -f "$page" ] || continue
        install -d "$to/share/man/man$section"
        install -m 644 "$page" "$to/share/man/man$section/"
    done
done
install -d "$to/share/doc/fairlead" "$to/share/doc/fairlead-tools/examples"
install -m 644 README.md LICENSE "$to/share/doc/fairlead/"
install -m 644 emulator/examples/*.yaml "$to/share/doc/fairlead-tools/examples/"

# What a monitor takes as it is: rules and an example for Prometheus, a dashboard for Grafana.
install -d "$to/share/fairlead/prometheus" "$to/share/fairlead/grafana"
install -m 644 packaging/prometheus/*.yml "$to/share/fairlead/prometheus/"
install -m 644 packaging/grafana/*.json "$to/share/fairlead/grafana/"

# The shells' completions, when this build's fairlead has them.
if [ -x "$build/bin/fairlead" ] && "$build/bin/fairlead" completion bash >/dev/null 2>&1; then
    install -d "$to/share/bash-completion/completions" "$to/share/zsh/vendor-completions" "$to/share/fish/vendor_completions.d"
    "$build/bin/fairlead" completion bash >"$to/share/bash-completion/completions/fairlead"
    "$build/bin/fairlead" completion zsh >"$to/share/zsh/vendor-completions/_fairlead"
    "$build/bin/fairlead" completion fish >"$to/share/fish/vendor_completions.d/fairlead.fish"
fi

for unit in packaging/systemd/*.service; do
    place 644 "$unit" "${DESTDIR:-}$unitdir/$(basename "$unit")"
done
place 644 packaging/systemd/fairlead.sysusers "$to/lib/sysusers.d/fairlead-master.conf"
for daemon in master agent; do
    keep 644 "packaging/etc/$daemon.conf" "${DESTDIR:-}$sysconf/fairlead/$daemon.conf"
    keep 644 "packaging/etc/$daemon.default" "${DESTDIR:-}$sysconf/default/fairlead-$daemon"
    install -d "${DESTDIR:-}$sysconf/fairlead-$daemon"
done
