/* One table of strings for the whole process. Pinned strings live until the process ends, so such a pointer may be kept and compared by
 * anybody. */
#include "common/model/intern.h"

#include "common/model/hold_table.h"

struct entry {
    struct hold_link link;
    uint32_t len;
    bool
        pinned; /* set by who holds a reference, or under the lock; from then on references are not given back */
    _Alignas(8) char text[]; /* arrays are held, too */
};

static struct hold_table table = HOLD_TABLE_INIT;

/* With the lock held. */
static struct entry *find_or_add(const char *s, size_t n, uint32_t hash)
{
    for (struct hold_link *l = hold_first(&table, hash); l; l = hold_next(l)) {
        struct entry *e = container_of(l, struct entry, link);
        if (e->len == n && memcmp(e->text, s, n) == 0)
            return e;
    }
    struct entry *e = xmalloc(sizeof(*e) + n + 1);
    *e = (struct entry){.link.hash = hash, .len = (uint32_t)n};
    memcpy(e->text, s, n);
    e->text[n] = 0;
    hold_add(&table, &e->link);
    return e;
}

static struct entry *entry_of(const char *interned)
{
    return container_of(interned, struct entry, text[0]);
}

const char *intern_n(const char *s, size_t n)
{
    if (!s)
        return NULL;
    uint32_t hash = hold_hash(s, n);
    hold_lock(&table);
    struct entry *e = find_or_add(s, n, hash);
    intern_pin(e->text);
    hold_unlock(&table);
    return e->text;
}

const char *intern(const char *s)
{
    return s ? intern_n(s, strlen(s)) : NULL;
}

const char *intern_ref(const char *s)
{
    return s ? intern_ref_n(s, strlen(s)) : NULL;
}

size_t intern_len(const char *interned)
{
    return entry_of(interned)->len;
}

const char *intern_ref_n(const void *s, size_t n)
{
    uint32_t hash = hold_hash(s, n);
    hold_lock(&table);
    struct entry *e = find_or_add(s, n, hash);
    e->link.refs++;
    hold_unlock(&table);
    return e->text;
}

static bool is_pinned(const struct entry *e)
{
    return __atomic_load_n(&e->pinned, __ATOMIC_RELAXED);
}

void intern_unref(const char *interned)
{
    if (!interned || is_pinned(entry_of(interned)))
        return;
    struct entry *e = entry_of(interned);
    hold_lock(&table);
    bool last = !is_pinned(e) && hold_drop(&table, &e->link);
    hold_unlock(&table);
    if (last)
        free(e);
}

const char *intern_pin(const char *interned)
{
    if (interned)
        __atomic_store_n(&entry_of(interned)->pinned, true, __ATOMIC_RELAXED);
    return interned;
}

size_t intern_count(void)
{
    return hold_count(&table);
}

void intern_fork_hold(bool hold)
{
    hold_over_fork(&table, hold);
}
