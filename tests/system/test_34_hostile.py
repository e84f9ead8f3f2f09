"""Tasks that mean harm: too many processes, too much memory, disk or output; ways out of the container, of the sandbox, of the image. Each is
contained and reported for what it was, while a neighbour goes on without a pause and the agent answers. Every one has limits of its own
besides, so that what is not contained does no harm to the machine."""
import glob
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest

from harness import images
from harness.cluster import Cluster
from harness.http import Broken, eventually, get, get_json, request
from harness.scheduler import Scheduler, resources, scalar

SECONDS = 30

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(images.missing()), reason="needs skopeo, umoci, busybox-static"),
              pytest.mark.skipif(not os.path.exists("/sys/fs/cgroup/pids/cgroup.procs"), reason="looks at cgroups of version 1")]

ISOLATION = ("cgroups/cpu,cgroups/mem,cgroups/pids,cgroups/devices,namespaces/pid,namespaces/ipc,filesystem/linux,docker/runtime,"
             "linux/capabilities,linux/nnp,posix/rlimits,disk/du")
# What Docker leaves to root.
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
                "SYS_CHROOT", "KILL", "AUDIT_WRITE"]
TICK = 0.05
PAUSE = 1.0
NEIGHBOUR = """
import os, time
with open("secret", "w") as f:
    os.chmod("secret", 0o600)
    f.write("theirs")
with open("ticks", "w", buffering=1) as f:
    while True:
        f.write("%%f\\n" %% time.monotonic())
        time.sleep(%g)
""" % TICK
HARNESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness")


def python(text, *args, user=None, **more):
    """A task's fields for a Python program; `more` is the command's."""
    command = dict({"shell": False, "value": "/usr/bin/python3", "arguments": ["python3", "-c", text] + list(args)}, **more)
    return {"command": dict(command, user=user) if user else command}


def shell(text, user=None, **more):
    command = dict({"value": text}, **more)
    return {"command": dict(command, user=user) if user else command}


def limits(pids=0, disk=0, mem=64, cpus=0.1):
    return {"resources": resources(cpus, mem, disk or None) + ([scalar("pids", pids)] if pids else [])}


def in_image(name, *volumes):
    """With the machine's /usr, for its Python."""
    usr = {"mode": "RO", "container_path": "/usr", "host_path": "/usr"}
    return {"container": {"type": "MESOS", "volumes": [usr] + list(volumes),
                          "mesos": {"image": {"type": "DOCKER", "docker": {"name": name}}}}}


