"""The HTTP surface of master and agent, row by row: what each endpoint answers to each parameter, also to wrong ones; jsonp, gzip, prefixes,
endings; /help and docs/http-api.md; browsers of other origins; endpoints that are switched off."""
import base64
import gzip
import json
import os
import shutil
import tempfile
import urllib.parse

import pytest

from harness.cluster import ROOT, Cluster
from harness.http import JSON, PROTOBUF, Connection, Stream, eventually, get, get_json, post_json, request, request_bytes
from harness.scheduler import Scheduler

TEXT = "text/plain; charset=utf-8"
MARKDOWN = "text/x-markdown"
FORM = "application/x-www-form-urlencoded"

# What an answer must hold: names of an object's keys, a piece of a text, or nothing at all.
NOTHING = ""


class Has(str):
    """A piece of text."""


BUILD_KEYS = "version build_date build_time build_user"
STATE_KEYS = BUILD_KEYS + " start_time elected_time id pid hostname capabilities activated_slaves deactivated_slaves " \
    "unreachable_slaves leader leader_info flags slaves recovered_slaves frameworks completed_frameworks orphan_tasks unregistered_frameworks"
AGENT_STATE_KEYS = BUILD_KEYS + " start_time id pid hostname capabilities resources reserved_resources unreserved_resources " \
    "reserved_resources_full unreserved_resources_full reserved_resources_allocated unreserved_resources_allocated " \
    "resource_providers attributes master_hostname flags frameworks completed_frameworks"

# Of both daemons: (method, path, body, status, content type, what it holds).
BOTH = [
    ("GET", "/health", None, 200, None, NOTHING),
    ("POST", "/health", None, 200, None, NOTHING),
    ("GET", "/health/", None, 200, None, NOTHING),
    ("GET", "/version", None, 200, JSON, BUILD_KEYS),
    ("POST", "/version", None, 200, JSON, BUILD_KEYS),
    ("GET", "/version/", None, 200, JSON, BUILD_KEYS),
    ("GET", "/flags", None, 200, JSON, "flags"),
    ("GET", "/metrics/snapshot", None, 200, JSON, "system/cpus_total system/load_1min"),
    ("GET", "/metrics/snapshot?timeout=2secs", None, 200, JSON, "system/mem_total_bytes"),
    ("GET", "/metrics/snapshot?timeout=2", None, 400, TEXT, Has("Invalid timeout '2'")),
    ("GET", "/metrics/snapshot?timeout=soon", None, 400, TEXT, Has("Invalid timeout 'soon'")),
    ("GET", "/system/stats.json", None, 200, JSON,
     "avg_load_1min avg_load_5min avg_load_15min cpus_total mem_total_bytes mem_free_bytes"),
    ("GET", "/system/stats", None, 404, TEXT, Has("/help")),
    ("GET", "/logging/toggle", None, 200, TEXT, Has("0\n")),
    ("GET", "/logging/toggle?level=1", None, 400, TEXT, Has("Expecting 'duration=value' in query.\n")),
    ("GET", "/logging/toggle?duration=1secs", None, 400, TEXT, Has("Expecting 'level=value' in query.\n")),
    ("GET", "/logging/toggle?level=x&duration=1secs", None, 400, TEXT, Has("'x'")),
    ("GET", "/logging/toggle?level=-1&duration=1secs", None, 400, TEXT, Has("Invalid level '-1'")),
    ("GET", "/logging/toggle?level=1&duration=1", None, 400, TEXT, Has("duration '1'")),
    ("POST", "/logging/toggle?level=1&duration=1ms", None, 200, None, NOTHING),
    ("GET", "/profiler/start", None, 400, TEXT, Has("The profiler is not enabled")),
    ("GET", "/profiler/stop", None, 400, TEXT, Has("The profiler is not enabled")),
    ("GET", "/memory-profiler/state", None, 200, JSON, "memory_profiler"),
    ("GET", "/memory-profiler/start?duration=1mins", None, 400, TEXT, Has("jemalloc")),
    ("GET", "/memory-profiler/stop", None, 400, TEXT, Has("jemalloc")),
    ("GET", "/memory-profiler/statistics", None, 400, TEXT, Has("jemalloc")),
    ("GET", "/memory-profiler/download/raw", None, 400, TEXT, Has("jemalloc")),
    ("GET", "/files/browse", None, 400, TEXT, Has("Expecting 'path=value' in query.\n")),
    ("GET", "/files/browse?path=", None, 400, TEXT, Has("Expecting 'path=value' in query.\n")),
    ("GET", "/files/browse?path=/nope", None, 404, TEXT, Has("/nope")),
    ("GET", "/files/browse.json?path=/nope", None, 404, TEXT, Has("/nope")),
    ("GET", "/files/read", None, 400, TEXT, Has("Expecting 'path=value' in query.\n")),
    ("GET", "/files/read?path=/nope", None, 404, TEXT, Has("/nope")),
    ("GET", "/files/read?path=/nope&offset=x", None, 400, TEXT, Has("Failed to parse offset")),
    ("GET", "/files/read?path=/nope&offset=-2", None, 400, TEXT, Has("Negative offset provided: -2")),
    ("GET", "/files/read?path=/nope&length=x", None, 400, TEXT, Has("Failed to parse length")),
    ("GET", "/files/read?path=/nope&length=-2", None, 400, TEXT, Has("Negative length provided: -2")),
    ("GET", "/files/download", None, 400, TEXT, Has("Expecting 'path=value' in query.\n")),
    ("GET", "/files/download?path=/nope", None, 404, TEXT, Has("/nope")),
    ("GET", "/files/debug", None, 200, JSON, ""),
    ("GET", "/files", None, 404, TEXT, Has("'/files'")),
    ("GET", "/help/nope", None, 400, TEXT, Has("No help available for '/nope'.\n")),
    ("GET", "/help/files/nope", None, 400, TEXT, Has("No help available for '/files/nope'.\n")),
    ("GET", "/help?format=json", None, 200, JSON, "processes"),
    ("GET", "/nothing", None, 404, TEXT, Has("There is nothing at '/nothing'")),
    ("GET", "/state/..%2Fflags", None, 404, TEXT, Has("There is nothing at")),
    ("GET", "/state/../flags", None, 404, TEXT, Has("There is nothing at")),
    ("GET", "/%zz", None, 400, TEXT, Has("not a path")),
    ("GET", "/version?jsonp=%zz", None, 400, TEXT, Has("written %25")),
    ("GET", "//version", None, 200, JSON, BUILD_KEYS),
    ("GET", "///health//", None, 200, None, NOTHING),
    ("GET", "/api/v1", None, 405, TEXT, Has("Expecting one of { 'POST' }, but received 'GET'")),
    ("OPTIONS", "/api/v1", None, 405, TEXT, Has("'OPTIONS'")),
    ("POST", "/api/v1", None, 400, TEXT, Has("Expecting 'Content-Type' to be present")),
]

