/* Taking a container's networks down: DEL of each, the last first, then the namespace and the folder. What fails is tried again after a
 * while, a limited number of times; what is left then lies on disk, and the next agent begins anew. The agent's thread. */
#include <errno.h>

#include "common/base/log.h"
#include "isolators/cni/network.h"
#include "isolators/cni/state.h"

#define FIRST_RETRY_US 100000
#define MAX_RETRY_US   10000000
#define MAX_ATTEMPTS   12
#define FOLDER_DEPTH   4
#define MAX_WAITS      2400 /* a minute: as long as we let one run */

static void step(struct cni_entry *e);

static void again(void *arg)
{
    step(FL_CAST(cni_entry, CNI_ENTRY_MAGIC, arg));
}

static void later(struct cni_entry *e, uint64_t us)
{
    if (!e->timer)
        e->timer = fl_timer_new(e->owner->loop, again, e);
    fl_timer_set(e->timer, us);
}

void cni_detach_stop(struct cni_entry *e)
{
    fl_timer_free(e->timer);
    e->timer = NULL;
    cni_run_free(e->run);
    e->run = NULL;
}

static void try_again(struct cni_entry *e)
{
    uint64_t wait = FIRST_RETRY_US;

    for (unsigned i = 0; i < e->attempts && wait < MAX_RETRY_US; i++)
        wait *= 2;
    e->failed = false;
    e->next = e->n;
    if (++e->attempts == MAX_ATTEMPTS) {
        log_error("The networks of container '%s' cannot be taken down, giving up; the next start "
                  "of the agent tries again what lies in '%s'",
                  e->id.id, e->folder);
        return;
    }
    later(e, FL_MIN(wait, MAX_RETRY_US));
}

static void detached(void *arg, const char *result, const struct fl_err *err)
{
    struct cni_entry *e = FL_CAST(cni_entry, CNI_ENTRY_MAGIC, arg);
    struct cni_network *n = &e->networks[e->next];
    int r = 0;

    e->run = NULL;
    if (err)
        log_warning("%s", err->msg);
    else
        r = cni_network_remove(e, n);
    e->failed = e->failed || err || r < 0;
    step(e);
}

static void run_del(struct cni_entry *e, struct cni_network *n)
{
    const struct isolator_config *config = e->owner->config;
    const struct cni_run_spec spec = {.container_id = e->id.id,
                                      .ifname = n->ifname,
                                      .netns = cni_netns_is(e->ns) ? e->ns : NULL,
                                      .plugins_dir = config->network_cni_plugins_dir,
                                      .launcher_dir = config->launcher_dir,
                                      .conf = n->conf,
                                      .added = n->said};

    e->run = cni_run(e->owner->loop, &spec, detached, e);
}

static void finish(struct cni_entry *e)
{
    int r = cni_netns_remove(e->ns);

    if (r == 0)
        r = cni_folder_remove(e->folder, FOLDER_DEPTH);
    if (r < 0) {
        log_warning("Cannot remove '%s': %s", e->folder, strerror(-r));
        try_again(e);
        return;
    }
    cni_entry_drop(e);
}

static void step(struct cni_entry *e)
{
    /* A plug-in that an earlier agent started would undo what we do; it ends soon. */
    if (e->recovered && e->waits++ < MAX_WAITS && cni_run_under_way(e->id.id)) {
        later(e, FIRST_RETRY_US / 4);
        return;
    }
    e->recovered = false;
    while (e->next > 0) {
        struct cni_network *n = &e->networks[--e->next];
        if (n->conf) {
            run_del(e, n);
            return;
        }
    }
    if (e->failed)
        try_again(e);
    else
        finish(e);
}

void cni_detach(struct cni_entry *e)
{
    if (e->going)
        return;
    e->going = true;
    e->next = e->n;
    step(e);
}
