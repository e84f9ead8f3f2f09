"""Machines for tests: roots that are this machine's own below an overlay in memory, with namespaces of their own for mounts, network,
processes and host name. Nothing that happens in one is seen outside, and all of it ends with close()."""
import os
import shlex
import subprocess

from harness.http import eventually

PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                          check=False, **more)
    assert done.returncode == 0, "%s: %s" % (shlex.join(command), done.stdout)
    return done.stdout


def only_child(process):
    with open("/proc/%d/task/%d/children" % (process.pid, process.pid), encoding="ascii") as f:
        return f.read().split()[0]


class Root:
    SETUP = """set -e
        mount -t tmpfs tmpfs "$1"
        mkdir "$1/upper" "$1/work" "$1/root"
        [ -z "$2" ] || cp -a "$2/." "$1/upper"
        mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
        mount -t proc proc "$1/root/proc"
        mount -t tmpfs tmpfs "$1/root/run"
        mount -t tmpfs tmpfs "$1/root/tmp"
        mount --bind /dev "$1/root/dev"
        [ -z "$4" ] || cp -r "$4" "$1/root/tmp/given"
        printf '#!/bin/sh\\nexit 101\\n' >"$1/root/usr/sbin/policy-rc.d"
        ip link set lo up
        hostname "$3"
        touch "$1/root/run/ready"
        sleep infinity & wait $!""" # process 1, which waits for orphans, too

    def __init__(self, folder, name="localhost", layer=None, given=None):
        """layer: a folder whose files are put over the machine's. given: one that is copied to /tmp/given."""
        self.room, self.name = str(folder), name
        self.process = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c", self.SETUP, "sh",
                                         self.room, str(layer or ""), name, str(given or "")])
        eventually(lambda: self.process.poll() is not None or self.ready(), 60)
        assert self.process.poll() is None

    def init(self):
        return only_child(self.process)

    def ready(self):
        try:
            return os.path.exists("/proc/%s/root%s/root/run/ready" % (self.init(), self.room))
        except (OSError, IndexError):
            return False

    def enter(self, *command):
        return ["nsenter", "-t", self.init(), "--mount", "--net", "--pid", "--uts", "chroot", self.room + "/root",
                "env", "-i", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "USER=root", "PATH=" + PATH, *command]

    def command(self, text):
        return self.enter("sh", "-ec", "cd /; " + text)

    def run(self, text):
        return run(*self.command(text))

    def works(self, text):
        return subprocess.run(self.command(text), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
                              check=False).returncode == 0

    def changed(self, word):
        """Paths with this word in their name that are there and were not in the machine's own root."""
        upper = self.room + "/upper"
        found = run("nsenter", "-t", self.init(), "--mount", "find", upper, "-iname", "*%s*" % word, "!", "-type", "c")
        return [path[len(upper):] for path in found.split()]

    def close(self):
        self.process.kill()
        self.process.wait()


class Network:
    """A switch that roots are plugged into."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-ec", "ip link add switch type bridge; ip link set switch up; exec sleep infinity"])
        eventually(lambda: self.process.poll() is not None or self.inside("ip", "link", "show", "switch"), 30)
        assert self.process.poll() is None
        self.ports = 0

    def inside(self, *command):
        return subprocess.run(["nsenter", "-t", str(self.process.pid), "--net", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def join(self, root, address):
        self.ports += 1
        port = "port%d" % self.ports
        in_root = ["nsenter", "-t", root.init(), "--net"]
        run(*in_root, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", str(self.process.pid))
        run(*in_root, "ip", "address", "add", address, "dev", "eth0")
        run(*in_root, "ip", "link", "set", "eth0", "up")
        assert self.inside("ip", "link", "set", port, "master", "switch") and self.inside("ip", "link", "set", port, "up")

    def close(self):
        self.process.kill()
        self.process.wait()
