/* See resources_texts.h. A direct-mapped table: a set that falls on another's place takes it over, so it needs no order of age and
 * its memory is bounded. Sets with ranges, sets of texts or shared resources are made anew each time. */
#include "common/model/resources_texts.h"

#include "common/base/pb_wire.h"
#include "common/model/resources_internal.h"

#define SLOTS     4096u /* a power of two */
#define ITEMS_MAX 6

struct slot {
    size_t n; /* 0: free */
    const struct kind *kinds[ITEMS_MAX];
    int64_t amounts[ITEMS_MAX];
    struct resources_text text; /* owned */
};

struct resources_texts {
    uint32_t field;
    struct fl_arena *arena;    /* owned */
    struct resources_text one; /* owned: of what is not remembered */
    struct slot slots[SLOTS];
};

struct resources_texts *resources_texts_new(uint32_t field)
{
    struct resources_texts *t = xnew0(struct resources_texts);

    t->field = field;
    t->arena = fl_arena_new(4096);
    return t;
}

static void text_done(struct resources_text *x)
{
    fl_buf_done(&x->encoded);
    fl_buf_done(&x->summary);
}

void resources_texts_free(struct resources_texts *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        text_done(&t->slots[i].text);
    text_done(&t->one);
    fl_arena_free(t->arena);
    free(t);
}

static void fill(struct resources_texts *t, const struct resources *r, struct resources_text *x)
{
    struct json_out j = json_out_on(&x->summary);

    fl_buf_clear(&x->encoded);
    fl_buf_clear(&x->summary);
    fl_arena_reset(t->arena);
    for (size_t i = 0; i < r->n; i++) {
        const V1__Resource *pb =
            resource_to_pb(r->items[i], RESOURCES_POST_REFINEMENT, true, t->arena);
        pb_add_head(&x->encoded, t->field, protobuf_c_message_get_packed_size(&pb->base));
        fl_buf_pack(&x->encoded, &pb->base);
    }
    resources_json_summary(r, &j);
    x->role = resources_allocation_role(r);
}

/* Where the set would be, or NULL when it is not of those that are remembered. */
static struct slot *slot_of(struct resources_texts *t, const struct resources *r)
{
    uint64_t h = r->n;

    if (r->n == 0 || r->n > ITEMS_MAX)
        return NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource *x = r->items[i];

        if (x->kind->type != V1__VALUE__TYPE__SCALAR || x->copies != 1)
            return NULL;
        h = (h ^ (uintptr_t)x->kind) * 0x9e3779b97f4a7c15u;
        h = (h ^ h >> 29 ^ (uint64_t)x->value.scalar) * 0xbf58476d1ce4e5b9u;
    }
    return &t->slots[h >> 40 & (SLOTS - 1)];
}

static bool same(const struct slot *s, const struct resources *r)
{
    if (s->n != r->n)
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (s->kinds[i] != r->items[i]->kind || s->amounts[i] != r->items[i]->value.scalar)
            return false;
    return true;
}

const struct resources_text *resources_texts_get(struct resources_texts *t,
                                                 const struct resources *r)
{
    struct slot *s = slot_of(t, r);

    if (!s) {
        fill(t, r, &t->one);
        return &t->one;
    }
    if (same(s, r))
        return &s->text;
    s->n = r->n;
    for (size_t i = 0; i < r->n; i++) {
        s->kinds[i] = r->items[i]->kind;
        s->amounts[i] = r->items[i]->value.scalar;
    }
    fill(t, r, &s->text);
    return &s->text;
}
