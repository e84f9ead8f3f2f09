"""The DNS server mesos-dns v0.6.0, as published: it reads our master's state, and real queries to its port find what runs on the cluster."""
import json

import pytest

import dns
from clients import USER, Cluster, Program, eventually, get_json, install, place
from harness.cluster import free_ports
from harness.scheduler import Scheduler, resources

SECONDS = 60  # when it is still to be built


@pytest.fixture(scope="module")
def cluster():
    install("mesos-dns")
    with Cluster() as c:
        yield c


class Server:
    def __init__(self, cluster):
        self.port, self.http = free_ports(2)
        path = cluster.folder + "/mesos-dns.json"
        with open(path, "w") as f:
            json.dump({"zk": "", "masters": [cluster.master.address], "refreshSeconds": 1, "ttl": 5, "domain": "mesos", "port": self.port,
                       "listener": "127.0.0.1", "dnson": True, "httpon": True, "httplistener": "127.0.0.1", "httpport": self.http,
                       "externalon": False, "resolvers": [], "timeout": 5, "IPSources": ["netinfo", "mesos", "host"],
                       "EnumerationOn": True}, f)
        self.program = Program(cluster, [place("mesos-dns", "bin", "mesos-dns"), "-config", path, "-v", "1"])

    def a(self, name):
        return dns.ask(self.port, name, dns.A)

    def srv(self, name):
        return dns.ask(self.port, name, dns.SRV)

    def json(self, path):
        return get_json("127.0.0.1:%d" % self.http, path)


@pytest.fixture(scope="module")
def server(cluster):
    s = Server(cluster)
    with s.program:
        eventually(lambda: s.a("leader.mesos") == (dns.NO_ERROR, ["127.0.0.1"]))
        yield s
    print(s.program.told())


@pytest.fixture(scope="module")
def framework(cluster):
    with Scheduler(cluster.master.address, name="shop", user=USER) as s:
        yield s


def launch(s, name, ports, **more):
    offer = s.offer(cpus=0.2)
    ranges = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": p, "end": p} for p in ports]}}
    task = s.task(offer, "sleep 1000", name=name, resources=resources(0.1, 32) + [ranges], **more)
    s.launch(offer, task)
    s.status(task["task_id"]["value"], "TASK_RUNNING")
    return task["task_id"]["value"]


@pytest.fixture(scope="module")
def web(framework):
    """A task that has ports and tells nothing of them."""
    return launch(framework, "web", [31005, 31006])


@pytest.fixture(scope="module")
def api(framework):
    """A task that says what its port is for."""
    return launch(framework, "api", [31010], discovery={
        "visibility": "CLUSTER", "name": "api", "ports": {"ports": [{"number": 31010, "name": "http", "protocol": "tcp"}]}})


def test_it_finds_master_and_agents(cluster, server):
    port = int(cluster.master.address.split(":")[1])
    assert server.a("master.mesos") == (dns.NO_ERROR, ["127.0.0.1"])
    assert server.a("slave.mesos") == (dns.NO_ERROR, ["127.0.0.1"])
    assert server.srv("_leader._tcp.mesos") == (dns.NO_ERROR, [("leader.mesos", port)])
    assert server.srv("_slave._tcp.mesos") == (dns.NO_ERROR, [("slave.mesos", int(cluster.agent.address.split(":")[1]))])


def test_what_does_not_run_has_no_name(server):
    assert server.a("never.shop.mesos")[0] == dns.NO_SUCH_NAME
    assert server.json("/v1/version")["Service"] == "Mesos-DNS"


def test_a_running_task_has_an_address(server, web):
    eventually(lambda: server.a("web.shop.mesos") == (dns.NO_ERROR, ["127.0.0.1"]))
    assert server.a("web.shop.slave.mesos") == (dns.NO_ERROR, ["127.0.0.1"])


def test_a_running_task_has_its_ports(server, web):
    eventually(lambda: len(server.srv("_web._tcp.shop.mesos")[1]) == 2)
    hosts = server.srv("_web._tcp.shop.mesos")[1]
    assert [port for _, port in hosts] == [31005, 31006]
    assert server.a(hosts[0][0]) == (dns.NO_ERROR, ["127.0.0.1"])
    assert [port for _, port in server.srv("_web._udp.shop.mesos")[1]] == [31005, 31006]


def test_discovery_names_the_ports(server, api):
    eventually(lambda: server.srv("_http._api._tcp.shop.mesos")[1])
    assert [port for _, port in server.srv("_http._api._tcp.shop.mesos")[1]] == [31010]
    assert [port for _, port in server.srv("_api._tcp.shop.mesos")[1]] == [31010]


def test_its_own_listing_has_both(server, web, api):
    def listed():
        frameworks = {f["name"]: f for f in server.json("/v1/enumerate")["frameworks"]}
        return sorted((t["name"], t["id"]) for t in frameworks["shop"]["tasks"]) == sorted([("web", web), ("api", api)])
    eventually(listed)
    service = server.json("/v1/services/_api._tcp.shop.mesos.")
    assert [(s["ip"], s["port"]) for s in service] == [("127.0.0.1", "31010")]


def test_a_killed_task_is_gone(server, framework, web):
    framework.kill(web)
    framework.status(web, "TASK_KILLED")
    eventually(lambda: server.a("web.shop.mesos")[0] == dns.NO_SUCH_NAME)
    eventually(lambda: server.srv("_web._tcp.shop.mesos")[1] == [])


def test_it_complains_of_nothing(server):
    """It reads the state once a second."""
    told = server.program.text() + server.program.errors()
    assert "ERROR" not in told and "failed" not in told.lower(), told
    assert server.program.status is None
