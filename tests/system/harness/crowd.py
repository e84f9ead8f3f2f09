"""100,000 tasks that run on emulated agents, for who looks at them in a browser: the test of the large table, and `make bench-ui`."""
import os
import sys

from .cluster import ROOT, free_network
from .http import get_json

sys.path.insert(0, os.path.join(ROOT, "tests", "bench", "scale"))

from world import World, figure, say  # noqa: E402,F401

AGENTS = int(os.environ.get("UI_AGENTS", "1000"))
TASKS = int(os.environ.get("UI_TASKS", "100000"))
HOSTS = """
cluster: crowd
agent_flags: {registration_backoff_factor: 100ms}
tasks: {start_delay: uniform 1ms 20ms, duration: forever, kill_delay: 10ms}
groups:
  - name: host
    count: %d
    placement: [{region: r, zone: a}, {region: r, zone: b}]
    attributes: {rack: r1}
    resources: {cpus: 64, mem: 65536, disk: 1000000}
""" % AGENTS
FILL = HOSTS + """
workload:
  - {name: services, frameworks: 10, jobs: %d, tasks: 1000, per_offer: 40, checkpoint: false, resources: {cpus: 0.1, mem: 32}}
""" % (TASKS // 1000)


class Crowd(World):
    """Ready when all tasks run."""

    def __enter__(self):
        try:
            hosts, fill = self.write("hosts", HOSTS), self.write("fill", FILL)
            self.start_master(hosts)
            self.start_emulator(hosts, first_address=free_network())
            self.wait_agents(AGENTS)
            self.load(fill, "fill", then="hold", quiet=True)
            self.wait(lambda: self.metrics()["master/tasks_running"] >= TASKS, 180, "%d tasks run" % TASKS, every=0.2)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def write(self, name, text):
        path = os.path.join(self.folder, name + ".yaml")
        with open(path, "w") as f:
            f.write(text)
        return path

    def busy_host(self):
        """An agent that tasks run on: they are not spread evenly."""
        return next(a["hostname"] for a in get_json(self.address, "/state-summary")["slaves"] if a["TASK_RUNNING"])

    def running_at(self, hostname):
        """How many tasks run at that agent, as /state-summary has it."""
        return next(a["TASK_RUNNING"] for a in get_json(self.address, "/state-summary")["slaves"] if a["hostname"] == hostname)
