/* Standard input and output of a container over the agent's operator API, from the client's side (features.md 1.6): three requests to
 * one agent. Output is a stream of records until the container ends; input a request whose body goes on as long as there is any;
 * and the wait for the exit status. Everything on one loop. */
#ifndef COMMON_MODEL_CONTAINER_SESSION_H
#define COMMON_MODEL_CONTAINER_SESSION_H

#include "common/base/http.h"
#include "proto/agent.pb-c.h"

struct fl_tls;
struct container_session;

struct container_session_ops {
    /* The agent agreed: output follows, input may be sent. */
    void (*started)(struct container_session *s, void *arg);
    void (*output)(struct container_session *s, bool is_stderr, const void *p, size_t n, void *arg);
    /* All input that was sent has left. */
    void (*input_room)(struct container_session *s, void *arg);
    /* The container takes no input any more (optional). */
    void (*input_over)(struct container_session *s, void *arg);
    /* Once, last; free it, from here if you like. wait_status: the container's, as of waitpid(), or -1 when it is not known.
     * err: what failed, or NULL. */
    void (*ended)(struct container_session *s, int wait_status, const struct fl_err *err,
                  void *arg);
};

struct container_session_config {
    const char *host;
    uint16_t port;
    struct fl_tls *tls;                /* or NULL */
    const char *prefix;                /* of the path, as "/agent/ID" at a master; or NULL */
    const struct http_header *headers; /* of each request, such as Authorization; copied */
    size_t n_headers;                  /* at most CONTAINER_SESSION_HEADERS */
    /* LAUNCH_NESTED_CONTAINER_SESSION or ATTACH_CONTAINER_OUTPUT; only read by container_session_new(). */
    const Aapi__Call *call;
    const V1__ContainerID *container; /* whose input it is, and whose end is waited for; copied */
    bool input;
    bool status;              /* ask for its exit status */
    unsigned exit_timeout_s;  /* for it, after the output ended; 0 = never */
    unsigned begin_timeout_s; /* for the agent's first answer; 0 = 60 */
    unsigned
        silent_s; /* without a record of the agent, which sends some when it has nothing to say; 0 = never */
};
#define CONTAINER_SESSION_HEADERS 2

int container_session_new(struct fl_loop *loop, const struct container_session_config *config,
                          const struct container_session_ops *ops, void *arg,
                          struct container_session **ret, struct fl_err *err);
/* Ends it without callbacks: the agent then destroys the container of LAUNCH_NESTED_CONTAINER_SESSION. */
void container_session_free(struct container_session *s);
/* n = 0: the end of the input. */
void container_session_input(struct container_session *s, const void *p, size_t n);
void container_session_window(struct container_session *s, unsigned rows, unsigned columns);
size_t container_session_unsent(const struct container_session *s);    /* of the input */
void container_session_pause(struct container_session *s, bool pause); /* the output */

#endif
