/* Changes of the maintenance schedule: checks, the record that is to be, the registry, and only then it holds.
 *
 * One change at a time: the next is checked when the one before it is in force. So each record that is written
 * follows from the one before it.
 */
#include "master/maintenance_priv.h"

#include <arpa/inet.h>

#define MAX_CHANGES 100 /* that wait */

/* ---- refusals ---- */

static const char *id_text(struct master *m, const V1__MachineID *id)
{
    _cleanup_buf_ struct fl_buf json = FL_BUF_INIT;

    fl_json_from_pb(&json, &id->base, 0);
    return core_printf(m, "%s", fl_buf_cstr(&json));
}

static int check_id(const V1__MachineID *id, struct fl_err *err)
{
    struct in_addr parsed;
    bool has_ip = id->ip && *id->ip;

    if (!has_ip && !(id->hostname && *id->hostname))
        return fl_err_set(err, FL_INVALID, "Both 'hostname' and 'ip' for a machine are empty");
    if (has_ip && inet_pton(AF_INET, id->ip, &parsed) != 1)
        return fl_err_set(err, FL_INVALID, "Failed to parse the IP '%s' of a machine", id->ip);
    return 0;
}

/* A set of machines named so far, in the scratch arena. */
struct named {
    const char *key;
    UT_hash_handle hh;
};

static int name_once(struct master *m, struct named **set, const V1__MachineID *id,
                     struct fl_err *err)
{
    const char *key;
    struct named *n;
    int r = check_id(id, err);

    if (r < 0)
        return r;
    key = machine_key(id, m->core->scratch);
    HASH_FIND_STR(*set, key, n);
    if (n)
        return fl_err_set(err, FL_INVALID, "Machine '%s' appears more than once in the schedule",
                          id_text(m, id));
    n = core_new(m, struct named);
    n->key = key;
    HASH_ADD_KEYPTR(hh, *set, n->key, strlen(n->key), n);
    return 0;
}

static int check_windows(struct master *m, const Maint__Schedule *s, struct named **set,
                         struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < s->n_windows && r == 0; i++) {
        const Maint__Window *w = s->windows[i];
        if (w->n_machine_ids == 0)
            return fl_err_set(err, FL_INVALID,
                              "List of machines in the maintenance window is empty");
        if (w->unavailability->duration && w->unavailability->duration->nanoseconds < 0)
            return fl_err_set(err, FL_INVALID, "Unavailability 'duration' is negative");
        for (size_t k = 0; k < w->n_machine_ids && r == 0; k++)
            r = name_once(m, set, w->machine_ids[k], err);
    }
    return r;
}

static int check_schedule(struct master *m, const Maint__Schedule *s, struct fl_err *err)
{
    struct named *set = NULL, *found;
    int r = check_windows(m, s, &set, err);

    for (struct machine *mc = m->core->maintenance->machines; mc && r == 0; mc = mc->hh.next) {
        HASH_FIND_STR(set, mc->key, found);
        if (!found && mc->info->mode == V1__MACHINE_INFO__MODE__DOWN)
            r = fl_err_set(err, FL_INVALID,
                           "Machine '%s' is deactivated and cannot be removed from the schedule",
                           id_text(m, mc->info->id));
    }
    HASH_CLEAR(hh, set);
    return r;
}

