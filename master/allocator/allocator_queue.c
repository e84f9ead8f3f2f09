/* What is to be looked at, and who is to be asked, in the built-in allocator. Steps 1 and 3 of allocator_drf.c:
 *   1. An agent that changed is `touched`: it is queued, and everyone is to be asked about it.
 *   2. A client that became able to take more is `woken`: all agents that have something are queued, and those that did not change ask only who
 *      was woken since their last look. `sequence` numbers the wakings.
 *   3. A client whose filter on one agent ended is to be `asked` there: the agent is queued for it alone.
 *   4. A client from whom quota held something back is woken when there is more room, and only the agents where anything was held
 *      back are queued for it.
 *   5. So in a cluster where nothing changed nobody is asked, whoever calls; and the periodic pass (`all`) only shuffles the queue.
 */
#include "master/allocator/allocator_priv.h"

/* An agent with more than this to ask asks everyone: that costs less than keeping lists. */
#define MAX_ASKS 16

/* ---- step 1: the queue of agents ---- */

static void enqueue(struct allocator *a, struct alloc_agent *ag)
{
    if (ag->queued_at != IDX_HEAP_OUT)
        return;
    a->queue = xgrow(a->queue, &a->queue_cap, a->queue_tail + 1, sizeof(struct alloc_agent *));
    ag->queued_at = a->queue_tail;
    a->queue[a->queue_tail++] = ag;
}

void alloc_touch(struct allocator *a, struct alloc_agent *ag)
{
    ag->changed = true;
    enqueue(a, ag);
}

static void shuffle(struct allocator *a)
{
    for (size_t i = a->queue_tail; i > 1; i--) {
        size_t k = drf_random_next(&a->random) % i;
        struct alloc_agent *ag = a->queue[i - 1];

        a->queue[i - 1] = a->queue[k];
        a->queue[k] = ag;
    }
    for (size_t i = 0; i < a->queue_tail; i++)
        a->queue[i]->queued_at = i;
}

/* Without holes and from the front; nobody had the first stage. */
static void restart_queue(struct allocator *a)
{
    size_t n = 0;

    for (size_t i = a->queue_head; i < a->queue_tail; i++)
        if (a->queue[i])
            a->queue[n++] = a->queue[i];
    a->queue_head = a->queue_staged = 0;
    a->queue_tail = n;
    for (size_t i = 0; i < n; i++)
        a->queue[i]->queued_at = i;
}

static bool has_something(const struct alloc_agent *ag)
{
    return ag->active && ag->whitelisted && (!resources_empty(&ag->free) || ag->has_shared);
}

void alloc_queue_fill(struct allocator *a, bool all)
{
    bool wake = a->wake_all;

    for (size_t i = 0; a->wake_held && i < a->n_held_agents; i++)
        enqueue(a, a->held_agents[i]);
    a->wake_all = a->wake_held = false;
    if (!wake && (!all || a->queue_head == a->queue_tail))
        return;
    restart_queue(a);
    for (size_t i = 0; wake && i < a->n_agents; i++)
        if (has_something(a->agent_list[i]))
            enqueue(a, a->agent_list[i]);
    shuffle(a);
}

/* Agents lie all over the memory, and a look is shorter than the waits for it: what the next ones need is asked for ahead. */
static void prefetch(const struct allocator *a, size_t at)
{
    const struct alloc_agent *ag;

    if (at + 8 < a->queue_tail && (ag = a->queue[at + 8])) {
        __builtin_prefetch(ag);
        __builtin_prefetch((const char *)ag + 64);
        __builtin_prefetch((const char *)ag + 128);
    }
    if (at + 4 < a->queue_tail && (ag = a->queue[at + 4])) {
        __builtin_prefetch(ag->id);
        __builtin_prefetch(ag->free.items);
        __builtin_prefetch((const char *)ag->free.items + 64);
        __builtin_prefetch(ag->free_vec.v);
    }
}

struct alloc_agent *alloc_queue_next(struct allocator *a, enum alloc_stage stage)
{
    size_t *at = stage == STAGE_GUARANTEES ? &a->queue_staged : &a->queue_head;

