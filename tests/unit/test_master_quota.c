/* Quota, weights and roles in the master's core: what is refused and why, what the registry keeps, which offers go back, what roles
 * consume, and the hold after a restart. What the allocator makes of a quota is its own tests' matter: here it is only asked whether it
 * was told. */
#include "tests/unit/master_world.h"

#include "master/core.h"
#include "master/quota.h"
#include "master/roles.h"
#include "master/weights.h"

static struct world w;
static const char *who; /* asks; NULL: not authenticated */

/* What the allocator was told last. */
static struct {
    unsigned calls;
    char role[64], guarantees[128], limits[128]; /* "-": NULL */
} told;

static void note(char *into, const struct quantities *q)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    if (q)
        quantities_format(q, &b);
    else
        fl_buf_adds(&b, "-");
    fl_snprintf(into, 128, "%s", fl_buf_cstr(&b));
}

static void spy_set_quota(struct allocator *a, const char *role,
                          const struct quantities *guarantees, const struct quantities *limits)
{
    told.calls++;
    fl_snprintf(told.role, sizeof(told.role), "%s", role);
    note(told.guarantees, guarantees);
    note(told.limits, limits);
}

static struct allocator_ops spied;

static void spy(void)
{
    spied = *w.m->alloc_ops;
    spied.set_quota = spy_set_quota;
    w.m->alloc_ops = &spied;
    memset(&told, 0, sizeof(told));
}

static void setup(void)
{
    w_init(&w, NULL);
    who = NULL;
    spy();
}

static void teardown(void)
{
    w_done(&w);
}

/* Another master than setup()'s. */
static void start_with(const char *const *args)
{
    w_done(&w);
    w_init(&w, args);
    spy();
}

/* ---- asking ---- */

static int answered; /* 0: not yet */
static char why[500];

static void on_answer(void *arg, int status, const struct fl_err *err)
{
    answered = status;
}

static ProtobufCMessage *parse(const char *json, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), d, 0, NULL, &m, &err) == 0, "%s in %s", err.msg,
                  json);
    return m;
}

/* A call of the operator API about quota or weights: nothing is written before w_settle(). */
static int ask(const char *json)
{
    _cleanup_pb_ ProtobufCMessage *pb = parse(json, &mapi__call__descriptor);
    const Mapi__Call *c = (const Mapi__Call *)pb;
    struct fl_err err = {0};
    int r = -1;

    answered = 0;
    why[0] = '\0';
    if (c->update_quota)
        r = master_update_quota(w.m, c->update_quota, who, on_answer, NULL, &err);
    else if (c->set_quota)
        r = master_set_quota(w.m, c->set_quota->quota_request, who, on_answer, NULL, &err);
    else if (c->remove_quota)
        r = master_remove_quota(w.m, c->remove_quota->role, who, on_answer, NULL, &err);
    else if (c->update_weights)
        r = master_update_weights(w.m, c->update_weights->weight_infos,
                                  c->update_weights->n_weight_infos, who, on_answer, NULL, &err);
    if (r < 0) {
        fl_snprintf(why, sizeof(why), "%s", err.msg);
        return fl_reason_http_status(err.reason);
    }
    return answered;
}

/* ... and it is done. */
static void must(const char *json)
{
    int status = ask(json);

    ck_assert_msg(status == 0 || status == 200, "%d %s", status, why);
    w_settle(&w);
    ck_assert_int_eq(answered, 200);
}

#define UPDATE(configs)                                                                            \
    "{\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"quota_configs\":[" configs "]}}"
#define FORCED(configs)                                                                            \
    "{\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"force\":true,\"quota_configs\":[" configs "]}" \
    "}"
#define CONFIG(role, guarantees, limits)                                                           \
    "{\"role\":\"" role "\",\"guarantees\":{" guarantees "},\"limits\":{" limits "}}"
#define AMOUNT(name, v) "\"" name "\":{\"value\":" v "}"
#define SCALAR(name, v) "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" v "}}"
#define SET(more)       "{\"type\":\"SET_QUOTA\",\"set_quota\":{\"quota_request\":{" more "}}}"
#define REMOVE(role)    "{\"type\":\"REMOVE_QUOTA\",\"remove_quota\":{\"role\":\"" role "\"}}"
#define WEIGHTS(infos)                                                                             \
    "{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":[" infos "]}}"
