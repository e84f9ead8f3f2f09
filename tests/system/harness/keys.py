"""Which keys each JSON object of the older endpoints has, and of what type: tables written from the protocol's description and not from our
answers. A key that is not in its table is a fault as much as one that is missing.

NUMBER, TEXT, FLAG are types; ANY is not looked into; {"key": ...} is an object, where "key?" may be missing; [x] is a list of x, Map(x) an
object with names that nobody fixed; Proto(name) is a message of the protocol in the older spelling."""

NUMBER, TEXT, FLAG, ANY = "a number", "a text", "true or false", "anything"


class Map:
    def __init__(self, of):
        self.of = of


class Proto:
    def __init__(self, name):
        self.name = name


TYPES = {NUMBER: lambda v: isinstance(v, (int, float)) and not isinstance(v, bool), TEXT: lambda v: isinstance(v, str),
         FLAG: lambda v: isinstance(v, bool), ANY: lambda v: True}


class Keys:
    """Compares, and remembers which keys of which tables were met, so that a test can say that it saw all of them. `proto` takes a message's
    name and a value, and gives what is wrong with it."""

    def __init__(self, proto):
        self.proto = proto
        self.met = set()

    def faults(self, value, table, path=""):
        if isinstance(table, str):
            return [] if TYPES[table](value) else ["%s: %r is not %s" % (path, value, table)]
        if isinstance(table, Proto):
            return ["%s: %s" % (path, f) for f in self.proto(table.name, value)]
        if isinstance(table, list):
            if not isinstance(value, list):
                return ["%s: %r is no list" % (path, value)]
            return [f for i, v in enumerate(value) for f in self.faults(v, table[0], "%s[%d]" % (path, i))]
        if not isinstance(value, dict):
            return ["%s: %r is no object" % (path, value)]
        if isinstance(table, Map):
            return [f for k, v in value.items() for f in self.faults(v, table.of, "%s{%s}" % (path, k))]
        return self.object_faults(value, table, path)

    def object_faults(self, value, table, path):
        found = ["%s: the key '%s' is missing" % (path, k) for k in table if not k.endswith("?") and k not in value]
        for k, v in value.items():
            name = k if k in table else k + "?"
            if name not in table:
                found.append("%s: nobody knows the key '%s' (%r)" % (path, k, v))
                continue
            self.met.add((id(table), name))
            found += self.faults(v, table[name], "%s.%s" % (path, k))
        return found

    def unmet(self, table, path="", seen=None):
        """The optional keys below a table that no value had."""
        seen = set() if seen is None else seen
        if isinstance(table, list):
            return self.unmet(table[0], path + "[]", seen)
        if isinstance(table, Map):
            return self.unmet(table.of, path + "{}", seen)
        if not isinstance(table, dict) or id(table) in seen:
            return []
        seen.add(id(table))
        found = [path + "." + k for k in table if k.endswith("?") and (id(table), k) not in self.met]
        return found + [f for k, t in table.items() for f in self.unmet(t, "%s.%s" % (path, k.rstrip("?")), seen)]


# ---- pieces ----

RESOURCES = {"cpus": NUMBER, "gpus": NUMBER, "mem": NUMBER, "disk": NUMBER, "ports?": TEXT, "cpus_revocable?": NUMBER}
# Sums of a role: only what there is.
QUANTITIES = Map(NUMBER)
FULL = [Proto("Resource")]
LABELS = [{"key": TEXT, "value?": TEXT}]
DOMAIN = Proto("DomainInfo")
BUILD = {"version": TEXT, "build_date": TEXT, "build_time": NUMBER, "build_user": TEXT, "git_sha?": TEXT, "git_branch?": TEXT, "git_tag?": TEXT}
FLAGS = Map(TEXT)

CONTAINER_STATUS = {"container_id": Proto("ContainerID"), "network_infos": [{"ip_addresses": [{"protocol": TEXT, "ip_address": TEXT}]}],
                    "cgroup_info?": ANY}
STATUS = {"state": TEXT, "timestamp": NUMBER, "labels?": LABELS, "container_status?": CONTAINER_STATUS, "healthy?": FLAG}
TASK = {"id": TEXT, "name": TEXT, "framework_id": TEXT, "executor_id": TEXT, "slave_id": TEXT, "state": TEXT, "resources": RESOURCES,
        "limits?": Map(NUMBER), "role": TEXT, "user?": TEXT, "statuses": [STATUS], "labels?": LABELS, "discovery?": Proto("DiscoveryInfo"),
        "container?": Proto("ContainerInfo"), "health_check?": Proto("HealthCheck")}