MASTER = [
    ("GET", "/state", None, 200, JSON, STATE_KEYS),
    ("DELETE", "/state", None, 200, JSON, STATE_KEYS),
    ("OPTIONS", "/state", None, 200, JSON, STATE_KEYS),
    ("GET", "/state.json", None, 200, JSON, STATE_KEYS),
    ("GET", "/master/state.json", None, 200, JSON, STATE_KEYS),
    ("GET", "/master/state/", None, 200, JSON, STATE_KEYS),
    ("GET", "/master//state", None, 200, JSON, STATE_KEYS),
    ("GET", "/state-summary", None, 200, JSON, "hostname slaves frameworks"),
    ("GET", "/slaves", None, 200, JSON, "slaves recovered_slaves"),
    ("GET", "/slaves.json", None, 200, JSON, "slaves recovered_slaves"),
    ("POST", "/slaves/some-id", None, 200, JSON, "slaves recovered_slaves"),
    ("GET", "/slaves?slave_id=nope", None, 200, JSON, "slaves recovered_slaves"),
    ("GET", "/frameworks", None, 200, JSON, "frameworks completed_frameworks unregistered_frameworks"),
    ("GET", "/frameworks?framework_id=nope", None, 200, JSON, "frameworks completed_frameworks unregistered_frameworks"),
    ("GET", "/tasks", None, 200, JSON, "tasks"),
    ("POST", "/tasks/?task_id=x&framework_id=y", None, 200, JSON, "tasks"),
    ("GET", "/tasks?limit=x&offset=y&order=z", None, 200, JSON, "tasks"),
    ("GET", "/tasks?limit=-1&offset=-1&order=asc", None, 200, JSON, "tasks"),
    ("GET", "/roles", None, 200, JSON, "roles"),
    ("GET", "/roles.json", None, 200, JSON, "roles"),
    ("GET", "/weights", None, 200, JSON, []),
    ("GET", "/quota", None, 200, JSON, ""),
    ("GET", "/registrar(1)/registry", None, 200, JSON, "master slaves"),
    ("GET", "/registrar%281%29/registry", None, 200, JSON, "master slaves"),
    ("GET", "/allocator/offer_constraints_debug", None, 200, JSON, "frameworks"),
    ("GET", "/explain", None, 400, TEXT, Has("framework_id")),
    ("GET", "/explain?framework_id=nope", None, 404, TEXT, Has("nope")),
    ("GET", "/redirect", None, 307, None, NOTHING),
    ("GET", "/master/redirect", None, 307, None, NOTHING),
    ("GET", "/redirect/", None, 404, TEXT, Has("")),
    ("GET", "/redirect/x", None, 404, TEXT, Has("")),
    ("GET", "/master/redirect/x", None, 404, TEXT, Has("")),
    ("GET", "/slave(1)/state", None, 404, TEXT, Has("/slave(1)/state")),
    ("POST", "/flags", None, 200, JSON, "flags"),
    ("GET", "/help/master/state", None, 200, None, Has("TL;DR;")),
    ("PATCH", "/quota", None, 405, TEXT, Has("{ 'GET', 'POST', 'DELETE' }, but received 'PATCH'")),
    ("POST", "/quota", "{", 400, TEXT, Has("Failed to validate set quota request JSON '{'")),
    ("POST", "/quota", "{}", 400, TEXT, Has("must specify a role")),
    ("DELETE", "/quota", None, 400, TEXT, Has("Failed to parse remove quota request for path '/quota'")),
    ("DELETE", "/quota/nope", None, 400, TEXT, Has("Role 'nope' has no quota set")),
    ("POST", "/weights", None, 405, TEXT, Has("{ 'GET', 'PUT' }, but received 'POST'")),
    ("PUT", "/weights", "{}", 400, TEXT, Has("Failed to parse update weights request JSON")),
    ("PUT", "/weights", "[{}]", 400, TEXT, Has("Failed to convert weights JSON array")),
    ("PUT", "/weights", '[{"role":"a","weight":0}]', 400, TEXT, Has("Weights must be positive")),
    ("GET", "/teardown", None, 405, TEXT, Has("{ 'POST' }, but received 'GET'")),
    ("POST", "/teardown", "", 400, TEXT, Has("Missing 'frameworkId' query parameter")),
    ("POST", "/teardown", "frameworkId=nope", 400, TEXT, Has("No framework found with specified ID")),
    ("GET", "/maintenance/schedule", None, 200, JSON, ""),
    ("PUT", "/maintenance/schedule", None, 405, TEXT, Has("{ 'GET', 'POST' }")),
    ("POST", "/maintenance/schedule", "[", 400, TEXT, Has("")),
    ("POST", "/maintenance/schedule", '{"windows":[{}]}', 400, TEXT, Has("unavailability")),
    ("GET", "/maintenance/status", None, 200, JSON, ""),
    ("POST", "/maintenance/status", None, 405, TEXT, Has("{ 'GET' }")),
    ("GET", "/machine/down", None, 405, TEXT, Has("{ 'POST' }")),
    ("POST", "/machine/down", "{}", 400, TEXT, Has("array of machines")),
    ("POST", "/machine/down", "[]", 400, TEXT, Has("List of machines is empty")),
    ("POST", "/machine/down", '[{"hostname":"zz"}]', 400, TEXT, Has("is not part of a maintenance schedule")),
    ("POST", "/machine/up", '[{"hostname":"zz"}]', 400, TEXT, Has("is not part of a maintenance schedule")),
    ("POST", "/api/v1/operator", None, 400, TEXT, Has("Expecting 'Content-Type' to be present")),
    ("GET", "/api/v1/scheduler", None, 405, TEXT, Has("{ 'POST' }")),
    ("POST", "/api/v1/scheduler", None, 400, TEXT, Has("Expecting 'Content-Type' to be present")),
] + [
    row for path, part in [("/reserve", "resources"), ("/unreserve", "resources"), ("/create-volumes", "volumes"), ("/destroy-volumes", "volumes")]
    for row in [
        ("GET", path, None, 405, TEXT, Has("{ 'POST' }")),
        ("POST", path, "", 400, TEXT, Has("Missing 'slaveId' query parameter in the request body")),
        ("POST", path, "slaveId=x", 400, TEXT, Has("Missing '%s' query parameter in the request body" % part)),
        ("POST", path, "slaveId=x&%s=[" % part, 400, TEXT, Has("Error in parsing '%s' query parameter in the request body" % part)),
        ("POST", path, "slaveId=x&%s={}" % part, 400, TEXT, Has("Error in parsing '%s' query parameter in the request body" % part)),
        ("POST", path, "slaveId=x&%s=[]" % part, 400, TEXT, Has("No agent found with specified ID")),
    ]
]