class Asker(threading.Thread):
    """Asks the agent for its health all the time; keeps the longest time it took."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.longest = 0
        self.failed = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(TICK):
            begin = time.monotonic()
            try:
                status = get(self.address, "/health").status
            except (OSError, Broken) as e:
                status = repr(e)
            if status != 200:
                self.failed.append(status)
            self.longest = max(self.longest, time.monotonic() - begin)


class World:
    def __init__(self, cluster, scheduler):
        self.c = cluster
        self.s = scheduler
        self.cgroups = "/sys/fs/cgroup/*/%s/" % cluster.agent.flags["cgroups_root"]
        task, status = self.start(**python(NEIGHBOUR, user="nobody", environment={"variables": [{"name": "TOKEN", "value": "theirs"}]}),
                                  **limits(cpus=1))
        self.neighbour = status["container_status"]["container_id"]["value"]
        self.box = self.sandbox(task)
        eventually(lambda: os.path.getsize(self.box + "/ticks"))
        self.asker = Asker(cluster.agent.address)
        self.asker.start()

    def launch(self, *tasks):
        """Tasks by their fields, all at once; their ids."""
        offer = self.s.offer(cpus=3.0)
        infos = [self.s.task(offer, None, **t) for t in tasks]
        self.s.launch(offer, *infos)
        return [t["task_id"]["value"] for t in infos]

    def start(self, **task):
        task_id, = self.launch(task)
        return task_id, self.s.status(task_id, "TASK_RUNNING")

    def ends(self, *tasks):
        """(status, sandbox) of each of these tasks, by its fields."""
        return [(self.s.end_of(t, 30), self.sandbox(t)) for t in self.launch(*tasks)]

    def sandbox(self, task_id):
        found = glob.glob("%s/agent0/slaves/*/frameworks/*/executors/%s/runs/*-*" % (self.c.folder, task_id))
        assert len(found) == 1, found
        return found[0]

    def groups(self):
        return {os.path.basename(g.rstrip("/")) for g in glob.glob(self.cgroups + "*/")}

    def neighbours_pids(self):
        with open(glob.glob("/sys/fs/cgroup/pids/%s/%s/cgroup.procs" % (self.c.agent.flags["cgroups_root"], self.neighbour))[0]) as f:
            return f.read().split()

    def mounted(self):
        with open("/proc/self/mountinfo") as f:
            return [line for line in f if self.c.folder + "/" in line]

    def ticks(self):
        with open(self.box + "/ticks") as f:
            return [float(line) for line in f.read().splitlines()[:-1]]


def says(end):
    return end["state"], end.get("reason"), end.get("message")


def text(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def links(root):
    """Python's, and folders that the machine's /usr comes to."""
    for d in ("lib", "lib64"):
        os.symlink("usr/" + d, root + "/" + d)
    os.mkdir(root + "/mnt")


@pytest.fixture(scope="module")
def archives():
    """Images: `good`, and `astray`, whose folders that a container needs are links to `victim` of the machine."""
    folder = tempfile.mkdtemp(prefix="fairlead-hostile-")
    os.chmod(folder, 0o755)
    os.makedirs(folder + "/archives")
    os.mkdir(folder + "/victim")
    with open(folder + "/victim/file", "w") as f:
        f.write("whole")

    def astray(root):
        os.rmdir(root + "/mnt")
        shutil.rmtree(root + "/etc")
        for name, to in (("etc", "/../../../.." + folder + "/victim"), ("mnt", folder + "/victim"), ("proc", "../../../.." + folder + "/victim"),
                         ("sys", folder + "/victim"), ("dev", folder + "/victim"), ("usr", folder + "/victim")):
            os.symlink(to, root + "/" + name)
    layout = images.Layout(folder + "/layout")
    layout.base("good", links)
    layout.base("astray", links, astray)
    for name in ("good", "astray"):
        layout.save(name, "%s/archives/%s.tar" % (folder, name), name + ":latest")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def own(archives):
    flags = {"launcher": "linux", "isolation": ISOLATION, "image_providers": "docker", "docker_registry": archives + "/archives",
             "docker_store_dir": archives + "/store", "resources": "cpus:16;mem:8192;disk:8192;pids:4000",
             "bounding_capabilities": json.dumps({"capabilities": CAPABILITIES}), "effective_capabilities": json.dumps({"capabilities": []}),
             "enforce_container_disk_quota": True, "container_disk_watch_interval": "200ms", "container_log_max_size": "64KB",
             "container_log_max_files": 2, "fetcher_cache_dir": archives + "/cache"}
    with Cluster(agents=1, agent_flags=flags) as c:
        with Scheduler(c.master.address) as s:
            yield c, World(c, s)


@pytest.fixture
def world(own):
    """What every case must leave alone is looked at after it."""
    w = own[1]
    before = w.mounted()
    w.asker.longest = 0
    begin = time.monotonic()
    yield w
    eventually(lambda: w.groups() == {w.neighbour})
    eventually(lambda: w.mounted() == before)
    ticks = [begin] + [t for t in w.ticks() if t > begin] + [time.monotonic()]
    assert max(b - a for a, b in zip(ticks, ticks[1:])) < PAUSE
    assert not w.asker.failed and w.asker.longest < PAUSE
    assert sorted(os.listdir(w.box)) == ["secret", "stderr", "stdout", "ticks"] and text(w.box, "secret") == "theirs"
    assert w.c.agent.process.poll() is None


# ---- too much ----

# Children that make children; a count that all see keeps it from ever being more than 2,000.
FORK_BOMB = """
import mmap, os, time
count = mmap.mmap(-1, 4096)
def bomb():
    for _ in range(50):
        if int.from_bytes(count[:4], "little") > 2000:
            return
        try:
            pid = os.fork()
        except OSError:
            count[100] = 1
            time.sleep(0.01)
            continue
        if pid == 0:
            count[:4] = (int.from_bytes(count[:4], "little") + 1).to_bytes(4, "little")
            x = bytearray(%d)
            bomb()
            time.sleep(20)
            os._exit(0)