#define WEIGHT(role, v) "{\"role\":\"" role "\",\"weight\":" v "}"

/* ---- looking ---- */

static const char *text(const struct quantities *q)
{
    static char out[256];

    note(out, q);
    return out;
}

static const char *status(void)
{
    static char out[2048];
    struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_json_from_pb(&b, &master_quota_status(w.m, who, arena)->base, 0);
    fl_snprintf(out, sizeof(out), "%s", fl_buf_cstr(&b));
    fl_arena_free(arena);
    return out;
}

static const char *weights(void)
{
    static char out[1024];
    struct fl_arena *arena = fl_arena_new(4096);
    V1__WeightInfo **infos;
    size_t n = master_weights(w.m, who, arena, &infos), len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s=%g", i ? " " : "",
                                infos[i]->role, infos[i]->weight);
    fl_arena_free(arena);
    return out;
}

static const char *consumed(const char *role)
{
    _cleanup_quantities_ struct quantities q = QUANTITIES_INIT;

    role_consumed(role_find(w.m, role), &q);
    return text(&q);
}

static milli_t held(const char *role, enum role_book book, const char *name)
{
    const struct role *r = role_find(w.m, role);

    return r ? quantities_get(&r->books[book], name) : 0;
}

/* "name:frameworks" of all that are listed */
static const char *listed(void)
{
    static char out[1024];
    struct fl_arena *arena = fl_arena_new(4096);
    struct role_view **views;
    size_t n = roles_list(w.m, who, arena, &views), len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s:%zu", i ? " " : "",
                                views[i]->name, views[i]->n_frameworks);
    fl_arena_free(arena);
    return out;
}

static bool on_disk(const char *key)
{
    for (size_t i = 0; i < w.n_disk; i++)
        if (streq(w.disk[i].key, key))
            return true;
    return false;
}

static void subscribe(const char *stream, const char *role)
{
    _cleanup_free_ char *info = xasprintf(
        ",\"roles\":[\"%s\"],\"checkpoint\":true,\"failover_timeout\":10000,"
        "\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"RESERVATION_REFINEMENT\"}]",
        role);

    w_subscribe(&w, stream, info);
}

static void register_with(const char *peer, const char *address, const char *resources)
{
    w_agent(&w, peer, address, &msg__register_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h\",\"port\":5051,\"resources\":[%s]},\"version\":"
            "\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS
            ",\"resource_version_uuid\":{\"value\":\"" W_UUID "\"}}",
            resources);
}

/* ---- quota: refusals ---- */