    while (*at < a->queue_tail) {
        struct alloc_agent *ag = a->queue[*at];

        prefetch(a, *at);
        (*at)++;

        a->queue_staged = FL_MAX(a->queue_staged, a->queue_head);
        if (ag && stage == STAGE_SHARES)
            ag->queued_at = IDX_HEAP_OUT;
        if (ag)
            return ag;
    }
    return NULL;
}

static void dequeue(struct allocator *a, struct alloc_agent *ag)
{
    if (ag->queued_at == IDX_HEAP_OUT)
        return;
    a->queue[ag->queued_at] = NULL;
    ag->queued_at = IDX_HEAP_OUT;
}

/* ---- step 2: woken clients ---- */

static void wake(struct allocator *a, struct alloc_client *c)
{
    c->woken = ++a->sequence;
    if (c->woken_at != IDX_HEAP_OUT)
        return;
    a->woken = xgrow(a->woken, &a->woken_cap, a->n_woken + 1, sizeof(struct alloc_client *));
    c->woken_at = a->n_woken;
    a->woken[a->n_woken++] = c;
}

void alloc_wake(struct allocator *a, struct alloc_client *c)
{
    wake(a, c);
    a->wake_all = true;
}

void alloc_wake_held(struct allocator *a, struct alloc_client *c)
{
    wake(a, c);
    a->wake_held = true;
}

static void forget_woken(struct allocator *a, struct alloc_client *c)
{
    size_t i = c->woken_at;

    if (i == IDX_HEAP_OUT)
        return;
    a->woken[i] = a->woken[--a->n_woken];
    a->woken[i]->woken_at = i;
    c->woken_at = IDX_HEAP_OUT;
}

void alloc_queue_drained(struct allocator *a)
{
    a->queue_head = a->queue_staged = a->queue_tail = 0;
    while (a->n_woken)
        forget_woken(a, a->woken[a->n_woken - 1]);
}

/* ---- step 3: one client on one agent ---- */

void alloc_ask(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c)
{
    if (ag->n_asks == MAX_ASKS) {
        alloc_touch(a, ag);
        return;
    }
    for (size_t i = 0; i < ag->n_asks; i++)
        if (ag->asks[i] == c)
            return;
    ag->asks = xgrow(ag->asks, &ag->asks_cap, ag->n_asks + 1, sizeof(struct alloc_client *));
    ag->asks[ag->n_asks++] = c;
    c->n_asks++;
    enqueue(a, ag);
}

static void forget_asks(struct alloc_agent *ag)
{
    while (ag->n_asks)
        ag->asks[--ag->n_asks]->n_asks--;
}

static void forget_ask(struct alloc_agent *ag, struct alloc_client *c)
{
    for (size_t i = 0; i < ag->n_asks; i++)
        if (ag->asks[i] == c) {
            ag->asks[i] = ag->asks[--ag->n_asks];
            c->n_asks--;
            return;
        }
}

/* ---- step 4: held back by quota ---- */

static void add_held_agent(struct allocator *a, struct alloc_agent *ag)
{
    if (ag->held_at != IDX_HEAP_OUT)
        return;
    a->held_agents = xgrow(a->held_agents, &a->held_agents_cap, a->n_held_agents + 1,
                           sizeof(struct alloc_agent *));
    ag->held_at = a->n_held_agents;
    a->held_agents[a->n_held_agents++] = ag;
}

static void drop_held_agent(struct allocator *a, struct alloc_agent *ag)
{
    size_t i = ag->held_at;

    if (i == IDX_HEAP_OUT)
        return;
    a->held_agents[i] = a->held_agents[--a->n_held_agents];
    a->held_agents[i]->held_at = i;
    ag->held_at = IDX_HEAP_OUT;
    ag->held_from_all = false;
}

static void drop_held_client(struct allocator *a, struct alloc_client *c)
{
    size_t i = c->held_at;

    if (i == IDX_HEAP_OUT)
        return;
    a->held_clients[i] = a->held_clients[--a->n_held_clients];
    a->held_clients[i]->held_at = i;
    c->held_at = IDX_HEAP_OUT;
    c->held_by = 0;
}

