/* Clients of bench_serving.py, a process of its own so that their work is not counted as the master's. One thread with epoll.
 *
 *   serving_clients PORT subscribe N     N readers of SUBSCRIBE (protobuf). Of each, every chunk must be one whole RecordIO record.
 *   serving_clients PORT state N PAUSE   N clients that ask for /state on a connection each, again PAUSE ms after the answer's end
 *
 * "ready" is printed when all subscribers have their SUBSCRIBED event. SIGUSR1: a line of numbers, counted from the one before; SIGTERM: the end.
 * Lines: "events N bytes N open N added_min N added_max N updated_min N updated_max N broken N", and
 * "answers N mean_us N p50_us N p99_us N max_us N bytes N failed N". Minima and maxima of events are over the open streams, since the beginning.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 10000, MAX_TIMES = 1 << 20, EVENT_TYPES = 16 };
enum { EVENT_SUBSCRIBED = 1, EVENT_TASK_ADDED = 2, EVENT_TASK_UPDATED = 3 };
enum part { HEAD, SIZE, RECORD_LINE, TYPE, REST, TAIL };

struct client {
    int fd;
    enum part part;
    unsigned matched, at;  /* of the head's end; bytes of the event's type seen */
    uint64_t left, record; /* of the chunk; what the record's line says */
    uint64_t count[EVENT_TYPES];
    uint64_t began_us, due_us; /* state: when asked; when to ask again, or 0 */
    uint64_t length;
    char line[40]; /* state: a header line */
    unsigned line_len;
    bool broken;
};

static struct client clients[MAX_CLIENTS];
static unsigned n_clients, n_open, n_subscribed, n_broken, n_failed;
static uint64_t n_events, n_bytes, pause_us;
static uint32_t times[MAX_TIMES];
static unsigned n_times;
static char request[512], room[1 << 20];
static int ep;
static bool states;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The digits that a text begins with. */
static uint64_t number(const char *s)
{
    uint64_t n = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (uint64_t)(*s - '0');
    return n;
}

static void end(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    n_open--;
}

static void ask(struct client *c)
{
    c->began_us = now_us();
    c->due_us = 0;
    c->part = HEAD;
    c->matched = 0;
    if (write(c->fd, request, strlen(request)) < 0)
        end(c);
}

