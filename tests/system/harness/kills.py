"""An agent that is killed with -9 again and again, at random instants, while a framework keeps it busy with all that a container can
have; and what must not be left of it afterwards. tests/system/test_35_kills.py does it a few times, tests/bench/kills.py a thousand.

Everything random comes from one seed, but the threads and the machine decide what it meets: the same seed is not the same run.
"""
import json
import os
import random
import re
import subprocess
import threading
import time

from . import images
from .cluster import BIN, Cluster
from .http import Broken, eventually, get_json, post_json
from .scheduler import TERMINAL, Scheduler, amount, new_id, scalar
from .servers import http_server

ISOLATION = ("cgroups/all,namespaces/pid,namespaces/ipc,namespaces/uts,filesystem/linux,docker/runtime,disk/du,linux/capabilities,"
             "linux/nnp,posix/rlimits")
PLUGINS = "/usr/lib/cni"  # Debian's; without them there are no networks
OUTSTANDING = 24  # tasks at a time


def make_images(folder):
    """A folder of `docker save` archives with the image `one`, of two layers."""
    layout = images.Layout(folder + "/layout")
    layout.base("one", images.second)
    os.mkdir(folder + "/archives")
    layout.save("one", folder + "/archives/one.tar", "one:latest")
    return folder + "/archives"


def make_network(folder):
    """Flags for the network `net`: a namespace for each container and a lease of an address, but no device in it, for the machine's
    network is not ours to change."""
    os.mkdir(folder + "/networks")
    with open(folder + "/networks/net.conf", "w") as f:
        json.dump({"cniVersion": "0.3.1", "name": "net", "type": "host-local",
                   "ipam": {"type": "host-local", "dataDir": folder + "/leases", "subnet": "10.88.0.0/16"}}, f)
    return {"isolation": ISOLATION + ",network/cni", "network_cni_plugins_dir": PLUGINS, "network_cni_config_dir": folder + "/networks"}


def of_image(**more):
    return dict({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "one"}}}}, **more)


