/* network/ports: containers that share the machine's network listen on their `ports` resources only. Every --container_ports_watch_interval
 * one thread looks at what the processes of all containers hold; with --enforce_container_ports a container that listens elsewhere is
 * killed, otherwise it is noted in the log, once for each set of ports.
 *
 * Ports belong to a root container; those of what is nested in it count as its own. Containers on a network of their own (network/cni) are
 * left alone. What a recovered container may use is known when the agent says so anew, for tasks may have come after its launch.
 * The thread is handed copies and posts what it found; nothing is shared.
 */
#include "isolators/stateless.h"

#include <errno.h>
#include <pthread.h>

#include "common/base/log.h"
#include "common/model/resource_value.h"
#include "isolators/id_map.h"
#include "isolators/listening.h"

#define DEFAULT_PORTS "[31000-32000]" /* what an agent offers when --resources names none */

struct sweep;
struct ports_isolator {
    struct stateless_isolator base; /* first */
    struct fl_loop *loop;
    isolator_limit_f *limit;
    void *limit_arg;
    struct fl_timer *timer;
    struct id_map containers;
    bool some;           /* only the ports of `minded` are looked at */
    struct value minded; /* ranges */
    struct sweep *sweep; /* under way, or NULL */
};
/* Root containers and those nested in them. */
struct ports_entry {
    struct id_entry id; /* first */
    char *root;         /* owned; NULL: a root itself */
    pid_t shim;         /* 0: not begun */
    bool known;         /* which ports it has; roots only */
    struct value ports; /* ranges */
    char *said;         /* owned: what was last found, so that it is noted once */
};

/* One look at all. The thread has it until it is posted back. */
struct swept {
    char *id; /* owned */
    pid_t shim;
    struct ports found;
};
struct sweep {
    struct ports_isolator *x; /* NULL: freed meanwhile */
    struct fl_loop *loop;
    pthread_t thread;
    struct swept *v; /* owned, n of them */
    size_t n;
    int r;
    struct fl_err err;
};

/* ---- the thread ---- */

static void swept(void *arg);

static void *work(void *arg)
{
    struct sweep *s = arg;
    struct listeners l = {0};

    s->r = listeners_read(&l, &s->err);
    for (size_t i = 0; s->r == 0 && i < s->n; i++)
        listeners_held(&l, s->v[i].shim, &s->v[i].found);
    listeners_done(&l);
    fl_loop_post(s->loop, swept, s);
    return NULL;
}

/* ---- the agent's thread ---- */

static void sweep_free(struct sweep *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].id);
        ports_done(&s->v[i].found);
    }
    free(s->v);
    free(s);
}

static bool has_port(const struct value *v, uint16_t port)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (port >= v->ranges[i].begin && port <= v->ranges[i].end)
            return true;
    return false;
}

/* Those that it should not have, as ranges; false: none. */
static bool unallocated(const struct ports_isolator *x, const struct ports_entry *root,
                        const struct ports *found, struct value *ret)
{
    struct range *v = xcalloc(found->n + 1, sizeof(*v));
    uint32_t n = 0;

    for (size_t i = 0; i < found->n; i++) {
        uint16_t p = found->v[i];
        if (has_port(&root->ports, p) || (x->some && !has_port(&x->minded, p)))
            continue;
        v[n++] = (struct range){p, p};
    }
    ret->ranges = v;
    ret->n = (uint32_t)ranges_normalise(v, n);
    if (ret->n == 0)
        free(v);
    return ret->n > 0;
}

static void kill_for(const struct ports_isolator *x, const char *root, const struct value *ports,
                     const char *message)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__TaskResourceLimitation limitation = V1__TASK_RESOURCE_LIMITATION__INIT;
    V1__Resource res = V1__RESOURCE__INIT, *res_v = &res;

    res.name = (char *)(uintptr_t) "ports";
    res.type = V1__VALUE__TYPE__RANGES;
    res.ranges = value_to_ranges(ports, arena);
    limitation.n_resources = 1;
    limitation.resources = &res_v;
    x->limit(x->limit_arg, root, ISOLATOR_LIMIT_PORTS, message, &limitation);
}

