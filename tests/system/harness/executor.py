"""A custom executor of the v1 API, run by the agent as a program of its own. Each event is a line of the file `events` in its sandbox.

A task runs until it is killed; data of the task says otherwise: "finish" ends it at once, "later N" after N seconds whether
or not an agent listens. A message is sent back with "echo " before it. With EXECUTOR=silent it never subscribes, with
EXECUTOR=stubborn it ignores SHUTDOWN."""
import base64
import json
import os
import queue
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness.http import DEFAULTS, JSON, Broken, Stream, post_json  # noqa: E402

PATH = "/slave(1)/api/v1/executor"
AGENT = os.environ.get("MESOS_AGENT_ENDPOINT", "")
if "MESOS_EXECUTOR_AUTHENTICATION_TOKEN" in os.environ:
    DEFAULTS["Authorization"] = "Bearer " + os.environ["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"]
IDS = {"framework_id": {"value": os.environ.get("MESOS_FRAMEWORK_ID", "")},
       "executor_id": {"value": os.environ.get("MESOS_EXECUTOR_ID", "")}}


class Executor:
    def __init__(self):
        self.tasks = {}    # not yet acknowledged TaskInfos
        self.updates = {}  # not yet acknowledged updates
        self.outgoing = queue.Queue()

    def note(self, what):
        with open("events", "a") as f:
            f.write(what + "\n")

    def call(self, kind, body):
        return post_json(AGENT, PATH, dict(IDS, type=kind, **{kind.lower(): body}))

    def update(self, task_id, state):
        raw = base64.b64encode(uuid.uuid4().bytes).decode()
        update = {"status": {"task_id": task_id, "state": state, "source": "SOURCE_EXECUTOR", "uuid": raw, "timestamp": time.time(),
                             "executor_id": IDS["executor_id"], "message": "says the executor"}}
        self.updates[raw] = update
        self.outgoing.put(raw)

    def sender(self):
        """In order; what cannot be sent now is repeated by the next SUBSCRIBE."""
        while True:
            raw = self.outgoing.get()
            try:
                if raw in self.updates:
                    self.call("UPDATE", self.updates[raw])
            except (OSError, Broken):
                pass

    def later(self, seconds, task_id):
        time.sleep(seconds)
        self.update(task_id, "TASK_FINISHED")

    def launch(self, task):
        task_id = task["task_id"]
        self.tasks[task_id["value"]] = task
        self.update(task_id, "TASK_RUNNING")
        words = base64.b64decode(task.get("data", "")).decode().split()
        if words[:1] == ["finish"]:
            self.update(task_id, "TASK_FINISHED")
        elif words[:1] == ["later"]:
            threading.Thread(target=self.later, args=(float(words[1]), task_id), daemon=True).start()

    def handle(self, e):
        kind = e["type"]
        self.note(kind)
        if kind == "LAUNCH":
            self.launch(e["launch"]["task"])
        elif kind == "LAUNCH_GROUP":
            for t in e["launch_group"]["task_group"]["tasks"]:
                self.launch(t)
        elif kind == "KILL":
            self.update(e["kill"]["task_id"], "TASK_KILLED")
        elif kind == "ACKNOWLEDGED":
            self.updates.pop(e["acknowledged"]["uuid"], None)
            self.tasks.pop(e["acknowledged"]["task_id"]["value"], None)
        elif kind == "MESSAGE":
            self.call("MESSAGE", {"data": base64.b64encode(b"echo " + base64.b64decode(e["message"]["data"])).decode()})
        elif kind == "SHUTDOWN" and os.environ.get("EXECUTOR") != "stubborn":
            time.sleep(0.1)
            os._exit(0)

    def session(self):
        body = {"unacknowledged_tasks": list(self.tasks.values()), "unacknowledged_updates": list(self.updates.values())}
        s = Stream(AGENT, PATH, json.dumps(dict(IDS, type="SUBSCRIBE", subscribe=body)), {"Content-Type": JSON, "Accept": JSON}, wait=3600)
        if s.answer.status != 200:
            s.close()
            raise Broken(str(s.answer))
        while True:
            record = s.record()
            if record is None:
                raise Broken("the agent has gone")
            self.handle(json.loads(record))

    def run(self):
        with open("environment", "w") as f:
            json.dump(dict(os.environ), f)
        if os.environ.get("EXECUTOR") == "silent":
            time.sleep(3600)
        threading.Thread(target=self.sender, daemon=True).start()
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                self.session()
            except (OSError, Broken) as e:
                self.note("disconnected %s" % e)
                if os.environ.get("MESOS_CHECKPOINT") != "1":
                    return
            time.sleep(0.1)


if __name__ == "__main__":
    Executor().run()