AGENT = [
    ("GET", "/state", None, 200, JSON, AGENT_STATE_KEYS),
    ("POST", "/state", None, 200, JSON, AGENT_STATE_KEYS),
    ("GET", "/state.json", None, 200, JSON, AGENT_STATE_KEYS),
    ("GET", "/slave(1)/state", None, 200, JSON, AGENT_STATE_KEYS),
    ("GET", "/slave%281%29/state.json", None, 200, JSON, AGENT_STATE_KEYS),
    ("GET", "/slave(1)/health", None, 200, None, NOTHING),
    ("GET", "/containers", None, 200, JSON, []),
    ("GET", "/slave(1)/containers", None, 200, JSON, []),
    ("GET", "/containers?container_id=x", None, 200, JSON, []),
    ("GET", "/containers?framework_id=x", None, 200, JSON, []),
    ("GET", "/containers?framework_id=x&executor_id=y", None, 200, JSON, []),
    ("GET", "/containers?executor_id=y", None, 400, TEXT, Has("framework_id")),
    ("GET", "/containers?container_id=x&framework_id=y", None, 400, TEXT, Has("container_id")),
    ("GET", "/containers?container_id=x&executor_id=y", None, 400, TEXT, Has("container_id")),
    ("GET", "/containerizer/debug", None, 200, JSON, "pending"),
    ("GET", "/monitor/statistics", None, 200, JSON, []),
    ("GET", "/monitor/statistics.json", None, 200, JSON, []),
    ("GET", "/slave(1)/monitor/statistics", None, 200, JSON, []),
    ("GET", "/master/state", None, 404, TEXT, Has("/master/state")),
    ("GET", "/", None, 404, TEXT, Has("There is nothing at '/'")),
    ("GET", "/help/slave(1)/containers", None, 200, None, Has("container_id=VALUE")),
    ("GET", "/api/v1/executor", None, 405, TEXT, Has("{ 'POST' }")),
    ("POST", "/api/v1/executor", None, 400, TEXT, Has("Expecting 'Content-Type' to be present")),
    ("POST", "/slave(1)/api/v1", None, 400, TEXT, Has("Expecting 'Content-Type' to be present")),
    ("GET", "/api/v1/resource_provider", None, 405, TEXT, Has("{ 'POST' }")),
    ("POST", "/api/v1/resource_provider", "{}", 503, TEXT, Has("resource provider")),
]

