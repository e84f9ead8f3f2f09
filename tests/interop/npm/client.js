"use strict";

// A framework on the npm package mesos-framework as published: launches two tasks through the package's own handling of offers,
// reconciles, kills the one that would not end, and leaves. Each thing that it sees is a line of JSON on standard output.
// Usage: client.js HOST PORT USER FOLDER. What follows what is decided by events alone; the caller limits the time.

const { Scheduler, Mesos } = require("mesos-framework");
const mesos = Mesos.getMesos();

const [host, port, user, folder] = process.argv.slice(2);

function see(saw, what) {
    process.stdout.write(JSON.stringify({ saw, ...what }) + "\n");
}

function task(command) {
    return {
        instances: 1,
        commandInfo: new mesos.CommandInfo(null, null, true, command, null, null),
        resources: { cpus: 0.2, mem: 32, ports: 1, disk: 0 }
    };
}

const scheduler = new Scheduler({
    masterUrl: host,
    port: port,
    user: user,
    useZk: false,
    frameworkName: "npm-interop",
    // In seconds; the default of ten is shorter than the master's heartbeats are apart.
    masterConnectionTimeout: 20,
    logging: { path: folder, fileName: "client.log", level: "error" },
    // The package puts HOST, from the offer's address, into every task's environment: without it the brief task fails.
    tasks: { brief: task('test "$HOST" = ' + host), lasting: task("sleep 1000") }
});

let step = "launch";
let unacknowledged = 0;
let lasting = null;
const ended = new Set();

function name(taskId) {
    return taskId.split(".")[1].replace(/-[0-9]+$/, "");
}

function next() {
    if (unacknowledged > 0) {
        return;
    }
    if (step === "launch" && lasting && ended.has("brief")) {
        step = "reconcile";
        scheduler.reconcile(lasting.taskId, lasting.agentId);
    } else if (step === "kill" && ended.has("lasting")) {
        step = "reconcile ended";
        scheduler.reconcile(lasting.taskId, lasting.agentId);
    }
}

scheduler.on("ready", () => scheduler.subscribe());

scheduler.on("subscribed", (e) => see("subscribed", { framework: e.frameworkId, stream: e.mesosStreamId }));

scheduler.on("heartbeat", () => see("heartbeat"));

scheduler.on("offers", (e) => see("offers", { count: e.offers.length }));

scheduler.on("update", (update) => {
    const s = update.status;
    const answer = s.reason === "REASON_RECONCILIATION";
    const which = name(s.task_id.value);
    see("update", { task: which, state: s.state, reason: s.reason || null, source: s.source || null, uuid: Boolean(s.uuid), step });
    if (s.uuid) {
        unacknowledged++;
    }
    if (answer && step === "reconcile") {
        step = "kill";
        scheduler.kill(s.task_id.value, s.agent_id.value);
    } else if (answer && step === "reconcile ended") {
        step = "leave";
        scheduler.teardown();
    } else if (which === "lasting" && s.state === "TASK_RUNNING") {
        lasting = { taskId: s.task_id.value, agentId: s.agent_id.value };
    } else if (["TASK_FINISHED", "TASK_KILLED", "TASK_FAILED", "TASK_LOST", "TASK_ERROR"].includes(s.state)) {
        ended.add(which);
    }
});

// Counted: the master forgets an ended task only once it was acknowledged, and what it answers then is what is asked for here.
scheduler.on("sent_acknowledge", () => {
    unacknowledged--;
    see("acknowledged");
    next();
});

for (const call of ["accept", "decline", "reconcile", "kill"]) {
    scheduler.on("sent_" + call, () => see(call));
}

scheduler.on("sent_teardown", () => {
    see("teardown");
    process.exit(0);
});

scheduler.on("error", (e) => {
    // A teardown ends the stream, which the package reports as an error. A teardown that was refused ends in no "teardown" line.
    see(step === "leave" ? "error after teardown" : "error", { message: String((e && e.message) || e) });
});