bomb()
time.sleep(0.5)
print(int.from_bytes(count[:4], "little"), count[100])
"""
THREADS = """
import threading, time
try:
    for i in range(1000):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
except RuntimeError:
    pass
print(i, flush=True)
__import__("os")._exit(0)
"""
DESCRIPTORS = """
import os
n = 0
try:
    while n < 5000:
        os.open("/dev/null", os.O_RDONLY)
        n += 1
except OSError as e:
    print(n, e.errno)
"""
ORPHANS = """
import glob, os, time
for _ in range(60):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(0)
    os.wait()
def zombies():
    n = 0
    for p in glob.glob("/proc/[0-9]*/stat"):
        try:
            n += open(p).read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            pass
    return n
end = time.monotonic() + 10
time.sleep(0.3)
while zombies() and time.monotonic() < end:
    time.sleep(0.05)
print(zombies())
for _ in range(60):
    if os.fork() == 0:
        os._exit(0)
"""
# Kills all it may: where that might be the machine, it does not try.
KILL_ALL = """
import os, sys
if os.readlink("/proc/self/ns/pid") != sys.argv[1]:
    child = os.fork() or os.execlp("sleep", "sleep", "60")
    os.kill(-1, 9)
    print(os.waitpid(child, 0)[1])
"""


def test_too_many_processes(world):
    tasks = [dict(python(FORK_BOMB % 1, user=user), **limits(pids=40)) for user in ("daemon", "root")]
    tasks += [dict(python(THREADS, user=user), **limits(pids=40)) for user in ("daemon", "root")]
    for end, box in world.ends(*tasks):
        assert end["state"] == "TASK_FINISHED", says(end)
        assert 10 < int(text(box, "stdout").split()[0]) <= 41, text(box, "stdout")


def test_processes_that_want_to_stay(world):
    stay = "import os, time\nfor _ in range(2): os.fork() and os._exit(0); os.setsid()\n%s"
    shell_stay = "trap '' TERM HUP INT; (trap '' TERM HUP; setsid sh -c '%s' &) ; sleep 0.2"
    busy, flood = "while :; do :; done", "while :; do echo flood; done"
    tasks = [dict(python(stay % "time.sleep(60)", user="daemon"), **limits()), dict(python(ORPHANS), **limits()),
             dict(shell(shell_stay % busy), **limits()), dict(shell(shell_stay % busy, user="daemon"), **limits()),
             dict(shell(shell_stay % flood), **limits()), dict(python(KILL_ALL, os.readlink("/proc/self/ns/pid")), **limits())]
    ends = world.ends(*tasks)
    assert [e["state"] for e, _ in ends] == ["TASK_FINISHED"] * len(tasks), [says(e) for e, _ in ends]
    assert text(ends[1][1], "stdout") == "0\n" and text(ends[5][1], "stdout") == "9\n"


def test_one_that_does_not_want_to_end(world):
    task, _ = world.start(**python("import os, signal, time\nfor n in range(1, 64):\n  n in (9, 19, 32, 33) or signal.signal(n, signal.SIG_IGN)\n"
                                   "os.fork()\nopen('ready', 'w')\ntime.sleep(100)", user="daemon"), **limits())
    eventually(lambda: os.path.exists(world.sandbox(task) + "/ready"))
    begin = time.monotonic()
    world.s.kill(task, grace=0.2)
    assert world.s.end_of(task)["state"] == "TASK_KILLED" and time.monotonic() - begin < 5


def test_too_much_memory(world):
    hog = "x = []\nfor i in range(50): x.append(bytearray(b'x') * (4 << 20))\n__import__('time').sleep(20)"
    shm = "import os\nf = open('/dev/shm/x', 'wb')\nfor i in range(50): f.write(b'x' * (4 << 20))\n__import__('time').sleep(20)"
    tasks = [dict(python(hog, user=user), **limits(mem=64)) for user in ("daemon", "root")]
    tasks += [dict(python(shm, user=user), **limits(mem=64), **in_image("good")) for user in ("daemon", "root")]
    tasks.append(dict(python(FORK_BOMB % (1 << 20), user="daemon"), **limits(mem=64)))
    for end, _ in world.ends(*tasks):
        assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY", says(end)
        assert "Memory limit exceeded: Requested: " in end["message"] and end["limitation"]["resources"][0]["name"] == "mem", end


def test_too_much_disk_output_and_files(world):
    fill = "head -c 40000000 /dev/zero >f; sleep 20"
    nofile = {"container": {"type": "MESOS", "rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 64, "hard": 64}]}}}
    flood = shell("head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2", user="daemon")
    tasks = [dict(shell(fill, user="daemon"), **limits(disk=8)), dict(shell(fill), **limits(disk=8)),
             dict(shell(fill), **limits(disk=8), **in_image("good")),
             dict(flood, **limits(disk=8)), dict(python(DESCRIPTORS, user="daemon"), **limits(), **nofile),
             dict(python(DESCRIPTORS, user="root"), **limits(), **nofile)]
    ends = world.ends(*tasks)
    for end, _ in ends[:3]:
        assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_CONTAINER_LIMITATION_DISK", says(end)
        assert "exceeds quota (8MB)" in end["message"] and end["limitation"]["resources"][0]["name"] == "disk", end
    end, box = ends[3]
    assert end["state"] == "TASK_FINISHED", says(end)
    logs = [f for f in os.listdir(box) if f.startswith("std")]
    assert len(logs) == 6 and all(os.path.getsize(os.path.join(box, f)) <= 64 << 10 for f in logs), logs
    for end, box in ends[4:]:
        count, errno = text(box, "stdout").split()
        assert int(count) < 64 and errno == "24", says(end)


# ---- out ----

def test_nobody_gets_out(world, archives):
    w = world
    pids = {p: text("/proc", str(p), "comm").strip() for p in [w.c.agent.process.pid, w.c.master.process.pid, os.getpid()] +
            w.neighbours_pids()}
    agent, run = w.c.agent.flags["work_dir"], w.c.agent.flags["runtime_dir"]
    disk = os.stat(agent).st_dev
    secrets = [agent + "/meta", run + "/containers/" + w.neighbour, w.box, w.box + "/secret", archives + "/store", archives + "/cache", "/etc/shadow"]
    outside = {"pids": pids, "secrets": [p for p in secrets if os.path.exists(p)], "disk": [os.major(disk), os.minor(disk)]}
    program = text(HARNESS, "escape.py")
    tasks = [dict(python(program, json.dumps(dict(outside)), user="daemon"), **limits())]
    tasks += [dict(python(program, json.dumps(dict(outside)), user=user), **limits(), **in_image("good")) for user in ("daemon", "root")]
    for end, box in w.ends(*tasks):
        assert end["state"] == "TASK_FINISHED", (says(end), text(box, "stderr"))
        assert json.loads(text(box, "stdout")) == {}


def test_the_agent_has_no_sockets_that_tasks_can_reach(world):
    """Abstract ones are the machine's, whatever a container's root is."""
    fds = glob.glob("/proc/%d/fd/*" % world.c.agent.process.pid)
    inodes = {os.readlink(f)[8:-1] for f in fds if os.path.lexists(f) and os.readlink(f).startswith("socket:[")}
    assert inodes
    for line in text("/proc/net/unix").splitlines()[1:]:
        words = line.split()
        assert len(words) < 8 or not words[7].startswith("@") or words[6] not in inodes, line


def tar_of(*entries):
    """(name, target of a link or None for a file) each."""
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w") as t:
        for name, to in entries:
            i = tarfile.TarInfo(name)
            i.type, i.linkname = (tarfile.SYMTYPE, to) if to else (tarfile.REGTYPE, "")
            t.addfile(i, None if to else io.BytesIO(b""))
    return b.getvalue()


@pytest.fixture(scope="module")
def packed(archives):
    """Archives and files of a folder that all may read."""
    folder = archives + "/packed"
    os.mkdir(folder)
    victim = archives + "/victim"
    for name, data in (("dots.tar", tar_of(("../" * 30 + victim + "/evil", None))), ("through.tar", tar_of(("l", victim), ("l/evil", None))),
                       ("link.tar", tar_of(("l", victim))), ("plain", b"x")):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return folder


def untouched(archives):
    assert os.listdir(archives + "/victim") == ["file"] and text(archives, "victim/file") == "whole"
    st = os.stat(archives + "/victim/file")
    assert (st.st_uid, st.st_nlink, stat.S_IMODE(st.st_mode)) == (0, 1, 0o644)


def test_what_is_fetched_stays_inside(world, archives, packed):
    u = "file://%s/" % packed
    os.chmod(archives + "/victim", 0o777)
    cases = [("daemon", "Permission denied", {"value": "file:///etc/shadow"}), ("daemon", "Permission denied", {"value": "file:///etc/shadow", "cache": True}),
             ("root", "sandbox", {"value": u + "plain", "output_file": "../evil"}),
             ("root", "sandbox", {"value": u + "plain", "output_file": archives + "/victim/evil"}),
             ("root", "outside", {"value": u + "dots.tar"}), ("daemon", "outside", {"value": u + "dots.tar"}),
             ("root", "outside", {"value": u + "through.tar"}), ("daemon", "outside", {"value": u + "through.tar"})]
    more = [("root", "l", [{"value": u + "link.tar"}, {"value": u + "plain", "output_file": "l/evil"}])]
    all_cases = [(user, what, [uri]) for user, what, uri in cases] + more
    for (user, what, _), (end, _) in zip(all_cases, world.ends(*[dict(shell("true", user=user, uris=uris), **limits()) for user, _, uris in all_cases])):
        assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"), (user, what, says(end))
        assert "Failed to fetch all URIs" in end["message"] and what in end["message"], (user, what, says(end))
    untouched(archives)


def test_volumes(world, archives, packed):
    victim = archives + "/victim"

    def volume(at, mode="RW", **more):
        return dict({"mode": mode, "container_path": at}, **(more or {"host_path": victim}))
    link = {"uris": [{"value": "file://%s/link.tar" % packed}]}
    here = {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "../../../../../../../../.." + victim}}
    refused = [dict(shell("true"), container={"type": "MESOS", "volumes": [volume("../x")]}),
               dict(shell("true"), **in_image("good", volume("/../../x/.."))),
               dict(shell("touch v/evil"), container={"type": "MESOS", "volumes": [volume("v", source=here)]}),
               dict(shell("true", **link), container={"type": "MESOS", "volumes": [volume("l/x", host_path="/tmp")]}),
               dict(shell("true", **link), container={"type": "MESOS", "volumes": [volume("l", host_path="/tmp")]})]
    read = "! touch v/evil && ! rm v/file && ! chmod 777 v/file && ! mount -o remount,rw v && test $(cat v/file) = whole"
    allowed = [dict(shell(read, user=user), **limits(), **more) for user in ("daemon", "root")
               for more in ({"container": {"type": "MESOS", "volumes": [volume("v", "RO")]}}, in_image("good", volume("v", "RO")))]
    ends = world.ends(*[dict(t, **limits()) for t in refused], *allowed)
    assert [e["state"] for e, _ in ends] == ["TASK_FAILED"] * len(refused) + ["TASK_FINISHED"] * len(allowed), [says(e) for e, _ in ends]
    assert {e["reason"] for e, _ in ends[:len(refused)]} == {"REASON_CONTAINER_LAUNCH_FAILED"}, [says(e) for e, _ in ends]
    untouched(archives)


def test_an_image_of_links(world, archives):
    """They lead nowhere but into the image, whatever is mounted or made there; what is more than the task's own does not matter."""
    only = {"container": {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "astray"}}}}}
    write = "touch /etc/evil /mnt/evil /dev/evil; rm -rf /etc/* /usr/*; ! test -e %s/victim/file" % archives
    for end, _ in world.ends(dict(shell(write), **limits(), **only), dict(shell(write, user="daemon"), **limits(), **only),
                             dict(shell(write), **limits(), **in_image("astray"))):
        assert end["state"] in ("TASK_FINISHED", "TASK_FAILED"), says(end)
    untouched(archives)


