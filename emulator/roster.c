/* See roster.h. */
#include "emulator/roster.h"

#include <stdio.h>

/* ---- life ---- */

struct emu_roster *emu_roster_new(const struct emu_cluster *cluster, unsigned workers)
{
    struct emu_roster *r = xnew0(struct emu_roster);

    r->cluster = cluster;
    r->n_workers = workers;
    r->load = xcalloc(workers, sizeof *r->load);
    r->groups = xcalloc(cluster->n_groups, sizeof *r->groups);
    r->random.state = cluster->seed;
    for (size_t i = 0; i < cluster->n_groups; i++)
        r->groups[i].at = xcalloc(cluster->groups[i].n_places, sizeof(uint64_t));
    return r;
}

void emu_roster_free(struct emu_roster *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->cluster->n_groups; i++)
        free(r->groups[i].at);
    free(r->groups);
    free(r->load);
    free(r->all);
    free(r);
}

void emu_roster_add_worker(struct emu_roster *r)
{
    r->load = xrealloc(r->load, (r->n_workers + 1) * sizeof *r->load);
    r->load[r->n_workers++] = 0;
}

int emu_roster_group(const struct emu_roster *r, const char *name)
{
    for (size_t i = 0; i < r->cluster->n_groups; i++) {
        if (streq(r->cluster->groups[i].name, name))
            return (int)i;
    }
    return -1;
}

/* ---- more ---- */

static uint16_t least_loaded(const struct emu_roster *r)
{
    unsigned best = 0;

    for (unsigned i = 1; i < r->n_workers; i++) {
        if (r->load[i] < r->load[best])
            best = i;
    }
    return (uint16_t)best;
}

/* The nodes of the file stand place after place; what grows keeps the places' shares. */
static uint16_t next_place(const struct emu_roster *r, unsigned group)
{
    const struct emu_group *g = &r->cluster->groups[group];
    const struct emu_roster_group *rg = &r->groups[group];
    size_t best = 0;
    double least = -1;

    for (size_t i = 0; i < g->n_places; i++) {
        double full;

        if (rg->last < g->count && rg->at[i] < g->places[i].count)
            return (uint16_t)i;
        if (!g->places[i].count)
            continue;
        full = (double)rg->at[i] / (double)g->places[i].count;
        if (least < 0 || full < least) {
            least = full;
            best = i;
        }
    }
    return (uint16_t)best;
}

static void add(struct emu_roster *r, unsigned group)
{
    struct emu_roster_group *g = &r->groups[group];
    struct emu_member *m;

    r->all = xgrow(r->all, &r->cap, r->n + 1, sizeof *r->all);
    m = &r->all[r->n++];
    *m = (struct emu_member){.group = (uint16_t)group,
                             .place = next_place(r, group),
                             .worker = least_loaded(r),
                             .present = true};
    m->number = ++g->last;
    g->at[m->place]++;
    g->present++;
    r->load[m->worker]++;
    r->present++;
}

void emu_roster_grow(struct emu_roster *r, unsigned group, uint64_t count, emu_member_f *fn,
                     void *arg)
{
    for (uint64_t i = 0; i < count; i++) {
        add(r, group);
        if (fn)
            fn(r->n - 1, arg);
    }
}

/* ---- fewer ---- */

uint64_t emu_roster_shrink(struct emu_roster *r, unsigned group, uint64_t count, emu_member_f *fn,
                           void *arg)
{
    struct emu_roster_group *g = &r->groups[group];
    uint64_t gone = 0;

    for (size_t i = r->n; i > 0 && gone < count; i--) {
        struct emu_member *m = &r->all[i - 1];

        if (!m->present || m->group != group)
            continue;
        m->present = false;
        g->at[m->place]--;
        g->present--;
        r->load[m->worker]--;
        r->present--;
        gone++;
        if (fn)
            fn(i - 1, arg);
    }
    return gone;
}

/* ---- choosing ---- */

void emu_roster_name(const struct emu_cluster *c, const struct emu_member *m, char *buf,
                     size_t size)
{
    const struct emu_group *g = &c->groups[m->group];
    int digits = snprintf(NULL, 0, "%llu", (unsigned long long)g->count);

    snprintf(buf, size, "%s-%0*u", g->name, digits, m->number);
}

/* SIZE_MAX: nobody. */
static size_t find_name(const struct emu_roster *r, const char *name, size_t n)
{
    char own[256];

    for (size_t i = 0; i < r->n; i++) {
        if (!r->all[i].present)
            continue;
        emu_roster_name(r->cluster, &r->all[i], own, sizeof own);
        if (strlen(own) == n && memcmp(own, name, n) == 0)
            return i;
    }
    return SIZE_MAX;
}

static int choose_names(struct emu_roster *r, const char *names, emu_member_f *fn, void *arg,
                        uint64_t *ret_n, struct fl_err *err)
{
    uint64_t n = 0;

    for (const char *p = names;; p++) {
        size_t len = strcspn(p, ",");
        size_t i = find_name(r, p, len);

        if (i == SIZE_MAX)
            return fl_err_set(err, FL_NOT_FOUND, "there is no node '%.*s'", (int)len, p);
        n++;
        if (fn)
            fn(i, arg);
        p += len;
        if (!*p)
            break;
    }
    *ret_n = n;
    return 0;
}

/* Each node is as likely as any other, and the number is exact. */
static uint64_t draw(struct emu_roster *r, unsigned group, uint64_t of, uint64_t want,
                     emu_member_f *fn, void *arg)
{
    uint64_t left = FL_MIN(want, of), told = left;

    for (size_t i = 0; i < r->n && left > 0; i++) {
        const struct emu_member *m = &r->all[i];

        if (!m->present || (group != EMU_ALL_GROUPS && m->group != group))
            continue;
        if (left >= of || emu_random_unit(&r->random) * (double)of < (double)left) {
            left--;
            if (fn)
                fn(i, arg);
        }
        of--;
    }
    return told;
}

int emu_roster_choose(struct emu_roster *r, const struct emu_choice *c, emu_member_f *fn, void *arg,
                      uint64_t *ret_n, struct fl_err *err)
{
    uint64_t of = c->group == EMU_ALL_GROUPS ? r->present : r->groups[c->group].present;
    double part = c->fraction * (double)of;
    uint64_t want = (uint64_t)part;

    if (c->names && *c->names) {
        int rc = choose_names(r, c->names, NULL, NULL, ret_n, err);

        return rc < 0 ? rc : choose_names(r, c->names, fn, arg, ret_n, err);
    }
    if (c->count)
        want = c->count;
    else if ((double)want < part)
        want++;
    *ret_n = draw(r, c->group, of, want, fn, arg);
    return 0;
}
