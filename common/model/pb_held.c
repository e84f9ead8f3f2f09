/* The key of a message is its type and its encoding. */
#include "common/model/pb_held.h"

#include "common/model/hold_table.h"

struct held {
    struct hold_link link;
    ProtobufCMessage *msg; /* owned */
    uint32_t len;
    uint8_t key[];
};

static struct hold_table table = HOLD_TABLE_INIT;

/* With the lock held. */
static struct held *find(const ProtobufCMessageDescriptor *d, const struct fl_buf *key,
                         uint32_t hash)
{
    for (struct hold_link *l = hold_first(&table, hash); l; l = hold_next(l)) {
        struct held *e = container_of(l, struct held, link);
        if (e->len == key->len && e->msg->descriptor == d &&
            memcmp(e->key, key->data, key->len) == 0)
            return e;
    }
    return NULL;
}

/* With the lock held. */
static struct held *add(const ProtobufCMessage *m, const struct fl_buf *key, uint32_t hash)
{
    struct held *e = xcalloc(1, sizeof(*e) + key->len);

    e->msg = fl_pb_dup(m, NULL);
    e->link.hash = hash;
    e->len = (uint32_t)key->len;
    memcpy(e->key, key->data, key->len);
    hold_add(&table, &e->link);
    return e;
}

const ProtobufCMessage *pb_hold(const ProtobufCMessage *m)
{
    _cleanup_buf_ struct fl_buf key = FL_BUF_INIT;
    const ProtobufCMessage *msg;
    struct held *e;
    uint32_t hash;

    if (!m)
        return NULL;
    fl_buf_pack(&key, m);
    hash = hold_hash(key.data, key.len);
    hold_lock(&table);
    e = find(m->descriptor, &key, hash);
    if (!e)
        e = add(m, &key, hash);
    e->link.refs++;
    msg = e->msg;
    hold_unlock(&table);
    return msg;
}

void pb_release(const ProtobufCMessage *held)
{
    _cleanup_buf_ struct fl_buf key = FL_BUF_INIT;
    struct held *e;
    uint32_t hash;
    bool last;

    if (!held)
        return;
    fl_buf_pack(&key, held);
    hash = hold_hash(key.data, key.len);
    hold_lock(&table);
    e = find(held->descriptor, &key, hash);
    assert(e && e->msg == held);
    last = hold_drop(&table, &e->link);
    hold_unlock(&table);
    if (!last)
        return;
    fl_pb_free(e->msg);
    free(e);
}

size_t pb_held_count(void)
{
    return hold_count(&table);
}
