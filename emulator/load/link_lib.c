/* A framework's way to the master by libframework's public functions, all on one loop (fw_scheduler_new_on). See load.h. */
#include <errno.h>

#include "emulator/load/load.h"
#include "libframework/fw_loop.h"

#define MAGIC    0x10ad1172u
#define AGAIN_US 1000ull

struct link_lib {
    unsigned magic;
    struct load_link base;
    fw_scheduler *scheduler;
    struct fl_buf waiting; /* calls that the library had no room for: length, bytes */
    struct fl_timer *again;
};

static void waiting_due(void *arg)
{
    struct link_lib *b = FL_CAST(link_lib, MAGIC, arg);
    size_t at = 0, n;

    while (at < b->waiting.len) {
        memcpy(&n, b->waiting.data + at, sizeof n);
        if (fw_call(b->scheduler, b->waiting.data + at + sizeof n, n) == -EAGAIN)
            break;
        at += sizeof n + n;
    }
    fl_buf_drain(&b->waiting, at);
    if (b->waiting.len)
        fl_timer_set(b->again, AGAIN_US);
}

static void lib_call(struct load_link *l, const void *bytes, size_t n, uint64_t ref_us)
{
    struct link_lib *b = container_of(l, struct link_lib, base);
    struct load_bytes none = {"", 0};

    if (b->waiting.len || fw_call(b->scheduler, bytes, n) == -EAGAIN) {
        if (!b->waiting.len)
            fl_timer_set(b->again, AGAIN_US);
        fl_buf_add(&b->waiting, &n, sizeof n);
        fl_buf_add(&b->waiting, bytes, n);
    }
    /* The library tells nobody about answers that are as they should be. */
    if (ref_us)
        load_link_answered(l->framework, UINT64_MAX, ref_us, 202, none);
}

static size_t lib_unanswered(const struct load_link *l)
{
    return container_of(l, struct link_lib, base)->waiting.len > 0;
}

static void lib_free(struct load_link *l)
{
    struct link_lib *b = container_of(l, struct link_lib, base);

    fw_scheduler_free(b->scheduler);
    fl_timer_free(b->again);
    fl_buf_done(&b->waiting);
    b->magic = 0;
    free(b);
}

static const struct load_link_ops lib_ops = {
    .call = lib_call, .unanswered = lib_unanswered, .free = lib_free};

/* ---- callbacks ---- */

static struct load_framework *framework_of(void *arg)
{
    return FL_CAST(link_lib, MAGIC, arg)->base.framework;
}

static void on_event(fw_scheduler *s, const void *event, size_t n, void *arg)
{
    load_link_event(framework_of(arg), event, n);
}

static void on_disconnected(fw_scheduler *s, const char *why, void *arg)
{
    struct link_lib *b = FL_CAST(link_lib, MAGIC, arg);

    fl_buf_clear(&b->waiting);
    load_link_down(b->base.framework, why);
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    load_link_dead(framework_of(arg), message);
}

/* ---- making ---- */

static const struct fw_scheduler_callbacks callbacks = {.size = sizeof callbacks,
                                                        .on_event = on_event,
                                                        .on_disconnected = on_disconnected,
                                                        .on_error = on_error};

static int open_scheduler(struct link_lib *b, struct fl_err *err)
{
    struct load_framework *f = b->base.framework;
    const struct load_entry *e = f->group->entry;
    _cleanup_buf_ struct fl_buf bytes = FL_BUF_INIT;
    fw_info *info;
    int r;

    fl_buf_pack(&bytes, &f->info->base);
    info = fw_info_decode(bytes.data, bytes.len);
    r = info ? fw_scheduler_new_on(fw_loop_of(f->load->loop), f->load->options.master, info,
                                   &callbacks, b, &b->scheduler)
             : -ENOMEM;
    fw_info_free(info);
    if (r < 0)
        return fl_err_errno(err, -r, "make a scheduler for '%s'", f->load->options.master);
    fw_scheduler_set_explicit_acks(b->scheduler, true);
    r = fw_scheduler_set_suppressed_roles(b->scheduler, (const char *const *)f->info->roles,
                                          f->info->n_roles);
    if (r == 0 && e->principal)
        r = fw_scheduler_set_credential(b->scheduler, e->principal, e->secret);
    return r < 0 ? fl_err_errno(err, -r, "give the scheduler of '%s' its roles and credential",
                                f->info->name)
                 : 0;
}

struct load_link *load_link_lib_new(struct load_framework *f, struct fl_err *err)
{
    struct link_lib *b = xnew0(struct link_lib);

    b->magic = MAGIC;
    b->base = (struct load_link){.ops = &lib_ops, .framework = f};
    b->again = fl_timer_new(f->load->loop, waiting_due, b);
    if (open_scheduler(b, err) < 0) {
        lib_free(&b->base);
        return NULL;
    }
    return &b->base;
}
