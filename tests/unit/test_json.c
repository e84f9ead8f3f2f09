/* The JSON writer and the codec: the mapping's rules, literally. That every message of every .proto
 * goes through unharmed is tests/system/test_00_proto.py's part. */
#include <check.h>
#include <errno.h>
#include <math.h>

#include "common/base/json.h"
#include "proto/executor.pb-c.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/quota.pb-c.h"
#include "proto/scheduler.pb-c.h"

/* ---- writer ---- */

START_TEST(writer_places_commas)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);

    json_object(&j);
    json_kobject(&j, "empty");
    json_end_object(&j);
    json_karray(&j, "list");
    json_int(&j, INT64_MIN);
    json_uint(&j, UINT64_MAX);
    json_null(&j);
    json_array(&j);
    json_end_array(&j);
    json_bool(&j, false);
    json_raw(&j, "{}", 2);
    json_end_array(&j);
    json_kstr(&j, "a\"b", NULL);
    json_kbool(&j, "t", true);
    json_kdouble(&j, "d", 1);
    json_key(&j, "b");
    json_base64(&j, "\0\xff", 2);
    json_end_object(&j);
    ck_assert_str_eq(fl_buf_cstr(&b),
                     "{\"empty\":{},\"list\":[-9223372036854775808,18446744073709551615,null,[],"
                     "false,{}],\"a\\\"b\":\"\",\"t\":true,\"d\":1.0,\"b\":\"AP8=\"}");
}
END_TEST

static const struct {
    double value;
    const char *text;
} double_rows[] = {
    {0, "0.0"},
    {-0.0, "-0.0"},
    {1, "1.0"},
    {-1, "-1.0"},
    {0.1, "0.1"},
    {0.5, "0.5"},
    {-2.75, "-2.75"},
    {0.001, "0.001"},
    {0.333, "0.333"},
    {123456.789, "123456.789"},
    {1700000000.123456, "1700000000.123456"},
    {0.000001, "0.000001"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {1e15, "1e+15"},
    {999999999999999, "999999999999999.0"},
    {8999999999999999, "8999999999999999.0"},
    {1e300, "1e+300"},
    {5e-324, "4.94065645841247e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {INFINITY, "\"Infinity\""},
    {-INFINITY, "\"-Infinity\""},
    {NAN, "\"NaN\""},
};

START_TEST(doubles_read_back_the_same)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);
    double back;

    json_double(&j, double_rows[_i].value);
    ck_assert_str_eq(fl_buf_cstr(&b), double_rows[_i].text);
    if (isfinite(double_rows[_i].value)) {
        ck_assert_int_eq(fl_parse_f64(b.data, &back), 0);
        ck_assert(back == double_rows[_i].value);
    }
}
END_TEST

