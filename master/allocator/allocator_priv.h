/* Inside of the built-in allocator "HierarchicalDRF"; for its files and their tests only.
 *
 * Who knows whom:   allocator -> tree of roles (role_tree.h) -> clients (ordered: a framework in one role) -> framework
 *                                top-level role -> its quota
 *                   allocator -> agents -> holdings (what one client has there, offered or used)
 *                                       -> filter sets (what one client refused there)
 *                                       -> reservations (what it reserves to which role)
 *                                       -> inverse offers (who was asked to leave it)
 *                   allocator -> queue of agents, clients that were woken, agents and clients that quota held back
 * What decides beside alloc_run() (gangs) and what explains asks alloc_gate(), alloc_portion() and the quota reads below; none of
 * them changes anything.
 * Three sums are kept, at any time outside a function of these files:
 *   1. for every agent free + all holdings == total (shared resources aside, of which there are always more copies), unless the
 *      agent shrank below what is used on it (`overcommitted`);
 *   2. for every top-level role consumed == what quota counts of all that is held in it and below it + all that agents reserve to
 *      it and below it;
 *   3. allocator.spare == what quota counts of the free resources of all agents that are active and whitelisted,
 *      allocator.required == the unmet guarantees of all roles.
 */
#ifndef MASTER_ALLOCATOR_ALLOCATOR_PRIV_H
#define MASTER_ALLOCATOR_ALLOCATOR_PRIV_H

#include <uthash.h>
#include <utlist.h>

#include "common/model/gang.h"
#include "master/allocator/allocator.h"
#include "master/allocator/role_tree.h"

#define ALLOCATOR_MAGIC 0xa110ca70u

enum alloc_gate {
#define ALLOC_GATE(name, text, advice) GATE_##name,
#include "master/allocator/gates.def"
#undef ALLOC_GATE
    GATE_COUNT
};
const char *alloc_gate_text(enum alloc_gate g);

/* Sets of scalars of which any one must fit; none: anything does. */
struct alloc_min {
    struct drf_vec *sets; /* owned */
    size_t n;
};
void alloc_min_done(struct alloc_min *m);

/* What quota says of a top-level role, and what follows from it. Amounts by scalar id. */
#define ALLOC_NO_LIMIT INT64_MAX
struct alloc_quota {
    struct alloc_role *role;
    struct drf_vec guarantee;
    struct drf_vec limit; /* ALLOC_NO_LIMIT: none; so is what is beyond its end */
    struct drf_vec unmet; /* what of the guarantee is not consumed; a part of allocator.required */
    bool is_unmet;        /* any of it */
    struct drf_client
        turn; /* in allocator.guaranteed, while it is unmet and the role has active frameworks */
    bool wants_more;  /* more is unmet than when its turn was last put in place */
    bool turn_is_old; /* that is to be looked at: in allocator.old_turns */
    struct alloc_quota *prev, *next, *old_prev, *old_next;
};

/* Which part of quota held something back from a client: bits. */
#define ALLOC_HELD_BY_LIMIT    1u
#define ALLOC_HELD_BY_HEADROOM 2u

/* Stages of a look (allocator_drf.c). */
enum alloc_stage { STAGE_GUARANTEES, STAGE_SHARES };

/* A framework in one of its roles. Lives while subscribed, and beyond that while it holds anything. */
struct alloc_client {
    struct drf_client drf; /* among the frameworks of its role */
    struct alloc_framework *framework;
    struct alloc_role *role;
    bool subscribed, suppressed;
    bool own_min; /* `min` stands instead of the allocator's */
    struct alloc_min min;
    size_t n_holdings;
    struct alloc_holding *holdings; /* chained by of_client_* */
    uint64_t woken;  /* allocator.sequence when it last became able to take more than before */
    size_t woken_at; /* in allocator.woken, or IDX_HEAP_OUT */
    size_t held_at;  /* in allocator.held_clients, or IDX_HEAP_OUT */
    unsigned
        held_by;   /* bits of what held something back from it since it was last woken for that */
    size_t n_asks; /* agents that have it in their `asks` */
    struct alloc_filter_set *filters; /* its part of every agent's, chained by of_client_* */
    struct alloc_gang *gang;          /* it wants several agents at once; or NULL */
    struct alloc_client *next;        /* of the framework */
};