static void judge(struct ports_isolator *x, const struct swept *s)
{
    struct ports_entry *e = id_map_get(&x->containers, s->id);
    struct ports_entry *root = e && e->root ? id_map_get(&x->containers, e->root) : e;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct value ports;

    if (!root || !root->known || !unallocated(x, root, &s->found, &ports))
        return;
    fl_buf_addf(&b, "Container %s is listening on unallocated port(s): ", s->id);
    value_format(&ports, V1__VALUE__TYPE__RANGES, &b);
    const char *message = fl_buf_cstr(&b);
    if (!e->said || !streq(e->said, message)) {
        log_info("%s", message);
        free(e->said);
        e->said = xstrdup(message);
    }
    if (x->base.config->enforce_container_ports)
        kill_for(x, root->id.id, &ports, message);
    value_done(&ports, V1__VALUE__TYPE__RANGES);
}

static void swept(void *arg)
{
    struct sweep *s = arg;
    struct ports_isolator *x = s->x;

    if (x) {
        pthread_join(s->thread, NULL);
        x->sweep = NULL;
        if (s->r < 0)
            log_warning("%s; ports are looked at again later", s->err.msg);
        for (size_t i = 0; i < s->n && s->r == 0; i++)
            judge(x, &s->v[i]);
        fl_timer_set(x->timer, x->base.config->container_ports_watch_interval);
    }
    sweep_free(s);
}

static void sweep_begin(void *arg)
{
    struct ports_isolator *x = arg;
    struct sweep *s = xnew0(struct sweep);

    s->x = x;
    s->loop = x->loop;
    s->v = xcalloc(HASH_COUNT(x->containers.head) + 1, sizeof(*s->v));
    for (struct id_entry *i = x->containers.head; i; i = i->hh.next) {
        const struct ports_entry *e = (struct ports_entry *)i;
        if (e->shim > 0)
            s->v[s->n++] = (struct swept){.id = xstrdup(i->id), .shim = e->shim};
    }
    int r = s->n ? pthread_create(&s->thread, NULL, work, s) : EAGAIN;
    if (r == 0) {
        x->sweep = s;
        return;
    }
    sweep_free(s);
    fl_timer_set(x->timer, x->base.config->container_ports_watch_interval);
}

/* ---- containers ---- */

static bool has_own_network(const struct ports_isolator *x, const struct isolated_container *c)
{
    bool cni = strstr(x->base.config->isolation, "network/cni") != NULL;

    for (size_t i = 0; cni && c->info && i < c->info->n_network_infos; i++)
        if (c->info->network_infos[i]->name)
            return true;
    return false;
}

static void set_ports(struct ports_entry *e, const struct resources *from)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__Resource **pb;
    size_t n = resources_to_pb(from, RESOURCES_POST_REFINEMENT, false, arena, &pb);

    value_done(&e->ports, V1__VALUE__TYPE__RANGES);
    e->ports = (struct value){.n = 0};
    for (size_t i = 0; i < n; i++) {
        struct value v;
        if (!streq(pb[i]->name, "ports") || !pb[i]->ranges ||
            value_from_ranges(pb[i]->ranges, &v, NULL) < 0)
            continue;
        value_add(&e->ports, &v, V1__VALUE__TYPE__RANGES);
        value_done(&v, V1__VALUE__TYPE__RANGES);
    }
    e->known = true;
}

/* NULL: it is none of ours. */
static struct ports_entry *take_up(struct ports_isolator *x, const struct isolated_container *c)
{
    struct ports_entry *e;

    if (c->root_id ? !id_map_get(&x->containers, c->root_id) : has_own_network(x, c))
        return NULL;
    e = id_map_make(&x->containers, c->id, sizeof(*e));
    if (c->root_id && !e->root)
        e->root = xstrdup(c->root_id);
    return e;
}

static int ports_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    struct ports_entry *e = take_up((struct ports_isolator *)i, c);

    if (e && !e->root)
        set_ports(e, c->resources);
    return 0;
}

static int ports_isolate(struct isolator *i, const char *id, pid_t pid, struct fl_err *err)
{
    struct ports_entry *e = id_map_get(&((struct ports_isolator *)i)->containers, id);

    if (e)
        e->shim = pid;
    return 0;
}

/* One with a network namespace has a plan that says so. */
static int ports_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                         struct fl_err *err)
{
    struct plan_record r;
    struct ports_entry *e;

    if (pid <= 0 || plan_find(c->plan, c->plan_len, PLAN_NETNS, &r))
        return 0;
    e = take_up((struct ports_isolator *)i, c);
    if (e)
        e->shim = pid;
    return 0;
}

