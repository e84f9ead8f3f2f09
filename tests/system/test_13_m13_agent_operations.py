"""Operations on an agent's resources through kills of the agent, and persistent volumes as tasks see them."""
import os
import random
import stat
import time

import pytest

from harness.cluster import Cluster
from harness.http import eventually, get_json, post_json
from harness.scheduler import Scheduler, b64, custom_executor, new_id, resources, scalar

SECONDS = 10

CAPABILITIES = ["PARTITION_AWARE", "MULTI_ROLE", "RESERVATION_REFINEMENT"]
POSIX = {}
LINUX = {"launcher": "linux", "isolation": "cgroups/cpu,cgroups/mem,filesystem/linux"}


def dynamic(name, value, role="r", allocated=True, **more):
    r = scalar(name, value, reservations=[{"type": "DYNAMIC", "role": role}], **more)
    if allocated:
        r["allocation_info"] = {"role": role}
    return r


def volume(pid, size, role="r", path="data", mode="RW", source=None, shared=False, allocated=True):
    disk = {"persistence": {"id": pid}, "volume": {"container_path": path, "mode": mode}}
    if source:
        disk["source"] = source
    more = {"shared": {}} if shared else {}
    return dynamic("disk", size, role, allocated, disk=disk, **more)


def reserve(*what):
    return {"type": "RESERVE", "reserve": {"resources": list(what)}}


def create(*what):
    return {"type": "CREATE", "create": {"volumes": list(what)}}


def destroy(*what):
    return {"type": "DESTROY", "destroy": {"volumes": list(what)}}


def launch(*tasks):
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


def framework(c, role="r", caps=CAPABILITIES, **more):
    return Scheduler(c.master.address, caps, roles=[role], checkpoint=True, failover_timeout=60.0, **more)


def offer_with(s, want, wait=20.0):
    """An offer for which `want` is true; others are declined for a moment."""
    end = time.monotonic() + wait
    while True:
        o = s.offer(wait=max(0.1, end - time.monotonic()))
        if want(o):
            return o
        s.decline(o, 0)


def volumes_of(rs, pid=None):
    return [r for r in rs if r.get("disk", {}).get("persistence") and pid in (None, r["disk"]["persistence"]["id"])]


def has_volume(pid, size=None):
    return lambda o: any(size in (None, v["scalar"]["value"]) for v in volumes_of(o["resources"], pid))


def finished(s, o, shell, *rs, user=None):
    t = s.task(o, shell)
    t["resources"] = resources(0.1, 32) + list(rs)
    for r in t["resources"]:
        r.setdefault("allocation_info", o["allocation_info"])
    if user:
        t["command"]["user"] = user
    s.accept(o, [launch(t)])
    end = s.end_of(t["task_id"]["value"])
    assert end["state"] == "TASK_FINISHED", end
    return t


def roles_folder(c, role="r"):
    return os.path.join(c.agent.flags["work_dir"], "volumes", "roles", role.replace("/", " "))


def agent_reserved(c, name, role="r"):
    full = get_json(c.agent.address, "/state")["reserved_resources_full"].get(role, [])
    return sum(r["scalar"]["value"] for r in full if r["name"] == name)


def restart(c):
    c.agent.kill9()
    c.agent.start(wait=False)
    c.wait_agents(1)


@pytest.fixture(params=["posix", pytest.param("linux", marks=pytest.mark.root)])
def own(request):
    with Cluster(agents=1, agent_flags=LINUX if request.param == "linux" else POSIX) as c:
        with framework(c) as s:
            yield c, s


# ---- data ----