class Busy:
    """A framework that launches a mixture of tasks as long as it is not told to stop. What it launched is in `tasks`."""

    def __init__(self, cluster, scheduler, server, shared, seed, networks):
        self.networks = networks
        self.c, self.s, self.server, self.shared = cluster, scheduler, server, shared
        self.random = random.Random(seed)
        self.tasks = {}  # id: kind
        self.executors = set()
        self.launched_kinds = {}
        self.stopping = threading.Event()
        self.sessions = []
        self.threads = [threading.Thread(target=self.repeat, args=(f, pause), daemon=True)
                        for f, pause in ((self.launch_some, 0.02), (self.disturb, 0.05))]
        self.acts = {"kill": 0, "operator": 0, "exec": 0}
        self.errors = []

    # ---- the kinds of tasks ----

    def shell(self):
        r = self.random
        return r.choice(["true", "sleep %.2f" % r.uniform(0, 0.6), "sleep %.2f; exit %d" % (r.uniform(0, 0.4), r.randint(1, 9)),
                         "sleep 1000", "sleep %.2f & sleep %.2f" % (r.uniform(0, 2), r.uniform(0, 0.3)), "kill -9 $$"])

    def uris(self):
        some = [{"value": self.shared + "/file"}, {"value": self.server.url + "/slow/file"}, {"value": self.server.url + "/file", "cache": True},
                {"value": self.server.url + "/missing"}]
        return self.random.sample(some[:3], self.random.randint(1, 2)) + (some[3:] if self.random.random() < 0.15 else [])

    def volumes(self):
        return [{"mode": "RW", "container_path": "shared", "host_path": self.shared},
                {"mode": "RW", "container_path": "inner", "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "place"}}},
                {"mode": "RO", "container_path": "image", "image": {"type": "DOCKER", "docker": {"name": "one"}}}][:self.random.randint(1, 3)]

    def one(self, offer, kind):
        more = {}
        if kind == "image":
            more["container"] = of_image()
        elif kind == "volumes":
            more["container"] = {"type": "MESOS", "volumes": self.volumes()}
        elif kind == "image and volumes":
            more["container"] = of_image(volumes=self.volumes())
        t = self.s.task(offer, self.shell(), cpus=0.1, mem=32, **more)
        if kind == "network":
            t["container"] = dict(self.random.choice([{"type": "MESOS"}, of_image()]), network_infos=[{"name": "net"}])
        if kind == "uris":
            t["command"]["uris"] = self.uris()
        if kind == "no such image":
            t["container"] = of_image(mesos={"image": {"type": "DOCKER", "docker": {"name": "nothing"}}})
        return t

    def group(self, offer):
        executor = {"type": "DEFAULT", "executor_id": {"value": new_id("pod")}, "framework_id": {"value": self.s.id},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
        if self.networks and self.random.random() < 0.3:
            executor["container"] = {"type": "MESOS", "network_infos": [{"name": "net"}]}
        tasks = [self.one(offer, self.random.choice(["command", "command", "image", "uris", "volumes"]))
                 for _ in range(self.random.randint(1, 3))]
        self.executors.add(executor["executor_id"]["value"])
        return executor, tasks

    def note(self, tasks, kind):
        for t in tasks:
            self.tasks[t["task_id"]["value"]] = kind
            self.launched_kinds[kind] = self.launched_kinds.get(kind, 0) + 1

    def launch_some(self):
        n = OUTSTANDING - len(self.open())
        if n < 3:
            return
        offer = self.s.offer(cpus=0.5, wait=0.5)
        if self.random.random() < 0.25 and amount(offer, "disk") >= 64:
            executor, tasks = self.group(offer)
            self.note(tasks, "pod")
            what = {"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}}
        else:
            tasks = []
            for _ in range(self.random.randint(1, 3)):
                kind = self.random.choice(["command", "command", "uris", "image", "volumes", "image and volumes", "no such image"] +
                                          ["network"] * 2 * self.networks)
                tasks.append(self.one(offer, kind))
                self.note(tasks[-1:], kind)
            what = {"type": "LAUNCH", "launch": {"task_infos": tasks}}
        self.s.accept(offer, [what])

    # ---- what else happens ----

    def disturb(self):
        r = self.random
        now = self.running()
        if r.random() < 0.5:
            (self.server.what.hold.clear if r.random() < 0.5 else self.server.what.hold.set)()
        if not now:
            return
        task, status = r.choice(now)
        act = r.random()
        if act < 0.12:
            self.acts["kill"] += 1
            self.s.kill(task)
        elif act < 0.16:
            self.acts["operator"] += 1
            post_json(self.c.agent.address, "/api/v1", {"type": "KILL_CONTAINER", "kill_container": {
                "container_id": status["container_status"]["container_id"]}})
        elif act < 0.24 and sum(1 for p in self.sessions if p.poll() is None) < 3:
            self.acts["exec"] += 1
            self.sessions.append(subprocess.Popen([os.path.join(BIN, "fairlead"), "exec", "--master", self.c.master.address, task, "--",
                                                   "sleep", "%.2f" % r.uniform(0, 1)],
                                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def repeat(self, what, pause):
        while not self.stopping.is_set():
            try:
                what()
            except (OSError, Broken, AssertionError):
                pass  # the agent is not there just now, or there is no offer
            except Exception as e:  # a thread's own mistake is shown by the test
                self.errors.append(repr(e))
                return
            time.sleep(pause)

    def start(self):
        for t in self.threads:
            t.start()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        self.server.what.hold.set()
        for p in self.sessions:
            p.terminate()
        for p in self.sessions:
            p.wait()

    # ---- what became of them ----

    def by_task(self):
        """{task: its statuses}"""
        with self.s.lock:
            updates = [e["update"]["status"] for e in self.s.events if e["type"] == "UPDATE"]
        found = {}
        for status in updates:
            found.setdefault(status["task_id"]["value"], []).append(status)
        return found

    def open(self):
        told = self.by_task()
        return [t for t in list(self.tasks) if not any(s["state"] in TERMINAL for s in told.get(t, []))]

    def running(self):
        told = self.by_task()
        return [(t, told[t][-1]) for t in list(self.tasks)
                if t in told and told[t][-1]["state"] == "TASK_RUNNING" and "container_status" in told[t][-1]]

    def end_all(self, wait=60):
        """Kills what runs, until every task has ended. Reconciliation may be needed to learn it."""
        end = time.monotonic() + wait
        while self.open():
            assert time.monotonic() < end, "no end of %s" % [(t, self.tasks[t], self.by_task().get(t)) for t in self.open()][:5]
            for t in self.open():
                self.s.kill(t)
            self.s.reconcile(*((t, None) for t in self.open()))
            time.sleep(1)

    def ended_twice(self):
        """Tasks that were told to have ended in more than one way. The same update may come again until it is acknowledged."""
        twice = {}
        for t, statuses in self.by_task().items():
            ends = {s["state"] for s in statuses if s["state"] in TERMINAL}
            if len(ends) > 1:
                twice[t] = (self.tasks.get(t), [(s["state"], s.get("source"), s.get("reason"), s.get("message")) for s in statuses])
        return twice


class Killed:
    """A cluster of one agent, with what it needs, and the kills."""

    def __init__(self, folder, seed, say=lambda text: None):
        self.random = random.Random(seed)
        self.seed = seed
        self.say = say
        self.shared = folder + "/shared"
        os.mkdir(self.shared)
        with open(self.shared + "/file", "wb") as f:
            f.write(os.urandom(64 << 10))
        self.archives = make_images(folder)
        self.leased = folder + "/leases"
        self.networks = os.path.exists(PLUGINS + "/host-local")
        self.network_flags = make_network(folder) if self.networks else {}
        self.kills = {"at random": 0, "registered": 0}

    def __enter__(self):
        self.server = http_server().__enter__()
        self.server.what.files["/file"] = os.urandom(64 << 10)
        self.c = Cluster(agents=0)
        flags = {"launcher": "linux", "isolation": ISOLATION, "image_providers": "docker", "docker_store_dir": self.c.folder + "/store",
                 "docker_registry": self.archives, "resources": "cpus:16;mem:8192;disk:8192", "executor_reregistration_timeout": "5secs",
                 "fetcher_cache_dir": self.c.folder + "/fetched", "gc_delay": "1hrs", "attributes": "rack:one"}
        flags.update(self.network_flags)
        try:
            self.c.add_agent(flags)
            self.c.wait_agents(1)
            self.s = Scheduler(self.c.master.address, ["PARTITION_AWARE", "TASK_KILLING_STATE"], checkpoint=True, failover_timeout=600.0)
            self.s.subscribe()
        except BaseException:
            self.close()
            raise
        self.busy = Busy(self.c, self.s, self.server, self.shared, self.seed + 1, self.networks)
        return self

    def __exit__(self, *_):
        self.busy.stop()
        self.s.teardown()
        self.close()

    def close(self):
        self.c.stop()
        self.server.__exit__()

    # ---- killing ----

    def life(self):
        """How long the next agent lives: half of them from their start, which mostly ends their recovery; half from when they are
        registered, which ends what they do then."""
        seconds = min(max(self.random.expovariate(1 / 0.2), 0.005), 0.8)
        if self.random.random() < 0.5:
            time.sleep(seconds)
            self.kills["at random"] += 1
            return
        self.registered()
        time.sleep(seconds)
        self.kills["registered"] += 1

    def registered(self):
        def there():
            assert self.c.agent.process.poll() is None, "the agent ended by itself:\n%s" % self.c.agent.log()[-3000:]
            return self.s.held or any(s["active"] and s["pid"] for s in self.c.slaves()) and self.answers()
        eventually(there, 60, 0.02)

    def answers(self):
        try:
            return get_json(self.c.agent.address, "/health") is not None
        except (OSError, Broken, AssertionError, ValueError):
            return False

    def kill(self, n):
        """`n` times; the agent is up again afterwards."""
        for i in range(n):
            self.life()
            code = self.c.agent.process.poll()
            assert code is None, "the agent ended by itself (%s) before kill %d:\n%s" % (code, i, self.c.agent.log()[-3000:])
            self.c.agent.kill9()
            self.c.agent.start(wait=False)
            if (i + 1) % 50 == 0:
                self.say("%d kills, %d tasks" % (i + 1, len(self.busy.tasks)))
        self.c.wait_agents(1, 60)

    # ---- what is left ----

    def own(self):
        """Ids of the daemons and of what they run for themselves, such as the launcher."""
        own = {self.c.master.process.pid, self.c.agent.process.pid, os.getpid()}
        parents = {}
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % pid) as f:
                    parents[int(pid)] = int(f.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
        while True:
            more = {p for p, parent in parents.items() if parent in own and p not in own and parent != os.getpid()}
            if not more:
                return own
            own |= more

    def processes(self):
        """What has this cluster's folder or cgroups in its working directory, command line, environment or groups."""
        group = self.c.agent.flags["cgroups_root"].encode()
        own = self.own()
        found = []
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or int(pid) == os.getpid():
                continue
            said = {}
            for name in ("cmdline", "environ", "cgroup"):
                try:
                    with open("/proc/%s/%s" % (pid, name), "rb") as f:
                        said[name] = f.read()
                except OSError:
                    said[name] = b""
            try:
                said["cwd"] = os.readlink("/proc/%s/cwd" % pid).encode()
            except OSError:
                said["cwd"] = b""
            container = group in said["cgroup"] or said["cmdline"].startswith(b"fairlead-shim") and self.c.folder.encode() in said["cmdline"]
            if container or int(pid) not in own and any(self.c.folder.encode() in w for w in said.values()):
                found.append((int(pid), said["cmdline"][:100]))
        return found

    def cgroups(self):
        found = []
        for hierarchy in os.listdir("/sys/fs/cgroup"):
            top = "/sys/fs/cgroup/%s/%s" % (hierarchy, self.c.agent.flags["cgroups_root"])
            for folder, names, _ in os.walk(top):
                found += ["%s/%s" % (folder, n) for n in names]
        return found

    def mounts(self):
        """In this namespace and in the agent's. The one that keeps the namespaces of network/cni to themselves stays, but once."""
        found = []
        for pid in {os.readlink("/proc/%s/ns/mnt" % p): p for p in ("self", self.c.agent.process.pid)}.values():
            with open("/proc/%s/mountinfo" % pid) as f:
                here = [line.split()[4] for line in f if self.c.folder in line]
            kept = self.c.folder + "/run0/isolators/network/cni"
            if kept in here:
                here.remove(kept)
            found += here
        return found

    def folders(self):
        f = self.c.folder
        found = []
        for path in (f + "/agent0/provisioner/containers", f + "/run0/containers", f + "/run0/isolators/network/cni", f + "/store/staging", f + "/store/gc"):
            if os.path.isdir(path):
                found += ["%s/%s" % (path, n) for n in os.listdir(path)]
        return found

    def leases(self):
        return [n for _, _, names in os.walk(self.leased) for n in names if n[0].isdigit()]

    def sandboxes(self):
        """Those of executors that nobody asked for."""
        known = set(self.busy.tasks) | self.busy.executors
        found = []
        for folder, names, _ in os.walk(self.c.folder + "/agent0/slaves"):
            if os.path.basename(folder) == "executors":
                found += ["%s/%s" % (folder, n) for n in names if n not in known]
                names.clear()
        return found

    def unacknowledged(self):
        state = get_json(self.c.agent.address, "/state")
        return [e["id"] for f in state["frameworks"] for e in f["executors"]]

    def containers(self):
        return get_json(self.c.agent.address, "/containers")

    def leaks(self):
        """{what: those that are left}; empty when all is well."""
        left = {name: getattr(self, name)() for name in ("unacknowledged", "containers", "processes", "cgroups", "mounts", "folders", "leases",
                                                         "sandboxes")}
        return {k: v for k, v in left.items() if v}

    def no_leaks(self, wait=20):
        end = time.monotonic() + wait
        while True:
            left = self.leaks()
            if not left:
                return {}
            if time.monotonic() > end:
                return left
            time.sleep(0.2)

    def descriptors(self):
        fds = {}
        folder = "/proc/%d/fd" % self.c.agent.process.pid
        for n in os.listdir(folder):
            try:
                to = os.readlink("%s/%s" % (folder, n))
            except OSError:
                continue
            kind = to.split(":")[0] if not to.startswith("/") else to
            fds[kind] = fds.get(kind, 0) + 1
        return fds

    # ---- the whole ----

    def run(self, n):
        """Kills, and lets all end; {what was found: ...} of which `leaks` and `twice` are to be empty."""
        began = time.monotonic()
        self.busy.start()
        self.kill(n)
        seconds = time.monotonic() - began
        self.busy.stop()
        self.busy.end_all()
        left = self.no_leaks()
        return {"kills": n, "seed": self.seed, "how": self.kills, "seconds a kill": round(seconds / n, 3), "tasks": self.busy.launched_kinds,
                "acts": self.busy.acts, "ends": self.ends(),
                "reasons": self.reasons(), "lost": self.lost(), "twice": self.busy.ended_twice(), "leaks": left, "errors": self.busy.errors}

    def ends(self, key=lambda s: s["state"]):
        count = {}
        for statuses in self.busy.by_task().values():
            for kind in {key(s) for s in statuses if s["state"] in TERMINAL}:
                count[kind] = count.get(kind, 0) + 1
        return count

    def lost(self):
        """How many ran, and were lost: their end was begun by somebody and the agent killed before it was known."""
        return sum(1 for statuses in self.busy.by_task().values() if any(s["state"] == "TASK_RUNNING" for s in statuses) and
                   any("left no exit status" in s.get("message", "") for s in statuses))

    def reasons(self):
        """With messages where the kind of the end is one that no task asked for."""
        odd = ("REASON_EXECUTOR_TERMINATED", "REASON_TASK_GROUP_INVALID", "REASON_TASK_INVALID")
        return self.ends(lambda s: "%s %s%s" % (s["state"], s.get("reason", "-"), ": " + re.sub("[0-9a-f]{8}|'[^']*'", "*", s.get("message", ""))
                                                if s.get("reason") in odd else ""))

    def quiet(self):
        """A fresh agent at work without being killed: what descriptors it has before that it has not after."""
        self.c.agent.kill9()
        self.c.agent.start()
        self.c.wait_agents(1)
        tasks = []

        def burst():
            offer = self.s.offer(cpus=2)
            some = [self.busy.one(offer, k) for k in ["command", "image", "uris", "volumes"] + ["network"] * self.networks]
            for t in some:
                t["command"]["value"] = "true"
            self.busy.note(some, "quiet")
            self.s.launch(offer, *some)
            for t in some:
                self.s.end_of(t["task_id"]["value"])
            tasks.extend(some)
            return self.no_leaks()
        left = burst()
        before = self.descriptors()
        for _ in range(2):
            left = burst() or left
        after = self.descriptors()
        return left, {k: (before.get(k, 0), v) for k, v in after.items() if v > before.get(k, 0) + (2 if k == "socket" else 0)}
