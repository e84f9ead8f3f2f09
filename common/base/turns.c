/* See turns.h. The rule: (1) lanes that become active and owe nothing go to the `fresh` list, others to the `busy` one. (2) Fresh ones
 * are served first, but when a busy one has waited for FRESH_MAX_US of them it has its turn. (3) Who has used up its turn, or comes to the head of
 * the busy list owing something, gets FL_TURN_US and goes to its end. (4) What a turn took beyond its credit is owed, up
 * to DEBT_MAX_US; it is kept while the lane has no work. (5) Who was interrupted before its turn was over goes on, behind fresh ones. */
#include "common/base/turns.h"

#include <assert.h>
#include <stddef.h>

#include "common/base/util.h"

#define FRESH_MAX_US 1000
#define MINUTE_US    60000000u
#define DEBT_MAX_US  (32 * FL_TURN_US)

static void list_init(struct fl_lane_list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void push(struct fl_lane_list *list, struct fl_lane *l)
{
    l->next = NULL;
    *list->tail = l;
    list->tail = &l->next;
}

static void push_first(struct fl_lane_list *list, struct fl_lane *l)
{
    l->next = list->head;
    list->head = l;
    if (!l->next)
        list->tail = &l->next;
}

static struct fl_lane *pop(struct fl_lane_list *list)
{
    struct fl_lane *l = list->head;

    list->head = l->next;
    if (!list->head)
        list->tail = &list->head;
    return l;
}

void fl_turns_init(struct fl_turns *t)
{
    list_init(&t->fresh);
    list_init(&t->busy);
    t->fresh_us = 0;
}

void fl_lane_init(struct fl_lane *l)
{
    *l = (struct fl_lane){.credit_us = FL_TURN_US};
}

void fl_turns_add(struct fl_turns *t, struct fl_lane *l)
{
    if (l->queued)
        return;
    l->queued = true;
    l->fresh = l->credit_us > 0;
    if (l->fresh)
        l->credit_us = FL_TURN_US;
    push(l->fresh ? &t->fresh : &t->busy, l);
}

static struct fl_lane *next_busy(struct fl_turns *t)
{
    struct fl_lane *l;

    while ((l = pop(&t->busy))->credit_us <= 0) {
        l->credit_us += FL_TURN_US;
        push(&t->busy, l);
    }
    return l;
}

struct fl_lane *fl_turns_next(struct fl_turns *t)
{
    struct fl_lane *l;

    if (t->fresh.head && (!t->busy.head || t->fresh_us < FRESH_MAX_US))
        l = pop(&t->fresh);
    else if (t->busy.head)
        l = next_busy(t);
    else
        return NULL;
    l->queued = false;
    return l;
}

void fl_turns_end(struct fl_turns *t, struct fl_lane *l, uint64_t used_us, bool more)
{
    int64_t credit = l->credit_us - (int64_t)FL_MIN(used_us, (uint64_t)DEBT_MAX_US);

    assert(!l->queued);
    l->credit_us = (int32_t)FL_MAX(credit, (int64_t)-DEBT_MAX_US);
    t->fresh_us = l->fresh && t->busy.head ? t->fresh_us + used_us : 0;
    if (!more)
        return;
    l->queued = true;
    l->fresh = false;
    if (l->credit_us > 0) {
        push_first(&t->busy, l);
    } else {
        l->credit_us += FL_TURN_US;
        push(&t->busy, l);
    }
}

static uint64_t peak_get(const _Atomic uint64_t *v)
{
    return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

static void peak_put(_Atomic uint64_t *to, uint64_t v)
{
    atomic_store_explicit(to, v, memory_order_relaxed);
}

void fl_peak_note(struct fl_peak *p, uint64_t us, uint64_t now_us)
{
    if (now_us >= p->minute_end_us) {
        p->minute_end_us = now_us + MINUTE_US;
        peak_put(&p->before_us, peak_get(&p->now_us));
        peak_put(&p->now_us, 0);
    }
    if (us > peak_get(&p->now_us))
        peak_put(&p->now_us, us);
}

uint64_t fl_peak_us(const struct fl_peak *p)
{
    uint64_t now = peak_get(&p->now_us), before = peak_get(&p->before_us);

    return FL_MAX(now, before);
}

void fl_lateness_note(struct fl_lateness *l, uint64_t now_us)
{
    uint64_t late = now_us > l->due_us ? now_us - l->due_us : 0;

    peak_put(&l->last_us, late);
    fl_peak_note(&l->peak, late, now_us);
}

uint64_t fl_lateness_last_us(const struct fl_lateness *l)
{
    return peak_get(&l->last_us);
}
