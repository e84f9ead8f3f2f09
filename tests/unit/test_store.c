/* The registry's store: order, durability, all or nothing, one owner. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/buf.h"
#include "common/coord/store.h"

static struct fl_loop *loop;
static char folder[64];

static void setup(void)
{
    struct fl_err err;

    ck_assert_msg(fl_loop_new(&loop, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(fl_snprintf(folder, sizeof(folder), "/tmp/fl-store-XXXXXX"), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    static const char *const files[] = {"/r/data.mdb", "/r/lock.mdb", "/r/owner.lock", "/r", ""};

    fl_loop_free(loop);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s%s", folder, files[i]);

        remove(path);
    }
}

static struct store *open_at(const char *path, struct fl_loop *on)
{
    struct store *s = NULL;
    struct fl_err err;

    if (path && store_open_lmdb(on, path, &s, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    if (!path && store_open_memory(on, &s, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    return s;
}

/* _i 0: memory, 1: LMDB */
static struct store *open_kind(int kind)
{
    _cleanup_free_ char *path = xasprintf("%s/r", folder);
    struct store *s = open_at(kind ? path : NULL, loop);

    ck_assert_ptr_nonnull(s);
    return s;
}

struct waiting {
    unsigned calls, failures;
    unsigned order[64];
    struct fl_err last;
};
struct ticket {
    struct waiting *w;
    unsigned number;
};

static void on_done(const struct fl_err *err, void *arg)
{
    struct ticket *t = arg;

    if (t->w->calls < ARRAY_SIZE(t->w->order))
        t->w->order[t->w->calls] = t->number;
    t->w->calls++;
    if (err) {
        t->w->failures++;
        t->w->last = *err;
    }
}

static void wait_for(struct waiting *w, unsigned calls)
{
    while (w->calls < calls)
        fl_loop_run_once(loop);
}

static void put(struct store *s, const char *key, const char *value, struct ticket *t)
{
    struct store_op op = {.key = key, .data = value, .len = value ? strlen(value) : 0};

    store_apply(s, &op, 1, t ? on_done : NULL, t);
}

static void collect(const char *key, const void *data, size_t len, void *arg)
{
    fl_buf_addf(arg, "%s=%.*s;", key, (int)len, (const char *)data);
}

static void ck_records(struct store *s, const char *prefix, const char *want)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    ck_assert_msg(store_load(s, prefix, collect, &b, &err) == 0, "%s", err.msg);
    ck_assert_str_eq(fl_buf_cstr(&b), want);
}

START_TEST(completes_in_order)
{
    struct store *s = open_kind(_i);
    struct waiting w = {0};
    struct ticket t[64];
    struct store_counters c;

    for (unsigned i = 0; i < 64; i++) {
        t[i] = (struct ticket){&w, i};
        put(s, "agent/1", "x", &t[i]);
    }
    ck_assert_uint_eq(w.calls, 0); /* never from inside store_apply */
    wait_for(&w, 64);
    ck_assert_uint_eq(w.failures, 0);
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(w.order[i], i);
    store_counters(s, &c);
    ck_assert_uint_eq(c.ops, 64);
    ck_assert_uint_eq(c.batches, 64);
    ck_assert_uint_le(c.commits, 64);
    ck_assert_uint_eq(c.queued, 0);
    store_free(s);
}
END_TEST

START_TEST(kept_sorted_deleted)
{
    struct store *s = open_kind(1);
    struct store_op ops[] = {
        {"agent/b", "2", 1}, {"agent/a", "1", 1}, {"quota/x", "q", 1}, {"agent/c", "", 0}};
    struct store_op gone[] = {{"agent/a", NULL, 0}, {"agent/none", NULL, 0}, {"agent/b", "22", 2}};

    ck_records(s, "", "");
    store_apply(s, ops, 4, NULL, NULL);
    store_free(s); /* commits what was handed in */
    s = open_kind(1);
    ck_records(s, "agent/", "agent/a=1;agent/b=2;agent/c=;");
    ck_records(s, "quota/", "quota/x=q;");
    ck_records(s, "zzz", "");
    store_apply(s, gone, 3, NULL, NULL);
    store_free(s);
    s = open_kind(1);
    ck_records(s, "", "agent/b=22;agent/c=;quota/x=q;");
    store_free(s);
}
END_TEST

START_TEST(a_bad_key_spoils_its_batch_alone)
{
    struct store *s = open_kind(_i);
    struct waiting w = {0};
    struct ticket t = {&w, 0};
    char key[600];

    memset(key, 'k', sizeof(key));
    key[501] = 0;
    put(s, key, "x", &t);
    put(s, "", "x", &t);
    put(s, "good", "x", &t);
    wait_for(&w, 3);
    ck_assert_uint_eq(w.failures, 2);
    ck_assert_int_eq(w.last.reason, FL_INVALID);
    key[500] = 0;
    put(s, key, "x", &t);
    wait_for(&w, 4);
    ck_assert_uint_eq(w.failures, 2);
    store_free(s);
}
END_TEST

START_TEST(second_owner_is_refused)
{
    _cleanup_free_ char *path = xasprintf("%s/r", folder);
    struct store *s = open_kind(1), *other = NULL;
    struct fl_err err;
    struct stat st;

    ck_assert_int_lt(store_open_lmdb(loop, path, &other, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.msg, path));
    ck_assert_ptr_null(other);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    store_free(s);
    ck_assert_int_eq(store_open_lmdb(loop, path, &other, &err), 0);
    store_free(other);
}
END_TEST

