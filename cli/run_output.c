/* The live output of `fairlead run`: both files of every instance are followed; with several instances each line is prefixed with the
 * instance's number. */
#include <stdio.h>

#include "cli/run.h"

/* Ends the line that an instance left open, where it was written. */
static void close_line(struct run *r)
{
    if (r->open_line) {
        putc('\n', r->open_file);
        fflush(r->open_file);
    }
    r->open_line = NULL;
}

static void print(struct instance *i, FILE *f, const char *p, size_t n)
{
    struct run *r = i->run;

    if (r->open_line && (r->open_line != i || r->open_file != f))
        close_line(r);
    if (i->run->n == 1) {
        fwrite(p, 1, n, f);
    } else {
        while (n) {
            const char *nl = memchr(p, '\n', n);
            size_t len = nl ? (size_t)(nl - p) + 1 : n;
            if (!r->open_line)
                fprintf(f, "[%u] ", i->number);
            fwrite(p, 1, len, f);
            r->open_line = nl ? NULL : i;
            r->open_file = f;
            p += len;
            n -= len;
        }
    }
    fflush(f);
}

static void on_stdout(const char *p, size_t n, void *arg)
{
    print(arg, stdout, p, n);
}

static void on_stderr(const char *p, size_t n, void *arg)
{
    print(arg, stderr, p, n);
}

/* Both files have been read to their end after the task's end: nothing more can come. */
static void turn(void *arg, bool more)
{
    struct instance *i = arg;

    if (more) {
        i->drained = 0;
        follow_poll(&i->out);
        follow_poll(&i->err);
        return;
    }
    if (i->stage != INSTANCE_ENDED || i->out.call || i->err.call)
        return;
    if (i->drained++ == 0) {
        /* These answers may have been on their way before the end: ask once more. */
        follow_poll(&i->out);
        follow_poll(&i->err);
        return;
    }
    if (i->run->open_line == i)
        close_line(i->run);
    run_instance_done(i);
}

void output_begin(struct instance *i, const char *framework_id, const char *executor_id)
{
    _cleanup_free_ char *directory = NULL;

    if (i->following || !i->agent_address)
        return;
    directory = xasprintf("/frameworks/%s/executors/%s/runs/latest", framework_id, executor_id);
    i->out.out = on_stdout;
    i->err.out = on_stderr;
    i->out.turn = i->err.turn = turn;
    i->out.arg = i->err.arg = i;
    i->following = follow_init(&i->out, i->run->cli, i->run->http, i->agent_id, i->agent_address,
                               directory, "stdout", NULL) == 0 &&
                   follow_init(&i->err, i->run->cli, i->run->http, i->agent_id, i->agent_address,
                               directory, "stderr", NULL) == 0;
}

void output_poll(struct run *r)
{
    for (unsigned k = 0; k < r->n; k++) {
        if (r->instances[k].following && r->instances[k].stage == INSTANCE_LAUNCHED) {
            follow_poll(&r->instances[k].out);
            follow_poll(&r->instances[k].err);
        }
    }
}

void output_finish(struct instance *i)
{
    if (!i->following) {
        run_instance_done(i);
        return;
    }
    i->drained = 0;
    follow_poll(&i->out);
    follow_poll(&i->err);
    /* Neither could be asked: there is nobody to wait for. */
    if (!i->out.call && !i->err.call)
        run_instance_done(i);
}
