"""A Docker Engine of the test's own: Debian's dockerd without network of its own, below a temporary folder, with one small image; and what
it leaves is removed. `why_not` says why there can be none here."""
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .http import eventually

APPLETS = ("sh echo sleep cat env id ls test kill dd tail head seq hostname httpd yes true false touch wget nc grep printf mkdir"
           " stty tr sort").split()


def busybox():
    return next((p for p in ("/usr/bin/busybox", "/bin/busybox") if os.path.exists(p)), None)


def why_not():
    if os.geteuid() != 0:
        return "needs root: dockerd"
    if not shutil.which("dockerd") or not shutil.which("docker"):
        return "dockerd is not installed (docker.io)"
    if not busybox():
        return "busybox is not installed (busybox-static)"
    return None


class Engine:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="fairlead-engine-")
        self.socket = self.folder + "/docker.sock"
        self.process = None
        try:
            self.start()
            self.make_image("box")
        except BaseException:
            self.stop()
            raise

    def start(self):
        # The daemon's own containerd goes on when the daemon is killed; it ends with stop().
        with open(self.folder + "/log", "a") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--iptables=false", "--bridge=none", "--data-root", self.folder + "/data", "--exec-root",
                 self.folder + "/exec", "--pidfile", self.folder + "/pid", "-H", "unix://" + self.socket, "--live-restore",
                 "--cgroup-parent=/" + os.path.basename(self.folder)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self.answers, 30, 0.1)
        return self

    def log(self):
        with open(self.folder + "/log", errors="replace") as f:
            return f.read()

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("dockerd does not run here:\n" + self.log()[-1500:])
        return self.docker("version", check=False).returncode == 0

    def docker(self, *words, check=True, **more):
        p = subprocess.run(["docker", "-H", "unix://" + self.socket] + list(words), capture_output=True, text=True, timeout=60, **more)
        assert not check or p.returncode == 0, "docker %s: %s" % (" ".join(words), p.stderr)
        return p

    def make_image(self, name, *changes):
        root = tempfile.mkdtemp(dir=self.folder)
        for d in ("bin", "etc", "tmp", "usr"):
            os.mkdir(root + "/" + d)
        shutil.copy(busybox(), root + "/bin/busybox")
        for a in set(APPLETS):
            os.symlink("busybox", root + "/bin/" + a)
        for lib in ("lib", "lib64"):
            os.symlink("usr/" + lib, root + "/" + lib)
        with open(root + "/etc/passwd", "w") as f:
            f.write("root:x:0:0::/:/bin/sh\nbob:x:1234:1234::/:/bin/sh\n")
        tar = subprocess.run(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE, check=True)
        words = sum((["-c", c] for c in changes), [])
        subprocess.run(["docker", "-H", "unix://" + self.socket, "import"] + words + ["-", name], input=tar.stdout, check=True,
                       capture_output=True, timeout=60)
        shutil.rmtree(root)

    def names(self, *words):
        return self.docker("ps", "--format", "{{.Names}}", *words).stdout.split()

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]

    def kill9(self):
        """Its containerd ends with it. Where nobody reaps that, the next daemon would take it for alive."""
        self.process.kill()
        self.process.wait()
        for pidfile in glob.glob(self.folder + "/exec/containerd/*.pid"):
            os.unlink(pidfile)

    def stop_process(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def below(self):
        """Processes whose command line names this folder: containerd and its shims."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if self.folder.encode() in f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return [p for p in found if p != os.getpid()]

    def kill_contained(self):
        """What runs in containers whose engine and shims have gone, and the groups of all."""
        for top in glob.glob("/sys/fs/cgroup/*/" + os.path.basename(self.folder)):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    with open(folder + "/cgroup.procs") as f:
                        for pid in f.read().split():
                            os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass
                end = time.monotonic() + 2
                while time.monotonic() < end:
                    try:
                        os.rmdir(folder)
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.02)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            ids = self.docker("ps", "-aq", check=False).stdout.split()
            if ids:
                self.docker("rm", "-f", "-v", *ids, check=False)
        self.stop_process()
        for _ in range(50):
            left = self.below()
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.1)
        self.kill_contained()
        with open("/proc/mounts") as f:
            mounts = [line.split()[1] for line in f if " " + self.folder in line]
        for m in reversed(mounts):
            subprocess.run(["umount", "-l", m], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