static void dial(struct client *c, uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    n_open++;
    ask(c);
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

/* ---- events ---- */

static void broken(struct client *c)
{
    n_broken += !c->broken;
    c->broken = true;
}

static int hex(char ch)
{
    return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static void event(struct client *c, unsigned type)
{
    n_events++;
    c->count[type % EVENT_TYPES]++;
    if (type == EVENT_SUBSCRIBED) {
        n_subscribed++;
        if (n_subscribed == n_clients)
            puts("ready");
        fflush(stdout);
    }
}

/* One byte that is not of an event's rest. */
static void event_byte(struct client *c, char ch)
{
    static const char head_end[] = "\r\n\r\n";
    switch (c->part) {
    case HEAD:
        c->matched = ch == head_end[c->matched] ? c->matched + 1 : ch == '\r';
        if (c->matched == 4)
            c->part = SIZE;
        break;
    case SIZE:
        if (ch == '\n') {
            c->part = RECORD_LINE;
            c->record = 0;
        } else if (hex(ch) >= 0) {
            c->left = c->left * 16 + (uint64_t)hex(ch);
        } else if (ch != '\r') {
            broken(c);
        }
        break;
    case RECORD_LINE:
        c->left--;
        if (ch != '\n') {
            c->record = c->record * 10 + (uint64_t)(ch - '0');
            break;
        }
        if (c->record != c->left)
            broken(c); /* a chunk is not a record */
        c->part = TYPE;
        c->at = 0;
        break;
    case TYPE: /* field 1, a number below 128 */
        c->left--;
        if (c->at++ == 1) {
            event(c, (unsigned char)ch);
            c->part = REST;
        } else if (ch != 8) {
            broken(c);
        }
        break;
    case REST:
    case TAIL:
        if (ch == '\n') {
            c->part = SIZE;
            c->left = 0;
        } else if (ch != '\r') {
            broken(c);
        }
        break;
    }
}

static void events(struct client *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n && !c->broken;) {
        if (c->part == REST && c->left > 0) {
            uint64_t skip = c->left < n - i ? c->left : n - i;
            c->left -= skip;
            i += skip;
            continue;
        }
        event_byte(c, p[i++]);
    }
}

/* ---- /state ---- */

static void answered(struct client *c)
{
    uint64_t now = now_us();
    if (n_times < MAX_TIMES)
        times[n_times++] = (uint32_t)(now - c->began_us);
    c->due_us = now + pause_us;
    if (pause_us == 0)
        ask(c);
}

static void header_line(struct client *c)
{
    static const char length[] = "Content-Length: ";
    c->line[c->line_len] = 0;
    if (strncmp(c->line, "HTTP/", 5) == 0 && !strstr(c->line, " 200 "))
        n_failed++;
    if (strncasecmp(c->line, length, sizeof length - 1) == 0)
        c->left = number(c->line + sizeof length - 1);
    if (c->line_len == 0)
        c->part = REST;
    c->line_len = 0;
}

static void state(struct client *c, const char *p, size_t n)
{
    for (; n > 0 && c->part == HEAD; p++, n--) {
        if (*p == '\n')
            header_line(c);
        else if (*p != '\r' && c->line_len < sizeof c->line - 1)
            c->line[c->line_len++] = *p;
    }
    if (c->part != REST)
        return;
    c->left -= n < c->left ? n : c->left;
    if (c->left == 0)
        answered(c);
}

/* ---- numbers ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void tell_states(void)
{
    uint64_t sum = 0;
    qsort(times, n_times, sizeof times[0], by_value);
    for (unsigned i = 0; i < n_times; i++)
        sum += times[i];
    unsigned last = n_times ? n_times - 1 : 0;
    printf("answers %u mean_us %.0f p50_us %u p99_us %u max_us %u bytes %lu failed %u open %u\n",
           n_times, n_times ? (double)sum / n_times : 0.0, times[n_times / 2],
           times[n_times * 99ul / 100], times[last], (unsigned long)n_bytes, n_failed, n_open);
    n_times = 0;
}

static void tell_events(void)
{
    uint64_t low[EVENT_TYPES], high[EVENT_TYPES] = {0};
    memset(low, 0xff, sizeof low);
    for (unsigned i = 0; i < n_clients; i++)
        for (unsigned t = 0; clients[i].fd >= 0 && t < EVENT_TYPES; t++) {
            uint64_t n = clients[i].count[t];
            low[t] = n < low[t] ? n : low[t];
            high[t] = n > high[t] ? n : high[t];
        }
    printf("events %lu bytes %lu open %u added_min %ld added_max %lu updated_min %ld updated_max "
           "%lu broken %u\n",
           (unsigned long)n_events, (unsigned long)n_bytes, n_open, (long)low[EVENT_TASK_ADDED],
           (unsigned long)high[EVENT_TASK_ADDED], (long)low[EVENT_TASK_UPDATED],
           (unsigned long)high[EVENT_TASK_UPDATED], n_broken);
    n_events = 0;
}

static void tell(void)
{
    if (states)
        tell_states();
    else
        tell_events();
    n_bytes = 0;
    fflush(stdout);
}

/* ---- the loop ---- */

static void readable(struct client *c)
{
    ssize_t n = recv(c->fd, room, sizeof room, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        end(c);
        return;
    }
    n_bytes += (uint64_t)n;
    if (states)
        state(c, room, (size_t)n);
    else
        events(c, room, (size_t)n);
}

static void ask_due(void)
{
    uint64_t now = now_us();
    for (unsigned i = 0; i < n_clients; i++)
        if (clients[i].fd >= 0 && clients[i].due_us && clients[i].due_us <= now)
            ask(&clients[i]);
}

static bool on_signal(int fd)
{
    struct signalfd_siginfo s;
    if (read(fd, &s, sizeof s) != sizeof s || s.ssi_signo == SIGTERM)
        return false;
    tell();
    return true;
}

static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    return fd;
}

static void make_request(void)
{
    static const char body[] = "{\"type\":\"SUBSCRIBE\"}";
    if (states)
        snprintf(request, sizeof request, "GET /state HTTP/1.1\r\nHost: bench\r\n\r\n");
    else
        snprintf(request, sizeof request,
                 "POST /api/v1 HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                 "Accept: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n%s",
                 sizeof body - 1, body);
}

int main(int argc, char **argv)
{
    struct epoll_event ev[256];
    if (argc < 4)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a run that fails leaves nobody behind */
    ep = epoll_create1(EPOLL_CLOEXEC);
    states = strcmp(argv[2], "state") == 0;
    n_clients = (unsigned)number(argv[3]);
    if (n_clients > MAX_CLIENTS)
        return 2;
    pause_us = argc > 4 ? 1000 * number(argv[4]) : 0;
    int signals = watch_signals();
    make_request();
    for (unsigned i = 0; i < n_clients; i++)
        dial(&clients[i], (uint16_t)number(argv[1]));
    for (;;) {
        int n = epoll_wait(ep, ev, 256, pause_us ? 10 : -1);
        for (int i = 0; i < n; i++) {
            struct client *c = ev[i].data.ptr;
            if (!c && !on_signal(signals))
                return 0;
            if (c && c->fd >= 0)
                readable(c);
        }
        if (pause_us)
            ask_due();
    }
}
