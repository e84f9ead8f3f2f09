"""M28: who may do what. Credentials on master and agent, tokens of executors, agents that must authenticate, and access rules:
what they refuse and what they hide."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from harness import http
from harness.cluster import BIN, ROOT, Cluster, command_line
from harness.http import eventually, get, get_json, post_json, request
from harness.scheduler import Scheduler, custom_executor, scalar

KEY = "a key for tests"
SECRETS = {"op": "op-s3cret-1", "fw": "fw-s3cret-2", "agent": "agent-s3cret-3", "guest": "guest-s3cret-4"}


def basic(principal, secret=None):
    pair = "%s:%s" % (principal, SECRETS[principal] if secret is None else secret)
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def token(key=KEY, **claims):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return {"Authorization": "Bearer " + (text + b"." + part(hmac.new(key.encode(), text, hashlib.sha256).digest())).decode()}


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


@contextlib.contextmanager
def login(headers):
    """Every request within carries these headers; then those of before."""
    before = dict(http.DEFAULTS)
    http.DEFAULTS.update(headers)
    try:
        yield
    finally:
        http.DEFAULTS.clear()
        http.DEFAULTS.update(before)


@pytest.fixture(scope="module")
def secured():
    """A cluster where everybody must say who he is; outside of login() nobody does."""
    folder = tempfile.mkdtemp(prefix="fairlead-auth-")
    try:
        as_json = write(folder, "json", json.dumps({"credentials": [{"principal": p, "secret": s} for p, s in SECRETS.items()]}))
        as_lines = write(folder, "lines", "".join("%s %s\n" % x for x in SECRETS.items()))
        key = write(folder, "key", KEY + "\n")
        own = write(folder, "own", json.dumps({"principal": "agent", "secret": SECRETS["agent"]}))
        wanted = {"authenticate_http_readonly": True, "authenticate_http_readwrite": True}
        master = dict(wanted, credentials=as_json, authenticate_http_frameworks=True, http_framework_authenticators="basic,jwt",
                      authenticate_agents=True, http_authenticators="basic,jwt", jwt_secret_key=key)
        agent = dict(wanted, http_credentials=as_lines, authenticate_http_executors=True, jwt_secret_key=key, credential=own)
        with login(basic("op")):
            c = Cluster(1, master, agent)
        c.secrets = folder
        try:
            yield c
        finally:
            c.stop()
    finally:
        shutil.rmtree(folder)


def challenge(answer, scheme="Basic"):
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"].startswith(scheme + " realm=\"mesos-"), answer


# ---- who is there ----

def test_realms(secured):
    for daemon in (secured.master, secured.agent):
        for path in ("/state", "/flags", "/metrics/snapshot", "/logging/toggle", "/state.json"):
            challenge(get(daemon.address, path))
            challenge(get(daemon.address, path, **basic("op", "wrong")))
            challenge(get(daemon.address, path, **basic("guest", "")))
            assert get(daemon.address, path, **basic("guest")).status == 200
        for path in ("/health", "/version", "/system/stats.json"):
            assert get(daemon.address, path).status == 200
        # 401 comes before everything that is wrong with a request.
        challenge(request(daemon.address, "GET", "/api/v1"))
        challenge(request(daemon.address, "POST", "/api/v1", {"Content-Type": "text/plain"}, "x"))
        challenge(post_json(daemon.address, "/api/v1", {"type": "GET_HEALTH"}))
        assert post_json(daemon.address, "/api/v1", {"type": "GET_HEALTH"}, basic("op")).status == 200
        assert request(daemon.address, "GET", "/api/v1", basic("op")).status == 405


def test_the_prefixed_path_is_no_way_round(secured):
    for daemon, prefixes in ((secured.master, ["/master"]), (secured.agent, ["/slave(1)", "/slave%281%29"])):
        for prefix in prefixes:
            challenge(get(daemon.address, prefix + "/state"))
            challenge(get(daemon.address, prefix + "/state/"))
            challenge(get(daemon.address, prefix + "/%73tate"))


def test_tokens_of_operators(secured):
    good = token(sub="op")
    assert get(secured.master.address, "/state", **good).status == 200
    assert post_json(secured.master.address, "/api/v1", {"type": "GET_FLAGS"}, good).status == 200
    for bad in (token(key="another", sub="op"), token(sub="op", exp=1), {"Authorization": "Bearer x.y.z"}):
        a = get(secured.master.address, "/state", **bad)
        challenge(a)
        assert "error=\"invalid_token\"" in a.headers["www-authenticate"] and KEY not in repr(a)
    # Known by claims, but by no name: the master serves nobody like that.
    for path in ("/state", "/api/v1"):
        a = request(secured.master.address, "POST", path, token(fid="f", eid="e", cid="c"), "{}")
        assert a.status == 403 and "claims" in a.text, a


def test_frameworks(secured):
    s = Scheduler(secured.master.address)
    with pytest.raises(AssertionError, match="401"):
        s.subscribe()
    with login(basic("fw")):
        wrong = Scheduler(secured.master.address, principal="op")
        with pytest.raises(AssertionError, match="400.*Authenticated principal"):
            wrong.subscribe()
        with s:
            assert s.run("true", "TASK_FINISHED")
            # Nobody else speaks for it.
            with login(basic("op")):
                a = s.call("REVIVE", {})
            assert a.status == 400 and "principal" in a.text, a
            f, = [f for f in get_json(secured.master.address, "/frameworks")["frameworks"] if f["id"] == s.id]
            assert f["principal"] == "fw"


def test_executors_show_their_token(secured):
    with login(basic("fw")), Scheduler(secured.master.address, principal="fw") as s:
        offer = s.offer(cpus=0.5)
        ex = custom_executor(s)
        t = s.task(offer, "", command=None, executor=ex)
        s.launch(offer, t)
        s.status(t["task_id"]["value"], "TASK_RUNNING")
        state = get_json(secured.agent.address, "/state")
        e, = [e for f in state["frameworks"] for e in f["executors"] if e["id"] == ex["executor_id"]["value"]]
        ids = {"framework_id": {"value": s.id}, "executor_id": ex["executor_id"]}
        update = dict(ids, type="MESSAGE", message={"data": ""})
        own = dict(fid=s.id, eid=e["id"], cid=e["container"])
        # The checks below are of one call with several callers; only the last one may.
        http.DEFAULTS.clear()
        path = "/api/v1/executor"
        challenge(post_json(secured.agent.address, path, update), "Bearer")
        challenge(post_json(secured.agent.address, path, update, basic("op")), "Bearer")
        challenge(post_json(secured.agent.address, path, update, token(key="another", **own)), "Bearer")
        for other in ("fid", "eid", "cid"):
            assert post_json(secured.agent.address, path, update, token(**dict(own, **{other: "x"}))).status == 403
        assert post_json(secured.agent.address, path, update, token(**own)).status == 202
        # It is no operator's.
        assert post_json(secured.agent.address, "/api/v1", {"type": "GET_FLAGS"}, token(**own)).status == 403
        challenge(get(secured.agent.address, "/state", **token(**own)))
        http.DEFAULTS.update(basic("fw"))
        # A command task has no token to lose.
        _, st = s.run("test -z \"$MESOS_EXECUTOR_AUTHENTICATION_TOKEN\"", "TASK_FINISHED")
        assert st


def test_an_agent_without_the_right_credential(secured):
    wrong = write(secured.secrets, "wrong", "agent not-its-secret\n")
    for flags in ({}, {"credential": wrong}):
        a = secured.add_agent(flags)
        try:
            eventually(lambda: "401" in a.log())
            with login(basic("op")):
                assert len(get_json(secured.master.address, "/slaves")["slaves"]) == 1
        finally:
            a.stop()
            secured.agents.remove(a)


def test_the_command_line(secured):
    """It says who asks when FAIRLEAD_LOGIN names a file; also to agents, whose sandboxes it reads."""
    def fairlead(*words, login=None):
        env = dict(os.environ, FAIRLEAD_MASTER=secured.master.address, FAIRLEAD_LOGIN=login or "")
        p = subprocess.run([os.path.join(BIN, "fairlead"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, env=env)
        return p.returncode, p.stdout.decode(), p.stderr.decode()
    own = write(secured.secrets, "login", "fw %s\n" % SECRETS["fw"])
    status, _, said = fairlead("agents")
    assert status != 0 and "401" in said
    status, out, said = fairlead("agents", login=own)
    assert status == 0 and secured.agent.address.rsplit(":", 1)[0] in out, said
    status, out, said = fairlead("run", "--", "sh", "-c", "echo who; exit 3", login=own)
    assert (status, out) == (3, "who\n"), said
    status, _, said = fairlead("agents", login=own + "-not-there")
    assert status != 0 and "FAIRLEAD_LOGIN" in said


def test_secrets_are_nowhere(secured):
    secrets = list(SECRETS.values()) + [KEY]
    texts = [secured.logs()]
    with login(basic("op")):
        for d in (secured.master, secured.agent):
            texts += [get(d.address, p).text for p in ("/flags", "/state", "/metrics/snapshot")]
            texts.append(post_json(d.address, "/api/v1", {"type": "GET_FLAGS"}).text)
    texts.append(get(secured.master.address, "/state", **basic("op", SECRETS["fw"])).text)
    for text in texts:
        assert not [s for s in secrets if s in text]


@pytest.mark.parametrize("flags, says", [
    ({"authenticate_http_readonly": True}, "authenticate_http_readonly"),
    ({"authenticate_agents": True}, "authenticate_agents"),
    ({"credentials": "/nowhere/at/all"}, "/nowhere/at/all"),
    ({"acls": "{\"run_task\": []}"}, "run_task"),
    ({"acls": "{"}, "--acls"),
    ({"authorizers": "mine"}, "authorizers"),
    ({"firewall_rules": "{}"}, "firewall_rules"),
])
def test_flags_that_make_no_sense(flags, says):
    words = command_line(dict(flags, ip="127.0.0.1", port=0, registry="in_memory"))
    done = subprocess.run([os.path.join(BIN, "fairlead-master")] + words, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode != 0 and says in done.stderr.decode()


# ---- what is allowed ----

ANY, NONE = {"type": "ANY"}, {"type": "NONE"}


def only(who, what):
    """Rules that let `who` do it to everything, and nobody else."""
    return [{"principals": {"values": [who]}, what: ANY}, {"principals": ANY, what: NONE}]


@contextlib.contextmanager
def ruled(rules, agents=1, **flags):
    """A cluster with access rules where one may, but need not, say who he is: nothing is authenticated but by principal names."""
    folder = tempfile.mkdtemp(prefix="fairlead-auth-")
    try:
        cred = write(folder, "json", json.dumps({"credentials": [{"principal": p, "secret": s} for p, s in SECRETS.items()]}))
        acls = write(folder, "acls", json.dumps(rules))
        wanted = dict({"authenticate_http_readonly": True, "authenticate_http_readwrite": True, "acls": "file://" + acls}, **flags)
        with login(basic("op")), Cluster(agents, dict(wanted, credentials=cred), dict(wanted, http_credentials=cred)) as c:
            yield c
    finally:
        shutil.rmtree(folder)


def test_calls_as_a_whole():
    rules = {"view_flags": only("op", "flags"), "set_log_level": only("op", "level"),
             "get_endpoints": [{"principals": {"values": ["op"]}, "paths": ANY}, {"principals": ANY, "paths": NONE}],
             "update_maintenance_schedules": only("op", "machines"), "start_maintenances": only("op", "machines"),
             "stop_maintenances": only("op", "machines"), "get_maintenance_schedules": only("op", "machines"),
             "get_maintenance_statuses": only("op", "machines")}
    window = {"machine_ids": [{"hostname": "elsewhere"}], "unavailability": {"start": {"nanoseconds": 0}}}
    calls = [{"type": "GET_FLAGS"},
             {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": 1000}}}]
    machines = [{"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": {"windows": [window]}}},
                {"type": "START_MAINTENANCE", "start_maintenance": {"machines": window["machine_ids"]}},
                {"type": "STOP_MAINTENANCE", "stop_maintenance": {"machines": window["machine_ids"]}}]
    with ruled(rules) as c:
        guest = basic("guest")
        for d, own in ((c.master, machines), (c.agent, [])):
            for call in calls + own:
                assert post_json(d.address, "/api/v1", call, guest).status == 403, call
                assert post_json(d.address, "/api/v1", call).status == 200, call
            for path in ("/flags", "/metrics/snapshot", "/logging/toggle"):
                assert get(d.address, path, **guest).status == 403, path
                assert get(d.address, path).status == 200, path
        for path in ("/monitor/statistics", "/containers", "/containerizer/debug", "/files/debug", "/slave(1)/containers"):
            assert get(c.agent.address, path, **guest).status == 403, path
            assert get(c.agent.address, path).status == 200, path
        post_json(c.master.address, "/api/v1", machines[0])
        assert "windows" in get_json(c.master.address, "/maintenance/schedule")
        assert "windows" not in get(c.master.address, "/maintenance/schedule", **guest).json()
        for path in ("/maintenance/schedule", "/machine/down", "/machine/up"):
            assert post_json(c.master.address, path, [], guest).status == 403, path


def test_calls_about_roles_and_agents():
    rules = {"reserve_resources": only("op", "roles"), "unreserve_resources": only("op", "reserver_principals"),
             "create_volumes": only("op", "roles"), "destroy_volumes": only("op", "creator_principals"),
             "resize_volumes": only("op", "roles"), "update_quotas": only("op", "roles"), "update_weights": only("op", "roles"),
             "get_quotas": only("op", "roles"), "view_roles": only("op", "roles"), "drain_agents": only("op", "agents"),
             "deactivate_agents": only("op", "agents"), "reactivate_agents": only("op", "agents"),
             "mark_agents_gone": only("op", "agents")}
    with ruled(rules) as c:
        guest, agent = basic("guest"), {"value": c.agent_id()}

        def reservation(principal, **more):
            return scalar("cpus", 1, reservations=[{"type": "DYNAMIC", "role": "eng", "principal": principal}], **more)

        def volume(principal):
            v = dict(reservation(principal), name="disk")
            v["disk"] = {"persistence": {"id": "v", "principal": principal}, "volume": {"mode": "RW", "container_path": "v"}}
            return v

        def reserve(kind, principal):
            return {"type": kind, kind.lower(): {"agent_id": agent, "resources": [reservation(principal)]}}

        def volumes(kind, principal):
            return {"type": kind, kind.lower(): {"agent_id": agent, "volumes": [volume(principal)]}}
        quota = {"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": [{"role": "eng", "limits": {"cpus": {"value": 3}}}]}}
        weights = {"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "eng", "weight": 2}]}}
        drain = {"type": "DRAIN_AGENT", "drain_agent": {"agent_id": agent}}
        plain = [{"type": k, k.lower(): {"agent_id": agent}} for k in ("DEACTIVATE_AGENT", "REACTIVATE_AGENT", "MARK_AGENT_GONE")]
        for who, status in (("guest", 403), ("op", 202)):
            a = post_json(c.master.address, "/api/v1", reserve("RESERVE_RESOURCES", who), basic(who))
            assert a.status == status, (who, a)
        disk = dict(reservation("op"), name="disk")
        ask = {"type": "RESERVE_RESOURCES", "reserve_resources": {"agent_id": agent, "resources": [disk]}}
        assert post_json(c.master.address, "/api/v1", ask).status == 202
        for kind in ("CREATE_VOLUMES", "DESTROY_VOLUMES"):
            assert post_json(c.master.address, "/api/v1", volumes(kind, "guest"), guest).status in (400, 403), kind
            assert post_json(c.master.address, "/api/v1", volumes(kind, "op")).status == 202, kind
        # What another reserved: the objects of these rules are the reservers.
        assert post_json(c.master.address, "/api/v1", reserve("UNRESERVE_RESOURCES", "op"), guest).status == 403
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = "slaveId=%s&resources=%s" % (agent["value"], json.dumps([reservation("op")]))
        assert request(c.master.address, "POST", "/unreserve", dict(form, **guest), body).status == 403
        assert request(c.master.address, "POST", "/unreserve", form, body).status == 202
        for call in [quota, weights, drain] + plain:
            assert post_json(c.master.address, "/api/v1", call, guest).status == 403, call
        assert request(c.master.address, "PUT", "/weights", guest, json.dumps([{"role": "eng", "weight": 2}])).status == 403
        legacy = {"role": "eng", "guarantee": [scalar("cpus", 1)], "force": True}
        assert request(c.master.address, "POST", "/quota", guest, json.dumps(legacy)).status == 403
        for call in (quota, weights):
            assert post_json(c.master.address, "/api/v1", call).status == 200, call
        assert request(c.master.address, "DELETE", "/quota/eng", guest).status == 403
        for kind, key in (("GET_QUOTA", "eng"), ("GET_WEIGHTS", "eng"), ("GET_ROLES", "eng")):
            assert key in post_json(c.master.address, "/api/v1", {"type": kind}).text, kind
            assert key not in post_json(c.master.address, "/api/v1", {"type": kind}, guest).text, kind
        for path in ("/quota", "/weights", "/roles"):
            assert "eng" in get(c.master.address, path).text and "eng" not in get(c.master.address, path, **guest).text, path
        for call in plain[:2]:
            assert post_json(c.master.address, "/api/v1", call).status == 200, call


def test_operations_of_frameworks():
    rules = {"reserve_resources": [{"principals": {"values": ["fw"]}, "roles": NONE}]}
    with ruled(rules) as c, Scheduler(c.master.address, ["RESERVATION_REFINEMENT"], principal="fw", role="eng") as s:
        offer = s.offer(cpus=1)
        mine = scalar("cpus", 1, reservations=[{"type": "DYNAMIC", "role": "eng", "principal": "fw"}])
        s.accept(offer, [{"type": "RESERVE", "id": {"value": "r"}, "reserve": {"resources": [mine]}}])
        e = s.wait_for(lambda e: e["type"] == "UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
        assert e["state"] == "OPERATION_ERROR" and "reserve_resources" in e["message"], e


def test_teardown():
    rules = {"teardown_frameworks": [{"principals": {"values": ["guest"]}, "framework_principals": {"values": ["fw"]}},
                                     {"principals": {"values": ["guest"]}, "framework_principals": NONE}]}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with ruled(rules, agents=0) as c, Scheduler(c.master.address, principal="fw") as fw, \
            Scheduler(c.master.address, principal="other") as other, Scheduler(c.master.address) as bare:
        with login(basic("guest")):
            for s in (other, bare):
                a = post_json(c.master.address, "/api/v1", {"type": "TEARDOWN", "teardown": {"framework_id": {"value": s.id}}})
                assert a.status == 403, a
                assert request(c.master.address, "POST", "/teardown", form, "frameworkId=" + s.id).status == 403
            assert request(c.master.address, "POST", "/teardown", form, "frameworkId=x").status == 400
            assert request(c.master.address, "POST", "/teardown", form, "frameworkId=" + fw.id).status == 200


def test_frameworks_have_the_roles_they_may():
    rules = {"register_frameworks": [{"principals": {"values": ["fw"]}, "roles": {"values": ["eng/%", "ops"]}},
                                     {"principals": {"values": ["fw"]}, "roles": NONE}]}
    with ruled(rules, agents=0) as c:
        multi = ["MULTI_ROLE"]
        for roles, good in ((["eng/web", "ops"], True), (["eng"], False), (["ops", "qa"], False)):
            s = Scheduler(c.master.address, principal="fw", roles=roles, capabilities=multi)
            first = s.subscribe()
            assert (first["type"] == "SUBSCRIBED") == good, first
            if good:
                info = dict(s.info, roles=["ops", "qa"], id={"value": s.id})
                a = s.call("UPDATE_FRAMEWORK", {"framework_info": info})
                assert a.status == 403 and "qa" in a.text, a
            else:
                assert "Not authorized" in first["error"]["message"], first
                s.wait_end()
            s.close()
        with Scheduler(c.master.address, principal="another", role="qa") as s:
            assert s.id


def test_tasks_run_as_who_may():
    rules = {"run_tasks": [{"principals": {"values": ["fw"]}, "users": {"values": ["root"]}},
                           {"principals": ANY, "users": NONE}]}
    with ruled(rules) as c, Scheduler(c.master.address, principal="fw") as s:
        offer = s.offer(cpus=0.5)
        good, bad = s.task(offer, "true"), s.task(offer, "true", command={"value": "true", "user": "nobody"})
        s.launch(offer, bad, good)
        st = s.status(bad["task_id"]["value"], "TASK_ERROR")
        assert st["reason"] == "REASON_TASK_UNAUTHORIZED" and "nobody" in st["message"], st
        s.status(good["task_id"]["value"], "TASK_FINISHED")
        # A pod with one such task is refused as a whole.
        offer = s.offer(cpus=0.5)
        ex = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": {"value": s.id},
              "resources": [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 32)]}
        tasks = [s.task(offer, "true"), s.task(offer, "true", command={"value": "true", "user": "nobody"})]
        s.accept(offer, [{"type": "LAUNCH_GROUP", "launch_group": {"executor": ex, "task_group": {"tasks": tasks}}}])
        for t in tasks:
            assert s.status(t["task_id"]["value"], "TASK_ERROR")["reason"] == "REASON_TASK_GROUP_UNAUTHORIZED"


def test_firewall():
    with Cluster(1, {"firewall_rules": json.dumps({"disabled_endpoints": {"paths": ["/state", "/master/roles"]}})},
                 {"firewall_rules": json.dumps({"disabled_endpoints": {"paths": ["/slave(1)/state"]}})}) as c:
        for path in ("/state", "/master/state", "/state.json", "/roles", "/master/roles", "//state"):
            assert get(c.master.address, path).status in (403, 404), path
        assert get(c.master.address, "/state").status == 403
        assert get(c.agent.address, "/state").status == 403
        assert get(c.master.address, "/slaves").status == 200


# ---- what is seen ----

def sees_frameworks(answer):
    return sorted(f["framework_info"]["id"]["value"] for f in answer.get("get_frameworks", answer)["frameworks"])


def task_ids(tasks):
    return sorted(t["task_id"]["value"] for t in tasks)


def operator(daemon, kind, headers=None):
    a = post_json(daemon.address, "/api/v1", {"type": kind}, headers)
    assert a.status == 200, a
    return a.json()[kind.lower()]


def turn(s, other):
    """The one agent is offered to `s` and not to `other`."""
    other.do("SUPPRESS", {})
    for offer in list(other.held.values()):
        other.decline(offer)
    s.do("REVIVE", {})


@pytest.mark.root
def test_who_sees_what():
    """`guest` may see what runs as nobody, `fw` may see frameworks of root but only tasks of nobody, `op` sees all."""
    nobody = {"values": ["nobody"]}
    rules = {"view_frameworks": [{"principals": {"values": ["guest"]}, "users": nobody}] + only("op", "users")[:1] +
             [{"principals": {"values": ["fw"]}, "users": ANY}, {"principals": ANY, "users": NONE}],
             "view_tasks": [{"principals": {"values": ["guest", "fw"]}, "users": nobody}] + only("op", "users"),
             "view_executors": only("op", "users"), "view_containers": only("op", "users"), "view_flags": only("op", "flags"),
             "access_sandboxes": [{"principals": {"values": ["guest"]}, "users": nobody}] + only("op", "users"),
             "access_mesos_logs": only("op", "logs")}
    with ruled(rules) as c, Scheduler(c.master.address, principal="fw") as mine, \
            Scheduler(c.master.address, principal="fw", user="nobody") as theirs:
        turn(mine, theirs)
        as_root, _ = mine.run("sleep 1000")
        as_nobody, _ = mine.run("sleep 1000", command={"value": "sleep 1000", "user": "nobody"})
        turn(theirs, mine)
        of_theirs, _ = theirs.run("sleep 1000")
        every = sorted([as_root, as_nobody, of_theirs])
        for who, frameworks, tasks in (("op", [mine.id, theirs.id], every), ("fw", [mine.id, theirs.id], [as_nobody, of_theirs]),
                                       ("guest", [theirs.id], [of_theirs]), ("agent", [], [])):
            headers, frameworks, tasks = basic(who), sorted(frameworks), sorted(tasks)
            for d in (c.master, c.agent):
                running = "tasks" if d is c.master else "launched_tasks"
                assert sees_frameworks(operator(d, "GET_FRAMEWORKS", headers)) == frameworks, who
                assert task_ids(operator(d, "GET_TASKS", headers).get(running, [])) == tasks, who
                whole = operator(d, "GET_STATE", headers)
                assert sees_frameworks(whole["get_frameworks"]) == frameworks, who
                assert task_ids(whole["get_tasks"].get(running, [])) == tasks, who
                state = get(d.address, "/state", **headers).json()
                assert sorted(f["id"] for f in state["frameworks"]) == frameworks, who
                assert ("flags" in state) == (who == "op")
            state = get(c.master.address, "/state", **headers).json()
            assert sorted(t["id"] for f in state["frameworks"] for t in f["tasks"]) == tasks, who
            assert sorted(t["id"] for t in get(c.master.address, "/tasks", **headers).json()["tasks"]) == tasks, who
            assert sorted(f["id"] for f in get(c.master.address, "/frameworks", **headers).json()["frameworks"]) == frameworks, who
            assert sorted(f["id"] for f in get(c.master.address, "/state-summary", **headers).json()["frameworks"]) == frameworks
            assert len(get(c.agent.address, "/containers", **headers).json()) == (3 if who == "op" else 0)
        sandboxes(c, mine, theirs)
        events(c, mine, theirs)


def sandboxes(c, mine, theirs):
    """The directory of an executor is its user's; of a command, its framework's unless it says another."""
    state = get_json(c.agent.address, "/state")
    of = {f["id"]: [e["directory"] for e in f["executors"]] for f in state["frameworks"]}
    guest = basic("guest")
    for directory in of[theirs.id]:
        for path in ("browse?path=%s", "read?path=%s/stdout", "download?path=%s/stdout"):
            assert get(c.agent.address, "/files/" + path % directory, **guest).status == 200
    for directory in of[mine.id]:
        seen = get(c.agent.address, "/files/browse?path=" + directory, **guest).status
        call = {"type": "LIST_FILES", "list_files": {"path": directory}}
        assert post_json(c.agent.address, "/api/v1", call, guest).status == seen
        assert get(c.agent.address, "/files/browse?path=" + directory).status == 200
    assert 403 in [get(c.agent.address, "/files/browse?path=" + d, **guest).status for d in of[mine.id]]
    root, = [d for d in of[mine.id] if get(c.agent.address, "/files/browse?path=" + d, **guest).status == 403][:1]
    for path in (root + "/", root + "/./stdout", "%s/../%s/stdout" % (root, os.path.basename(root))):
        assert get(c.agent.address, "/files/read?path=" + path, **guest).status == 403, path
    assert get(c.agent.address, "/files/browse?path=/nowhere", **guest).status == 404


def events(c, mine, theirs):
    """The stream of events shows what the calls show."""
    headers = dict(basic("guest"), **{"Content-Type": http.JSON, "Accept": http.JSON})
    s = http.Stream(c.master.address, "/api/v1", json.dumps({"type": "SUBSCRIBE"}), headers)
    try:
        first = json.loads(s.record())
        assert sees_frameworks(first["subscribed"]["get_state"]["get_frameworks"]) == [theirs.id]
        turn(mine, theirs)
        mine.run("true", "TASK_FINISHED")
        turn(theirs, mine)
        last, _ = theirs.run("true", "TASK_FINISHED")
        while True:
            e = json.loads(s.record())
            if e["type"] == "HEARTBEAT":
                continue
            assert mine.id not in json.dumps(e), e
            if e["type"] == "TASK_UPDATED" and e["task_updated"]["state"] == "TASK_FINISHED":
                assert e["task_updated"]["status"]["task_id"]["value"] == last
                return
    finally:
        s.close()


# ---- what the documents say ----

@pytest.mark.root
def test_the_example_of_the_documents():
    with open(os.path.join(ROOT, "docs", "security.md")) as f:
        credentials, acls, agent = [part.split("```")[0] for part in f.read().split("```json\n")[1:]]
    secret = {c["principal"]: c["secret"] for c in json.loads(credentials)["credentials"]}
    folder = tempfile.mkdtemp(prefix="fairlead-auth-")
    try:
        paths = {n: write(folder, n, t) for n, t in (("credentials", credentials), ("acls", acls), ("agent", agent), ("key", "k" * 40))}
        both = {"authenticate_http_readonly": True, "authenticate_http_readwrite": True, "acls": "file://" + paths["acls"]}
        ops, viewer, spark = [basic(p, secret[p]) for p in ("ops", "viewer", "spark")]
        with login(ops), Cluster(1, dict(both, credentials=paths["credentials"], authenticate_http_frameworks=True,
                                         http_framework_authenticators="basic", authenticate_agents=True),
                                 dict(both, credential=paths["agent"], http_credentials=paths["credentials"],
                                      authenticate_http_executors=True, jwt_secret_key=paths["key"])) as c:
            with login(spark), Scheduler(c.master.address, principal="spark", role="analytics/daily", user="nobody") as s:
                s.run("true", "TASK_FINISHED")
                offer = s.offer()
                t = s.task(offer, "true", command={"value": "true", "user": "root"})
                s.launch(offer, t)
                assert s.status(t["task_id"]["value"], "TASK_ERROR")["reason"] == "REASON_TASK_UNAUTHORIZED"
                assert "Not authorized" in Scheduler(c.master.address, role="else").subscribe()["error"]["message"]
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                for who, status in ((viewer, 403), (ops, 200)):
                    assert [f["id"] for f in get(c.master.address, "/frameworks", **who).json()["frameworks"]] == [s.id]
                    assert request(c.master.address, "POST", "/teardown", dict(form, **who), "frameworkId=" + s.id).status == status
                assert get(c.master.address, "/frameworks", **spark).json()["frameworks"] == []
    finally:
        shutil.rmtree(folder)


def test_roles_that_are_not_seen():
    """What is reserved for a role is seen by who sees the role, in every shape."""
    rules = {"view_roles": [{"principals": {"values": ["guest"]}, "roles": {"values": ["eng", "*"]}},
                            {"principals": {"values": ["guest"]}, "roles": NONE}]}
    with ruled(rules, agents=0) as c:
        events = http.Stream(c.master.address, "/api/v1", json.dumps({"type": "SUBSCRIBE"}),
                             dict(basic("guest"), **{"Content-Type": http.JSON, "Accept": http.JSON}))
        assert json.loads(events.record())["type"] == "SUBSCRIBED"
        c.add_agent({"resources": "cpus:4;mem:1024;disk:2048;cpus(eng):2;mem(ops):512", "acls": c.master.flags["acls"],
                     "http_credentials": c.master.flags["credentials"], "authenticate_http_readonly": True})
        c.wait_agents(1)

        def reserved(answer):
            return sorted(answer["slaves"][0]["reserved_resources"])

        def full(answer):
            return sorted(answer["slaves"][0]["reserved_resources_full"])

        def roles(agent):
            return sorted({v["role"] for r in agent["total_resources"] + agent["agent_info"]["resources"]
                           for v in r.get("reservations", [])})
        for who, seen in (("op", ["eng", "ops"]), ("guest", ["eng"])):
            headers = basic(who)
            assert reserved(get(c.master.address, "/state", **headers).json()) == seen
            assert reserved(get(c.master.address, "/slaves", **headers).json()) == seen
            assert full(get(c.master.address, "/slaves", **headers).json()) == seen
            own = get(c.agent.address, "/state", **headers).json()
            assert sorted(own["reserved_resources"]) == sorted(own["reserved_resources_full"]) == seen
            assert roles(operator(c.master, "GET_AGENTS", headers)["agents"][0]) == seen
        while True:
            e = json.loads(events.record())
            if e["type"] == "AGENT_ADDED":
                assert roles(e["agent_added"]["agent"]) == ["eng"]
                break
        events.close()