/* What a client that wants gang offers asked for, and what is held for it (allocator_gang.c). Amounts by scalar id. */
struct alloc_gang {
    struct alloc_client *client;
    struct gang spec;
    struct drf_vec unit, total;
    struct alloc_gang_part {
        struct alloc_agent *agent;
        struct resources res; /* with allocation_info; in the client's holding, too */
    } * parts;                /* owned; between runs only of the one that gathers */
    size_t n_parts, parts_cap;
    struct drf_vec gathered;     /* what of the parts counts */
    char *place;                 /* where it gathers; owned, NULL: it does not */
    bool asked, wants_to_gather; /* since its last try; since it last tried to gather */
    bool too_large; /* when it last wanted to gather, the whole cluster was too small */
    uint64_t next_try_us;
    uint64_t until_us;      /* it gathers until then */
    uint64_t rest_until_us; /* and does not again before then */
    uint64_t delivered, given_up;
    struct alloc_gang *prev, *next;
};

struct alloc_framework {
    char *id;
    bool known; /* false: only seen as the owner of something on an agent */
    bool active;
    unsigned capabilities;                       /* bits 1 << V1__FrameworkInfo__Capability__Type */
    const struct offer_constraints *constraints; /* borrowed from the master */
    struct alloc_client *clients;
    UT_hash_handle hh; /* by id */
};

struct alloc_holding {
    struct alloc_client *client;
    struct resources res;    /* with allocation_info */
    bool used_of_last_offer; /* transition_to_used() came since the last offer */
    struct alloc_agent *agent;
    struct alloc_holding *next; /* of the agent */
    struct alloc_holding *of_client_prev, *of_client_next;
};

struct alloc_filter {
    struct idx_node node; /* in allocator.expiries */
    uint64_t expires_us;
    struct resources refused; /* without allocation_info */
    struct alloc_filter_set *set;
    struct alloc_filter *prev, *next;
};
/* What one client refused on one agent. */
struct alloc_filter_set {
    struct alloc_client *client; /* the key */
    struct alloc_agent *agent;
    struct alloc_filter *filters;
    unsigned n;
    struct alloc_filter_set *of_client_prev, *of_client_next;
    UT_hash_handle hh;
};

/* What one framework was asked, and answered, about leaving one agent. */
struct alloc_inverse {
    char *framework_id; /* owned */
    bool outstanding;
    uint64_t filtered_until;
    Alloc__InverseOfferStatus *status; /* owned; its last answer, or NULL */
    struct alloc_inverse *prev, *next;
};

struct alloc_agent {
    /* What every look reads, side by side. */
    const char *id;        /* interned, a reference is owned */
    unsigned capabilities; /* bits 1 << V1__AgentInfo__Capability__Type */
    bool active, whitelisted;
    bool is_remote; /* in another region than the master's */
    bool has_shared, has_revocable, has_reserved, has_refined, has_gpus;
    bool is_plain; /* nothing shared, revocable or reserved: whoever may have any may have all */
    bool overcommitted;
    bool is_spare;         /* counted in allocator.spare now */
    bool changed;          /* since its last look: everyone is to be asked */
    bool held_from_all;    /* in held_agents because headroom left nothing for anybody */
    struct resources free; /* not shared, held by nobody */
    struct drf_vec free_vec;
    struct alloc_holding *holdings;
    struct alloc_filter_set *filter_sets; /* by client */
    size_t queued_at;                     /* in allocator.queue, or IDX_HEAP_OUT */
    uint64_t looked;                      /* allocator.sequence at its last look */
    struct alloc_client **asks;           /* owned; to be asked though the agent did not change */
    size_t n_asks, asks_cap;

    V1__AgentInfo *info;      /* owned; without resources */
    struct resources total;   /* without what is never offered (ephemeral_ports) */
    struct drf_vec total_vec; /* its scalars */
    struct drf_vec spare_vec; /* unless it is plain: what quota counts of `free` */
    struct alloc_reserved {
        struct alloc_role *role;
        struct drf_vec amount;
    } * reserved; /* owned: by role, scalars only */
    size_t n_reserved;
    size_t index;                       /* in allocator.agent_list */
    size_t held_at;                     /* in allocator.held_agents, or IDX_HEAP_OUT */
    V1__Unavailability *unavailability; /* owned, or NULL */
    struct alloc_inverse *inverses;
    bool inverse_due, is_maintained;
    struct alloc_agent *maintained_prev, *maintained_next;
    unsigned n_gang_parts; /* held for the gang that gathers */
    UT_hash_handle hh;     /* by id */
};

