/* Properties of the resource algebra over seeded random sets of every kind of resource.
 * A failure prints its seed: `prop_resources SEED` repeats it. */
#include <check.h>
#include <stdio.h>

#include "common/model/resources_internal.h"

enum { SEEDS = 3000, BITS = 64 };

static uint64_t only_seed;
static uint64_t current_seed, state;

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* ---- random resources ---- */

static const char *const stacks[] = {
    "",
    "",
    ",\"role\":\"a\"",
    ",\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}",
    ",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"b\",\"labels\":{\"labels\":[{\"key\":"
    "\"k\",\"value\":\"v\"}]}}]",
    ",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"},{\"type\":\"DYNAMIC\",\"role\":\"a/"
    "x\"}]",
};
static const char *const disks[] = {
    "",
    ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/p\"}}}",
    ",\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/m\"}}}",
    ",\"disk\":{\"source\":{\"type\":\"RAW\",\"id\":\"r1\"}}",
    ",\"disk\":{\"persistence\":{\"id\":\"v1\",\"principal\":\"p\"},\"volume\":{\"container_path\":"
    "\"c\",\"mode\":\"RW\"}}",
    ",\"disk\":{\"persistence\":{\"id\":\"v2\"}},\"shared\":{}",
};
static const char *const others[] = {"", "", "", ",\"revocable\":{}",
                                     ",\"provider_id\":{\"value\":\"rp\"}"};
static const char *const allocations[] = {"", "", ",\"allocation_info\":{\"role\":\"x\"}"};

static void random_value(struct fl_buf *out, unsigned kind)
{
    if (kind == 2) {
        unsigned at = 0;
        fl_buf_adds(out, "\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[");
        for (unsigned i = 0, n = rnd(4); i < n && at < BITS - 2; i++) {
            unsigned begin = at + rnd(8), end = begin + rnd(8);
            fl_buf_addf(out, "%s{\"begin\":%u,\"end\":%u}", i ? "," : "", begin, end);
            at = end + 1;
        }
        fl_buf_adds(out, "]}");
    } else if (kind == 3) {
        fl_buf_adds(out, "\"zone\",\"type\":\"SET\",\"set\":{\"item\":[");
        bool any = false;
        for (unsigned i = 0; i < 5; i++) {
            if (rnd(2))
                continue;
            fl_buf_addf(out, "%s\"s%u\"", any ? "," : "", i);
            any = true;
        }
        fl_buf_adds(out, "]}");
    } else {
        static const char *const names[] = {"cpus", "mem", "", "", "disk"};
        fl_buf_addf(out, "\"%s\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%u.%03u}", names[kind],
                    rnd(1000), rnd(1000));
    }
}

static void add_random_item(struct resources *r, bool plain)
{
    _cleanup_buf_ struct fl_buf json = FL_BUF_INIT;
    _cleanup_(fl_pb_freep) ProtobufCMessage *m = NULL;
    unsigned kind = rnd(5);
    fl_buf_adds(&json, "{\"name\":");
    random_value(&json, kind);
    if (plain) {
        fl_buf_adds(&json, stacks[rnd(3)]);
    } else {
        fl_buf_adds(&json, stacks[rnd(ARRAY_SIZE(stacks))]);
        fl_buf_adds(&json, others[rnd(ARRAY_SIZE(others))]);
        fl_buf_adds(&json, allocations[rnd(ARRAY_SIZE(allocations))]);
        if (kind == 4)
            fl_buf_adds(&json, disks[rnd(ARRAY_SIZE(disks))]);
    }
    fl_buf_addc(&json, '}');
    struct fl_err err = {0};
    int rc = fl_json_to_pb(json.data, json.len, &v1__resource__descriptor, 0, NULL, &m, &err);
    if (rc == 0)
        rc = resources_add_pb(r, (V1__Resource *)m, &err);
    ck_assert_msg(rc == 0, "%s: %s", fl_buf_cstr(&json), err.msg);
}

static void random_set(struct resources *r, bool plain)
{
    resources_done(r);
    for (unsigned i = 0, n = rnd(7); i < n; i++)
        add_random_item(r, plain);
}

/* ---- running ---- */

/* check ends a failed test by exit(). */
static void tell_seed(void)
{
    if (current_seed)
        printf("failed with seed %llu\n", (unsigned long long)current_seed);
}

static void for_seeds(void (*property)(void))
{
    atexit(tell_seed);
    for (uint64_t seed = only_seed ? only_seed : 1; seed <= (only_seed ? only_seed : SEEDS);
         seed++) {
        state = current_seed = seed;
        property();
    }
    current_seed = 0;
}

static void invariants(const struct resources *r)
{
    for (size_t i = 0; i < r->n; i++) {
        ck_assert(!resource_empty(&r->items[i]));
        for (size_t j = 0; j < i; j++)
            ck_assert(!resource_addable(&r->items[i], &r->items[j]));
    }
}