static const struct {
    const char *in;
    size_t n;
    const char *out;
} string_rows[] = {
    {"", 0, "\"\""},
    {"plain text that is longer than eight", 36, "\"plain text that is longer than eight\""},
    {"a/b", 3, "\"a/b\""},
    {"\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
    {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
    {"1234567\"9", 9, "\"1234567\\\"9\""},
    {"12345678\\", 9, "\"12345678\\\\\""},
    {"gr\xc3\xbc\xc3\x9f", 6, "\"gr\\u00fc\\u00df\""},
    {"\xe2\x82\xac", 3, "\"\\u20ac\""},
    {"\xf0\x9f\x98\x80!", 5, "\"\\ud83d\\ude00!\""},
    {"\xf4\x8f\xbf\xbf", 4, "\"\\udbff\\udfff\""},
    /* Not UTF-8: alone, cut short, over-long, a surrogate, too high. */
    {"\xff", 1, "\"\\ufffd\""},
    {"\x80z", 2, "\"\\ufffdz\""},
    {"\xe2\x82", 2, "\"\\ufffd\\ufffd\""},
    {"\xc0\xaf", 2, "\"\\ufffd\\ufffd\""},
    {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},
    {"\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
};

START_TEST(strings_are_ascii_when_written)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);

    json_stringn(&j, string_rows[_i].in, string_rows[_i].n);
    ck_assert_str_eq(fl_buf_cstr(&b), string_rows[_i].out);
}
END_TEST

/* ---- codec: JSON in, JSON out ---- */

#define CALL   (&sched__call__descriptor)
#define STATUS (&v1__task_status__descriptor)
#define SCALAR (&v1__value__scalar__descriptor)
#define TASK   (&v1__task_info__descriptor)
#define LABELS (&v1__labels__descriptor)
#define NANOS  (&v1__time_info__descriptor)

struct codec_row {
    const ProtobufCMessageDescriptor *desc;
    unsigned flags;
    const char *in;
    const char *out; /* NULL: as `in` */
};

#define TASK_HEAD    "\"name\":\"\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"}"
#define TASK_HEAD_V0 "\"name\":\"\",\"task_id\":{\"value\":\"t\"},\"slave_id\":{\"value\":\"a\"}"
#define ST           "\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNING\""

static const struct codec_row codec_rows[] = {
    {CALL, 0, "{}", NULL},
    {CALL, 0, "{\"type\":\"HEARTBEAT_NOT_YET\"}", "{}"},
    {CALL, 0, "{\"type\":\"SUPPRESS\",\"nobody\":{\"knows\":[1,2]}}", "{\"type\":\"SUPPRESS\"}"},
    {CALL, 0, " { \"type\" : null , \"framework_id\":{\"value\":\"f\"} } ",
     "{\"framework_id\":{\"value\":\"f\"}}"},
    {CALL, 0,
     "{\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":\"a\"},null,{\"value\":"
     "\"b\"}],\"filters\":{\"refuse_seconds\":5}}}",
     "{\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":\"a\"},{\"value\":\"b\"}],"
     "\"filters\":{\"refuse_seconds\":5.0}}}"},
    {CALL, 0, "{\"decline\":{\"offer_ids\":[]}}", "{\"decline\":{}}"},
    /* one value for a list of one, and lists in lists */
    {CALL, 0, "{\"decline\":{\"offer_ids\":{\"value\":\"a\"}}}",
     "{\"decline\":{\"offer_ids\":[{\"value\":\"a\"}]}}"},
    {CALL, 0, "{\"suppress\":{\"roles\":[\"a\",[\"b\",[]],\"c\"]}}",
     "{\"suppress\":{\"roles\":[\"a\",\"b\",\"c\"]}}"},
    {LABELS, 0, "{\"labels\":[{\"key\":\"k\",\"value\":\"v\"}]}", NULL},
    /* text */
    {LABELS, 0, "{\"labels\":[{\"key\":\"\\u00fc\\ud83d\\ude00\\n\"}]}", NULL},
    {LABELS, 0, "{\"labels\":[{\"key\":\"\xc3\xbc\"}]}", "{\"labels\":[{\"key\":\"\\u00fc\"}]}"},
    /* numbers, also as strings; fractions of integers are cut */
    {NANOS, 0, "{\"nanoseconds\":-9223372036854775808}", NULL},
    {NANOS, 0, "{\"nanoseconds\":\"9223372036854775807\"}",
     "{\"nanoseconds\":9223372036854775807}"},
    {NANOS, 0, "{\"nanoseconds\":3.0}", "{\"nanoseconds\":3}"},
    {NANOS, 0, "{\"nanoseconds\":-3.9}", "{\"nanoseconds\":-3}"},
    {NANOS, 0, "{\"nanoseconds\":\"1e3\"}", "{\"nanoseconds\":1000}"},
    {&msg__ping_slave_message__descriptor, 0, "{\"connected\":\"true\"}", "{\"connected\":true}"},
    {&v1__value__range__descriptor, 0, "{\"begin\":18446744073709551615,\"end\":0}", NULL},
    {&v1__value__range__descriptor, 0,
     "{\"begin\":\"18446744073709551615\",\"end\":9223372036854775808}",
     "{\"begin\":18446744073709551615,\"end\":9223372036854775808}"},
    {SCALAR, 0, "{\"value\":1}", "{\"value\":1.0}"},
    {SCALAR, 0, "{\"value\":\"0.25\"}", "{\"value\":0.25}"},
    {SCALAR, 0, "{\"value\":\"-Infinity\"}", NULL},
    {SCALAR, 0, "{\"value\":\"NaN\"}", NULL},
    {SCALAR, 0, "{\"value\":100000000000000000000}", "{\"value\":1e+20}"},
    {SCALAR, 0, "{\"value\":-0.0}", NULL},
    /* bytes: blanks and missing padding are forgiven */
    {STATUS, 0, "{" ST ",\"data\":\"\"}", NULL},
    {STATUS, 0, "{" ST ",\"data\":\"AA==\"}", NULL},
    {STATUS, 0, "{" ST ",\"data\":\"AAEC\"}", NULL},
    {STATUS, 0, "{" ST ",\"data\":\"+/8\"}", "{" ST ",\"data\":\"+/8=\"}"},
    {STATUS, 0, "{" ST ",\"data\":\"A A\\nE C\"}", "{" ST ",\"data\":\"AAEC\"}"},
    /* maps */
    {TASK, 0, "{" TASK_HEAD ",\"limits\":{\"cpus\":{\"value\":1.5},\"m\\\"\":{\"value\":2.0}}}",
     NULL},
    {TASK, 0, "{" TASK_HEAD ",\"limits\":{}}", "{" TASK_HEAD "}"},
    {&quota__quota_config__descriptor, 0,
     "{\"role\":\"r\",\"guarantees\":{\"cpus\":{\"value\":1}},\"limits\":null}",
     "{\"role\":\"r\",\"guarantees\":{\"cpus\":{\"value\":1.0}}}"},
    /* of two equal keys the last wins */
    {STATUS, 0,
     "{\"task_id\":{\"value\":\"first\"}," ST
     ",\"data\":\"AA==\",\"message\":\"m\",\"healthy\":true,"
     "\"data\":\"AAEC\",\"message\":null,\"healthy\":null}",
     "{" ST ",\"data\":\"AAEC\"}"},
    {CALL, 0, "{\"suppress\":{\"roles\":[\"a\",\"b\"],\"roles\":[\"c\"]}}",
     "{\"suppress\":{\"roles\":[\"c\"]}}"},
    {CALL, 0, "{\"decline\":{\"offer_ids\":[{\"value\":\"a\"}],\"offer_ids\":null}}",
     "{\"decline\":{}}"},
    {&v1__resource__descriptor, 0, "{\"name\":\"\",\"type\":\"SET\",\"role\":\"r\",\"role\":null}",
     "{\"name\":\"\",\"type\":\"SET\"}"},
    {&sched__attribute_constraint__selector__descriptor, 0,
     "{\"attribute_name\":\"a\",\"attribute_name\":\"b\"}", "{\"attribute_name\":\"b\"}"},
    {&sched__attribute_constraint__selector__descriptor, 0,
     "{\"attribute_name\":\"a\",\"attribute_name\":null}", "{}"},
    /* forms of text */
    {CALL, 0, "\t{ \"\\u0074ype\" : \"\\u0052EVIVE\" , \"x\" : [ -0.0E+1 , true , { } ] }\r\n",
     "{\"type\":\"REVIVE\"}"},
    {STATUS, 0, "{" ST ",\"data\":\"\\/\\/8=\"}", "{" ST ",\"data\":\"//8=\"}"},
    {LABELS, 0, "{\"labels\":[{\"key\":\"\\b\\f\\n\\r\\t\\\"\\\\\\/\\u0041\"}]}",
     "{\"labels\":[{\"key\":\"\\b\\f\\n\\r\\t\\\"\\\\/A\"}]}"},
    {SCALAR, 0, "{\"value\":0.30000000000000004}", NULL},
    {SCALAR, 0, "{\"value\":123456789012345678901234567890e-20}", "{\"value\":1234567890.1234567}"},
    {SCALAR, 0, "{\"value\":-1e-400}", "{\"value\":-0.0}"},
    {SCALAR, 0, "{\"value\":0e99999999999999999999}", "{\"value\":0.0}"},
    {NANOS, 0, "{\"nanoseconds\":-0}", "{\"nanoseconds\":0}"},
    {NANOS, 0, "{\"nanoseconds\":-9.2233720368547758e18}",
     "{\"nanoseconds\":-9223372036854775808}"},
    /* the last of a oneof wins */
    {&sched__attribute_constraint__selector__descriptor, 0,
     "{\"pseudoattribute_type\":\"HOSTNAME\",\"attribute_name\":\"rack\"}",
     "{\"attribute_name\":\"rack\"}"},
    {&sched__attribute_constraint__selector__descriptor, 0,
     "{\"attribute_name\":\"rack\",\"pseudoattribute_type\":\"HOSTNAME\"}",
     "{\"pseudoattribute_type\":\"HOSTNAME\"}"},
    {&sched__attribute_constraint__predicate__descriptor, 0,
     "{\"exists\":{},\"text_equals\":{\"value\":\"x\"}}", "{\"text_equals\":{\"value\":\"x\"}}"},
    /* unknown enum names vanish from a list */
    {&v1__capability_info__descriptor, 0, "{\"capabilities\":[\"CHOWN\",\"FLYING\",\"KILL\"]}",
     "{\"capabilities\":[\"CHOWN\",\"KILL\"]}"},
    {&v1__capability_info__descriptor, 0, "{\"capabilities\":[\"FLYING\"]}", "{}"},
    {&v1__duration__descriptor, 0, "{\"seconds\":2}", NULL},
    /* the older spelling */
    {TASK, FL_JSON_V0, "{" TASK_HEAD_V0 "}", NULL},
    {TASK, FL_JSON_V0, "{" TASK_HEAD "}", "{" TASK_HEAD_V0 "}"},
    {TASK, FL_JSON_V0,
     "{" TASK_HEAD_V0 ",\"agent_id\":{\"value\":\"second spelling: the last wins\"}}",
     "{\"name\":\"\",\"task_id\":{\"value\":\"t\"},\"slave_id\":{\"value\":\"second spelling: "
     "the last wins\"}}"},
    {STATUS, FL_JSON_V0,
     "{" ST ",\"slave_id\":{\"value\":\"a\"},\"source\":\"SOURCE_SLAVE\",\"reason\":"
     "\"REASON_SLAVE_REMOVED\"}",
     NULL},
    {&mapi__event__agent_removed__descriptor, FL_JSON_V0, "{\"agent_id\":{\"value\":\"a\"}}", NULL},
    /* defaults */
    {&v1__command_info__descriptor, 0, "{\"value\":\"x\"}", NULL},
    {&v1__command_info__descriptor, FL_JSON_DEFAULTS, "{\"value\":\"x\"}",
     "{\"value\":\"x\",\"shell\":true}"},
    {&v1__command_info__descriptor, FL_JSON_DEFAULTS, "{\"shell\":false}", NULL},
    {&v1__filters__descriptor, FL_JSON_DEFAULTS, "{}", "{\"refuse_seconds\":5.0}"},
    {&v1__framework_info__descriptor, FL_JSON_DEFAULTS, "{\"user\":\"u\",\"name\":\"n\"}",
     "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}"},
    {&v1__network_info__ipaddress__descriptor, FL_JSON_DEFAULTS, "{}", "{\"protocol\":\"IPv4\"}"},
    {&v1__csiplugin_info__descriptor, FL_JSON_DEFAULTS, "{\"type\":\"t\"}",
     "{\"type\":\"t\",\"name\":\"default\"}"},
};

START_TEST(codec_maps)
{
    const struct codec_row *row = &codec_rows[_i];
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    struct fl_err e = {0};
    int r = fl_json_to_pb(row->in, strlen(row->in), row->desc, row->flags, NULL, &m, &e);

    ck_assert_msg(r == 0, "%s: %s", row->in, e.msg);
    fl_json_from_pb(&b, m, row->flags);
    ck_assert_str_eq(fl_buf_cstr(&b), row->out ? row->out : row->in);
}
END_TEST

/* ---- codec: errors and their paths ---- */

static const struct {
    const ProtobufCMessageDescriptor *desc;
    const char *in;
    const char *message; /* how the error begins */
} error_rows[] = {
    {CALL, "", "not valid JSON: line 1"},
    {CALL, "{\"type\":}", "not valid JSON: line 1, column 9"},
    {CALL, "{} x", "not valid JSON"},
    {CALL, "[]", "expected an object"},
    {CALL, "\"SUBSCRIBE\"", "expected an object"},
    {CALL, "{\"type\":1}", "type: expected the name of an enum value"},
    {CALL, "{\"type\":\"a\\u0000b\"}", "not valid JSON"},
    {CALL, "{\"type\":\"\xff\"}", "not valid JSON"},
    {CALL, "{\"type\":\"\\ud800\"}", "not valid JSON"},
    {CALL, "{\"type\":\"\\q\"}", "not valid JSON: line 1, column 12: an escape"},
    {CALL, "{\"type\":\"a\nb\"}", "not valid JSON: line 1, column 11: a raw control"},
    {CALL, "{\n\"type\":\"REVIVE\",\n}", "not valid JSON: line 3, column 1: a key"},
    {CALL, "{\"type\":\"REVIVE\"", "not valid JSON: line 1, column 17: expected ',' or '}'"},
    {CALL, "{\"type\" \"REVIVE\"}", "not valid JSON: line 1, column 9: expected ':'"},
    {CALL, "{\"type\":\"REVIVE", "not valid JSON: line 1, column 16: a string has no end"},
    {CALL, "{\"x\":[1 2]}", "not valid JSON: line 1, column 9: expected ',' or ']'"},
    {CALL, "{\"x\":[1,]}", "not valid JSON: line 1, column 9: a value"},
    {CALL, "{\"x\":tru}", "not valid JSON: line 1, column 6: neither"},
    {CALL, "{\"x\":nul", "not valid JSON"},
    {CALL, "{\"x\":'a'}", "not valid JSON"},
    {CALL, "{\"x\":01}", "not valid JSON"},
    {CALL, "{\"x\":+1}", "not valid JSON"},
    {CALL, "{\"x\":.5}", "not valid JSON"},
    {CALL, "{\"x\":1.}", "not valid JSON"},
    {CALL, "{\"x\":-}", "not valid JSON"},
    {CALL, "{\"x\":1e}", "not valid JSON"},
    {CALL, "{\"x\":1e+}", "not valid JSON"},
    {CALL, "{\"x\":0x1}", "not valid JSON"},
    {CALL, "{\"x\":NaN}", "not valid JSON"},
    {CALL, "\xef\xbb\xbf{}", "not valid JSON"},
    {CALL, "{\"x\":\"\xc0\x80\"}", "not valid JSON"},
    {CALL, "{\"x\":\"\\udc00\"}", "not valid JSON"},
    {CALL, "{\"x\":\"\\ud800\\u0041\"}", "not valid JSON"},
    {CALL, "{\"framework_id\":\"f\"}", "framework_id: expected an object"},
    {CALL, "{\"framework_id\":[{\"value\":\"f\"}]}", "framework_id: expected an object"},
    {CALL, "{\"framework_id\":{}}", "framework_id.value: required but missing"},
    {CALL, "{\"framework_id\":{\"value\":null}}", "framework_id.value: required but missing"},
    {CALL, "{\"subscribe\":{\"framework_info\":{\"user\":1,\"name\":\"\"}}}",
     "subscribe.framework_info.user: expected a string"},
    {CALL, "{\"subscribe\":{\"framework_info\":{\"user\":\"\"}}}",
     "subscribe.framework_info.name: required but missing"},
    {CALL, "{\"decline\":{\"offer_ids\":[{\"value\":\"a\"},{\"value\":2}]}}",
     "decline.offer_ids[1].value: expected a string"},
    {CALL, "{\"suppress\":{\"roles\":[\"a\",[\"b\",7]]}}",
     "suppress.roles[1][1]: expected a string"},
    {SCALAR, "{\"value\":true}", "value: expected a number"},
    {SCALAR, "{\"value\":\"1x\"}", "value: expected a number, or a string that is one"},
    {SCALAR, "{\"value\":\"\"}", "value: expected a number, or a string that is one"},
    {SCALAR, "{\"value\":1e999}", "value: the number is out of range"},
    {SCALAR, "{\"value\":\"1e999\"}", "value: the number is out of range"},
    {NANOS, "{\"nanoseconds\":\"ten\"}", "nanoseconds: expected an integer, or a string"},
    {NANOS, "{\"nanoseconds\":{}}", "nanoseconds: expected an integer"},
    {NANOS, "{\"nanoseconds\":9223372036854775808}", "nanoseconds: the number is out of range"},
    {NANOS, "{\"nanoseconds\":1e300}", "nanoseconds: the number is out of range"},
    {NANOS, "{\"nanoseconds\":\"-Infinity\"}", "nanoseconds: expected an integer, or a string"},
    {&v1__value__range__descriptor, "{\"begin\":-1,\"end\":0}",
     "begin: the number is out of range"},
    {&v1__value__range__descriptor, "{\"begin\":18446744073709551616,\"end\":0}",
     "begin: the number is out of range"},
    {&v1__address__descriptor, "{\"port\":2147483648}", "port: the number is out of range"},
    {&v1__port__descriptor, "{\"number\":-1}", "number: the number is out of range"},
    {STATUS, "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_DANCING\"}",
     "state: unknown value 'TASK_DANCING'"},
    {STATUS, "{" ST ",\"data\":\"!\"}", "data: not valid base64"},
    {STATUS, "{" ST ",\"data\":\"A\"}", "data: not valid base64"},
    {STATUS, "{" ST ",\"data\":\"-_8=\"}", "data: not valid base64"},
    {STATUS, "{" ST ",\"data\":7}", "data: expected a string of base64"},
    {STATUS, "{" ST ",\"healthy\":\"yes\"}", "healthy: expected true or false"},
    {STATUS, "{" ST ",\"healthy\":1}", "healthy: expected true or false"},
    {TASK, "{" TASK_HEAD ",\"limits\":[]}", "limits: expected an object"},
    {TASK, "{" TASK_HEAD ",\"limits\":{\"cpus\":1}}", "limits.cpus: expected an object"},
    {TASK, "{" TASK_HEAD ",\"limits\":{\"cpus\":null}}", "limits.cpus: required but missing"},
    {TASK, "{" TASK_HEAD ",\"limits\":{\"cpus\":{}}}", "limits.cpus.value: required but missing"},
    {TASK, "{" TASK_HEAD_V0 "}", "agent_id: required but missing"},
    {&sched__attribute_constraint__selector__descriptor,
     "{\"attribute_name\":\"rack\",\"pseudoattribute_type\":3}",
     "pseudoattribute_type: expected the name"},
};

START_TEST(codec_names_the_culprit)
{
    struct fl_arena *a = fl_arena_new(0);
    ProtobufCMessage *m = NULL;
    struct fl_err e = {0};
    const char *in = error_rows[_i].in, *want = error_rows[_i].message;

    ck_assert_int_eq(fl_json_to_pb(in, strlen(in), error_rows[_i].desc, 0, NULL, &m, &e), -EINVAL);
    ck_assert_int_eq(e.reason, FL_INVALID);
    ck_assert_msg(str_starts(e.msg, want), "%s: '%s' for '%s'", in, e.msg, want);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(
        fl_json_to_pb(in, strlen(in), error_rows[_i].desc, 0, fl_arena_allocator(a), &m, NULL),
        -EINVAL);
    fl_arena_free(a);
}
END_TEST

/* {"value":"x","parent":{... */
static void nested_id(struct fl_buf *b, int depth)
{
    for (int i = 0; i < depth; i++)
        fl_buf_adds(b, "{\"value\":\"x\",\"parent\":");
    fl_buf_adds(b, "null");
    for (int i = 0; i < depth; i++)
        fl_buf_addc(b, '}');
}

START_TEST(codec_limits_depth)
{
    static const struct {
        int depth;
        bool refused;
    } rows[] = {{100, false}, {101, true}, {1000, true}, {5000, true}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
        _cleanup_pb_ ProtobufCMessage *m = NULL;
        struct fl_err e;
        int r;

        nested_id(&b, rows[i].depth);
        r = fl_json_to_pb(b.data, b.len, &v1__container_id__descriptor, 0, NULL, &m, &e);
        ck_assert_int_eq(r, rows[i].refused ? -EINVAL : 0);
        if (rows[i].refused)
            ck_assert_msg(str_starts(e.msg, "...") && str_ends(e.msg, ": nested too deeply"), "%s",
                          e.msg);
    }
}
END_TEST

START_TEST(codec_limits_lists_in_lists)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    ProtobufCMessage *m = NULL;
    struct fl_err e;

    fl_buf_adds(&b, "{\"suppress\":{\"roles\":");
    for (int i = 0; i < 150; i++)
        fl_buf_addc(&b, '[');
    fl_buf_adds(&b, "\"deep\"");
    for (int i = 0; i < 150; i++)
        fl_buf_addc(&b, ']');
    fl_buf_adds(&b, "}}");
    ck_assert_int_eq(fl_json_to_pb(b.data, b.len, CALL, 0, NULL, &m, &e), -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "nested too deeply"));
}
END_TEST