struct alloc_host {
    char *name;
    UT_hash_handle hh;
};

struct allocator {
    unsigned magic;
    struct allocator_callbacks cb;
    uint64_t interval_us;
    bool filter_gpus;
    V1__DomainInfo *master_domain; /* owned; NULL: none */
    struct alloc_min min;
    struct drf_totals totals;
    struct role_tree tree;
    struct alloc_quota *quotas; /* of top-level roles; those that have none are not here */
    struct drf_vec required;    /* sum of the unmet guarantees: to be held back from others */
    struct drf_vec
        spare; /* sum over agents that may be offered of what quota counts of their free resources */
    struct alloc_framework *frameworks;
    struct alloc_agent *agents;
    struct alloc_agent **agent_list; /* the same, dense */
    size_t n_agents, agents_cap;
    struct alloc_host *whitelist;
    bool whitelisting;
    /* Turns of quotas of roles with active frameworks: those that have the first stage, and those whose limits leave too little for
     * any offer (alloc_role.closed), which only agents with more than plain resources ask. */
    struct drf_sorter guaranteed, closed;
    struct alloc_quota *old_turns; /* chained by old_*: to be put where they belong */
    size_t n_own_min;              /* clients with a minimum of their own */

    /* Agents to be looked at, holes are NULL: [head, staged) had the first stage, [staged, tail) none. */
    struct alloc_agent **queue;
    size_t queue_head, queue_staged, queue_tail, queue_cap;
    /* Clients that became able to take more than before, and not on account of one agent. Until the queue is empty. */
    struct alloc_client **woken;
    size_t n_woken, woken_cap;
    uint64_t sequence; /* goes up with every client woken */
    bool wake_all;     /* all agents are to be queued for the woken */
    bool wake_held;    /* those that quota held something back on */
    /* Agents that have something left because quota held it back, and clients from whom. */
    struct alloc_agent **held_agents;
    size_t n_held_agents, held_agents_cap;
    struct alloc_client **held_clients;
    size_t n_held_clients, held_clients_cap;
    uint64_t easings, easings_seen; /* times that a role's quota left more room than before */
    struct drf_vec noted,
        is_noted; /* by scalar id: the least surplus that held something back; whether any did */
    struct drf_vec left;              /* scratch of a look */
    struct alloc_client **candidates; /* so is this */
    size_t candidates_cap;
    struct alloc_agent
        *maintained;  /* agents with an unavailability or inverse offers, chained by maintained_* */
    bool inverse_due; /* so is one of them: to be gone through though it is no periodic pass */
    struct alloc_counts {
        uint64_t runs, looks, asked, offers, inverse_offers;
        uint64_t gang_tries, gangs_delivered, gangs_given_up;
    } counts;
    struct alloc_gang *gangs;    /* of clients, waiting or not */
    struct alloc_gang *gatherer; /* the one of them that gathers, or NULL */
    bool paused;
    struct idx_heap expiries; /* filters by time */
    uint64_t random;          /* state of the shuffle */
    uint64_t n_mismatched;    /* resources came back that were not held */
};

static inline struct allocator *allocator_cast(struct allocator *a)
{
    return FL_CAST(allocator, ALLOCATOR_MAGIC, a);
}

/* ---- allocator_drf.c ---- */
uint64_t alloc_run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all);
/* What the client may be offered of the agent now, unallocated, or the gate that leaves it nothing. *ret_held: bits of what quota cut off
 * it, in either case. Changes nothing. */
enum alloc_gate alloc_portion(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                              enum alloc_stage stage, const struct resources *shared,
                              struct resources *ret_portion, unsigned *ret_held);
/* Books and offers it. `portion` is allocated to the client's role on return. */
void alloc_offer(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                 struct resources *portion);

/* Tells the master. It is booked already, and allocated. */
void alloc_give(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                const struct resources *portion);

/* ---- allocator_gang.c ---- */
/* Takes the label from the framework's info, or with NULL ends what there was. The client is subscribed. */
void alloc_gang_set(struct allocator *a, struct alloc_client *c,
                    const V1__FrameworkInfo *info_or_null);
