"""What tasks may do, with real daemons: capabilities, no_new_privs, seccomp, ports; what a framework is told when it asks for more."""
import json
import os
import socket

import pytest

from harness.cluster import Cluster
from harness.scheduler import Scheduler

pytestmark = pytest.mark.root

ISOLATION = "cgroups/cpu,cgroups/mem,linux/capabilities,linux/nnp,linux/seccomp,network/ports,posix/rlimits"
PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mknod", "mknodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("profiles"))
    for name, text in (("operators.json", json.dumps(PROFILE)), ("bad.json", "{}")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)
    flags = {"launcher": "linux", "isolation": ISOLATION, "seccomp_config_dir": folder, "seccomp_profile_name": "operators.json",
             "bounding_capabilities": json.dumps({"capabilities": ["NET_RAW", "CHOWN", "MKNOD"]}),
             "enforce_container_ports": True, "container_ports_watch_interval": "100ms"}
    with Cluster(agents=1, agent_flags=flags) as c:
        with Scheduler(c.master.address, user="root") as s:
            yield c, s


def info(**linux_info):
    return {"type": "MESOS", "linux_info": linux_info}


def caps(*names):
    return {"capabilities": list(names)}


def test_a_task_has_what_it_asks_for_and_no_more(world):
    _, s = world
    command = ("grep -q 'CapEff:.*0000000000002000' /proc/self/status && grep -q 'NoNewPrivs:.1' /proc/self/status && "
               "grep -q 'Seccomp:.2' /proc/self/status && touch f && ! chown 12345 f && ! mount -t tmpfs none /mnt")
    s.run(command, "TASK_FINISHED", container=info(effective_capabilities=caps("NET_RAW")))


def test_the_operators_bounds_hold_for_those_who_ask_for_nothing(world):
    _, s = world
    s.run("grep -q 'CapBnd:.*0000000008002001' /proc/self/status && touch f && chown 12345 f && ! mount -t tmpfs none /mnt",
          "TASK_FINISHED")


def test_more_than_the_bounds_is_refused_with_both_sets(world):
    _, s = world
    _, end = s.run("true", "TASK_FAILED", container=info(effective_capabilities=caps("SYS_ADMIN")))
    assert end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED", end
    assert "Requested capabilities '{ SYS_ADMIN }', but only '{ CHOWN, NET_RAW, MKNOD }' are allowed" in end["message"], end


def test_profiles(world):
    _, s = world
    s.run("mknod n c 1 3 2>&1 | grep -q 'not supported'", "TASK_FINISHED")
    s.run("grep -q 'Seccomp:.0' /proc/self/status && mknod n c 1 3", "TASK_FINISHED", container=info(seccomp={"unconfined": True}))
    _, end = s.run("true", "TASK_FAILED", container=info(seccomp={"profile_name": "bad.json"}))
    assert "Failed to parse Seccomp profile" in end["message"] and "defaultAction" in end["message"], end


def test_limits(world):
    _, s = world
    rlimits = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 70, "hard": 80}]}
    s.run("test $(ulimit -Sn) = 70 && test $(ulimit -Hn) = 80", "TASK_FINISHED", container={"type": "MESOS", "rlimit_info": rlimits})
    bad = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 90, "hard": 80}]}
    _, end = s.run("true", "TASK_FAILED", container={"type": "MESOS", "rlimit_info": bad})
    assert "Invalid rlimit values" in end["message"], end


def test_a_port_of_nobody_ends_the_task(world):
    _, s = world
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "exec /usr/bin/python3 -c \"import socket, time; s = socket.create_server(('127.0.0.1', %d)); time.sleep(100)\"" % port
    task_id, _ = s.run(command)
    end = s.end_of(task_id)
    assert end["state"] == "TASK_FAILED" and end["reason"] == "REASON_CONTAINER_LIMITATION", end
    assert end["message"].endswith("is listening on unallocated port(s): [%d-%d]" % (port, port)), end
    assert end["limitation"]["resources"][0]["ranges"]["range"] == [{"begin": port, "end": port}], end


def test_an_agent_does_not_start_with_a_bad_profile(world):
    c, _ = world
    flags = {k: c.agent.flags[k] for k in ("launcher", "isolation", "seccomp_config_dir")}
    agent = c.add_agent(dict(flags, seccomp_profile_name="bad.json"), start=False)
    agent.start(wait=False)
    assert agent.process.wait(20) != 0
    assert "isolator 'linux/seccomp': Failed to parse Seccomp profile" in agent.log(), agent.log()
