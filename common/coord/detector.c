/* Finds the leading master from what --master says.
 *
 * One "host:port" is the leader by declaration. Of a list each is asked in turn with GET /redirect; the Location of the first answer names
 * the leader. Round after round the pause grows, from half a second to fifteen, and starts small again when a leader was good for a while.
 *
 * On the owner's loop. The callback never comes from inside a call of the owner's.
 */
#include <errno.h>
#include <fcntl.h>

#include "common/base/buf.h"
#include "common/base/http.h"
#include "common/coord/detector.h"

#define DETECTOR_MAGIC 0xde7ec7u
#define DEFAULT_PORT   5050
#define FIRST_DELAY_US 500000u
#define LAST_DELAY_US  15000000u
/* A leader that lasted this long ends a series of failures. */
#define GOOD_US     UINT64_C(30000000)
#define ASK_S       5
#define MAX_MASTERS 64
#define MAX_FILE    65536

struct master {
    char *host;
    uint16_t port;
};

struct detector {
    unsigned magic;
    bool dead;
    struct fl_loop *loop;
    detector_f *fn;
    void *arg;
    struct master *masters; /* owned; n of them */
    size_t n, asking;       /* the one that is asked, in turn */
    size_t asked;           /* in this round */
    struct http_client *http;
    struct http_call *call;
    struct fl_timer *timer;
    uint64_t delay_us, since_us;
    struct master leader; /* owned host; NULL: none known */
};

/* ---- the specification ---- */

static int add_master(struct detector *d, const char *text, struct fl_err *err)
{
    struct master m;
    int r;

    if (d->n == MAX_MASTERS)
        return fl_err_set(err, FL_LIMIT, "--master names more than %d masters", MAX_MASTERS);
    r = http_parse_host_port(text, DEFAULT_PORT, &m.host, &m.port, err);
    if (r < 0)
        return fl_err_wrap(err, "--master");
    d->masters = xrealloc(d->masters, (d->n + 1) * sizeof(m));
    d->masters[d->n++] = m;
    return 0;
}

static int read_spec(const char *path, char **ret, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = xcalloc(1, MAX_FILE + 1);
    ssize_t n;

    if (fd < 0)
        return fl_err_errno(err, errno, "--master: open '%s'", path);
    n = read(fd, text, MAX_FILE);
    if (n < 0)
        return fl_err_errno(err, errno, "--master: read '%s'", path);
    text[strcspn(text, "\r\n")] = 0;
    *ret = TAKE_PTR(text);
    return 0;
}

static int parse_list(struct detector *d, const char *spec, struct fl_err *err)
{
    if (str_starts(spec, "zk://"))
        return fl_err_set(
            err, FL_NOT_IMPLEMENTED,
            "--master='%s': finding masters by ZooKeeper is not there yet: name them as "
            "host:port,host:port",
            spec);
    for (const char *p = spec;;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *one = xstrndup(p, n);
        const char *bare = one + strspn(one, " ");
        int r;

        if (!*bare)
            return fl_err_set(err, FL_INVALID,
                              "--master='%s': a master is missing: say host:port, or several with "
                              "commas between",
                              spec);
        r = add_master(d, bare, err);
        if (r < 0)
            return r;
        if (!p[n])
            return 0;
        p += n + 1;
    }
}

static int parse_spec(struct detector *d, const char *spec, struct fl_err *err)
{
    _cleanup_free_ char *text = NULL;
    int r;

    if (!str_starts(spec, "file://"))
        return parse_list(d, spec, err);
    r = read_spec(spec + strlen("file://"), &text, err);
    if (r < 0)
        return r;
    if (str_starts(text, "file://"))
        return fl_err_set(err, FL_INVALID, "--master='%s' leads to another file", spec);
    return parse_list(d, text, err);
}

/* ---- looking ---- */

static void tell(struct detector *d)
{
    struct detected_master m = {.host = d->leader.host, .port = d->leader.port};

    d->fn(d->leader.host ? &m : NULL, d->arg);
}

