/* Recording and replay: a random life of a cluster is played back to the same decisions; what was changed, cut or is no log
 * is told. */
#include <check.h>

#include "tests/property/allocator_churn.h"
#include "tests/unit/allocator_harness.h"
#include "tests/unit/allocator_record_harness.h"

enum { SECONDS = 240 };

static struct rec_memory mem;
static struct churn churn;

static void record_churn(uint64_t seed, unsigned seconds)
{
    struct allocator_options o = churn_options();
    struct allocator_callbacks cb = churn_callbacks(&churn);

    churn_init(&churn, seed);
    ck_assert_int_eq(allocator_record_new(allocator_builtin("HierarchicalDRF"), &o, &cb, &mem.sink,
                                          &churn.ops, &churn.a, NULL),
                     0);
    churn_begin(&churn);
    while (seconds--)
        churn_second(&churn);
    ck_assert_uint_gt(churn.n_offers, 10);
}

static void setup(void)
{
    rec_init(&mem);
}

static void teardown(void)
{
    fl_buf_done(&mem.log);
}

static void ck_equal(const char *what)
{
    struct replay_result res;
    struct fl_err err;

    ck_assert_msg(rec_play(&mem, &res, &err) == 0, "%s: %s", what, err.msg);
    ck_assert_msg(!res.differs, "%s: %s", what, fl_buf_cstr(&res.difference));
    replay_result_done(&res);
}

START_TEST(a_random_life_is_replayed_equal)
{
    struct replay_result res;
    struct fl_err err;

    record_churn((uint64_t)_i + 1, SECONDS);
    ck_assert_int_eq(rec_play(&mem, &res, &err), 0);
    ck_assert_msg(!res.differs, "%s", fl_buf_cstr(&res.difference));
    ck_assert(!res.torn);
    ck_assert_uint_eq(res.records + 1, mem.frames); /* and the header */
    ck_assert_uint_eq(res.kinds[ALOG__RECORD__KIND__OFFER].n, churn.n_offers);
    ck_assert_uint_ge(res.kinds[ALOG__RECORD__KIND__TRANSITION_TO_USED].n, 10);
    ck_assert_uint_eq(res.inputs + res.decisions, res.records);
    replay_result_done(&res);
    churn_done(&churn);
}
END_TEST

/* Copies the log record by record; `change` may alter one. */
typedef bool change_f(struct alog_reader *r, Alog__Record *rec, struct fl_arena *arena);
static uint64_t copy_changed(change_f *change)
{
    struct rec_memory copy;
    struct alog_reader r;
    struct alog_writer w;
    struct fl_arena *arena = fl_arena_new(4096);
    Alog__Record *rec;
    uint64_t changed_at = 0;

    rec_init(&copy);
    ck_assert_int_eq(alog_reader_init(&r, mem.log.data, mem.log.len, NULL), 0);
    alog_writer_init(&w, &copy.sink);
    alog_write_header(&w, r.header->allocator);
    while (alog_next(&r, arena, &rec, NULL) > 0) {
        if (!changed_at && change(&r, rec, arena))
            changed_at = r.record;
        w.define = rec->define;
        w.n_define = rec->n_define;
        alog_end(&w, rec);
        w.define = NULL;
        fl_arena_reset(arena);
    }
    alog_writer_done(&w);
    alog_reader_done(&r);
    fl_arena_free(arena);
    fl_buf_done(&mem.log);
    mem.log = copy.log;
    return changed_at;
}

static bool late(const struct alog_reader *r, const Alog__Record *rec, Alog__Record__Kind kind)
{
    return r->record > 200 && rec->kind == kind;
}

