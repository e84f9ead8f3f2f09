"""The command line dcoscli 0.5.7 of PyPI, as published, straight to our master and agents (core.mesos_master_url): what an operator asked a
cluster of Mesos for. It asks /master/state.json, state-summary, the agents' /files/*.json, and runs commands in tasks by nested container
sessions in JSON."""
import os
import shlex

import pytest

from clients import HERE, USER, Cluster, Program, eventually, install, place
from harness.scheduler import Scheduler

SECONDS = 25


@pytest.fixture(scope="module")
def cluster():
    install("pypi")
    with Cluster() as c:
        path = c.folder + "/dcos.toml"
        with open(path, "w") as f:
            f.write('[core]\ndcos_url = "http://%s"\nmesos_master_url = "http://%s"\ntimeout = 20\n' % (c.master.address, c.master.address))
        os.chmod(path, 0o600)
        yield c


@pytest.fixture(scope="module")
def framework(cluster):
    with Scheduler(cluster.master.address, name="shop", user=USER) as s:
        s.run("echo said; echo complained >&2; mkdir data; echo x >data/file; exec sleep 1000", name="web", task_id={"value": "web.1"})
        yield s


def dcos(cluster, *arguments, typed=""):
    """Its standard output, after status 0."""
    command = ["/usr/bin/python3", place("pypi", "bin", "dcos"), *arguments]
    pipe = "printf %s %s | %s" % ("%s", shlex.quote(typed), shlex.join(command))
    p = Program(cluster, ["sh", "-c", pipe], PYTHONPATH=os.path.join(HERE, "pypi", "before_310") + ":" + place("pypi"), HOME=cluster.folder,
                DCOS_DIR=cluster.folder + "/dcos", DCOS_CONFIG=cluster.folder + "/dcos.toml", PYTHONWARNINGS="ignore").run()
    assert p.status == 0 and "Traceback" not in p.errors(), p.told()
    return p.text()


def rows(table):
    """A table's lines, without its first."""
    return [line.split() for line in table.splitlines()[1:]]


def test_tasks(cluster, framework):
    row, = rows(dcos(cluster, "task"))
    assert row[:5] == ["web", "127.0.0.1", USER, "R", "web.1"]


def test_service(cluster, framework):
    row, = rows(dcos(cluster, "service"))
    assert row[:3] == ["shop", "True", "1"] and row[-1] == framework.id


def test_log_of_a_task(cluster, framework):
    eventually(lambda: dcos(cluster, "task", "log", "web").strip() == "said", step=0.5)
    assert dcos(cluster, "task", "log", "web", "stderr").strip() == "complained"


def test_files_of_a_task(cluster, framework):
    eventually(lambda: dcos(cluster, "task", "ls", "web").split() == ["data", "stderr", "stdout"], step=0.5)
    assert dcos(cluster, "task", "ls", "--long", "web", "data").split()[-1] == "file"


def test_command_in_a_task(cluster, framework):
    assert dcos(cluster, "task", "exec", "web", "cat", "data/file") == "x\n"
    assert dcos(cluster, "task", "exec", "--interactive", "web", "cat", typed="typed") == "typed"


def test_shutdown_of_a_service(cluster, framework):
    dcos(cluster, "service", "shutdown", framework.id)
    eventually(lambda: [r[3:5] for r in rows(dcos(cluster, "task", "--completed"))] == [["K", "web.1"]], step=0.5)
    row, = rows(dcos(cluster, "service", "--completed"))
    assert row[:2] == ["shop", "False"]