PROVIDER = {"type": "org.apache.mesos.rp.local.storage", "name": "n"}
ID = {"value": "nope"}
# POST /api/v1: (call, status, what it holds). The part of a call is named as its type.
BOTH_CALLS = [
    ("GET_HEALTH", None, 200, "type get_health"),
    ("GET_FLAGS", None, 200, "type get_flags"),
    ("GET_VERSION", None, 200, "type get_version"),
    ("GET_LOGGING_LEVEL", None, 200, "type get_logging_level"),
    ("GET_METRICS", {}, 200, "type get_metrics"),
    ("GET_METRICS", {"timeout": {"nanoseconds": 1000000}}, 200, "type get_metrics"),
    ("GET_METRICS", None, 400, Has("Expecting 'get_metrics' to be present")),
    ("SET_LOGGING_LEVEL", None, 400, Has("Expecting 'set_logging_level' to be present")),
    ("SET_LOGGING_LEVEL", {"level": 1, "duration": {"nanoseconds": 1000000}}, 200, NOTHING),
    ("LIST_FILES", None, 400, Has("Expecting 'list_files' to be present")),
    ("LIST_FILES", {"path": "/nope"}, 404, Has("/nope")),
    ("READ_FILE", None, 400, Has("Expecting 'read_file' to be present")),
    ("READ_FILE", {"path": "/nope", "offset": 0}, 404, Has("/nope")),
    ("GET_STATE", None, 200, "type get_state"),
    ("GET_FRAMEWORKS", None, 200, "type get_frameworks"),
    ("GET_EXECUTORS", None, 200, "type get_executors"),
    ("GET_TASKS", None, 200, "type get_tasks"),
    ("GET_OPERATIONS", None, 200, "type get_operations"),
    ("UNKNOWN", None, 501, Has("UNKNOWN")),
    ("NO_SUCH_CALL", None, 400, Has("Expecting 'type' to be present")),
]
MASTER_CALLS = [
    ("GET_AGENTS", None, 200, "type get_agents"),
    ("GET_MASTER", None, 200, "type get_master"),
    ("GET_ROLES", None, 200, "type get_roles"),
    ("GET_WEIGHTS", None, 200, "type"),
    ("GET_QUOTA", None, 200, "type get_quota"),
    ("GET_MAINTENANCE_SCHEDULE", None, 200, "type get_maintenance_schedule"),
    ("GET_MAINTENANCE_STATUS", None, 200, "type get_maintenance_status"),
    ("READ_LOG", {}, 404, Has("--log_dir")),
    ("TEARDOWN", {"framework_id": ID}, 400, Has("No framework found with specified ID")),
    ("MARK_AGENT_GONE", {"agent_id": ID}, 404, Has("")),
    ("DRAIN_AGENT", {"agent_id": ID}, 400, Has("")),
    ("DEACTIVATE_AGENT", {"agent_id": ID}, 400, Has("")),
    ("REACTIVATE_AGENT", {"agent_id": ID}, 400, Has("")),
    ("RESERVE_RESOURCES", {"agent_id": ID, "resources": []}, 400, Has("No agent found with specified ID")),
    ("UNRESERVE_RESOURCES", {"agent_id": ID, "resources": []}, 400, Has("No agent found with specified ID")),
    ("CREATE_VOLUMES", {"agent_id": ID, "volumes": []}, 400, Has("No agent found with specified ID")),
    ("DESTROY_VOLUMES", {"agent_id": ID, "volumes": []}, 400, Has("No agent found with specified ID")),
    ("REMOVE_QUOTA", {"role": "nope"}, 400, Has("nope")),
    ("UPDATE_WEIGHTS", {"weight_infos": [{"role": "a", "weight": -1.0}]}, 400, Has("Weights must be positive")),
] + [(name, None, 400, Has("Expecting '%s' to be present" % name.lower())) for name in
     "UPDATE_WEIGHTS RESERVE_RESOURCES UNRESERVE_RESOURCES CREATE_VOLUMES DESTROY_VOLUMES GROW_VOLUME SHRINK_VOLUME UPDATE_QUOTA SET_QUOTA REMOVE_QUOTA "
     "UPDATE_MAINTENANCE_SCHEDULE START_MAINTENANCE STOP_MAINTENANCE DRAIN_AGENT DEACTIVATE_AGENT REACTIVATE_AGENT MARK_AGENT_GONE TEARDOWN".split()]
