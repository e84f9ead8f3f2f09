"""An agent of a user without privileges: the posix launcher runs tasks as that user, and says why it cannot run others'."""
import os
import pwd
import shutil

import pytest

from harness.cluster import AS_ROOT, BIN, Cluster
from harness.http import get_json
from harness.scheduler import Scheduler

USER = "nobody" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def cluster():
    with Cluster(0) as c:
        # The build may lie where that user may not look.
        for program in ("fairlead-agent", "fairlead-shim"):
            shutil.copy(os.path.join(BIN, program), c.folder)
        own = os.path.join(c.folder, "own")
        os.mkdir(own)
        agent = c.add_agent({"work_dir": own + "/work", "runtime_dir": own + "/run", "launcher": None, "isolation": None,
                             "cgroups_root": None}, start=False)
        agent.program = os.path.join(c.folder, "fairlead-agent")
        if AS_ROOT:
            agent.user = USER
            shutil.chown(own, USER)
        agent.start()
        c.wait_agents(1)
        yield c


def test_its_own_tasks_run(cluster):
    with Scheduler(cluster.master.address, user=USER) as s:
        _, end = s.run("test $(id -un) = %s && test -w . && echo hello" % USER, "TASK_FINISHED")
        assert end["message"] == "Command exited with status 0"
        task_id, _ = s.run("exec sleep 1000")
        s.kill(task_id)
        assert s.end_of(task_id)["state"] == "TASK_KILLED"
    status = "/proc/%d/status" % cluster.agent.process.pid
    with open(status, encoding="ascii") as f:
        fields = dict(line.split(":\t", 1) for line in f if ":\t" in line)
    if AS_ROOT:
        assert set(fields["Uid"].split()) == {str(pwd.getpwnam(USER).pw_uid)} and int(fields["CapEff"], 16) == 0


def test_tasks_of_others_are_refused_with_the_reason(cluster):
    with Scheduler(cluster.master.address, user="root" if USER != "root" else "nobody") as s:
        _, end = s.run("id", "TASK_FAILED")
        assert "--no-switch_user" in end["message"], end


def test_defaults_fit(cluster):
    flags = get_json(cluster.agent.address, "/flags")["flags"]
    assert flags["launcher"] == "posix"


def test_it_comes_back(cluster):
    """Killed and started again it finds what runs: nothing of that needs root either."""
    with Scheduler(cluster.master.address, user=USER, checkpoint=True) as s:
        task_id, _ = s.run("while [ ! -e go ]; do sleep 0.05; done; exit 7")
        cluster.agent.kill9()
        cluster.agent.start()
        state = get_json(cluster.agent.address, "/state")
        where = [e["directory"] for f in state["frameworks"] for e in f["executors"] if e["id"] == task_id]
        with open(where[0] + "/go", "w", encoding="ascii"):
            pass
        end = s.end_of(task_id)
        assert end["state"] == "TASK_FAILED" and end["message"] == "Command exited with status 7"
