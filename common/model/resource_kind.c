/* The table of resource kinds.
 *
 * The key of a base kind is its message as bytes; of an allocated one the pointers of its base and
 * role. */
#include "common/model/resource_kind.h"

#include "common/model/intern.h"

static struct hold_table table = HOLD_TABLE_INIT;

/* With the lock held; takes a reference. */
static struct kind *find_locked(const uint8_t *key, size_t n, uint32_t hash, bool base)
{
    for (struct hold_link *l = hold_first(&table, hash); l; l = hold_next(l)) {
        struct kind *k = container_of(l, struct kind, link);
        if (k->key_len == n && (k->base == NULL) == base && memcmp(k->key, key, n) == 0) {
            __atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
            return k;
        }
    }
    return NULL;
}

static struct kind *find(const uint8_t *key, size_t n, bool base)
{
    uint32_t hash = hold_hash(key, n);
    hold_lock(&table);
    struct kind *k = find_locked(key, n, hash, base);
    hold_unlock(&table);
    return k;
}

static struct kind *new_kind(const uint8_t *key, size_t n)
{
    struct kind *k = xcalloc(1, sizeof(*k) + n);
    k->link.refs = 1;
    k->link.hash = hold_hash(key, n);
    k->key_len = n;
    memcpy(k->key, key, n);
    return k;
}

static void free_kind(struct kind *k)
{
    if (k->identity != k)
        kind_unref(k->identity);
    intern_unref(k->allocation);
    if (k->base) {
        kind_unref(k->base);
    } else {
        intern_unref(k->name);
        intern_unref(k->role);
        fl_pb_free((V1__Resource *)k->message);
    }
    free(k);
}

/* Puts a new kind in, unless another thread was faster: then that one is the answer. */
static const struct kind *publish(struct kind *fresh)
{
    hold_lock(&table);
    struct kind *k = find_locked(fresh->key, fresh->key_len, fresh->link.hash, fresh->base == NULL);
    if (!k) {
        hold_add(&table, &fresh->link);
        k = TAKE_PTR(fresh);
    }
    hold_unlock(&table);
    if (fresh)
        free_kind(fresh);
    return k;
}

const struct kind *kind_ref(const struct kind *k)
{
    __atomic_add_fetch(&((struct kind *)k)->link.refs, 1, __ATOMIC_RELAXED);
    return k;
}

