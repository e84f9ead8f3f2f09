"""The Go library mesos-go v0.0.11 by its own programs, as published: example-scheduler with example-executor, msh and mwatch. They speak
protobuf over the v1 APIs, and take no header that is other than they know it."""
import glob
import os
import shutil
import subprocess
import sys

import pytest

from clients import HERE, USER, Cluster, Program, eventually, get_json, install, place
from harness.cluster import free_ports

SECONDS = 70  # when it is still to be built


def program(cluster, name, *arguments, **environment):
    return Program(cluster, [place("mesos-go", "bin", name), *arguments], **environment)


@pytest.fixture(scope="module")
def cluster():
    install("mesos-go")
    with Cluster() as c:
        yield c


@pytest.fixture(scope="module")
def watcher(cluster):
    """It follows the operators' stream and writes a line for what changes."""
    host, port = cluster.master.address.split(":")
    with program(cluster, "mwatch", "-master", host, "-port", port) as w:
        eventually(lambda: cluster.master.metrics()["master/operator_event_stream_subscribers"] == 1)
        yield w


@pytest.fixture(scope="module")
def example(cluster, watcher):
    """Five tasks of one executor, whose program the agent fetches from the scheduler. In protobuf: the library's JSON breaks
    on the master's capability QUOTA_V2, which it does not know."""
    metrics, artifacts = free_ports(2)
    p = program(cluster, "example-scheduler", "-url", "http://%s/api/v1/scheduler" % cluster.master.address, "-user", USER, "-codec",
                "protobuf", "-name", "example", "-executor", place("mesos-go", "bin", "example-executor"), "-exec.image", "", "-tasks", "5",
                "-cpu", "0.1", "-memory", "32", "-server.address", "127.0.0.1", "-server.port", str(artifacts),
                "-metrics.port", str(metrics), "-verbose")
    return p.run()


def completed(cluster, name):
    return [f for f in get_json(cluster.master.address, "/state")["completed_frameworks"] if f["name"] == name]


def executors_said(cluster):
    said = ""
    for path in glob.glob(cluster.folder + "/agent0/slaves/*/frameworks/*/executors/default/runs/*-*/stderr"):
        with open(path, errors="replace") as f:
            said += f.read()
    return said


def test_example_scheduler_runs_its_tasks(cluster, example):
    """At its end it cancels its own stream, and says so by its exit status, which is 1 then too."""
    said = example.errors()
    assert "mission accomplished, terminating" in said, example.told() + executors_said(cluster)
    for task in range(1, 6):
        for state in ("TASK_RUNNING", "TASK_FINISHED"):
            assert "Task %d is in state %s" % (task, state) in said, example.told()


def test_example_executor_is_told_everything(cluster, example):
    said = executors_said(cluster)
    assert "SUBSCRIBED" in said
    for bad in ("ERROR", "failed", "unexpected event", "panic"):
        assert bad not in said, said


def test_msh_ends_as_its_command_does(cluster):
    for command, status in (("true", 0), ("exit 3", 3)):
        p = program(cluster, "msh", "-master", cluster.master.address, "-user", USER, "-framework_name", "msh-%d" % status, "--", "sh", "-c",
                    command).run()
        assert p.status == status, p.told()
    ended = eventually(lambda: completed(cluster, "msh-0"))[0]["completed_tasks"]
    assert [(t["name"], t["state"]) for t in ended] == [("msh", "TASK_FINISHED")]
    ended = eventually(lambda: completed(cluster, "msh-3"))[0]["completed_tasks"]
    assert [(t["name"], t["state"]) for t in ended] == [("msh", "TASK_FAILED")]


def test_msh_runs_a_task_group(cluster):
    p = program(cluster, "msh", "-master", cluster.master.address, "-user", USER, "-pod", "-framework_name", "msh-pod", "--", "sh", "-c",
                "echo from the pod >proof").run()
    assert p.status == 0, p.told()
    paths = glob.glob(cluster.folder + "/agent0/slaves/*/frameworks/*/executors/msh_*/runs/*-*/**/proof", recursive=True)
    assert paths, p.told()
    with open(paths[0]) as f:
        assert f.read() == "from the pod\n"


def test_mwatch_has_seen_them(cluster, watcher, example):
    def told():
        said = watcher.text().splitlines()
        return [kind for kind in ("FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED", "FRAMEWORK_REMOVED")
                if any(line.startswith(kind) for line in said)]
    eventually(lambda: len([line for line in watcher.text().splitlines() if "TASK_UPDATED" in line and "TASK_FINISHED" in line]) >= 5)
    assert told()[:3] == ["FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED"], watcher.told()
    assert watcher.status is None and "panic" not in watcher.errors(), watcher.told()


def test_msh_attaches_to_its_task():
    """msh takes it that every agent listens at port 5051: the cluster is in a network namespace of its own, where it may."""
    install("mesos-go")
    if not shutil.which("unshare"):
        pytest.fail("'unshare' is not installed", pytrace=False)
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    done = subprocess.run(command + [sys.executable, os.path.join(HERE, "msh_session.py")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=90, check=False)
    assert done.returncode == 0 and "typed: hello" in done.stdout and "sized: 33 111" in done.stdout, done.stdout
