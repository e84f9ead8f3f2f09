"""An allocator from outside the tree: the example module runs a cluster; one of another interface version is refused. And what any
allocator was told and decided is recorded, and replayed to the same decisions."""
import json
import os
import subprocess
import time

import pytest

from harness.cluster import BIN, Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler, amount, scalar

SECONDS = 22

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


def test_reservations_pass_through_it(cluster):
    """An operation on an offer changes what the module holds, and what it offers next."""
    with Scheduler(cluster.master.address, ["MULTI_ROLE", "RESERVATION_REFINEMENT"], roles=["keep"]) as s:
        offer = s.offer(cpus=4)
        one = scalar("cpus", 1, reservations=[{"type": "DYNAMIC", "role": "keep"}])
        s.accept(offer, [{"type": "RESERVE", "reserve": {"resources": [one]}}])
        again = s.offer(agent_id=offer["agent_id"]["value"], cpus=4)
        kept = [r for r in again["resources"] if r.get("reservations")]
        assert [(r["name"], r["scalar"]["value"]) for r in kept] == [("cpus", 1)]
        s.accept(again, [{"type": "UNRESERVE", "unreserve": {"resources": [one]}}])
        last = s.offer(agent_id=offer["agent_id"]["value"], cpus=4)
        assert not [r for r in last["resources"] if r.get("reservations")]


def test_it_asks_frameworks_to_leave(cluster):
    """Inverse offers come from the module, too."""
    with Scheduler(cluster.master.address) as s:
        offer = s.offer(cpus=4)
        slave = next(x for x in cluster.slaves() if x["id"] == offer["agent_id"]["value"])
        window = {"machine_ids": [{"hostname": slave["hostname"], "ip": "127.0.0.1"}],
                  "unavailability": {"start": {"nanoseconds": int((time.time() + 600) * 1e9)}}}
        try:
            assert post_json(cluster.master.address, "/maintenance/schedule", {"windows": [window]}).status == 200
            event = s.wait_for(lambda e: e["type"] == "INVERSE_OFFERS")
            asked = event["inverse_offers"]["inverse_offers"][0]
            assert asked["unavailability"] == window["unavailability"]
        finally:
            assert post_json(cluster.master.address, "/maintenance/schedule", {"windows": []}).status == 200


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


def replay(log, *flags):
    return subprocess.run([os.path.join(BIN, "fairlead-allocator-replay"), log] + list(flags), capture_output=True, text=True, timeout=60,
                          check=False)


@pytest.mark.parametrize("allocator", ["hierarchical", "FirstFit"])
def test_the_log_of_a_killed_master_is_replayed_equal(tmp_path, allocator):
    """Recorded until a kill -9: what it decided comes again, with the built-in allocator and with a module."""
    log = str(tmp_path / "allocator.log")
    more = ["--modules=" + os.path.join(MODULES, "allocator_first_fit.so")] if allocator == "FirstFit" else []
    flags = {"allocator_log": log, "allocator": allocator, "modules": modules("allocator_first_fit.so", "FirstFit")}
    with Cluster(3, flags) as c:
        with Scheduler(c.master.address, role="eng") as s, Scheduler(c.master.address) as other:
            s.run("exit 0", "TASK_FINISHED")
            for offer in list(other.held.values()):
                other.decline(offer, seconds=1)
            eventually(lambda: len(s.held) + len(other.held) >= 3)
            records = c.master.metrics()["allocator/log/records"]
            # The writer is at most 100 ms behind.
            eventually(lambda: os.path.getsize(log) >= c.master.metrics()["allocator/log/bytes"] // 2 > 0)
            c.master.kill9()
    out = replay(log, "--stats", *more)
    assert out.returncode == 0 and out.stdout.startswith("equal: "), out
    assert records > 20
    for kind in "ADD_AGENT", "ADD_FRAMEWORK", "OFFER", "RECOVER", "TRANSITION_TO_USED", "RUN":
        assert "\n" + kind + " " in out.stdout, out.stdout
    lines = replay(log, "--print").stdout.splitlines()
    assert any(" OFFER framework=" in line and "resources=[cpus" in line for line in lines)
    # Another allocator decides otherwise.
    if allocator == "FirstFit":
        out = replay(log, "--module=hierarchical")
        assert out.returncode == 1 and "expected:" in out.stdout, out
    # A byte in the middle is damage.
    with open(log, "r+b") as f:
        f.seek(os.path.getsize(log) // 2)
        was = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([was[0] ^ 0x55]))
    out = replay(log, *more)
    assert (out.returncode == 2 and out.stderr.count("\n") == 1) or "torn" in out.stdout, out


def test_a_full_log_ends_and_the_master_goes_on(tmp_path):
    log = str(tmp_path / "allocator.log")
    with Cluster(1, {"allocator_log": log, "allocator_log_max_size": "4KB"}) as c:
        with Scheduler(c.master.address) as s:
            s.run("exit 0", "TASK_FINISHED")
            eventually(lambda: c.master.metrics()["allocator/log/stopped"] == 1)
            s.run("exit 0", "TASK_FINISHED")
        assert c.master.log().count("recording of the allocator ends") == 1
        eventually(lambda: 2048 < os.path.getsize(log) <= 4096)
        c.master.stop()
        c.master.start()
        assert os.path.exists(log + ".old")
    out = replay(log + ".old")
    assert out.returncode == 0, out


@pytest.mark.root
def test_a_full_disk_ends_the_recording(tmp_path):
    small = str(tmp_path / "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], check=False, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        with Cluster(1, {"allocator_log": small + "/log"}) as c, Scheduler(c.master.address) as s:
            for _ in range(60):
                s.run("exit 0", "TASK_FINISHED")
                if c.master.metrics()["allocator/log/stopped"]:
                    break
            eventually(lambda: c.master.metrics()["allocator/log/stopped"] == 1)
            assert "No space left on device" in c.master.log()
            s.run("exit 0", "TASK_FINISHED")
            out = replay(small + "/log")
            assert out.returncode == 0, out
    finally:
        subprocess.run(["umount", small], check=True)