static const struct {
    const char *json;
    int status;
    const char *why;
} refusals[] = {
    {UPDATE(CONFIG("eng/a", "", "")), 400, "nested role 'eng/a' is not supported"},
    {UPDATE(CONFIG("/bad", "", "")), 400, "nested role"},
    {UPDATE(CONFIG("-bad", "", "")), 400, "Invalid QuotaConfig: Invalid 'QuotaConfig.role'"},
    {UPDATE(CONFIG("", "", "")), 400, "Invalid 'QuotaConfig.role'"},
    {UPDATE(CONFIG("q", "", AMOUNT("cpus", "-1"))), 400, "Negative values not supported"},
    {UPDATE(CONFIG("q", AMOUNT("cpus", "-1"), "")), 400,
     "Invalid guarantee configuration {'cpus': -1}"},
    {UPDATE(CONFIG("q", "", AMOUNT("cpus", "\"Infinity\""))), 400, "Infinite values"},
    {UPDATE(CONFIG("q", "", AMOUNT("cpus", "\"NaN\""))), 400, "NaN not supported"},
    {UPDATE(CONFIG("q", "", AMOUNT("cpus", "1e-310"))), 400, "Subnormal values"},
    {UPDATE(CONFIG("q", "", AMOUNT("cpus", "2e12"))), 400, "greater than 1 trillion"},
    {UPDATE(CONFIG("q", AMOUNT("mem", "2e12"), "")), 400, "greater than 1 exabyte"},
    {UPDATE(CONFIG("q", AMOUNT("cpus", "2"), AMOUNT("cpus", "1"))), 400,
     "'cpus:2' is not contained within the 'QuotaConfig.limits' 'cpus:1'"},
    {UPDATE(CONFIG("q", AMOUNT("cpus", "5"), "")), 400,
     "total quota guarantees 'cpus:5' exceed cluster capacity"},
    {UPDATE(CONFIG("q", AMOUNT("unknown", "1"), "")), 400, "exceed cluster capacity"},
    /* Together they are too much, and then none of them is set. */
    {UPDATE(CONFIG("q", AMOUNT("cpus", "3"), "") "," CONFIG("r", AMOUNT("cpus", "2"), "")), 400,
     "total quota guarantees 'cpus:5'"},
    {SET(""), 400, "QuotaInfo must specify a role"},
    {SET("\"role\":\"-x\",\"guarantee\":[" SCALAR("cpus", "1") "]"), 400, "with invalid role"},
    {SET("\"role\":\"q\""), 400, "QuotaInfo with empty 'guarantee'"},
    {SET("\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "-1") "]"), 400,
     "QuotaInfo with invalid resource"},
    {SET("\"role\":\"q\",\"guarantee\":[{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":"
         "{\"range\":[{\"begin\":1,\"end\":2}]}}]"),
     400, "must not include non-scalar resources"},
    {SET("\"role\":\"q\",\"guarantee\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"role\":\"r\","
         "\"scalar\":{\"value\":1}}]"),
     400, "must not contain any ReservationInfo"},
    {SET("\"role\":\"q\",\"guarantee\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"revocable\":{},"
         "\"scalar\":{\"value\":1}}]"),
     400, "must not contain RevocableInfo"},
    {SET("\"role\":\"q\",\"guarantee\":[{\"name\":\"disk\",\"type\":\"SCALAR\",\"disk\":{},"
         "\"scalar\":{\"value\":1}}]"),
     400, "must not contain DiskInfo"},
    {SET("\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "1") "," SCALAR("cpus", "1") "]"), 400,
     "duplicate resource name 'cpus'"},
    {SET("\"role\":\"q/a\",\"guarantee\":[" SCALAR("cpus", "1") "]"), 400, "nested role 'q/a'"},
    {SET("\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "5") "]"), 409,
     "Quota guarantees overcommit the cluster"},
    {REMOVE("q"), 400, "Role 'q' has no quota set"},
};

START_TEST(a_bad_quota_is_refused)
{
    w_register(&w, "a1"); /* 4 cpus */
    ck_assert_int_eq(ask(refusals[_i].json), refusals[_i].status);
    ck_assert_msg(strstr(why, refusals[_i].why) != NULL, "'%s' lacks '%s'", why, refusals[_i].why);
    w_settle(&w);
    ck_assert_str_eq(status(), "{}");
    ck_assert_uint_eq(told.calls, 0);
    ck_assert(!on_disk("quota/q") && !on_disk("quota/r"));
    ck_assert_str_eq(listed(), "");
}
END_TEST

START_TEST(a_role_that_is_not_whitelisted_has_no_quota)
{
    start_with((const char *const[]){"--roles=eng", NULL});
    ck_assert_int_eq(ask(UPDATE(CONFIG("ops", "", ""))), 400);
    ck_assert_str_eq(why, "Invalid QuotaConfig: 'ops' is not on the roles whitelist");
    ck_assert_int_eq(ask(SET("\"role\":\"ops\",\"guarantee\":[" SCALAR("cpus", "1") "]")), 400);
    ck_assert_str_eq(why, "Failed to validate set quota request: Unknown role 'ops'");
    ck_assert_int_eq(ask(REMOVE("ops")), 400);
    ck_assert_ptr_nonnull(strstr(why, "Unknown role 'ops'"));
    must(UPDATE(CONFIG("eng", "", AMOUNT("cpus", "1"))));
}
END_TEST

/* ---- quota: what takes effect ---- */

