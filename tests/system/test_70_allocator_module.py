"""An allocator from outside the tree: the example module runs a cluster; one of another interface version is refused."""
import json
import os
import subprocess

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually, get_json
from harness.scheduler import Scheduler, amount

MODULES = os.path.join(os.path.dirname(BIN), "tests", "modules")


def modules(file, name):
    return json.dumps({"libraries": [{"file": os.path.join(MODULES, file), "modules": [{"name": name}]}]})


def master(tmp_path, *flags):
    """A master that is expected to refuse; what it says."""
    out = subprocess.run([os.path.join(BIN, "fairlead-master"), "--ip=127.0.0.1", "--port=0", "--work_dir=%s" % tmp_path] + list(flags),
                         capture_output=True, text=True, timeout=20, check=False)
    assert out.returncode not in (0, None) and out.returncode > 0, out
    assert out.stderr.count("\n") == 1, out.stderr
    return out.stderr


@pytest.fixture(scope="module")
def cluster():
    flags = {"modules": modules("allocator_first_fit.so", "FirstFit"), "allocator": "FirstFit"}
    with Cluster(2, flags) as c:
        yield c


def test_a_task_runs(cluster, scheduler):
    _, end = scheduler.run("echo hello; exit 0", "TASK_FINISHED")
    assert end["message"] == "Command exited with status 0"


def test_it_is_this_allocator_that_decides(cluster, scheduler):
    """First come, first served with all there is: by DRF the second framework would get one of the two agents."""
    eventually(lambda: len(scheduler.held) == 2)
    assert sorted(amount(o, "cpus") for o in scheduler.held.values()) == [4, 4]
    with Scheduler(cluster.master.address, name="late") as late:
        late_offers = [e for e in late.events if e["type"] == "OFFERS"]
        assert not late_offers and len(scheduler.held) == 2
        for offer in list(scheduler.held.values()):
            scheduler.decline(offer, seconds=600)
        eventually(lambda: len(late.held) == 2)
    flags = get_json(cluster.master.address, "/flags")["flags"]
    assert flags["allocator"] == "FirstFit"


def test_another_interface_version_is_refused(tmp_path):
    said = master(tmp_path, "--allocator=Future", "--modules=" + modules("allocator_old_abi.so", "Future"))
    assert "allocator_old_abi.so" in said and "interface" in said


@pytest.mark.parametrize("flags,word", [
    (["--allocator=Nowhere"], "--modules"),
    (["--allocator=X", "--modules={"], "JSON"),
    (["--allocator=X", "--modules={\"libraries\":[]}"], "'X'"),
    (["--allocator=X", "--modules={\"libraries\":[{\"file\":\"/nowhere.so\",\"modules\":[{\"name\":\"X\"}]}]}"], "/nowhere.so"),
])
def test_what_is_not_there_is_one_line(tmp_path, flags, word):
    assert word in master(tmp_path, *flags)