void alloc_gang_drop(struct allocator *a, struct alloc_client *c); /* gives back what is held */
void alloc_gang_forget_agent(struct allocator *a, struct alloc_agent *ag);
/* It is the client's turn at the agent. */
void alloc_gang_ask(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                    uint64_t now_us);
/* When everyone was asked. True: something came back that everyone is to be asked about. */
bool alloc_gangs_run(struct allocator *a, uint64_t now_us);
uint64_t alloc_gangs_next(const struct allocator *a);

/* ---- allocator_queue.c: what is to be looked at, and who is to be asked ---- */
/* The agent changed: everyone is to be asked in the next run. */
void alloc_touch(struct allocator *a, struct alloc_agent *ag);
/* The client may want what it did not want before: of any agent, or of this one. */
void alloc_wake(struct allocator *a, struct alloc_client *c);
/* Or of those where quota held something back. */
void alloc_wake_held(struct allocator *a, struct alloc_client *c);
void alloc_ask(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c);
/* Quota held something of the agent back from the client (`held`: bits). */
void alloc_note_held(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                     unsigned held);
void alloc_note_held_from_all(struct allocator *a, struct alloc_agent *ag);
void alloc_queue_fill(struct allocator *a, bool all);
/* The next agent that is to have the stage, or NULL. */
struct alloc_agent *alloc_queue_next(struct allocator *a, enum alloc_stage stage);
void alloc_queue_drained(struct allocator *a);
/* Quota has more room than when it held something back: queues who waits for that. False: nobody. */
bool alloc_queue_eased(struct allocator *a);
/* The agent had its look: nobody is to be asked any more. */
void alloc_looked(struct allocator *a, struct alloc_agent *ag);
void alloc_queue_forget_agent(struct allocator *a, struct alloc_agent *ag);
void alloc_queue_forget_client(struct allocator *a, struct alloc_client *c);
void alloc_queue_done(struct allocator *a);

/* ---- allocator_turns.c: who is asked in one look at an agent, in order ---- */
struct alloc_turns {
    struct allocator *a;
    const struct alloc_agent *ag;
    enum alloc_stage stage;
    enum { TURNS_LIST, TURNS_TREE, TURNS_GUARANTEED, TURNS_CLOSED } from;
    struct role_walk roles;
    struct drf_sorter *frameworks; /* of the role under way, or NULL */
    struct alloc_client **list;    /* borrowed */
    size_t n, i;
};
/* Everyone when the agent changed, else those woken since its last look and those to be asked. Between begin and end no order
 * changes its members. */
void alloc_turns_begin(struct alloc_turns *t, struct allocator *a, struct alloc_agent *ag,
                       enum alloc_stage stage);
struct alloc_client *alloc_turns_next(struct alloc_turns *t); /* NULL at the end */
void alloc_turns_end(struct alloc_turns *t);
/* In the order of DRF. */
void alloc_clients_sort(struct alloc_client **list, size_t n);

/* ---- allocator_quota.c ---- */
void alloc_set_quota(struct allocator *a, const char *role, const struct quantities *guarantees,
                     const struct quantities *limits);
void alloc_quota_free(struct allocator *a, struct alloc_role *r);
/* The role, or one below its top-level role, consumes more (`sign` 1) or less (-1). */
void alloc_consume(struct allocator *a, struct alloc_role *r, const struct drf_vec *v, int sign);
/* Adds what quota counts of the resources: scalars neither reserved nor revocable. */
void alloc_add_counted(struct allocator *a, struct drf_vec *v, const struct resources *r);
/* Around every change of what an agent has free, or of whether it may be offered. */
void alloc_spare_out(struct allocator *a, struct alloc_agent *ag);
void alloc_spare_in(struct allocator *a, struct alloc_agent *ag);
/* The part of `offerable` that quota leaves to the client's role; *ret_held: bits of what cut something off. In the first stage
 * empty when none of it is for the guarantee. */
void alloc_chop(struct allocator *a, const struct alloc_role *r, enum alloc_stage stage,
                const struct resources *offerable, struct resources *ret, unsigned *ret_held);
