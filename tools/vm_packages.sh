#!/usr/bin/env bash
# make vm-packages: boots a Debian with systemd in qemu (no KVM needed) and runs tests/vm/packages_test there: the packages installed,
# upgraded with a task running, removed, purged. Once for each way systemd lays out cgroups: VM_CGROUPS="v2 hybrid v1".
# What it needs: tools/deps.sh vm, and at the first time a mirror of Debian, for the machine's disk, which is kept below .cache.
# VM_SECONDS is the limit of each, VM_KERNEL names another kernel than the newest installed one.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
room=$build/vm/packages
kernel=${VM_KERNEL:-$(find /boot -name 'vmlinuz-*-amd64' 2>/dev/null | sort -V | tail -1)}
initrd=${kernel/vmlinuz-/initrd.img-}
for need in "$kernel" "$initrd" /usr/sbin/debootstrap; do
    if [ -z "$need" ] || [ ! -e "$need" ]; then
        echo "vm-packages: a kernel with its initrd in /boot and debootstrap are needed; install them by tools/deps.sh vm" >&2
        exit 1
    fi
done

mkdir -p "$room"
# What the packages depend on comes from the disk: there is no network in the machine.
depends=$(for p in "$build"/deb/*.deb; do dpkg-deb -f "$p" Depends; done | tr ',' '\n' |
    sed 's/|.*//; s/(.*//; s/ //g; /^fairlead/d; /^libframework/d; /^$/d' | sort -u)
image=.cache/vm-packages/$(printf '%s' "$depends" | sha256sum | cut -c1-12).img
if [ ! -e "$image" ]; then
    mkdir -p "$(dirname "$image")"
    root=$(mktemp -d "$PWD/.cache/vm-packages/root.XXXXXX")
    trap 'rm -rf "$root"' EXIT
    echo "vm-packages: making $image"
    debootstrap --variant=minbase --include="systemd-sysv,procps,$(echo "$depends" | paste -sd,)" bookworm "$root" >"$room/debootstrap.log"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}/*
    chroot "$root" passwd -dq root
    cp tests/vm/packages.service "$root/etc/systemd/system/"
    ln -s /etc/systemd/system/packages.service "$root/etc/systemd/system/multi-user.target.wants/"
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer getty.target \
        serial-getty@ttyS0.service systemd-logind.service systemd-update-utmp.service e2scrub_reap.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    echo packages >"$root/etc/hostname"
    printf '127.0.0.1 localhost packages\n' >"$root/etc/hosts"
    mke2fs -q -t ext4 -d "$root" "$image.new" 1500M
    mv "$image.new" "$image"
    rm -rf "$root"
    trap - EXIT
fi

# The packages, and the same with a higher version.
share=$room/share
rm -rf "$share"
mkdir -p "$share/1"
cp tests/vm/packages_test "$share/test"
cp "$build"/deb/*.deb "$share/1/"
tools/deb_upgraded.sh "$share/1" "$share/2"
tar -C "$share" -cf "$room/share.tar" .

status=0
for way in ${VM_CGROUPS:-v2 hybrid v1}; do
    case $way in
    v2) how=systemd.unified_cgroup_hierarchy=1 ;;
    hybrid) how=systemd.unified_cgroup_hierarchy=0 ;;
    v1) how='systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1' ;;
    *)
        echo "vm-packages: VM_CGROUPS knows v2, hybrid and v1, not '$way'" >&2
        exit 1
        ;;
    esac
    echo "== cgroups: $way"
    log=$room/$way.log
    timeout "${VM_SECONDS:-900}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
        -kernel "$kernel" -initrd "$initrd" -drive "file=$image,format=raw,if=virtio,snapshot=on" \
        -drive "file=$room/share.tar,format=raw,if=virtio,snapshot=on" \
        -append "console=ttyS0 quiet loglevel=3 panic=-1 root=/dev/vda rw systemd.show_status=0 $how" </dev/null | stdbuf -o0 tr -d '\r' | tee "$log" || true
    grep -q 'vm-packages: passed' "$log" || status=1
done
rm -rf "$share" "$room/share.tar"
exit $status
