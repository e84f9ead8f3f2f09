/* The agent's side of the launcher's socket: asks in order, at most so many at a time, and hands each answer to who asked.
 * The agent's thread. */
#ifndef AGENT_CONTAINERIZER_LAUNCHER_CLIENT_H
#define AGENT_CONTAINERIZER_LAUNCHER_CLIENT_H

#include "agent/containerizer/launcher_proto.h"
#include "common/base/loop.h"

struct launcher_client;
/* value: the pid, or -errno with the text; pidfd is the callee's (-EBADF: none). */
typedef void launcher_done_f(void *arg, int64_t value, int pidfd, const char *text);

/* Takes sock. */
int launcher_client_new(struct fl_loop *loop, int sock, size_t max_in_flight,
                        struct launcher_client **ret, struct fl_err *err);
void launcher_client_free(struct launcher_client *c);
/* Copies the strings, takes fd. `done` comes once, never before this returns, unless the client is freed first. */
void launcher_client_ask(struct launcher_client *c, const struct launcher_msg *m, int fd,
                         launcher_done_f *done, void *arg);

#endif
