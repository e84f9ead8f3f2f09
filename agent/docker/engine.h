/* Questions to the Docker Engine over its HTTP API (docs/docker.md): asynchronous, on the agent's loop, JSON by jansson.
 *
 * An answer comes once and never within the call that asked, unless it is cancelled. An engine that is away, slow, or answers with what
 * is no JSON gives an error with a message that names the socket; so does every status of 400 and more, with what the engine says. */
#ifndef AGENT_DOCKER_ENGINE_H
#define AGENT_DOCKER_ENGINE_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"

struct docker_engine;
struct docker_call;

struct docker_answer {
    int status;               /* 0: there was no answer */
    const json_t *json;       /* borrowed; NULL: no body, or it was handed to `data` */
    const char *text;         /* the same as it came, terminated; "" */
    const struct fl_err *err; /* or NULL */
};
struct docker_request {
    const char *method, *path; /* with the query */
    const json_t *body;        /* or NULL */
    const char *registry_auth; /* X-Registry-Auth, or NULL */
    unsigned timeout_s;        /* for the whole answer; with `endless` for its headers; 0 = 60 */
    bool endless;              /* the answer may take as long as the container lives */
    unsigned idle_timeout_s;   /* endless: without a byte; 0 = never */
    size_t max_body;           /* of a whole answer; 0 = 16 MiB */
    /* Optional, endless only. The body of a success in pieces, and its beginning. Both may cancel the call. */
    void (*begun)(void *arg);
    void (*data)(void *arg, const char *p, size_t n);
    void (*done)(void *arg, const struct docker_answer *a);
    void *arg;
};

struct docker_engine *docker_engine_new(struct fl_loop *loop, const char *socket_path);
void docker_engine_free(struct docker_engine *e); /* cancels what is under way */
const char *docker_engine_socket(const struct docker_engine *e);
/* *ret is good until `done` is called or it is cancelled; NULL: it is not wanted. */
void docker_ask(struct docker_engine *e, const struct docker_request *r, struct docker_call **ret);
void docker_cancel(struct docker_call *c); /* NULL: nothing; `done` does not follow */
/* There was no answer: it may be asked again. */
static inline bool docker_away(const struct docker_answer *a)
{
    return a->err && a->status == 0;
}

/* ---- frames of logs and of executed commands ---- */
/* Each is {stream, 0, 0, 0, length big-endian} and the bytes. */
struct docker_frames {
    struct fl_buf held;
};
typedef void docker_frame_f(void *arg, int fd, const char *p, size_t n);
/* FL_INVALID: this is no such stream. */
int docker_frames_add(struct docker_frames *f, const char *p, size_t n, docker_frame_f *fn,
                      void *arg, struct fl_err *err);
static inline void docker_frames_done(struct docker_frames *f)
{
    fl_buf_done(&f->held);
}

#endif