def test_data_outlives_task_agent_and_framework(own):
    c, s = own
    o = s.offer()
    s.accept(o, [reserve(dynamic("disk", 100)), create(volume("v1", 64))])
    o = offer_with(s, has_volume("v1"))
    finished(s, o, "echo kept > data/f", volumes_of(o["resources"])[0])
    assert open(os.path.join(roles_folder(c), "v1", "f")).read() == "kept\n"
    restart(c)
    o = offer_with(s, has_volume("v1"))
    finished(s, o, "grep kept data/f", volumes_of(o["resources"])[0])
    s.teardown()
    with framework(c) as again:
        o = offer_with(again, has_volume("v1"))
        # Larger, then smaller, and the data stays.
        v = volumes_of(o["resources"])[0]
        again.accept(o, [{"type": "GROW_VOLUME", "grow_volume": {"volume": v, "addition": dynamic("disk", 36)}}])
        o = offer_with(again, has_volume("v1", 100))
        v = volumes_of(o["resources"])[0]
        again.accept(o, [{"type": "SHRINK_VOLUME", "shrink_volume": {"volume": v, "subtract": {"value": 90}}}])
        o = offer_with(again, has_volume("v1", 10))
        v = volumes_of(o["resources"])[0]
        finished(again, o, "grep kept data/f", v)
        o = offer_with(again, has_volume("v1"))
        again.accept(o, [destroy(v)])
        eventually(lambda: not os.path.exists(os.path.join(roles_folder(c), "v1")))
        # The next of that name does not show the data of the first.
        o = offer_with(again, lambda o: not volumes_of(o["resources"]))
        again.accept(o, [create(volume("v1", 10))])
        o = offer_with(again, has_volume("v1"))
        finished(again, o, "test -d data && ! test -e data/f", volumes_of(o["resources"])[0])


def test_all_in_one_accept(own):
    c, s = own
    o = s.offer()
    v = volume("one", 32)
    t = s.task(o, "echo x > data/f")
    t["resources"] = [dynamic("cpus", 0.2), dynamic("mem", 32), v]
    s.accept(o, [reserve(dynamic("cpus", 0.2), dynamic("mem", 32), dynamic("disk", 32)), create(v), launch(t)])
    assert s.end_of(t["task_id"]["value"])["state"] == "TASK_FINISHED"
    assert os.path.exists(os.path.join(roles_folder(c), "one", "f"))


@pytest.mark.root
def test_the_volume_belongs_to_the_user_of_the_task(own):
    c, s = own
    o = s.offer()
    s.accept(o, [reserve(dynamic("disk", 32)), create(volume("v", 32))])
    o = offer_with(s, has_volume("v"))
    finished(s, o, "id -u; echo mine > data/f", volumes_of(o["resources"])[0], user="nobody")
    assert os.stat(os.path.join(roles_folder(c), "v", "f")).st_uid == os.stat(os.path.join(roles_folder(c), "v")).st_uid != 0


def test_a_hierarchical_role_is_one_folder():
    with Cluster(agents=1) as c, framework(c, "a/b") as s:
        o = s.offer()
        s.accept(o, [reserve(dynamic("disk", 32, "a/b")), create(volume("v", 32, "a/b"))])
        eventually(lambda: os.path.isdir(os.path.join(c.agent.flags["work_dir"], "volumes", "roles", "a b", "v")))


def test_a_later_task_of_an_executor_sees_its_volume(own):
    c, s = own
    o = s.offer()
    s.accept(o, [reserve(dynamic("disk", 64)), create(volume("v", 64))])
    o = offer_with(s, has_volume("v"))
    ex = custom_executor(s)
    first = s.task(o, "", command=None, executor=ex)
    s.launch(o, first)
    s.status(first["task_id"]["value"], "TASK_RUNNING")
    state = get_json(c.agent.address, "/state")
    box = [e["directory"] for f in state["frameworks"] for e in f["executors"] if e["id"] == ex["executor_id"]["value"]][0]
    assert not os.path.lexists(os.path.join(box, "data"))
    o = offer_with(s, has_volume("v"))
    second = s.task(o, "", command=None, executor=ex)
    second["resources"] = second["resources"] + volumes_of(o["resources"])
    s.launch(o, second)
    s.status(second["task_id"]["value"], "TASK_RUNNING")
    assert os.path.realpath(os.path.join(box, "data")) == os.path.realpath(os.path.join(roles_folder(c), "v"))
    s.kill(second["task_id"]["value"])
    s.status(second["task_id"]["value"], "TASK_KILLED")
    eventually(lambda: not os.path.lexists(os.path.join(box, "data")))


@pytest.mark.parametrize("flags", [POSIX, pytest.param(LINUX, marks=pytest.mark.root)], ids=["posix", "linux"])
def test_a_shared_volume_is_seen_by_two_tasks(flags):
    with Cluster(agents=1, agent_flags=flags) as c, framework(c, caps=CAPABILITIES + ["SHARED_RESOURCES"]) as s:
        o = s.offer()
        s.accept(o, [reserve(dynamic("disk", 64)), create(volume("v", 64, shared=True))])
        o = offer_with(s, has_volume("v"))
        v = volumes_of(o["resources"])[0]
        tasks = []
        for shell in ("while ! test -e data/there; do sleep 0.05; done", "touch data/there"):
            t = s.task(o, shell)
            t["resources"] = t["resources"] + [v]
            tasks.append(t)
        s.launch(o, *tasks)
        for t in tasks:
            assert s.end_of(t["task_id"]["value"])["state"] == "TASK_FINISHED"