COMMAND = {"shell?": FLAG, "value?": TEXT, "argv": [TEXT], "environment?": Proto("Environment"),
           "uris": [{"value": TEXT, "executable": FLAG}]}
EXECUTOR = {"executor_id": TEXT, "name": TEXT, "framework_id": TEXT, "command": COMMAND, "resources": RESOURCES, "role?": TEXT, "labels?": LABELS,
            "type?": TEXT, "slave_id": TEXT}
OFFER = {"id": TEXT, "framework_id": TEXT, "allocation_info": {"role": TEXT}, "slave_id": TEXT, "resources": RESOURCES}
DRAIN_INFO = {"state": TEXT, "config": {"max_grace_period?": {"nanoseconds": NUMBER}, "mark_gone?": FLAG}}

# ---- the master ----

SLAVE_INFO = {"id": TEXT, "hostname": TEXT, "port": NUMBER, "attributes": Map(ANY), "domain?": DOMAIN}
SLAVE = dict(SLAVE_INFO, **{
    "pid": TEXT, "registered_time": NUMBER, "reregistered_time?": NUMBER, "resources": RESOURCES, "used_resources": RESOURCES,
    "offered_resources": RESOURCES, "reserved_resources": Map(RESOURCES), "unreserved_resources": RESOURCES, "active": FLAG, "deactivated": FLAG,
    "version": TEXT, "capabilities": [TEXT], "drain_info?": DRAIN_INFO, "estimated_drain_start_time_seconds?": NUMBER})
SLAVE_FULL = dict(SLAVE, reserved_resources_full=Map(FULL), unreserved_resources_full=FULL, used_resources_full=FULL, offered_resources_full=FULL)
COUNTS = {"TASK_" + s: NUMBER for s in ("STAGING", "STARTING", "RUNNING", "KILLING", "FINISHED", "KILLED", "FAILED", "LOST", "ERROR",
                                        "UNREACHABLE")}
FRAMEWORK_SUMMARY = {"id": TEXT, "name": TEXT, "pid?": TEXT, "used_resources": RESOURCES, "offered_resources": RESOURCES, "capabilities": [TEXT],
                     "hostname": TEXT, "webui_url": TEXT, "active": FLAG, "connected": FLAG, "recovered": FLAG}
FRAMEWORK = dict(FRAMEWORK_SUMMARY, **{
    "user": TEXT, "failover_timeout": NUMBER, "checkpoint": FLAG, "registered_time": NUMBER, "unregistered_time": NUMBER,
    "reregistered_time?": NUMBER, "principal?": TEXT, "resources": RESOURCES, "role?": TEXT, "roles?": [TEXT], "tasks": [TASK],
    "unreachable_tasks": [TASK], "completed_tasks": [TASK], "offers": [OFFER], "executors": [EXECUTOR], "labels?": LABELS,
    "offer_constraints": ANY})
FRAMEWORKS = {"frameworks": [FRAMEWORK], "completed_frameworks": [FRAMEWORK], "unregistered_frameworks": [ANY]}
LEADER = {"id": TEXT, "pid": TEXT, "port": NUMBER, "hostname": TEXT, "domain?": DOMAIN}
QUOTA_CONFIG = {"role": TEXT, "guarantees?": Map({"value": NUMBER}), "limits?": Map({"value": NUMBER})}
MACHINE = {"hostname?": TEXT, "ip?": TEXT}
UNAVAILABILITY = {"start": {"nanoseconds": NUMBER}, "duration?": {"nanoseconds": NUMBER}}

