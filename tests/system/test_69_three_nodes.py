"""docs/three-nodes.md: every command of its console blocks is run as it stands there, in three namespaces as the three machines, and what
the page shows below a command is what it prints, numbers and identifiers aside. `systemctl` is a stand-in that runs what the unit says:
there is no systemd in a namespace. `make vm-packages` has a real one."""
import fnmatch
import os
import queue
import re
import shutil
import subprocess
import threading
import time

import pytest

from harness.roots import Network, Root, run

SECONDS = 15
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, "docs/three-nodes.md")
NODES = {"one": "10.90.0.1", "two": "10.90.0.2", "three": "10.90.0.3"}
WAIT = 60

SYSTEMCTL = """#!/bin/sh
unit=$2
file=/lib/systemd/system/$unit.service
stop() {
    pid=$(cat /run/$unit.pid 2>/dev/null) && kill "$pid" 2>/dev/null && while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    rm -f /run/$unit.pid
}
start() {
    mkdir -p "/var/lib/$(sed -n 's/^StateDirectory=//p' $file)"
    (set -a; . /etc/default/$unit; exec setsid $(sed -n 's/^ExecStart=//p' $file)) >>/var/log/$unit.log 2>&1 &
    echo $! >/run/$unit.pid
}
case $1 in
start | stop) $1 ;;
restart) stop; start ;;
*) exit 1 ;;
esac
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2")


class Shell:
    """A shell on one machine that stays, as a person's does."""

    MARK = "--done--"

    def __init__(self, root):
        self.process = subprocess.Popen(root.enter("sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line.rstrip("\n")) for line in self.process.stdout], daemon=True).start()

    def do(self, command):
        self.process.stdin.write("%s\necho %s $?\n" % (command, self.MARK))
        self.process.stdin.flush()
        said = []
        while True:
            try:
                line = self.lines.get(timeout=WAIT)
            except queue.Empty:
                raise AssertionError("'%s' does not end; it said: %s" % (command, said)) from None
            if line.startswith(self.MARK):
                return int(line.split()[1]), said
            said.append(line)


def steps():
    """(machine, command, [lines it prints]) of every console block."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", open(PAGE, encoding="utf-8").read(), re.M | re.S):
        for line in block.splitlines():
            prompt = re.match(r"(one|two|three|all)# (.*)", line)
            if prompt:
                found.append((prompt[1], prompt[2], []))
            else:
                found[-1][2].append(line)
    return found


def plain(line):
    """Without what differs each time."""
    line = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}(-[S0-9]+)?", "ID", line)
    line = re.sub(r"\b\d[\d.]*(secs|mins|hrs|[smhd])?\b", "N", line)
    return re.sub(r"\s+", " ", line).strip()


def matches(said, expected):
    said, expected = sorted(map(plain, said)), sorted(map(plain, expected))
    return len(said) == len(expected) and all(fnmatch.fnmatchcase(s, e.replace("[", "[[]")) for s, e in zip(said, expected))


@pytest.fixture(scope="module")
def shells(tmp_path_factory):
    layer = tmp_path_factory.mktemp("layer")
    run(os.path.join(TOP, "tools/install.sh"), env={**os.environ, "DESTDIR": str(layer), "PREFIX": "/usr", "UNITDIR": "/usr/lib/systemd/system"})
    (layer / "etc/hosts").write_text("127.0.0.1 localhost\n" + "".join("%s %s\n" % (ip, name) for name, ip in NODES.items()), encoding="ascii")
    # Cgroups are the whole machine's; and there is one machine's memory for three.
    with open(layer / "etc/default/fairlead-agent", "a", encoding="ascii") as f:
        f.write("FAIRLEAD_LAUNCHER=posix\nFAIRLEAD_RESOURCES='cpus:2;mem:512;disk:1000;ports:[31000-31099]'\n")
    (layer / "usr/local/bin").mkdir(parents=True)
    (layer / "usr/local/bin/systemctl").write_text(SYSTEMCTL, encoding="ascii")
    (layer / "usr/local/bin/systemctl").chmod(0o755)
    for path in ("", "etc", "usr", "usr/local", "usr/local/bin"):
        (layer / path).chmod(0o755)
    network, roots = Network(), []
    try:
        for name, ip in NODES.items():
            roots.append(Root(tmp_path_factory.mktemp(name), name, layer=str(layer)))
            network.join(roots[-1], ip + "/24")
        yield {r.name: Shell(r) for r in roots}
    finally:
        for r in roots:
            r.close()
        network.close()


def test_the_page_does_what_it_says(shells):
    done = steps()
    assert len(done) > 15
    for where, command, expected in done:
        for name in NODES if where == "all" else [where]:
            end = time.monotonic() + WAIT
            while True:
                status, said = shells[name].do(command)
                # What is asked again until it holds, as a person would.
                if (status == 0 and (not expected or matches(said, expected))) or time.monotonic() > end or "run " in command:
                    break
                time.sleep(0.1)
            log = shells[name].do("tail -n 5 /var/log/fairlead-*.log")[1] if status or not matches(said, expected) and expected else []
            assert status == 0, (name, command, said, log)
            assert not expected or matches(said, expected), (name, command, said, expected, log)
