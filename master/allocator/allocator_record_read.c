/* Reading the allocator's log. The file is somebody's: nothing in it is believed before it was checked. */
#include <zlib.h>

#include "common/base/json.h"
#include "master/allocator/allocator_record_log.h"

/* Copies of one shared resource that a set may claim; the algebra walks them one by one. */
#define COPIES_MAX 100000

static void item_done(struct alog_item *it)
{
    free((char *)it->data);
    if (it->res)
        resources_done(it->res);
    free(it->res);
}

static void free_old(struct alog_reader *r)
{
    while (r->n_old)
        item_done(&r->old[--r->n_old]);
    free(TAKE_PTR(r->old));
}

static void forget(struct alog_reader *r)
{
    free_old(r);
    r->old = TAKE_PTR(r->dict);
    r->n_old = r->n_dict;
    r->n_dict = r->dict_cap = 0;
    r->forgot_at = r->record;
}

void alog_reader_done(struct alog_reader *r)
{
    forget(r);
    free_old(r);
    fl_pb_free(r->header);
}

static int damaged(const struct alog_reader *r, const char *what, struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "allocator log: record %llu, at byte %zu: %s",
                      (unsigned long long)r->record, r->pos, what);
}

/* How many bytes the length takes; 0: it is cut off, or none of ours. */
static size_t read_varint(const uint8_t *p, size_t n, size_t *ret)
{
    size_t v = 0;

    for (size_t i = 0; i < n && i < 4; i++) {
        v |= (size_t)(p[i] & 0x7f) << (7 * i);
        if (!(p[i] & 0x80)) {
            *ret = v;
            return i + 1;
        }
    }
    return 0;
}

static bool only_zeros(const uint8_t *p, size_t n)
{
    while (n && p[n - 1] == 0)
        n--;
    return n == 0;
}

/* 1: *ret_data is the next message. 0: there is none, whole. What is wrong in the last frame of the file is the end of a
 * process that was killed, or of a machine that lost power (zeros); wrong in the middle, it is damage. */
static int next_frame(struct alog_reader *r, const uint8_t **ret_data, size_t *ret_len,
                      struct fl_err *err)
{
    const uint8_t *p = r->data + r->pos;
    size_t left = r->len - r->pos, len = 0, head;
    uint32_t sum = 0;

    if (left == 0)
        return 0;
    head = read_varint(p, left, &len);
    if ((head == 0 && left >= 4) || len > ALOG_RECORD_MAX)
        return damaged(r, "this is no length of a record", err);
    if (head == 0 || left - head < 4 || left - head - 4 < len || only_zeros(p, left)) {
        r->torn = true;
        return 0;
    }
    for (unsigned i = 0; i < 4; i++)
        sum |= (uint32_t)p[head + i] << (8 * i);
    p += head + 4;
    if ((uint32_t)crc32(0, p, (uInt)len) != sum) {
        if (left - head - 4 > len)
            return damaged(r, "the checksum is wrong", err);
        r->torn = true;
        return 0;
    }
    *ret_data = p;
    *ret_len = len;
    r->pos += head + 4 + len;
    return 1;
}

int alog_reader_init(struct alog_reader *r, const void *data, size_t len, struct fl_err *err)
{
    ProtobufCMessage *m;
    const uint8_t *p;
    size_t n;
    int rc;

    *r = (struct alog_reader){.data = data, .len = len, .pos = ALOG_MAGIC_LEN};
    if (len < ALOG_MAGIC_LEN || memcmp(data, ALOG_MAGIC, ALOG_MAGIC_LEN) != 0)
        return fl_err_set(err, FL_INVALID, "this is no allocator log: it does not begin with '%s'",
                          ALOG_MAGIC);
    rc = next_frame(r, &p, &n, err);
    if (rc == 0)
        return fl_err_set(err, FL_INVALID, "the allocator log ends within its header");
    if (rc > 0)
        rc = fl_pb_decode(p, n, &alog__header__descriptor, NULL, &m, err);
    if (rc < 0)
        return rc;
    r->header = (Alog__Header *)m;
    if (r->header->format != ALOG_FORMAT || r->header->abi != ALLOCATOR_ABI)
        return fl_err_set(err, FL_INVALID,
                          "the allocator log has format %u and records version %u of the "
                          "allocator's interface; this program has format %d and version %d",
                          r->header->format, r->header->abi, ALOG_FORMAT, ALLOCATOR_ABI);
    return 0;
}