START_TEST(codec_limits_what_it_skips)
{
    static const struct {
        int depth;
        int r;
    } rows[] = {{400, 0}, {600, -EINVAL}, {200000, -EINVAL}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
        _cleanup_pb_ ProtobufCMessage *m = NULL;
        struct fl_err e;

        fl_buf_adds(&b, "{\"nobody\":");
        for (int k = 0; k < rows[i].depth; k++)
            fl_buf_addc(&b, '[');
        for (int k = 0; k < rows[i].depth; k++)
            fl_buf_addc(&b, ']');
        fl_buf_addc(&b, '}');
        ck_assert_int_eq(fl_json_to_pb(b.data, b.len, CALL, 0, NULL, &m, &e), rows[i].r);
    }
}
END_TEST

/* Cut anywhere, a document is an error and nothing leaks or is read beyond its end. */
START_TEST(codec_survives_a_cut_anywhere)
{
    static const char in[] =
        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"\\u00fc\","
        "\"name\":\"n\",\"roles\":[\"a\",\"b\"],\"failover_timeout\":1.5e3,\"checkpoint\":true,"
        "\"x\":[{},null]}}}";

    for (size_t n = 0; n < sizeof in - 1; n++) {
        _cleanup_free_ char *exact = xmemdup(in, n);
        ProtobufCMessage *m = NULL;
        struct fl_err e;

        ck_assert_int_eq(fl_json_to_pb(exact, n, CALL, 0, NULL, &m, &e), -EINVAL);
    }
}
END_TEST

