/* Fuzzes what a restarted agent reads from its work_dir: one of the checkpoints of a running task is replaced by the input, then the
 * agent recovers, registers and ends. It may refuse (strict) or leave out (not strict); it must not fall over, and a second
 * recovery from what the first left behind must come to the same answer. */
#include <stdint.h>

#define AGENT_HARNESS_WITHOUT_CHECK
#define ck_assert_ptr_nonnull(x) assert((x) != NULL)
#define ck_assert_ptr_null(x)    assert((x) == NULL)
#define ck_assert_int_eq(a, b)   assert((a) == (b))
#define ck_assert_uint_eq(a, b)  assert((a) == (b))
#define ck_assert_uint_lt(a, b)  assert((a) < (b))
#define ck_assert_str_eq(a, b)   assert(strcmp(a, b) == 0)
#define ck_assert_msg(x, ...)    assert(x)
#include "common/base/log.h"
#include "tests/unit/agent_harness.h"

static const char *const targets[] = {
    "/slave.info",   "/framework.info", "/executor.info",  "/task.info",
    "/task.updates", "/command.info",   "/resources.info", "/executor_generated_for_command_task",
};

/* Paths and contents of an agent with one running task, taken once. */
struct image {
    char *path[32], *link[32], *data[32];
    size_t len[32], n;
};

static void take_image(struct harness *h, struct image *im)
{
    for (struct fake_file *f = h->files; f; f = f->hh.next) {
        assert(im->n < 32);
        im->path[im->n] = xstrdup(f->path);
        im->link[im->n] = f->link ? xstrdup(f->link) : NULL;
        im->data[im->n] = xmemdup(f->data.data ? f->data.data : "", f->data.len);
        im->len[im->n++] = f->data.len;
    }
}

static void put_image(struct harness *h, const struct image *im)
{
    struct fake_file *f, *tmp;

    HASH_ITER (hh, h->files, f, tmp) {
        h_unmake(h, f);
    }
    for (size_t i = 0; i < im->n; i++) {
        if (im->link[i])
            h_link(h, im->link[i], im->path[i], NULL);
        else
            h_write(h, im->path[i], im->data[i], im->len[i], false, NULL);
    }
}

static void replace(struct harness *h, const char *suffix, const uint8_t *p, size_t n, bool framed)
{
    struct fake_file *f = h_find_file(h, suffix);
    uint32_t len = (uint32_t)n;

    assert(f);
    f->data.len = 0;
    if (framed)
        fl_buf_add(&f->data, &len, sizeof len);
    fl_buf_add(&f->data, p, n);
}

static int recover_once(struct harness *h)
{
    struct fl_err err;
    int r;

    h->finds = 0;
    h->exit_status = -1;
    h_start_agent(h, H_RESOURCES);
    r = agent_recover(h->a, &err);
    if (r == 0 && h->finds)
        h_connect(h);
    h_stop_agent(h);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct harness *h;
    static struct image image;
    int first, second;

    if (!h) {
        fl_log_set_level(FL_LOG_ERROR + 1);
        h = h_new(NULL);
        h_register(h);
        h_running(h, "t", H_CHECKPOINT, H_COMMAND);
        h_write(h, "/w/meta/resources/resources.info", "", 0, false, NULL);
        take_image(h, &image);
        h->survivors[0] = (struct fake_survivor){h_last(h)->id, true, 0};
        h_stop_agent(h);
    }
    if (size < 1)
        return 0;
    put_image(h, &image);
    replace(h, targets[(data[0] & 7) % ARRAY_SIZE(targets)], data + 1, size - 1, data[0] & 0x10);
    h->flags.strict = data[0] & 0x20;
    first = recover_once(h);
    second = recover_once(h);
    assert((first < 0) == (second < 0));
    return 0;
}