@pytest.mark.root
def test_read_only_is_respected_by_mounts():
    with Cluster(agents=1, agent_flags=LINUX) as c, framework(c, caps=CAPABILITIES + ["SHARED_RESOURCES"]) as s:
        o = s.offer()
        s.accept(o, [reserve(dynamic("disk", 64)), create(volume("v", 64, shared=True))])
        o = offer_with(s, has_volume("v"))
        v = volumes_of(o["resources"])[0]
        finished(s, o, "echo x > data/f", v)
        o = offer_with(s, has_volume("v"))
        v = volumes_of(o["resources"])[0]
        v["disk"]["volume"]["mode"] = "RO"
        finished(s, o, "grep x data/f && ! touch data/g", v)


# ---- disks ----

def test_path_and_mount_disks():
    with Cluster(agents=0) as c:
        path, mount = os.path.join(c.folder, "disk1"), os.path.join(c.folder, "disk2")
        os.mkdir(path)
        os.mkdir(mount)
        flags = ('[{"name":"cpus","type":"SCALAR","scalar":{"value":4}},{"name":"mem","type":"SCALAR","scalar":{"value":1024}},'
                 '{"name":"disk","type":"SCALAR","scalar":{"value":1000}},'
                 '{"name":"disk","type":"SCALAR","scalar":{"value":500},"disk":{"source":{"type":"PATH","path":{"root":"%s"}}}},'
                 '{"name":"disk","type":"SCALAR","scalar":{"value":300},"disk":{"source":{"type":"MOUNT","mount":{"root":"%s"}}}}]'
                 % (path, mount))
        c.add_agent({"resources": flags})
        c.wait_agents(1)
        with framework(c) as s:
            o = s.offer()
            p = {"type": "PATH", "path": {"root": path}}
            m = {"type": "MOUNT", "mount": {"root": mount}}
            s.accept(o, [reserve(dynamic("disk", 100, disk={"source": p}), dynamic("disk", 300, disk={"source": m})),
                         create(volume("p1", 100, source=p), volume("m1", 300, source=m, path="other"))])
            o = offer_with(s, lambda o: len(volumes_of(o["resources"])) == 2)
            finished(s, o, "echo p > data/f; echo m > other/f", *volumes_of(o["resources"]))
            assert open(os.path.join(path, "volumes/roles/r/p1/f")).read() == "p\n"
            assert open(os.path.join(mount, "f")).read() == "m\n"
            restart(c)
            o = offer_with(s, lambda o: len(volumes_of(o["resources"])) == 2)
            s.accept(o, [destroy(*volumes_of(o["resources"]))])
            eventually(lambda: not os.path.exists(os.path.join(path, "volumes/roles/r/p1")))
            eventually(lambda: os.listdir(mount) == [])


# ---- what a task may try ----

@pytest.mark.parametrize("bad", ["../out", "/etc", "a/../../out", "link/in"])
def test_a_volume_cannot_be_put_outside_of_the_sandbox(bad):
    with Cluster(agents=1) as c, framework(c) as s:
        o = s.offer()
        s.accept(o, [reserve(dynamic("disk", 32)), create(volume("v", 32))])
        o = offer_with(s, has_volume("v"))
        v = volumes_of(o["resources"])[0]
        v["disk"]["volume"]["container_path"] = bad
        ex = custom_executor(s, resources=resources(0.1, 32, 8))
        outside = os.path.join(c.folder, "outside")
        os.mkdir(outside)
        ex["command"]["value"] = "ln -s '%s' link; %s" % (outside, ex["command"]["value"])
        first = s.task(o, "", command=None, executor=ex)
        for r in first["resources"] + ex["resources"]:
            r["allocation_info"] = {"role": "r"}
        s.launch(o, first)
        s.status(first["task_id"]["value"], "TASK_RUNNING")
        o = offer_with(s, has_volume("v"))
        second = s.task(o, "", command=None, executor=ex)
        second["resources"] = second["resources"] + [v]
        s.launch(o, second)
        end = s.end_of(second["task_id"]["value"])
        assert end["state"] in ("TASK_ERROR", "TASK_FAILED", "TASK_LOST", "TASK_DROPPED"), end
        assert os.listdir(outside) == [] and not os.path.lexists(os.path.join(c.folder, "out"))


