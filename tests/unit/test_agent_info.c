/* An AgentInfo that is kept says all that was said, and what two have in common is there once. */
#include <check.h>

#include "common/base/json.h"
#include "common/model/agent_info.h"
#include "common/model/intern.h"
#include "common/model/pb_held.h"

static const char json[] =
    "{\"hostname\":\"%s\",\"port\":5052,\"id\":{\"value\":\"%s\"},\"resources\":[{\"name\":"
    "\"cpus\","
    "\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},{\"name\":\"mem\",\"type\":\"SCALAR\","
    "\"scalar\":{"
    "\"value\":64}}],\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":"
    "\"r1\"}}],"
    "\"domain\":{\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}}";

static V1__AgentInfo *info(const char *host, const char *id)
{
    _cleanup_free_ char *text = NULL;
    ProtobufCMessage *m = NULL;

    ck_assert_int_ge(asprintf(&text, json, host, id), 0);
    ck_assert_int_eq(
        fl_json_to_pb(text, strlen(text), &v1__agent_info__descriptor, 0, NULL, &m, NULL), 0);
    return (V1__AgentInfo *)m;
}

START_TEST(everything_is_kept)
{
    _cleanup_pb_ V1__AgentInfo *told = info("h1", "S1"), *again = NULL;
    uint8_t bytes[512];
    size_t n = v1__agent_info__pack(told, bytes);
    V1__AgentInfo *kept;

    bytes[n++] = 0x9a; /* a field of a later version: number 99, a text */
    bytes[n++] = 0x06;
    bytes[n++] = 2;
    bytes[n++] = 'h';
    bytes[n++] = 'i';
    again = v1__agent_info__unpack(NULL, n, bytes);
    ck_assert_uint_eq(again->base.n_unknown_fields, 1);
    kept = agent_info_keep(again, false);
    ck_assert(fl_pb_equal(&kept->base, &again->base));
    agent_info_release(kept);
    kept = agent_info_keep(told, true);
    ck_assert_uint_eq(kept->n_resources, 0);
    ck_assert_str_eq(kept->hostname, "h1");
    ck_assert_uint_eq(kept->n_attributes, 1);
    agent_info_release(kept);
}
END_TEST

START_TEST(what_is_the_same_is_there_once)
{
    _cleanup_pb_ V1__AgentInfo *one = info("h1", "S1"), *two = info("h2", "S2");
    size_t messages = pb_held_count(), texts = intern_count();
    V1__AgentInfo *a = agent_info_keep(one, false), *b = agent_info_keep(two, false);

    ck_assert_uint_eq(pb_held_count(), messages + 4);
    ck_assert_ptr_eq(a->resources[0], b->resources[0]);
    ck_assert_ptr_eq(a->domain, b->domain);
    ck_assert_ptr_ne(a->resources[0], a->resources[1]);
    agent_info_release(a);
    ck_assert_str_eq(b->attributes[0]->text->value, "r1");
    agent_info_release(b);
    ck_assert_uint_eq(pb_held_count(), messages);
    ck_assert_uint_eq(intern_count(), texts);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_info");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(t, everything_is_kept);
    tcase_add_test(t, what_is_the_same_is_there_once);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
