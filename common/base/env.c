/* The real world behind struct env: a loop's clock and timers, the kernel's random bytes. */
#include "common/base/env.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static uint64_t real_now_us(void *ctx)
{
    return fl_loop_now_us(ctx);
}

static uint64_t real_wall_ns(void *ctx)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void kernel_random(void *buf, size_t n)
{
    char *p = buf;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            abort(); /* a kernel without random numbers: no id could be unique */
        p += got;
        n -= (size_t)got;
    }
}

/* Ids are short and many, so the kernel's bytes are taken some hundreds at a time; each is used once. A child of fork(2) must not use
 * what its parent holds: its `forks` is another. */
#define POOL_SIZE 1024
#define POOL_MOST 64 /* whoever wants more asks the kernel */

static unsigned forks;

static void count_fork(void)
{
    forks++;
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, count_fork) != 0)
        abort(); /* only for want of memory */
}

static void real_random(void *ctx, void *buf, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local struct {
        uint8_t bytes[POOL_SIZE];
        size_t left;
        unsigned forks;
    } pool;
    uint8_t *p;

    if (n > POOL_MOST) {
        kernel_random(buf, n);
        return;
    }
    if (pool.left < n || pool.forks != forks) {
        pthread_once(&once, watch_forks);
        kernel_random(pool.bytes, POOL_SIZE);
        pool.left = POOL_SIZE;
        pool.forks = forks;
    }
    pool.left -= n;
    p = pool.bytes + pool.left;
    memcpy(buf, p, n);
    memset(p, 0, n);
}

/* A struct env_timer of the real world is a struct fl_timer. */
static struct env_timer *real_timer_new(void *ctx, fl_callback_f *fn, void *arg)
{
    return (struct env_timer *)fl_timer_new(ctx, fn, arg);
}

static void real_timer_set(struct env_timer *t, uint64_t in_us)
{
    fl_timer_set((struct fl_timer *)t, in_us);
}

static void real_timer_stop(struct env_timer *t)
{
    fl_timer_stop((struct fl_timer *)t);
}

static void real_timer_free(struct env_timer *t)
{
    fl_timer_free((struct fl_timer *)t);
}

static const struct env_ops real_ops = {
    .now_us = real_now_us,
    .wall_ns = real_wall_ns,
    .random = real_random,
    .timer_new = real_timer_new,
    .timer_set = real_timer_set,
    .timer_stop = real_timer_stop,
    .timer_free = real_timer_free,
};

struct env env_from_loop(struct fl_loop *loop)
{
    return (struct env){.ops = &real_ops, .ctx = loop};
}

void fl_uuid_make(const struct env *e, uint8_t uuid[FL_UUID_LEN])
{
    env_random(e, uuid, FL_UUID_LEN);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* version 4 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80); /* variant of RFC 4122 */
}

void fl_uuid_format(const uint8_t uuid[FL_UUID_LEN], char str[FL_UUID_STR])
{
    static const char hex[] = "0123456789abcdef";
    char *out = str;
    for (int i = 0; i < FL_UUID_LEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 15];
    }
    *out = '\0';
}
