/* What the HTTP server costs, counted in processor time of its threads; the clients are a process of their own. Each
 * figure is measured five times, each time is a line (tools/bench.py takes the medians):
 *   http.req_s_core              GET /health on 16 keep-alive connections, 16 requests under way on each
 *   http.req_s_core_threads      the same with two I/O threads
 *   http.req_s_core_unpipelined  the same, one request under way on each
 *   http.events_s                events of 300 bytes delivered to 1000 streaming answers, one write each
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "common/base/http.h"

#define RUNS        5
#define CONNECTIONS 16
#define DEPTH       16 /* requests under way on each connection */
#define REQUESTS    200000

#define SUBSCRIBERS 1000
#define EVENTS      200 /* to each */
#define EVENT_SIZE  300

static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1:5050\r\nAccept: */*\r\n"
                              "User-Agent: bench\r\n\r\n";

static void health(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, NULL, "");
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        _exit(1);
    }
    return fd;
}

static size_t count_ends(const char *p, size_t n, unsigned *state)
{
    static const char end[] = "\r\n\r\n";
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        *state = p[i] == end[*state] ? *state + 1 : p[i] == '\r';
        if (*state == 4) {
            found++;
            *state = 0;
        }
    }
    return found;
}

/* The client process: keeps DEPTH requests under way on each connection until all are answered. */
static void run_client(uint16_t port, size_t depth)
{
    struct pollfd fds[CONNECTIONS];
    unsigned state[CONNECTIONS] = {0};
    char burst[sizeof request * DEPTH], got[65536];
    size_t one = sizeof request - 1, done = 0, sent = 0;
    for (size_t i = 0; i < depth; i++)
        memcpy(burst + i * one, request, one);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = dial(port), .events = POLLIN};
        sent += depth;
        if (write(fds[i].fd, burst, one * depth) != (ssize_t)(one * depth))
            _exit(1);
    }
    while (done < REQUESTS) {
        poll(fds, CONNECTIONS, -1);
        for (int i = 0; i < CONNECTIONS; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = read(fds[i].fd, got, sizeof got);
            if (n <= 0)
                _exit(1);
            size_t ends = count_ends(got, (size_t)n, &state[i]);
            done += ends;
            size_t more = sent < REQUESTS ? FL_MIN(ends, REQUESTS - sent) : 0;
            sent += more;
            if (more && write(fds[i].fd, burst, one * more) != (ssize_t)(one * more))
                _exit(1);
        }
    }
    _exit(0);
}

struct server {
    struct fl_loop *loop;
    struct http_server *http;
    struct http_stream *subscribers[SUBSCRIBERS];
    size_t n_subscribers, n_events;
};

static void push_event(void *arg)
{
    static const char event[EVENT_SIZE] = "event";
    struct server *s = arg;
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        http_stream_write(s->subscribers[i], event, sizeof event);
        if (s->n_events == EVENTS - 1)
            http_stream_end(s->subscribers[i]);
    }
    if (++s->n_events < EVENTS)
        fl_loop_post(s->loop, push_event, s);
}

static void subscribe(struct http_exchange *ex, void *arg)
{
    struct server *s = arg;
    s->subscribers[s->n_subscribers++] = http_respond_stream(ex, 200, "text/plain", NULL, NULL);
    if (s->n_subscribers == SUBSCRIBERS)
        fl_loop_post(s->loop, push_event, s);
}

/* Reads all streams to their end. */
static void run_subscribers(uint16_t port, size_t depth)
{
    static const char ask[] = "GET /events HTTP/1.1\r\nConnection: close\r\n\r\n";
    static struct pollfd fds[SUBSCRIBERS];
    static char got[1 << 20];
    for (int i = 0; i < SUBSCRIBERS; i++) {
        fds[i] = (struct pollfd){.fd = dial(port), .events = POLLIN};
        if (write(fds[i].fd, ask, sizeof ask - 1) < 0)
            _exit(1);
    }
    for (int open = SUBSCRIBERS; open > 0;) {
        poll(fds, SUBSCRIBERS, -1);
        for (int i = 0; i < SUBSCRIBERS; i++)
            if (fds[i].revents && read(fds[i].fd, got, sizeof got) <= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
                open--;
            }
    }
    _exit(0);
}

static const struct http_route routes[] = {{.path = "/health", .handler = health},
                                           {.path = "/state", .handler = health},
                                           {.path = "/slaves", .handler = health},
                                           {.path = "/events", .handler = subscribe}};

static void *run_server(void *arg)
{
    fl_loop_run(((struct server *)arg)->loop);
    return NULL;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct figure {
    const char *name, *unit;
    void (*client)(uint16_t port, size_t depth);
    unsigned io_threads;
    size_t depth, total;
};

static double one_run(const struct figure *f)
{
    struct server s = {0};
    struct fl_err err;
    pthread_t thread;
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "master",
                                   .io_threads = f->io_threads,
                                   .limits = http_limits_default,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .arg = &s};
    if (fl_loop_new(&s.loop, &err) < 0 || http_server_new(s.loop, &c, &s.http, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    pid_t pid = fork(); /* before our thread starts; those of the server stay with the parent */
    if (pid == 0)
        f->client(http_server_port(s.http), f->depth);
    double before = cpu_s();
    pthread_create(&thread, NULL, run_server, &s);
    int status = 1;
    waitpid(pid, &status, 0);
    double used = cpu_s() - before;
    fl_loop_stop(s.loop);
    pthread_join(thread, NULL);
    http_server_free(s.http);
    fl_loop_free(s.loop);
    return status == 0 ? (double)f->total / used : -1;
}

int main(void)
{
    static const struct figure figures[] = {
        {"http.req_s_core", "req/s", run_client, 0, DEPTH, REQUESTS},
        {"http.req_s_core_threads", "req/s", run_client, 2, DEPTH, REQUESTS},
        {"http.req_s_core_unpipelined", "req/s", run_client, 0, 1, REQUESTS},
        {"http.events_s", "events/s", run_subscribers, 0, 0, SUBSCRIBERS * EVENTS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
        for (int run = 0; run < RUNS; run++) {
            double v = one_run(&figures[i]);
            if (v < 0)
                return 1;
            printf("%s %.0f %s\n", figures[i].name, v, figures[i].unit);
            fflush(stdout);
        }
    return 0;
}
