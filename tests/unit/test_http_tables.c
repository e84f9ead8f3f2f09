/* I/O threads with file tables of their own: more connections than RLIMIT_NOFILE, on threads that are started as they are needed, and
 * nothing of one table in another. The clients are in a child process, whose limit is not lowered. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/http_fixture.h"

enum { LIMIT = 96, CLIENTS = 300 };

/* TSan takes equal numbers of descriptors in different tables for one descriptor. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:close\nrace:closedir\nrace:opendir\nrace:read\nrace:epoll_\n"
           "race:recv\nrace:send\nrace:connect\nrace:socket\n";
}

static void hello(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, HTTP_TEXT, "hello");
}

static const struct http_route routes[] = {{.path = "/hello", .handler = hello, .exact = true}};

static struct http_server_config config(unsigned io_threads)
{
    return (struct http_server_config){.ip = "127.0.0.1",
                                       .process_id = "master",
                                       .io_threads = io_threads,
                                       .limits = http_limits_default,
                                       .routes = routes,
                                       .n_routes = 1,
                                       .own_files = true};
}

/* ---- the child: as many connections as it is told, each asks once and stays open ---- */

static void ask(int fd)
{
    const char *text = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    char got[512];
    size_t n = 0;

    send_all(fd, text, strlen(text));
    while (n < sizeof(got) - 1) {
        ssize_t r = recv(fd, got + n, sizeof(got) - 1 - n, 0);
        if (r <= 0)
            _exit(3);
        n += (size_t)r;
        got[n] = '\0';
        if (strstr(got, "\r\n\r\nhello"))
            return;
    }
    _exit(4);
}

static void run_clients(int from, int to)
{
    static int fds[CLIENTS];
    uint16_t port;
    char go;

    while (read(from, &port, sizeof(port)) == sizeof(port)) {
        for (int i = 0; i < CLIENTS; i++)
            ask(fds[i] = dial(port));
        ck_assert_int_eq(write(to, "y", 1), 1);
        if (read(from, &go, 1) != 1)
            break;
        for (int i = 0; i < CLIENTS; i++)
            close(fds[i]);
        ck_assert_int_eq(write(to, "z", 1), 1);
    }
    _exit(0);
}

struct child {
    pid_t pid;
    int to, from;
};

static void fork_clients(struct child *c)
{
    int down[2], up[2];

    ck_assert_int_eq(pipe2(down, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(up, O_CLOEXEC), 0);
    c->pid = fork();
    ck_assert_int_ge(c->pid, 0);
    if (c->pid == 0) {
        close(down[1]);
        close(up[0]);
        run_clients(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    c->to = down[1];
    c->from = up[0];
}

static void wait_for(struct child *c, char what)
{
    char got = 0;

    ck_assert_int_eq(read(c->from, &got, 1), 1);
    ck_assert_int_eq(got, what);
}

static void reap(struct child *c)
{
    int status;

    close(c->to);
    ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
    ck_assert_int_eq(status, 0);
    close(c->from);
}

static void lower_limit(unsigned n)
{
    struct rlimit l = {n, n};

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &l), 0);
}

/* ---- tests ---- */

START_TEST(more_than_the_limit)
{
    struct http_server_config c = config(1);
    struct http_counters n;
    struct child child;
    struct fixture f;

    fork_clients(&child);
    lower_limit(LIMIT);
    fixture_start(&f, &c);
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(write(child.to, &f.port, sizeof(f.port)), sizeof(f.port));
        wait_for(&child, 'y');
        http_server_counters(f.server, &n);
        ck_assert_uint_eq(n.open_connections, CLIENTS);
        ck_assert_uint_eq(n.sockets, CLIENTS);
        ck_assert_uint_eq(n.refused_connections, 0);
        ck_assert_uint_eq(n.failed_threads, 0);
        ck_assert_uint_ge(n.io_threads, CLIENTS / LIMIT + 1);
        ck_assert_uint_le(n.io_threads, 8);
        ck_assert_int_eq(write(child.to, "n", 1), 1);
        wait_for(&child, 'z');
        for (int i = 0; i < 2000 && n.sockets > 0; i++) {
            usleep(2000);
            http_server_counters(f.server, &n);
        }
        ck_assert_uint_eq(n.sockets, 0);
    }
    reap(&child);
    fixture_stop(&f);
}
END_TEST