START_TEST(a_quota_shows_once_the_registry_has_it)
{
    w_register(&w, "a1");
    ck_assert_int_eq(ask(UPDATE(CONFIG("q", AMOUNT("cpus", "1") "," AMOUNT("mem", "0"),
                                       AMOUNT("cpus", "2") "," AMOUNT("gpus", "0")))),
                     0);
    ck_assert_str_eq(status(), "{}");
    ck_assert_uint_eq(told.calls, 0);
    w_settle(&w);
    ck_assert_int_eq(answered, 200);
    ck_assert_str_eq(told.role, "q");
    ck_assert_str_eq(told.guarantees, "cpus:1");
    ck_assert_str_eq(told.limits, "cpus:2; gpus:0");
    ck_assert(on_disk("quota/q"));
    ck_assert_str_eq(status(),
                     "{\"infos\":[{\"role\":\"q\",\"guarantee\":[{\"name\":\"cpus\",\"type\":"
                     "\"SCALAR\",\"scalar\":{\"value\":1.0}}]}],\"configs\":[{\"role\":\"q\","
                     "\"guarantees\":{\"cpus\":{\"value\":1.0}},\"limits\":{\"cpus\":{\"value\":"
                     "2.0},\"gpus\":{\"value\":0.0}}}]}");
    ck_assert_str_eq(listed(), "q:0");
}
END_TEST

START_TEST(no_configs_are_no_change)
{
    must(UPDATE(""));
    ck_assert_str_eq(status(), "{}");
}
END_TEST

START_TEST(an_empty_config_leaves_the_role_alone)
{
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2")) "," CONFIG("r", "", AMOUNT("cpus", "3"))));
    must(UPDATE(CONFIG("q", "", "")));
    ck_assert_str_eq(told.limits, "-");
    ck_assert_ptr_nonnull(strstr(status(), "\"configs\":[{\"role\":\"q\"},{\"role\":\"r\""));
    ck_assert(!on_disk("quota/q") && on_disk("quota/r"));
    must(REMOVE("q"));
    must(REMOVE("r"));
    ck_assert_str_eq(status(), "{}");
    ck_assert_str_eq(listed(), "");
}
END_TEST

START_TEST(the_older_call_sets_limits_too)
{
    const char *one = SET("\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "1.5") "]");

    w_register(&w, "a1");
    ck_assert_int_eq(ask(one), 0);
    /* Before the first is written. */
    ck_assert_int_eq(ask(one), 400);
    ck_assert_ptr_nonnull(strstr(why, "'q' which already has quota"));
    w_settle(&w);
    ck_assert_str_eq(told.guarantees, "cpus:1.5");
    ck_assert_str_eq(told.limits, "cpus:1.5");
    ck_assert_int_eq(ask(one), 400);
    ck_assert_int_eq(ask(REMOVE("q")), 0);
    ck_assert_int_eq(ask(REMOVE("q")), 400);
    w_settle(&w);
    ck_assert_str_eq(told.limits, "-");
    ck_assert(!on_disk("quota/q"));
    ck_assert_int_eq(ask(SET("\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "5") "]")), 409);
    must(SET("\"force\":true,\"role\":\"q\",\"guarantee\":[" SCALAR("cpus", "5") "]"));
}
END_TEST

START_TEST(guarantees_on_their_way_count)
{
    w_register(&w, "a1"); /* 4 cpus */
    ck_assert_int_eq(ask(UPDATE(CONFIG("q", AMOUNT("cpus", "3"), ""))), 0);
    ck_assert_int_eq(ask(UPDATE(CONFIG("r", AMOUNT("cpus", "2"), ""))), 400);
    ck_assert_int_eq(ask(FORCED(CONFIG("r", AMOUNT("cpus", "2"), ""))), 0);
    ck_assert_int_eq(ask(REMOVE("q")), 0);
    /* 2 of r remain. */
    ck_assert_int_eq(ask(UPDATE(CONFIG("s", AMOUNT("cpus", "2"), ""))), 0);
    w_settle(&w);
    ck_assert(!on_disk("quota/q") && on_disk("quota/r") && on_disk("quota/s"));
}
END_TEST

START_TEST(a_limit_below_consumption_must_be_forced)
{
    subscribe("s1", "q");
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("3"));
    ck_assert_str_eq(consumed("q"), "cpus:3; mem:64");
    ck_assert_int_eq(ask(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2")))), 400);
    ck_assert_str_eq(why, "Invalid QuotaConfig: Role 'q' is already consuming 'cpus:3; mem:64'; "
                          "this is more than the requested limits 'cpus:2' (use 'force' flag to "
                          "bypass this check)");
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "3"))));
    must(FORCED(CONFIG("q", "", AMOUNT("cpus", "2"))));
    ck_assert_str_eq(told.limits, "cpus:2");
    /* What is forced does not go further than that. */
    ck_assert_int_eq(ask(FORCED(CONFIG("q", AMOUNT("cpus", "2"), AMOUNT("cpus", "1")))), 400);
}
END_TEST

