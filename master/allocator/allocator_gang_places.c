/* Where a gang could be: agents grouped by what its `same` names, and how much of it each group has. Steps 3 and 6 of
 * allocator_gang.c. Nothing here changes the books. */
#include "master/allocator/allocator_gang.h"

/* ---- amounts ---- */

/* Whole units in the amounts; without a unit any amount counts, and this is not asked. */
uint64_t gang_units_in(const struct alloc_gang *g, const struct drf_vec *v)
{
    uint64_t units = UINT64_MAX;

    for (size_t i = 0; i < g->unit.n; i++)
        if (g->unit.v[i] > 0)
            units = FL_MIN(units, (uint64_t)FL_MAX(drf_vec_at(v, i), 0) / (uint64_t)g->unit.v[i]);
    return units;
}

bool gang_has_unit(const struct alloc_gang *g)
{
    return g->spec.unit.n > 0;
}

/* What counts of `v` is added to *sum: whole units of a gang that has units, else all. */
void gang_add_useful(const struct alloc_gang *g, const struct drf_vec *v, struct drf_vec *sum)
{
    uint64_t units = gang_has_unit(g) ? gang_units_in(g, v) : 0;

    for (size_t i = 0; i < g->total.n; i++) {
        milli_t amount =
            gang_has_unit(g) ? drf_vec_at(&g->unit, i) * (milli_t)units : drf_vec_at(v, i);

        if (g->total.v[i] > 0)
            drf_vec_add_at(sum, i, amount);
    }
}

/* ---- places: agents that agree in what `same` names ---- */

/* What the agent has in place of `same`, or NULL: it has none and can be of no such gang. */
char *gang_place_of(const struct alloc_gang *g, const struct alloc_agent *ag)
{
    const V1__DomainInfo *d = ag->info->domain;
    const V1__DomainInfo__FaultDomain *fd = d ? d->fault_domain : NULL;

    switch (g->spec.same) {
    case GANG_ANYWHERE:
        return xstrdup("");
    case GANG_SAME_HOST:
        return xstrdup(ag->info->hostname);
    case GANG_SAME_REGION:
        return fd && fd->region ? xstrdup(fd->region->name) : NULL;
    case GANG_SAME_ZONE:
        return fd && fd->region && fd->zone ? xasprintf("%s/%s", fd->region->name, fd->zone->name)
                                            : NULL;
    case GANG_SAME_ATTRIBUTE:
        return attribute_text(ag->info->attributes, ag->info->n_attributes, g->spec.attribute);
    }
    return NULL;
}

static struct gang_place *place_get(struct gang_place **places, const char *name)
{
    struct gang_place *p;

    HASH_FIND_STR(*places, name, p);
    if (p)
        return p;
    p = xnew0(struct gang_place);
    p->name = xstrdup(name);
    HASH_ADD_KEYPTR(hh, *places, p->name, strlen(p->name), p);
    return p;
}

void gang_places_free(struct gang_place **places)
{
    struct gang_place *p, *next;

    HASH_ITER (hh, *places, p, next) {
        HASH_DEL(*places, p);
        drf_vec_done(&p->free);
        drf_vec_done(&p->capacity);
        free(p->name);
        free(p);
    }
}

/* What the gang could have of the agent now, unallocated. False: nothing. */
bool gang_portion(struct allocator *a, const struct alloc_gang *g, struct alloc_agent *ag,
                  struct resources *ret)
{
    const struct resources none = RESOURCES_INIT;
    struct alloc_client *c = g->client;
    const struct alloc_quota *q = c->role->quota;
    enum alloc_stage stage = q && q->is_unmet ? STAGE_GUARANTEES : STAGE_SHARES;
    enum alloc_gate gate = alloc_gate(a, ag, c);
    unsigned held;

    if (gate != GATE_OPEN)
        return false;
    gate = alloc_portion(a, ag, c, stage, &none, ret, &held);
    if (held)
        alloc_note_held(a, ag, c, held);
    return gate == GATE_OPEN;
}

static void survey_agent(struct allocator *a, const struct alloc_gang *g, struct alloc_agent *ag,
                         struct gang_place **places)
{
    _cleanup_resources_ struct resources part = RESOURCES_INIT;
    _cleanup_vec_ struct drf_vec amounts = DRF_VEC_INIT;
    _cleanup_free_ char *name = NULL;
    struct gang_place *p;

    if (alloc_gate(a, ag, g->client) != GATE_OPEN || !(name = gang_place_of(g, ag)))
        return;
    p = place_get(places, name);
    gang_add_useful(g, &ag->total_vec, &p->capacity);
    if (resources_empty(&ag->free) || !gang_portion(a, g, ag, &part))
        return;
    drf_vec_add_resources(&amounts, &a->totals, &part);
    gang_add_useful(g, &amounts, &p->free);
}

/* What it holds already counts where it is. */
void gang_survey(struct allocator *a, const struct alloc_gang *g, struct gang_place **places)
{
    for (size_t i = 0; i < a->n_agents; i++)
        survey_agent(a, g, a->agent_list[i], places);
    if (g->place)
        drf_vec_add(&place_get(places, g->place)->free, &g->gathered);
}

/* ---- which of them ---- */

static milli_t surplus(const struct alloc_gang *g, const struct drf_vec *v)
{
    milli_t sum = 0;

    for (size_t i = 0; i < g->total.n; i++)
        if (g->total.v[i] > 0)
            sum += (drf_vec_at(v, i) - g->total.v[i]) * MILLI_ONE / g->total.v[i];
    return sum;
}

struct gang_place *gang_smallest_enough(const struct alloc_gang *g, struct gang_place *places)
{
    struct gang_place *p, *next, *best = NULL;

    HASH_ITER (hh, places, p, next) {
        milli_t more;

        if (!drf_vec_covers(&p->free, &g->total))
            continue;
        more = best ? surplus(g, &p->free) - surplus(g, &best->free) : -1;
        if (more < 0 || (more == 0 && strcmp(p->name, best->name) < 0))
            best = p;
    }
    return best;
}

/* Where the most of it is free, among places that could hold all of it. */
struct gang_place *gang_best_to_gather(const struct alloc_gang *g, struct gang_place *places)
{
    struct gang_place *p, *next, *best = NULL;

    HASH_ITER (hh, places, p, next) {
        milli_t more;

        if (!drf_vec_covers(&p->capacity, &g->total))
            continue;
        more = best ? surplus(g, &p->free) - surplus(g, &best->free) : 1;
        if (more > 0 || (more == 0 && strcmp(p->name, best->name) < 0))
            best = p;
    }
    return best;
}

struct gang_place *gang_place_at(const struct alloc_gang *g, struct gang_place *places,
                                 const struct alloc_agent *ag)
{
    _cleanup_free_ char *name = gang_place_of(g, ag);
    struct gang_place *p = NULL;

    if (name)
        HASH_FIND_STR(places, name, p);
    return p && drf_vec_covers(&p->capacity, &g->total) ? p : NULL;
}
