/* What showing the state costs.
 *
 * A core with AGENTS agents and TASKS tasks, half of them completed, without sockets; in CPU time of the writing thread, bytes going into a
 * memfd in pieces, as the snapshot's process does it:
 *   state.gb_s, state.pb_gb_s, state.legacy_gb_s   GET_STATE in JSON and protobuf, /state
 *   state.hold_us                                  longest time the core stood still for a snapshot of it: fork and all
 * A core of 20,000 tasks behind the real HTTP server (two I/O threads), clients in processes of their own, wall time:
 *   state.client1_ms, state.clients20_ms           mean of GET /state, one client and twenty
 *   health.p99_ms                                  of 1,000 GET /health while the twenty read
 *
 * Arguments: agents and tasks of the first part; 40000 and 800000 when there are none. A third one, of any text, leaves the clients
 * out. */
#define W_NO_CHECK
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "common/base/log.h"
#include "master/api/state_fork.h"
#include "master/core.h"
#include "tests/unit/master_world.h"

enum { RUNS = 3, CLIENTS = 20, GETS = 15, PROBES = 1000 };

static struct world w;
static struct {
    store_done_f *done;
    void *arg;
} stores[64];
static size_t n_stores;

static double clock_us(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void result(const char *key, double value, const char *unit)
{
    printf("%s %.4g %s\n", key, value, unit);
    fflush(stdout);
}

/* ---- the world ---- */

static void on_agent_send(void *ctx, void *peer, const ProtobufCMessage *m)
{
}

static void on_framework_send(void *ctx, void *stream, const Sched__Event *ev)
{
    if (ev->type == SCHED__EVENT__TYPE__SUBSCRIBED)
        fl_snprintf(w.fid, sizeof(w.fid), "%s", ev->subscribed->framework_id->value);
}

static void nothing(void *ctx, void *who)
{
}

static void store(void *ctx, const struct store_op *ops, size_t n, store_done_f *done, void *arg)
{
    if (n_stores == ARRAY_SIZE(stores))
        abort();
    stores[n_stores].done = done;
    stores[n_stores++].arg = arg;
}

static void complete(void)
{
    for (size_t i = 0; i < n_stores; i++)
        if (stores[i].done)
            stores[i].done(NULL, stores[i].arg);
    n_stores = 0;
}

static const struct master_io quiet_io = {
    on_agent_send, nothing, on_framework_send, nothing, w_publish, store, w_fatal};

static void add_task(struct fl_buf *b, unsigned agent, unsigned task, bool completed)
{
    fl_buf_addf(b,
                "%s{\"name\":\"task of job %u\",\"task_id\":{\"value\":\"job-%06u.task-%08u\"},"
                "\"framework_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s-S%u\"},"
                "\"state\":\"%s\",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":"
                "{\"value\":%g},\"allocation_info\":{\"role\":\"*\"}},{\"name\":\"mem\",\"type\":"
                "\"SCALAR\",\"scalar\":{\"value\":%u},\"allocation_info\":{\"role\":\"*\"}}],"
                "\"labels\":{\"labels\":[{\"key\":\"job\",\"value\":\"%u\"}]},\"statuses\":[",
                task % 20 ? "," : "", task % 1000, task % 1000, task, w.fid, w.m->id, agent,
                completed ? "TASK_FINISHED" : "TASK_RUNNING", 0.1 * (1 + task % 8),
                32 * (1 + task % 5), task % 1000);
    for (int i = 0; i <= completed; i++)
        fl_buf_addf(b,
                    "%s{\"task_id\":{\"value\":\"job-%06u.task-%08u\"},\"state\":\"%s\","
                    "\"agent_id\":{\"value\":\"%s-S%u\"},\"timestamp\":%u.%06u,\"executor_id\":"
                    "{\"value\":\"job-%06u.task-%08u\"},\"source\":\"SOURCE_EXECUTOR\",\"uuid\":"
                    "\"" W_UUID "\",\"container_status\":{\"network_infos\":[{\"ip_addresses\":["
                    "{\"protocol\":\"IPv4\",\"ip_address\":\"10.%u.%u.%u\"}]}],\"container_id\":"
                    "{\"value\":\"%08x-2f5c-4f0e-9f39-6d9d2e2c5a10\"}}}",
                    i ? "," : "", task % 1000, task, i ? "TASK_FINISHED" : "TASK_RUNNING", w.m->id,
                    agent, 1700000000 + task % 1000, task % 1000000, task % 1000, task, agent >> 16,
                    agent >> 8 & 255, agent & 255, task);
    fl_buf_adds(b, "]}");
}

static void add_agent(unsigned agent, unsigned n_tasks)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_arena *arena = fl_arena_new(64 * 1024);
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};
    char address[64];

    fl_buf_addf(&b,
                "{\"slave\":{\"hostname\":\"node-%u.example.com\",\"port\":5051,\"id\":{\"value\":"
                "\"%s-S%u\"},\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{"
                "\"value\":\"r%u\"}}],\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
                "\"scalar\":{\"value\":64}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{"
                "\"value\":262144}},{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":["
                "{\"begin\":31000,\"end\":32000}]}}]},\"version\":\"1.11.0\","
                "\"agent_capabilities\":" W_AGENT_CAPS ",\"tasks\":[",
                agent, w.m->id, agent, agent % 100);
    for (unsigned i = 0; i < n_tasks; i++)
        add_task(&b, agent, agent * 20 + i, i % 2);
    fl_buf_adds(&b, "]}");
    if (fl_json_to_pb(b.data, b.len, &msg__reregister_slave_message__descriptor, 0,
                      fl_arena_allocator(arena), &m, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    fl_snprintf(address, sizeof(address), "10.%u.%u.%u:40000", agent >> 16, agent >> 8 & 255,
                agent & 255);
    master_agent_message(w.m, (void *)(uintptr_t)(agent + 1), address, m);
    complete();
    fl_arena_free(arena);
}

static void make_world(unsigned agents, unsigned tasks)
{
    static const char *const flags[] = {"--max_completed_tasks_per_framework=1000000",
                                        "--agent_reregister_timeout=10days", NULL};
    struct task *t, *next;

    w_init(&w, flags);
    w.env.io = &quiet_io;
    w_subscribe(&w, "s1", ",\"checkpoint\":true,\"failover_timeout\":1000");
    for (unsigned i = 0; i < agents; i++)
        add_agent(i, tasks / agents);
    for (t = w.m->frameworks->tasks; t; t = next) {
        next = t->hh.next;
        if (t->state == V1__TASK_STATE__TASK_FINISHED)
            task_remove(w.m, t, false);
    }
    if (HASH_COUNT(w.m->agents) != agents || w.m->frameworks->n_completed != tasks / 2) {
        fprintf(stderr, "%u agents, %u tasks, %u completed\n", HASH_COUNT(w.m->agents),
                HASH_COUNT(w.m->frameworks->tasks), w.m->frameworks->n_completed);
        abort();
    }
}

/* ---- writing ---- */

struct sink {
    int fd;
    off_t at;
};

static void spill(struct state_out *o)
{
    struct sink *s = o->spill_arg;

    if (pwrite(s->fd, o->buf.data, o->buf.len, s->at) != (ssize_t)o->buf.len)
        abort();
    s->at += (off_t)o->buf.len;
    o->spilled += o->buf.len;
    fl_buf_clear(&o->buf);
}

static void bench_view(const char *key, const struct state_view *view, enum api_encoding encoding,
                       struct master_api *api, struct task_writer *tasks)
{
    struct state_request rq = {
        .view = view, .encoding = encoding, .query = (char *)"", .path_rest = (char *)""};

    for (int run = 0; run < RUNS; run++) {
        struct sink s = {.fd = memfd_create("bench", MFD_CLOEXEC)};
        struct state_out o = {
            .api = api, .rq = &rq, .tasks = tasks, .spill = spill, .spill_arg = &s};
        double begun = clock_us(CLOCK_THREAD_CPUTIME_ID);

        state_write(&o);
        spill(&o);
        result(key, (double)s.at / 1e3 / (clock_us(CLOCK_THREAD_CPUTIME_ID) - begun), "GB/s");
        if (run == 0)
            fprintf(stderr, "%s: %.1f MB\n", key, (double)s.at / 1e6);
        state_out_done(&o);
        close(s.fd);
    }
}

static void on_child(void *arg, const struct state_child_result *r, const struct fl_err *err)
{
    if (!r->bytes) {
        fprintf(stderr, "%s\n", err->msg);
        abort();
    }
    fprintf(stderr, "snapshot: %.1f MB in %.1f ms\n", (double)fl_region_len(r->bytes) / 1e6,
            (double)r->write_us / 1e3);
    fl_region_unref(r->bytes);
    *(bool *)arg = true;
}

/* While the child writes, the parent goes on changing what it shares with it, as a busy core would. */
static void bench_hold(struct master_api *api, struct task_writer *tasks)
{
    struct fl_loop *loop;
    _Atomic size_t held = 0;
    struct fl_err err;

    if (fl_loop_new(&loop, &err) < 0)
        abort();
    for (int run = 0; run < RUNS; run++) {
        bool done = false;
        struct state_request rq = {
            .view = &state_view_state, .query = (char *)"", .path_rest = (char *)""};
        struct state_child_config c = {.loop = loop,
                                       .api = api,
                                       .rq = &rq,
                                       .tasks = tasks,
                                       .max_bytes = SIZE_MAX,
                                       .timeout_s = 60,
                                       .held = &held,
                                       .done = on_child,
                                       .arg = &done};
        struct state_child *child;
        double begun = clock_us(CLOCK_MONOTONIC);

        if (state_child_new(&c, &child, &err) < 0)
            abort();
        result("state.hold_us", clock_us(CLOCK_MONOTONIC) - begun, "us");
        while (!done)
            fl_loop_run_once(loop);
        state_child_free(child);
    }
    fl_loop_free(loop);
}

/* ---- over HTTP ---- */

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        _exit(1);
    return fd;
}

/* One request and its whole answer. */
static void get(int fd, const char *request)
{
    static char buf[512 * 1024];
    size_t have = 0, want = SIZE_MAX;

    if (write(fd, request, strlen(request)) < 0)
        _exit(1);
    while (have < want) {
        ssize_t n = read(fd, buf + (want == SIZE_MAX ? have : 0),
                         sizeof(buf) - 1 - (want == SIZE_MAX ? have : 0));
        char *end, *length;

        if (n <= 0)
            _exit(1);
        have += (size_t)n;
        buf[FL_MIN(have, sizeof(buf) - 1)] = '\0';
        if (want == SIZE_MAX && (end = strstr(buf, "\r\n\r\n"))) {
            uint64_t v = 0;
            length = strstr(buf, "Content-Length: ");
            for (char *p = length + 16; *p >= '0' && *p <= '9'; p++)
                v = v * 10 + (uint64_t)(*p - '0');
            want = (size_t)(end + 4 - buf) + v;
        }
    }
}

/* In a process of its own: `n` times, each time in microseconds into `us`. */
static pid_t client(uint16_t port, const char *request, unsigned n, unsigned pause_us, double *us)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    int fd = dial(port);
    for (unsigned i = 0; i < n; i++) {
        double begun = clock_us(CLOCK_MONOTONIC);
        get(fd, request);
        us[i] = clock_us(CLOCK_MONOTONIC) - begun;
        if (pause_us)
            usleep(pause_us);
    }
    _exit(0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double mean(const double *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

#define GET_STATE  "GET /state HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

static void tick(void *arg)
{
}

/* Runs the loop until these processes have ended. */
static void serve(struct fl_loop *loop, const pid_t *pids, size_t n)
{
    size_t left = n;
    bool gone[CLIENTS + 1] = {false};
    struct fl_timer *timer = fl_timer_new(loop, tick, NULL);

    while (left > 0) {
        fl_timer_set(timer, 5000);
        fl_loop_run_once(loop);
        for (size_t i = 0; i < n; i++) {
            int status;
            if (!gone[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
                if (status != 0)
                    abort();
                gone[i] = true;
                left--;
            }
        }
    }
    fl_timer_free(timer);
}

static void bench_http(void)
{
    struct master_api api = {.master = w.m, .flags = w.table};
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "master",
                                   .io_threads = 2,
                                   .limits = http_limits_default,
                                   .routes = master_routes,
                                   .n_routes = master_routes_n,
                                   .arg = &api};
    double *us = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double *health = us + 100000;
    pid_t pids[CLIENTS + 1];
    struct http_server *server;
    struct fl_loop *loop;
    struct fl_err err;

    if (us == MAP_FAILED || fl_loop_new(&loop, &err) < 0 ||
        http_server_new(loop, &c, &server, &err) < 0)
        abort();
    for (int run = 0; run < RUNS; run++) {
        uint16_t port = http_server_port(server);

        pids[0] = client(port, GET_STATE, GETS, 0, us);
        serve(loop, pids, 1);
        result("state.client1_ms", mean(us, GETS) / 1e3, "ms");
        for (unsigned i = 0; i < CLIENTS; i++)
            pids[i] = client(port, GET_STATE, GETS, 0, us + i * GETS);
        pids[CLIENTS] = client(port, GET_HEALTH, PROBES, 1000, health);
        serve(loop, pids, CLIENTS + 1);
        result("state.clients20_ms", mean(us, CLIENTS * GETS) / 1e3, "ms");
        qsort(health, PROBES, sizeof(*health), by_value);
        result("health.p99_ms", health[PROBES * 99 / 100] / 1e3, "ms");
        fprintf(stderr, "health: p50 %.3f ms, max %.3f ms\n", health[PROBES / 2] / 1e3,
                health[PROBES - 1] / 1e3);
    }
    http_server_free(server);
    state_free(&api);
    fl_loop_free(loop);
}

/* ---- all of it ---- */

static void free_world(void)
{
    complete();
    master_free(w.m);
    metrics_free(w.metrics);
    fl_flags_free(w.table);
    memset(&w, 0, sizeof(w));
}

int main(int argc, char **argv)
{
    uint64_t agents = 40000, tasks = 800000;
    struct master_api api = {0};
    struct task_writer *writer = task_writer_new();

    fl_log_set_level(FL_LOG_ERROR);
    if (argc >= 3 && (fl_parse_u64(argv[1], &agents) < 0 || fl_parse_u64(argv[2], &tasks) < 0))
        return EXIT_FAILURE;
    if (argc < 4) {
        make_world(2000, 20000);
        bench_http();
        free_world();
    }
    make_world((unsigned)agents, (unsigned)tasks);
    fprintf(stderr, "heap: %.0f MB\n", (double)mallinfo2().uordblks / 1e6);
    api.master = w.m;
    api.flags = w.table;
    bench_view("state.gb_s", &state_view_get_state, API_JSON, &api, writer);
    bench_view("state.pb_gb_s", &state_view_get_state, API_PROTOBUF, &api, writer);
    bench_view("state.legacy_gb_s", &state_view_state, API_JSON, &api, writer);
    bench_hold(&api, writer);
    free_world();
    task_writer_free(writer);
    return EXIT_SUCCESS;
}
