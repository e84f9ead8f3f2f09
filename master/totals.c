/* What all agents together have, use and are offered, of the resources that metrics name, and how many are connected and active. Kept
 * as it changes, in thousandths, so that reading it costs the same whatever the size of the cluster. */
#include "common/model/intern.h"
#include "common/model/quantities.h"
#include "master/core.h"
#include "master/roles.h"

const char *const totals_names[TOTALS_NAMES] = {"cpus", "gpus", "mem", "disk"};

struct booking {
    const struct totals *totals;
    struct scalar_sums *sums;
    int sign;
};

static void book_item(const struct counted_item *item, void *arg)
{
    const struct booking *b = arg;

    for (size_t i = 0; i < TOTALS_NAMES; i++) {
        if (item->name == b->totals->names[i])
            b->sums->of[item->revocable][i] += b->sign * item->amount;
    }
}

static void book(const struct totals *t, struct scalar_sums *sums, const struct resources *r,
                 int sign)
{
    struct booking b = {t, sums, sign};

    resources_each_counted(r, book_item, &b);
}

static void has_shared(const struct counted_item *item, void *arg)
{
    *(bool *)arg |= item->shared;
}

void totals_change(struct agent *a, struct resources *to, const struct resources *r, bool add)
{
    struct totals *t = a->master->core->totals;
    struct scalar_sums *sums = to == &a->used ? &t->used : &t->offered;
    bool shared = false;

    resources_each_counted(r, has_shared, &shared);
    /* A shared volume counts once, however many copies are used: the sums before and after say what changed. */
    book(t, sums, shared ? to : r, shared || !add ? -1 : 1);
    if (add)
        resources_add(to, r);
    else if (to == r)
        resources_done(to);
    else
        resources_subtract(to, r);
    if (shared)
        book(t, sums, to, 1);
}

static void add_sums(struct scalar_sums *to, const struct scalar_sums *s, int sign)
{
    for (size_t i = 0; i < TOTALS_NAMES; i++) {
        to->of[0][i] += sign * s->of[0][i];
        to->of[1][i] += sign * s->of[1][i];
    }
}

void agents_total_changed(struct agent *a)
{
    struct totals *t = a->master->core->totals;

    roles_total_changed(a);
    add_sums(&t->total, &a->booked_total, -1);
    a->booked_total = (struct scalar_sums){0};
    book(t, &a->booked_total, &a->total, 1);
    add_sums(&t->total, &a->booked_total, 1);
    agent_changed(a, false);
    roles_all_changed(a->master);
}

void agents_set_connected(struct agent *a, bool connected)
{
    a->master->core->totals->connected += (unsigned)connected - (unsigned)a->connected;
    a->connected = connected;
    agent_changed(a, true);
}

void agents_set_active(struct agent *a, bool active)
{
    a->master->core->totals->active += (unsigned)active - (unsigned)a->active;
    a->active = active;
    agent_changed(a, true);
}

void totals_init(struct master *m)
{
    struct totals *t = m->core->totals = xnew0(struct totals);

    for (size_t i = 0; i < TOTALS_NAMES; i++)
        t->names[i] = intern(totals_names[i]);
}

void totals_free(struct master *m)
{
    free(TAKE_PTR(m->core->totals));
}
