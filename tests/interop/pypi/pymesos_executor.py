"""An executor on the package pymesos as published: answers each task with RUNNING and sends its name back to the scheduler; the one called
'brief' finishes when it is told to by a message, the one called 'lasting' when it is killed. Runs in a task's sandbox."""
import logging
import sys

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class Answering(Executor):
    def __init__(self):
        self.brief = None

    def status(self, driver, task_id, state, **more):
        driver.sendStatusUpdate(dict(more, task_id=task_id, state=state))

    def registered(self, driver, executor_info, framework_info, agent_info):
        print("registered", executor_info["executor_id"], framework_info["name"], agent_info["hostname"], flush=True)

    def launchTask(self, driver, task):
        if task["name"] == "brief":
            self.brief = task["task_id"]
        self.status(driver, task["task_id"], "TASK_RUNNING", message="data: " + decode_data(task["data"]).decode())
        driver.sendFrameworkMessage(encode_data(("launched " + task["name"]).encode()))

    def frameworkMessage(self, driver, message):
        if decode_data(message) == b"finish":
            self.status(driver, self.brief, "TASK_FINISHED")

    def killTask(self, driver, task_id):
        self.status(driver, task_id, "TASK_KILLED")

    def shutdown(self, driver):
        print("shutdown", flush=True)

    def error(self, driver, message):
        print("error", message, flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    MesosExecutorDriver(Answering()).run()