/* The same for scalars of which each name comes once, without looking at resources: *ret is what is left of `v`. */
enum alloc_left { LEFT_NOTHING, LEFT_PART, LEFT_WHOLE };
enum alloc_left alloc_left(const struct allocator *a, const struct alloc_role *r,
                           enum alloc_stage stage, const struct drf_vec *v, struct drf_vec *ret,
                           unsigned *ret_held);
/* Headroom leaves less of the agent than any offer needs, so nobody is to be asked in the second stage. */
bool alloc_nothing_for_anyone(const struct allocator *a, const struct alloc_agent *ag);
/* The role's frameworks came into their order or left it. */
void alloc_quota_refresh(struct allocator *a, struct alloc_role *r);
void alloc_quota_settle(struct allocator *a); /* the orders of turns are right; not during a walk */
/* For explaining, and for whoever decides beside alloc_run(): */
milli_t alloc_quota_limit(const struct alloc_quota *q, size_t id); /* or ALLOC_NO_LIMIT */
/* What the role's own frameworks may still get under its limit, at least 0; ALLOC_NO_LIMIT: as much as they like. */
milli_t alloc_limit_room(const struct alloc_role *r, size_t id);
/* What is spare beyond the unmet guarantees of all top-level roles but the role's own (NULL: of all), at least 0; ALLOC_NO_LIMIT when
 * nothing of it is held back. */
milli_t alloc_headroom_room(const struct allocator *a, const struct alloc_role *r_or_null,
                            size_t id);

/* ---- allocator_books.c: roles, clients, holdings ---- */
struct alloc_framework *alloc_framework_find(struct allocator *a, const char *id);
struct alloc_framework *alloc_framework_get(struct allocator *a,
                                            const char *id); /* made when missing */
struct alloc_client *alloc_client_find(struct alloc_framework *f, const char *role);
struct alloc_client *alloc_client_get(struct allocator *a, struct alloc_framework *f,
                                      const char *role);
void alloc_client_refresh(struct allocator *a, struct alloc_client *c); /* in or out of the order */
/* Frees the client, and its framework and role, when nothing needs them. */
void alloc_client_release(struct allocator *a, struct alloc_client *c);

struct alloc_holding *alloc_holding_find(struct alloc_agent *ag, const struct alloc_client *c);
/* Books `res` (with allocation_info) to the client; takes it out of the agent's free. */
void alloc_hold(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                const struct resources *res);
/* The same for everything that is free at once, without copying: *taken gets it, unallocated, and its scalars are in the
 * sorters already. Give it to alloc_hold_taken() when the callback has seen it. */
void alloc_take_all_free(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                         struct resources *taken);
struct alloc_holding *alloc_hold_taken(struct alloc_agent *ag, struct alloc_client *c,
                                       struct resources *taken);
/* Takes `res` back from the client; what it did not hold is ignored (and counted). May free the holding and the client. */
void alloc_unhold(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                  const struct resources *res);
void alloc_unhold_all(struct allocator *a, struct alloc_agent *ag, struct alloc_holding *h);
void alloc_set_total(struct allocator *a, struct alloc_agent *ag, const struct resources *total);
void alloc_drop_reserved(struct allocator *a, struct alloc_agent *ag);
void alloc_recount_free(struct allocator *a, struct alloc_agent *ag);
/* Calls fn with each part of one allocation role. */
typedef void alloc_part_f(const char *role, const struct resources *part, void *arg);
void alloc_each_allocation_role(const struct resources *r, alloc_part_f *fn, void *arg);

/* ---- allocator_filters.c ---- */
/* refuse_seconds as the protocol reads it; 0: no filter. */
uint64_t alloc_refuse_us(const V1__Filters *f);
void alloc_filter_add(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                      const struct resources *refused, uint64_t expires_us);
bool alloc_filtered(const struct alloc_agent *ag, const struct alloc_client *c,
                    const struct resources *offered);
/* NULL: it refused nothing there. */
struct alloc_filter_set *alloc_filter_set_find(const struct alloc_agent *ag,
                                               const struct alloc_client *c);
void alloc_filters_drop_client(struct allocator *a, struct alloc_client *c);
void alloc_filters_drop_agent(struct allocator *a, struct alloc_agent *ag);
void alloc_filters_expire(struct allocator *a, uint64_t now_us); /* touches their agents */
uint64_t alloc_filters_next(const struct allocator *a);

