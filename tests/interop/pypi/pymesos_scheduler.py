"""A framework on the package pymesos as published, with pymesos_executor.py as its executor: two tasks, messages both ways, explicit
reconciliation, a kill, and the teardown that its driver does when it stops. What follows what is decided by events alone.
Usage: pymesos_scheduler.py MASTER USER EXECUTOR_COMMAND"""
import logging
import sys

from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data
from see import leave, resources, see

master, user, command = sys.argv[1:]
EXECUTOR = "pymesos-executor"


class Framework(Scheduler):
    def __init__(self):
        self.launched = False
        self.running = set()
        self.messages = set()
        self.ended = set()
        self.step = "launch"

    def registered(self, driver, framework_id, master_info):
        see("registered", framework=framework_id["value"], version=master_info.get("version"))

    def processHeartBeat(self, driver):
        see("heartbeat")

    def executor(self, driver):
        return {"type": "CUSTOM", "executor_id": {"value": EXECUTOR}, "framework_id": {"value": driver.framework_id}, "name": "pymesos",
                "command": {"value": command}, "resources": resources(0.1, 64)}

    def task(self, driver, offer, name):
        return {"name": name, "task_id": {"value": name}, "agent_id": offer["agent_id"], "resources": resources(0.1, 32),
                "executor": self.executor(driver), "data": encode_data(("for " + name).encode())}

    def resourceOffers(self, driver, offers):
        see("offers", count=len(offers))
        for offer in offers:
            if self.launched:
                driver.declineOffer(offer["id"], {"refuse_seconds": 60})
                continue
            self.launched = True
            driver.launchTasks(offer["id"], [self.task(driver, offer, name) for name in ("brief", "lasting")])
            driver.suppressOffers()

    def statusUpdate(self, driver, status):
        name, state, reason = status["task_id"]["value"], status["state"], status.get("reason")
        see("update", task=name, state=state, reason=reason, message=status.get("message"), source=status.get("source"), step=self.step)
        if reason == "REASON_RECONCILIATION":
            self.step = "kill"
            driver.killTask({"value": "lasting"})
        elif state == "TASK_RUNNING":
            self.running.add(name)
        elif state in ("TASK_FINISHED", "TASK_KILLED", "TASK_FAILED", "TASK_LOST", "TASK_ERROR"):
            self.ended.add(name)
        self.next(driver, status["agent_id"])

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        text = decode_data(message).decode()
        see("message", executor=executor_id["value"], text=text)
        self.messages.add(text)
        self.next(driver, agent_id)

    def next(self, driver, agent_id):
        if self.step == "launch" and len(self.running) == 2 and len(self.messages) == 2:
            self.step = "message"
            driver.sendFrameworkMessage({"value": EXECUTOR}, agent_id, encode_data(b"finish"))
        elif self.step == "message" and "brief" in self.ended:
            self.step = "reconcile"
            driver.reconcileTasks([{"task_id": {"value": "lasting"}}])
        elif self.step == "kill" and "lasting" in self.ended:
            self.step = "leave"
            driver.stop()

    def executorLost(self, driver, executor_id, agent_id, status):
        see("executor lost", status=status)

    def error(self, driver, message):
        see("error", message=message)


logging.basicConfig(level=logging.INFO, stream=sys.stderr)
MesosSchedulerDriver(Framework(), {"user": user, "name": "pymesos-interop"}, master).run()
leave()
