/* Who is asked in one look at an agent, in the order of DRF. Step 4 of allocator_drf.c:
 *   1. first stage: roles with unmet guarantees, by share; second stage: all roles in the order of the tree; in each role its frameworks
 *      by share. An agent with more than plain resources asks roles at their limits too, after the others.
 *   2. When the agent did not change since its last look, only those woken since then, and those to be asked there.
 *   3. A few of these are sorted by themselves, with the same result as a walk over everyone that skips the others.
 */
#include <stdlib.h>

#include "master/allocator/allocator_priv.h"

/* More than this are found by a walk. */
#define MAX_LIST 16

static bool is_candidate(const struct alloc_turns *t, const struct alloc_client *c)
{
    if (t->ag->changed || c->woken > t->ag->looked)
        return true;
    if (!c->n_asks)
        return false;
    for (size_t i = 0; i < t->ag->n_asks; i++)
        if (t->ag->asks[i] == c)
            return true;
    return false;
}

/* ---- step 3 ---- */

static bool client_before(const struct alloc_client *x, const struct alloc_client *y)
{
    if (x->role == y->role)
        return drf_client_before(&x->drf, &y->drf);
    return role_tree_before(x->role, y->role);
}

void alloc_clients_sort(struct alloc_client **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        role_tree_settle(list[i]->role);
        drf_sorter_settle(&list[i]->role->frameworks);
    }
    for (size_t i = 1; i < n; i++) {
        struct alloc_client *c = list[i];
        size_t k = i;

        for (; k > 0 && client_before(c, list[k - 1]); k--)
            list[k] = list[k - 1];
        list[k] = c;
    }
}

static size_t add_if_active(struct alloc_client **list, size_t n, struct alloc_client *c)
{
    if (!drf_client_is_active(&c->drf))
        return n;
    for (size_t i = 0; i < n; i++)
        if (list[i] == c)
            return n;
    list[n] = c;
    return n + 1;
}

static void take_list(struct alloc_turns *t)
{
    struct allocator *a = t->a;

    a->candidates = xgrow(a->candidates, &a->candidates_cap, a->n_woken + t->ag->n_asks + 1,
                          sizeof(struct alloc_client *));
    t->list = a->candidates;
    for (size_t i = 0; i < a->n_woken; i++)
        if (a->woken[i]->woken > t->ag->looked)
            t->n = add_if_active(t->list, t->n, a->woken[i]);
    for (size_t i = 0; i < t->ag->n_asks; i++)
        t->n = add_if_active(t->list, t->n, t->ag->asks[i]);
    if (t->n > 1)
        alloc_clients_sort(t->list, t->n);
}

/* ---- the whole ---- */

void alloc_turns_begin(struct alloc_turns *t, struct allocator *a, struct alloc_agent *ag,
                       enum alloc_stage stage)
{
    *t = (struct alloc_turns){.a = a, .ag = ag, .stage = stage, .from = TURNS_TREE};
    if (!ag->changed && a->n_woken + ag->n_asks <= MAX_LIST) {
        t->from = TURNS_LIST;
        take_list(t);
    } else if (stage == STAGE_GUARANTEES) {
        t->from = TURNS_GUARANTEED;
        drf_sorter_walk_begin(&a->guaranteed);
    } else {
        role_walk_begin(&t->roles, &a->tree);
    }
}

static bool next_role(struct alloc_turns *t)
{
    struct alloc_role *r = NULL;

    if (t->from == TURNS_TREE) {
        r = role_walk_next(&t->roles);
        if (!r && !t->ag->is_plain) {
            t->from = TURNS_CLOSED;
            drf_sorter_walk_begin(&t->a->closed);
        }
    }
    if (t->from == TURNS_GUARANTEED || t->from == TURNS_CLOSED) {
        struct drf_client *d =
            drf_sorter_walk_next(t->from == TURNS_CLOSED ? &t->a->closed : &t->a->guaranteed);

        r = d ? container_of(d, struct alloc_quota, turn)->role : NULL;
    }
    t->frameworks = r ? &r->frameworks : NULL;
    if (r)
        drf_sorter_walk_begin(t->frameworks);
    return r != NULL;
}

static struct alloc_client *next_of_list(struct alloc_turns *t)
{
    return t->i < t->n ? t->list[t->i++] : NULL;
}

static struct alloc_client *next_of_walk(struct alloc_turns *t)
{
    while (t->frameworks || next_role(t)) {
        struct drf_client *d;

        while ((d = drf_sorter_walk_next(t->frameworks))) {
            struct alloc_client *c = container_of(d, struct alloc_client, drf);

            if (is_candidate(t, c))
                return c;
        }
        drf_sorter_walk_end(t->frameworks);
        t->frameworks = NULL;
    }
    return NULL;
}

/* In the first stage a role's turn ends with its guarantee. */
static bool has_turn(const struct alloc_turns *t, const struct alloc_client *c)
{
    return t->stage == STAGE_SHARES || (c->role->quota && c->role->quota->is_unmet);
}

struct alloc_client *alloc_turns_next(struct alloc_turns *t)
{
    struct alloc_client *c;

    do
        c = t->from == TURNS_LIST ? next_of_list(t) : next_of_walk(t);
    while (c && !has_turn(t, c));
    return c;
}

void alloc_turns_end(struct alloc_turns *t)
{
    if (t->frameworks)
        drf_sorter_walk_end(t->frameworks);
    if (t->from == TURNS_GUARANTEED)
        drf_sorter_walk_end(&t->a->guaranteed);
    else if (t->from == TURNS_CLOSED)
        drf_sorter_walk_end(&t->a->closed);
    else if (t->from == TURNS_TREE)
        role_walk_end(&t->roles);
}
