"""`fairlead up` and `down`: a whole cluster by one command, which leaves alone what it did not start."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness.cluster import BIN, free_ports
from harness.http import eventually, get_json

AGENTS = 2


def fairlead(*arguments):
    return subprocess.run([os.path.join(BIN, "fairlead")] + list(arguments), capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def place():
    folder = tempfile.mkdtemp(prefix="fairlead-system-")
    os.chmod(folder, 0o755)
    port = free_ports(1 + AGENTS)[0]
    started = up(folder + "/c", port)
    try:
        assert started.returncode == 0, started.stderr
        yield folder, port
    finally:
        fairlead("down", "--dir", folder + "/c")
        shutil.rmtree(folder, ignore_errors=True)


def up(folder, port):
    return fairlead("up", "--detach", "--agents", str(AGENTS), "--port", str(port), "--dir", folder)


def agents(port):
    return len(get_json("127.0.0.1:%d" % port, "/slaves")["slaves"])


def test_it_runs_commands(place):
    _, port = place
    assert agents(port) == AGENTS
    out = fairlead("run", "--master", "127.0.0.1:%d" % port, "--", "sh", "-c", "echo hello; exit 3")
    assert (out.returncode, out.stdout, out.stderr) == (3, "hello\n", "")


def test_its_logs_are_served(place):
    """The page's button "Log of the master" finds something."""
    folder, port = place
    for at, path, name in ((port, "/master/log", "master"), (port + 1, "/slave/log", "agent1")):
        told = get_json("127.0.0.1:%d" % at, "/files/read?path=%s&offset=0&length=1000" % path)
        with open("%s/c/%s.log" % (folder, name), encoding="utf-8") as f:
            assert told["data"] and f.read(1000).startswith(told["data"]), told


def test_a_second_one_in_its_folder_is_refused_and_hurts_nothing(place):
    folder, port = place
    out = up(folder + "/c", free_ports(1 + AGENTS)[0])
    assert out.returncode == 1 and "runs already" in out.stderr and out.stderr.count("\n") == 1, out
    assert agents(port) == AGENTS


def test_a_second_one_on_its_port_is_refused_and_hurts_nothing(place):
    folder, port = place
    out = up(folder + "/other", port)
    assert out.returncode == 1 and "master.log" in out.stderr and out.stderr.count("\n") == 1, out
    assert agents(port) == AGENTS


def test_it_goes_on_without_an_agent():
    """Who keeps it in a terminal is told of an agent that ended, and of a `down` from elsewhere; neither is a failure."""
    folder = tempfile.mkdtemp(prefix="fairlead-system-")
    os.chmod(folder, 0o755)
    port = free_ports(1 + AGENTS)[0]
    with open(folder + "/said", "w+", encoding="utf-8") as said:
        p = subprocess.Popen([os.path.join(BIN, "fairlead"), "up", "--agents", str(AGENTS), "--port", str(port), "--dir", folder + "/c"],
                             stdin=subprocess.DEVNULL, stdout=said, stderr=said)

        def told(words):
            with open(folder + "/said", encoding="utf-8") as f:
                assert words in f.read()
            return True
        try:
            eventually(lambda: told("The cluster runs"), 60)
            with open(folder + "/c/pids", encoding="utf-8") as f:
                pid = next(int(line.split()[0]) for line in f if line.split()[2] == "agent2")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: told("the agent2 has ended"))
            assert p.poll() is None and get_json("127.0.0.1:%d" % port, "/slaves")["slaves"]
            assert fairlead("down", "--dir", folder + "/c").returncode == 0
            assert p.wait(20) == 0
            assert told("The cluster was stopped.") and not os.path.exists(folder + "/c/stopping")
        finally:
            fairlead("down", "--dir", folder + "/c")
            p.kill()
            p.wait()
            shutil.rmtree(folder, ignore_errors=True)


def test_down_ends_all_of_it(place):
    folder, port = place
    start = time.monotonic()
    assert fairlead("down", "--dir", folder + "/c").returncode == 0
    assert time.monotonic() - start < 8, "they had to be killed"
    with pytest.raises(OSError):
        agents(port)
    out = fairlead("down", "--dir", folder + "/c")
    assert out.returncode == 1 and out.stderr.count("\n") == 1
    assert up(folder + "/c", port).returncode == 0  # for the others, in whatever order
