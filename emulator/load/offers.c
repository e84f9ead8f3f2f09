/* See offers.h. How offers are used:
 *
 * What is wanted is launched on them, packed or spread. Of the rest a framework that will want more keeps a few (`hold`), and
 * declines the others with a filter: what ends on such an agent makes it larger than the filter, so it is offered again at once. A
 * framework that wants nothing more suppresses, and revives when it does. */
#include "emulator/load/offers.h"

/* ---- ids: "INDEX-ATTEMPT" in hexadecimal ---- */

static char *add_hex(char *p, uint64_t v)
{
    static const char digits[] = "0123456789abcdef";
    unsigned shift = 0;

    while (shift < 60 && v >> (shift + 4))
        shift += 4;
    for (;; shift -= 4) {
        *p++ = digits[v >> shift & 15];
        if (shift == 0)
            return p;
    }
}

void load_task_id(char *out, size_t index, uint32_t attempt)
{
    char *p = add_hex(out, index);

    *p++ = '-';
    p = add_hex(p, attempt);
    *p = '\0';
}

static bool take_hex(struct load_bytes *b, uint64_t *ret)
{
    size_t i = 0;
    uint64_t v = 0;

    for (; i < b->n && i < 16; i++) {
        char c = b->p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            break;
    }
    b->p += i;
    b->n -= i;
    *ret = v;
    return i > 0;
}

bool load_task_id_parse(struct load_bytes id, size_t *ret_index, uint32_t *ret_attempt)
{
    uint64_t index, attempt;

    if (!take_hex(&id, &index) || id.n < 2 || *id.p != '-')
        return false;
    id.p++;
    id.n--;
    if (!take_hex(&id, &attempt) || id.n > 0)
        return false;
    *ret_index = (size_t)index;
    *ret_attempt = (uint32_t)attempt;
    return true;
}

/* ---- how much fits ---- */

static double plain_amount(const V1__Offer *o, const char *name)
{
    double sum = 0;

    for (size_t i = 0; i < o->n_resources; i++) {
        const V1__Resource *r = o->resources[i];

        if (r->scalar && streq(r->name, name) && !r->reservation && !r->n_reservations &&
            (!r->role || streq(r->role, "*")) && !r->disk && !r->revocable && !r->shared)
            sum += r->scalar->value;
    }
    return sum;
}

static uint64_t fits(const struct load_entry *e, const V1__Offer *o)
{
    double least = 1e9;

    for (size_t i = 0; i < e->need.n; i++) {
        double n = (plain_amount(o, e->need.v[i].name) + 1e-6) / e->need.v[i].amount;

        least = FL_MIN(least, n);
    }
    return (uint64_t)least;
}

static uint64_t pending(const struct load_framework *f)
{
    return f->n_arrived_tasks - f->next_fresh + f->n_again;
}

static uint64_t wanted(const struct load_framework *f)
{
    uint64_t n = pending(f), most = f->group->entry->parallel;

    if (f->load->phase != LOAD_WORKING && f->load->phase != LOAD_HOLDING)
        return 0;
    if (most)
        n = FL_MIN(n, most > f->in_flight ? most - f->in_flight : 0);
    return n;
}

/* More will be wanted without a revival. */
static bool expects(const struct load_framework *f)
{
    return pending(f) > 0 || f->n_arrived < f->n_jobs || f->group->entry->keep;
}

/* ---- launching ---- */

static double refusal(const struct load_framework *f)
{
    return (double)f->group->entry->refuse_us / 1e6;
}

static size_t next_task(struct load_framework *f)
{
    return f->n_again ? f->again[--f->n_again] : f->next_fresh++;
}

static void launch_one(struct load_framework *f, const char *agent_id)
{
    struct load *l = f->load;
    size_t i = next_task(f);
    struct load_task *t = &f->tasks[i];
    char id[LOAD_TASK_ID];

    if (t->attempt++ == 0)
        f->group->first_accepted += !f->group->entry->keep;
    t->state = LOAD_ACCEPTED;
    t->accepted_us = l->now_us;
    f->jobs[i / f->group->entry->tasks].accepted++;
    load_task_id(id, i, t->attempt);
    load_accept_add(&l->accept, id, agent_id, &f->group->pattern);
}

static void launch(struct load_framework *f, const char *offer_id, const char *agent_id, uint64_t n)
{
    struct load *l = f->load;
    struct load_figures *g = f->group->figures;
    bool more;

    for (uint64_t i = 0; i < n; i++)
        launch_one(f, agent_id);
    if (f->group->entry->measure) {
        free(f->last_agent);
        f->last_agent = xstrdup(agent_id);
    }
    f->in_flight += n;
    f->accepted += n;
    g->counts[LOAD_COUNT_ACCEPTED] += n;
    g->counts[LOAD_COUNT_ACCEPTS]++;
    /* What is left of the offer comes back at once to whoever can use it now. */
    more = wanted(f) > 0 ||
           (expects(f) && !f->group->entry->measure && f->n_held < f->group->entry->hold);
    if (!more)
        f->filtered = true;
    load_accept_end(&l->accept, &l->out, offer_id, more ? 0 : refusal(f));
    load_framework_send(f, 0);
}

static void held_remove(struct load_framework *f, size_t i)
{
    free(f->held[i].offer_id);
    free(f->held[i].agent_id);
    f->held[i] = f->held[--f->n_held];
}

void load_held_drop(struct load_framework *f)
{
    while (f->n_held)
        held_remove(f, 0);
    free(f->held);
    f->held = NULL;
}

