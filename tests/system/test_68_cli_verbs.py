"""Every verb of `fairlead` against a real cluster: tables on terminals of several widths, JSON, exit codes, contexts, completion, --watch."""
import base64
import contextlib
import fcntl
import http.client
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import ssl
import stat
import struct
import subprocess
import tempfile
import termios
import threading
import time

import pytest

from harness.cluster import BIN, Cluster

FAIRLEAD = os.path.join(BIN, "fairlead")
SOON = 20
SECONDS = 20
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Place:
    def __init__(self, cluster, home):
        self.cluster, self.home = cluster, home
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("FAIRLEAD_", "LIBPROCESS_", "XDG_", "NO_COLOR"))}
        self.environment.update(HOME=home, FAIRLEAD_MASTER=cluster.master.address, LC_ALL="C.UTF-8", TERM="xterm")

    def __call__(self, *words, env=None, **more):
        more.setdefault("input", "")
        return subprocess.run([FAIRLEAD, *words], capture_output=True, text=True, timeout=30, check=False,
                              env=dict(self.environment, **(env or {})), **more)

    def ok(self, *words, **more):
        out = self(*words, **more)
        assert (out.returncode, out.stderr) == (0, ""), (words, out)
        return out.stdout

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def fails(self, code, *words, says="", **more):
        out = self(*words, **more)
        assert out.returncode == code and says in out.stderr and out.stderr.startswith("fairlead: "), (words, out)
        assert out.stderr.count("\n") == 1, out.stderr
        return out

    @contextlib.contextmanager
    def on_terminal(self, columns, *words, rows=24, env=None):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with subprocess.Popen([FAIRLEAD, *words], stdin=slave, stdout=slave, stderr=slave, close_fds=True, start_new_session=True,
                              env=dict(self.environment, **(env or {}))) as p:
            os.close(slave)
            t = Terminal(master, p)
            try:
                yield t
            finally:
                if p.poll() is None:
                    p.kill()
                os.close(master)

    def drawn(self, columns, *words, env=None):
        with self.on_terminal(columns, *words, env=env) as t:
            t.read_all()
            assert t.process.wait(SOON) == 0, t.text
            return t.text


class Terminal:
    def __init__(self, fd, process):
        self.fd, self.process, self.text = fd, process, ""

    def read(self, until):
        end = time.monotonic() + SOON
        while not until():
            ready = select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "waited for more than:\n" + self.text
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                return False
            if not piece:
                return False
            self.text += piece.decode()
        return True

    def read_all(self):
        self.read(lambda: False)

    def type(self, text):
        os.write(self.fd, text.encode())