AGENT_CALLS = [
    ("GET_AGENT", None, 200, "type get_agent"),
    ("GET_CONTAINERS", None, 200, "type get_containers"),
    ("GET_CONTAINERS", {"show_nested": True, "show_standalone": True}, 200, "type get_containers"),
    ("GET_RESOURCE_PROVIDERS", None, 200, "type get_resource_providers"),
    ("PRUNE_IMAGES", {}, 200, NOTHING),
    ("WAIT_CONTAINER", {"container_id": ID}, 404, Has("nope")),
    ("KILL_CONTAINER", {"container_id": ID}, 404, Has("nope")),
    ("READ_LOG", None, 400, Has("Expecting 'read_log' to be present")),
    ("READ_LOG", {"source": "CONTAINER"}, 400, Has("read_log.container_id")),
    ("READ_LOG", {"source": "CONTAINER", "container_id": ID}, 404, Has("Container nope cannot be found")),
    ("READ_LOG", {"source": "AGENT"}, 404, Has("--log_dir")),
    ("ADD_RESOURCE_PROVIDER_CONFIG", None, 400, Has("Expecting 'add_resource_provider_config' to be present")),
    ("ADD_RESOURCE_PROVIDER_CONFIG", {"info": dict(PROVIDER, id=ID)}, 400, Has("Expecting 'add_resource_provider_config.info.id' to be unset")),
    ("ADD_RESOURCE_PROVIDER_CONFIG", {"info": PROVIDER}, 400, Has("Unknown local resource provider type")),
    ("UPDATE_RESOURCE_PROVIDER_CONFIG", {"info": dict(PROVIDER, id=ID)}, 400, Has("Expecting 'update_resource_provider_config.info.id' to be unset")),
    ("UPDATE_RESOURCE_PROVIDER_CONFIG", {"info": PROVIDER}, 400, Has("Unknown local resource provider type")),
    ("REMOVE_RESOURCE_PROVIDER_CONFIG", {"type": "t", "name": "n"}, 500, Has("--resource_provider_config_dir")),
    ("MARK_RESOURCE_PROVIDER_GONE", {"resource_provider_id": ID}, 500, Has("Could not mark resource provider 'nope' as gone")),
]


