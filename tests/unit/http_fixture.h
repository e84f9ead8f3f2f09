/* A server on a thread of its own, and plain blocking sockets to talk to it, for the HTTP tests. */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/base/http.h"

struct fixture {
    struct fl_loop *loop;
    struct http_server *server;
    pthread_t thread;
    uint16_t port;
};

static void *fixture_run(void *arg)
{
    struct fixture *f = arg;
    fl_loop_run(f->loop);
    return NULL;
}

static inline void fixture_start(struct fixture *f, const struct http_server_config *c)
{
    struct fl_err err = {0};
    ck_assert_int_eq(fl_loop_new(&f->loop, &err), 0);
    ck_assert_msg(http_server_new(f->loop, c, &f->server, &err) == 0, "%s", err.msg);
    f->port = http_server_port(f->server);
    ck_assert_int_eq(pthread_create(&f->thread, NULL, fixture_run, f), 0);
}

static inline void fixture_stop(struct fixture *f)
{
    fl_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    http_server_free(f->server);
    fl_loop_free(f->loop);
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval tv = {.tv_sec = 8};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void send_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        if (done <= 0)
            return; /* the server may have refused: what it answered is looked at */
        at += done;
        n -= (size_t)done;
    }
}

static inline void send_text(int fd, const char *s)
{
    send_all(fd, s, strlen(s));
}

/* Reads until `end` was seen (NULL: end of file). Heap memory; fails the test on a timeout. */
static char *read_until(int fd, const char *end)
{
    struct fl_buf b = FL_BUF_INIT;
    for (;;) {
        if (end && b.len >= strlen(end) && memmem(b.data, b.len, end, strlen(end)) != NULL)
            break;
        ssize_t n = recv(fd, fl_buf_reserve(&b, 65536), 65536, 0);
        if (n < 0 && errno == ECONNRESET && !end)
            break;
        ck_assert_msg(n >= 0, "recv: %s; so far: %s", strerror(errno), fl_buf_cstr(&b));
        if (n == 0) {
            ck_assert_msg(!end, "end of file before '%s'; so far: %s", end, fl_buf_cstr(&b));
            break;
        }
        b.len += (size_t)n;
    }
    return fl_buf_take(&b);
}

/* One connection, one send, everything that comes until the server closes. */
static inline char *talk(uint16_t port, const char *bytes, size_t n)
{
    int fd = dial(port);
    send_all(fd, bytes, n);
    char *got = read_until(fd, NULL);
    close(fd);
    return got;
}

static inline size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

#endif
