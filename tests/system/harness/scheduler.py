"""A scheduler of the v1 API in JSON. A thread reads the events; the test waits for those it wants and answers by hand."""
import base64
import json
import os
import threading
import time
import uuid

from .http import JSON, Broken, Stream, WAIT, post_json

PATH = "/api/v1/scheduler"
TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE",
            "TASK_GONE_BY_OPERATOR")


def new_id(prefix="t"):
    return "%s-%s" % (prefix, uuid.uuid4().hex[:8])


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def scalar(name, value, **more):
    return dict({"name": name, "type": "SCALAR", "scalar": {"value": value}}, **more)


def resources(cpus=0.1, mem=32, disk=None):
    r = [scalar("cpus", cpus), scalar("mem", mem)]
    return r + [scalar("disk", disk)] if disk else r


def amount(offer, name):
    return sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == name and r["type"] == "SCALAR")


class Scheduler:
    """`info` is laid over a FrameworkInfo of one role '*', `beside` stands next to it in SUBSCRIBE. Status updates are acknowledged at once
    unless `ack` is off."""

    def __init__(self, address, capabilities=(), ack=True, framework_id=None, beside=None, **info):
        self.address = address
        self.ack = ack
        self.beside = beside or {}
        self.info = dict({"user": "root", "name": "test", "capabilities": [{"type": c} for c in capabilities]}, **info)
        self.id = framework_id
        self.events = []
        self.lock = threading.Condition()
        self.stream = None
        self.stream_id = None
        self.ended = False
        self.thread = None
        self.held = {}  # offers that have been neither used nor rescinded

    # ---- the stream ----

    def subscribe(self, wait=WAIT):
        """Subscribes (again); the SUBSCRIBED event, or the ERROR event that came in its place."""
        call = {"type": "SUBSCRIBE", "subscribe": dict(self.beside, framework_info=dict(self.info))}
        if self.id:
            call["framework_id"] = {"value": self.id}
            call["subscribe"]["framework_info"]["id"] = {"value": self.id}
        self.stream = Stream(self.address, PATH, json.dumps(call), {"Content-Type": JSON, "Accept": JSON}, wait=60)
        assert self.stream.answer.status == 200, self.stream.answer
        self.stream_id = self.stream.answer.headers["mesos-stream-id"]
        self.ended = False
        mark = len(self.events)
        self.thread = threading.Thread(target=self.read, args=(self.stream,), daemon=True)
        self.thread.start()
        first = self.wait_for(lambda e: e["type"] in ("SUBSCRIBED", "ERROR"), wait, mark)
        if first["type"] == "SUBSCRIBED":
            self.id = first["subscribed"]["framework_id"]["value"]
        return first

    def read(self, stream):
        try:
            while True:
                record = stream.record()
                if record is None:
                    break
                event = json.loads(record)
                event["at"] = time.monotonic()
                if self.ack and event["type"] == "UPDATE" and "uuid" in event["update"]["status"]:
                    self.acknowledge(event["update"]["status"], check=False)  # the test may be over
                with self.lock:
                    self.keep_offers(event)
                    self.events.append(event)
                    self.lock.notify_all()
        except (Broken, OSError, ValueError):
            pass
        with self.lock:
            if stream is self.stream:
                self.ended = True
            self.lock.notify_all()

    def keep_offers(self, event):
        if event["type"] == "OFFERS":
            self.held.update((o["id"]["value"], o) for o in event["offers"]["offers"])
        elif event["type"] == "RESCIND":
            self.held.pop(event["rescind"]["offer_id"]["value"], None)
        elif event["type"] == "SUBSCRIBED":
            self.held.clear()

    def wait_for(self, want, wait=WAIT, since=0):
        """The first event from number `since` on for which `want` is true."""
        end = time.monotonic() + wait
        with self.lock:
            while True:
                for e in self.events[since:]:
                    if want(e):
                        return e
                left = end - time.monotonic()
                assert left > 0, "no such event within %g s; there were: %s" % (wait, self.short()[-30:])
                self.lock.wait(left)

    def wait_end(self, wait=WAIT):
        end = time.monotonic() + wait
        with self.lock:
            while not self.ended:
                left = end - time.monotonic()
                assert left > 0, "the stream stays open; events: %s" % self.short()[-10:]
                self.lock.wait(left)

    def short(self):
        return [(e["type"], e["update"]["status"]["task_id"]["value"], e["update"]["status"]["state"])
                if e["type"] == "UPDATE" else e["type"] if e["type"] != "ERROR" else ("ERROR", e["error"]["message"])
                for e in self.events]

    def mark(self):
        """Number of the next event, for `since`."""
        with self.lock:
            return len(self.events)

    # ---- calls ----

    def call(self, kind, body=None, stream_id=True, **more):
        value = dict({"type": kind, "framework_id": {"value": self.id}}, **more)
        if body is not None:
            value[kind.lower()] = body
        headers = {"Mesos-Stream-Id": self.stream_id} if stream_id else {}
        return post_json(self.address, PATH, value, headers)

    def do(self, kind, body=None):
        answer = self.call(kind, body)
        assert answer.status == 202, answer
        return answer

    def acknowledge(self, status, check=True):
        a = self.call("ACKNOWLEDGE", {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]})
        assert a.status == 202 or not check, a

    def offers(self, since=0, wait=WAIT):
        """Offers of the first OFFERS event from number `since` on."""
        return self.wait_for(lambda e: e["type"] == "OFFERS", wait, since)["offers"]["offers"]

    def offer(self, agent_id=None, cpus=0.0, wait=WAIT, role=None):
        """An outstanding offer of that agent and role, that large. It may have come earlier; others stay as they are."""
        end = time.monotonic() + wait
        with self.lock:
            while True:
                for o in self.held.values():
                    if (agent_id is None or o["agent_id"]["value"] == agent_id) and amount(o, "cpus") >= cpus and \
                            (role is None or o["allocation_info"]["role"] == role):
                        return o
                left = end - time.monotonic()
                assert left > 0, "no such offer within %g s; events: %s" % (wait, self.short()[-30:])
                self.lock.wait(left)

    def used(self, offer_ids):
        with self.lock:
            for i in offer_ids:
                self.held.pop(i["value"], None)

    def decline(self, offer, seconds=5.0):
        self.used([offer["id"]])
        self.do("DECLINE", {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": seconds}})

    def accept(self, offer, operations, seconds=0.0):
        offers = offer if isinstance(offer, list) else [offer]
        self.used([o["id"] for o in offers])
        return self.do("ACCEPT", {"offer_ids": [o["id"] for o in offers], "operations": operations,
                                  "filters": {"refuse_seconds": seconds}})

    def launch(self, offer, *tasks, **more):
        self.accept(offer, [{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}], **more)

    def kill(self, task_id, agent_id=None, grace=None):
        body = {"task_id": {"value": task_id}}
        if agent_id:
            body["agent_id"] = {"value": agent_id}
        if grace is not None:
            body["kill_policy"] = {"grace_period": {"nanoseconds": int(grace * 1e9)}}
        self.do("KILL", body)

    def task(self, offer, shell, cpus=0.1, mem=32, **more):
        """TaskInfo of a shell command; `more` is laid over it, and None takes a field away."""
        t = {"name": "t", "task_id": {"value": new_id()}, "agent_id": offer["agent_id"], "resources": resources(cpus, mem),
             "command": {"value": shell}}
        t.update(more)
        return {k: v for k, v in t.items() if v is not None}

    def run(self, shell, state="TASK_RUNNING", wait=WAIT, agent_id=None, cpus=0.1, **more):
        """Launches one command and waits until it is in that state; its id and that status."""
        offer = self.offer(agent_id, cpus)
        t = self.task(offer, shell, cpus=cpus, **more)
        self.launch(offer, t)
        return t["task_id"]["value"], self.status(t["task_id"]["value"], state, wait)

    # ---- statuses ----

    def statuses(self, task_id, since=0):
        with self.lock:
            return [e["update"]["status"] for e in self.events[since:]
                    if e["type"] == "UPDATE" and e["update"]["status"]["task_id"]["value"] == task_id]

    def states(self, task_id):
        return [s["state"] for s in self.statuses(task_id)]

    def status(self, task_id, state=None, wait=WAIT, since=0, reason=None):
        """The first status of that task, in that state or one of several, for that reason."""
        states = (state,) if isinstance(state, str) else state

        def want(e):
            if e["type"] != "UPDATE" or e["update"]["status"]["task_id"]["value"] != task_id:
                return False
            s = e["update"]["status"]
            return (states is None or s["state"] in states) and (reason is None or s.get("reason") == reason)
        return self.wait_for(want, wait, since)["update"]["status"]

    def end_of(self, task_id, wait=WAIT, since=0):
        return self.status(task_id, TERMINAL, wait, since)

    def reconcile(self, *tasks):
        """Explicit for (task_id, agent_id or None) pairs; implicit without any."""
        self.do("RECONCILE", {"tasks": [dict({"task_id": {"value": t}}, **({"agent_id": {"value": a}} if a else {}))
                                        for t, a in tasks]})

    def teardown(self):
        try:
            self.call("TEARDOWN")
        except (OSError, Broken):
            pass
        self.close()

    def close(self):
        if self.stream:
            self.stream.close(self.thread)

    def __enter__(self):
        self.subscribe()
        return self

    def __exit__(self, *_):
        self.teardown()


def custom_executor(s, executor_id=None, kind="", **more):
    """ExecutorInfo of harness/executor.py for the framework of `s`."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "executor.py")
    command = {"value": "exec /usr/bin/python3 '%s'" % path,
               "environment": {"variables": [{"name": "EXECUTOR", "value": kind}, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}]}}
    return dict({"type": "CUSTOM", "executor_id": {"value": executor_id or new_id("e")}, "framework_id": {"value": s.id},
                 "command": command, "resources": resources(0.1, 32)}, **more)