#define EQUAL(a, b)                                                                                \
    do {                                                                                           \
        _cleanup_buf_ struct fl_buf _x = FL_BUF_INIT, _y = FL_BUF_INIT;                            \
        resources_format(a, &_x);                                                                  \
        resources_format(b, &_y);                                                                  \
        ck_assert_msg(resources_equal(a, b), "seed %llu: %s != %s",                                \
                      (unsigned long long)current_seed, fl_buf_cstr(&_x), fl_buf_cstr(&_y));       \
    } while (0)

/* ---- the properties ---- */

/* Ranges and sets of one kind that overlap are united by adding: then subtracting takes the common part too. */
static void remove_overlap(struct resources *b, const struct resources *a)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if (a->items[i].kind->type != V1__VALUE__TYPE__SCALAR &&
                resource_addable(&a->items[i], &b->items[j])) {
                value_subtract(&resources_own_at(b, j)->value, &a->items[i].value,
                               a->items[i].kind->type);
                if (resource_empty(&b->items[j]))
                    resources_remove_at(b, j--);
            }
}

static void check_add_subtract(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, b = RESOURCES_INIT,
                                         sum = RESOURCES_INIT;
    random_set(&a, false);
    random_set(&b, false);
    remove_overlap(&b, &a);
    resources_copy(&sum, &a);
    resources_add(&sum, &b);
    invariants(&sum);
    ck_assert(resources_contains(&sum, &a));
    ck_assert(resources_contains(&sum, &b));
    resources_subtract(&sum, &b);
    invariants(&sum);
    EQUAL(&sum, &a);
    resources_subtract(&sum, &a);
    ck_assert(resources_empty(&sum));
}

static void check_commutes(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, b = RESOURCES_INIT, c = RESOURCES_INIT;
    _cleanup_resources_ struct resources x = RESOURCES_INIT, y = RESOURCES_INIT;
    random_set(&a, false);
    random_set(&b, false);
    random_set(&c, false);
    resources_copy(&x, &a);
    resources_add(&x, &b);
    resources_add(&x, &c);
    resources_copy(&y, &c);
    resources_add(&y, &b);
    resources_add(&y, &a);
    EQUAL(&x, &y);
}

/* Some of what is in `a`: things taken whole stay whole. */
static void random_part(const struct resources *a, struct resources *part)
{
    resources_copy(part, a);
    for (size_t i = 0; i < part->n; i++) {
        struct resource *item = resources_own_at(part, i);
        if (rnd(3) == 0)
            resources_remove_at(part, i--);
        else if (item->kind->type == V1__VALUE__TYPE__SCALAR && !item->kind->whole)
            item->value.scalar = 1 + rnd((unsigned)item->value.scalar);
        else if (item->kind->shared)
            item->copies = 1 + rnd(item->copies);
    }
}

static void check_contained(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, b = RESOURCES_INIT,
                                         left = RESOURCES_INIT;
    random_set(&a, false);
    random_part(&a, &b);
    ck_assert(resources_contains(&a, &b));
    resources_copy(&left, &a);
    resources_subtract(&left, &b);
    invariants(&left);
    ck_assert(resources_contains(&a, &left));
    ck_assert_int_eq(resources_contains(&b, &a), resources_equal(&a, &b));
    resources_add(&left, &b);
    EQUAL(&left, &a);
    random_set(&b, false);
    resources_copy(&left, &a);
    resources_subtract(&left, &b); /* what is not there is ignored */
    invariants(&left);
    ck_assert(resources_contains(&a, &left));
}

static bool sayable(const struct resources *r, enum resources_format format)
{
    return format != RESOURCES_PRE_REFINEMENT || !resources_has_refined(r);
}

/* Copies of a shared volume are not said on the wire: each is there once. */
static void drop_copies(struct resources *r)
{
    for (size_t i = 0; i < r->n; i++)
        resources_own_at(r, i)->copies = 1;
}

static void check_messages(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, back = RESOURCES_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    random_set(&a, false);
    drop_copies(&a);
    for (enum resources_format f = RESOURCES_PRE_REFINEMENT; f <= RESOURCES_ENDPOINT; f++) {
        V1__Resource **pb;
        size_t n = resources_to_pb(&a, f, true, arena, &pb);
        struct fl_err err = {0};
        int rc = resources_from_pb(pb, n, &back, &err);
        ck_assert_msg(rc == 0, "%s", err.msg);
        if (sayable(&a, f))
            EQUAL(&back, &a);
        else
            ck_assert(resources_contains(&a, &back));
    }
}

static void check_text(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, back = RESOURCES_INIT;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    random_set(&a, true);
    if (resources_empty(&a))
        return;
    resources_format(&a, &text);
    struct fl_err err = {0};
    int rc = resources_parse(fl_buf_cstr(&text), "*", &back, &err);
    ck_assert_msg(rc == 0, "%s: %s", text.data, err.msg);
    EQUAL(&back, &a);
}