static bool change_resources(struct alog_reader *r, Alog__Record *rec, struct fl_arena *arena)
{
    Alog__Resources *pb;

    if (!late(r, rec, ALOG__RECORD__KIND__OFFER) || rec->n_define == 0 ||
        rec->resources != r->n_dict)
        return false;
    /* The last definition is that of the resources: a thousandth more. */
    ProtobufCBinaryData *d = &rec->define[rec->n_define - 1];
    ck_assert_int_eq(fl_pb_decode(d->data, d->len, &alog__resources__descriptor,
                                  fl_arena_allocator(arena), (ProtobufCMessage **)&pb, NULL),
                     0);
    ck_assert(pb->n_items > 0 && pb->items[0]->scalar);
    pb->items[0]->scalar->value += 0.001;
    d->data = fl_arena_alloc(arena, d->len + 16);
    d->len = protobuf_c_message_pack(&pb->base, d->data);
    return true;
}

static bool change_agent(struct alog_reader *r, Alog__Record *rec, struct fl_arena *arena)
{
    if (!late(r, rec, ALOG__RECORD__KIND__OFFER))
        return false;
    rec->agent = rec->framework;
    return true;
}

static bool change_next(struct alog_reader *r, Alog__Record *rec, struct fl_arena *arena)
{
    if (!late(r, rec, ALOG__RECORD__KIND__RAN))
        return false;
    rec->number++;
    return true;
}

static bool change_kind(struct alog_reader *r, Alog__Record *rec, struct fl_arena *arena)
{
    if (!late(r, rec, ALOG__RECORD__KIND__OFFER))
        return false;
    rec->kind = ALOG__RECORD__KIND__FLUSH;
    return true;
}

static const struct {
    change_f *change;
    const char *expected, *came;
} changes[] = {
    {change_resources, "expected:  ", "came:      OFFER framework=f"},
    {change_agent, "expected:  ", "came:      OFFER framework=f"},
    {change_next, "RAN number=", "came:      RAN number="},
    {change_kind, "FLUSH", "came:      OFFER framework=f"},
};

START_TEST(a_tampered_decision_is_found)
{
    struct replay_result res;
    struct fl_err err;
    uint64_t at;
    char text[64];

    record_churn(5, SECONDS);
    churn_done(&churn);
    at = copy_changed(changes[_i].change);
    ck_assert_uint_gt(at, 200);
    ck_assert_msg(rec_play(&mem, &res, &err) == 0, "%s", err.msg);
    ck_assert(res.differs);
    fl_snprintf(text, sizeof(text), "record %llu, ", (unsigned long long)at);
    ck_assert_msg(strstr(fl_buf_cstr(&res.difference), text), "no '%s' in: %s", text,
                  fl_buf_cstr(&res.difference));
    ck_assert_ptr_nonnull(strstr(res.difference.data, changes[_i].expected));
    ck_assert_ptr_nonnull(strstr(res.difference.data, changes[_i].came));
    replay_result_done(&res);
}
END_TEST

/* The process was killed at any byte: what is whole is played, the rest is told. */
START_TEST(a_torn_end_is_recognised)
{
    size_t whole, len;
    unsigned torn = 0;

    record_churn(3, 30);
    churn_done(&churn);
    whole = mem.log.len;
    for (size_t cut = 1; cut < 400; cut++) {
        struct replay_result res;
        struct fl_err err;
        mem.log.len = len = whole - cut;
        ck_assert_msg(rec_play(&mem, &res, &err) == 0, "cut %zu: %s", cut, err.msg);
        ck_assert_msg(!res.differs, "cut %zu: %s", cut, fl_buf_cstr(&res.difference));
        torn += res.torn;
        replay_result_done(&res);
    }
    ck_assert_uint_gt(torn, 300);
    ck_assert_uint_lt(torn, 399);
    /* Zeros, as a machine without power leaves them, and a last record that is half written. */
    mem.log.len = whole;
    for (unsigned i = 0; i < 100; i++)
        fl_buf_addc(&mem.log, 0);
    ck_equal("zeros at the end");
    mem.log.len = whole;
    mem.log.data[whole - 1] ^= 1;
    ck_equal("a last byte that is wrong");
}
END_TEST

