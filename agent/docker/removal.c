/* Containers whose tasks are over are kept for --docker_remove_delay, for whoever wants to look at them, and then removed. */
#include <stdio.h>
#include <utlist.h>

#include "agent/docker/docker_priv.h"
#include "common/base/log.h"

#define RETRY_US 30000000u

struct docker_removal {
    struct docker_containerizer *dz;
    char *name; /* or id; owned */
    struct fl_timer *timer;
    struct docker_call *call;
    struct docker_removal *prev, *next;
};

static void removal_free(struct docker_removal *r)
{
    DL_DELETE(r->dz->removals, r);
    fl_timer_free(r->timer);
    docker_cancel(r->call);
    free(r->name);
    free(r);
}

static void on_removed(void *arg, const struct docker_answer *a)
{
    struct docker_removal *r = arg;

    r->call = NULL;
    if (docker_away(a)) {
        fl_timer_set(r->timer, RETRY_US);
        return;
    }
    if (a->err && a->status != 404 && a->status != 409)
        log_warning("Cannot remove Docker container '%s': %s, ignoring", r->name, a->err->msg);
    removal_free(r);
}

static void on_time(void *arg)
{
    struct docker_removal *r = arg;
    _cleanup_free_ char *path = xasprintf("/containers/%s?force=true&v=true", r->name);
    const struct docker_request q = {
        .method = "DELETE", .path = path, .timeout_s = 120, .done = on_removed, .arg = r};

    docker_ask(r->dz->engine, &q, &r->call);
}

void docker_remove_later(struct docker_containerizer *dz, const char *name, uint64_t delay_us)
{
    struct docker_removal *r = xnew0(struct docker_removal);

    r->dz = dz;
    r->name = xstrdup(name);
    r->timer = fl_timer_new(dz->loop, on_time, r);
    DL_APPEND(dz->removals, r);
    fl_timer_set(r->timer, delay_us);
}

void docker_removals_free(struct docker_containerizer *dz)
{
    while (dz->removals)
        removal_free(dz->removals);
}