/* Threads that all have room share what comes. */
START_TEST(spread)
{
    struct http_server_config c = config(3);
    struct child child;
    struct fixture f;
    unsigned tables = 0;
    DIR *d;

    fork_clients(&child);
    fixture_start(&f, &c);
    ck_assert_int_eq(write(child.to, &f.port, sizeof(f.port)), sizeof(f.port));
    wait_for(&child, 'y');
    d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));) {
        char path[300];
        unsigned n = 0;
        DIR *fds;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/fd", e->d_name);
        ck_assert_ptr_nonnull(fds = opendir(path));
        while (readdir(fds))
            n++;
        closedir(fds);
        if (n > 60) {
            tables++;
            ck_assert_uint_le(n, CLIENTS / 3 + 60);
        }
    }
    closedir(d);
    ck_assert_uint_eq(tables, 3);
    reap(&child);
    fixture_stop(&f);
}
END_TEST

/* What the owner closes is closed: no table keeps a copy. */
START_TEST(nothing_of_others)
{
    struct http_server_config c = config(2);
    struct fixture f;
    int p[2];
    char x;

    ck_assert_int_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    fixture_start(&f, &c);
    ck_assert_int_eq(read(p[0], &x, 1), -1); /* somebody could still write */
    close(p[1]);
    ck_assert_int_eq(read(p[0], &x, 1), 0);
    close(p[0]);
    fixture_stop(&f);
}
END_TEST

START_TEST(port_is_taken)
{
    struct http_server_config c = config(2);
    struct http_server *second = NULL;
    struct fl_err err = {0};
    struct fixture f;

    fixture_start(&f, &c);
    c.port = f.port;
    ck_assert_int_lt(http_server_new(f.loop, &c, &second, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "is another process there?"));
    fixture_stop(&f);
    /* And free again, in every table, as soon as the server is gone. */
    fixture_start(&f, &c);
    fixture_stop(&f);
}
END_TEST

static struct {
    uint16_t port;
    atomic_bool stop;
    atomic_uint answered;
} knocker;

/* Somebody who waits for a daemon to come back (an executor whose agent was killed) is there with its first breath. */
static void *knock(void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(knocker.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    while (!atomic_load(&knocker.stop)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char got[16];
        const char *text = "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n";
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
            send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && recv(fd, got, sizeof(got), 0) > 0)
            atomic_fetch_add(&knocker.answered, 1);
        close(fd);
    }
    return NULL;
}

START_TEST(asked_while_it_starts)
{
    struct http_server_config c = config(3);
    struct fixture f;
    pthread_t thread;

    c.own_files = _i;
    fixture_start(&f, &c);
    knocker.port = c.port = f.port;
    fixture_stop(&f);
    ck_assert_int_eq(pthread_create(&thread, NULL, knock, NULL), 0);
    for (int i = 0; i < 60; i++) {
        unsigned before = atomic_load(&knocker.answered);
        fixture_start(&f, &c);
        while (atomic_load(&knocker.answered) < before + 3)
            usleep(200);
        fixture_stop(&f);
    }
    atomic_store(&knocker.stop, true);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_tables");
    TCase *t = tcase_create("tables");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, more_than_the_limit);
    tcase_add_test(t, spread);
    tcase_add_test(t, nothing_of_others);
    tcase_add_test(t, port_is_taken);
    tcase_add_loop_test(t, asked_while_it_starts, 0, 2);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
