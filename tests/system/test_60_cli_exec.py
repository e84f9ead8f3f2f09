"""exec, attach and top of the command line, with pipes and on a terminal."""
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually
from harness.scheduler import Scheduler

TTY = {"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 70}}}


@pytest.fixture(scope="module")
def world():
    with Cluster() as c:
        s = Scheduler(c.master.address, name="cli-exec")
        s.subscribe()
        offer = s.offer()
        plain = s.task(offer, "echo in the sandbox > there; sleep 1000")
        # Says what it reads, until it is told to stop.
        terminal = s.task(offer, "while read -r line; do echo \"heard $line\"; [ \"$line\" = stop ] && exit 0; done", container=TTY)
        s.launch(offer, plain, terminal)
        for t in (plain, terminal):
            s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["task_id"] == t["task_id"] and
                       e["update"]["status"]["state"] == "TASK_RUNNING")
        yield {"cluster": c, "scheduler": s, "plain": plain["task_id"]["value"], "terminal": terminal["task_id"]["value"]}


def command(world, *words):
    return [os.path.join(BIN, "fairlead"), words[0], "--master", world["cluster"].master.address, *words[1:]]


def run(world, *words, stdin=b"", wait=20):
    return subprocess.run(command(world, *words), input=stdin, capture_output=True, timeout=wait)