def test_whatever_a_task_leaves_in_a_volume_can_be_destroyed(own):
    c, s = own
    o = s.offer()
    s.accept(o, [reserve(dynamic("disk", 32)), create(volume("v", 32))])
    o = offer_with(s, has_volume("v"))
    kept = os.path.join(c.folder, "kept")
    os.mkdir(kept)
    open(os.path.join(kept, "file"), "w").close()
    v = volumes_of(o["resources"])[0]
    deep = ("import os\nos.chdir('data')\nos.symlink('%s','away')\nos.mkdir('closed')\nopen('closed/f','w').close()\nos.chmod('closed',0)\n"
            "for i in range(300):\n os.mkdir('d'*200)\n os.chdir('d'*200)\n if i %% 500 == 0: open('f','w').close()\n" % kept)
    finished(s, o, 'python3 -c "%s"' % deep, v)
    o = offer_with(s, has_volume("v"))
    s.accept(o, [destroy(v)])
    eventually(lambda: not os.path.exists(os.path.join(roles_folder(c), "v")), 20)
    assert os.listdir(kept) == ["file"] and stat.S_IMODE(os.stat(kept).st_mode) != 0
    assert c.agent.process.poll() is None


# ---- feedback ----

def with_id(op):
    return dict(op, id={"value": new_id("op")})


def status_of(s, op, since=0, wait=20):
    return s.wait_for(lambda e: e["type"] == "UPDATE_OPERATION_STATUS" and
                      e["update_operation_status"]["status"].get("operation_id") == op["id"],
                      wait, since)["update_operation_status"]["status"]


def acknowledge(s, st):
    s.do("ACKNOWLEDGE_OPERATION_STATUS", {"agent_id": st["agent_id"], "operation_id": st["operation_id"],
                                          "uuid": st["uuid"]["value"]})


def agent_operations(c):
    return post_json(c.agent.address, "/api/v1", {"type": "GET_OPERATIONS"}).json()["get_operations"].get("operations", [])


def test_an_unacknowledged_status_comes_again_after_a_kill():
    with Cluster(agents=1) as c, framework(c) as s:
        op = with_id(reserve(dynamic("cpus", 0.5)))
        s.accept(s.offer(), [op])
        st = status_of(s, op)
        assert st["state"] == "OPERATION_FINISHED" and st["agent_id"]["value"] == c.agent_id()
        listed = eventually(lambda: agent_operations(c))
        assert listed[0]["info"]["id"] == op["id"] and listed[0]["latest_status"]["state"] == "OPERATION_FINISHED"
        n = s.mark()
        restart(c)
        again = status_of(s, op, n)
        assert again["uuid"] == st["uuid"]
        acknowledge(s, again)
        eventually(lambda: not agent_operations(c))
        n = s.mark()
        restart(c)
        time.sleep(0.5)
        assert not [e for e in s.events[n:] if e["type"] == "UPDATE_OPERATION_STATUS"]
        assert agent_reserved(c, "cpus") == 0.5