START_TEST(unusable_folders)
{
    _cleanup_free_ char *path = xasprintf("%s/no/such", folder), *file = xasprintf("%s/r", folder);
    struct store *s = NULL;
    struct fl_err err;
    int fd;

    ck_assert_int_lt(store_open_lmdb(loop, path, &s, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, path));
    fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_lt(store_open_lmdb(loop, file, &s, &err), 0);
    ck_assert_ptr_null(s);
}
END_TEST

static void free_from_inside(const struct fl_err *err, void *arg)
{
    struct store **s = arg;

    store_free(TAKE_PTR(*s));
}

static void never(const struct fl_err *err, void *arg)
{
    ck_abort_msg("completion after store_free");
}

START_TEST(freed_in_its_own_completion)
{
    struct store *s = open_kind(_i);
    struct store_op op = {"k", "v", 1};

    store_apply(s, &op, 1, free_from_inside, &s);
    store_apply(s, &op, 1, never, NULL);
    while (s)
        fl_loop_run_once(loop);
}
END_TEST

/* More than the first map: it grows, and nothing is lost on the way. */
START_TEST(grows)
{
    enum { RECORDS = 90, SIZE = 1 << 20 };
    struct store *s = open_kind(1);
    struct waiting w = {0};
    struct ticket t = {&w, 0};
    _cleanup_free_ char *big = xcalloc(1, SIZE);
    char key[16];

    for (unsigned i = 0; i < RECORDS; i++) {
        struct store_op op = {.key = key, .data = big, .len = SIZE};

        ck_assert_int_eq(fl_snprintf(key, sizeof(key), "big/%03u", i), 0);
        store_apply(s, &op, 1, on_done, &t);
    }
    wait_for(&w, RECORDS);
    ck_assert_msg(w.failures == 0, "%s", w.last.msg);
    store_free(s);
    s = open_kind(1);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    ck_assert_int_eq(store_load(s, "big/", collect, &b, NULL), 0);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&b), "big/089="));
    store_free(s);
}
END_TEST

/* ---- kill -9 ---- */

enum { KEYS = 20 };

static int ack_fd;

static void acknowledge(const struct fl_err *err, void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;

    if (err || write(ack_fd, &number, sizeof(number)) != sizeof(number))
        _exit(3);
}

/* Writes batch after batch, each setting all keys to its number, until killed. */
__attribute__((noreturn)) static void write_until_killed(const char *path, uint32_t from)
{
    struct fl_loop *mine;
    struct store *s;

    if (fl_loop_new(&mine, NULL) < 0 || !(s = open_at(path, mine)))
        _exit(2);
    for (uint32_t number = from;; number++) {
        char keys[KEYS][16], value[32];
        struct store_op ops[KEYS];

        fl_snprintf(value, sizeof(value), "%u", number);
        for (unsigned k = 0; k < KEYS; k++) {
            fl_snprintf(keys[k], sizeof(keys[k]), "key/%02u", k);
            ops[k] = (struct store_op){keys[k], value, strlen(value)};
        }
        store_apply(s, ops, KEYS, acknowledge, (void *)(uintptr_t)number);
        if (number % 4 == 0)
            fl_loop_run_once(mine);
    }
}

struct seen {
    unsigned records;
    uint64_t value;
    bool torn;
};

static void see(const char *key, const void *data, size_t len, void *arg)
{
    struct seen *seen = arg;
    _cleanup_free_ char *text = xstrndup(data, len);
    uint64_t v = 0;

    if (fl_parse_u64(text, &v) < 0 || (seen->records && v != seen->value))
        seen->torn = true;
    seen->value = v;
    seen->records++;
}

START_TEST(killed_in_the_middle)
{
    _cleanup_free_ char *path = xasprintf("%s/r", folder);
    uint32_t from = 1;

    for (unsigned round = 0; round < 8; round++) {
        uint32_t last = 0, number;
        struct seen seen = {0};
        struct store *s;
        int fds[2], status;
        pid_t pid;

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            ack_fd = fds[1];
            write_until_killed(path, from);
        }
        close(fds[1]);
        for (unsigned acks = 0; acks < 5 + 37 * round; acks++) {
            ck_assert_int_eq(read(fds[0], &number, sizeof(number)), sizeof(number));
            last = number;
        }
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
        while (read(fds[0], &number, sizeof(number)) == sizeof(number))
            last = number; /* acknowledged before it died */
        close(fds[0]);
        s = open_kind(1);
        ck_assert_int_eq(store_load(s, "key/", see, &seen, NULL), 0);
        ck_assert(!seen.torn);
        ck_assert_uint_eq(seen.records, KEYS);
        ck_assert_uint_ge(seen.value, last);
        store_free(s);
        from = (uint32_t)seen.value + 1;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, completes_in_order, 0, 2);
    tcase_add_test(t, kept_sorted_deleted);
    tcase_add_loop_test(t, a_bad_key_spoils_its_batch_alone, 0, 2);
    tcase_add_test(t, second_owner_is_refused);
    tcase_add_test(t, unusable_folders);
    tcase_add_loop_test(t, freed_in_its_own_completion, 0, 2);
    tcase_add_test(t, grows);
    tcase_add_test(t, killed_in_the_middle);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
