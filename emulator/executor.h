/* An emulated executor, custom or the default one: its process is a container of containers.c, and its tasks are timers that run and end
 * as the file, or their labels, say. It speaks with its agent's core as executors do over HTTP, without the HTTP. Loop's thread; what it does
 * never comes within the call that caused it. */
#ifndef EMULATOR_EXECUTOR_H
#define EMULATOR_EXECUTOR_H

#include "emulator/containers.h"

struct emu_executor;
/* `over` when its process ends by itself; it may free it. */
struct emu_executor *emu_executor_new(struct emu_containers *c, const char *container_id,
                                      fl_callback_f *over, void *arg);
void emu_executor_free(struct emu_executor *x);
/* Its process runs, or its agent is back: it subscribes. */
void emu_executor_begin(struct emu_executor *x);
/* From the core; x is the stream that the core knows. */
void emu_executor_event(struct emu_executor *x, const Exec__Event *ev);
void emu_executor_hung_up(struct emu_executor *x);

#endif