/* What is spare beyond all that is held back; below zero when more is promised than there is. */
static milli_t surplus(const struct allocator *a, size_t id)
{
    milli_t required = drf_vec_at(&a->required, id);

    return required ? drf_vec_at(&a->spare, id) - required : ALLOC_NO_LIMIT;
}

/* The least counts: whoever was held back at more waits with the others. */
static void note_surplus(struct allocator *a)
{
    for (size_t i = 0; i < a->totals.n; i++) {
        milli_t now = surplus(a, i);

        if (now == ALLOC_NO_LIMIT || (drf_vec_at(&a->is_noted, i) && now >= a->noted.v[i]))
            continue;
        drf_vec_add_at(&a->noted, i, now - drf_vec_at(&a->noted, i));
        drf_vec_add_at(&a->is_noted, i, 1 - drf_vec_at(&a->is_noted, i));
    }
}

void alloc_note_held(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                     unsigned held)
{
    add_held_agent(a, ag);
    c->held_by |= held;
    if (held & ALLOC_HELD_BY_HEADROOM)
        note_surplus(a);
    if (c->held_at != IDX_HEAP_OUT)
        return;
    a->held_clients = xgrow(a->held_clients, &a->held_clients_cap, a->n_held_clients + 1,
                            sizeof(struct alloc_client *));
    c->held_at = a->n_held_clients;
    a->held_clients[a->n_held_clients++] = c;
}

void alloc_note_held_from_all(struct allocator *a, struct alloc_agent *ag)
{
    add_held_agent(a, ag);
    ag->held_from_all = true;
    note_surplus(a);
}

static bool headroom_eased(struct allocator *a)
{
    for (size_t i = 0; i < a->is_noted.n; i++)
        if (a->is_noted.v[i] && surplus(a, i) > a->noted.v[i])
            return true;
    return false;
}

bool alloc_queue_eased(struct allocator *a)
{
    bool headroom = headroom_eased(a), any = false;

    if (!headroom && a->easings == a->easings_seen)
        return false;
    if (headroom) {
        drf_vec_clear(&a->noted);
        drf_vec_clear(&a->is_noted);
    }
    for (size_t i = a->n_held_clients; i-- > 0;) {
        struct alloc_client *c = a->held_clients[i];

        if (c->role->top->eased <= a->easings_seen &&
            !(headroom && (c->held_by & ALLOC_HELD_BY_HEADROOM)))
            continue;
        wake(a, c);
        drop_held_client(a, c); /* the last takes its place, and was seen */
        any = true;
    }
    a->easings_seen = a->easings;
    for (size_t i = 0; i < a->n_held_agents; i++) {
        struct alloc_agent *ag = a->held_agents[i];

        if (headroom && ag->held_from_all) {
            ag->held_from_all = false;
            alloc_touch(a, ag);
        } else if (any) {
            enqueue(a, ag);
        }
    }
    return a->queue_tail > 0;
}

/* ---- after a look, and ends ---- */

void alloc_looked(struct allocator *a, struct alloc_agent *ag)
{
    ag->changed = false;
    ag->looked = a->sequence;
    forget_asks(ag);
    if (!has_something(ag))
        drop_held_agent(a, ag);
}

void alloc_queue_forget_agent(struct allocator *a, struct alloc_agent *ag)
{
    dequeue(a, ag);
    drop_held_agent(a, ag);
    forget_asks(ag);
    free(ag->asks);
    ag->asks = NULL;
}

void alloc_queue_forget_client(struct allocator *a, struct alloc_client *c)
{
    forget_woken(a, c);
    drop_held_client(a, c);
    for (size_t i = 0; c->n_asks && i < a->n_agents; i++)
        forget_ask(a->agent_list[i], c);
}

void alloc_queue_done(struct allocator *a)
{
    free(a->queue);
    free(a->woken);
    free(a->held_agents);
    free(a->held_clients);
    free(a->candidates);
    drf_vec_done(&a->noted);
    drf_vec_done(&a->is_noted);
    drf_vec_done(&a->left);
}