MASTER = {
    "/state": dict(BUILD, **FRAMEWORKS, **{
        "start_time": NUMBER, "elected_time": NUMBER, "id": TEXT, "pid": TEXT, "hostname": TEXT, "capabilities": [TEXT], "activated_slaves": NUMBER,
        "deactivated_slaves": NUMBER, "unreachable_slaves": NUMBER, "domain?": DOMAIN, "leader": TEXT, "leader_info": LEADER, "cluster?": TEXT,
        "log_dir?": TEXT, "external_log_file?": TEXT, "flags": FLAGS, "slaves": [SLAVE], "recovered_slaves": [SLAVE_INFO], "orphan_tasks": [ANY]}),
    "/state-summary": {
        "hostname": TEXT, "cluster?": TEXT, "slaves": [dict(SLAVE, framework_ids=[TEXT], **COUNTS)],
        "frameworks": [dict(FRAMEWORK_SUMMARY, slave_ids=[TEXT], **COUNTS)]},
    "/slaves": {"slaves": [SLAVE_FULL], "recovered_slaves": [SLAVE_INFO]},
    "/frameworks": FRAMEWORKS,
    "/tasks": {"tasks": [TASK]},
    "/roles": {"roles": [{
        "name": TEXT, "weight": NUMBER, "resources": QUANTITIES, "allocated": QUANTITIES, "offered": QUANTITIES, "reserved": QUANTITIES,
        "frameworks": [TEXT],
        "quota": {"role": TEXT, "guarantee": QUANTITIES, "limit": QUANTITIES, "consumed": QUANTITIES}}]},
    "/quota": {"infos?": [{"role": TEXT, "principal?": TEXT, "guarantee?": FULL}], "configs?": [QUOTA_CONFIG]},
    "/weights": [{"role": TEXT, "weight": NUMBER}],
    "/maintenance/schedule": {"windows?": [{"machine_ids": [MACHINE], "unavailability": UNAVAILABILITY}]},
    "/maintenance/status": {"draining_machines?": [{"id": MACHINE, "statuses?": [ANY]}], "down_machines?": [MACHINE]},
    "/flags": {"flags": FLAGS},
    "/version": BUILD,
    "/system/stats.json": {"avg_load_1min": NUMBER, "avg_load_5min": NUMBER, "avg_load_15min": NUMBER, "cpus_total": NUMBER,
                           "mem_total_bytes": NUMBER, "mem_free_bytes": NUMBER},
    "/metrics/snapshot": Map(NUMBER),
    "/files/debug": Map(TEXT),
}

# ---- the agent ----

QUEUED_TASK = {"id": TEXT, "name": TEXT, "slave_id": TEXT, "resources": RESOURCES, "role": TEXT, "command?": COMMAND, "executor_id?": TEXT,
               "discovery?": Proto("DiscoveryInfo")}
AGENT_EXECUTOR = {"id": TEXT, "name": TEXT, "source": TEXT, "container": TEXT, "directory": TEXT, "resources": RESOURCES, "role?": TEXT,
                  "labels?": LABELS, "type?": TEXT, "tasks": [TASK], "queued_tasks": [QUEUED_TASK], "completed_tasks": [TASK]}
AGENT_FRAMEWORK = {"id": TEXT, "name": TEXT, "user": TEXT, "failover_timeout": NUMBER, "checkpoint": FLAG, "hostname": TEXT, "principal?": TEXT,
                   "role?": TEXT, "roles?": [TEXT], "executors": [AGENT_EXECUTOR], "completed_executors": [AGENT_EXECUTOR]}
USAGE = {"framework_id": TEXT, "executor_id": TEXT, "executor_name": TEXT, "source": TEXT, "statistics": Proto("ResourceStatistics")}

AGENT = {
    "/state": dict(BUILD, **{
        "start_time": NUMBER, "id": TEXT, "pid": TEXT, "hostname": TEXT, "capabilities": [TEXT], "domain?": DOMAIN,
        "drain_config?": DRAIN_INFO["config"], "estimated_drain_start_time_seconds?": NUMBER, "resources": RESOURCES,
        "reserved_resources": Map(RESOURCES), "unreserved_resources": RESOURCES, "reserved_resources_full": Map(FULL),
        "unreserved_resources_full": FULL, "reserved_resources_allocated": Map(RESOURCES), "unreserved_resources_allocated": RESOURCES,
        "resource_providers": [ANY], "attributes": Map(ANY), "master_hostname": TEXT, "log_dir?": TEXT, "external_log_file?": TEXT,
        "flags": FLAGS, "frameworks": [AGENT_FRAMEWORK], "completed_frameworks": [AGENT_FRAMEWORK]}),
    "/monitor/statistics": [USAGE],
    "/containers": [dict(USAGE, container_id=TEXT, status=Proto("ContainerStatus"))],
    "/containerizer/debug": {"pending": [{"operation": TEXT, "args": Map(TEXT)}]},
    "/flags": {"flags": FLAGS},
    "/version": BUILD,
    "/system/stats.json": MASTER["/system/stats.json"],
    "/metrics/snapshot": Map(NUMBER),
    "/files/debug": Map(TEXT),
}
FILE = {"path": TEXT, "nlink": NUMBER, "size": NUMBER, "mtime": NUMBER, "mode": TEXT, "uid": TEXT, "gid": TEXT}
FILES = {"/files/browse": [FILE], "/files/read": {"data": TEXT, "offset": NUMBER}}
