/* What a core may know of the world: time, timers, random bytes. Each core adds its own senders and stores
 * in a struct of its own that begins with this one (struct master_env, ...). The shell fills it from a real
 * loop (env_from_loop()), the simulation from a seeded one. A core's single thread only. */
#ifndef COMMON_BASE_ENV_H
#define COMMON_BASE_ENV_H

#include "common/base/loop.h"

struct env_timer;

struct env {
    const struct env_ops *ops;
    void *ctx;
};

struct env_ops {
    uint64_t (*now_us)(void *ctx);  /* monotonic, microseconds */
    uint64_t (*wall_ns)(void *ctx); /* since 1970, nanoseconds */
    void (*random)(void *ctx, void *buf, size_t n);
    struct env_timer *(*timer_new)(void *ctx, fl_callback_f *fn, void *arg);
    void (*timer_set)(struct env_timer *t, uint64_t in_us); /* one shot; replaces an earlier time */
    void (*timer_stop)(struct env_timer *t);
    void (*timer_free)(struct env_timer *t); /* takes NULL; allowed in the timer's own callback */
};

static inline uint64_t env_now_us(const struct env *e)
{
    return e->ops->now_us(e->ctx);
}
static inline uint64_t env_wall_ns(const struct env *e)
{
    return e->ops->wall_ns(e->ctx);
}
static inline double env_wall_s(const struct env *e)
{
    return (double)e->ops->wall_ns(e->ctx) / 1e9;
}
static inline void env_random(const struct env *e, void *buf, size_t n)
{
    e->ops->random(e->ctx, buf, n);
}
static inline struct env_timer *env_timer_new(const struct env *e, fl_callback_f *fn, void *arg)
{
    return e->ops->timer_new(e->ctx, fn, arg);
}
static inline void env_timer_set(const struct env *e, struct env_timer *t, uint64_t in_us)
{
    e->ops->timer_set(t, in_us);
}
static inline void env_timer_stop(const struct env *e, struct env_timer *t)
{
    e->ops->timer_stop(t);
}
static inline void env_timer_free(const struct env *e, struct env_timer *t)
{
    if (t)
        e->ops->timer_free(t);
}

/* The real world: `loop` for time and timers, getrandom(2). The loop outlives the env. */
struct env env_from_loop(struct fl_loop *loop);

/* UUIDs are 16 raw bytes on the wire and 36 characters in ids (RFC 4122 version 4). */
#define FL_UUID_LEN 16
#define FL_UUID_STR 37
void fl_uuid_make(const struct env *e, uint8_t uuid[FL_UUID_LEN]);
void fl_uuid_format(const uint8_t uuid[FL_UUID_LEN], char str[FL_UUID_STR]);

#endif