/* ---- quota: offers that go back ---- */

START_TEST(offers_above_a_limit_go_back)
{
    subscribe("s1", "q/below");
    register_with("a1", "10.0.0.1:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    register_with("a2", "10.0.0.2:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    ck_assert_int_eq(held("q", ROLE_OFFERED, "cpus"), 4000);
    w_forget(&w);
    /* 4 are offered, 2 are allowed: one offer is enough. */
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    w_expect(&w, "s1", "\"RESCIND\"");
    w_never(&w, "s1", "\"RESCIND\"");
    w_forget(&w);
    must(UPDATE(CONFIG("other", "", AMOUNT("cpus", "0"))));
    w_never(&w, "s1", "\"RESCIND\"");
}
END_TEST

START_TEST(offers_of_others_go_back_for_a_guarantee)
{
    subscribe("s1", "other");
    register_with("a1", "10.0.0.1:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    register_with("a2", "10.0.0.2:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    w_forget(&w);
    must(UPDATE(CONFIG("q", AMOUNT("cpus", "1"), "")));
    w_expect(&w, "s1", "\"RESCIND\"");
    w_never(&w, "s1", "\"RESCIND\"");
    w_forget(&w);
    /* The older call wants its guarantee on the offers it takes back, and takes agents whole. */
    must(SET("\"role\":\"r\",\"guarantee\":[" SCALAR("cpus", "2.5") "]"));
    w_expect(&w, "s1", "\"RESCIND\"");
    w_expect(&w, "s1", "\"RESCIND\"");
    w_never(&w, "s1", "\"RESCIND\"");
}
END_TEST

/* ---- quota: restarts ---- */

static void reregister_all(void)
{
    w_reregister(&w, "a1", "");
    w_settle(&w);
}

START_TEST(a_quota_outlives_the_master)
{
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2")) "," CONFIG("gone", "", "")));
    must(WEIGHTS(WEIGHT("q", "2.5") "," WEIGHT("eng/a", "3")));
    w_restart(&w);
    ck_assert_str_eq(status(), "{\"infos\":[{\"role\":\"q\"}],\"configs\":[{\"role\":\"q\","
                               "\"limits\":{\"cpus\":{\"value\":2.0}}}]}");
    ck_assert_str_eq(weights(), "eng/a=3 q=2.5");
    ck_assert_str_eq(listed(), "eng:0 eng/a:0 q:0");
}
END_TEST

START_TEST(nothing_is_offered_until_the_agents_are_back)
{
    w_register(&w, "a1");
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    /* One agent: eight tenths of it are none, and nobody waits. */
    w_restart(&w);
    subscribe("s1", "r");
    reregister_all();
    w_expect(&w, "s1", "\"OFFERS\"");

    start_with((const char *const[]){"--allocator_agent_recovery_factor=1", NULL});
    w_register(&w, "a1");
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    w_restart(&w);
    subscribe("s1", "r");
    w_pass(&w, 60 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    reregister_all();
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(the_wait_for_agents_ends)
{
    start_with((const char *const[]){"--allocator_agent_recovery_factor=1",
                                     "--allocator_recovery_timeout=30secs", NULL});
    register_with("a1", "10.0.0.1:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    register_with("a2", "10.0.0.2:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    w_restart(&w);
    subscribe("s1", "r");
    register_with("a3", "10.0.0.3:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    w_pass(&w, 25 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    w_pass(&w, 10 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(without_quota_nobody_waits)
{
    start_with((const char *const[]){"--allocator_agent_recovery_factor=1", NULL});
    register_with("a1", "10.0.0.1:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    register_with("a2", "10.0.0.2:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    must(UPDATE(CONFIG("q", "", "")));
    w_restart(&w);
    subscribe("s1", "r");
    register_with("a3", "10.0.0.3:1", SCALAR("cpus", "2") "," SCALAR("mem", "512"));
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

/* ---- weights ---- */

static const struct {
    const char *json, *why;
} bad_weights[] = {
    {WEIGHTS(WEIGHT("q", "0")), "for role 'q': Invalid weight '0': Weights must be positive"},
    {WEIGHTS(WEIGHT("q", "-1")), "Invalid weight '-1'"},
    {WEIGHTS(WEIGHT("q", "\"NaN\"")), "Invalid weight"},
    {WEIGHTS(WEIGHT("q", "\"Infinity\"")), "Invalid weight"},
    {WEIGHTS(WEIGHT("/bad", "1")), "Invalid role '/bad'"},
    {WEIGHTS("{\"weight\":1}"), "Invalid role ''"},
    {WEIGHTS(WEIGHT("good", "2") "," WEIGHT("q", "0")), "for role 'q'"},
};

START_TEST(a_bad_weight_is_refused)
{
    ck_assert_int_eq(ask(bad_weights[_i].json), 400);
    ck_assert_msg(strstr(why, bad_weights[_i].why) != NULL, "'%s' lacks '%s'", why,
                  bad_weights[_i].why);
    ck_assert(str_starts(why, "Failed to validate update weights request JSON"));
    w_settle(&w);
    ck_assert_str_eq(weights(), "");
}
END_TEST

START_TEST(a_weight_shows_once_the_registry_has_it)
{
    ck_assert_int_eq(ask(WEIGHTS(WEIGHT(" eng/a ", "2"))), 0);
    ck_assert_str_eq(weights(), "");
    w_settle(&w);
    ck_assert_int_eq(answered, 200);
    ck_assert_str_eq(weights(), "eng/a=2");
    ck_assert(on_disk("weight/eng/a"));
    must(WEIGHTS(WEIGHT("eng/a", "0.5") "," WEIGHT("ops", "4")));
    ck_assert_str_eq(weights(), "eng/a=0.5 ops=4");
    must(WEIGHTS(""));
    ck_assert_str_eq(listed(), "eng:0 eng/a:0 ops:0");
}
END_TEST

START_TEST(weights_and_the_whitelist)
{
    start_with((const char *const[]){"--roles=eng/a", NULL});
    ck_assert_int_eq(ask(WEIGHTS(WEIGHT("ops", "2"))), 400);
    ck_assert_ptr_nonnull(strstr(why, "Unknown role 'ops'"));
    must(WEIGHTS(WEIGHT("eng/a", "2")));
    /* All that is allowed is listed, known or not. */
    ck_assert_str_eq(listed(), "*:0 eng:0 eng/a:0");
}
END_TEST

START_TEST(the_flag_counts_until_the_registry_has_weights)
{
    start_with((const char *const[]){"--weights=eng=2,ops=3.5", NULL});
    ck_assert_str_eq(weights(), "eng=2 ops=3.5");
    w_settle(&w);
    ck_assert(on_disk("weight/eng") && on_disk("weight/ops"));
    must(WEIGHTS(WEIGHT("eng", "7")));
    /* The flag is still given: its 2 is not taken. */
    w_restart(&w);
    ck_assert_str_eq(weights(), "eng=7 ops=3.5");
}
END_TEST

START_TEST(a_changed_weight_takes_all_offers_back)
{
    subscribe("s1", "eng");
    subscribe("s2", "ops");
    w_register(&w, "a1");
    w_forget(&w);
    must(WEIGHTS(WEIGHT("nobody", "2")));
    w_never(&w, "s1", "\"RESCIND\"");
    w_never(&w, "s2", "\"RESCIND\"");
    bool first = HASH_COUNT(w.m->offers) == 1 && streq(w.m->offers->role, "eng");
    must(WEIGHTS(WEIGHT("ops", "2")));
    w_expect(&w, first ? "s1" : "s2", "\"RESCIND\"");
}
END_TEST

/* ---- roles ---- */

START_TEST(a_role_is_known_while_something_speaks_for_it)
{
    subscribe("s1", "eng/web/front");
    subscribe("s2", "eng");
    ck_assert_str_eq(listed(), "eng:1 eng/web:0 eng/web/front:1");
    master_teardown(w.m, w.fid, NULL);
    ck_assert_str_eq(listed(), "eng:0 eng/web:0 eng/web/front:1");
    must(WEIGHTS(WEIGHT("eng", "2")));
    master_teardown(w.m, w.m->frameworks->id, NULL);
    ck_assert_str_eq(listed(), "eng:0");
}
END_TEST

START_TEST(what_a_role_holds_counts_for_its_ancestors)
{
    subscribe("s1", "eng/web");
    register_with(
        "a1", "10.0.0.1:1",
        SCALAR("cpus", "4") "," SCALAR(
            "mem", "1024") ",{\"name\":\"ports\",\"type\":"
                           "\"RANGES\",\"ranges\":{\"range\":[{\"begin\":10,\"end\":19}]}}");
    ck_assert_int_eq(held("eng", ROLE_OFFERED, "cpus"), 4000);
    ck_assert_int_eq(held("eng", ROLE_OFFERED, "ports"), 10000);
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    ck_assert_str_eq(consumed("eng/web"), "cpus:1; mem:64");
    ck_assert_str_eq(consumed("eng"), "cpus:1; mem:64");
    ck_assert_int_eq(held("eng", ROLE_OFFERED, "cpus"), 3000);
    w_status(&w, "a1", "t1", "TASK_FINISHED", W_UUID, NULL);
    ck_assert_str_eq(consumed("eng"), "");
    ck_assert_int_eq(held("eng", ROLE_ALLOCATED, "cpus"), 0);
}
END_TEST

START_TEST(reservations_are_consumed_once)
{
    subscribe("s1", "eng/web");
    register_with(
        "a1", "10.0.0.1:1",
        SCALAR("cpus", "2") "," SCALAR(
            "mem", "512") ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3},"
                          "\"role\":\"eng\"}");
    ck_assert_str_eq(consumed("eng"), "cpus:3");
    ck_assert_str_eq(consumed("eng/web"), "");
    ck_assert_int_eq(held("eng", ROLE_RESERVED, "cpus"), 3000);
    /* Half of a task is reserved, half is not: the reserved half is consumed already. */
    w_launch(&w, "s1", "t1",
             "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{"
             "\"type\":\"STATIC\",\"role\":\"eng\"}]}," W_CPUS("1"));
    ck_assert_int_eq(held("eng", ROLE_ALLOCATED, "cpus"), 2000);
    ck_assert_str_eq(consumed("eng"), "cpus:4; mem:64");
    ck_assert_str_eq(consumed("eng/web"), "cpus:2; mem:64");
    ck_assert_int_eq(ask(UPDATE(CONFIG("eng", "", AMOUNT("cpus", "3.5")))), 400);
    w_status(&w, "a1", "t1", "TASK_FINISHED", W_UUID, NULL);
    ck_assert_str_eq(consumed("eng"), "cpus:3");
    w_agent(&w, "a1", "10.0.0.1:1", &msg__unregister_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"}}", w.aid);
    ck_assert_str_eq(consumed("eng"), "");
    ck_assert_int_eq(held("eng", ROLE_RESERVED, "cpus"), 0);
}
END_TEST

START_TEST(a_dynamic_reservation_is_seen_at_once)
{
    subscribe("s1", "eng");
    register_with("a1", "10.0.0.1:1", SCALAR("cpus", "4") "," SCALAR("mem", "512"));
    ck_assert_int_eq(
        w_call(&w, "s1", "ACCEPT",
               "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":"
               "\"RESERVE\",\"reserve\":{\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
               "\"scalar\":{\"value\":2},\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":"
               "\"eng\"}]}]}}]}",
               w.oid),
        202);
    const struct agent *a = master_agent(w.m, w.aid);
    _cleanup_resources_ struct resources reserved = RESOURCES_INIT;
    resources_reserved_to(&a->total, NULL, &reserved);
    ck_assert_int_eq(resources_scalar(&reserved, "cpus"), 2000);
    ck_assert_int_eq(held("eng", ROLE_RESERVED, "cpus"), 2000);
    ck_assert_str_eq(consumed("eng"), "cpus:2");
}
END_TEST

/* ---- who may ---- */

static const char rules[] =
    "{\"permissive\":false,"
    "\"update_quotas\":[{\"principals\":{\"values\":[\"ann\"]},\"roles\":{\"values\":[\"q\"]}}],"
    "\"get_quotas\":[{\"principals\":{\"values\":[\"ann\"]},\"roles\":{\"values\":[\"q\"]}}],"
    "\"update_weights\":[{\"principals\":{\"values\":[\"ann\"]},\"roles\":{\"values\":[\"q\"]}}],"
    "\"view_roles\":[{\"principals\":{\"values\":[\"ann\"]},\"roles\":{\"values\":[\"q\"]}}]}";

START_TEST(who_may_not_is_told_so_or_shown_nothing)
{
    struct acls *acls = NULL;
    struct fl_err err;

    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "1")) "," CONFIG("r", "", AMOUNT("cpus", "1"))));
    must(WEIGHTS(WEIGHT("q", "2") "," WEIGHT("r", "3")));
    ck_assert_int_eq(acls_parse(rules, &acls, &err), 0);
    w.m->acls = acls;
    ck_assert_int_eq(ask(UPDATE(CONFIG("q", "", ""))), 403);
    ck_assert_int_eq(ask(REMOVE("q")), 403);
    ck_assert_int_eq(ask(WEIGHTS(WEIGHT("q", "4"))), 403);
    /* What is wrong is said first. */
    ck_assert_int_eq(ask(UPDATE(CONFIG("q/a", "", ""))), 400);
    ck_assert_str_eq(listed(), "");
    ck_assert_str_eq(weights(), "");
    ck_assert_str_eq(status(), "{}");
    who = "ann";
    ck_assert_int_eq(ask(UPDATE(CONFIG("q", "", "") "," CONFIG("r", "", ""))), 403);
    ck_assert_int_eq(ask(WEIGHTS(WEIGHT("r", "4"))), 403);
    /* Before it is looked whether there is enough. */
    ck_assert_int_eq(ask(SET("\"role\":\"s\",\"guarantee\":[" SCALAR("cpus", "9") "]")), 403);
    ck_assert_str_eq(listed(), "q:0");
    ck_assert_str_eq(weights(), "q=2");
    ck_assert_ptr_null(strstr(status(), "\"role\":\"r\""));
    must(UPDATE(CONFIG("q", "", AMOUNT("cpus", "2"))));
    must(WEIGHTS(WEIGHT("q", "5")));
    w.m->acls = NULL;
    acls_free(acls);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master quota, weights, roles");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_bad_quota_is_refused, 0, ARRAY_SIZE(refusals));
    tcase_add_test(tc, a_role_that_is_not_whitelisted_has_no_quota);
    tcase_add_test(tc, a_quota_shows_once_the_registry_has_it);
    tcase_add_test(tc, no_configs_are_no_change);
    tcase_add_test(tc, an_empty_config_leaves_the_role_alone);
    tcase_add_test(tc, the_older_call_sets_limits_too);
    tcase_add_test(tc, guarantees_on_their_way_count);
    tcase_add_test(tc, a_limit_below_consumption_must_be_forced);
    tcase_add_test(tc, offers_above_a_limit_go_back);
    tcase_add_test(tc, offers_of_others_go_back_for_a_guarantee);
    tcase_add_test(tc, a_quota_outlives_the_master);
    tcase_add_test(tc, nothing_is_offered_until_the_agents_are_back);
    tcase_add_test(tc, the_wait_for_agents_ends);
    tcase_add_test(tc, without_quota_nobody_waits);
    tcase_add_loop_test(tc, a_bad_weight_is_refused, 0, ARRAY_SIZE(bad_weights));
    tcase_add_test(tc, a_weight_shows_once_the_registry_has_it);
    tcase_add_test(tc, weights_and_the_whitelist);
    tcase_add_test(tc, the_flag_counts_until_the_registry_has_weights);
    tcase_add_test(tc, a_changed_weight_takes_all_offers_back);
    tcase_add_test(tc, a_role_is_known_while_something_speaks_for_it);
    tcase_add_test(tc, what_a_role_holds_counts_for_its_ancestors);
    tcase_add_test(tc, reservations_are_consumed_once);
    tcase_add_test(tc, a_dynamic_reservation_is_seen_at_once);
    tcase_add_test(tc, who_may_not_is_told_so_or_shown_nothing);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