static void set_leader(struct detector *d, char *host, uint16_t port)
{
    free(d->leader.host);
    d->leader = (struct master){.host = host, .port = port};
    d->since_us = fl_loop_now_us(d->loop);
    tell(d);
}

static void look_later(struct detector *d)
{
    fl_timer_set(d->timer, d->delay_us);
    d->delay_us = FL_MIN(d->delay_us * 2, LAST_DELAY_US);
}

static void ask(struct detector *d);

static void ask_next(struct detector *d)
{
    d->asking = (d->asking + 1) % d->n;
    if (++d->asked < d->n)
        ask(d);
    else
        look_later(d);
}

static void on_answer(struct http_call *call, const struct http_client_response *r,
                      const struct fl_err *err, void *arg)
{
    struct detector *d = FL_CAST(detector, DETECTOR_MAGIC, arg);
    const char *to = r ? http_response_header(r, "Location") : NULL;
    char *host;
    uint16_t port;

    d->call = NULL;
    if (to && r->status >= 300 && r->status < 400 &&
        http_parse_host_port(to, DEFAULT_PORT, &host, &port, NULL) == 0)
        set_leader(d, host, port);
    else
        ask_next(d);
}

static void ask(struct detector *d)
{
    static const struct http_call_ops ops = {.on_done = on_answer};
    const struct master *m = &d->masters[d->asking];
    struct http_call_config cfg = {.method = "GET",
                                   .host = m->host,
                                   .port = m->port,
                                   .path = "/redirect",
                                   .own_connection = true,
                                   .timeout_s = ASK_S};

    if (http_client_call(d->http, &cfg, &ops, d, &d->call, NULL) < 0)
        ask_next(d);
}

static void look(void *arg)
{
    struct detector *d = FL_CAST(detector, DETECTOR_MAGIC, arg);

    if (d->n == 1) {
        set_leader(d, xstrdup(d->masters[0].host), d->masters[0].port);
        return;
    }
    d->asked = 0;
    ask(d);
}

static void tell_lost(void *arg)
{
    struct detector *d = FL_CAST(detector, DETECTOR_MAGIC, arg);

    if (!d->dead && !d->leader.host)
        tell(d);
}

void detector_failed(struct detector *d)
{
    if (!d->leader.host)
        return; /* looking already */
    free(TAKE_PTR(d->leader.host));
    if (fl_loop_now_us(d->loop) - d->since_us > GOOD_US)
        d->delay_us = FIRST_DELAY_US;
    d->asking = (d->asking + 1) % d->n;
    fl_loop_defer(d->loop, tell_lost, d);
    look_later(d);
}

void detector_worked(struct detector *d)
{
    d->delay_us = FIRST_DELAY_US;
}

/* ---- life ---- */

static void free_memory(void *arg)
{
    struct detector *d = arg;

    for (size_t i = 0; i < d->n; i++)
        free(d->masters[i].host);
    free(d->masters);
    free(d->leader.host);
    d->magic = 0;
    free(d);
}

int detector_new(struct fl_loop *loop, const char *spec, detector_f *fn, void *arg,
                 struct detector **ret, struct fl_err *err)
{
    struct detector *d = xnew0(struct detector);
    int r;

    d->magic = DETECTOR_MAGIC;
    d->loop = loop;
    d->fn = fn;
    d->arg = arg;
    d->delay_us = FIRST_DELAY_US;
    r = parse_spec(d, spec, err);
    if (r < 0) {
        free_memory(d);
        return r;
    }
    d->http = http_client_new(loop);
    d->timer = fl_timer_new(loop, look, d);
    fl_timer_set(d->timer, 0);
    *ret = d;
    return 0;
}

void detector_free(struct detector *d)
{
    if (!d)
        return;
    d->dead = true;
    fl_timer_free(TAKE_PTR(d->timer));
    http_client_free(TAKE_PTR(d->http));
    fl_loop_defer(d->loop, free_memory, d);
}
