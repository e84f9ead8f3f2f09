"""Real daemons on loopback: free ports, a temporary folder, stopped by the process ids that were started here."""
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .http import eventually, get, get_json

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin")
AS_ROOT = os.geteuid() == 0


CLAIMS = []  # ours until this process ends


def claim(*names):
    """False if another run of tests on this machine has one of these. The names are abstract sockets: the kernel forgets them with us."""
    got = []
    try:
        for name in names:
            s = socket.socket(socket.AF_UNIX)
            got.append(s)
            s.bind("\0fairlead-system-%s" % name)
    except OSError:
        for s in got:
            s.close()
        return False
    CLAIMS.extend(got)
    return True


def can_bind(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(n):
    """`n` ports that follow each other, below those that the kernel gives to clients; no other test is given them, now or later."""
    for _ in range(200):
        first = random.randrange(20000, 32000 - n)
        ports = list(range(first, first + n))
        if all(can_bind(port) for port in ports) and claim(*ports):
            return ports
    raise AssertionError("no free ports")


def free_network():
    """The first address of a 127.N.0.0/16 that no other test has, for emulated agents."""
    for n in range(70, 250):
        if claim("127.%d" % n):
            return "127.%d.0.1" % n
    raise AssertionError("no free network")


def command_line(flags):
    words = []
    for name, value in flags.items():
        if value is True:
            words.append("--" + name)
        elif value is False:
            words.append("--no-" + name)
        elif value is not None:
            words.append("--%s=%s" % (name, value))
    return words


class Daemon:
    """One process that can be stopped, killed, frozen and started again with the same flags; `user`: whose it is, if not ours."""

    def __init__(self, program, name, folder, flags):
        self.user = None
        self.program = program
        self.name = name
        self.folder = folder
        self.flags = flags
        self.address = "127.0.0.1:%d" % flags["port"]
        self.process = None
        self.wrapper = []  # a command that runs the daemon in its own place, as prlimit does

    @property
    def log_path(self):
        return os.path.join(self.folder, self.name + ".log")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def start(self, wait=True):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(self.wrapper + [os.path.join(BIN, self.program)] + command_line(self.flags), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.folder, user=self.user,
                                            extra_groups=[] if self.user else None)
        if wait:
            eventually(self.healthy)
        return self

    def healthy(self):
        assert self.process.poll() is None, "%s ended:\n%s" % (self.name, self.log()[-2000:])
        return get(self.address, "/health").status == 200

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.thaw()
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill9()

    def metrics(self):
        return get_json(self.address, "/metrics/snapshot")


class Cluster:
    """A master and agents. Flags given here come on top of ones that make the daemons quick enough for tests."""

    def __init__(self, agents=1, master_flags=None, agent_flags=None):
        self.folder = tempfile.mkdtemp(prefix="fairlead-system-")
        # Tasks of other users write into sandboxes below.
        os.chmod(self.folder, 0o755)
        self.ports = free_ports(1 + max(agents, 1) + 2)
        self.agents = []
        flags = {"ip": "127.0.0.1", "hostname": "127.0.0.1", "port": self.ports[0], "work_dir": self.folder + "/master",
                 "allocation_interval": "200ms"}
        flags.update(master_flags or {})
        self.master = Daemon("fairlead-master", "master", self.folder, flags)
        try:
            self.master.start()
            for _ in range(agents):
                self.add_agent(agent_flags)
            self.wait_agents(agents)
        except BaseException:
            self.stop()
            raise

    def add_agent(self, flags=None, start=True):
        i = len(self.agents)
        own = {"ip": "127.0.0.1", "hostname": "127.0.0.1", "port": self.ports[1 + i], "master": self.master.address,
               "work_dir": "%s/agent%d" % (self.folder, i), "runtime_dir": "%s/run%d" % (self.folder, i), "launcher": "posix",
               "isolation": "posix/cpu,posix/mem", "resources": "cpus:4;mem:1024;disk:2048;ports:[31000-31099]",
               "cgroups_root": "fairlead-system-%d-%d" % (self.ports[0], i), "registration_backoff_factor": "20ms"}
        own.update(flags or {})
        a = Daemon("fairlead-agent", "agent%d" % i, self.folder, own)
        self.agents.append(a)
        if start:
            a.start()
        return a

    @property
    def agent(self):
        return self.agents[0]

    def wait_agents(self, n, wait=20):
        eventually(lambda: sum(1 for s in self.slaves() if s["active"]) == n, wait)

    def slaves(self):
        return get_json(self.master.address, "/slaves")["slaves"]

    def agent_id(self, daemon=None):
        return get_json((daemon or self.agent).address, "/state")["id"]

    def processes(self):
        """Ids of what runs inside this cluster's folder: tasks and executors that outlived their agent."""
        found = []
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                cwd = os.readlink("/proc/%s/cwd" % pid)
            except OSError:
                continue
            if cwd.startswith(self.folder + "/"):
                found.append(int(pid))
        return found

    def logs(self):
        return "".join("---- %s\n%s" % (d.name, d.log()[-4000:]) for d in [self.master] + self.agents if d.process)

    def remove_cgroups(self):
        """An agent leaves its root group behind for the next one; here there is none."""
        for a in self.agents:
            for top in glob.glob("/sys/fs/cgroup/*/%s" % a.flags.get("cgroups_root", "none")):
                for folder, _, _ in os.walk(top, topdown=False):
                    try:
                        os.rmdir(folder)
                    except OSError:
                        pass

    def unmount(self):
        """What agents mounted and could not take away, since they were stopped first."""
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f]
        for point in reversed([p for p in points if p.startswith(self.folder + "/")]):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)

    def stop(self):
        for d in self.agents + [self.master]:
            d.stop()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            left = self.processes()
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        self.remove_cgroups()
        self.unmount()
        if os.environ.get("KEEP"):
            print("kept:", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
