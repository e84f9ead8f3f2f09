/* A program that the daemon runs and waits for without blocking: a CNI plug-in, an image puller, a hook. It gets bytes on its standard
 * input; what it prints is kept up to a limit. Not for containers, which the launcher clones.
 *
 * The program inherits nothing but what it is given here: descriptors are close-on-exec, signals have their defaults. It is
 * killed when its time is over or child_free() is called; when the daemon dies it goes on, and sees the end of its standard input.
 * The loop's thread. */
#ifndef COMMON_BASE_CHILD_H
#define COMMON_BASE_CHILD_H

#include "common/base/err.h"
#include "common/base/loop.h"

struct child;

/* Borrowed for child_run(). */
struct child_spec {
    const char *const *argv; /* argv[0] is a path; NULL-terminated */
    const char *const *env;  /* NULL-terminated; NULL: the daemon's */
    const void *input;       /* written to its standard input, which is then closed, unless: */
    size_t input_len;
    bool hold_input;     /* left open until it ends, so that it can see the daemon die */
    uint64_t timeout_us; /* 0: none */
    size_t
        max_output; /* bytes of each of stdout and stderr that are kept; more is read and dropped; 0: 64 KiB */
};

struct child_result {
    int status;      /* of wait(2) */
    bool timed_out;  /* killed for it */
    const char *out; /* NUL-terminated, borrowed for the call */
    const char *err;
    size_t out_len, err_len;
    bool cut; /* there was more than max_output */
};
/* Once, never before child_run() returned; the child is freed afterwards. */
typedef void child_done_f(void *arg, const struct child_result *result);

/* *ret may be NULL when nobody will want to end it early. */
int child_run(struct fl_loop *loop, const struct child_spec *spec, child_done_f *done, void *arg,
              struct child **ret, struct fl_err *err);
/* Kills it (its whole process group); `done` is not called any more. */
void child_free(struct child *c);
/* Lets it run on, and forgets it: `done` is not called any more. For when the daemon ends. Takes NULL. */
void child_leave(struct child *c);
/* 0: it ended with status 0. Otherwise FL_UNAVAILABLE with what it said on stderr, or stdout, cut to one line. */
int child_check(const struct child_result *r, const char *what, struct fl_err *err);

#endif
