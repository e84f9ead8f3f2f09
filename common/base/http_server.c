/* The HTTP server's life: listening, spreading connections over I/O threads, counters, draining,
 * the end. */
#include <errno.h>
#include <stdio.h>

#include "common/base/http_priv.h"

const struct http_limits http_limits_default = {
    .max_header = 64 * 1024,
    .max_body = 64 * 1024 * 1024,
    .max_connections = 20000,
    .header_timeout_s = 30,
    .body_timeout_s = 60,
    .idle_timeout_s = 600,
    .max_unsent = 64 * 1024 * 1024,
    .gzip_min = 1024,
    .max_pipelined = 64,
    .max_ahead = 1024 * 1024,
};

/* Each limit left at 0 is the default's, but gzip_min, where 0 has a meaning. */
static void fill_limits(struct http_limits *l)
{
    const struct http_limits *d = &http_limits_default;
#define FILL(field)                                                                                \
    if (!l->field)                                                                                 \
    l->field = d->field
    FILL(max_header);
    FILL(max_body);
    FILL(max_connections);
    FILL(header_timeout_s);
    FILL(body_timeout_s);
    FILL(idle_timeout_s);
    FILL(max_unsent);
    FILL(max_pipelined);
    FILL(max_ahead);
#undef FILL
    /* The parser counts a head's bytes too, and stops there. */
    l->max_header = FL_MIN(l->max_header, (size_t)HTTP_MAX_HEADER_SIZE);
}

static int add(struct http_server *s, unsigned i, struct fl_err *err)
{
    struct http_io *io = &s->io[i];
    int rc = io_add(s, io, err);
    if (rc < 0) {
        io_done(io);
        memset(io, 0, sizeof(*io));
    }
    return rc;
}

/* A connection may be there as soon as the first listener is. */
static int open_ios(struct http_server *s, struct fl_err *err)
{
    unsigned n = s->config.io_threads ? s->config.io_threads : 1;
    s->own_files = s->config.own_files && s->config.io_threads > 0;
    s->io = xcalloc(s->own_files ? FL_MAX(n, HTTP_MAX_IO) : n, sizeof *s->io);
    s->room = table_room();
    int rc = fl_listen(s->ip, s->config.port, &s->listen_fd, &s->port, err);
    if (s->own_files) {
        /* Each accepts for itself, and looks at those that are counted. */
        for (unsigned i = 0; i < n && rc == 0; i++) {
            rc = add(s, i, err);
            if (rc == 0)
                atomic_store(&s->n_io, i + 1);
        }
        return rc;
    }
    /* The first, which accepts for all, is last. */
    atomic_store(&s->n_io, n);
    for (unsigned i = n; i > 0 && rc == 0; i--)
        rc = add(s, i - 1, err);
    return rc;
}

int http_server_new(struct fl_loop *owner, const struct http_server_config *c,
                    struct http_server **ret_server, struct fl_err *err)
{
    struct http_server *s = xnew0(struct http_server);
    s->magic = SERVER_MAGIC;
    s->listen_fd = -EBADF;
    s->owner = owner;
    fl_turns_init(&s->turns);
    list_init(&s->idle);
    s->config = *c;
    s->ip = xstrdup(c->ip ? c->ip : "0.0.0.0");
    s->process_id = xstrdup(c->process_id ? c->process_id : "");
    s->config.ip = s->ip;
    s->config.process_id = s->process_id;
    fill_limits(&s->config.limits);
    s->router = router_new(c->routes, c->n_routes, s->process_id);
    int rc = open_ios(s, err);
    if (rc < 0) {
        http_server_free(s);
        return rc;
    }
    *ret_server = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

static uint64_t read_stat(const _Atomic uint64_t *v)
{
    return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

static uint64_t waiting(const struct http_stats *st)
{
    uint64_t handled = read_stat(&st->handled), read = read_stat(&st->requests);
    return read > handled ? read - handled : 0;
}

void http_server_counters(const struct http_server *s, struct http_counters *out)
{
    *out = (struct http_counters){.open_connections =
                                      atomic_load((_Atomic unsigned *)&s->open_connections),
                                  .io_threads = s->config.io_threads ? s->n_io : 0,
                                  .wait_max_us = fl_peak_us(&s->wait),
                                  .full_tables = s->own_files ? table_full(s) : 0,
                                  .failed_threads = atomic_load((atomic_uint *)&s->failed_threads)};
#define SUM(field)                                                                                 \
    out->field += atomic_load_explicit((_Atomic uint64_t *)&st->field, memory_order_relaxed)
    for (unsigned i = 0; i < s->n_io; i++) {
        const struct http_stats *st = &s->io[i].stats;
        SUM(connections);
        SUM(requests);
        SUM(responses_5xx);
        SUM(refused_connections);
        SUM(bad_requests);
        SUM(too_large);
        SUM(slow_closed);
        SUM(overrun_closed);
        SUM(bytes_in);
        SUM(bytes_out);
        SUM(tables_filled);
        SUM(reads_paused);
        if (s->io[i].loop)
            out->sockets += fl_loop_sockets(s->io[i].loop);
        out->waiting += waiting(st);
        out->io_delay_us = FL_MAX(out->io_delay_us, fl_lateness_last_us(&st->delay));
        out->io_delay_max_us = FL_MAX(out->io_delay_max_us, fl_peak_us(&st->delay.peak));
    }
#undef SUM
}

/* ---- the end ---- */

static void on_drain_late(void *arg)
{
    struct http_server *s = FL_CAST(http_server, SERVER_MAGIC, arg);
    for (unsigned i = 0; i < s->n_io; i++)
        io_send(&s->io[i], msg_new(MSG_CLOSE_ALL, NULL));
}

void http_server_drain(struct http_server *s, unsigned grace_ms, fl_callback_f *done, void *arg)
{
    if (s->draining)
        return;
    s->draining = true;
    s->drain_done = done;
    s->drain_arg = arg;
    s->io_left = s->n_io;
    if (s->listen_fd >= 0)
        close(TAKE_FD(s->listen_fd));
    s->drain_timer = fl_timer_new(s->owner, on_drain_late, s);
    fl_timer_set(s->drain_timer, grace_ms * 1000ull);
    for (unsigned i = 0; i < s->n_io; i++)
        io_send(&s->io[i], msg_new(MSG_DRAIN, NULL));
}

static void destroy(void *arg)
{
    struct http_server *s = arg;
    turns_done(s);
    for (unsigned i = 0; i < s->n_io; i++)
        io_done(&s->io[i]);
    free(s->io);
    router_free(s->router);
    free(s->ip);
    free(s->process_id);
    s->magic = 0;
    free(s);
}

static void destroy_later(void *arg)
{
    struct http_server *s = FL_CAST(http_server, SERVER_MAGIC, arg);
    fl_loop_defer(s->owner, destroy, s);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    s->io_left = 0;
    s->stopped = true;
    if (s->listen_fd >= 0)
        close(TAKE_FD(s->listen_fd));
    fl_timer_free(TAKE_PTR(s->drain_timer));
    exchange_orphan_all(s);
    for (unsigned i = 0; i < s->n_io; i++)
        io_join(&s->io[i]);
    for (unsigned i = 0; i < s->n_io; i++)
        io_stop(&s->io[i]);
    /* Jobs that name the I/O sides may still wait on the owner's loop, posted or deferred: go
     * behind them. */
    fl_loop_post(s->owner, destroy_later, s);
}
