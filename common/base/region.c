/* See region.h. */
#include "common/base/region.h"

#include <stdatomic.h>

struct fl_region {
    atomic_uint refs;
    const char *data;
    size_t len;
    void (*release)(void *arg);
    void *arg;
};

struct fl_region *fl_region_new(const char *data, size_t len, void (*release)(void *arg), void *arg)
{
    struct fl_region *r = xnew0(struct fl_region);

    atomic_init(&r->refs, 1);
    r->data = data;
    r->len = len;
    r->release = release;
    r->arg = arg;
    return r;
}

struct fl_region *fl_region_of_buf(struct fl_buf *b)
{
    struct fl_region *r = fl_region_new(b->data, b->len, free, b->data);

    *b = (struct fl_buf)FL_BUF_INIT;
    return r;
}

struct fl_region *fl_region_ref(struct fl_region *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void fl_region_unref(struct fl_region *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    if (r->release)
        r->release(r->arg);
    free(r);
}

const char *fl_region_data(const struct fl_region *r)
{
    return r->data;
}

size_t fl_region_len(const struct fl_region *r)
{
    return r->len;
}
