"""An operator on the package pymesos as published: follows the master's events, and makes its calls of master and agent.
Usage: pymesos_operator.py watch MASTER | calls MASTER AGENT AGENT_ID HOSTNAME IP"""
import logging
import sys

from pymesos import MesosOperatorAgentDriver, MesosOperatorMasterDriver, OperatorMaster
from see import leave, see

logging.basicConfig(level=logging.INFO, stream=sys.stderr)


class Watcher(OperatorMaster):
    def taskAdded(self, task):
        see("task added", task=task["task_id"]["value"], name=task["name"], state=task["state"])

    def taskUpdated(self, event):
        see("task updated", task=event["status"]["task_id"]["value"], state=event["state"], framework=event["framework_id"]["value"])

    def frameworkAdded(self, framework):
        see("framework added", name=framework["framework_info"]["name"], active=framework["active"])

    def frameworkUpdated(self, framework):
        see("framework updated", name=framework["framework_info"]["name"])

    def frameworkRemoved(self, framework):
        see("framework removed", name=framework["name"])

    def agentAdded(self, agent):
        see("agent added", hostname=agent["agent_info"]["hostname"])

    def agentRemoved(self, agent_id):
        see("agent removed", agent=agent_id)


class Subscribed(logging.Handler):
    """The package tells of its first event in its log alone."""

    def emit(self, record):
        if record.getMessage().startswith("Operator client subscribed"):
            see("subscribed")


def watch(master):
    logging.getLogger("pymesos.operator_v1").addHandler(Subscribed())
    MesosOperatorMasterDriver(master, Watcher()).run()


def daemon(client, who):
    """The calls that masters and agents both have."""
    see("health", who=who, answer=client.getHealth())
    see("version", who=who, answer=client.getVersion())
    see("flags", who=who, answer=client.getFlags())
    see("metrics", who=who, answer=client.getMetrics(1000000000))
    client.setLoggingLevel(1, 60000000000)
    see("logging", who=who, answer=client.getLoggingLevel())
    see("state", who=who, answer=client.getState())
    see("frameworks", who=who, answer=client.getFrameworks())
    see("executors", who=who, answer=client.getExecutors())
    see("tasks", who=who, answer=client.getTasks())


def role_calls(client):
    client.updateWeights([{"role": "heavy", "weight": 3.5}])
    see("weights", answer=client.getWeights())
    see("roles", answer=client.getRoles())
    client.setQuota({"role": "heavy", "force": True, "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]})
    see("quota", answer=client.getQuota())
    client.removeQuota("heavy")
    see("quota removed", answer=client.getQuota())


def reservation_calls(client, agent_id):
    reserved = {"name": "disk", "type": "SCALAR", "scalar": {"value": 64}, "reservations": [{"type": "DYNAMIC", "role": "heavy"}]}
    volume = dict(reserved, disk={"persistence": {"id": "pymesos"}, "volume": {"container_path": "data", "mode": "RW"}})
    client.reserveResources(agent_id, [reserved])
    see("reserved", answer=client.getAgents())
    client.createVolumes(agent_id, [volume])
    see("created", answer=client.getAgents())
    client.destroyVolumes(agent_id, [volume])
    client.unreserveResources(agent_id, [reserved])
    see("unreserved", answer=client.getAgents())


def maintenance_calls(client, machine):
    window = {"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": 1 << 60}, "duration": {"nanoseconds": 3600 * 10 ** 9}}}
    client.updateMaintenanceSchedule([window])
    see("schedule", answer=client.getMaintenanceSchedule())
    see("maintenance", answer=client.getMaintenanceStatus())
    client.startMaintenance([machine])
    see("down", answer=client.getMaintenanceStatus())
    client.stopMaintenance([machine])
    see("up", answer=client.getMaintenanceStatus())
    client.updateMaintenanceSchedule([])


def calls(master, agent, agent_id, hostname, ip):
    client = MesosOperatorMasterDriver(master)
    daemon(client, "master")
    see("master", answer=client.getMaster())
    see("agents", answer=client.getAgents())
    role_calls(client)
    reservation_calls(client, agent_id)
    on_agent = MesosOperatorAgentDriver(agent)
    daemon(on_agent, "agent")
    see("containers", answer=on_agent.getContainers())
    maintenance_calls(client, {"hostname": hostname, "ip": ip})  # last: the agent is down after it


if sys.argv[1] == "watch":
    watch(sys.argv[2])
else:
    calls(*sys.argv[2:])
leave()