START_TEST(codec_refuses_nul_between_tokens)
{
    static const char in[] = "{\"x\":1\0}";
    ProtobufCMessage *m = NULL;

    ck_assert_int_eq(fl_json_to_pb(in, sizeof in - 1, CALL, 0, NULL, &m, NULL), -EINVAL);
}
END_TEST

START_TEST(value_of_jansson)
{
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    json_t *v = json_pack("{s:{s:f}}", "filters", "refuse_seconds", 2.5),
           *text = json_pack("s", "x");
    struct fl_err e;

    ck_assert_int_eq(fl_json_value_to_pb(json_object_get(v, "filters"), &v1__filters__descriptor, 0,
                                         NULL, &m, &e),
                     0);
    fl_json_from_pb(&b, m, 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "{\"refuse_seconds\":2.5}");
    ck_assert_int_eq(fl_json_value_to_pb(text, &v1__filters__descriptor, 0, NULL, &m, &e), -EINVAL);
    ck_assert_str_eq(e.msg, "expected an object");
    json_decref(v);
    json_decref(text);
}
END_TEST

START_TEST(unknown_enum_numbers_are_left_out)
{
    /* CapabilityInfo: CHOWN (1000), 7 which is none, KILL (1005). TaskStatus.state is required: as
     * a number. */
    static const uint8_t caps[] = {0x08, 0xe8, 0x07, 0x08, 0x07, 0x08, 0xed, 0x07};
    static const uint8_t status[] = {0x0a, 0x03, 0x0a, 0x01, 't', 0x10, 0x63, 0x48, 0x63};
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_pb_ ProtobufCMessage *c = NULL, *s = NULL;

    ck_assert_int_eq(
        fl_pb_decode(caps, sizeof caps, &v1__capability_info__descriptor, NULL, &c, NULL), 0);
    fl_json_from_pb(&b, c, 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "{\"capabilities\":[\"CHOWN\",\"KILL\"]}");
    fl_buf_clear(&b);
    ck_assert_int_eq(fl_pb_decode(status, sizeof status, STATUS, NULL, &s, NULL), 0);
    fl_json_from_pb(&b, s, 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "{\"task_id\":{\"value\":\"t\"},\"state\":99}");
}
END_TEST