@pytest.fixture(scope="module")
def place():
    home = tempfile.mkdtemp(prefix="fairlead-cli-")
    try:
        with Cluster(2) as c:
            yield Place(c, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def task(place):
    """A task at work, for those that look only; its framework goes with it."""
    with subprocess.Popen([FAIRLEAD, "run", "--name", "looked-at-by-many-tests", "--cpus", "0.1", "--", "sh", "-c",
                           "echo said; echo wrong >&2; exec sleep 1000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=place.environment) as p:
        try:
            wait_for(lambda: [t for t in place.json("tasks") if t["state"] == "TASK_RUNNING"])
            yield "looked-at-by-many-tests.1"
        finally:
            p.terminate()
            p.wait()


def wait_for(condition):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def rows(text):
    lines = text.splitlines()
    return lines[0].split(), [line.split() for line in lines[1:]]


def agents(place):
    return sorted(place.ok("agents", "--ids").split())


# ---- looking ----

LISTS = [["tasks", "--all"], ["ps"], ["agents"], ["frameworks", "--all"], ["roles"], ["offers"], ["quota"], ["weights"], ["volumes"],
         ["maintenance", "schedule"], ["maintenance", "status"], ["flags"], ["metrics"], ["explain", "looked-at-by-many-tests"]]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists(place, task, words):
    text = place.ok(*words)
    assert text.split("\n")[0]
    place.json(*words)
    if words[0] != "explain":
        heads = rows(text)[0]
        assert all(h == h.upper() for h in heads), heads
        assert not place.ok(*words, "--no-headers").startswith(heads[0] + " ")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_tables_fit_the_terminal(place, task, columns):
    for words in (["tasks", "--all"], ["agents"], ["frameworks"], ["metrics"], ["flags"]):
        text = place.drawn(columns, *words)
        lines = ANSI.sub("", text).replace("\r", "").splitlines()
        assert len(lines) > 1 and all(len(line) <= columns for line in lines), (words, lines)
        assert "\x1b[1m" in text  # heads
    narrow = place.drawn(80, "tasks")
    assert "\u2026" in narrow and "\x1b[32m" in narrow
    assert "\x1b" not in place.drawn(60, "tasks", env={"NO_COLOR": "1"})
    assert max(map(len, place.drawn(60, "tasks", "--wide").splitlines())) > 100
    assert "\u2026" not in place.ok("tasks")


def test_one_in_full(place, task):
    assert "looked-at-by-many-tests.1" in place.ok("tasks", task) and "TASK_RUNNING" in place.ok("tasks", "looked")
    assert place.json("tasks", "looked")["id"] == task
    first = agents(place)[0]
    assert place.json("agents", first.rsplit("-", 1)[1])["id"] == first
    assert ("id               " + first) in place.ok("agents", first)
    framework = place.json("tasks", task)["framework_id"]
    assert place.json("frameworks", framework[-4:])["framework_info"]["id"]["value"] == framework
    assert framework in place.ok("frameworks", "looked-at-by-many-tests")
    assert [t["id"] for t in place.json("tasks", "--state", "running", "--framework", framework, "--role", "*")] == [task]
    assert place.json("tasks", "--state", "failed") == []
    where = place.json("tasks", task)["slave_id"]
    assert [t["id"] for t in place.json("tasks", "--agent", where)] == [task]
    assert place.json("tasks", "--agent", [a for a in agents(place) if a != where][0]) == []


def test_daemons_tell(place):
    first = agents(place)[0]
    assert place.json("state")["slaves"] and "agents       2 active" in place.ok("state")
    assert place.json("state", "--agent", first)["id"] == first
    assert " healthy" in place.ok("health") and " healthy" in place.ok("health", "--agent", "S1")
    assert place.json("health")["healthy"] is True
    assert set(place.json("version", "--agent", "S0")) == {"client", "agent"}
    assert set(place.json("metrics", "slaves_active")) == {"master/slaves_active"}
    assert set(place.json("metrics", "master/cpus_*ed", "--json")) >= {"master/cpus_used"}
    assert place.json("metrics", "--agent", "S0")["slave/registered"] == 1
    assert place.json("flags", "work_dir", "--agent", first)["work_dir"].startswith(place.cluster.folder)
    place.fails(3, "metrics", "no-such-metric")


def test_agents_through_the_master(place, task):
    assert place.ok("logs", task, "--via-master") == "said\n"
    assert place.ok("logs", task, "--stderr") == "wrong\n"
    assert place.ok("exec", "--via-master", task, "--", "cat", input="across\n") == "across\n"
    out = place("exec", "--via-master", task, "--", "sh", "-c", "exit 7")
    assert out.returncode == 7, out
    assert place.json("metrics", "uptime", "--agent", "S0", "--via-master")
    assert [r["task"] for r in place.json("top", "--via-master", "--once")] == [task]


def test_an_agent_that_does_not_answer_is_asked_through_the_master(place, task):
    """It says another address than the one it has; the master knows its own way."""
    state = json.dumps({"slaves": [{"id": "x-S0", "hostname": "h", "pid": "slave(1)@127.0.0.1:1"}]})
    with master(lambda path: (200, state if path.startswith("/slaves") else '{"relayed": 1}')) as (address, asked):
        assert place.ok("metrics", "--agent", "S0", "--master", address).split() == ["METRIC", "VALUE", "relayed", "1"]
    assert "/agent/x-S0/metrics/snapshot" in [path for path, _ in asked]


@contextlib.contextmanager
def lying_master(place):
    """The real one, but for the address of agents: nobody answers there."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def relay(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            real = http.client.HTTPConnection(place.cluster.master.address, timeout=SOON)
            real.request(self.command, self.path, body, {k: self.headers[k] for k in ("Content-Type", "Accept") if k in self.headers})
            answer = real.getresponse()
            data = answer.read()
            if self.path.startswith("/slaves"):
                data = re.sub(rb'"pid":"([^"@]*)@[^"]*"', rb'"pid":"\1@127.0.0.1:1"', data)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            real.close()

        do_GET = do_POST = relay

        def log_message(self, *_):
            pass

    with serving(Handler) as address:
        yield address


def test_all_that_asks_agents_finds_the_way(place, task):
    with lying_master(place) as address:
        at = ["--master", address]
        assert "@127.0.0.1:1" in place.ok("agents", "S0", *at)
        assert place.ok("logs", task, *at) == "said\n"
        assert [r["task"] for r in place.json("top", "--once", *at)] == [task]
        assert place.json("flags", "work_dir", "--agent", "S1", *at)["work_dir"].startswith(place.cluster.folder)
        with subprocess.Popen([FAIRLEAD, "run", "--quiet", "--name", "ended", "--", "sleep", "1000"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment) as p:
            wait_for(lambda: place.json("tasks", "--name", "ended", "--state", "running"))
            place.ok("kill", "ended.1", "--yes", *at)
            p.communicate(timeout=SOON)


def test_events(place, task):
    assert "SUBSCRIBED        agents=2" in place.ok("events")
    with subprocess.Popen([FAIRLEAD, "events", "-f", "--json", "--type", "task", "--count", "4"], stdout=subprocess.PIPE, text=True,
                          env=place.environment) as p:
        # Not before it listens: runs until it has seen enough.
        while p.poll() is None:
            place.ok("run", "--name", "seen", "--", "true")
        events = [json.loads(line) for line in p.stdout]
    assert p.returncode == 0 and len(events) == 4 and {e["type"] for e in events} <= {"TASK_ADDED", "TASK_UPDATED"}
    with subprocess.Popen([FAIRLEAD, "events", "-f"], stdout=subprocess.PIPE, text=True, env=place.environment) as p:
        assert "SUBSCRIBED" in p.stdout.readline()
        p.send_signal(signal.SIGINT)
        assert p.wait(SOON) == 130


def test_watch(place, task):
    with place.on_terminal(80, "tasks", "--watch=0.1", "--state", "running", rows=10) as t:
        assert t.read(lambda: t.text.count("RUNNING") >= 2)
        drawn = ANSI.sub("", t.text[t.text.rindex("\x1b[H"):] or t.text)
        assert all(len(line) <= 80 for line in drawn.replace("\r", "").splitlines())
        t.process.send_signal(signal.SIGINT)
        t.read_all()
        assert t.process.wait(SOON) == 130
    place.fails(4, "tasks", "--watch", "--master", "127.0.0.1:1")


# ---- doing ----

def test_quota_and_weights(place):
    place.ok("quota", "set", "tidy", "--guarantee", "cpus:0.5;mem:64", "--limit", "cpus:1")
    assert [(q["role"], q["guarantees"]["cpus"]["value"], q["limits"]["cpus"]["value"]) for q in place.json("quota")] == [("tidy", 0.5, 1)]
    assert ["tidy", "cpus:0.5;mem:64"] in [r[:2] for r in rows(place.ok("quota"))[1]]
    place.fails(1, "quota", "set", "tidy", "--guarantee", "cpus:5", "--limit", "cpus:1")
    place.fails(2, "quota", "set", "tidy", "--guarantee", "ports:[1-2]")
    place.fails(2, "quota", "set", "tidy")
    place.ok("quota", "remove", "tidy")
    assert place.json("quota") == []
    place.ok("weights", "set", "tidy=2.5", "clean=3")
    assert {w["role"]: w["weight"] for w in place.json("weights")} == {"tidy": 2.5, "clean": 3}
    place.fails(2, "weights", "set", "tidy=-1")


def test_reservations_and_volumes(place):
    first = agents(place)[0]
    short = first.rsplit("-", 1)[1]
    place.ok("reserve", short, "--role", "db", "cpus:0.5;mem:64", "disk:100", "--label", "why=test")
    assert place.json("agents", first)["reserved_resources"]["db"]["disk"] == 100
    place.fails(3, "volumes", "create", short, "v1", "--role", "db", "--size", "500", says="reserve")
    place.ok("volumes", "create", short, "v1", "--role", "db", "--size", "40", "--path", "data")
    assert place.ok("volumes", "--ids") == "v1\n"
    place.ok("volumes", "grow", short, "v1", "10")
    place.fails(6, "volumes", "shrink", short, "v1", "5")
    place.ok("volumes", "shrink", short, "v1", "5", "--yes")
    (v,) = place.json("volumes", "--agent", first)
    assert v["scalar"]["value"] == 45 and v["disk"]["volume"]["container_path"] == "data"
    place.fails(3, "volumes", "destroy", short, "v2", "--yes")
    place.ok("volumes", "destroy", short, "v1", "-y")
    assert place.json("volumes") == []
    place.fails(3, "unreserve", short, "--role", "db", "cpus:5")
    place.ok("unreserve", short, "--role", "db", "cpus:0.2")
    place.ok("unreserve", short, "--role", "db", "--all")
    assert place.json("agents", first)["reserved_resources"] == {}
    place.fails(2, "reserve", short, "--role", "db", "cpus")
    place.fails(2, "reserve", short, "cpus:1")


def test_drain_and_back(place):
    busy = [t["slave_id"] for t in place.json("tasks")]
    last = [a for a in agents(place) if a not in busy][-1]  # the task that others look at stays
    state = lambda: [r[2] for r in rows(place.ok("agents"))[1] if r[0] == last]
    place.ok("deactivate", last)
    assert state() == ["deactivated"]
    place.ok("reactivate", last)
    place.fails(6, "drain", last, says="--yes")
    with place.on_terminal(200, "drain", last) as t:
        assert t.read(lambda: "[y/N]" in t.text)
        t.type("n\n")
        t.read_all()
        assert t.process.wait(SOON) == 6 and "nothing was done" in t.text
    assert state() == ["active"]
    with place.on_terminal(200, "drain", last, "--grace", "5s", "--wait") as t:
        assert t.read(lambda: "[y/N]" in t.text)
        t.type("y\n")
        t.read_all()
        assert t.process.wait(SOON) == 0, t.text
    assert state() == ["drained"]
    place.ok("undrain", last)
    assert state() == ["active"]
    place.fails(2, "drain", last, "--yes", "--grace", "soon")


def test_maintenance(place):
    place.ok("maintenance", "add", "S0", "--start", "+1h", "--duration", "2h")
    assert rows(place.ok("maintenance", "schedule"))[1][0][::3] == ["127.0.0.1", "2h"]
    place.ok("maintenance", "add", "elsewhere/10.1.2.3", "--start", "2030-01-01T00:00Z")
    assert len(place.json("maintenance", "schedule")) == 2
    assert sorted(r[2] for r in rows(place.ok("maintenance", "status"))[1]) == ["draining", "draining"]
    place.fails(6, "maintenance", "down", "elsewhere")
    place.ok("maintenance", "down", "elsewhere", "--yes")
    assert [m["hostname"] for m in place.json("maintenance", "status")["down_machines"]] == ["elsewhere"]
    place.ok("maintenance", "up", "elsewhere")
    place.ok("maintenance", "remove", "127.0.0.1")
    assert place.json("maintenance", "schedule") == []
    place.fails(3, "maintenance", "remove", "nowhere")
    place.fails(2, "maintenance", "add", "S0", "--start", "tomorrow")


def test_kill_and_teardown(place):
    for end in (["kill", "ended.1"], ["teardown", "ended"]):
        with subprocess.Popen([FAIRLEAD, "run", "--quiet", "--name", "ended", "--", "sleep", "1000"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.environment) as p:
            wait_for(lambda: place.json("tasks", "--name", "ended", "--state", "running"))
            place.fails(6, *end)
            place.ok(*end, "--yes")
            p.communicate(timeout=SOON)
            assert p.returncode != 0
    place.fails(3, "teardown", "ended", "--yes")


def test_gone(place):
    place.cluster.add_agent()
    place.cluster.wait_agents(3)
    third = [a for a in agents(place) if a.endswith("-S2")][0]
    place.fails(6, "gone", third)
    place.ok("gone", third, "--yes")
    wait_for(lambda: third not in agents(place))
    place.cluster.agents.pop().stop()


# ---- what goes wrong ----

def test_help_finds_verbs(place):
    assert place.ok("help", "quota", "set") == place.ok("quota", "set", "--help")
    assert place.ok("help") == place.ok("--help")
    place.fails(2, "maintenance", says="schedule, add, remove, down, up, status")
    place.fails(2, "help", "config", says="set-context")


@pytest.mark.parametrize("code, words", [
    (2, ["agents", "--unknown"]), (2, ["unknown"]), (2, ["quota", "unknown"]), (2, ["maintenance"]), (2, ["logs"]), (2, ["agents", "a", "b"]),
    (2, ["agents", "--master", "zk://a/b"]), (2, ["agents", "--context", "none"]), (2, ["agents", "--credential-file", "/none"]),
    (2, ["completion", "tcsh"]), (3, ["agents", "none"]), (3, ["tasks", "none"]), (3, ["frameworks", "none"]), (3, ["drain", "none", "-y"]),
    (3, ["logs", "none"]), (3, ["exec", "none", "--", "true"]), (3, ["metrics", "--agent", "none"]), (3, ["agents", "127.0.0.1"]),
    (4, ["agents", "--master", "127.0.0.1:1,127.0.0.1:2"]), (4, ["events", "-f", "--master", "127.0.0.1:1"]),
    (4, ["quota", "remove", "x", "--master", "127.0.0.1:1"]), (1, ["quota", "remove", "*/x"]),
], ids=lambda v: " ".join(v) if isinstance(v, list) else str(v))
def test_exit_codes(place, code, words):
    place.fails(code, *words)


@contextlib.contextmanager
def serving(handler, tls=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def master(answer, tls=None):
    """Something that answers GETs like a master; -> its address, and the (path, headers) that it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            status, body = answer(self.path)[:2]
            self.send_response(status)
            if status == 307:
                self.send_header("Location", body)
                body = ""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with serving(Handler, tls) as address:
        yield address, asked


def test_several_masters_and_the_leader(place):
    """One is away, one knows no leader, one sends us to it."""
    with master(lambda path: (503, "")) as (none, _), master(lambda path: (307, "//%s%s" % (place.cluster.master.address, path))) as (other, asked):
        named = ",".join(["127.0.0.1:1", none, "http://" + other])
        assert place.ok("agents", "--ids", "--master", named) == place.ok("agents", "--ids")
        assert len(asked) == 1
        place.fails(4, "agents", "--master", none, says="leader")
    for status, code in ((401, 5), (403, 5), (500, 1)):
        with master(lambda path, s=status: (s, "because")) as (address, _):
            place.fails(code, "agents", "--master", address, says="because")


def test_hostile_answers_move_nothing(place):
    evil = "x\x1b[2J\x9b2J\r\n\x07"
    for status, body, code in ((500, evil, 1), (200, "\0" * 5000, 1), (200, '{"slaves": 5}', 1), (200, "{" * 100000, 1), (307, "file:///etc", 1),
                               (307, "https://127.0.0.1:1/", 1), (200, '{"slaves": [5, null, {"id": 7}]}', 0)):
        with master(lambda path, s=status, b=body: (s, b)) as (address, _):
            out = place("agents", "--master", address)
            assert out.returncode == code and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out.stdout + out.stderr), out
    listed = json.dumps({"slaves": [{"id": evil, "hostname": evil}]})
    with master(lambda path: (200, listed)) as (address, _):
        assert len(place.ok("agents", "--master", address).splitlines()) == 2
        assert place.json("agents", "--master", address)[0]["id"] == evil


def test_more_tasks_than_one_answer_holds(place):
    """A long list comes in pieces; a task with its whole id is asked for alone."""
    def answer(path):
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
        if "task_id" in query:
            return 200, json.dumps({"tasks": [{"id": query["task_id"]}] if query["task_id"] == "t70000" else []})
        first, n = int(query["offset"]), int(query["limit"])
        return 200, json.dumps({"tasks": [{"id": "t%05d" % i, "state": "TASK_RUNNING"} for i in range(first, min(first + n, 70001))]})

    with master(answer) as (address, asked):
        assert place.ok("tasks", "--ids", "--master", address).split() == ["t%05d" % i for i in range(70001)]
        del asked[:]
        assert place.json("tasks", "t70000", "--master", address) == {"id": "t70000"}
        assert len(asked) == 1
        place.fails(3, "tasks", "t6999", "--master", address, says="several tasks begin with 't6999'")


# ---- contexts ----

@pytest.fixture
def contexts(place):
    """A home of its own, and no variables."""
    with tempfile.TemporaryDirectory(prefix="fairlead-cli-") as home:
        p = Place(place.cluster, home)
        del p.environment["FAIRLEAD_MASTER"]
        yield p


def test_contexts(contexts):
    real = contexts.cluster.master.address
    contexts.ok("config", "set-context", "here", "--master", real)
    contexts.ok("config", "set-context", "away", "--master", "127.0.0.1:1")
    path = contexts.home + "/.config/fairlead/config"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert [c["name"] for c in contexts.json("config", "list") if c["current"]] == ["here"]
    assert len(agents(contexts)) == 2
    contexts.ok("config", "use", "away")
    contexts.fails(4, "agents")
    contexts.ok("--context", "here", "agents")
    contexts.ok("agents", "--context=here")
    contexts.ok("agents", env={"FAIRLEAD_CONTEXT": "here"})
    contexts.ok("agents", env={"FAIRLEAD_MASTER": real})                                    # environment > current context
    contexts.fails(4, "agents", "--context", "away", env={"FAIRLEAD_MASTER": real})         # flag > environment
    contexts.ok("agents", "--master", real, env={"FAIRLEAD_CONTEXT": "away"})
    contexts.fails(3, "config", "use", "none")
    contexts.fails(2, "config", "set-context", "a b", "--master", real)
    contexts.fails(2, "config", "set-context", "new")
    contexts.fails(6, "config", "delete-context", "away")
    contexts.ok("config", "delete-context", "away", "--yes")
    contexts.fails(3, "config", "show")
    other = {"XDG_CONFIG_HOME": contexts.home + "/xdg"}
    contexts.ok("config", "set-context", "here", "--master", real, env=other)
    assert os.path.exists(contexts.home + "/xdg/fairlead/config")
    os.chmod(path, 0o666)
    contexts.fails(2, "agents", says="chmod 600")
    with open(path, "w") as f:
        f.write("[here]\nsecret s3cret\n")
    os.chmod(path, 0o600)
    assert "s3cret" not in contexts.fails(2, "agents", says="line 2").stderr


def test_secrets_are_not_shown_and_go_to_their_cluster_only(contexts):
    answer = lambda path: (200, '{"slaves": []}')
    basic = "Basic " + base64.b64encode(b"me:s3cret").decode()
    with master(answer) as (own, asked), master(answer) as (stranger, overheard):
        contexts.ok("config", "set-context", "own", "--master", own, "--principal", "me", "--secret-stdin", input="s3cret\n")
        for words in (["config", "show"], ["config", "list"], ["config", "show", "--json"]):
            text = contexts.ok(*words)
            assert "me" in text and "s3cret" not in text
        contexts.ok("agents")
        assert asked[-1][1]["Authorization"] == basic
        contexts.ok("agents", "--master", stranger)
        assert "Authorization" not in overheard[-1][1]
        contexts.ok("agents", "--master", stranger, "--context", "own")
        assert overheard[-1][1]["Authorization"] == basic
        token = contexts.home + "/token"
        with open(token, "w") as f:
            f.write("a.b.c\n")
        os.chmod(token, 0o600)
        contexts.ok("agents", "--token-file", token)
        assert asked[-1][1]["Authorization"] == "Bearer a.b.c"
        # A context that is named is all of it; the current one gives way to the environment.
        contexts.ok("agents", env={"FAIRLEAD_TOKEN_FILE": token})
        assert asked[-1][1]["Authorization"] == "Bearer a.b.c"
        contexts.ok("agents", "--context", "own", env={"FAIRLEAD_TOKEN_FILE": token, "FAIRLEAD_MASTER": stranger})
        assert asked[-1][1]["Authorization"] == basic
        contexts.ok("agents", env={"FAIRLEAD_CONTEXT": "own", "FAIRLEAD_MASTER": stranger})
        assert "Authorization" not in overheard[-1][1]
        contexts.ok("config", "set-context", "own", "--principal", "", "--token-stdin", input="d.e.f\n")
        contexts.ok("agents")
        assert asked[-1][1]["Authorization"] == "Bearer d.e.f"


# ---- completion ----

def bash(place, line):
    script = '. <("$1" completion bash); COMP_LINE=$2; COMP_POINT=${#2}; _fairlead; printf "%s\\n" "${COMPREPLY[@]}"'
    out = subprocess.run(["bash", "-c", script, "bash", FAIRLEAD, line], capture_output=True, text=True, timeout=30, check=True,
                         env=place.environment)
    assert out.stderr == "", out.stderr
    return [word for word in out.stdout.splitlines() if word]


def test_completion_in_bash(place, task):
    def complete(line):
        return bash(place, FAIRLEAD + " " + line)
    assert {"tasks", "quota", "maintenance", "config"} <= set(complete(""))
    assert complete("quota s") == ["set"] and complete("maintenance ") == ["schedule", "add", "remove", "down", "up", "status"]
    assert complete("tasks --fr") == ["--framework"]
    # The master has a second to answer, which a busy machine may not give it.
    wait_for(lambda: complete("logs look") == [task])
    wait_for(lambda: sorted(complete("drain ")) == agents(place) == sorted(complete("tasks --agent ")))
    assert complete("tasks --state=runn") == ["running"]  # what stands before '=' is another word to bash
    wait_for(lambda: place.json("tasks", task)["framework_id"] in complete("teardown "))
    assert complete("logs --master 127.0.0.1:1 look") == []
    assert complete("exec %s -- l" % task) == []


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_completion_in_zsh(place):
    script = 'autoload -U compinit; compinit -u -D; . <("$1" completion zsh); print $_comps[fairlead]\n' \
             '_describe() { print -l "${(@P)${@[-1]}}" }; words=(%s quota s); CURRENT=3; _fairlead' % FAIRLEAD
    out = subprocess.run(["zsh", "-fc", script, "zsh", FAIRLEAD], capture_output=True, text=True, timeout=30, check=False, env=place.environment)
    assert out.stdout.splitlines() == ["_fairlead", "set:Set the quota of a role."] and out.stderr == "", out


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_completion_in_fish(place):
    env = dict(place.environment, PATH=BIN + ":" + place.environment["PATH"])
    out = subprocess.run(["fish", "--no-config", "-c", "fairlead completion fish | source; complete -C 'fairlead quota s'"], capture_output=True,
                         text=True, timeout=30, check=False, env=env)
    assert out.stdout.splitlines() == ["set\tSet the quota of a role."], out


# ---- https ----

def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def test_https(tmp_path):
    at = str(tmp_path)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", at + "/key.pem", "-out", at + "/cert.pem")
    p = Place.__new__(Place)
    p.environment = dict(os.environ, HOME=at)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at + "/cert.pem", at + "/key.pem")
    with master(lambda path: (307, "http://127.0.0.1:1/") if "redirect" in path else (200, '{"slaves": []}'), context) as (address, asked):
        p.ok("agents", "--master", "https://" + address, "--ca-file", at + "/cert.pem")
        p.ok("agents", "--master", "https://" + address, "--insecure")
        p.ok("agents", "--master", "https://" + address, env={"FAIRLEAD_CA_FILE": at + "/cert.pem"})
        assert len(asked) == 3
        p.fails(4, "agents", "--master", "https://" + address)
        p.fails(4, "agents", "--master", address)
        assert len(asked) == 3
