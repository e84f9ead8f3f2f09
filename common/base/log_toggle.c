#include "common/base/log_toggle.h"

#include "common/base/log.h"

#define MAX_LEVEL 1000

struct log_toggle {
    const struct env *env;
    struct env_timer *timer;
    enum fl_log_level original;
    unsigned level;
};

static void revert(void *arg)
{
    struct log_toggle *t = arg;

    t->level = 0;
    fl_log_set_level(t->original);
}

struct log_toggle *log_toggle_new(const struct env *env)
{
    struct log_toggle *t = xnew0(struct log_toggle);

    t->env = env;
    t->original = fl_log_get_level();
    t->timer = env_timer_new(env, revert, t);
    return t;
}

void log_toggle_free(struct log_toggle *t)
{
    if (!t)
        return;
    env_timer_free(t->env, t->timer);
    free(t);
}

unsigned log_toggle_level(const struct log_toggle *t)
{
    return t->level;
}

int log_toggle_set(struct log_toggle *t, unsigned level, uint64_t duration_us, struct fl_err *err)
{
    if (level > MAX_LEVEL)
        return fl_err_set(err, FL_INVALID, "Invalid level %u: 0 to %u are possible", level,
                          MAX_LEVEL);
    t->level = level;
    fl_log_set_level(level ? FL_LOG_DEBUG : t->original);
    if (level)
        env_timer_set(t->env, t->timer, duration_us);
    else
        env_timer_stop(t->env, t->timer);
    return 0;
}
