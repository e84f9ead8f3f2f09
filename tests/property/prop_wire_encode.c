/* Our encoder gives the bytes of protobuf-c's, for random messages of every type that goes over a channel. */
#include <check.h>
#include <stdio.h>

#include "common/wire/wire_priv.h"
#include "tests/property/any_message.h"

enum { PER_TYPE = 300, DEPTH = 6 };

START_TEST(same_bytes)
{
    const ProtobufCMessageDescriptor *d = wire_type_descriptor((unsigned)_i);
    _cleanup_(fl_arena_freep) struct fl_arena *a = fl_arena_new(1 << 16);
    _cleanup_(pb_back_done) struct pb_back back = {0};
    _cleanup_buf_ struct fl_buf want = FL_BUF_INIT;

    if (!d)
        return;
    for (uint64_t seed = 1; seed <= PER_TYPE; seed++) {
        size_t n;

        any_state = seed * 1000 + (uint64_t)_i;
        ProtobufCMessage *m = any_message(d, a, 2 + (int)(seed % (DEPTH - 1)));
        fl_buf_clear(&want);
        char *p = fl_buf_reserve(&want, protobuf_c_message_get_packed_size(m));
        want.len = protobuf_c_message_pack(m, (uint8_t *)p);
        n = pb_encode_back(&back, m);
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