static int ports_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct ports_entry *e = id_map_get(&((struct ports_isolator *)i)->containers, c->id);

    if (e && !e->root)
        set_ports(e, c->resources);
    return 0;
}

static int ports_cleanup(struct isolator *i, const char *id)
{
    struct id_map *m = &((struct ports_isolator *)i)->containers;
    struct ports_entry *e = id_map_get(m, id);

    if (e) {
        free(e->root);
        free(e->said);
        value_done(&e->ports, V1__VALUE__TYPE__RANGES);
        id_map_drop(m, e);
    }
    return 0;
}

/* ---- the isolator ---- */

static void ports_free(struct isolator *i)
{
    struct ports_isolator *x = (struct ports_isolator *)i;

    if (x->sweep) {
        pthread_join(x->sweep->thread, NULL);
        x->sweep->x = NULL; /* it is posted, and frees itself */
    }
    fl_timer_free(x->timer);
    while (x->containers.head)
        ports_cleanup(i, x->containers.head->id);
    value_done(&x->minded, V1__VALUE__TYPE__RANGES);
    free(x);
}

static int read_ranges(const char *text, struct value *ret, struct fl_err *err)
{
    _cleanup_free_ char *word = NULL;
    V1__Value__Type type;
    struct value v;
    int r = value_parse(text, strlen(text), &type, &v, &word, err);

    if (r < 0)
        return r;
    if (type != V1__VALUE__TYPE__RANGES) {
        if (type != V1__VALUE__TYPE__TEXT)
            value_done(&v, type);
        return fl_err_set(err, FL_INVALID, "'%s' is no list of ranges, as [1024-65535]", text);
    }
    *ret = v;
    return 0;
}

static bool names_ports(const struct resources *r)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__Resource **pb;
    size_t n = resources_to_pb(r, RESOURCES_POST_REFINEMENT, false, arena, &pb);

    for (size_t i = 0; i < n; i++)
        if (streq(pb[i]->name, "ports"))
            return true;
    return false;
}

/* The ports that the agent offers: none when it says so. */
static int agent_ports(struct ports_isolator *x, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    struct ports_entry e = {.ports = {.n = 0}};
    int rc = 0;

    if (c->resources && *c->resources)
        rc = resources_parse(c->resources, c->default_role, &r, err);
    if (rc < 0)
        return fl_err_wrap(err, "--resources");
    if (!names_ports(&r) && !(c->resources && strstr(c->resources, "ports")))
        return read_ranges(DEFAULT_PORTS, &x->minded, err);
    set_ports(&e, &r);
    x->minded = e.ports;
    return 0;
}

static int read_flags(struct ports_isolator *x, struct fl_err *err)
{
    const struct isolator_config *c = x->base.config;
    int r = 0;

    if (c->check_agent_port_range_only && c->container_ports_isolated_range)
        return fl_err_set(err, FL_INVALID,
                          "Only one of `--check_agent_port_range_only` or "
                          "'--container_ports_isolated_range` should be specified");
    x->some = c->check_agent_port_range_only || c->container_ports_isolated_range;
    if (c->check_agent_port_range_only)
        r = agent_ports(x, err);
    else if (c->container_ports_isolated_range) {
        r = read_ranges(c->container_ports_isolated_range, &x->minded, err);
        if (r < 0)
            fl_err_wrap(err, "--container_ports_isolated_range");
    }
    return r;
}

static int ports_create(struct fl_loop *loop, const struct isolator_config *config,
                        isolator_limit_f *limit, void *arg, struct isolator **ret,
                        struct fl_err *err)
{
    struct ports_isolator *x;
    int r = need_linux(config, err);

    if (r < 0)
        return r;
    x = xnew0(struct ports_isolator);
    x->base.base.ops = &isolator_network_ports;
    x->base.config = config;
    x->loop = loop;
    x->limit = limit;
    x->limit_arg = arg;
    r = read_flags(x, err);
    if (r < 0) {
        ports_free(&x->base.base);
        return r;
    }
    x->timer = fl_timer_new(loop, sweep_begin, x);
    fl_timer_set(x->timer, config->container_ports_watch_interval);
    *ret = &x->base.base;
    return 0;
}

const struct isolator_ops isolator_network_ports = {
    .name = "network/ports",
    .create = ports_create,
    .free = ports_free,
    .prepare = ports_prepare,
    .isolate = ports_isolate,
    .recover = ports_recover,
    .update = ports_update,
    .cleanup = ports_cleanup,
};