static int define(struct alog_reader *r, const Alog__Record *rec, struct fl_err *err)
{
    if (rec->forget) {
        if (rec->kind >= ALOG__RECORD__KIND__OFFER)
            return damaged(r, "a decision forgets the dictionary", err);
        forget(r);
    }
    r->dict = xgrow(r->dict, &r->dict_cap, r->n_dict + rec->n_define + 1, sizeof(*r->dict));
    for (size_t i = 0; i < rec->n_define; i++) {
        const ProtobufCBinaryData *d = &rec->define[i];
        char *copy = xmalloc(d->len + 1);

        if (d->len)
            memcpy(copy, d->data, d->len);
        copy[d->len] = '\0';
        r->dict[r->n_dict++] = (struct alog_item){.data = copy, .len = d->len};
    }
    return 0;
}

int alog_next(struct alog_reader *r, struct fl_arena *arena, Alog__Record **ret, struct fl_err *err)
{
    ProtobufCMessage *m;
    const uint8_t *p;
    size_t n;
    int rc;

    r->record++;
    rc = next_frame(r, &p, &n, err);
    if (rc <= 0)
        return rc;
    rc = fl_pb_decode(p, n, &alog__record__descriptor, fl_arena_allocator(arena), &m, err);
    if (rc < 0) {
        fl_err_wrap(err, "allocator log: record %llu", (unsigned long long)r->record);
        return rc;
    }
    *ret = (Alog__Record *)m;
    rc = define(r, *ret, err);
    if (rc < 0)
        return rc;
    r->now_us += (uint64_t)(*ret)->later_us;
    return 1;
}

const struct alog_item *alog_item(const struct alog_reader *r, uint32_t ref)
{
    return ref > 0 && ref <= r->n_dict ? &r->dict[ref - 1] : NULL;
}

const char *alog_text(const struct alog_reader *r, uint32_t ref)
{
    const struct alog_item *it = alog_item(r, ref);

    return it ? it->data : NULL;
}

static int parse(const Alog__Resources *pb, struct resources *out, struct fl_err *err)
{
    for (size_t i = 0; i < pb->n_items; i++) {
        _cleanup_resources_ struct resources one = RESOURCES_INIT;
        uint32_t copies = pb->n_copies ? pb->copies[i] : 1;
        int rc = resources_from_pb(&pb->items[i], 1, &one, err);

        if (rc < 0)
            return rc;
        for (uint32_t k = 0; k < copies; k++)
            resources_add(out, &one);
    }
    return 0;
}

int alog_resources(struct alog_reader *r, uint32_t ref, const struct resources **ret,
                   struct fl_err *err)
{
    struct alog_item *it = (struct alog_item *)alog_item(r, ref);
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    const Alog__Resources *pb;
    uint64_t copies = 0;
    int rc;

    if (!it)
        return damaged(r, "it names resources that are not in the dictionary", err);
    if (it->res) {
        *ret = it->res;
        return 0;
    }
    rc = fl_pb_decode(it->data, it->len, &alog__resources__descriptor, NULL, &m, err);
    if (rc < 0)
        return rc;
    pb = (const Alog__Resources *)m;
    for (size_t i = 0; i < pb->n_copies; i++)
        copies += pb->copies[i];
    if (copies > COPIES_MAX || (pb->n_copies && pb->n_copies != pb->n_items))
        return damaged(r, "its resources have wrong counts of copies", err);
    it->res = xnew0(struct resources);
    rc = parse(pb, it->res, err);
    if (rc < 0) {
        resources_done(it->res);
        free(TAKE_PTR(it->res));
        return rc;
    }
    *ret = it->res;
    return 0;
}
