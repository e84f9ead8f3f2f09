/* Weights of roles (weights.h). */
#include "master/weights.h"

#include <math.h>

#include "common/model/intern.h"
#include "common/model/roles.h"
#include "master/core.h"
#include "master/roles.h"

/* Of --weights; they wait for what the registry says. */
struct flag_weight {
    const char *role; /* interned */
    double weight;
    struct flag_weight *next;
};

static void put(struct master *m, const char *name, double weight)
{
    struct role *r = role_make(m, name);

    r->weight = weight;
    role_changed(m, r, true);
    m->alloc_ops->set_weight(m->alloc, name, weight);
}

static V1__WeightInfo *info_pb(const char *role, double weight, struct fl_arena *arena)
{
    V1__WeightInfo *info = FL_ARENA_NEW(arena, V1__WeightInfo, v1__weight_info);

    info->role = (char *)role;
    info->weight = weight;
    return info;
}

static struct registry_change record_of(struct master *m, const char *role, double weight)
{
    Reg__Registry__Weight *rec =
        FL_ARENA_NEW(m->core->scratch, Reg__Registry__Weight, reg__registry__weight);

    rec->info = info_pb(role, weight, m->core->scratch);
    return (struct registry_change){core_printf(m, "weight/%s", role), &rec->base};
}

/* ---- --weights and the registry ---- */

/* One ROLE=WEIGHT, which is written into. */
static int read_flag(struct master *m, char *item, struct fl_err *err)
{
    char *eq = strrchr(item, '=');
    struct flag_weight *w;
    double weight;

    if (eq)
        *eq++ = '\0';
    if (!eq || role_validate(item, NULL) < 0 || fl_parse_f64(eq, &weight) < 0 || !(weight > 0) ||
        isinf(weight))
        return fl_err_set(err, FL_INVALID,
                          "flag '--weights': '%s=%s' is no ROLE=WEIGHT with a weight over 0", item,
                          eq ? eq : "");
    if (!role_is_whitelisted(m, item))
        return fl_err_set(err, FL_INVALID, "flag '--weights': role '%s' is not one of --roles",
                          item);
    w = xnew0(struct flag_weight);
    *w = (struct flag_weight){.role = intern(item), .weight = weight};
    LL_APPEND(m->core->flag_weights, w);
    return 0;
}

int weights_init(struct master *m, struct fl_err *err)
{
    _cleanup_free_ char *text = m->flags->weights ? xstrdup(m->flags->weights) : NULL;
    char *p = text;

    while (p && *p) {
        size_t n = strcspn(p, ",");
        bool last = p[n] == '\0';
        p[n] = '\0';
        if (n > 0 && read_flag(m, p, err) < 0)
            return err->code;
        p += n + !last;
    }
    return 0;
}

int weight_recover(struct master *m, const ProtobufCMessage *record, struct fl_err *err)
{
    const V1__WeightInfo *info = ((const Reg__Registry__Weight *)record)->info;

    if (!info->role || role_validate(info->role, err) < 0 || !(info->weight > 0))
        return fl_err_set(err, FL_INVALID, "the weight of role '%s' in the registry is not valid",
                          info->role ? info->role : "");
    m->core->weights_recovered = true;
    put(m, info->role, info->weight);
    return 0;
}

void weights_recovered(struct master *m)
{
    struct flag_weight *w;
    struct registry_change *changes;
    size_t n = 0;

    LL_COUNT(m->core->flag_weights, w, n);
    if (n > 0 && m->core->weights_recovered) {
        log_warning("--weights is ignored: the registry has weights; PUT /weights changes them");
        return;
    }
    if (n == 0)
        return;
    changes = core_alloc(m, n * sizeof(*changes));
    n = 0;
    LL_FOREACH (m->core->flag_weights, w) {
        put(m, w->role, w->weight);
        changes[n++] = record_of(m, w->role, w->weight);
    }
    registry_write(m, changes, n, NULL, NULL);
}

void weights_done(struct master *m)
{
    while (m->core->flag_weights) {
        struct flag_weight *w = m->core->flag_weights;
        LL_DELETE(m->core->flag_weights, w);
        free(w);
    }
}

/* ---- UPDATE_WEIGHTS ---- */

struct weight_write {
    operator_done_f *done;
    void *arg;
    size_t n;
    struct {
        const char *role; /* interned */
        double weight;
    } changes[];
};

/* Without the blanks around it. In the scratch arena. */
static char *trimmed(struct master *m, const char *s)
{
    static const char blanks[] = " \t\n\v\f\r";
    char *copy = fl_arena_strdup(m->core->scratch, s + strspn(s, blanks));
    size_t n = strlen(copy);

    while (n > 0 && strchr(blanks, copy[n - 1]))
        copy[--n] = '\0';
    return copy;
}