START_TEST(enums_by_name_and_number)
{
    int v = -1;

    ck_assert_str_eq(fl_enum_name(&v1__task_state__descriptor, V1__TASK_STATE__TASK_RUNNING),
                     "TASK_RUNNING");
    ck_assert_ptr_null(fl_enum_name(&v1__task_state__descriptor, 4711));
    ck_assert_int_eq(fl_enum_value(&v1__task_state__descriptor, "TASK_LOST", &v), 0);
    ck_assert_int_eq(v, V1__TASK_STATE__TASK_LOST);
    ck_assert_int_lt(fl_enum_value(&v1__task_state__descriptor, "task_lost", &v), 0);
    ck_assert_int_eq(v, V1__TASK_STATE__TASK_LOST);
}
END_TEST

START_TEST(message_as_a_value_of_the_writer)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);
    V1__TaskID id = V1__TASK_ID__INIT;
    char value[] = "t";

    id.value = value;
    json_array(&j);
    json_pb(&j, &id.base, 0);
    json_pb(&j, &id.base, 0);
    json_end_array(&j);
    ck_assert_str_eq(fl_buf_cstr(&b), "[{\"value\":\"t\"},{\"value\":\"t\"}]");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *t = tcase_create("all");
    SRunner *r;
    int failed;

    tcase_add_test(t, writer_places_commas);
    tcase_add_loop_test(t, doubles_read_back_the_same, 0, ARRAY_SIZE(double_rows));
    tcase_add_loop_test(t, strings_are_ascii_when_written, 0, ARRAY_SIZE(string_rows));
    tcase_add_loop_test(t, codec_maps, 0, ARRAY_SIZE(codec_rows));
    tcase_add_loop_test(t, codec_names_the_culprit, 0, ARRAY_SIZE(error_rows));
    tcase_add_test(t, codec_limits_depth);
    tcase_add_test(t, codec_limits_lists_in_lists);
    tcase_add_test(t, codec_limits_what_it_skips);
    tcase_add_test(t, codec_survives_a_cut_anywhere);
    tcase_add_test(t, codec_refuses_nul_between_tokens);
    tcase_add_test(t, value_of_jansson);
    tcase_add_test(t, unknown_enum_numbers_are_left_out);
    tcase_add_test(t, enums_by_name_and_number);
    tcase_add_test(t, message_as_a_value_of_the_writer);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
