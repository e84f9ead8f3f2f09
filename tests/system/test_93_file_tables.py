"""A master carries more connections than its limit of open files: each of its I/O threads has a file table of its own."""
import os
import resource
import shutil
import signal
import socket

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get, get_json

LIMIT = 256
CHANNELS = 400
PLAIN = 200


def dial(address, text, want):
    host, port = address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), timeout=20)
    s.sendall(text.encode())
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(4096)
        assert piece, got
        got += piece
    assert want in got.split(b"\r\n", 1)[0], got
    return s


def open_channel(address):
    """As an agent begins; it never says who it is."""
    return dial(address, "GET /wire HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: fairlead-wire/1\r\n\r\n", b"101")


def ask_health(s):
    s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in s.recv(4096).split(b"\r\n", 1)[0]


@pytest.fixture
def many_files():
    """This process holds the other ends."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def still_open(s):
    s.setblocking(False)
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True


def test_more_connections_than_open_files(many_files, tmp_path):
    assert shutil.which("prlimit"), "util-linux has it"
    with Cluster(agents=0, master_flags={"log_dir": str(tmp_path)}) as c:
        c.master.stop()
        c.master.wrapper = ["prlimit", "--nofile=%d:%d" % (LIMIT, LIMIT)]
        c.master.start()
        master = c.master.address
        assert len(os.listdir("/proc/%d/fd" % c.master.process.pid)) < 60
        channels = [open_channel(master) for _ in range(CHANNELS)]
        plain = [dial(master, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"200") for _ in range(PLAIN)]
        m = c.master.metrics()
        assert m["http/sockets"] >= CHANNELS + PLAIN
        assert m["http/io_threads"] > (CHANNELS + PLAIN) / LIMIT
        assert m["http/io_threads_failed"] == 0 and m["http/refused_connections"] == 0
        # The log's new file has a number of a connection in other tables; nothing may be written there.
        os.rename(str(tmp_path / "fairlead-master.log"), str(tmp_path / "old.log"))
        c.master.signal(signal.SIGHUP)
        eventually(lambda: os.path.exists(str(tmp_path / "fairlead-master.log")))
        # A real agent, and what uses files of the main thread, in the middle of it.
        c.add_agent()
        c.wait_agents(1)
        assert "agent" in (tmp_path / "fairlead-master.log").read_text()
        log = get(master, "/files/read?path=/master/log&offset=0&length=100")
        assert log.status == 200, log
        assert all(still_open(s) for s in channels)
        for s in plain:
            ask_health(s)
        for s in channels:
            s.close()
        eventually(lambda: c.master.metrics()["http/sockets"] < PLAIN + 50)
        more = [open_channel(master) for _ in range(CHANNELS)]
        assert c.master.metrics()["http/sockets"] >= CHANNELS + PLAIN
        for s in more + plain:
            s.close()
        assert get_json(master, "/state")["activated_slaves"] == 1