static void held_add(struct load_framework *f, const V1__Offer *o, uint64_t n)
{
    if (!f->held)
        f->held = xcalloc((size_t)f->group->entry->hold, sizeof *f->held);
    f->held[f->n_held++] = (struct load_held){
        .offer_id = xstrdup(o->id->value), .agent_id = xstrdup(o->agent_id->value), .fits = n};
}

static uint64_t share_of_offer(const struct load_framework *f, uint64_t room, uint64_t offers_left)
{
    const struct load_entry *e = f->group->entry;
    uint64_t n = FL_MIN(wanted(f), room);

    if (e->per_offer)
        n = FL_MIN(n, e->per_offer);
    if (e->place == LOAD_SPREAD && offers_left > 1)
        n = FL_MIN(n, (wanted(f) + offers_left - 1) / offers_left);
    return n;
}

void load_want(struct load_framework *f, bool arrived)
{
    if (!f->subscribed)
        return;
    while (f->n_held && wanted(f) && !f->group->entry->gang) {
        struct load_held *h = &f->held[f->n_held - 1];

        launch(f, h->offer_id, h->agent_id, share_of_offer(f, h->fits, f->n_held));
        held_remove(f, f->n_held - 1);
    }
    if (wanted(f) == 0 || !(f->suppressed || (arrived && f->filtered)))
        return;
    f->suppressed = f->filtered = false;
    load_call_plain(&f->load->out, SCHED__CALL__TYPE__REVIVE);
    load_framework_send(f, 0);
}

/* ---- answering ---- */

static void decline(struct load_framework *f, const char **ids, size_t n)
{
    bool wants = expects(f);

    if (!wants && !f->suppressed)
        load_framework_suppress(f);
    if (n == 0)
        return;
    f->group->figures->counts[LOAD_COUNT_DECLINED] += n;
    f->filtered = f->filtered || wants;
    load_call_decline(&f->load->out, ids, n, wants ? refusal(f) : 0);
    load_framework_send(f, 0);
}

/* An agent may tell the master that a task is over before its framework has heard so: then the offer comes first. Who measures how
 * soon a machine is used again keeps this offer, and no other. */
static bool keeps(struct load_framework *f, const V1__Offer *o, uint64_t room)
{
    if (room == 0 || f->n_held >= f->group->entry->hold || !expects(f))
        return false;
    if (!f->group->entry->measure)
        return true;
    if (!f->last_agent || !streq(f->last_agent, o->agent_id->value))
        return false;
    if (!f->freed_us)
        f->freed_us = f->load->now_us;
    return true;
}

static void use_singly(struct load_framework *f, V1__Offer *const *offers, size_t n)
{
    _cleanup_free_ const char **rest = xcalloc(n, sizeof *rest);
    size_t n_rest = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t room = fits(f->group->entry, offers[i]);
        uint64_t k = share_of_offer(f, room, n - i);

        if (k > 0)
            launch(f, offers[i]->id->value, offers[i]->agent_id->value, k);
        else if (keeps(f, offers[i], room))
            held_add(f, offers[i], room);
        else
            rest[n_rest++] = offers[i]->id->value;
    }
    decline(f, rest, n_rest);
}

static const char *zone_of(const V1__Offer *o)
{
    const V1__DomainInfo *d = o->domain;

    return d && d->fault_domain ? d->fault_domain->zone->name : "";
}

/* All tasks of the next job, or none. */
static bool use_for_gang(struct load_framework *f, V1__Offer *const *offers, size_t n)
{
    const struct load_entry *e = f->group->entry;
    const char *zone = NULL;
    uint64_t room = 0, left = e->tasks;
    bool pure = true;

    for (size_t i = 0; i < n; i++)
        room += fits(e, offers[i]);
    if (wanted(f) < e->tasks || room < e->tasks)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t k = FL_MIN(fits(e, offers[i]), left);

        if (k == 0)
            continue;
        pure = pure && (!zone || streq(zone, zone_of(offers[i])));
        zone = zone_of(offers[i]);
        launch(f, offers[i]->id->value, offers[i]->agent_id->value, k);
        left -= k;
    }
    f->load->gangs_pure += pure;
    return true;
}

static void use_as_gang(struct load_framework *f, V1__Offer *const *offers, size_t n)
{
    _cleanup_free_ const char **rest = xcalloc(n, sizeof *rest);
    const struct load_entry *e = f->group->entry;
    uint64_t left = e->tasks;
    bool used = use_for_gang(f, offers, n);
    size_t n_rest = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t k = FL_MIN(fits(e, offers[i]), left);

        if (!used || k == 0)
            rest[n_rest++] = offers[i]->id->value;
        left -= used ? k : 0;
    }
    decline(f, rest, n_rest);
}

static void count_freed(struct load_framework *f, const V1__Offer *o)
{
    struct load_agent *a =
        load_agents_get(&f->load->agents, o->agent_id->value, strlen(o->agent_id->value));

    if (a->freed_us)
        hist_add(&f->group->figures->hists[LOAD_HIST_FREED_OFFERED], f->load->now_us - a->freed_us);
    a->freed_us = 0;
}

void load_offers(struct load_framework *f, V1__Offer *const *offers, size_t n)
{
    f->group->figures->counts[LOAD_COUNT_OFFERS] += n;
    for (size_t i = 0; i < n; i++)
        count_freed(f, offers[i]);
    if (f->group->entry->gang)
        use_as_gang(f, offers, n);
    else
        use_singly(f, offers, n);
    load_progress(f->load);
}

void load_offer_rescinded(struct load_framework *f, const char *offer_id)
{
    f->group->figures->counts[LOAD_COUNT_RESCINDED]++;
    for (size_t i = 0; i < f->n_held; i++) {
        if (streq(f->held[i].offer_id, offer_id)) {
            held_remove(f, i);
            return;
        }
    }
}