def check(a, status, content_type, holds, what):
    assert a.status == status, (what, a)
    if content_type is not None:
        assert a.headers.get("content-type") == content_type, (what, a)
    if isinstance(holds, Has):
        assert holds in a.text and a.body, (what, a)
    elif isinstance(holds, list):
        assert isinstance(a.json(), list), (what, a)
    elif content_type == JSON:
        missing = set(holds.split()) - set(a.json())
        assert not missing, (what, missing)
    else:
        assert a.body == b"" and "content-type" not in a.headers, (what, a)


def rows(*lists):
    """Each with a name that a failure shows."""
    return [pytest.param(*row, id="%s %s" % (row[0], row[1])) for one in lists for row in one]


@pytest.mark.parametrize("method,path,body,status,content_type,holds", rows(BOTH))
def test_both(cluster, method, path, body, status, content_type, holds):
    for d in (cluster.master, cluster.agent):
        check(request(d.address, method, path, body=body), status, content_type, holds, (d.name, method, path))


@pytest.mark.parametrize("method,path,body,status,content_type,holds", rows(MASTER))
def test_master(cluster, method, path, body, status, content_type, holds):
    headers = {"Content-Type": FORM} if body and not body[0] in "[{" else {}
    check(request(cluster.master.address, method, path, headers, body), status, content_type, holds, (method, path))


@pytest.mark.parametrize("method,path,body,status,content_type,holds", rows(AGENT))
def test_agent(cluster, method, path, body, status, content_type, holds):
    check(request(cluster.agent.address, method, path, body=body), status, content_type, holds, (method, path))


def call(address, name, part, status, holds):
    message = {"type": name}
    if part is not None:
        message[name.lower()] = part
    a = post_json(address, "/api/v1", message)
    check(a, status, TEXT if isinstance(holds, Has) else JSON if holds else None, holds, message)
    # The same in the other encoding; its body is the business of the tests that read messages.
    other = post_json(address, "/api/v1", message, {"Accept": PROTOBUF})
    assert other.status == a.status, message
    if status == 200 and holds:
        assert other.headers["content-type"] == PROTOBUF, message


@pytest.mark.parametrize("name,part,status,holds", BOTH_CALLS)
def test_calls_of_both(cluster, name, part, status, holds):
    for d in (cluster.master, cluster.agent):
        call(d.address, name, part, status, holds)


@pytest.mark.parametrize("name,part,status,holds", MASTER_CALLS)
def test_calls_of_master(cluster, name, part, status, holds):
    call(cluster.master.address, name, part, status, holds)


@pytest.mark.parametrize("name,part,status,holds", AGENT_CALLS)
def test_calls_of_agent(cluster, name, part, status, holds):
    call(cluster.agent.address, name, part, status, holds)


def test_one_agent(cluster):
    """By ?slave_id= as well as by the id behind the path, in any method, as clients ask."""
    own = cluster.agent_id()
    for method, path in [("GET", "/slaves?slave_id=" + own), ("POST", "/slaves/" + own), ("GET", "/master/slaves/%s/" % own)]:
        assert [a["id"] for a in request(cluster.master.address, method, path).json()["slaves"]] == [own], path
    assert request(cluster.master.address, "POST", "/slaves/nope").json() == {"slaves": [], "recovered_slaves": []}


JSONP = {"master": "/state /state-summary /slaves /frameworks /tasks /roles /weights /quota /flags /maintenance/schedule /maintenance/status "
                   "/registrar(1)/registry /allocator/offer_constraints_debug",
         "agent": "/state /containers /monitor/statistics /containerizer/debug /flags",
         "both": "/version /metrics/snapshot /files/debug /system/stats.json /help?format=json /__processes__ /memory-profiler/state"}


def test_jsonp(cluster):
    for d, paths in [(cluster.master, JSONP["master"] + " " + JSONP["both"]), (cluster.agent, JSONP["agent"] + " " + JSONP["both"])]:
        for path in paths.split():
            mark = "&" if "?" in path else "?"
            a = get(d.address, path + mark + "jsonp=a.b")
            assert a.status == 200 and a.headers["content-type"] == "text/javascript", (path, a)
            assert a.text.startswith("a.b(") and a.text.endswith(");"), (path, a)
            json.loads(a.text[4:-2])
            assert get(d.address, path + mark + "jsonp=alert(1)").status == 400, path


