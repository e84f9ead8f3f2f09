/* The registry: durable operations a second, grouped (row 10 of the budgets). Wall time, from the first apply to the last
 * completion: one record of 200 bytes a batch, as agents admitted one by one are, at most WINDOW unanswered.
 *   registry.ops_s   operations/s
 */
#include <stdio.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/coord/store.h"

enum { OPS = 200000, WINDOW = 20000, RECORD = 200, RUNS = 5 };

struct run {
    struct store *store;
    unsigned sent, answered;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const struct fl_err *err)
{
    fprintf(stderr, "bench_store: %s\n", err->msg);
    exit(1);
}

static void on_done(const struct fl_err *err, void *arg)
{
    struct run *r = arg;

    if (err)
        fail(err);
    r->answered++;
}

static double run_once(const char *path)
{
    struct fl_loop *loop;
    struct fl_err err;
    struct run r = {0};
    char record[RECORD], key[32];
    double start;

    memset(record, 'r', sizeof(record));
    if (fl_loop_new(&loop, &err) < 0 || store_open_lmdb(loop, path, &r.store, &err) < 0)
        fail(&err);
    start = now_s();
    while (r.answered < OPS) {
        for (; r.sent < OPS && r.sent - r.answered < WINDOW; r.sent++) {
            struct store_op op = {.key = key, .data = record, .len = sizeof(record)};

            fl_snprintf(key, sizeof(key), "agent/%08u", r.sent);
            store_apply(r.store, &op, 1, on_done, &r);
        }
        fl_loop_run_once(loop);
    }
    start = now_s() - start;
    store_free(r.store);
    fl_loop_free(loop);
    return OPS / start;
}

int main(void)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "owner.lock", ""};
    const char *base = getenv("TMPDIR");

    for (int i = 0; i < RUNS; i++) {
        _cleanup_free_ char *path = xasprintf("%s/fl-bench-XXXXXX", base ? base : "/var/tmp");

        if (!mkdtemp(path))
            return 1;
        printf("registry.ops_s %.0f ops/s\n", run_once(path));
        for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
            _cleanup_free_ char *file = xasprintf("%s/%s", path, files[k]);

            remove(file);
        }
    }
    return 0;
}