/* ---- allocator_inverse.c ---- */
void alloc_inverse_set(struct allocator *a, struct alloc_agent *ag,
                       const V1__Unavailability *u_or_null);
void alloc_inverse_clear(struct allocator *a, struct alloc_agent *ag);
void alloc_inverse_run(struct allocator *a, uint64_t now_us, bool all);
void alloc_inverse_drop_filters(struct allocator *a, const struct alloc_framework *f);
void alloc_inverse_forget_framework(struct allocator *a, const struct alloc_framework *f);
void alloc_set_unavailability(struct allocator *a, const char *agent_id,
                              const V1__Unavailability *u_or_null, uint64_t now_us);
void alloc_update_inverse_offer(struct allocator *a, const char *framework_id, const char *agent_id,
                                const Alloc__InverseOfferStatus *status_or_null,
                                const V1__Filters *filters_or_null, uint64_t now_us);
void alloc_each_inverse_status(const struct allocator *ca, const char *agent_id,
                               void (*fn)(const Alloc__InverseOfferStatus *status, void *arg),
                               void *arg);

/* ---- allocator_numbers.c ---- */
void alloc_numbers(const struct allocator *ca,
                   void (*fn)(const char *name, double value, void *arg), void *arg);

/* ---- allocator_eligible.c ---- */
int alloc_min_parse(struct drf_totals *t, const char *text, struct alloc_min *ret,
                    struct fl_err *err);
void alloc_min_from_filters(struct drf_totals *t,
                            const V1__OfferFilters__MinAllocatableResources *pb,
                            struct alloc_min *ret);
bool alloc_min_fits(const struct alloc_min *m, const struct drf_vec *v);
const struct alloc_min *alloc_client_min(const struct allocator *a, const struct alloc_client *c);
bool alloc_in_other_region(const struct allocator *a, const V1__DomainInfo *domain);
enum alloc_gate alloc_gate(const struct allocator *a, const struct alloc_agent *ag,
                           const struct alloc_client *c);
/* What of the agent's free resources the client may be offered, unallocated. `shared` is what shared resources of the agent are
 * still to be offered in this look at it. */
void alloc_offerable(const struct alloc_agent *ag, const struct alloc_client *c,
                     const struct resources *shared, struct resources *out);

/* ---- allocator_explain.c ---- */
const char *alloc_gate_name(enum alloc_gate g);
void alloc_explain(const struct allocator *a, const char *framework_id, const char *agent_id,
                   uint64_t now_us, struct fl_buf *json);

/* ---- allocator_frameworks.c, allocator_agents.c, allocator_moves.c: the hooks ---- */
void alloc_add_framework(struct allocator *a, const struct allocator_framework *f, uint64_t now_us);
void alloc_update_framework(struct allocator *a, const struct allocator_framework *in,
                            uint64_t now_us);
void alloc_remove_framework(struct allocator *a, const char *framework_id);
void alloc_set_framework_active(struct allocator *a, const char *framework_id, bool active);
void alloc_suppress(struct allocator *a, const char *framework_id, const char *const *roles,
                    size_t n);
void alloc_revive(struct allocator *a, const char *framework_id, const char *const *roles, size_t n,
                  uint64_t now_us);
struct alloc_agent *alloc_find_agent(struct allocator *a, const char *id);
void alloc_hold_used(struct allocator *a, struct alloc_agent *ag, const char *framework_id,
                     const struct resources *res);
void alloc_remove_agent(struct allocator *a, const char *agent_id);
void alloc_add_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us);
void alloc_update_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us);
void alloc_set_agent_active(struct allocator *a, const char *agent_id, bool active);
void alloc_clear_whitelist(struct allocator *a);
void alloc_set_whitelist(struct allocator *a, const char *const *hostnames, size_t n);
void alloc_transition_to_used(struct allocator *a, const char *framework_id, const char *agent_id,
                              const struct resources *res);
void alloc_recover(struct allocator *a, const char *framework_id, const char *agent_id,
                   const struct resources *res, const V1__Filters *filters, uint64_t now_us);
void alloc_add_used(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res);
int alloc_update_allocation(struct allocator *a, const char *framework_id, const char *agent_id,
                            const struct resources *from, const struct resources *to,
                            struct fl_err *err);

/* ---- allocator_hierarchical.c ---- */
extern const struct allocator_ops allocator_hierarchical_drf;

#endif
