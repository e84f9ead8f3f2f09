/* What a scheduler's call costs the master: a real one, and a client that sends calls on several connections without waiting for each
 * answer. CPU time of the master's whole process a call, system calls included; what the core makes of the call is little, for
 * each names a task or an offer that does not exist.
 *   calls.ack_us           ACKNOWLEDGE in protobuf, DEPTH under way on one connection
 *   calls.ack_100_us       the same on 100 connections
 *   calls.ack_json_us      the same in JSON, on one
 *   calls.decline_us       DECLINE of an offer, protobuf, on one
 *   calls.reconcile_us     RECONCILE of one task, protobuf, on one: each brings an event as well
 *   calls.s_core           calls a second and core, of calls.ack_us
 */
#include "tests/bench/cluster.c"

#include <poll.h>

#include "common/base/json.h"
#include "common/base/recordio.h"
#include "proto/scheduler.pb-c.h"

enum { CALLS = 60000, DEPTH = 32, MAX_CONNS = 100, RUNS = 3 };

static struct {
    struct bench_daemon master;
    char stream_id[64], framework_id[256];
    int events; /* the subscription */
} b;

/* ---- calls ---- */

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(b.master.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        bench_fail("cannot connect to the master");
    return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done <= 0)
            bench_fail("the master closed a connection");
        p += done;
        n -= (size_t)done;
    }
}

/* A request from the JSON of its call. */
static void make_request(const char *json, bool as_json, struct fl_buf *out)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    ProtobufCMessage *m = NULL;
    struct fl_err err;

    if (fl_json_to_pb(json, strlen(json), &sched__call__descriptor, 0, fl_arena_allocator(arena),
                      &m, &err) < 0)
        bench_fail("%s", err.msg);
    if (as_json)
        fl_buf_adds(&body, json);
    else
        fl_buf_pack(&body, m);
    fl_buf_clear(out);
    fl_buf_addf(
        out,
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/%s\r\n"
        "Accept: application/x-protobuf\r\n",
        b.master.port, as_json ? "json" : "x-protobuf");
    if (b.stream_id[0])
        fl_buf_addf(out, "Mesos-Stream-Id: %s\r\n", b.stream_id);
    fl_buf_addf(out, "Content-Length: %zu\r\n\r\n", body.len);
    fl_buf_add(out, body.data, body.len);
}

/* ---- the subscription ---- */

static const char *find(const struct fl_buf *b_, const char *what)
{
    return memmem(b_->data, b_->len, what, strlen(what));
}

/* Reads until the SUBSCRIBED event is there: in JSON, so that its id is a text to look for. */
static void subscribe(void)
{
    static const char json[] = "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{"
                               "\"user\":\"nobody\",\"name\":\"bench\"}}}";
    static const char id_key[] = "\"framework_id\":{\"value\":\"",
                      stream_key[] = "Mesos-Stream-Id: ";
    _cleanup_buf_ struct fl_buf request = FL_BUF_INIT, got = FL_BUF_INIT;
    const char *id = NULL, *stream;

    make_request(json, true, &request);
    char *accept = memmem(request.data, request.len, "Accept: application/x-protobuf", 30);
    memcpy(accept, "Accept: application/json      ", 30);
    b.events = dial();
    write_all(b.events, request.data, request.len);
    while (!id || !memchr(id, '}', (size_t)(got.data + got.len - id))) {
        ssize_t n = read(b.events, fl_buf_reserve(&got, 65536), 65536);
        if (n <= 0)
            bench_fail("no subscription: %s", fl_buf_cstr(&got));
        got.len += (size_t)n;
        id = find(&got, id_key);
    }
    id += sizeof(id_key) - 1;
    stream = find(&got, stream_key) + sizeof(stream_key) - 1;
    fl_snprintf(b.framework_id, sizeof(b.framework_id), "%.*s", (int)strcspn(id, "\""), id);
    fl_snprintf(b.stream_id, sizeof(b.stream_id), "%.*s", (int)strcspn(stream, "\r"), stream);
}

/* ---- the load ---- */

struct client {
    size_t n_conns, sent, done, bad;
    struct fl_buf burst; /* DEPTH requests */
    size_t one;
    struct pollfd fds[MAX_CONNS + 1];
    char tail[MAX_CONNS][8]; /* of what a connection sent last: an answer may be cut anywhere */
};