class Terminal:
    """A program on a terminal of ours."""

    def __init__(self, words, rows=33, columns=99):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (rows, columns))
            os.execv(words[0], words)
        self.seen = b""
        self.status = None

    def until(self, text, wait=15):
        end = time.monotonic() + wait
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0 and self.more(left), "there was no %r in %r" % (text, self.seen)

    def more(self, wait):
        if not select.select([self.fd], [], [], wait)[0]:
            return True
        try:
            piece = os.read(self.fd, 4096)
        except OSError:
            return False
        self.seen += piece
        return bool(piece)

    def type(self, text):
        os.write(self.fd, text)

    def end(self, wait=15):
        deadline = time.monotonic() + wait
        while self.status is None and time.monotonic() < deadline:
            self.more(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise AssertionError("it does not end; it wrote %r" % self.seen)
        os.close(self.fd)
        return self.status


def test_output_and_exit_code(world):
    a = run(world, "exec", world["plain"], "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (a.stdout, a.stderr, a.returncode) == (b"out\n", b"err\n", 7)


def test_input_to_its_end(world):
    a = run(world, "exec", world["plain"], "--", "tr", "a-z", "A-Z", stdin=b"from here\n")
    assert (a.stdout, a.returncode) == (b"FROM HERE\n", 0), a


def test_much_input_to_a_slow_reader(world):
    """More than any buffer on the way holds, and the reader begins late: nothing is lost, and nobody is cut off."""
    data = os.urandom(1 << 20) * 12
    a = run(world, "exec", world["plain"], "--", "sh", "-c", "sleep 1; wc -c", stdin=data, wait=60)
    assert (a.stdout.strip(), a.returncode) == (b"%d" % len(data), 0), a.stderr


def test_input_from_a_file(world, tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 300000)
    with open(tmp_path / "f", "rb") as f:
        a = subprocess.run(command(world, "exec", world["plain"], "--", "wc", "-c"), stdin=f, capture_output=True, timeout=20)
    assert (a.stdout.strip(), a.returncode, a.stderr) == (b"300000", 0, b""), a


def test_nothing_to_read(world):
    a = subprocess.run(command(world, "exec", world["plain"], "--", "wc", "-c"), stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (a.stdout.strip(), a.returncode, a.stderr) == (b"0", 0, b""), a


def test_killed_by_a_signal(world):
    a = run(world, "exec", world["plain"], "--", "sh", "-c", "kill -9 $$")
    assert a.returncode == 128 + 9


def test_a_program_that_is_not_there(world):
    a = run(world, "exec", world["plain"], "--", "/no/such/program")
    assert a.returncode == 1 and b"/no/such/program" in a.stderr and a.stderr.count(b"\n") == 1, a


def test_no_such_task(world):
    a = run(world, "exec", "nobody", "--", "true")
    assert a.returncode == 3 and b"there is no task 'nobody'" in a.stderr


def test_what_is_missing_is_said(world):
    assert run(world, "exec").returncode == 2
    a = run(world, "exec", world["plain"])
    assert a.returncode == 2 and b"COMMAND" in a.stderr


def test_interrupted_it_takes_its_container_along(world):
    p = subprocess.Popen(command(world, "exec", "--no-input", world["plain"], "--", "sh", "-c", "echo here; exec sleep 3333.25"),
                         stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"here\n"
    p.send_signal(signal.SIGINT)
    p.wait(10)

    def gone():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if b"3333.25" in f.read().split(b"\0"):
                        return False
            except OSError:
                pass
        return True
    eventually(gone)
    p.stdout.close()


def test_shell_on_a_terminal(world):
    t = Terminal(command(world, "exec", world["plain"], "--", "sh"))
    t.type(b"tty >/dev/null && stty size\n")
    t.until(b"33 99")
    t.type(b"exit 5\n")
    assert t.end() == 5


def test_attach_leave_and_come_back(world):
    t = Terminal(command(world, "attach", world["terminal"]))
    t.until(b"Ctrl-P")
    t.type(b"one\r")
    t.until(b"heard one")
    t.type(b"\x10\x11")
    assert t.end() == 0
    t = Terminal(command(world, "attach", world["terminal"]))
    t.until(b"Ctrl-P")
    t.type(b"two\r")
    t.until(b"heard two")
    t.type(b"stop\r")
    assert t.end() == 0
    world["scheduler"].wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_FINISHED")


def test_attach_needs_a_terminal_of_the_task(world):
    a = run(world, "attach", world["plain"])
    assert a.returncode == 1 and b"terminal" in a.stderr, a


def test_top(world):
    a = run(world, "top")
    assert a.returncode == 0, a
    row = next(line for line in a.stdout.decode().splitlines() if line.startswith(world["plain"]))
    assert float(row.split()[1]) >= 0 and float(row.split()[2]) == 0.2  # with what its supervision gets
    a = run(world, "top", "--json", "--memory")
    mine = [r for r in json.loads(a.stdout) if r["task"] == world["plain"]]
    assert len(mine) == 1 and mine[0]["mem_limit"] == 64 and mine[0]["processes"] >= 1
    assert run(world, "top", "--json", "--agent", "nobody").returncode == 3


def test_attach_after_the_agent_came_back():
    """The terminal, its window and what is typed survive a killed agent; what was shown meanwhile is in the sandbox."""
    with Cluster() as c:
        s = Scheduler(c.master.address, name="cli-attach", checkpoint=True, failover_timeout=60)
        s.subscribe()
        offer = s.offer()
        script = "while read -r line; do echo \"heard $line\"; stty size; [ \"$line\" = stop ] && exit 0; done"
        t = s.task(offer, script, container=TTY)
        s.launch(offer, t)
        s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_RUNNING")
        c.agent.kill9()
        c.agent.start()
        c.wait_agents(1)
        world = {"cluster": c}
        for word, size in ((b"one", (41, 90)), (b"two", (20, 60))):
            terminal = Terminal(command(world, "attach", t["task_id"]["value"]), *size)
            terminal.until(b"Ctrl-P")
            terminal.type(word + b"\r")
            terminal.until(b"heard " + word)
            terminal.until(b"%d %d" % size)
            terminal.type(b"\x10\x11")
            assert terminal.end() == 0
        terminal = Terminal(command(world, "attach", t["task_id"]["value"]))
        terminal.until(b"Ctrl-P")
        terminal.type(b"stop\r")
        assert terminal.end() == 0
        s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_FINISHED")


def shims_below(folder):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"fairlead-shim") and words[1].startswith(folder.encode()):
            yield pid


def cpu_time(pid):
    with open("/proc/%s/stat" % pid) as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_terminal_let_go_of_costs_nothing():
    """A task that closed its terminal goes on without an agent, and what supervises it sleeps."""
    with Cluster() as c:
        s = Scheduler(c.master.address, name="cli-idle", checkpoint=True, failover_timeout=60)
        s.subscribe()
        offer = s.offer()
        t = s.task(offer, "exec </dev/null >/dev/null 2>&1; exec sleep 1000", container=TTY)
        s.launch(offer, t)
        s.wait_for(lambda e: e["type"] == "UPDATE" and e["update"]["status"]["state"] == "TASK_RUNNING")
        shims = list(shims_below(c.folder))
        assert len(shims) == 1
        c.agent.kill9()
        before = cpu_time(shims[0])
        time.sleep(0.5)
        c.agent.start()
        c.wait_agents(1)
        time.sleep(0.5)
        assert list(shims_below(c.folder)) == shims and cpu_time(shims[0]) - before < 0.2


def test_what_is_typed_reaches_who_writes_without_end(world):
    """Output that never pauses must not keep its supervisor from what is typed, nor from ending it."""
    s = world["scheduler"]
    offer = s.offer()
    t = s.task(offer, "exec yes", container=TTY)
    s.launch(offer, t)
    s.status(t["task_id"]["value"], "TASK_RUNNING")
    terminal = Terminal(command(world, "attach", t["task_id"]["value"]))
    terminal.until(b"y\r\ny")
    terminal.type(b"\x03")
    terminal.end()
    assert s.end_of(t["task_id"]["value"])["state"] == "TASK_FAILED"