static int check_machines(struct master *m, const struct maintenance_change *c, struct fl_err *err)
{
    bool start = c->kind == MAINTENANCE_START;
    V1__MachineInfo__Mode needed =
        start ? V1__MACHINE_INFO__MODE__DRAINING : V1__MACHINE_INFO__MODE__DOWN;
    struct named *set = NULL;
    int r = 0;

    if (c->n_ids == 0)
        return fl_err_set(err, FL_INVALID, "List of machines is empty");
    for (size_t i = 0; i < c->n_ids && r == 0; i++)
        r = name_once(m, &set, c->ids[i], err);
    HASH_CLEAR(hh, set);
    for (size_t i = 0; i < c->n_ids && r == 0; i++) {
        struct machine *mc = machine_find(m, c->ids[i], m->core->scratch);
        if (!mc)
            return fl_err_set(err, FL_INVALID, "Machine '%s' is not part of a maintenance schedule",
                              id_text(m, c->ids[i]));
        if (mc->info->mode != needed)
            return fl_err_set(
                err, FL_INVALID, "Machine '%s' is not in %s mode and cannot be brought %s",
                id_text(m, c->ids[i]), start ? "DRAINING" : "DOWN", start ? "down" : "up");
        mc->chosen = true;
    }
    return r;
}

int maintenance_check(struct master *m, const struct maintenance_change *c, struct fl_err *err)
{
    for (struct machine *mc = m->core->maintenance->machines; mc; mc = mc->hh.next)
        mc->chosen = false;
    return c->kind == MAINTENANCE_UPDATE ? check_schedule(m, c->schedule, err)
                                         : check_machines(m, c, err);
}

/* ---- the record that is to be; in scratch, with parts of the old one ---- */

static void add_machine(struct master *m, Reg__Registry *state, const V1__MachineInfo *info)
{
    Reg__Registry__Machine *mc = core_new(m, Reg__Registry__Machine);

    reg__registry__machine__init(mc);
    mc->info = (V1__MachineInfo *)info;
    state->machines->machines[state->machines->n_machines++] = mc;
}

static void add_window(struct master *m, Reg__Registry *state, const Maint__Window *w)
{
    for (size_t i = 0; i < w->n_machine_ids; i++) {
        const struct machine *old = machine_find(m, w->machine_ids[i], m->core->scratch);
        V1__MachineInfo *info = core_new(m, V1__MachineInfo);

        v1__machine_info__init(info);
        info->id = w->machine_ids[i];
        info->has_mode = true;
        info->mode = old ? old->info->mode : V1__MACHINE_INFO__MODE__DRAINING;
        info->unavailability = w->unavailability;
        add_machine(m, state, info);
    }
}

static void add_known(struct master *m, Reg__Registry *state, enum maintenance_kind kind)
{
    for (const struct machine *mc = m->core->maintenance->machines; mc; mc = mc->hh.next) {
        V1__MachineInfo *info = core_new(m, V1__MachineInfo);

        *info = *mc->info;
        if (mc->chosen && kind == MAINTENANCE_STOP)
            continue;
        if (mc->chosen)
            info->mode = V1__MACHINE_INFO__MODE__DOWN;
        add_machine(m, state, info);
    }
}

/* The schedule without the machines that are chosen; NULL when nothing is left. */
static Maint__Schedule *without_chosen(struct master *m)
{
    const Maint__Schedule *old = maintenance_current(m);
    Maint__Schedule *s = core_new(m, Maint__Schedule);

    maint__schedule__init(s);
    s->windows = core_alloc(m, ((old ? old->n_windows : 0) + 1) * sizeof(*s->windows));
    for (size_t i = 0; old && i < old->n_windows; i++) {
        Maint__Window *w = core_new(m, Maint__Window);

        *w = *old->windows[i];
        w->n_machine_ids = 0;
        w->machine_ids = core_alloc(m, old->windows[i]->n_machine_ids * sizeof(*w->machine_ids));
        for (size_t k = 0; k < old->windows[i]->n_machine_ids; k++) {
            V1__MachineID *id = old->windows[i]->machine_ids[k];
            const struct machine *mc = machine_find(m, id, m->core->scratch);
            if (!mc || !mc->chosen)
                w->machine_ids[w->n_machine_ids++] = id;
        }
        if (w->n_machine_ids > 0)
            s->windows[s->n_windows++] = w;
    }
    return s->n_windows > 0 ? s : NULL;
}