START_TEST(damage_is_refused)
{
    struct replay_result res;
    struct fl_err err;

    record_churn(4, 30);
    churn_done(&churn);
    mem.log.data[mem.log.len / 2] ^= 0x10;
    ck_assert_int_lt(rec_play(&mem, &res, &err), 0);
    ck_assert_msg(strstr(err.msg, "record "), "%s", err.msg);
    replay_result_done(&res);
    mem.log.data[0] = 'X';
    ck_assert_int_lt(rec_play(&mem, &res, &err), 0);
    ck_assert_msg(strstr(err.msg, "no allocator log"), "%s", err.msg);
    replay_result_done(&res);
    mem.log.len = 0;
    ck_assert_int_lt(rec_play(&mem, &res, &err), 0);
    replay_result_done(&res);
}
END_TEST

/* Whatever byte is wrong, it is noticed: as damage, or as a torn end when it makes the last frame too long. */
START_TEST(no_wrong_byte_passes)
{
    record_churn(4, 2);
    churn_done(&churn);
    for (size_t i = 0; i < mem.log.len; i++) {
        struct replay_result res;
        struct fl_err err;
        mem.log.data[i] ^= (char)(1u << (i % 8));
        ck_assert_msg(rec_play(&mem, &res, &err) < 0 || res.torn || res.differs, "byte %zu", i);
        mem.log.data[i] ^= (char)(1u << (i % 8));
        replay_result_done(&res);
    }
}
END_TEST

/* When the sink wants no more, the allocator goes on, and what was written is a log. */
START_TEST(a_limit_ends_the_recording)
{
    uint64_t offers;

    mem.max = 20000;
    record_churn(6, 60);
    offers = churn.n_offers;
    for (unsigned i = 0; i < 60; i++)
        churn_second(&churn);
    ck_assert_uint_gt(churn.n_offers, offers);
    churn_done(&churn);
    ck_assert_uint_le(mem.log.len, mem.max);
    ck_assert_uint_gt(mem.log.len, mem.max / 2);
    ck_equal("up to the limit");
}
END_TEST

/* Constraints reach the module compiled; the log has what they were made from. */
START_TEST(constraints_are_played)
{
    static const char text[] =
        "{\"role_constraints\":{\"eng\":{\"groups\":[{\"attribute_constraints\":[{"
        "\"selector\":{\"attribute_name\":\"rack\"},"
        "\"predicate\":{\"text_matches\":{\"regex\":\"r[12]\"}}}]}]}}}";
    const char *const roles[] = {"eng"};
    struct allocator_options o = h_options();
    struct harness h = {.now = SECOND};
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = &h};
    struct offer_constraints *compiled = NULL;
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;
    struct fl_err err;
    ProtobufCMessage *pb;
    V1__Value__Text value[2] = {V1__VALUE__TEXT__INIT, V1__VALUE__TEXT__INIT};
    V1__Attribute rack[2] = {V1__ATTRIBUTE__INIT, V1__ATTRIBUTE__INIT};
    V1__Attribute *racks[] = {&rack[0], &rack[1]};

    ck_assert_int_eq(fl_json_to_pb(text, strlen(text), &sched__offer_constraints__descriptor, 0,
                                   NULL, &pb, &err),
                     0);
    ck_assert_int_eq(
        offer_constraints_new((Sched__OfferConstraints *)pb, roles, 1, NULL, &compiled, &err), 0);
    ck_assert_int_eq(allocator_record_new(allocator_builtin("HierarchicalDRF"), &o, &cb, &mem.sink,
                                          &h.ops, &h.a, &err),
                     0);
    info.user = info.name = (char *)"u";
    info.role = (char *)"eng";
    struct allocator_framework f = {.id = "f",
                                    .info = &info,
                                    .constraints = compiled,
                                    .constraints_pb = (Sched__OfferConstraints *)pb,
                                    .active = true};
    h.ops->add_framework(h.a, &f, h.now);
    for (size_t i = 0; i < 2; i++) {
        char id[] = {'a', (char)('1' + i), '\0'};
        rack[i].name = (char *)"rack";
        rack[i].type = V1__VALUE__TYPE__TEXT;
        value[i].value = (char *)(i ? "other" : "r2");
        rack[i].text = &value[i];
        h_tell_agent(
            &h,
            &(struct h_agent){
                .id = id, .total = "cpus:4;mem:1024", .attributes = &racks[i], .n_attributes = 1},
            false);
    }
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h.offers[0].agent, "a1");
    h.ops->remove_framework(h.a, "f");
    h_done(&h);
    offer_constraints_free(compiled);
    fl_pb_free(pb);
    ck_equal("constraints");
}
END_TEST

