"""bench-runtimes: crun and runc beside our own containers: a program that ends at once, started and reaped, one at a time, in
namespaces and cgroups of its own. Ours goes through the containerizer and its shim (bench_containers, containers.run_ms), which are there
already; a runtime is a program that is started for each container. Both are counted whole, by a cgroup. Debian's crun and runc.

crun refuses a machine on which both versions of cgroups are mounted: all of it runs where the second is not to be seen.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tests", "bench")
GROUP = "fairlead-runtimes-%d" % os.getpid()
ACCOUNT = "/sys/fs/cgroup/cpuacct/" + GROUP
COUNT, RUNS = 60, 5


def bundle(folder):
    """An OCI bundle with the namespaces and controllers of bench_containers: pid and mounts; cpu, cpuacct, memory."""
    for name in ("proc", "dev"):
        os.makedirs("%s/rootfs/%s" % (folder, name))
    shutil.copy(BUILD + "/pause", folder + "/rootfs/pause")
    config = {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
              "process": {"user": {"uid": 0, "gid": 0}, "args": ["/pause", "end"], "env": ["PATH=/"], "cwd": "/"},
              "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}],
                        "resources": {"cpu": {"shares": 102}, "memory": {"limit": 32 << 20}}}}
    return config


def used():
    with open(ACCOUNT + "/cpuacct.usage") as f:
        return int(f.read()) / 1e3


def run(command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def measure(name, program, folder, config):
    config["linux"]["cgroupsPath"] = "/%s/%s" % (GROUP, name)
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)
    state = folder + "/state-" + name
    run([program, "--root", state, "run", "--bundle", folder, name + "-warm"])
    for i in range(RUNS):
        began, cpu = time.monotonic(), used()
        for k in range(COUNT):
            run([program, "--root", state, "run", "--bundle", folder, "%s-%d-%d" % (name, i, k)])
        print("runtimes.%s_ms %.2f ms" % (name, 1e3 * (time.monotonic() - began) / COUNT))
        print("runtimes.%s_cpu_us %.0f us" % (name, (used() - cpu) / COUNT))


def main():
    found = [(n, shutil.which(n)) for n in ("crun", "runc")]
    if os.geteuid() != 0 or not any(p for _, p in found) or not os.path.isdir(os.path.dirname(ACCOUNT)):
        print("crun and runc need root, cgroups of version 1 and their packages")
        return
    unified = "/sys/fs/cgroup/unified"
    if os.path.ismount(unified):
        command = "umount %s && exec %s %s" % (unified, sys.executable, os.path.abspath(__file__))
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", command])
    folder = tempfile.mkdtemp(prefix="fairlead-runtimes-")
    os.mkdir(ACCOUNT)
    try:
        with open(ACCOUNT + "/cgroup.procs", "w") as f:
            f.write("%d" % os.getpid())
        config = bundle(folder)
        for name, program in found:
            if program:
                measure(name, program, folder, config)
    finally:
        with open("/sys/fs/cgroup/cpuacct/cgroup.procs", "w") as f:
            f.write("%d" % os.getpid())
        for top in os.listdir("/sys/fs/cgroup"):
            for where, _, files in os.walk("/sys/fs/cgroup/%s/%s" % (top, GROUP), topdown=False):
                if top == "unified":  # where that was mounted, a runtime makes folders and files
                    for name in files:
                        os.unlink("%s/%s" % (where, name))
                os.rmdir(where)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
