"""network/cni with the real plug-ins of Debian: bridge, host-local, portmap. The cluster runs in a network and a mount namespace of its own, so nothing of
the machine changes, and whatever a test leaves goes with them."""
import ctypes
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, new_id, resources
from test_10_m10_pods import sandbox as run_folder

PLUGINS = "/usr/lib/cni"
AGENT_IP = "10.77.0.1"

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(not os.path.exists(PLUGINS + "/bridge"), reason="needs Debian's containernetworking-plugins")]


class Room:
    """A process that holds a network and a mount namespace; this thread and those that it starts are in its network."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", "echo; exec sleep 1000"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"]
        self.own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.set_network("/proc/%d/ns/net" % self.holder.pid)
        self.run("ip link set lo up && ip address add %s/32 dev lo" % AGENT_IP)

    @staticmethod
    def set_network(path):
        fd = os.open(path, os.O_RDONLY) if isinstance(path, str) else path
        assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0, os.strerror(ctypes.get_errno())
        os.close(fd)

    def run(self, shell):
        return subprocess.run(self.enter + ["sh", "-c", shell], check=True, capture_output=True, text=True).stdout

    def mounts(self, below):
        with open("/proc/%d/mountinfo" % self.holder.pid) as f:
            return [line.split()[4] for line in f if line.split()[4].startswith(below)]

    def close(self):
        self.set_network(self.own)
        self.holder.kill()
        self.holder.wait()


@pytest.fixture(scope="module")
def room():
    r = Room()
    yield r
    r.close()


def bridge(name, number, folder, **more):
    return dict({"type": "bridge", "bridge": "br-" + name, "isGateway": True, "ipMasq": False, "hairpinMode": True,
                 "ipam": {"type": "host-local", "dataDir": folder + "/leases", "subnet": "10.88.%d.0/24" % number,
                          "routes": [{"dst": "0.0.0.0/0"}]}}, **more)


def configurations(folder):
    """Old and new forms, with and without a chain."""
    alone = dict(bridge("alone", 1, folder), name="alone")
    dns = dict(bridge("dns", 2, folder), name="dns", cniVersion="0.3.1")
    dns["dns"] = {"nameservers": ["10.9.8.7"], "search": ["a.test", "b.test"]}
    chain = {"cniVersion": "0.4.0", "name": "chain",
             "plugins": [bridge("chain", 3, folder), {"type": "portmap", "capabilities": {"portMappings": True}}]}
    mapped = {"name": "mapped", "type": "mesos-cni-port-mapper", "chain": "FL-TEST", "excludeDevices": ["br-mapped"],
              "delegate": bridge("mapped", 4, folder)}
    broken = {"cniVersion": "0.4.0", "name": "broken", "plugins": [bridge("broken", 5, folder), {"type": "failing"}]}
    for name, conf in (("a.conf", alone), ("b.json", dns), ("c.conflist", chain), ("d.conf", mapped), ("e.conflist", broken)):
        with open("%s/%s" % (folder, "conf/" + name), "w") as f:
            json.dump(conf, f)
    with open(folder + "/conf/z.conf", "w") as f:
        f.write("{ this is none")


def prepare(folder):
    os.makedirs(folder + "/conf")
    os.makedirs(folder + "/plugins")
    configurations(folder)
    with open(folder + "/plugins/failing", "w") as f:
        f.write("#!/bin/sh\ncat >/dev/null\n[ $CNI_COMMAND = DEL ] && exit 0\n"
                "echo '{\"code\": 100, \"msg\": \"no luck today\"}'; exit 1\n")
    os.chmod(folder + "/plugins/failing", 0o755)


DNS = {"mesos": [{"network_mode": "CNI", "network_name": "alone", "dns": {"nameservers": ["10.1.1.1"], "domain": "d.test",
                                                                        "options": ["ndots:2"]}}]}


class CniCluster(Cluster):
    """One agent below the room's namespaces."""

    def __init__(self, room, **flags):
        self.room = room
        self.net = tempfile.mkdtemp(prefix="fairlead-cni-")
        os.chmod(self.net, 0o755)
        prepare(self.net)
        own = {"launcher": "linux", "isolation": "cgroups/cpu,filesystem/linux,namespaces/pid", "ip": "0.0.0.0", "advertise_ip": AGENT_IP,
               "network_cni_plugins_dir": self.net + "/plugins:" + PLUGINS, "network_cni_config_dir": self.net + "/conf",
               "default_container_dns": json.dumps(DNS), "runtime_dir": self.net + "/run"}
        own.update(flags)
        super().__init__(agents=1, agent_flags=own)

    def add_agent(self, flags=None, start=True):
        a = super().add_agent(flags, False)
        a.wrapper = self.room.enter
        return a.start() if start else a

    def leases(self):
        return [n for _, _, names in os.walk(self.net + "/leases") for n in names if n[0].isdigit()]

    def left(self):
        """Namespaces, leases, interfaces and rules."""
        root = self.net + "/run/isolators/network/cni/"
        rules = self.room.run("iptables-save -t nat 2>/dev/null | grep -cE -e '-j (DNAT|RETURN)' || true").strip()
        veths = self.room.run("ip -o link show type veth | wc -l").strip()
        return {"mounts": self.room.mounts(root), "leases": self.leases(), "rules": rules, "veths": veths,
                "folders": os.listdir(root) if os.path.isdir(root) else []}

    def nothing_left(self):
        eventually(lambda: self.left() == {"mounts": [], "leases": [], "rules": "0", "veths": "0", "folders": []} or self.left_wrong(), 15)

    def left_wrong(self):
        raise AssertionError("left: %s" % self.left())

    def stop(self):
        super().stop()
        shutil.rmtree(self.net, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(room):
    with CniCluster(room) as c:
        yield c


@pytest.fixture
def s(cluster):
    with Scheduler(cluster.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
        yield s
    cluster.nothing_left()


def networks(*names, **more):
    return {"type": "MESOS", "network_infos": [dict({"name": n}, **more) for n in names]}


def addresses(status):
    return [[a["ip_address"] for a in n["ip_addresses"]] for n in status["container_status"]["network_infos"]]


def sandbox(cluster, task_id):
    return eventually(lambda: [d for d, _, f in os.walk(cluster.agent.flags["work_dir"])
                               if "/executors/%s/runs/" % task_id in d and "stdout" in f and "/latest" not in d])[0]


def output(cluster, task_id):
    with open(sandbox(cluster, task_id) + "/stdout") as f:
        return f.read()


def test_a_network_of_its_own(cluster, s, room):
    """Address, files, name and environment; the machine's interfaces and listeners are not there."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    task, st = s.run("cat /proc/net/dev; echo ip=$MESOS_CONTAINER_IP; cat /etc/hosts /etc/resolv.conf; echo host=$(hostname) $(cat /etc/hostname); "
                     "nc -z -w1 127.0.0.1 %d 2>/dev/null || python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", %d), 1)' 2>&1 | tail -1; "
                     "touch done; sleep 100" % (port, port), container=networks("alone", labels={"labels": [{"key": "a", "value": "b"}]}))
    (ip,), = addresses(st)
    assert ip.startswith("10.88.1."), st
    info = st["container_status"]["network_infos"][0]
    assert info["name"] == "alone" and info["labels"]["labels"] == [{"key": "a", "value": "b"}]
    eventually(lambda: os.path.exists(sandbox(cluster, task) + "/done"))
    text = output(cluster, task)
    assert "eth0:" in text and "br-alone" not in text and "veth" not in text, text
    assert "ip=%s\n" % ip in text
    container = st["container_status"]["container_id"]["value"]
    assert "%s %s\n" % (ip, container) in text and "127.0.0.1 localhost\n" in text
    assert "domain d.test\noptions ndots:2\nnameserver 10.1.1.1\n" in text
    assert "host=%s %s\n" % (container, container) in text
    assert "refused" in text, text
    listener.close()
    # What mesos-dns and others read.
    tasks = [t for f in get_json(cluster.master.address, "/state")["frameworks"] for t in f["tasks"] if t["id"] == task]
    assert tasks[0]["statuses"][-1]["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == ip
    # The namespace, for tools; what goes over its interface is counted.
    ns = "%s/run/isolators/network/cni/%s/ns" % (cluster.net, container)
    assert "inet %s/24" % ip in room.run("nsenter --net=%s ip -4 address show eth0" % ns)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ip, 1), 2)
    stats = [e for e in get_json(cluster.agent.address, "/monitor/statistics") if e["executor_id"] == task][0]["statistics"]
    assert stats["net_rx_packets"] > 0 and stats["net_tx_bytes"] > 0, stats
    s.kill(task)
    s.end_of(task)


def test_resolvers_of_the_plugin(cluster, s):
    """What a plug-in says comes before the agent's default; two networks are two interfaces, and a name is the container's own."""
    task, st = s.run("cat /etc/resolv.conf /etc/hosts; hostname; cat /proc/net/dev; touch done; sleep 100",
                     container=dict(networks("dns", "chain"), hostname="me.test"))
    first, second = addresses(st)
    assert first[0].startswith("10.88.2.") and second[0].startswith("10.88.3."), st
    eventually(lambda: os.path.exists(sandbox(cluster, task) + "/done"))
    text = output(cluster, task)
    assert "search a.test b.test\nnameserver 10.9.8.7\n" in text and "%s me.test\n" % first[0] in text and "\nme.test\n" in text, text
    assert "eth0:" in text and "eth1:" in text
    s.kill(task)
    s.end_of(task)
    assert socket.gethostname() != "me.test"


@pytest.mark.parametrize("names, message", [(("nowhere",), "Unknown CNI network 'nowhere'"),
                                            (("alone", "alone"), "Attempted to join CNI network 'alone' multiple times"),
                                            (("alone", "broken"), "failed to attach container")])
def test_refused(cluster, s, names, message):
    """A launch that fails half-way leaves nothing: the fixture looks."""
    offer = s.offer()
    t = s.task(offer, "sleep 100", container=networks(*names))
    s.launch(offer, t)
    end = s.end_of(t["task_id"]["value"])
    assert end["state"] == "TASK_FAILED" and message in end["message"], end
    if "broken" in names:
        assert "no luck today" in end["message"]


def test_a_network_added_later(cluster, s):
    with open(cluster.net + "/conf/later.conf", "w") as f:
        json.dump(dict(bridge("later", 9, cluster.net), name="later", cniVersion="1.0.0"), f)
    task, st = s.run("sleep 100", container=networks("later"))
    assert addresses(st)[0][0].startswith("10.88.9.")
    s.kill(task)
    s.end_of(task)


def test_no_network_is_the_machines(cluster, s):
    """Nobody who names none pays for it or is cut off."""
    before = os.listdir(cluster.net + "/run/isolators/network/cni")
    task, st = s.run("readlink /proc/self/ns/net; touch done; sleep 100", container={"type": "MESOS", "network_infos": [{}]})
    eventually(lambda: os.path.exists(sandbox(cluster, task) + "/done"))
    assert output(cluster, task).strip() == os.readlink("/proc/thread-self/ns/net")
    assert addresses(st) == [[AGENT_IP]]
    assert os.listdir(cluster.net + "/run/isolators/network/cni") == before
    s.kill(task)
    s.end_of(task)


SERVER = ("python3 -c 'import http.server; http.server.HTTPServer((\"\", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()'")


def answer_of(address, port):
    c = socket.create_connection((address, port), 2)
    c.sendall(b"GET /stdout HTTP/1.0\r\n\r\n")
    text = c.recv(100)
    c.close()
    return text


@pytest.mark.parametrize("network", ["chain", "mapped"])
def test_ports(cluster, s, network):
    """A port of the machine leads into the container and ends with it; checks by TCP and HTTP see the container's port."""
    port = random.randrange(32000, 33000)
    check = {"type": "HTTP", "http": {"port": 8000, "path": "/stdout"}, "interval_seconds": 0.1, "delay_seconds": 0}
    health = {"type": "TCP", "tcp": {"port": 8000}, "interval_seconds": 0.1, "delay_seconds": 0, "grace_period_seconds": 20}
    task, st = s.run(SERVER, check=check, health_check=health,
                     container=networks(network, port_mappings=[{"host_port": port, "container_port": 8000, "protocol": "tcp"}]))
    assert st["container_status"]["network_infos"][0]["port_mappings"] == [{"host_port": port, "container_port": 8000, "protocol": "tcp"}]
    assert b"200 OK" in eventually(lambda: answer_of(AGENT_IP, port))
    s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"].get("healthy")
               and e["update"]["status"].get("check_status", {}).get("http", {}).get("status_code") == 200)
    # Nothing listens on the machine itself.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 8000), 1)
    s.kill(task)
    s.end_of(task)
    cluster.nothing_left()
    with pytest.raises(OSError):
        answer_of(AGENT_IP, port)


def test_pod(cluster, s):
    """Tasks of a pod are in their executor's network; one that names a network has its own, with its own name."""
    offer = s.offer(cpus=0.5)
    say = "echo $MESOS_CONTAINER_IP $(hostname) $(readlink /proc/self/ns/net); touch done; sleep 100"
    shared, own = s.task(offer, say), s.task(offer, say, container=networks("dns"))
    executor = {"type": "DEFAULT", "executor_id": {"value": new_id("e")}, "framework_id": {"value": s.id}, "resources": resources(0.1, 32, 32),
                "container": networks("alone")}
    s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": [shared, own]}}}])
    sts = [s.status(t["task_id"]["value"], ("TASK_RUNNING", "TASK_ERROR")) for t in (shared, own)]
    assert [st["state"] for st in sts] == ["TASK_RUNNING"] * 2, sts
    (a,), = addresses(sts[0])
    (b,), = addresses(sts[1])
    assert a.startswith("10.88.1.") and b.startswith("10.88.2."), sts
    lines = []
    for t in (shared, own):
        folder = "%s/tasks/%s" % (run_folder(cluster, executor), t["task_id"]["value"])
        eventually(lambda: os.path.exists(folder + "/done"))
        with open(folder + "/stdout") as f:
            lines.append(f.read().split())
    assert lines[0][0] == a and lines[1][0] == b, lines
    assert lines[0][1] != lines[1][1] and lines[0][2] != lines[1][2], lines
    s.kill(shared["task_id"]["value"])
    s.end_of(shared["task_id"]["value"])
    s.kill(own["task_id"]["value"])
    s.end_of(own["task_id"]["value"])


def test_restart(cluster, s):
    """A running container keeps its network over a restart of the agent, is shown with it, and gives it back at its end."""
    port = random.randrange(33000, 34000)
    task, st = s.run(SERVER, container=networks("chain", port_mappings=[{"host_port": port, "container_port": 8000}]))
    ip = addresses(st)[0][0]
    cluster.agent.kill9()
    assert b"200 OK" in eventually(lambda: answer_of(AGENT_IP, port))
    cluster.agent.start()
    cluster.wait_agents(1)
    n = s.mark()
    containers = eventually(lambda: [c for c in get_json(cluster.agent.address, "/containers") if c["executor_id"] == task])
    assert containers[0]["status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == ip, containers
    assert containers[0]["statistics"]["net_rx_packets"] > 0
    assert b"200 OK" in answer_of(AGENT_IP, port)
    eventually(lambda: s.kill(task) or [t for t in s.states(task) if t == "TASK_KILLED"])
    assert s.end_of(task, since=n)["state"] == "TASK_KILLED"


def test_killed_at_random(room):
    """The agent is killed with -9 at any instant of many launches and ends: when all is over, nothing is left."""
    rounds = int(os.environ.get("CNI_KILLS", "30"))
    kinds = ["alone", "chain", "mapped", "broken"]
    random.seed(os.environ.get("SEED", str(time.time())))
    with CniCluster(room) as c, Scheduler(c.master.address, ["PARTITION_AWARE"], checkpoint=True, failover_timeout=60.0) as s:
        c.wait_agents(1)
        for i in range(rounds):
            try:
                offer = s.offer(cpus=0.2, wait=2)
            except AssertionError:
                offer = None
            if offer:
                s.launch(offer, *[s.task(offer, "sleep %g" % random.choice([0, 0.05, 50]), cpus=0.1,
                                         container=networks(random.choice(kinds), port_mappings=[{"host_port": 20000 + i * 2 + k, "container_port": 80}]))
                                  for k in range(2)])
            time.sleep(random.random() * 0.35)
            c.agent.kill9()
            c.agent.start(wait=False)
            eventually(lambda: sum(1 for x in c.slaves() if x["active"]) == 1, 20)
        s.teardown()
        c.nothing_left()