/* A failed creation and a failed operation are decisions, too. */
START_TEST(refusals_are_played)
{
    struct allocator_options o = h_options();
    struct harness h = {.now = SECOND};
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = &h};
    struct resources none = h_res("cpus:100"), to = h_res("cpus(eng):100");
    struct fl_err err;

    o.role_sorter = "alphabet";
    ck_assert_int_lt(allocator_record_new(allocator_builtin("HierarchicalDRF"), &o, &cb, &mem.sink,
                                          &h.ops, &h.a, &err),
                     0);
    ck_assert_msg(strstr(err.msg, "alphabet"), "%s", err.msg);
    ck_equal("creation");
    fl_buf_clear(&mem.log);
    o.role_sorter = "drf";
    ck_assert_int_eq(allocator_record_new(allocator_builtin("HierarchicalDRF"), &o, &cb, &mem.sink,
                                          &h.ops, &h.a, &err),
                     0);
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_int_lt(h.ops->update_allocation(h.a, NULL, "a1", &none, &to, &err), 0);
    h_done(&h);
    resources_done(&none);
    resources_done(&to);
    ck_equal("operation");
}
END_TEST

/* A module of which a hook is missing stays one. */
START_TEST(missing_hooks_stay_missing)
{
    struct allocator_ops ops = *allocator_builtin("HierarchicalDRF");
    const struct allocator_ops *recorded;
    struct allocator_options o = h_options();
    struct harness h = {0};
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = &h};
    struct allocator *a;

    ops.explain = NULL;
    ops.numbers = NULL;
    ops.dominant_share = NULL;
    ck_assert_int_eq(allocator_record_new(&ops, &o, &cb, &mem.sink, &recorded, &a, NULL), 0);
    ck_assert_ptr_null(recorded->explain);
    ck_assert_ptr_null(recorded->numbers);
    ck_assert_ptr_null(recorded->dominant_share);
    ck_assert_ptr_nonnull(allocator_record_inner(a));
    recorded->destroy(a);
}
END_TEST

/* The dictionary is forgotten on both sides when it has grown. */
START_TEST(the_dictionary_is_bounded)
{
    struct allocator_options o = h_options();
    struct harness h = {.now = SECOND};
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = &h};
    char id[64];

    ck_assert_int_eq(allocator_record_new(allocator_builtin("HierarchicalDRF"), &o, &cb, &mem.sink,
                                          &h.ops, &h.a, NULL),
                     0);
    h_add_framework(&h, "f", "*");
    for (unsigned i = 0; i < 60000; i++) {
        fl_snprintf(id, sizeof(id), "agent-of-a-long-name-%u", i);
        h_add_agent(&h, id, "cpus:4;mem:1024");
        h.now += 1000;
        ck_assert_uint_eq(h_run(&h), 1);
        h.ops->remove_agent(h.a, id);
        h_forget(&h);
    }
    h_done(&h);
    ck_equal("a long log");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator_record");
    TCase *t = tcase_create("record and replay");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_random_life_is_replayed_equal, 0, 6);
    tcase_add_loop_test(t, a_tampered_decision_is_found, 0, ARRAY_SIZE(changes));
    tcase_add_test(t, a_torn_end_is_recognised);
    tcase_add_test(t, damage_is_refused);
    tcase_add_test(t, no_wrong_byte_passes);
    tcase_add_test(t, a_limit_ends_the_recording);
    tcase_add_test(t, constraints_are_played);
    tcase_add_test(t, refusals_are_played);
    tcase_add_test(t, missing_hooks_stay_missing);
    tcase_add_test(t, the_dictionary_is_bounded);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
