/* Encoded messages to JSON without decoding them: the same bytes as by way of the decoded message. */
#include <check.h>

#include "common/base/json_wire.h"
#include "common/base/pb_wire.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "tests/unit/random_message.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &v1__task__descriptor,           &v1__task_info__descriptor,
    &v1__task_status__descriptor,    &v1__agent_info__descriptor,
    &v1__framework_info__descriptor, &v1__executor_info__descriptor,
    &v1__offer__descriptor,          &v1__volume__descriptor,
    &sched__call__descriptor,        &mapi__response__get_agents__descriptor,
};

static const unsigned spellings[] = {0, FL_JSON_V0, FL_JSON_DEFAULTS, FL_JSON_LEGACY};

static void compare(struct json_wire *w, unsigned flags, const ProtobufCMessageDescriptor *d,
                    const void *p, size_t n)
{
    _cleanup_pb_ ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, n, p);
    _cleanup_buf_ struct fl_buf want = FL_BUF_INIT, got = FL_BUF_INIT;

    ck_assert_ptr_nonnull(m);
    fl_json_from_pb(&want, m, flags);
    json_wire_put(&got, json_wire_type(w, d), p, n);
    ck_assert_str_eq(fl_buf_cstr(&got), fl_buf_cstr(&want));
}

START_TEST(random_messages)
{
    _cleanup_(json_wire_freep) struct json_wire *w = json_wire_new(spellings[_i]);
    _cleanup_(fl_arena_freep) struct fl_arena *a = fl_arena_new(1024 * 1024);
    _cleanup_buf_ struct fl_buf pb = FL_BUF_INIT;
    struct rnd r = {.state = 0x1234567 + (unsigned)_i};

    for (unsigned i = 0; i < 3000; i++) {
        const ProtobufCMessageDescriptor *d = types[i % ARRAY_SIZE(types)];
        fl_arena_reset(a);
        fl_buf_clear(&pb);
        fl_buf_pack(&pb, rnd_message(&r, d, 0, a));
        compare(w, spellings[_i], d, pb.data, pb.len);
    }
}
END_TEST

/* Two encodings in a row are one message, whose fields come twice: nothing that we would encode, but it means something. */
START_TEST(merged_messages)
{
    _cleanup_(json_wire_freep) struct json_wire *w = json_wire_new(spellings[_i]);
    _cleanup_(fl_arena_freep) struct fl_arena *a = fl_arena_new(1024 * 1024);
    struct rnd r = {.state = 0x7654321 + (unsigned)_i};

    for (unsigned i = 0; i < 500; i++) {
        _cleanup_buf_ struct fl_buf pb = FL_BUF_INIT;
        fl_arena_reset(a);
        fl_buf_pack(&pb, rnd_message(&r, &v1__task_status__descriptor, 0, a));
        fl_buf_pack(&pb, rnd_message(&r, &v1__task_status__descriptor, 3, a));
        compare(w, spellings[_i], &v1__task_status__descriptor, pb.data, pb.len);
    }
}
END_TEST

/* Unknown fields are not shown, wherever they stand; a NUL ends a text. */
START_TEST(odd_bytes)
{
    _cleanup_(json_wire_freep) struct json_wire *w = json_wire_new(FL_JSON_DEFAULTS);
    static const uint8_t unknown_first[] = {0xf8, 0x3f, 5, 0x0a, 1, 'k', 0x12, 2, 'v', '\0'};
    static const uint8_t nul[] = {0x0a, 3, 'a', 0, 'b'};

    compare(w, FL_JSON_DEFAULTS, &v1__label__descriptor, unknown_first, sizeof(unknown_first));
    compare(w, FL_JSON_DEFAULTS, &v1__label__descriptor, nul, sizeof(nul));
    compare(w, FL_JSON_DEFAULTS, &v1__labels__descriptor, "", 0);
}
END_TEST

/* Messages put together from their parts are what protobuf-c packs, for all sizes of their heads. */
START_TEST(nested)
{
    for (size_t n = 0; n < 40000; n = n * 3 / 2 + 1) {
        V1__Label label = V1__LABEL__INIT;
        V1__Labels labels = V1__LABELS__INIT;
        V1__Label *list[] = {&label};
        _cleanup_free_ char *text = xcalloc(n + 1, 1);
        _cleanup_buf_ struct fl_buf want = FL_BUF_INIT, got = FL_BUF_INIT;

        memset(text, 'x', n);
        label.key = text;
        labels.labels = list;
        labels.n_labels = 1;
        fl_buf_pack(&want, &labels.base);
        size_t begun = pb_begin(&got);
        pb_add_bytes(&got, 1, text, n);
        pb_end(&got, 1, begun);
        ck_assert_uint_eq(got.len, want.len);
        ck_assert_int_eq(memcmp(got.data, want.data, want.len), 0);
    }
}
END_TEST

/* Times in nanoseconds, as text: the shortest that reads back, with as many digits as printf() needs. */
START_TEST(times)
{
    struct rnd r = {.state = 77};

    for (unsigned i = 0; i < 200000; i++) {
        double v = (double)(1073741824000000000u + rnd_below(&r, 1073741824000000000u)) / 1e9, back;
        _cleanup_buf_ struct fl_buf got = FL_BUF_INIT;
        struct json_out j = json_out_on(&got);
        char want[40];

        for (int digits = 15; digits <= 17; digits++) {
            fl_snprintf(want, sizeof(want), "%.*g", digits, v);
            if (fl_parse_f64(want, &back) == 0 && back == v)
                break;
        }
        json_double(&j, v);
        if (strchr(want, '.'))
            ck_assert_str_eq(fl_buf_cstr(&got), want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json_wire");
    TCase *t = tcase_create("json_wire");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, random_messages, 0, (int)ARRAY_SIZE(spellings));
    tcase_add_loop_test(t, merged_messages, 0, (int)ARRAY_SIZE(spellings));
    tcase_add_test(t, odd_bytes);
    tcase_add_test(t, nested);
    tcase_add_test(t, times);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