def test_gzip_and_heads(cluster):
    """Answers of a kilobyte and more are compressed for those who take it, alike in content; HEAD has the head alone."""
    for d, paths in [(cluster.master, "/state /slaves /flags /metrics/snapshot /help?format=json"),
                     (cluster.agent, "/state /flags /metrics/snapshot /help?format=json")]:
        for path in paths.split():
            packed = get(d.address, path, **{"Accept-Encoding": "gzip"})
            assert packed.headers.get("content-encoding") == "gzip", (path, packed.headers)
            assert json.loads(gzip.decompress(packed.body)).keys() == get_json(d.address, path).keys()
            for refused in ("identity", "gzip;q=0"):
                assert "content-encoding" not in get(d.address, path, **{"Accept-Encoding": refused}).headers, path
            head = request(d.address, "HEAD", path)
            assert head.status == 200 and int(head.headers["content-length"]) > 1024, (path, head)
        assert "content-encoding" not in get(d.address, "/version", **{"Accept-Encoding": "gzip"}).headers


def test_tasks_filters(cluster, scheduler):
    """limit, offset, order, framework_id, task_id, by GET and POST, with and without a slash behind."""
    ids = [scheduler.run("sleep 1000")[0] for _ in range(3)]

    def names(query, method="GET", path="/tasks"):
        a = request(cluster.master.address, method, path + "?framework_id=%s&%s" % (scheduler.id, query))
        return [t["id"] for t in a.json()["tasks"]]
    down = names("")
    assert down == ids[::-1]
    assert names("order=asc") == ids and names("order=des") == down
    assert names("limit=1") == down[:1] and names("limit=1&offset=1&order=asc") == ids[1:2]
    assert names("limit=0") == [] and names("offset=3") == [] and names("limit=x&offset=y") == down
    assert names("task_id=" + ids[1]) == [ids[1]] and names("task_id=nope") == []
    assert names("task_id=" + ids[1], "POST", "/tasks/") == [ids[1]]
    assert request(cluster.master.address, "POST", "/master/tasks.json?framework_id=nope").json() == {"tasks": []}


def test_read_log(strict):
    """READ_LOG of clusterd: the logs of the daemons, and what a container wrote, a part at a time."""
    def read(d, **part):
        a = post_json(d.address, "/api/v1", {"type": "READ_LOG", "read_log": part})
        assert a.status == 200 and a.json()["type"] == "READ_LOG", a
        return a.json()["read_log"]
    for d, pick in [(strict.master, lambda r: r), (strict.agent, lambda r: r["stdout"])]:
        offset = "offset" if d is strict.master else "stdout_offset"
        source = {} if d is strict.master else {"source": "AGENT"}
        with open(os.path.join(strict.logs_folder, "fairlead-%s.log" % ("master" if d is strict.master else "agent")), "rb") as f:
            begin = f.read(100)
        whole = pick(read(d, **source))
        assert int(whole["size"]) > 100 and base64.b64decode(whole["data"]).startswith(begin)
        part = pick(read(d, **dict(source, length=10, **{offset: 20})))
        assert base64.b64decode(part["data"]) == begin[20:30] and int(part["size"]) >= int(whole["size"])
    with Scheduler(strict.master.address) as s:
        _, status = s.run("echo out; echo error >&2; sleep 1000")
        container = status["container_status"]["container_id"]

        def written():
            r = read(strict.agent, source="CONTAINER", container_id=container)
            return {k: base64.b64decode(v["data"]).decode() for k, v in r.items()}
        eventually(lambda: "out\n" in written()["stdout"] and "error\n" in written()["stderr"])
        size = int(read(strict.agent, source="CONTAINER", container_id=container)["stderr"]["size"])
        rest = read(strict.agent, source="CONTAINER", container_id=container, stdout_offset=10 ** 9, stderr_offset=size - 3)
        assert rest["stdout"]["data"] == "" and base64.b64decode(rest["stderr"]["data"]) == b"or\n"


# ---- documents ----

def is_there(address, path):
    """Whether a route takes the path; what it answers may be a stream."""
    with Connection(address) as c:
        c.send(request_bytes("GET", urllib.parse.quote(path)))
        a = c.head()
        return a.status != 404 or b"There is nothing at" not in c.exactly(int(a.headers["content-length"]))