static Reg__Registry *state_after(struct master *m, const struct maintenance_change *c)
{
    Reg__Registry *state = core_new(m, Reg__Registry);
    size_t n = HASH_COUNT(m->core->maintenance->machines);
    Maint__Schedule *schedule;

    reg__registry__init(state);
    state->machines = core_new(m, Reg__Registry__Machines);
    reg__registry__machines__init(state->machines);
    for (size_t i = 0; c->schedule && i < c->schedule->n_windows; i++)
        n += c->schedule->windows[i]->n_machine_ids;
    state->machines->machines = core_alloc(m, (n + 1) * sizeof(*state->machines->machines));
    if (c->kind == MAINTENANCE_UPDATE) {
        for (size_t i = 0; i < c->schedule->n_windows; i++)
            add_window(m, state, c->schedule->windows[i]);
        schedule = c->schedule->n_windows > 0 ? (Maint__Schedule *)c->schedule : NULL;
    } else {
        add_known(m, state, c->kind);
        schedule = c->kind == MAINTENANCE_STOP ? without_chosen(m) : maintenance_current(m);
    }
    if (schedule) {
        state->schedules = core_alloc(m, sizeof(*state->schedules));
        state->schedules[state->n_schedules++] = schedule;
    }
    return FL_PB_DUP(state);
}

/* ---- one after another ---- */

static void begin(struct master *m);

static void finish(struct master *m, const struct fl_err *err)
{
    struct maintenance *mt = m->core->maintenance;
    struct maintenance_change *c = mt->changes;

    LL_DELETE(mt->changes, c);
    mt->n_changes--;
    c->done(c->arg, 200, err);
    free(c);
    begin(m);
}

static void on_written(struct master *m, void *arg)
{
    struct maintenance_change *c = arg;

    maintenance_apply(m, TAKE_PTR(c->next_state));
    finish(m, NULL);
}

static void begin(struct master *m)
{
    struct maintenance_change *c = m->core->maintenance->changes;
    struct registry_change change = {.key = "maintenance"};
    struct fl_err err;

    if (!c)
        return;
    if (maintenance_check(m, c, &err) < 0) {
        finish(m, &err);
        return;
    }
    c->next_state = state_after(m, c);
    if (c->next_state->n_schedules > 0 || c->next_state->machines->n_machines > 0)
        change.record = &c->next_state->base;
    registry_write(m, &change, 1, on_written, c);
}

static void ask(struct master *m, const struct maintenance_change *wanted)
{
    struct maintenance *mt = m->core->maintenance;
    struct maintenance_change *c;
    struct fl_err err;

    core_enter(m);
    if (mt->n_changes >= MAX_CHANGES) {
        fl_err_set(&err, FL_UNAVAILABLE,
                   "%u changes of the maintenance schedule wait already: try again", MAX_CHANGES);
        wanted->done(wanted->arg, 0, &err);
    } else {
        c = xnew0(struct maintenance_change);
        *c = *wanted;
        LL_APPEND(mt->changes, c);
        if (mt->n_changes++ == 0)
            begin(m);
    }
    core_leave(m);
}

void maintenance_update(struct master *m, const Maint__Schedule *schedule, const char *principal,
                        operator_done_f *done, void *arg)
{
    struct maintenance_change c = {
        .kind = MAINTENANCE_UPDATE, .schedule = schedule, .done = done, .arg = arg};

    ask(m, &c);
}

void maintenance_start(struct master *m, V1__MachineID *const *ids, size_t n, const char *principal,
                       operator_done_f *done, void *arg)
{
    struct maintenance_change c = {
        .kind = MAINTENANCE_START, .ids = ids, .n_ids = n, .done = done, .arg = arg};

    ask(m, &c);
}

void maintenance_stop(struct master *m, V1__MachineID *const *ids, size_t n, const char *principal,
                      operator_done_f *done, void *arg)
{
    struct maintenance_change c = {
        .kind = MAINTENANCE_STOP, .ids = ids, .n_ids = n, .done = done, .arg = arg};

    ask(m, &c);
}
