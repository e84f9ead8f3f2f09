/* GET /health of a real master, from its I/O threads to its handler and back: 16 keep-alive connections, 16 requests under way on each.
 *   health.req_s        requests a second, this process beside the master on the same cores
 *   health.req_s_core   requests a second of the master's CPU time
 * bench_http measures the server alone.
 */
#include <poll.h>

#include "tests/bench/cluster.c"

enum { CONNECTIONS = 16, DEPTH = 16, REQUESTS = 100000, RUNS = 5, TIMEOUT_S = 60 };

static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
                              "User-Agent: bench\r\n\r\n";
static const char first_line[] = "HTTP/1.1 200 OK\r\n";

struct client {
    unsigned sent, answered;
    size_t matched; /* of `first_line`, at the end of what was read last */
};

static struct pollfd fds[CONNECTIONS];
static struct client clients[CONNECTIONS];

static void dial(size_t i, uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};

    fds[i] =
        (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN};
    if (fds[i].fd < 0 || connect(fds[i].fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        bench_fail("cannot connect to port %u: %s", port, strerror(errno));
}

/* As many requests as answers came, in one write: a window of DEPTH is small enough never to block. */
static void top_up(size_t i, unsigned *left)
{
    struct client *c = &clients[i];
    char out[DEPTH * sizeof(request)];
    size_t n = 0;

    while (c->sent - c->answered<DEPTH && * left> 0) {
        memcpy(out + n, request, sizeof(request) - 1);
        n += sizeof(request) - 1;
        c->sent++;
        --*left;
    }
    if (n > 0 && write(fds[i].fd, out, n) != (ssize_t)n)
        bench_fail("cannot write to the master: %s", strerror(errno));
}

/* Counts first lines; a line may be cut by the end of a read. No other text of an answer has one. */
static unsigned count_answers(struct client *c, const char *p, size_t n)
{
    unsigned found = 0;

    for (size_t i = 0; i < n; i++) {
        c->matched = p[i] == first_line[c->matched] ? c->matched + 1 : p[i] == first_line[0];
        if (c->matched == sizeof(first_line) - 1) {
            c->matched = 0;
            found++;
        }
    }
    return found;
}

static void run(unsigned requests)
{
    double end = bench_seconds() + TIMEOUT_S;
    unsigned left = requests, answered = 0;
    char in[16384];

    for (size_t i = 0; i < CONNECTIONS; i++)
        top_up(i, &left);
    while (answered < requests) {
        if (bench_seconds() > end)
            bench_fail("%u of %u requests answered after %d s", answered, requests, TIMEOUT_S);
        poll(fds, CONNECTIONS, 1000);
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = read(fds[i].fd, in, sizeof(in));
            if (n <= 0)
                bench_fail("the master closed a connection");
            unsigned k = count_answers(&clients[i], in, (size_t)n);
            clients[i].answered += k;
            answered += k;
            top_up(i, &left);
        }
    }
}

int main(void)
{
    struct bench_daemon master;

    bench_open("bench_health");
    bench_master(&master);
    for (size_t i = 0; i < CONNECTIONS; i++)
        dial(i, master.port);
    run(REQUESTS / 10);
    for (int r = 0; r < RUNS; r++) {
        double cpu = bench_cpu_us(master.pid), start = bench_seconds();
        run(REQUESTS);
        printf("health.req_s %.0f req/s\n", REQUESTS / (bench_seconds() - start));
        printf("health.req_s_core %.0f req/s\n", REQUESTS * 1e6 / (bench_cpu_us(master.pid) - cpu));
    }
    bench_close();
    return 0;
}