def test_killed_at_random_instants_nothing_is_lost_or_done_twice():
    """Reservations and volumes, each with feedback, while the agent is killed sixty times: in the end all that was told as finished is
    there, nothing else is, and agent, master and disk agree."""
    rounds = 60
    rng = random.Random(14)
    with Cluster(agents=1) as c, framework(c) as s:
        asked = {}
        for i in range(rounds):
            o = s.offer(wait=30)
            name = "v%d" % i
            ops = [with_id(reserve(dynamic("disk", 8), dynamic("cpus", 0.01))), with_id(create(volume(name, 8)))]
            asked[name] = ops
            s.accept(o, ops)
            time.sleep(rng.random() * (0.002 if i % 2 else 0.02))
            restart(c)
        told = {}
        for name, ops in asked.items():
            for op in ops:
                st = status_of(s, op, wait=30)
                told[op["id"]["value"]] = st["state"]
                assert st["state"] in ("OPERATION_FINISHED", "OPERATION_DROPPED", "OPERATION_ERROR"), st
        reserved = sum(told[ops[0]["id"]["value"]] == "OPERATION_FINISHED" for ops in asked.values())
        made = {n for n, ops in asked.items() if told[ops[1]["id"]["value"]] == "OPERATION_FINISHED"}
        full = get_json(c.agent.address, "/state")["reserved_resources_full"].get("r", [])
        assert {v["disk"]["persistence"]["id"] for v in volumes_of(full)} == made
        assert sorted(os.listdir(roles_folder(c))) == sorted(made) if made else True
        assert abs(agent_reserved(c, "disk") - 8 * reserved) < 0.001 and abs(agent_reserved(c, "cpus") - 0.01 * reserved) < 0.001
        of_master = c.slaves()[0]["reserved_resources_full"].get("r", [])
        assert {v["disk"]["persistence"]["id"] for v in volumes_of(of_master)} == made
        # What was on its way when the agent was killed is sent again.
        assert reserved >= rounds * 0.9, told


# ---- groups ----

def test_a_group_on_a_custom_executor(own):
    c, s = own
    o = s.offer()
    ex = custom_executor(s, resources=resources(0.1, 32, 16))
    tasks = [s.task(o, "", command=None, data=b64("finish" if i == 1 else "")) for i in range(3)]
    s.accept(o, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": ex, "task_group": {"tasks": tasks}}}])
    for i, t in enumerate(tasks):
        s.status(t["task_id"]["value"], "TASK_FINISHED" if i == 1 else "TASK_RUNNING")
    s.kill(tasks[0]["task_id"]["value"])
    s.status(tasks[0]["task_id"]["value"], "TASK_KILLED")


@pytest.mark.parametrize("lacks", ["cpus", "mem", "disk"])
def test_a_group_whose_executor_lacks_something_is_refused(lacks):
    with Cluster(agents=1) as c, framework(c) as s:
        o = s.offer()
        ex = custom_executor(s, resources=[r for r in resources(0.1, 32, 16) if r["name"] != lacks])
        t = s.task(o, "", command=None)
        s.accept(o, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": ex, "task_group": {"tasks": [t]}}}])
        end = s.status(t["task_id"]["value"])
        assert end["state"] == "TASK_ERROR" and end["reason"] == "REASON_TASK_GROUP_INVALID" and lacks in end["message"], end




def test_what_the_agent_cannot_do_is_told_and_the_master_corrected():
    """A volume on a disk without files: the master books it, the agent refuses it, and then both say the same."""
    block = {"type": "BLOCK", "id": "b1"}
    flags = ('[{"name":"cpus","type":"SCALAR","scalar":{"value":4}},{"name":"mem","type":"SCALAR","scalar":{"value":1024}},'
             '{"name":"disk","type":"SCALAR","scalar":{"value":100},"disk":{"source":{"type":"BLOCK","id":"b1"}}}]')
    with Cluster(agents=1, agent_flags={"resources": flags}) as c, framework(c) as s:
        running, _ = s.run("sleep 1000")
        refused, after = with_id(create(volume("v", 100, source=block))), with_id(reserve(dynamic("cpus", 0.5)))
        s.accept(s.offer(), [reserve(dynamic("disk", 100, disk={"source": block})), refused, after])
        st = status_of(s, refused)
        assert st["state"] == "OPERATION_ERROR" and "holds no files" in st["message"] and st["uuid"], st
        acknowledge(s, st)
        # It was sent in the belief that the volume is there: dropped, or sent again once the books are right.
        st = status_of(s, after)
        assert st["state"] in ("OPERATION_DROPPED", "OPERATION_FINISHED")
        if "uuid" in st:
            acknowledge(s, st)
        c.wait_agents(1)
        o = offer_with(s, lambda o: any(r["name"] == "disk" for r in o["resources"]))
        assert not volumes_of(o["resources"]) and o["agent_id"]["value"] == c.agent_id()
        eventually(lambda: not agent_operations(c))
        assert not volumes_of(c.slaves()[0]["reserved_resources_full"].get("r", []))
        assert s.states(running)[-1] == "TASK_RUNNING"
        again = with_id(reserve(dynamic("cpus", 0.5)))
        s.accept(o, [again])
        assert status_of(s, again)["state"] == "OPERATION_FINISHED"
