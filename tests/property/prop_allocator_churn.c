/* The allocator over long random lives of a cluster (allocator_churn.h): the ledger holds after every decision, memory stays flat, and what
 * was recorded is replayed equal.
 *
 *   prop_allocator_churn              a few seconds, for make check
 *   prop_allocator_churn SEED         one life again
 *   prop_allocator_churn day [SEED]   24 simulated hours, a line each; then recorded and replayed (make churn)
 *
 * CHURN_SEEDS: how many lives; CHURN_SECONDS: how long each; CHURN_HOURS: of the day. The first quarter of the day is warming up: arrays
 * grow to what they need at most.
 */
#include <check.h>
#include <libgen.h>
#include <malloc.h>
#include <time.h>

#include "tests/property/allocator_churn.h"
#include "tests/unit/allocator_record_harness.h"

enum { HOUR = 3600 };

static unsigned hours; /* of a day: CHURN_HOURS */

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    uint64_t n;

    return text && fl_parse_u64(text, &n) == 0 ? (unsigned)n : otherwise;
}

static void start(struct churn *c, uint64_t seed)
{
    struct allocator_options o = churn_options();
    struct allocator_callbacks cb;

    churn_init(c, seed);
    cb = churn_callbacks(c);
    c->ops = allocator_builtin("HierarchicalDRF");
    CHURN_CHECK(c->ops->create(&o, &cb, &c->a, NULL) == 0);
    churn_begin(c);
}

static void start_recorded(struct churn *c, uint64_t seed, const struct allocator_ops *ops,
                           struct rec_memory *mem)
{
    struct allocator_options o = churn_options();
    struct allocator_callbacks cb;

    rec_init(mem);
    churn_init(c, seed);
    cb = churn_callbacks(c);
    CHURN_CHECK(allocator_record_new(ops, &o, &cb, &mem->sink, &c->ops, &c->a, NULL) == 0);
    churn_begin(c);
}

static size_t heap(void)
{
    return mallinfo2().uordblks;
}

/* What the C library keeps for each thread's next allocations counts as used, and fills up over hours like a leak: without it. */
static void without_thread_cache(char **argv)
{
    if (getenv("GLIBC_TUNABLES"))
        return;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
}

/* Mean of the bytes in use in each half of the samples. How many tasks and filters there are goes up and down all the time, so single
 * samples do, too; the means of many do not, unless something stays. */
struct flatness {
    double sum[2];
    unsigned n[2];
};

static void flat_sample(struct flatness *f, bool second_half, size_t bytes)
{
    f->sum[second_half] += (double)bytes;
    f->n[second_half]++;
}

static double flat_mean(const struct flatness *f, int half)
{
    return f->sum[half] / f->n[half];
}

static bool is_flat(const struct flatness *f)
{
    return flat_mean(f, 1) <= 1.1 * flat_mean(f, 0);
}

/* ---- make check ---- */

static uint64_t only_seed;

START_TEST(random_lives)
{
    static struct churn c;
    uint64_t seed = only_seed ? only_seed : (uint64_t)_i + 1;
    unsigned seconds = from_environment("CHURN_SECONDS", 600);

    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    start(&c, seed);
    while (seconds--)
        churn_second(&c);
    churn_done(&c);
}
END_TEST

START_TEST(memory_stays_flat)
{
    static struct churn c;
    struct flatness f = {0};
    size_t before = heap();

    start(&c, 77);
    for (unsigned second = 0; second < 2 * HOUR; second++) {
        churn_second(&c);
        if (second >= HOUR / 6 && second % 60 == 0)
            flat_sample(&f, second > HOUR, heap() - before);
    }
    ck_assert_msg(is_flat(&f), "mean bytes: %.0f in the first hour, %.0f in the second",
                  flat_mean(&f, 0), flat_mean(&f, 1));
    ck_assert_uint_gt(c.n_offers, 5000);
    churn_done(&c);
    ck_assert_msg(heap() < before + 128 * 1024, "%zu bytes are left", heap() - before);
}
END_TEST

static void record_and_play(const struct allocator_ops *ops, uint64_t seed, unsigned seconds)
{
    static struct churn c;
    struct rec_memory mem;
    struct replay_result res;
    struct fl_err err;

    start_recorded(&c, seed, ops, &mem);
    while (seconds--)
        churn_second(&c);
    ck_assert_uint_gt(c.n_offers, 500);
    churn_done(&c);
    ck_assert_msg(rec_play_into(ops, &mem, &res, &err) == 0, "%s", err.msg);
    ck_assert_msg(!res.differs, "%s", fl_buf_cstr(&res.difference));
    replay_result_done(&res);
    fl_buf_done(&mem.log);
}