# ---- against who looks at it ----

def test_files_that_mean_harm_to_who_reads_them(world):
    names = ("import os\nos.remove('stdout'); os.mkfifo('stdout'); os.remove('stderr'); os.symlink('/etc/shadow', 'stderr')\n"
             "os.symlink('%s', 'folder'); os.symlink('self', 'self')\n"
             "for n in (b'\\xff\\xfe\\n' * 85, b'\"},{\"', b'a\\n\\r\\t\\x01\\x7f', b'\\\\u0000'): open(n, 'w')\n"
             "open('ready', 'w'); __import__('time').sleep(100)" % os.path.dirname(world.box))
    task, _ = world.start(**python(names, user="daemon"), **limits())
    box = world.sandbox(task)
    eventually(lambda: os.path.exists(box + "/ready"))
    a = world.c.agent.address
    shown = get_json(a, "/files/browse?path=" + box)
    assert len(shown) == len(os.listdir(box)) - 1 == 8  # without the link to itself
    for name in ("stdout", "stderr", "folder", "folder/secret", "self", "../../../../../../../../../../etc/shadow"):
        for path in ("/files/read?offset=0&length=100&path=", "/files/download?path="):
            answer = request(a, "GET", "%s%s/%s" % (path, box, name), wait=5)
            assert answer.status in (400, 403, 404), (name, path, answer)
    for name in ("folder", "self", ".."):
        assert get(a, "/files/browse?path=%s/%s" % (box, name)).status in (400, 403, 404) , name
    world.s.kill(task)
    assert world.s.end_of(task)["state"] == "TASK_KILLED"


