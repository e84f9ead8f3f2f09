"""M26: checks and health checks by command, HTTP and TCP: what changes is told, what is unhealthy too often is killed; tasks and pods."""
import json
import os
import time

import pytest

from harness.cluster import Cluster, free_ports
from harness.http import eventually, get_json
from harness.scheduler import Scheduler
from test_10_m10_pods import content, launch, sandbox

SECONDS = 14

CHECK = "REASON_TASK_CHECK_STATUS_UPDATED"
HEALTH = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
FAST = {"delay_seconds": 0, "interval_seconds": 0.2, "timeout_seconds": 2}
HFAST = dict(FAST, grace_period_seconds=0, consecutive_failures=2)

SERVER = ("python3 -u -c \"\n"
          "import http.server as h, os\n"
          "class H(h.BaseHTTPRequestHandler):\n"
          "  def do_GET(self):\n"
          "    self.send_response(503 if os.path.exists('sick') else 204)\n"
          "    self.end_headers()\n"
          "  def log_message(self, *a): pass\n"
          "h.HTTPServer(('127.0.0.1', %d), H).serve_forever()\"")


def free_port():
    return free_ports(1)[0]


class Command:
    """A command task with these checks."""

    def __init__(self, c, s, shell, **more):
        self.s = s
        self.id, _ = s.run(shell, **more)
        runs = "/executors/%s/runs" % self.id
        self.folder = eventually(lambda: [os.path.realpath(d + "/latest") for d, _, _ in os.walk(c.folder)
                                          if d.endswith(runs) and "/meta/" not in d])[0]


class Pod:
    """The same as a pod of one."""

    def __init__(self, c, s, shell, **more):
        self.s = s
        (self.id,), e = launch(s, [shell], **more)
        s.status(self.id, "TASK_RUNNING")
        self.folder = "%s/tasks/%s" % (sandbox(c, e), self.id)


@pytest.fixture(params=[Command, Pod])
def kind(request):
    return request.param


def wait_check(s, task_id, want, since=0, wait=10):
    def there(e):
        if e["type"] != "UPDATE" or e["update"]["status"]["task_id"]["value"] != task_id:
            return False
        st = e["update"]["status"]
        return st.get("reason") == CHECK and want(st["check_status"])
    return s.wait_for(there, wait, since)["update"]["status"]


def wait_health(s, task_id, healthy, since=0, wait=10):
    def there(e):
        if e["type"] != "UPDATE" or e["update"]["status"]["task_id"]["value"] != task_id:
            return False
        return e["update"]["status"].get("healthy") is healthy
    return s.wait_for(there, wait, since)["update"]["status"]


def touch(path):
    with open(path, "w"):
        pass


def test_command_check(cluster, scheduler, kind):
    """Where the task runs, with its variables; told when it changes and only then."""
    s = scheduler
    t = kind(cluster, s, "sleep 1000", check=dict(FAST, type="COMMAND", command={"command": {
        "value": "test ! -e flag || exit $CODE", "environment": {"variables": [{"name": "CODE", "value": "7"}]}}}))
    first = s.status(t.id, "TASK_RUNNING")
    assert first["check_status"] == {"type": "COMMAND", "command": {}}
    wait_check(s, t.id, lambda c: c["command"].get("exit_code") == 0)
    n = s.mark()
    time.sleep(1)
    assert not s.statuses(t.id, n)
    touch(t.folder + "/flag")
    wait_check(s, t.id, lambda c: c["command"].get("exit_code") == 7)
    s.kill(t.id)
    assert s.end_of(t.id)["state"] == "TASK_KILLED"
    # Nothing is left of the probes.
    eventually(lambda: not [d for d, _, _ in os.walk(cluster.folder) if "check-" in os.path.basename(d)])
    eventually(lambda: not cluster.processes())


def test_a_check_that_hangs(cluster, scheduler, kind):
    s = scheduler
    t = kind(cluster, s, "sleep 1000", check=dict(FAST, timeout_seconds=0.3, type="COMMAND", command={"command": {
        "value": "[ ! -e hang ] || sleep 1000"}}))
    wait_check(s, t.id, lambda c: c["command"].get("exit_code") == 0)
    touch(t.folder + "/hang")
    st = wait_check(s, t.id, lambda c: "exit_code" not in c["command"])
    assert st["state"] == "TASK_RUNNING"
    os.unlink(t.folder + "/hang")
    wait_check(s, t.id, lambda c: c["command"].get("exit_code") == 0, s.mark())


def test_http_check(cluster, scheduler, kind):
    s, port = scheduler, free_port()
    t = kind(cluster, s, SERVER % port, check=dict(FAST, type="HTTP", http={"port": port, "path": "/x"}))
    assert s.status(t.id, "TASK_RUNNING")["check_status"] == {"type": "HTTP", "http": {}}
    wait_check(s, t.id, lambda c: c["http"].get("status_code") == 204)
    touch(t.folder + "/sick")
    wait_check(s, t.id, lambda c: c["http"].get("status_code") == 503)


