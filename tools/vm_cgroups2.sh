#!/usr/bin/env bash
# make vm-cgroups2: boots a Debian kernel without version 1 of cgroups in qemu (no KVM needed), with our binaries and busybox as its whole
# system, and runs tests/vm/init there. What it needs: tools/deps.sh vm. Takes a minute or two; VM_SECONDS is its limit, VM_KERNEL and
# VM_BUSYBOX name others than the installed ones.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
root=$build/vm/cgroups2
kernel=${VM_KERNEL:-$(find /boot -name 'vmlinuz-*-amd64' 2>/dev/null | sort -V | tail -1)}
busybox=${VM_BUSYBOX:-/bin/busybox}

for need in "$kernel" "$busybox"; do
    if [ -z "$need" ] || [ ! -e "$need" ]; then
        echo "vm-cgroups2: a kernel in /boot and busybox are needed; install them by tools/deps.sh vm" >&2
        exit 1
    fi
done

release=${kernel##*/vmlinuz-}
disk=$(dirname "$kernel")/../lib/modules/$release/kernel/drivers/block/brd.ko

# The binaries at the same places below /fl, and the libraries where the loader looks.
rm -rf "$root"
mkdir -p "$root/fl/build/bin" "$root/fl/build/tests/unit" "$root/bin" "$root/etc"
cp "$busybox" "$root/bin/busybox"
cp tests/vm/init "$root/init"
chmod 755 "$root/init"
[ ! -e "$disk" ] || cp "$disk" "$root/brd.ko"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
programs="bin/fairlead bin/fairlead-master bin/fairlead-agent bin/fairlead-shim tests/unit/test_cgroups2"
for p in $programs; do
    strip -o "$root/fl/build/$p" "$build/$p"
    ldd "$build/$p" 2>/dev/null || true
done | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r lib; do
    mkdir -p "$root$(dirname "$lib")"
    cp -L "$lib" "$root$lib"
done
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$root.cpio"

log=$root.log
timeout "${VM_SECONDS:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
    -kernel "$kernel" -initrd "$root.cpio" -append 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all' </dev/null | tee "$log"
rm -rf "$root" "$root.cpio"
grep -q 'vm-cgroups2: passed' "$log"
