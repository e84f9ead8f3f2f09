/* The containerizer of one emulated agent: a container is a timer. It starts after the start delay, ends by itself after its duration with
 * the exit that was drawn, and on SIGTERM after the kill delay. Loop's thread; outcomes never come within the call that asked. */
#ifndef EMULATOR_CONTAINERS_H
#define EMULATOR_CONTAINERS_H

#include "agent/agent.h"
#include "emulator/workload.h"

struct emu_container;
struct emu_containers {
    struct containerizer base;
    struct agent_core *core;
    const struct env *env;
    const struct emu_workload *workload;
    struct emu_random *random; /* borrowed */
    uint64_t *running;         /* borrowed: counts them, with those of other nodes */
    uint64_t executors;        /* that run */
    struct containerizer_callbacks cb;
    struct emu_container *all;
};
/* `core` is told of its containers; the rest of *c was set by the caller. */
void emu_containers_init(struct emu_containers *c, struct agent_core *core);
/* The core is about to go, as by kill -9: containers go on, and those that end meanwhile are told to the next core when it recovers. */
void emu_containers_orphan(struct emu_containers *c);
void emu_containers_done(struct emu_containers *c);

#endif
