"use strict";

// A framework on the package mesos-framework as published, whose task fails at first: the package launches it again by itself. Then the task is
// killed, which is the end. Usage: keeper.js HOST PORT USER FOLDER

const { Scheduler, Mesos } = require("mesos-framework");
const mesos = Mesos.getMesos();
const [host, port, user, folder] = process.argv.slice(2);
const command = "test -e '" + folder + "/again' && exec sleep 1000; touch '" + folder + "/again'; exit 1";

function see(saw, what) {
    process.stdout.write(JSON.stringify({ saw, ...what }) + "\n");
}

const scheduler = new Scheduler({
    masterUrl: host,
    port: port,
    user: user,
    useZk: false,
    frameworkName: "npm-keeper",
    masterConnectionTimeout: 20,
    logging: { path: folder, fileName: "keeper.log", level: "error" },
    tasks: {
        flaky: {
            instances: 1,
            commandInfo: new mesos.CommandInfo(null, null, true, command, null, null),
            resources: { cpus: 0.1, mem: 32, ports: 1, disk: 0 }
        }
    }
});

let failed = false;
let leaving = false;

scheduler.on("ready", () => scheduler.subscribe());

scheduler.on("update", (update) => {
    const s = update.status;
    see("update", { task: "flaky", state: s.state, reason: s.reason || null, id: s.task_id.value });
    if (s.state === "TASK_FAILED") {
        failed = true;
    } else if (failed && s.state === "TASK_RUNNING") {
        scheduler.kill(s.task_id.value, s.agent_id.value);
    } else if (s.state === "TASK_KILLED") {
        leaving = true;
    }
});

scheduler.on("sent_acknowledge", () => {
    if (leaving) {
        scheduler.teardown();
    }
});

scheduler.on("sent_teardown", () => {
    see("teardown");
    process.exit(0);
});

// A teardown ends the stream, which the package reports as an error.
scheduler.on("error", (e) => see(leaving ? "error after teardown" : "error", { message: String((e && e.message) || e) }));
