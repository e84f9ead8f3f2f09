"""The command line as a user has it: every verb against one cluster that `fairlead up` started."""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness.cluster import AS_ROOT, BIN, free_ports

FAIRLEAD = os.path.join(BIN, "fairlead")
ROOT = os.path.dirname(os.path.dirname(BIN))
AGENTS = 2
SOON = 15  # seconds within which what cannot work has to say so


class Place:
    """A cluster of this file, and the command line pointed at it."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.dir = folder + "/c"
        self.master = "127.0.0.1:%d" % port
        self.environment = dict(os.environ, FAIRLEAD_MASTER=self.master)

    def fairlead(self, *arguments, timeout=30, text=True):
        return subprocess.run([FAIRLEAD] + list(arguments), capture_output=True, text=text, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, env=self.environment)

    def run(self, *arguments, **more):
        return self.fairlead("run", *arguments, **more)

    def json(self, *arguments):
        out = self.fairlead(*arguments, "--json")
        assert (out.returncode, out.stderr) == (0, ""), out
        return json.loads(out.stdout)

    def up(self, folder, port):
        return self.fairlead("up", "--port", str(port), "--dir", folder, "--agents", str(AGENTS), "--detach", timeout=45)

    def state(self, task):
        """Of the newest task of that id, or None."""
        states = [t["state"] for t in self.json("ps", "--all") if t["id"] == task]
        return states[-1] if states else None

    def wait_state(self, task, *wanted):
        deadline = time.monotonic() + SOON
        while time.monotonic() < deadline:
            state = self.state(task)
            if state in wanted:
                return state
            time.sleep(0.1)
        raise AssertionError("%s is %s, not %s" % (task, state, wanted))

    @contextlib.contextmanager
    def running(self, name, script):
        """`fairlead run` in the background, its task at work; ended by its pid when the test leaves it behind."""
        with subprocess.Popen([FAIRLEAD, "run", "--name", name, "--", "sh", "-c", script], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment) as p:
            try:
                self.wait_state(name + ".1", "TASK_RUNNING")
                yield p
            finally:
                if p.poll() is None:
                    p.terminate()
                    try:
                        p.communicate(timeout=SOON)
                    except subprocess.TimeoutExpired:
                        p.kill()


@pytest.fixture(scope="module")
def place():
    folder = tempfile.mkdtemp(prefix="fairlead-system-")
    os.chmod(folder, 0o755)
    p = Place(folder, free_ports(1 + AGENTS)[0])
    started = p.up(p.dir, p.port)
    try:
        assert started.returncode == 0, started.stderr
        yield p
    finally:
        p.fairlead("down", "--dir", p.dir, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


# ---- run ----

def test_run_prints_what_the_command_prints_and_returns_its_code(place):
    out = place.run("--", "sh", "-c", "echo hello; exit 3")
    assert (out.returncode, out.stdout, out.stderr) == (3, "hello\n", "")


def test_run_takes_the_master_as_an_option(place):
    out = subprocess.run([FAIRLEAD, "run", "--master=" + place.master, "true"], capture_output=True, text=True, timeout=30, check=False,
                         env={k: v for k, v in os.environ.items() if k != "FAIRLEAD_MASTER"})
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_run_returns_128_and_the_signal(place, number):
    out = place.run("--", "sh", "-c", "ulimit -c 0; echo before; kill -%d $$" % number)
    assert (out.returncode, out.stdout) == (128 + number, "before\n"), out
    assert out.stderr.count("\n") == 1, out.stderr


def test_run_shows_every_instance(place):
    out = place.run("--instances", "20", "--cpus", "0.05", "--", "sh", "-c", "echo one; echo two")
    assert (out.returncode, out.stderr) == (0, ""), out
    assert sorted(out.stdout.splitlines()) == sorted("[%d] %s" % (i, w) for i in range(1, 21) for w in ("one", "two"))


def test_run_ends_the_line_of_one_instance_before_that_of_another(place):
    out = place.run("--instances", "3", "--", "printf", "open")
    assert (out.returncode, sorted(out.stdout.splitlines()), out.stderr) == (0, ["[%d] open" % i for i in (1, 2, 3)], ""), out
    out = place.run("--instances", "2", "--", "sh", "-c", "printf open >&2")
    assert (out.returncode, out.stdout, sorted(out.stderr.splitlines())) == (0, "", ["[1] open", "[2] open"]), out


def test_run_keeps_stderr_apart(place):
    out = place.run("--", "sh", "-c", "echo out; echo err >&2")
    assert (out.returncode, out.stdout, out.stderr) == (0, "out\n", "err\n")


def test_run_sets_the_environment(place):
    out = place.run("--env", "A=one two", "--env=B=x=y", "--env", "C=", "--", "sh", "-c", 'echo "$A|$B|${C-unset}"')
    assert (out.returncode, out.stdout) == (0, "one two|x=y|\n"), out


def test_run_keeps_the_words_of_the_command_apart(place):
    out = place.run("--", "printf", "<%s>", "a b", "$HOME", "", "--cpus", "'")
    assert (out.returncode, out.stdout) == (0, "<a b><$HOME><><--cpus><'>"), out


def test_run_fetches_a_uri(place):
    with open(place.folder + "/words.txt", "w", encoding="utf-8") as f:
        f.write("fetched\n")
    out = place.run("--uri", "file://" + place.folder + "/words.txt", "--", "cat", "words.txt")
    assert (out.returncode, out.stdout) == (0, "fetched\n"), out


def test_run_says_that_a_uri_cannot_be_fetched(place):
    out = place.run("--uri", "file://" + place.folder + "/none.txt", "--", "true")
    assert out.returncode == 1 and "fairlead: run.1: TASK_FAILED" in out.stderr, out


@pytest.mark.skipif(not AS_ROOT, reason="needs root: another user")
def test_run_as_a_user(place):
    out = place.run("--user", "nobody", "--", "id", "-un")
    assert (out.returncode, out.stdout) == (0, "nobody\n"), out


def test_run_names_the_framework_and_its_tasks(place):
    assert place.run("--name", "a-name", "true").returncode == 0
    assert place.state("a-name.1") == "TASK_FINISHED"
    assert "a-name" in [f["name"] for f in place.json("frameworks", "--all")]


def test_run_brings_large_output_unchanged(place):
    data = b"".join(hashlib.sha512(b"%d" % i).digest() for i in range(16384))
    assert len(data) == 1 << 20 and b"\0" in data and b"\xff" in data
    path = place.folder + "/bytes"
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o644)
    out = place.run("--name", "large", "--", "cat", path, text=False)
    assert (out.returncode, out.stderr) == (0, b"")
    assert out.stdout == data
    assert place.fairlead("logs", "large.1", text=False).stdout == data


def test_an_interrupt_ends_the_task(place):
    with place.running("interrupted", "echo begun; exec sleep 100") as p:
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=SOON)
        assert p.returncode == 130
    assert place.wait_state("interrupted.1", "TASK_KILLED") == "TASK_KILLED"


# ---- what cannot work says so ----

def ends_with_one_line(out):
    assert out.returncode in (1, 2, 3, 4) and out.stdout == "", out
    assert out.stderr.startswith("fairlead: ") and out.stderr.count("\n") == 1 and out.stderr.endswith("\n"), out.stderr


@pytest.mark.parametrize("arguments", [
    ("run", "--cpus", "abc", "--", "true"),
    ("run", "--cpus", "1000", "--", "true"),
    ("run", "--cpus", "0", "--", "true"),
    ("run", "--cpus", "nan", "--", "true"),
    ("run", "--mem", "-1", "--", "true"),
    ("run", "--mem", "99999999999", "--", "true"),
    ("run", "--instances", "0", "--", "true"),
    ("run", "--role", "a//b", "--", "true"),
    ("run", "--env", "novalue", "--", "true"),
    ("run", "--master", "127.0.0.1:1", "--", "true"),
    ("run", "--master", "127.0.0.1:none", "--", "true"),
    ("run", "--master", "", "--", "true"),
    ("run", "--cpus"),
    ("run",),
    ("run", "--"),
    ("run", "--unknown", "--", "true"),
    ("unknown",),
    ("ps", "--unknown"),
    ("ps", "word"),
    ("ps", "--master", "127.0.0.1:1"),
    ("agents", "--master", "127.0.0.1:1"),
    ("frameworks", "--master", "127.0.0.1:1"),
    ("logs",),
    ("logs", "none.1"),
    ("kill",),
    ("kill", "none.1"),
    ("kill", "--framework", "none"),
    ("kill", "--framework", 'a"b'),
], ids=" ".join)
def test_what_cannot_work_ends_with_one_line(place, arguments):
    ends_with_one_line(place.fairlead(*arguments, timeout=SOON))


# These name a folder and a port of their own: without them a fault would start or stop the cluster of whoever uses this machine.
@pytest.mark.parametrize("arguments", [
    ("up", "--detach", "word"),
    ("up", "--detach", "--port", "65536"),
    ("up", "--detach", "--agents", "0"),
    ("up", "--detach", "--unknown"),
    ("down", "word"),
    ("down", "--unknown"),
    ("down",),
], ids=" ".join)
def test_up_and_down_that_cannot_work_end_with_one_line(place, arguments):
    own = ["--dir", place.folder + "/never"]
    if arguments[0] == "up":
        own += ["--port", str(free_ports(4)[0])]
    try:
        out = place.fairlead(arguments[0], *own, *arguments[1:], timeout=SOON)
        ends_with_one_line(out)
        assert arguments[-1] != "word" or "what to do with 'word'" in out.stderr, out.stderr
    finally:
        place.fairlead("down", *own[:2], timeout=45)


@pytest.mark.parametrize("verb", ["up", "down", "run", "ps", "agents", "frameworks", "logs", "kill", "version"])
def test_every_verb_has_help(place, verb):
    out = place.fairlead(verb, "--help")
    assert (out.returncode, out.stderr) == (0, "") and out.stdout.startswith("usage: fairlead " + verb), out
    assert "  %s " % verb in place.fairlead("help").stdout


# ---- lists ----

def table(text):
    lines = text.splitlines()
    return lines[0].split(), [line.split() for line in lines[1:]]


def test_ps(place):
    assert place.run("--name", "ended", "true").returncode == 0
    with place.running("listed", "exec sleep 100"):
        heads, rows = table(place.fairlead("ps").stdout)
        assert heads == ["TASK", "NAME", "STATE", "SINCE", "CPUS", "MEM", "ROLE", "AGENT", "FRAMEWORK"]
        row = [r for r in rows if r[0] == "listed.1"][0]
        assert row[1:3] == ["listed", "TASK_RUNNING"] and row[4:7] == ["0.1", "32", "*"], row
        assert "ended.1" not in [r[0] for r in rows]
        rows = table(place.fairlead("ps", "--all").stdout)[1]
        assert ["ended.1", "ended", "TASK_FINISHED"] in [r[:3] for r in rows]
        only = place.json("ps", "--all", "--framework", row[8])
        assert [(t["id"], t["state"], t["framework_id"]) for t in only] == [("listed.1", "TASK_RUNNING", row[8])]


def test_agents(place):
    heads, rows = table(place.fairlead("agents").stdout)
    assert heads == ["AGENT", "HOST", "STATE", "CPUS", "MEM", "DISK", "SINCE", "VERSION"]
    assert len(rows) == AGENTS and all(r[1:3] == ["127.0.0.1", "active"] for r in rows), rows
    listed = place.json("agents")
    assert sorted(a["id"] for a in listed) == sorted(r[0] for r in rows)
    assert all(a["active"] and a["resources"]["cpus"] > 0 for a in listed)


def test_frameworks(place):
    with place.running("shared", "exec sleep 100"):
        heads, rows = table(place.fairlead("frameworks").stdout)
        assert heads == ["FRAMEWORK", "NAME", "STATE", "TASKS", "CPUS", "MEM", "SHARE", "SINCE", "ROLES"]
        row = [r for r in rows if r[1] == "shared"][0]
        assert row[2:6] == ["active", "1", "0.1", "32"] and row[6].endswith("%"), row
        one = [f for f in place.json("frameworks") if f["id"] == row[0]][0]
        assert one["name"] == "shared" and 0 < one["dominant_share"] < 1
    rows = table(place.fairlead("frameworks", "--all").stdout)[1]
    assert [r[2] for r in rows if r[0] == row[0]] == ["completed"]
    assert row[0] not in [f["id"] for f in place.json("frameworks")]


# ---- logs, kill, version ----

def test_logs(place):
    assert place.run("--name", "logged", "--", "sh", "-c", "echo out; echo err >&2").returncode == 0
    for arguments, wanted in ((("logged.1",), "out\n"), (("--stderr", "logged.1"), "err\n"), (("logged.1", "--stderr"), "err\n"),
                              (("--follow", "logged.1"), "out\n")):
        out = place.fairlead("logs", *arguments)
        assert (out.returncode, out.stdout, out.stderr) == (0, wanted, ""), arguments


def test_logs_follows_a_task_to_its_end(place):
    go = place.folder + "/go"
    with place.running("followed", "echo first; until [ -e %s ]; do sleep 0.1; done; echo last" % go) as p:
        assert place.fairlead("logs", "followed.1").stdout in ("", "first\n")
        with subprocess.Popen([FAIRLEAD, "logs", "--follow", "followed.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, env=place.environment) as f:
            try:
                time.sleep(0.5)
                assert f.poll() is None
                with open(go, "w", encoding="utf-8"):
                    pass
                assert f.communicate(timeout=SOON) == ("first\nlast\n", "")
                assert f.returncode == 0
            finally:
                if f.poll() is None:
                    f.kill()
        assert p.communicate(timeout=SOON) == ("first\nlast\n", "")
        assert p.returncode == 0


def test_kill_a_task(place):
    with place.running("killed", "exec sleep 100") as p:
        out = place.fairlead("kill", "killed.1", "--yes")
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
        _, err = p.communicate(timeout=SOON)
        assert p.returncode not in (0, None) and err.count("\n") == 1, (p.returncode, err)
    assert place.wait_state("killed.1", "TASK_KILLED", "TASK_FAILED")
    again = place.fairlead("kill", "killed.1", "--yes")
    assert again.returncode == 1 and "there is nothing to end" in again.stderr, again


def test_kill_a_framework(place):
    with place.running("torn", "exec sleep 100") as p:
        task = [t for t in place.json("ps") if t["id"] == "torn.1"][0]
        out = place.fairlead("kill", "--yes", "--framework", task["framework_id"])
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
        p.communicate(timeout=SOON)
        assert p.returncode not in (0, None)
    assert place.wait_state("torn.1", "TASK_KILLED") == "TASK_KILLED"
    assert task["framework_id"] not in [f["id"] for f in place.json("frameworks")]


def test_version(place):
    with open(ROOT + "/VERSION", encoding="utf-8") as f:
        version = f.read().strip()
    lines = place.fairlead("version").stdout.splitlines()
    assert lines[0].startswith("fairlead %s " % version), lines
    assert lines[1].startswith("master at %s: %s " % (place.master, version)), lines
    assert place.fairlead("--version").stdout.splitlines() == lines
    both = place.json("version")
    assert both["client"]["version"] == both["master"]["version"] == version


def test_version_without_a_master(place):
    out = place.fairlead("version", "--master", "127.0.0.1:1")
    assert out.returncode == 0 and "master at 127.0.0.1:1: " in out.stdout, out
    assert place.json("version", "--master", "127.0.0.1:1")["master"] is None


# ---- up and down ----

def test_up_in_a_folder_that_is_used_is_refused(place):
    before = sorted(a["id"] for a in place.json("agents"))
    out = place.up(place.dir, free_ports(1 + AGENTS)[0])
    assert out.returncode == 1 and "runs already" in out.stderr and out.stderr.count("\n") == 1, out
    assert sorted(a["id"] for a in place.json("agents") if a["active"]) == before
    assert place.run("true").returncode == 0


def test_down_twice(place):
    folder = place.folder + "/second"
    assert place.up(folder, free_ports(1 + AGENTS)[0]).returncode == 0
    out = place.fairlead("down", "--dir", folder)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    out = place.fairlead("down", "--dir", folder)
    assert out.returncode == 1 and out.stderr.startswith("fairlead: no cluster of ") and out.stderr.count("\n") == 1, out
    assert len(place.json("agents")) == AGENTS  # the other one is left alone


# ---- what the documentation invites to try ----

def test_the_demonstration_counts_right(place):
    tree = place.folder + "/tree"
    for i in range(1, 11):
        os.makedirs("%s/d%d" % (tree, i))
        with open("%s/d%d/words" % (tree, i), "w", encoding="utf-8") as f:
            f.write("word and\n" * i)
    out = subprocess.run([ROOT + "/tools/demo.sh", place.master], capture_output=True, text=True, timeout=60, check=False,
                         stdin=subprocess.DEVNULL, env=dict(os.environ, DEMO_TREE=tree))
    assert out.returncode == 0, out
    assert "Counting the words in 10 directories" in out.stdout
    assert "together           110 words; one pipeline (find | wc -w) counts the same" in out.stdout, out.stdout


def test_the_example_runs(place):
    out = subprocess.run([ROOT + "/build/examples/hello", place.master], capture_output=True, text=True, timeout=30, check=False,
                         stdin=subprocess.DEVNULL)
    assert out.returncode == 0 and "subscribed at " in out.stdout, out