void kind_unref(const struct kind *ck)
{
    struct kind *k = (struct kind *)ck;
    unsigned refs = __atomic_load_n(&k->link.refs, __ATOMIC_RELAXED);
    while (refs > 1)
        if (__atomic_compare_exchange_n(&k->link.refs, &refs, refs - 1, true, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return;
    /* Perhaps the last one: a look-up could still take it, so this is decided under the lock. */
    hold_lock(&table);
    bool last = __atomic_sub_fetch(&k->link.refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last)
        hold_remove(&table, &k->link);
    hold_unlock(&table);
    if (last)
        free_kind(k);
}

size_t kind_count(void)
{
    return hold_count(&table);
}

static int compare_labels(const void *x, const void *y)
{
    const V1__Label *a = *(V1__Label *const *)x, *b = *(V1__Label *const *)y;
    int order = strcmp(a->key, b->key);
    if (order == 0)
        order = strcmp(a->value ? a->value : "", b->value ? b->value : "");
    return order ? order : (a->value != NULL) - (b->value != NULL);
}

static bool sort_labels(V1__Labels *labels)
{
    bool changed = false;
    for (size_t i = 1; labels && !changed && i < labels->n_labels; i++)
        changed = compare_labels(&labels->labels[i - 1], &labels->labels[i]) > 0;
    if (changed)
        qsort(labels->labels, labels->n_labels, sizeof(*labels->labels), compare_labels);
    return changed;
}

/* Takes out of `m` what does not count in comparing. Whether there was any. */
static bool strip_to_identity(V1__Resource *m)
{
    bool changed = false;
    V1__Resource__DiskInfo *disk = m->disk;
    if (disk && disk->volume) {
        fl_pb_free(disk->volume);
        disk->volume = NULL;
        changed = true;
    }
    if (disk && disk->persistence && disk->persistence->principal) {
        free(disk->persistence->principal);
        disk->persistence->principal = NULL;
        changed = true;
    }
    for (size_t i = 0; i < m->n_reservations; i++)
        changed |= sort_labels(m->reservations[i]->labels);
    if (disk && disk->source)
        changed |= sort_labels(disk->source->metadata);
    return changed;
}

static bool is_whole(const V1__Resource *m)
{
    if (!m->disk)
        return false;
    const V1__Resource__DiskInfo__Source *source = m->disk->source;
    if (source && (source->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT ||
                   source->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK))
        return true;
    if (source && source->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW && source->id)
        return true;
    return m->disk->persistence != NULL;
}

/* Takes the heap message over. */
static const struct kind *intern_base(V1__Resource *m, const uint8_t *key, size_t n)
{
    struct kind *k = new_kind(key, n);
    k->message = m;
    k->name = intern_ref(m->name);
    k->type = m->type;
    k->n_reservations = (uint8_t)FL_MIN(m->n_reservations, 255u);
    if (m->n_reservations) {
        const V1__Resource__ReservationInfo *last = m->reservations[m->n_reservations - 1];
        k->role = intern_ref(last->role);
        k->dynamic = last->type == V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
    }
    k->revocable = m->revocable != NULL;
    k->shared = m->shared != NULL;
    k->persistent = m->disk && m->disk->persistence;
    k->whole = is_whole(m);
    k->identity = k;
    _cleanup_pb_ V1__Resource *stripped = FL_PB_DUP(m);
    if (strip_to_identity(stripped))
        k->identity = kind_intern(stripped);
    return publish(k);
}

/* The bytes of a message that has nothing but name, type and perhaps revocable, as protobuf-c would
 * pack them: the common case without its cost. 0 when they do not fit. */
static size_t pack_plain(const V1__Resource *m, uint8_t *out, size_t size)
{
    size_t n = strlen(m->name);
    if (n > 100 || size < n + 6)
        return 0;
    out[0] = 1 << 3 | 2;
    out[1] = (uint8_t)n;
    memcpy(out + 2, m->name, n);
    out[n + 2] = 2 << 3;
    out[n + 3] = (uint8_t)m->type;
    if (!m->revocable)
        return n + 4;
    out[n + 4] = 9 << 3 | 2;
    out[n + 5] = 0;
    return n + 6;
}

static bool is_plain(const V1__Resource *m)
{
    return !resource_has_role(m) && !m->disk && !m->reservation && !m->shared && !m->provider_id &&
           m->n_reservations == 0 && m->base.n_unknown_fields == 0 &&
           (!m->revocable || m->revocable->base.n_unknown_fields == 0);
}

const struct kind *kind_intern(const V1__Resource *message)
{
    V1__Resource m = *message; /* without value and allocation; borrows the rest */
    m.scalar = NULL;
    m.ranges = NULL;
    m.set = NULL;
    m.allocation_info = NULL;

    uint8_t plain[128];
    size_t n = is_plain(&m) ? pack_plain(&m, plain, sizeof(plain)) : 0;
    _cleanup_free_ uint8_t *packed = NULL;
    if (n == 0) {
        n = v1__resource__get_packed_size(&m);
        packed = xmalloc(n);
        v1__resource__pack(&m, packed);
    }
    const uint8_t *key = packed ? packed : plain;
    const struct kind *base = find(key, n, true);
    if (!base)
        base = intern_base((V1__Resource *)fl_pb_dup(&m.base, NULL), key, n);

    const char *role = message->allocation_info ? message->allocation_info->role : NULL;
    if (!role)
        return base;
    const struct kind *k = kind_allocated(base, role);
    kind_unref(base);
    return k;
}

const struct kind *kind_allocated(const struct kind *k, const char *role)
{
    const char *interned = intern_ref(role);
    const struct kind *allocated = kind_allocated_to(k, interned);
    intern_unref(interned);
    return allocated;
}

const struct kind *kind_allocated_to(const struct kind *k, const char *interned_role)
{
    const struct kind *base = k->base ? k->base : k;
    if (!interned_role)
        return kind_ref(base);
    if (k->allocation == interned_role)
        return kind_ref(k);
    const void *pair[2] = {base, interned_role};
    struct kind *found = find((const uint8_t *)pair, sizeof(pair), false);
    if (found)
        return found;
    struct kind *fresh = new_kind((const uint8_t *)pair, sizeof(pair));
    fresh->base = (struct kind *)kind_ref(base);
    fresh->name = base->name;
    fresh->role = base->role;
    fresh->allocation = intern_ref(interned_role);
    fresh->type = base->type;
    fresh->n_reservations = base->n_reservations;
    fresh->dynamic = base->dynamic;
    fresh->revocable = base->revocable;
    fresh->shared = base->shared;
    fresh->persistent = base->persistent;
    fresh->whole = base->whole;
    fresh->message = base->message;
    fresh->identity =
        base->identity == base ? fresh : kind_allocated_to(base->identity, interned_role);
    return publish(fresh);
}

V1__Resource *kind_to_template(const struct kind *k)
{
    V1__Resource *m = (V1__Resource *)fl_pb_dup(&k->message->base, NULL);
    if (k->allocation) {
        m->allocation_info = xcalloc(1, sizeof(*m->allocation_info));
        v1__resource__allocation_info__init(m->allocation_info);
        m->allocation_info->role = xstrdup(k->allocation);
    }
    return m;
}

void kinds_fork_hold(bool hold)
{
    hold_over_fork(&table, hold);
}