static int check(struct master *m, const char *role, double weight, struct fl_err *err)
{
    static const char failed[] = "Failed to validate update weights request JSON";

    if (role_validate(role, err) < 0) {
        fl_err_wrap(err, "Invalid role '%.200s'", role);
        return fl_err_wrap(err, failed);
    }
    if (!role_is_whitelisted(m, role))
        return fl_err_set(err, FL_INVALID, "%s: Unknown role '%.200s'", failed, role);
    if (!(weight > 0) || isinf(weight))
        return fl_err_set(err, FL_INVALID,
                          "%s for role '%.200s': Invalid weight '%g': Weights must be positive",
                          failed, role, weight);
    return 0;
}

/* Every offer goes back when frameworks share one of the roles: whoever has too much now holds no offer on. */
static void rescind(struct master *m, const struct weight_write *w)
{
    bool matters = false;

    for (size_t i = 0; i < w->n; i++) {
        const struct role *r = role_find(m, w->changes[i].role);
        matters |= r && (r->n_frameworks > 0 || r->books[ROLE_ALLOCATED].n > 0);
    }
    if (!matters)
        return;
    for (struct agent *a = m->agents; a; a = a->hh.next)
        while (a->offers)
            offer_withdraw(m, a->offers, true, NULL);
}

static void on_written(struct master *m, void *arg)
{
    struct weight_write *w = arg;

    for (size_t i = 0; i < w->n; i++) {
        log_info("the weight of role '%s' is %g", w->changes[i].role, w->changes[i].weight);
        put(m, w->changes[i].role, w->changes[i].weight);
    }
    rescind(m, w);
    allocation_kick(m);
    w->done(w->arg, 200, NULL);
    free(w);
}

/* A change of nothing is a question too: one about no role. */
static int check_allowed(const struct master *m, const struct weight_write *w,
                         const char *principal, struct fl_err *err)
{
    int r = w->n == 0 ? acls_check(m->acls, ACL_UPDATE_WEIGHTS, principal, NULL, err) : 0;

    for (size_t i = 0; r == 0 && i < w->n; i++)
        r = acls_check(m->acls, ACL_UPDATE_WEIGHTS, principal, w->changes[i].role, err);
    return r;
}

/* Fills in what is to change, in memory and in the registry. */
static int prepare(struct master *m, V1__WeightInfo *const *infos, size_t n, struct weight_write *w,
                   struct registry_change *changes, struct fl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *role = trimmed(m, infos[i]->role ? infos[i]->role : "");
        int r = check(m, role, infos[i]->weight, err);
        if (r < 0)
            return r;
        w->changes[w->n].role = intern(role);
        w->changes[w->n].weight = infos[i]->weight;
        changes[w->n++] = record_of(m, role, infos[i]->weight);
    }
    return 0;
}

int master_update_weights(struct master *m, V1__WeightInfo *const *infos, size_t n,
                          const char *principal, operator_done_f *done, void *arg,
                          struct fl_err *err)
{
    struct weight_write *w = xcalloc(1, sizeof(*w) + n * sizeof(w->changes[0]));
    struct registry_change *changes;
    int r;

    core_enter(m);
    *w = (struct weight_write){.done = done, .arg = arg};
    changes = core_alloc(m, (n + 1) * sizeof(*changes));
    r = prepare(m, infos, n, w, changes, err);
    if (r == 0)
        r = check_allowed(m, w, principal, err);
    if (r < 0)
        free(w);
    else if (n == 0)
        on_written(m, w);
    else
        registry_write(m, changes, n, on_written, w);
    core_leave(m);
    return r;
}

static int by_role(const void *a, const void *b)
{
    return strcmp((*(V1__WeightInfo *const *)a)->role, (*(V1__WeightInfo *const *)b)->role);
}

size_t master_weights(const struct master *m, const char *principal, struct fl_arena *arena,
                      V1__WeightInfo ***ret_infos)
{
    V1__WeightInfo **infos =
        fl_arena_alloc(arena, (HASH_COUNT(m->core->roles) + 1) * sizeof(*infos));
    _cleanup_approver_ struct acl_approver *visible =
        acl_approver_get(m->acls, ACL_VIEW_ROLES, principal);
    size_t n = 0;

    for (const struct role *r = m->core->roles; r; r = r->hh.next)
        if (r->weight > 0 && acl_approves(visible, r->name))
            infos[n++] = info_pb(r->name, r->weight, arena);
    if (n > 0)
        qsort(infos, n, sizeof(*infos), by_role);
    *ret_infos = infos;
    return n;
}