def test_help(cluster):
    """Everything that /help names is there, in JSON, as text, as a page; and nothing that it does not name is in the document."""
    with open(os.path.join(ROOT, "docs", "http-api.md")) as f:
        document = f.read()
    for d, own in [(cluster.master, "master"), (cluster.agent, "slave(1)")]:
        processes = get_json(d.address, "/help?format=json")["processes"]
        assert own in [p["id"] for p in processes] and {"files", "metrics", "version", "logging"} <= {p["id"] for p in processes}
        assert [p["id"] for p in get_json(d.address, "/__processes__")] == [p["id"] for p in processes]
        plain = get(d.address, "/help", **{"User-Agent": "curl/7.88.1"})
        assert plain.headers["content-type"] == MARKDOWN and plain.text.startswith("## HELP\n")
        for p in processes:
            assert "/help/%s)" % p["id"] in plain.text
            listed = get(d.address, "/help/" + p["id"], **{"User-Agent": "HTTPie/3.2"}).text
            for e in p["endpoints"]:
                path = "/%s%s" % (p["id"], e["name"].rstrip("/"))
                assert path in listed, path
                if e["name"].strip("/"):  # else the name is that of the list
                    assert get(d.address, "/help" + path, **{"User-Agent": "curl"}).text == e["text"]
                    page = get(d.address, "/help" + path, **{"User-Agent": "Mozilla/5.0"})
                    assert page.headers["content-type"] == "text/html" and "<pre>### USAGE ###" in page.text
                assert "### TL;DR; ###" in e["text"] and "### AUTHENTICATION ###" in e["text"]
                assert "`%s`" % (e["name"] if p["id"] == own else path) in document, path
                assert is_there(d.address, path), path


# ---- what flags switch on and off ----

@pytest.fixture(scope="module")
def strict():
    """Endpoints switched off, an origin let in, access rules that allow everything, and two subscribers at most."""
    rules = {"firewall_rules": json.dumps({"disabled_endpoints": {"paths": ["/files/browse", "/help", "/logging/toggle"]}}),
             "http_cors_origins": "https://page.example,http://other.example:8080", "acls": json.dumps({"permissive": True})}
    logs = tempfile.mkdtemp(prefix="fairlead-logs-")
    try:
        with Cluster(1, dict(rules, max_operator_event_stream_subscribers=2, log_dir=logs), dict(rules, log_dir=logs)) as c:
            c.logs_folder = logs
            yield c
    finally:
        shutil.rmtree(logs)


def test_firewall(strict):
    for d, own in [(strict.master, "master"), (strict.agent, "slave(1)")]:
        for path in ["/files/browse", "/files/browse?path=/x", "/files/browse/", "/help", "/help/" + own, "/logging/toggle?level=1&duration=1secs"]:
            a = get(d.address, path)
            assert a.status == 403 and "is disabled" in a.text, (path, a)
        assert get(d.address, "/files/debug").status == 200 and get(d.address, "/health").status == 200


def test_only_get_with_rules(strict):
    """With access rules the endpoints that are authorised as a whole take GET only."""
    for d, paths in [(strict.master, ["/flags"]), (strict.agent, ["/flags", "/containers", "/containerizer/debug", "/monitor/statistics"])]:
        for path in paths:
            check(request(d.address, "POST", path), 405, TEXT, Has("{ 'GET' }, but received 'POST'"), path)
            assert get(d.address, path).status == 200 and request(d.address, "HEAD", path).status == 200
    assert request(strict.master.address, "POST", "/state").status == 200


def test_origins(strict, cluster):
    for d in (strict.master, strict.agent):
        for origin in ("https://page.example", "http://other.example:8080"):
            a = get(d.address, "/version", Origin=origin)
            assert a.headers["access-control-allow-origin"] == origin and a.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in a.headers
            # A refusal is read, too, and a question is answered without credentials.
            assert get(d.address, "/nothing", Origin=origin).headers["access-control-allow-origin"] == origin
            asked = request(d.address, "OPTIONS", "/api/v1", {"Origin": origin, "Access-Control-Request-Method": "POST"})
            assert asked.status == 204 and "POST" in asked.headers["access-control-allow-methods"]
            assert "Authorization" in asked.headers["access-control-allow-headers"]
        for origin in ("https://evil.example", "http://page.example", "https://page.example.evil", "null"):
            a = get(d.address, "/version", Origin=origin)
            assert a.status == 200 and "access-control-allow-origin" not in a.headers
            asked = request(d.address, "OPTIONS", "/api/v1", {"Origin": origin, "Access-Control-Request-Method": "POST"})
            assert asked.status == 405 and "access-control-allow-origin" not in asked.headers
    off = get(cluster.master.address, "/version", Origin="https://page.example")
    assert "access-control-allow-origin" not in off.headers and "vary" not in off.headers


def test_oldest_subscriber_is_closed(strict):
    def subscribe():
        s = Stream(strict.master.address, "/api/v1", json.dumps({"type": "SUBSCRIBE"}), {"Content-Type": JSON, "Accept": JSON})
        assert s.answer.status == 200 and json.loads(s.record())["type"] == "SUBSCRIBED"
        return s
    streams = [subscribe() for _ in range(3)]
    try:
        while streams[0].record() is not None:
            pass
        for s in streams[1:]:
            assert json.loads(s.record())["type"] == "HEARTBEAT"
    finally:
        for s in streams:
            s.close()
