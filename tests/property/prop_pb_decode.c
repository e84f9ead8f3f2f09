/* Our decoder takes and refuses what protobuf-c's does, with the same result, for messages of every type in proto/: as encoded, and with
 * their bytes cut, spoilt, doubled and added to. */
#include <check.h>
#include <stdio.h>

#include "tests/property/any_message.h"

enum { PER_TYPE = 12, DAMAGED = 25, PARTS = 8 };

static void compare(const struct fl_buf *b, const ProtobufCMessageDescriptor *d, struct fl_arena *a,
                    uint64_t seed, unsigned *taken)
{
    const char *wrong = any_compare(b->data, b->len, d, a, taken);

    if (!wrong)
        return;
    for (size_t i = 0; i < b->len; i++)
        fprintf(stderr, "%02x", (uint8_t)b->data[i]);
    fprintf(stderr, "\n");
    ck_abort_msg("%s, seed %llu: %s", d->name, (unsigned long long)seed, wrong);
}

START_TEST(as_protobuf_c)
{
    _cleanup_(fl_arena_freep) struct fl_arena *a = fl_arena_new(1 << 16);
    _cleanup_buf_ struct fl_buf whole = FL_BUF_INIT, b = FL_BUF_INIT;
    unsigned taken = 0, tried = 0;

    for (size_t i = (size_t)_i; i < ARRAY_SIZE(any_types); i += PARTS) {
        for (uint64_t k = 0; k < PER_TYPE; k++) {
            uint64_t seed = i * 1000 + k;

            any_state = seed;
            fl_buf_clear(&whole);
            fl_buf_pack(&whole, any_message(any_types[i], a, (int)(k % 5)));
            compare(&whole, any_types[i], a, seed, &taken);
            for (unsigned n = 0; n < DAMAGED; n++) {
                fl_buf_clear(&b);
                fl_buf_add(&b, whole.data, whole.len);
                any_damage(&b, any_types[i], a);
                compare(&b, any_types[i], a, seed, &taken);
            }
            tried += 1 + DAMAGED;
            fl_arena_reset(a);
        }
    }
    /* Neither all taken nor all refused: then nothing would be shown. */
    ck_assert_uint_gt(taken, tried / 4);
    ck_assert_uint_lt(taken, tried - tried / 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prop_pb_decode");
    TCase *t = tcase_create("decode");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, as_protobuf_c, 0, PARTS);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
