"""A framework on the package avmesos as published: a task that ends by itself, one that is killed, decline, suppress, revive, reconcile
and teardown. What follows what is decided by events alone. Usage: avmesos_client.py URL USER

The package handles an event once the next one has come, so its users wait for heartbeats, 15 s apart. Here a thread asks for the state of a
task that never was, as others reconcile from time to time: each answer pushes what came before it."""
import logging
import sys
import threading
import time

from avmesos.client import MesosClient
from see import leave, resources, see

url, user = sys.argv[1:]
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
client = MesosClient(mesos_urls=[url], frameworkName="avmesos-interop", frameworkUser=user)
step = "launch"


def task(offer, name, command):
    return {"name": name, "task_id": {"value": name}, "agent_id": offer.get_offer()["agent_id"], "resources": resources(0.1, 32),
            "command": {"shell": True, "value": command}}


def subscribed(driver):
    see("subscribed", framework=driver.frameworkId, stream=driver.streamId, version=client.get_master_info()["version"])
    threading.Thread(target=nudge, args=(client.get_driver(),), daemon=True).start()


def nudge(driver):
    while True:
        driver.reconcile([{"task_id": {"value": "nudge"}}])
        time.sleep(0.2)


def offered(offers):
    global step
    see("offers", count=len(offers), step=step)
    for offer in offers:
        if step == "launch":
            step = "running"
            offer.accept([task(offer, "brief", "true"), task(offer, "lasting", "sleep 1000")])
            client.get_driver().suppress()
        elif step == "revive":
            step = "decline"
            offer.decline({"filters": {"refuse_seconds": 60}})
            see("declined")
            leave_now()


def leave_now():
    client.get_driver().tearDown()
    see("teardown")
    leave()


ended = set()
agent = {}


def updated(update):
    global step
    s = update["status"]
    name = s["task_id"]["value"]
    see("update", task=name, state=s["state"], reason=s.get("reason"), source=s.get("source"), step=step)
    driver = client.get_driver()
    if name == "nudge":
        return
    if s.get("reason") == "REASON_RECONCILIATION" and step == "reconcile":
        step = "kill"
        driver.kill(s["agent_id"]["value"], "lasting")
    elif name == "lasting" and s["state"] == "TASK_RUNNING":
        agent.update(s["agent_id"])
    elif s["state"] in ("TASK_FINISHED", "TASK_KILLED", "TASK_FAILED", "TASK_LOST"):
        ended.add(name)
    if step == "running" and agent and "brief" in ended:
        step = "reconcile"
        driver.reconcile([{"task_id": {"value": "lasting"}, "agent_id": agent}])
    elif step == "kill" and "lasting" in ended:
        step = "revive"
        driver.revive()


client.on(MesosClient.SUBSCRIBED, subscribed)
client.on(MesosClient.OFFERS, offered)
client.on(MesosClient.UPDATE, updated)
client.on(MesosClient.HEARTBEAT, lambda _: see("heartbeat"))
client.on(MesosClient.ERROR, lambda message: see("error", message=message))
thread = threading.Thread(target=client.register)
thread.start()
thread.join()
see("stream ended")
