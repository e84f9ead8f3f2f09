/* How a program that is an executor reaches its agent: what the environment says of it, the stream of events, and the calls in order.
 * libframework's executors and the default executor (executors/default) are built on it. Loop thread.
 */
#ifndef LIBFRAMEWORK_EXEC_LINK_H
#define LIBFRAMEWORK_EXEC_LINK_H

#include "libframework/exec_core.h"
#include "libframework/sender.h"

struct exec_link {
    struct exec_core *core; /* borrowed; set by the owner before anything is sent */
    char *host;             /* owned */
    uint16_t port;
    char *authorization; /* "Bearer ..." or NULL; owned */
    struct http_client *http;
    struct http_call *stream; /* NULL: not subscribed */
    struct fw_sender sender;
};

/* The agent's address and token into *l, the rest into *config (texts are the environment's). FL_INVALID: something is missing. */
int exec_link_read_environment(struct exec_link *l, struct exec_config *config, struct fl_err *err);
/* A duration of the environment ("15mins"), or `otherwise` when it is not there or makes no sense. */
uint64_t exec_link_duration(const char *variable, uint64_t otherwise_us);
void exec_link_init(struct exec_link *l, struct fl_loop *loop, fw_answered_f *answered, void *arg);
void exec_link_done(struct exec_link *l); /* takes one that was only zeroed */

/* For struct exec_io. */
void exec_link_subscribe(struct exec_link *l, const void *body, size_t n);
void exec_link_close_stream(struct exec_link *l);
void exec_link_call(struct exec_link *l, const void *body, size_t n);

#endif
