/* Writing the allocator's log: frames, and the dictionary of what repeats. See allocator_record_log.h. */
#include <zlib.h>

#include "master/allocator/allocator_record_log.h"

struct alog_entry {
    uint8_t *data; /* owned: the key */
    size_t len;
    uint32_t ref;
    UT_hash_handle hh;
};

void alog_writer_init(struct alog_writer *w, const struct allocator_sink *sink)
{
    *w = (struct alog_writer){.sink = sink, .arena = fl_arena_new(4096)};
}

static void forget(struct alog_writer *w)
{
    struct alog_entry *e, *next;

    HASH_ITER (hh, w->dict, e, next) {
        HASH_DEL(w->dict, e);
        free(e->data);
        free(e);
    }
    w->n_dict = 0;
    w->dict_bytes = 0;
}

void alog_writer_done(struct alog_writer *w)
{
    forget(w);
    free(w->define);
    fl_arena_free(w->arena);
    fl_buf_done(&w->scratch);
    fl_buf_done(&w->frame);
}

static void add_varint(struct fl_buf *b, size_t v)
{
    for (; v >= 0x80; v >>= 7)
        fl_buf_addc(b, (char)(v | 0x80));
    fl_buf_addc(b, (char)v);
}

static void append(struct alog_writer *w, const ProtobufCMessage *m)
{
    uint32_t sum;

    fl_buf_clear(&w->scratch);
    fl_buf_pack(&w->scratch, m);
    sum = (uint32_t)crc32(0, (const Bytef *)w->scratch.data, (uInt)w->scratch.len);
    add_varint(&w->frame, w->scratch.len);
    for (unsigned shift = 0; shift < 32; shift += 8)
        fl_buf_addc(&w->frame, (char)(sum >> shift));
    fl_buf_add(&w->frame, w->scratch.data, w->scratch.len);
    w->stopped = !w->sink->append(w->sink->arg, w->frame.data, w->frame.len);
    fl_buf_clear(&w->frame);
    if (w->stopped)
        forget(w);
}

void alog_write_header(struct alog_writer *w, const char *allocator)
{
    Alog__Header h = ALOG__HEADER__INIT;

    h.format = ALOG_FORMAT;
    h.abi = ALLOCATOR_ABI;
    h.allocator = (char *)allocator;
    h.program = (char *)FL_VERSION;
    fl_buf_add(&w->frame, ALOG_MAGIC, ALOG_MAGIC_LEN);
    append(w, &h.base);
}

bool alog_begin(struct alog_writer *w, Alog__Record *r, Alog__Record__Kind kind)
{
    if (w->stopped)
        return false;
    alog__record__init(r);
    r->kind = kind;
    fl_arena_reset(w->arena);
    w->n_define = 0;
    /* Not at a decision: the replay still uses what its input named. */
    if (w->dict_bytes > ALOG_DICT_MAX && kind < ALOG__RECORD__KIND__OFFER) {
        forget(w);
        r->has_forget = r->forget = true;
    }
    return true;
}

void alog_end(struct alog_writer *w, Alog__Record *r)
{
    r->n_define = w->n_define;
    r->define = w->define;
    append(w, &r->base);
}

void alog_put_now(struct alog_writer *w, Alog__Record *r, uint64_t now_us)
{
    r->has_later_us = true;
    r->later_us = (int64_t)(now_us - w->now_us);
    w->now_us = now_us;
}

static uint32_t ref_of(struct alog_writer *w, const void *data, size_t len)
{
    struct alog_entry *e;

    HASH_FIND(hh, w->dict, data, len, e);
    if (e)
        return e->ref;
    e = xnew0(struct alog_entry);
    e->data = xmemdup(data, len);
    e->len = len;
    e->ref = ++w->n_dict;
    HASH_ADD_KEYPTR(hh, w->dict, e->data, e->len, e);
    w->dict_bytes += len + sizeof(*e);
    w->define = xgrow(w->define, &w->define_cap, w->n_define + 1, sizeof(*w->define));
    w->define[w->n_define++] = (ProtobufCBinaryData){.len = e->len, .data = e->data};
    return e->ref;
}

uint32_t alog_text_ref(struct alog_writer *w, const char *text)
{
    return text ? ref_of(w, text, strlen(text)) : 0;
}

void alog_pack_resources(const struct resources *res, struct fl_arena *arena, struct fl_buf *out)
{
    Alog__Resources pb = ALOG__RESOURCES__INIT;
    bool counted = false;

    pb.n_items = resources_to_pb(res, RESOURCES_POST_REFINEMENT, true, arena, &pb.items);
    pb.copies = fl_arena_alloc(arena, (res->n + 1) * sizeof(*pb.copies));
    for (size_t i = 0; i < res->n; i++) {
        pb.copies[i] = resources_copies_at(res, i);
        counted |= pb.copies[i] != 1;
    }
    pb.n_copies = counted ? res->n : 0;
    fl_buf_pack(out, &pb.base);
}

uint32_t alog_resources_ref(struct alog_writer *w, const struct resources *res)
{
    if (!res)
        return 0;
    fl_buf_clear(&w->scratch);
    alog_pack_resources(res, w->arena, &w->scratch);
    /* An empty set is an entry of no bytes, which is one of the dictionary's like any other. */
    return ref_of(w, w->scratch.data ? w->scratch.data : "", w->scratch.len);
}

void alog_put_names(struct alog_writer *w, Alog__Record *r, const char *const *names, size_t n)
{
    r->n_names = n;
    r->names = fl_arena_alloc(w->arena, (n + 1) * sizeof(*r->names));
    for (size_t i = 0; i < n; i++)
        r->names[i] = alog_text_ref(w, names[i]);
}