static void check_allocation(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, b = RESOURCES_INIT;
    random_set(&a, false);
    resources_unallocate(&a);
    resources_copy(&b, &a);
    resources_allocate(&b, "somebody");
    invariants(&b);
    ck_assert(resources_empty(&a) || !resources_contains(&a, &b));
    ck_assert_int_eq(resources_scalar(&a, "cpus"), resources_scalar(&b, "cpus"));
    resources_unallocate(&b);
    invariants(&b);
    EQUAL(&a, &b);
}

/* The parts of a set are disjoint and make it up. */
static void check_parts(void)
{
    _cleanup_resources_ struct resources a = RESOURCES_INIT, part = RESOURCES_INIT,
                                         sum = RESOURCES_INIT;
    random_set(&a, false);
    resources_unreserved(&a, &sum);
    resources_reserved_to(&a, NULL, &part);
    resources_add(&sum, &part);
    EQUAL(&a, &sum);
    resources_revocable(&a, true, &sum);
    resources_revocable(&a, false, &part);
    resources_add(&sum, &part);
    EQUAL(&a, &sum);
    resources_shared(&a, true, &sum);
    resources_shared(&a, false, &part);
    resources_add(&sum, &part);
    EQUAL(&a, &sum);
}

/* ---- ranges against a bitmap ---- */

static struct value from_bits(uint64_t bits)
{
    struct range v[BITS];
    size_t n = 0;
    for (unsigned i = 0; i < BITS; i++)
        if (bits >> i & 1)
            v[n++] = (struct range){i, i};
    struct value value = {.n = (uint32_t)ranges_normalise(v, n)};
    value.ranges = value.n ? xmemdup(v, value.n * sizeof(*v)) : NULL;
    return value;
}

static uint64_t to_bits(const struct value *v)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        ck_assert(v->ranges[i].begin <= v->ranges[i].end && v->ranges[i].end < BITS);
        ck_assert(i == 0 || v->ranges[i].begin > v->ranges[i - 1].end + 1);
        for (uint64_t b = v->ranges[i].begin; b <= v->ranges[i].end; b++)
            bits |= 1ull << b;
    }
    return bits;
}

static uint64_t random_bits(void)
{
    uint64_t bits = (uint64_t)rnd(0x7fffffff) << 33 ^ (uint64_t)rnd(0x7fffffff) << 11 ^ rnd(2048);
    return rnd(2) ? bits : bits & bits << 1;
}

static void check_bitmap(void)
{
    const V1__Value__Type type = V1__VALUE__TYPE__RANGES;
    uint64_t x = random_bits(), y = rnd(3) ? random_bits() : x & random_bits();
    struct value a = from_bits(x), b = from_bits(y), sum, rest;
    ck_assert_uint_eq(to_bits(&a), x);
    ck_assert_int_eq(value_contains(&a, &b, type), (y & ~x) == 0);
    ck_assert_int_eq(value_equal(&a, &b, type), x == y);
    value_copy(&sum, &a, type);
    value_copy(&rest, &a, type);
    value_add(&sum, &b, type);
    value_subtract(&rest, &b, type);
    ck_assert_uint_eq(to_bits(&sum), x | y);
    ck_assert_uint_eq(to_bits(&rest), x & ~y);
    value_done(&a, type);
    value_done(&b, type);
    value_done(&sum, type);
    value_done(&rest, type);
}

START_TEST(test_fixed_point)
{
    struct resources r = RESOURCES_INIT, one = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:0.1;cpus:0.2;cpus:0.333", "*", &r, NULL), 0);
    ck_assert(milli_to_double(resources_scalar(&r, "cpus")) == 0.633);
    ck_assert_int_eq(resources_parse("cpus:0.1", "*", &one, NULL), 0);
    for (int i = 0; i < 100000; i++)
        resources_add(&r, &one);
    ck_assert(milli_to_double(resources_scalar(&r, "cpus")) == 10000.633);
    for (int i = 0; i < 100000; i++)
        resources_subtract(&r, &one);
    ck_assert(milli_to_double(resources_scalar(&r, "cpus")) == 0.633);
    resources_done(&r);
    resources_done(&one);
}
END_TEST

static void (*const properties[])(void) = {
    check_add_subtract, check_commutes,   check_contained, check_messages,
    check_text,         check_allocation, check_parts,     check_bitmap,
};

START_TEST(test_property)
{
    size_t before = kind_count();
    for_seeds(properties[_i]);
    ck_assert_uint_eq(kind_count(), before); /* nothing is left behind */
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1)
        (void)fl_parse_u64(argv[1], &only_seed);
    Suite *s = suite_create("prop_resources");
    TCase *t = tcase_create("resources");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_property, 0, ARRAY_SIZE(properties));
    tcase_add_test(t, test_fixed_point);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