def test_tcp_check(cluster, scheduler, kind):
    s, port = scheduler, free_port()
    t = kind(cluster, s, "while [ ! -e go ]; do sleep 0.05; done; " + SERVER % port,
             check=dict(FAST, type="TCP", tcp={"port": port}))
    wait_check(s, t.id, lambda c: c["tcp"].get("succeeded") is False)
    touch(t.folder + "/go")
    wait_check(s, t.id, lambda c: c["tcp"].get("succeeded") is True)


def test_unhealthy_is_killed(cluster, scheduler, kind):
    """By the kill policy, after so many failures on end; `healthy` says why, also in the master's state."""
    s = scheduler
    t = kind(cluster, s, "sleep 1000", health_check=dict(HFAST, type="COMMAND", command={"value": "test ! -e sick"}))
    st = wait_health(s, t.id, True)
    assert st["reason"] == HEALTH and st["state"] == "TASK_RUNNING"

    def shown():
        tasks = get_json(cluster.master.address, "/tasks?limit=1000")["tasks"]
        return [x for x in tasks if x["id"] == t.id][0]["statuses"][-1].get("healthy") is True
    eventually(shown)
    n = s.mark()
    touch(t.folder + "/sick")
    end = s.end_of(t.id, since=n)
    assert end["state"] == "TASK_KILLED" and end["healthy"] is False
    told = [st["healthy"] for st in s.statuses(t.id, n) if st.get("reason") == HEALTH]
    assert told == [False, False]


def test_grace_period(cluster, scheduler, kind):
    """Until it was healthy once, failures within the grace period do not count."""
    s = scheduler
    t = kind(cluster, s, "sleep 1.2; touch up; sleep 1000", health_check=dict(
        HFAST, grace_period_seconds=30, consecutive_failures=1, type="COMMAND", command={"value": "test -e up"}))
    wait_health(s, t.id, True)
    assert False not in [st.get("healthy") for st in s.statuses(t.id)]


def test_recovers(cluster, scheduler, kind):
    s, port = scheduler, free_port()
    t = kind(cluster, s, SERVER % port, health_check=dict(
        HFAST, grace_period_seconds=20, consecutive_failures=1000, type="HTTP", http={"port": port, "path": "/", "scheme": "http"}))
    wait_health(s, t.id, True)
    touch(t.folder + "/sick")
    wait_health(s, t.id, False)
    n = s.mark()
    os.unlink(t.folder + "/sick")
    assert wait_health(s, t.id, True, n)["state"] == "TASK_RUNNING"


def test_over_a_restart_of_the_agent(kind):
    """Checks go on; what was told before is not told again."""
    with Cluster(agents=1) as c, Scheduler(c.master.address, checkpoint=True, failover_timeout=60.0) as s:
        t = kind(c, s, "sleep 1000", check=dict(FAST, type="COMMAND", command={"command": {"value": "test ! -e flag"}}))
        wait_check(s, t.id, lambda x: x["command"].get("exit_code") == 0)
        time.sleep(0.3)
        n = s.mark()
        c.agent.kill9()
        c.agent.start(wait=False)
        c.wait_agents(1)
        time.sleep(1.5)
        assert not [st for st in s.statuses(t.id, n) if st["state"] != "TASK_RUNNING"], json.dumps(s.statuses(t.id, n))
        touch(t.folder + "/flag")
        wait_check(s, t.id, lambda x: x["command"].get("exit_code") == 1, n)
        s.kill(t.id)
        assert s.end_of(t.id)["state"] == "TASK_KILLED"
        eventually(lambda: not c.processes())


@pytest.mark.root
@pytest.mark.parametrize("shape", [Command, Pod])
def test_within_namespaces(shape):
    """The command of a check sees the task's processes."""
    flags = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux,namespaces/pid"}
    with Cluster(agents=1, agent_flags=flags) as c, Scheduler(c.master.address) as s:
        t = shape(c, s, "readlink /proc/self/ns/pid > own; sleep 1000", check=dict(FAST, type="COMMAND", command={"command": {
            "value": "readlink /proc/self/ns/pid > seen; exit 5"}}))
        wait_check(s, t.id, lambda x: x["command"].get("exit_code") == 5)
        assert content(t.folder + "/seen") == content(t.folder + "/own")
        assert content(t.folder + "/own").strip() != os.readlink("/proc/self/ns/pid")
        s.kill(t.id)
        assert s.end_of(t.id)["state"] == "TASK_KILLED"
        eventually(lambda: not c.processes())