def test_folders_that_are_hard_to_remove(world):
    """In an agent that removes sandboxes at once. The deepest folder has a path of 24,000 bytes, which no system call takes."""
    own = {k: v for k, v in world.c.agent.flags.items() if k in ("launcher", "isolation", "image_providers", "docker_registry", "resources")}
    agent = world.c.add_agent(dict(own, gc_delay="1ms", docker_store_dir=world.c.folder + "/store1", container_disk_watch_interval="100ms"))
    world.c.wait_agents(2)
    make = ("import os\nos.symlink('%s', 'out')\nos.mkdir('many')\nfor i in range(20000): os.close(os.open('many/%%d' %% i, os.O_CREAT))\n"
            "open(b'\\xff\\n' * 127, 'w')\nfor i in range(400): os.mkdir('d' * 60); i %% 90 or os.symlink('%s', 'l'); os.chdir('d' * 60)\n"
            "os.chmod('.', 0)" % (world.box, world.box))
    agent_id = world.c.agent_id(agent)
    tasks = []
    for user in ("daemon", "root"):
        offer = world.s.offer(agent_id)
        t = world.s.task(offer, None, **python(make, user=user), **limits())
        world.s.launch(offer, t)
        tasks.append(t["task_id"]["value"])
    try:
        for t in tasks:
            assert world.s.end_of(t)["state"] == "TASK_FINISHED", says(world.s.end_of(t))
        for t in tasks:  # it is gone, not only its name
            eventually(lambda t=t: glob.glob("%s/agent1/slaves/*/frameworks/*/executors/%s/runs/*" % (world.c.folder, t)) == [])
        slowest = 0
        while os.path.exists(agent.flags["work_dir"] + "/trash") and slowest < 1:
            began = time.monotonic()
            assert get(agent.address, "/health").status == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.01)
        assert slowest < 1
    finally:
        agent.stop()
        # Too deep for the harness.
        subprocess.run(["rm", "-rf", agent.flags["work_dir"]], check=False)