/* Answers have no body: each is one status line. */
static size_t count_answers(struct client *c, size_t at, const char *p, size_t n)
{
    static const char start[] = "HTTP/1.1";
    size_t found = 0;
    char *tail = c->tail[at];
    size_t state = (size_t)tail[0];

    for (size_t i = 0; i < n; i++) {
        state = p[i] == start[state] ? state + 1 : p[i] == 'H';
        if (state == sizeof(start) - 1) {
            found++;
            state = 0;
            if (i + 4 < n && memcmp(p + i + 1, " 202", 4) != 0)
                c->bad++;
        }
    }
    tail[0] = (char)state;
    return found;
}

static void answered(struct client *c, size_t at)
{
    static char got[65536];
    ssize_t n = read(c->fds[at].fd, got, sizeof(got));
    if (n <= 0)
        bench_fail("the master closed a connection");
    size_t ends = count_answers(c, at, got, (size_t)n);
    size_t more = FL_MIN(ends, CALLS - c->sent);
    c->done += ends;
    c->sent += more;
    write_all(c->fds[at].fd, c->burst.data, more * c->one);
}

static void drop_events(void)
{
    static char got[1 << 20];
    ssize_t n = read(b.events, got, sizeof(got));
    if (n <= 0)
        bench_fail("the master closed the subscription");
}

/* CPU time of the master a call. */
static double run(size_t n_conns, const char *json, bool as_json)
{
    _cleanup_buf_ struct fl_buf request = FL_BUF_INIT;
    struct client *c = xnew0(struct client);

    make_request(json, as_json, &request);
    c->one = request.len;
    c->n_conns = n_conns;
    for (size_t i = 0; i < DEPTH; i++)
        fl_buf_add(&c->burst, request.data, request.len);
    for (size_t i = 0; i < n_conns; i++)
        c->fds[i] = (struct pollfd){.fd = dial(), .events = POLLIN};
    c->fds[n_conns] = (struct pollfd){.fd = b.events, .events = POLLIN};
    double cpu = bench_cpu_us(b.master.pid);
    for (size_t i = 0; i < n_conns; i++, c->sent += DEPTH)
        write_all(c->fds[i].fd, c->burst.data, c->burst.len);
    while (c->done < CALLS) {
        poll(c->fds, n_conns + 1, -1);
        if (c->fds[n_conns].revents)
            drop_events();
        for (size_t i = 0; i < n_conns; i++)
            if (c->fds[i].revents)
                answered(c, i);
    }
    cpu = (bench_cpu_us(b.master.pid) - cpu) / CALLS;
    if (c->bad)
        bench_fail("%zu calls were not answered with 202", c->bad);
    for (size_t i = 0; i < n_conns; i++)
        close(c->fds[i].fd);
    fl_buf_done(&c->burst);
    free(c);
    return cpu;
}

static void measure(const char *key, size_t n_conns, const char *call, bool as_json)
{
    _cleanup_free_ char *json =
        xasprintf("{\"framework_id\":{\"value\":\"%s\"},%s}", b.framework_id, call);

    for (int i = 0; i < RUNS; i++)
        printf("%s %.2f us\n", key, run(n_conns, json, as_json));
}

int main(void)
{
    static const char ack[] = "\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":{\"value\":"
                              "\"11111111-2222-3333-4444-"
                              "555555555555-S1\"},\"task_id\":{\"value\":\"task-1234-5\"},\"uuid\":"
                              "\"AAECAwQFBgcICQoLDA0ODw==\"}";
    static const char decline[] = "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":"
                                  "\"11111111-2222-3333-4444-555555555555-O12345\"}]}";
    static const char reconcile[] = "\"type\":\"RECONCILE\",\"reconcile\":{\"tasks\":[{\"task_id\":"
                                    "{\"value\":\"task-1234-5\"}}]}";

    bench_open("bench_calls");
    bench_master(&b.master);
    subscribe();
    measure("calls.ack_us", 1, ack, false);
    measure("calls.ack_100_us", 100, ack, false);
    measure("calls.ack_json_us", 1, ack, true);
    measure("calls.decline_us", 1, decline, false);
    measure("calls.reconcile_us", 1, reconcile, false);
    bench_close();
    return 0;
}
