"""Run inside of a container, as text: tries to get out of it, to see its neighbours and to change the machine, in ways that do no harm where
they succeed: files are opened and not written, signals are number 0, what is traced is not stopped. Prints the names of the tricks that worked, as JSON.

Its argument says as JSON what there is outside: `pids` (number: name), `secrets` (files and folders that are not the container's), `disk`
(major and minor of the machine's), `image` (whether the container has a root of its own)."""
import ctypes
import glob
import json
import os
import stat
import sys

OUTSIDE = json.loads(sys.argv[1])
C = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
MACHINE = ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/panic", "/proc/kcore",
           "/proc/sys/vm/drop_caches", "/sys/kernel/uevent_helper", "/sys/power/state", "/dev/mem", "/dev/kmem", "/dev/port"]
TRICKS = []


def trick(f):
    TRICKS.append(f)
    return f


def did(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


def fine(f, *args):
    """Whether that is allowed."""
    try:
        f(*args)
        return True
    except OSError:
        return False


def readable(path):
    with open(path, "rb", buffering=0) as f:
        f.read(1)


def writable(path):
    os.close(os.open(path, os.O_WRONLY))


def is_theirs(pid):
    """Numbers of processes may be the same in here."""
    try:
        with open("/proc/%s/comm" % pid) as f:
            return f.read().strip() == OUTSIDE["pids"][pid]
    except OSError:
        return True


@trick
def signal_others():
    return [p for p in OUTSIDE["pids"] if is_theirs(p) and fine(os.kill, int(p), 0)]


@trick
def trace_others():
    return [p for p in list(OUTSIDE["pids"]) + ["1"] if (p == "1" or is_theirs(p)) and C.ptrace(0x4206, int(p), 0, 0) == 0]


@trick
def see_into_the_first_process():
    links = ["root", "cwd", "exe"] + ["fd/%d" % n for n in range(30)]
    return [x for x in ("environ", "mem", "maps", "stack") if fine(readable, "/proc/1/" + x)] + \
        [x for x in links if fine(os.stat, "/proc/1/" + x)]


@trick
def kept_descriptors():
    folder = os.open("/proc/self/fd", os.O_RDONLY)
    return [n for n in os.listdir(folder) if int(n) > 2 and int(n) != folder and fine(os.readlink, "/proc/self/fd/" + n)]


@trick
def secrets_by_every_way():
    ways = ["", "../" * 64, "/proc/self/root/", "/proc/self/cwd/" + "../" * 64] + glob.glob("/proc/[0-9]*/root/") + glob.glob("/proc/[0-9]*/cwd/")
    return [w + p for w in ways for p in OUTSIDE["secrets"] if fine(os.listdir, w + p) or fine(readable, w + p)]


@trick
def change_root_and_climb():
    os.mkdir("jail")
    top = os.open("/", os.O_RDONLY)
    os.chroot("jail")
    os.fchdir(top)
    for _ in range(64):
        os.chdir("..")
    return [p for p in OUTSIDE["secrets"] if fine(readable, "." + p) or fine(os.listdir, "." + p)]


@trick
def change_the_machine():
    return [p for p in MACHINE if fine(writable, p)]


@trick
def another_cgroup():
    found = [os.path.join(d, "cgroup.procs") for d, _, names in os.walk("/sys/fs/cgroup") if "cgroup.procs" in names]
    return [p for p in found if fine(writable, p)]


@trick
def mount_a_hierarchy():
    os.mkdir("hierarchy")
    return did(C.mount(b"cgroup", b"hierarchy", b"cgroup", 0, b"pids"))


@trick
def the_disk():
    got = []
    for folder in (".", "/tmp", "/dev"):
        path = folder + "/disk-of-the-machine"
        if fine(os.mknod, path, stat.S_IFBLK | 0o600, os.makedev(*OUTSIDE["disk"])):
            got += [path] if fine(readable, path) else []
            os.unlink(path)
    return got + [p for p in glob.glob("/dev/*") if stat.S_ISBLK(os.lstat(p).st_mode) and fine(readable, p)]


@trick
def mounts():
    os.mkdir("m")
    return [n for n, r in (("tmpfs", C.mount(b"none", b"m", b"tmpfs", 0, None)), ("bind", C.mount(b"/", b"m", None, 4096, None)),
                           ("move", C.mount(b"/proc", b"m", None, 8192, None)), ("remount", C.mount(None, b"/proc/sys", None, 32, None)),
                           ("unmount", C.umount2(b"/proc/sys", 2))) if r == 0]


@trick
def be_root_elsewhere():
    """What one may do to oneself must not uncover what is covered."""
    uid, gid = os.getuid(), os.getgid()
    did(C.unshare(NEWUSER | NEWNS | NEWPID))
    for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
        with open("/proc/self/" + name, "w") as f:
            f.write(text)
    if os.fork():
        return os.waitstatus_to_exitcode(os.wait()[1]) and "with a user namespace"
    for at in (b"/proc/sys", b"/proc/sysrq-trigger", b"/proc/kcore", b"/proc", b"/sys/fs/cgroup"):
        C.umount2(at, 2)
    C.mount(b"none", b"/mnt", b"proc", 0, None)
    got = [p for p in MACHINE if fine(writable, p) or fine(writable, "/mnt" + p[5:])] + [p for p in OUTSIDE["secrets"] if fine(readable, p)]
    os._exit(1 if got else 0)


@trick
def open_by_number():
    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("inode", ctypes.c_ulonglong)]
    return [n for n in (2, 128) for at in (".", "/") if C.open_by_handle_at(os.open(at, os.O_RDONLY), ctypes.byref(Handle(8, 1, n)), 0) >= 0]


@trick
def get_more_rights():
    with open("/proc/self/status") as f:
        text = f.read()
    rights = int(text.split("CapEff:")[1].split()[0], 16)
    return [n for n, yes in (("NoNewPrivs", "NoNewPrivs:\t1" not in text), ("SYS_ADMIN", rights >> 21 & 1), ("SYS_PTRACE", rights >> 19 & 1),
                             ("SYS_MODULE", rights >> 16 & 1)) if yes]


@trick
def run_before_all_others():
    return [n for n, f in (("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))), ("nice", lambda: os.nice(-5)))
            if fine(f)]


@trick
def load_a_module():
    C.syscall(175, None, 0, b"")
    return ctypes.get_errno() not in (1, 38)  # 38: the kernel takes none


def attempt(f):
    """In a process of its own, for some leave nothing as it was."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        keep = os.dup2(w, 2)
        if w != keep:
            os.close(w)
        try:
            got = f()
        except OSError:
            got = None
        except BaseException as e:
            got = repr(e)
        os.write(keep, repr(got).encode()[:2000] if got else b"")
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return text


print(json.dumps({f.__name__: text for f in TRICKS for text in [attempt(f)] if text}))
