/* Merging of decoded messages. An optional message may come twice: what the first has and the second (`to`) has not is taken over. As
 * protobuf-c does it: unknown fields of the first are dropped, required ones of the second stand, and of a oneof that the type has one
 * of the two must have a member. Pure. */
#include "common/base/pb_priv.h"

/* The first's array goes on: thousands of small messages that are merged must not copy it every time. */
static void concatenate(struct fl_arena *a, const struct pb_field *f, char *from, char *to)
{
    size_t n = PB_AT(size_t, from, f->quantifier), *more = &PB_AT(size_t, to, f->quantifier);
    void **array = &PB_AT(void *, to, f->offset);
    char *both;

    if (n == 0)
        return;
    both = fl_arena_grow(a, PB_AT(void *, from, f->offset), n, *more, f->size);
    if (*more)
        memcpy(both + n * f->size, *array, *more * f->size);
    *array = both;
    *more += n;
}

/* `set` tells of scalars. */
static bool is_wanted(const struct pb_field *f, const void *from, const void *to, bool set)
{
    const ProtobufCBinaryData *x = from, *y = to, *dflt;

    if (f->op == PB_STRING || f->op == PB_MESSAGE)
        return *(void *const *)from != f->dflt && *(void *const *)to == f->dflt;
    if (f->op == PB_BYTES) {
        dflt = f->dflt;
        return x->data && (!dflt || x->data != dflt->data) &&
               (!y->data || (dflt && y->data == dflt->data));
    }
    return set;
}

static bool merge_field(struct fl_arena *a, const struct pb_field *f, char *from, char *to)
{
    void *x = from + f->offset, *y = to + f->offset;
    bool set = false;

    if (f->shape == PB_ONEOF) {
        uint32_t which = PB_AT(uint32_t, from, f->quantifier);

        if (PB_AT(uint32_t, to, f->quantifier))
            return true;
        if (which == 0)
            return false;
        if (which != f->id)
            return true;
        set = true;
    } else if (f->shape == PB_HAS) {
        set = PB_AT(protobuf_c_boolean, from, f->quantifier) &&
              !PB_AT(protobuf_c_boolean, to, f->quantifier);
    }
    if (f->shape != PB_ONEOF && f->op == PB_MESSAGE && *(void **)x && *(void **)y)
        return pb_merge(a, pb_sub_table(f), *(void **)x, *(void **)y);
    if (!is_wanted(f, x, y, set))
        return true;
    memcpy(y, x, f->size);
    if (f->quantifier)
        memcpy(to + f->quantifier, from + f->quantifier, sizeof(uint32_t));
    return true;
}

bool pb_merge(struct fl_arena *a, const struct pb_table *t, char *from, char *to)
{
    for (unsigned i = 0; i < t->n_fields; i++) {
        const struct pb_field *f = &t->fields[i];

        if (f->shape == PB_REPEATED)
            concatenate(a, f, from, to);
        else if (f->shape != PB_ALWAYS && !merge_field(a, f, from, to))
            return false;
    }
    return true;
}
