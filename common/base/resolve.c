/* getaddrinfo(3) blocks, and libevent's own resolver does not know nsswitch.conf: so a short-lived
 * thread a lookup, that posts its answer to the loop's letter box. The request belongs to the
 * thread until it has posted, then to the loop. */
#include "common/base/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "common/base/loop_priv.h"

#define MAX_LOOKUPS 64

struct resolve {
    char *host; /* owned */
    uint16_t port;
    struct fl_box *box;   /* the thread's reference, which outlives the request */
    struct fl_loop *loop; /* borrowed; the loop's thread only */
    resolve_f *fn;        /* the loop's thread only; NULL when cancelled */
    void *arg;
    struct sockaddr_storage *addrs; /* owned */
    size_t n;
    int gai; /* getaddrinfo's answer */
};

socklen_t resolve_addr_len(const struct sockaddr_storage *ss)
{
    return ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

int resolve_numeric(const char *host, uint16_t port, struct sockaddr_storage *ret_addr)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    *ret_addr = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
        memcpy(ret_addr, &in, sizeof in);
    else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
        memcpy(ret_addr, &in6, sizeof in6);
    else
        return -EINVAL;
    return 0;
}

static void resolve_free(struct resolve *r)
{
    free(r->host);
    free(r->addrs);
    free(r);
}

static void deliver(void *arg)
{
    struct resolve *r = arg;
    struct fl_err err;
    --*fl_loop_lookups(r->loop);
    if (r->fn && r->n > 0) {
        r->fn(TAKE_PTR(r->addrs), r->n, NULL, r->arg);
    } else if (r->fn) {
        fl_err_set(&err, FL_UNAVAILABLE, "look up the host '%s': %s", r->host,
                   r->gai ? gai_strerror(r->gai) : "it has no address");
        r->fn(NULL, 0, &err, r->arg);
    }
    resolve_free(r);
}

static void collect(struct resolve *r, const struct addrinfo *list)
{
    size_t cap = 0;
    for (const struct addrinfo *a = list; a && r->n < 16; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(struct sockaddr_storage))
            continue;
        r->addrs = xgrow(r->addrs, &cap, r->n + 1, sizeof *r->addrs);
        r->addrs[r->n] = (struct sockaddr_storage){0};
        memcpy(&r->addrs[r->n++], a->ai_addr, a->ai_addrlen);
    }
}

static void *lookup(void *arg)
{
    struct resolve *r = arg;
    struct fl_box *box = r->box; /* r is the loop's once it is posted */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[8];
    fl_snprintf(port, sizeof port, "%u", r->port);
    r->gai = getaddrinfo(r->host, port, &hints, &list);
    if (r->gai == 0) {
        collect(r, list);
        freeaddrinfo(list);
    }
    if (!fl_box_post(box, deliver, r))
        resolve_free(r);
    fl_box_unref(box);
    return NULL;
}

int resolve_start(struct fl_loop *loop, const char *host, uint16_t port, resolve_f *fn, void *arg,
                  struct resolve **ret, struct fl_err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (*fl_loop_lookups(loop) >= MAX_LOOKUPS)
        return fl_err_set(err, FL_LIMIT, "look up the host '%s': %d lookups are under way", host,
                          MAX_LOOKUPS);
    struct resolve *r = xnew0(struct resolve);
    *r = (struct resolve){.host = xstrdup(host),
                          .port = port,
                          .box = fl_loop_box(loop),
                          .loop = loop,
                          .fn = fn,
                          .arg = arg};
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, lookup, r);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        fl_box_unref(r->box);
        resolve_free(r);
        return fl_err_errno(err, rc, "start a thread to look up the host '%s'", host);
    }
    ++*fl_loop_lookups(loop);
    *ret = r;
    return 0;
}

void resolve_cancel(struct resolve *r)
{
    if (r)
        r->fn = NULL;
}