START_TEST(a_recorded_life_is_replayed)
{
    record_and_play(allocator_builtin("HierarchicalDRF"), 78, HOUR / 2);
}
END_TEST

/* The example from outside the tree keeps the same books. */
START_TEST(so_does_a_module)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    _cleanup_free_ char *path = NULL;
    const struct allocator_ops *ops;
    struct fl_err err;

    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    path = xasprintf("%s/../modules/allocator_first_fit.so", dirname(self));
    ck_assert_msg(allocator_load(path, "FirstFit", &ops, &err) == 0, "%s", err.msg);
    record_and_play(ops, 79, HOUR / 2);
}
END_TEST

/* ---- make churn ---- */

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool day_of_memory(uint64_t seed)
{
    static struct churn c;
    struct flatness f = {0};
    size_t before = heap();

    printf("| hour | agents | frameworks | held | offers | tasks | bytes | mean of the hour |\n"
           "|---|---|---|---|---|---|---|---|\n");
    start(&c, seed);
    for (unsigned hour = 0; hour < hours; hour++) {
        double sum = 0;
        for (unsigned second = 0; second < HOUR; second++) {
            churn_second(&c);
            sum += (double)(heap() - before);
            if (hour >= hours / 4)
                flat_sample(&f, hour >= hours / 2, heap() - before);
        }
        printf("| %u | %zu | %zu | %zu | %llu | %llu | %zu | %.0f |\n", hour + 1,
               churn_agents_here(&c), churn_frameworks_here(&c), c.n_held,
               (unsigned long long)c.n_offers, (unsigned long long)c.n_tasks, heap() - before,
               sum / HOUR);
    }
    churn_done(&c);
    printf("\nmean bytes: %.0f in the second quarter, %.0f in the second half: %s; %zu bytes are "
           "left at "
           "the end\n",
           flat_mean(&f, 0), flat_mean(&f, 1), is_flat(&f) ? "flat" : "NOT FLAT",
           heap() > before ? heap() - before : 0);
    return is_flat(&f);
}

static bool day_of_replay(uint64_t seed)
{
    static struct churn c;
    struct rec_memory mem;
    struct replay_result res;
    struct fl_err err = {0};
    double recorded, since = cpu_s();
    int r;

    start_recorded(&c, seed, allocator_builtin("HierarchicalDRF"), &mem);
    for (unsigned second = 0; second < hours * HOUR; second++)
        churn_second(&c);
    churn_done(&c);
    recorded = cpu_s() - since;
    since = cpu_s();
    r = rec_play(&mem, &res, &err);
    printf("the day's log: %llu records, %zu bytes, recorded in %.1f s; replayed in %.1f s: %s\n",
           (unsigned long long)mem.frames, mem.log.len, recorded, cpu_s() - since,
           r < 0         ? err.msg
           : res.differs ? fl_buf_cstr(&res.difference)
                         : "equal");
    r = r < 0 || res.differs;
    replay_result_done(&res);
    fl_buf_done(&mem.log);
    return r == 0;
}

static int day(uint64_t seed)
{
    double since = cpu_s();
    bool flat;

    hours = FL_MAX(from_environment("CHURN_HOURS", 24), 4);
    flat = day_of_memory(seed);

    printf("the day took %.1f s of a processor\n", cpu_s() - since);
    return flat && day_of_replay(seed) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    Suite *s = suite_create("prop_allocator_churn");
    TCase *t = tcase_create("churn");
    const char *seed = argc > 1 && streq(argv[1], "day") ? argc > 2 ? argv[2] : "1" : argv[1];
    SRunner *r;
    int failed;

    without_thread_cache(argv);
    if (seed && fl_parse_u64(seed, &only_seed) < 0)
        return 2;
    if (argc > 1 && streq(argv[1], "day"))
        return day(only_seed);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, random_lives, 0,
                        only_seed ? 1 : (int)from_environment("CHURN_SEEDS", 12));
    if (!only_seed) {
        tcase_add_test(t, memory_stays_flat);
        tcase_add_test(t, a_recorded_life_is_replayed);
        tcase_add_test(t, so_does_a_module);
    }
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
