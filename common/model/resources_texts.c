/* See resources_texts.h. A direct-mapped table: a set that falls on another's place takes it over, so it needs no order of age and
 * its memory is bounded. */
#include "common/model/resources_texts.h"

#include "common/base/pb_wire.h"
#include "common/model/resources_internal.h"

#define SLOTS 4096u /* a power of two */

struct slot {
    const struct resources *of; /* NULL: free */
    uint64_t round;             /* in which it was filled */
    struct resources_text text; /* owned */
};

struct resources_texts {
    uint32_t field;
    uint64_t round;
    struct fl_arena *arena; /* owned */
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
    fl_buf_done(&x->json);
}

void resources_texts_free(struct resources_texts *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        text_done(&t->slots[i].text);
    fl_arena_free(t->arena);
    free(t);
}

void resources_texts_forget(struct resources_texts *t)
{
    t->round++;
}

static void fill(struct resources_texts *t, const struct resources *r, struct resources_text *x)
{
    struct json_out j = json_out_on(&x->summary), list = json_out_on(&x->json);

    fl_buf_clear(&x->json);
    fl_buf_clear(&x->encoded);
    fl_buf_clear(&x->summary);
    fl_arena_reset(t->arena);
    json_array(&list);
    for (size_t i = 0; i < r->n; i++) {
        const V1__Resource *pb =
            resource_to_pb(&r->items[i], RESOURCES_POST_REFINEMENT, true, t->arena);
        pb_add_head(&x->encoded, t->field, protobuf_c_message_get_packed_size(&pb->base));
        fl_buf_pack(&x->encoded, &pb->base);
        json_pb(&list, &pb->base, FL_JSON_DEFAULTS);
    }
    json_end_array(&list);
    resources_json_summary(r, &j);
    x->role = resources_allocation_role(r);
}

const struct resources_text *resources_texts_get(struct resources_texts *t,
                                                 const struct resources *r)
{
    uint64_t h = (uintptr_t)r * 0x9e3779b97f4a7c15u;
    struct slot *s = &t->slots[h >> 40 & (SLOTS - 1)];

    if (s->of != r || s->round != t->round) {
        s->of = r;
        s->round = t->round;
        fill(t, r, &s->text);
    }
    return &s->text;
}
