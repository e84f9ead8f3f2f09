/* Our encoder gives the bytes of protobuf-c's, for random messages of every type that goes over a channel. */
#include <check.h>
#include <stdio.h>

#include "common/wire/wire_priv.h"

enum { PER_TYPE = 300, DEPTH = 6 };

static uint64_t state;

static uint64_t rnd(uint64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 20) % n;
}

static uint64_t any_number(void)
{
    uint64_t v = rnd(UINT64_C(1) << 40) << 24 ^ rnd(UINT64_C(1) << 40);

    return rnd(2) ? v : v >> rnd(64);
}

static ProtobufCMessage *any_message(const ProtobufCMessageDescriptor *d, struct fl_arena *a,
                                     int depth);

static void any_value(const ProtobufCFieldDescriptor *f, void *p, struct fl_arena *a, int depth)
{
    uint64_t v = any_number();
    size_t n = rnd(rnd(10) ? 20 : 2000);
    char *text = memset(fl_arena_alloc(a, n + 1), 'a' + (int)rnd(26), n + 1);

    text[n] = 0;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)p = text;
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)p = (ProtobufCBinaryData){n, (uint8_t *)text};
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)p = any_message(f->descriptor, a, depth - 1);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)p = v & 1;
        break;
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(p, &v, 8);
        break;
    default:
        memcpy(p, &v, 4);
    }
}

static void any_field(const ProtobufCFieldDescriptor *f, char *m, struct fl_arena *a, int depth)
{
    size_t n = rnd(4);
    char *array;

    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (f->label != PROTOBUF_C_LABEL_REQUIRED &&
            (rnd(3) == 0 || (depth <= 0 && f->type == PROTOBUF_C_TYPE_MESSAGE)))
            return;
        any_value(f, m + f->offset, a, depth);
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            *(uint32_t *)(m + f->quantifier_offset) = f->id;
        else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
                 f->type != PROTOBUF_C_TYPE_MESSAGE)
            *(protobuf_c_boolean *)(m + f->quantifier_offset) = true;
        return;
    }
    if (depth <= 0)
        return;
    array = fl_arena_alloc(a, n * sizeof(ProtobufCBinaryData) + 1);
    for (size_t i = 0; i < n; i++) {
        any_value(f, array + i * fl_pb_element_size(f->type), a, depth);
    }
    *(size_t *)(m + f->quantifier_offset) = n;
    *(char **)(m + f->offset) = array;
}

static ProtobufCMessage *any_message(const ProtobufCMessageDescriptor *d, struct fl_arena *a,
                                     int depth)
{
    ProtobufCMessage *m = fl_arena_alloc(a, d->sizeof_message);
    ProtobufCMessageUnknownField *u;

    protobuf_c_message_init(d, m);
    for (unsigned i = 0; i < d->n_fields; i++)
        any_field(&d->fields[i], (char *)m, a, depth);
    if (rnd(8) == 0) {
        u = fl_arena_alloc(a, sizeof(*u));
        *u = (ProtobufCMessageUnknownField){.tag = 5000 + (uint32_t)rnd(1000),
                                            .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT,
                                            .len = 1,
                                            .data = (uint8_t *)fl_arena_strdup(a, "\x07")};
        m->n_unknown_fields = 1;
        m->unknown_fields = u;
    }
    return m;
}

START_TEST(same_bytes)
{
    const ProtobufCMessageDescriptor *d = wire_type_descriptor((unsigned)_i);
    _cleanup_(fl_arena_freep) struct fl_arena *a = fl_arena_new(1 << 16);
    _cleanup_(wire_back_done) struct wire_back back = {0};
    _cleanup_buf_ struct fl_buf want = FL_BUF_INIT;

    if (!d)
        return;
    for (uint64_t seed = 1; seed <= PER_TYPE; seed++) {
        size_t n;

        state = seed * 1000 + (uint64_t)_i;
        ProtobufCMessage *m = any_message(d, a, 2 + (int)(seed % (DEPTH - 1)));
        fl_buf_clear(&want);
        char *p = fl_buf_reserve(&want, protobuf_c_message_get_packed_size(m));
        want.len = protobuf_c_message_pack(m, (uint8_t *)p);
        n = wire_encode_back(&back, m);
        ck_assert_msg(n == want.len && (!n || memcmp(back.data + back.at, want.data, n) == 0),
                      "%s, seed %llu", d->name, (unsigned long long)seed);
        fl_arena_reset(a);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prop_wire_encode");
    TCase *t = tcase_create("encode");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, same_bytes, 1, 27);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
