#!/usr/bin/env bash
# make vm-xfs: disk/xfs on a real XFS with project quotas, which not every kernel has: boots a Debian kernel in qemu (no KVM needed) with
# busybox and the test as its whole system. What it needs: tools/deps.sh vm. Takes a minute; VM_SECONDS is its limit, VM_KERNEL and
# VM_MODULES (a folder with xfs.ko, libcrc32c.ko and loop.ko somewhere below) name others than the installed ones.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
root=$build/vm/xfs
kernel=${VM_KERNEL:-$(find /boot -name 'vmlinuz-*-amd64' 2>/dev/null | sort -V | tail -1)}
modules=${VM_MODULES:-/lib/modules/$(basename "$kernel" | sed 's/^vmlinuz-//')}
busybox=${VM_BUSYBOX:-/bin/busybox}

for need in "$kernel" "$modules" "$busybox" /usr/sbin/mkfs.xfs; do
    if [ -z "$need" ] || [ ! -e "$need" ]; then
        echo "vm-xfs: '$need' is missing; tools/deps.sh vm installs what is needed" >&2
        exit 1
    fi
done

rm -rf "$root"
mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/lib/ko" \
    "$root/fl/bin" "$root/fl/tests/unit"
cp "$busybox" "$root/bin/busybox"
for m in libcrc32c xfs loop; do
    find "$modules" -name "$m.ko" -exec cp {} "$root/lib/ko/" \;
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
chmod 1777 /tmp
for m in libcrc32c xfs loop; do insmod /lib/ko/$m.ko; done
cd /fl
./tests/unit/test_container_xfs && echo "vm-xfs: ended well"
poweroff -f
INIT
chmod 755 "$root/init"
strip -o "$root/fl/bin/fairlead-shim" "$build/bin/fairlead-shim"
strip -o "$root/fl/tests/unit/test_container_xfs" "$build/tests/unit/test_container_xfs"
cp /usr/sbin/mkfs.xfs "$root/sbin/"
for p in "$build/tests/unit/test_container_xfs" /usr/sbin/mkfs.xfs; do
    ldd "$p"
done | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r lib; do
    mkdir -p "$root$(dirname "$lib")"
    cp -L "$lib" "$root$lib"
done
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$root.cpio"

log=$root.log
timeout "${VM_SECONDS:-300}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
    -kernel "$kernel" -initrd "$root.cpio" -append 'console=ttyS0 quiet panic=-1' </dev/null | tee "$log"
rm -rf "$root" "$root.cpio"
# Skipping is no success here.
if ! grep -q 'vm-xfs: ended well' "$log" || grep -q 'is not tested' "$log"; then
    echo "vm-xfs: failed; see $log" >&2
    exit 1
fi
