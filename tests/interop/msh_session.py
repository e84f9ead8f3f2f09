"""In a network namespace of its own: a cluster whose agent listens at 5051, and msh on a terminal, attached to its task. What came out of
the terminal goes to standard output."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from clients import USER, Cluster, place

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

# What the task says before msh has attached goes to its sandbox alone, so it says that it is ready until it was heard. The terminal's size
# comes a moment later too: it is asked for until it is there.
TASK = ('while :; do echo ready; sleep 0.1; done & read line; kill $!; echo "typed: $line"; '
        'for i in $(seq 200); do set -- $(stty size); [ "$1" = 33 ] && break; sleep 0.05; done; echo "sized: $(stty size)"; exit 0')


def session(cluster):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(place("mesos-go", "bin", "msh"), ["msh", "-master", cluster.master.address, "-user", USER, "-interactive", "-tty", "--", "sh",
                                                   "-c", TASK])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    said, typed, end = b"", False, time.monotonic() + 40
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        said += data
        if not typed and re.search(rb"ready\r*\n", said):
            typed = True
            os.write(terminal, b"hello\r")
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return said.decode(errors="replace"), status


def main():
    with Cluster(agent_flags={"port": 5051}) as c:
        said, status = session(c)
        print(said)
        print("msh ended with", status)
        if "sized: 33 111" not in said:
            print(c.logs())
    return 0


sys.exit(main())
