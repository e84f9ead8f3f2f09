/* cgroups/blkio, also called cgroups/io: what the container read and wrote, device by device and in total. It limits nothing.
 *
 *   v1: blkio.throttle.io_serviced and io_service_bytes: "8:0 Read 12", "Total 12"; not the _recursive ones, as in the reference
 *   v2: io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6"
 */
#include <errno.h>

#include "isolators/cgroup_isolator.h"

#define MAX_DEVICES 64
#define MAX_TEXT    16384

struct blkio_isolator {
    struct cgroup_isolator cg;          /* first */
    struct io_usage v[MAX_DEVICES + 1]; /* of the last usage() */
    size_t n;
};

static int blkio_create(struct fl_loop *loop, const struct isolator_config *config,
                        isolator_limit_f *limit, void *arg, struct isolator **ret,
                        struct fl_err *err)
{
    struct cgroup_isolator *c = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_blkio, config, "blkio",
                                sizeof(struct blkio_isolator), &c, err);

    if (r < 0)
        return r;
    *ret = &c->base;
    return 0;
}

/* The next word, which ends at a blank, '=' or the end of the line. */
static const char *word(const char **at, size_t *ret_len)
{
    const char *start = *at + strspn(*at, " =");

    *ret_len = strcspn(start, " =\n");
    *at = start + *ret_len;
    return start;
}

static bool word_is(const char *w, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(w, text, n) == 0;
}

static bool word_number(const char *w, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        if (w[i] < '0' || w[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(w[i] - '0');
    }
    *ret = v;
    return n > 0 && n < 20;
}

/* "8:0" */
static bool device_numbers(const char *w, size_t n, uint32_t *ret_major, uint32_t *ret_minor)
{
    const char *colon = memchr(w, ':', n);
    uint64_t a, b;

    if (!colon || !word_number(w, (size_t)(colon - w), &a) ||
        !word_number(colon + 1, n - (size_t)(colon - w) - 1, &b) || a > UINT32_MAX ||
        b > UINT32_MAX)
        return false;
    *ret_major = (uint32_t)a;
    *ret_minor = (uint32_t)b;
    return true;
}

/* The record of that device, or of the total, which comes first; NULL when there are too many. */
static struct io_usage *record(struct blkio_isolator *b, bool total, uint32_t major, uint32_t minor)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->v[i].is_total == total && b->v[i].major == major && b->v[i].minor == minor)
            return &b->v[i];
    if (b->n == ARRAY_SIZE(b->v))
        return NULL;
    b->v[b->n] = (struct io_usage){.is_total = total, .major = major, .minor = minor};
    return &b->v[b->n++];
}

static void count(struct io_usage *u, enum io_op op, bool bytes, uint64_t v)
{
    if (bytes) {
        u->bytes[op] += v;
        u->has_bytes = (uint8_t)(u->has_bytes | 1u << op);
    } else {
        u->ops[op] += v;
        u->has_ops = (uint8_t)(u->has_ops | 1u << op);
    }
}

static int op_of(const char *w, size_t n)
{
    static const char *const names[IO_OPS] = {"Total", "Read", "Write", "Sync", "Async", "Discard"};

    for (int i = 0; i < IO_OPS; i++)
        if (word_is(w, n, names[i]))
            return i;
    return -1;
}

/* "8:0 Read 12" or "Total 12". */
static void line_v1(struct blkio_isolator *b, const char *line, bool bytes)
{
    uint32_t major = 0, minor = 0;
    uint64_t v;
    size_t n;
    const char *w = word(&line, &n);
    bool total = !device_numbers(w, n, &major, &minor);

    if (!total)
        w = word(&line, &n);
    int op = op_of(w, n);
    w = word(&line, &n);
    if (op < 0 || !word_number(w, n, &v))
        return;
    struct io_usage *u = record(b, total, major, minor);
    if (u)
        count(u, (enum io_op)op, bytes, v);
}

/* One key of io.stat counts for the device and for all. */
static void value_v2(struct blkio_isolator *b, struct io_usage *u, const char *key, size_t n,
                     uint64_t v)
{
    static const struct {
        const char *key;
        enum io_op op;
        bool bytes;
    } keys[] = {
        {"rbytes", IO_READ, true}, {"wbytes", IO_WRITE, true},  {"rios", IO_READ, false},
        {"wios", IO_WRITE, false}, {"dios", IO_DISCARD, false}, {"dbytes", IO_DISCARD, true},
    };
    struct io_usage *all = record(b, true, 0, 0);

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (word_is(key, n, keys[i].key)) {
            count(u, keys[i].op, keys[i].bytes, v);
            count(u, IO_TOTAL, keys[i].bytes, v);
            count(all, IO_TOTAL, keys[i].bytes, v);
        }
}

static void line_v2(struct blkio_isolator *b, const char *line)
{
    uint32_t major, minor;
    size_t n;
    const char *w = word(&line, &n);

    if (!device_numbers(w, n, &major, &minor))
        return;
    struct io_usage *u = record(b, false, major, minor);
    while (u && *line && *line != '\n') {
        uint64_t v;
        size_t k;
        w = word(&line, &n);
        const char *number = word(&line, &k);
        if (word_number(number, k, &v))
            value_v2(b, u, w, n, v);
    }
}

static void each_line(struct blkio_isolator *b, const char *id, const char *file, bool bytes)
{
    char text[MAX_TEXT];

    if (cgroup_read(&b->cg.room, id, file, text, sizeof(text)) < 0)
        return;
    for (const char *line = text; *line;) {
        if (b->cg.room.v2)
            line_v2(b, line);
        else
            line_v1(b, line, bytes);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

static int blkio_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct blkio_isolator *b = (struct blkio_isolator *)i;
    struct cgroup_room *room = &b->cg.room;
    _cleanup_free_ char *path = cgroup_path(room, id, "");

    if (access(path, F_OK) < 0)
        return -ENOENT;
    b->n = 0;
    record(b, true, 0, 0);
    if (room->v2) {
        each_line(b, id, "io.stat", false);
    } else {
        each_line(b, id, "blkio.throttle.io_serviced", false);
        each_line(b, id, "blkio.throttle.io_service_bytes", true);
    }
    out->io = b->v;
    out->n_io = b->n;
    return 0;
}

const struct isolator_ops isolator_cgroups_blkio = {
    .name = "cgroups/blkio",
    .create = blkio_create,
    .free = cgroup_isolator_free,
    .prepare = cgroup_isolator_prepare,
    .usage = blkio_usage,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};
