/* See fetches.h. */
#include "agent/containerizer/fetches.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "agent/containerizer/containerizer.h"
#include "agent/containerizer/fetch_cache.h"
#include "agent/containerizer/fetch_dir.h"
#include "agent/containerizer/fetch_note.h"
#include "agent/containerizer/fetch_uri.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/flags.h"
#include "common/base/buf.h"
#include "common/base/log.h"

#define MAX_CACHED_ITEMS                                                                           \
    256 /* of one container, more are fetched directly: each is an open file of its fetcher */

enum fetch_state { FETCH_WAITING, FETCH_QUEUED, FETCH_RUNNING };

struct fetch_use {
    struct fetch_entry *entry; /* held; NULL: directly */
    bool first;                /* we put it there */
    bool twin;                 /* we put it there, with a URI before this one */
};

#define FETCH_MAGIC 0xfe7c41a6u
struct fetch {
    unsigned magic;
    struct fetch *next, *prev; /* all of them, in the order of coming; or the cancelled ones */
    struct fetches *of;
    struct fetch_spec spec; /* until it is cancelled */
    fetch_done_f *done;
    fl_callback_f *gone; /* cancelled: or NULL */
    void *arg;           /* of either */
    struct fetch **handle;
    enum fetch_state state;
    struct fetch_use *uses;
    size_t n;
    bool asked, cancelled; /* asked: the launcher still has us as its argument */
    int note_fd, pidfd;    /* of the fetcher; -EBADF: none */
    struct fl_watch *watch;
};

struct fetches {
    struct fl_loop *loop;
    const struct agent_flags *flags;  /* borrowed */
    const char *own_user;             /* borrowed */
    struct launcher_client *launcher; /* borrowed */
    struct fetch *all, *cancelled;
    size_t running, waiting;
    bool closed, starting;
    struct fetch_cache cache;
    struct fetch_dir dir;
    bool dir_tried;
    uint64_t succeeded, failed;
};

/* ---- the cache ---- */

static void remove_file(void *arg, const char *file)
{
    fetch_dir_remove(&((struct fetches *)arg)->dir, file);
}

/* Once; without a folder everything is fetched directly. */
static bool cache_usable(struct fetches *f)
{
    struct fl_err err;

    if (!f->dir_tried && f->cache.total) {
        f->dir_tried = true;
        if (fetch_dir_open(&f->dir, f->flags->fetcher_cache_dir, &err) < 0)
            log_warning("the fetcher caches nothing: %s", err.msg);
    }
    return f->dir.path;
}

struct fetches *fetches_new(struct fl_loop *loop, const struct agent_flags *flags,
                            const char *own_user, struct launcher_client *launcher)
{
    struct fetches *f = xnew0(struct fetches);

    f->loop = loop;
    f->flags = flags;
    f->own_user = own_user;
    f->launcher = launcher;
    f->dir.fd = f->dir.lock_fd = -EBADF;
    fetch_cache_init(&f->cache, flags->fetcher_cache_size, remove_file, f);
    /* What an earlier agent left there goes now; a folder is made when it is wanted. */
    if (access(flags->fetcher_cache_dir, F_OK) == 0)
        cache_usable(f);
    return f;
}

void fetches_close(struct fetches *f)
{
    if (f)
        f->closed = true;
}

/* Out of its list. */
static void fetch_free(struct fetch *x)
{
    fl_watch_free(x->watch);
    if (x->note_fd >= 0)
        close(x->note_fd);
    if (x->pidfd >= 0)
        close(x->pidfd);
    free(x->uses);
    x->magic = 0;
    free(x);
}

void fetches_free(struct fetches *f)
{
    struct fetch *x, *next;

    if (!f)
        return;
    assert(!f->all);
    DL_FOREACH_SAFE (f->cancelled, x, next)
        fetch_free(x);
    fetch_cache_done(&f->cache);
    fetch_dir_close(&f->dir);
    free(f);
}

void fetches_stats(const struct fetches *f, struct containerizer_fetch_stats *out)
{
    *out = (struct containerizer_fetch_stats){.succeeded = f->succeeded,
                                              .failed = f->failed,
                                              .cache_total_bytes = f->cache.total,
                                              .cache_used_bytes = f->cache.used};
}

/* ---- what a URI is to do with it ---- */

static bool wants_cache(const V1__CommandInfo__URI *u)
{
    return u->has_cache && u->cache;
}

static void let_go(struct fetches *f, struct fetch_use *use)
{
    if (use->entry)
        fetch_entry_release(&f->cache, use->entry);
    *use = (struct fetch_use){.entry = NULL};
}

static void put_first(struct fetches *f, struct fetch *x, size_t i)
{
    const char *value = x->spec.command->uris[i]->value;
    struct fetch_use *use = &x->uses[i];
    struct fetch_uri u;
    struct fl_err err;

    if (fetch_uri_parse(value, &u, &err) < 0)
        return; /* the fetcher says so, too */
    use->entry = fetch_cache_add(&f->cache, x->spec.user, value, u.name);
    fetch_uri_done(&u);
    use->first = use->entry;
    if (use->entry && fetch_dir_make(&f->dir, use->entry->file, &err) < 0) {
        log_warning("the fetcher cannot cache, fetching directly: %s", err.msg);
        fetch_cache_drop(&f->cache, use->entry, false);
        let_go(f, use);
    }
}

static bool put_by_us(const struct fetch *x, const struct fetch_entry *e)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->uses[i].entry == e && x->uses[i].first)
            return true;
    return false;
}

static void decide(struct fetches *f, struct fetch *x, size_t i)
{
    struct fetch_use *use = &x->uses[i];

    use->entry = fetch_cache_find(&f->cache, x->spec.user, x->spec.command->uris[i]->value);
    if (use->entry)
        use->twin = put_by_us(x, use->entry);
    else
        put_first(f, x, i);
}

static void decide_all(struct fetches *f, struct fetch *x)
{
    size_t cached = 0;

    for (size_t i = 0; i < x->n; i++)
        if (wants_cache(x->spec.command->uris[i]) && cache_usable(f) && cached++ < MAX_CACHED_ITEMS)
            decide(f, x, i);
}

/* Whether all that others put into the cache for it is there. What they could not get is fetched directly; what they gave up is ours now. */
static bool settled(struct fetches *f, struct fetch *x)
{
    bool all = true;

    for (size_t i = 0; i < x->n; i++) {
        struct fetch_use *use = &x->uses[i];
        if (!use->entry || use->first || use->twin || use->entry->state == FETCH_READY)
            continue;
        if (use->entry->state == FETCH_PENDING) {
            all = false;
            continue;
        }
        bool again = use->entry->abandoned;
        let_go(f, use);
        if (again) {
            decide(f, x, i);
            all =
                all && (!use->entry || use->first || use->twin || use->entry->state == FETCH_READY);
        }
    }
    return all;
}

/* ---- running ---- */

static void run_some(struct fetches *f);

static void look_again(struct fetches *f, struct fetch *x)
{
    if (x->state == FETCH_WAITING && settled(f, x)) {
        x->state = FETCH_QUEUED;
        f->waiting--;
    }
}

/* Something about the cache or the queue has changed. The oldest are looked at first, so what was given up is theirs. */
static void wake(struct fetches *f)
{
    struct fetch *x;

    if (f->closed)
        return;
    for (x = f->waiting ? f->all : NULL; x; x = x->next)
        look_again(f, x);
    run_some(f);
}

/* Out of the books; what it put into the cache and has not got is for others to try. */
static void leave(struct fetch *x, bool good)
{
    struct fetches *f = x->of;

    f->running -= x->state == FETCH_RUNNING;
    f->waiting -= x->state == FETCH_WAITING;
    f->succeeded += good;
    f->failed += !good;
    for (size_t i = 0; i < x->n; i++) {
        struct fetch_use *use = &x->uses[i];
        /* Not begun, or it is we who are not wanted any more: others may have more luck. */
        if (use->first && use->entry->state == FETCH_PENDING)
            fetch_cache_drop(&f->cache, use->entry, use->entry->size == 0 || x->cancelled);
        let_go(f, use);
    }
    DL_DELETE(f->all, x);
    *x->handle = NULL;
}

/* why NULL: all is there. */
static void finish(struct fetch *x, const char *why)
{
    struct fetches *f = x->of;
    fetch_done_f *done = x->done;
    void *arg = x->arg;
    _cleanup_free_ char *text =
        why ? xasprintf("Failed to fetch all URIs for container '%s': %s", x->spec.id, why) : NULL;

    leave(x, !why);
    fetch_free(x);
    done(arg, text); /* before the others, whose failure may end this container */
    wake(f);
}

static void stop_fetcher(const struct fetch *x)
{
    if (x->pidfd >= 0) /* it takes what it started with it */
        syscall(SYS_pidfd_send_signal, x->pidfd, SIGTERM, NULL, 0);
}

bool fetch_cancel(struct fetch *x, fl_callback_f *gone, void *arg)
{
    if (!x)
        return true;
    struct fetches *f = x->of;
    bool asked = x->asked;

    x->cancelled = true;
    leave(x, false);
    if (asked) {
        x->gone = gone;
        x->arg = arg;
        DL_APPEND(f->cancelled, x);
    } else {
        stop_fetcher(x);
        fetch_free(x);
    }
    wake(f);
    return !asked;
}

static struct fetch_use *use_of(struct fetch *x, const struct fetch_note *n)
{
    return n->item < x->n && x->uses[n->item].entry ? &x->uses[n->item] : NULL;
}

static void on_size(struct fetches *f, struct fetch *x, const struct fetch_note *n)
{
    struct fetch_note answer = {.type = FETCH_NOTE_ANSWER, .item = n->item, .value = -1};
    struct fetch_use *use = use_of(x, n);
    bool dropped = false;

    if (use && use->first && use->entry->state == FETCH_PENDING && !use->entry->size) {
        if (n->value > 0 && fetch_cache_reserve(&f->cache, use->entry, (uint64_t)n->value) == 0) {
            answer.value = n->value;
        } else {
            log_info("container '%s': a URI is not cached but fetched directly: %s", x->spec.id,
                     n->value > 0    ? "there is no room in the fetcher's cache"
                     : n->value == 0 ? "it is empty"
                                     : n->text);
            fetch_cache_drop(&f->cache, use->entry, false);
            dropped = true;
        }
    }
    fetch_note_send(x->note_fd, &answer);
    if (dropped)
        wake(f); /* last: what it starts may fail, and take x along */
}

static void on_cached(struct fetches *f, struct fetch *x, const struct fetch_note *n)
{
    struct fetch_use *use = use_of(x, n);

    if (!use || !use->first || use->entry->state != FETCH_PENDING)
        return;
    int64_t size = fetch_dir_size(&f->dir, use->entry->file);
    if (size <= 0)
        fetch_cache_drop(&f->cache, use->entry, false);
    else
        fetch_cache_ready(&f->cache, use->entry, (uint64_t)size);
    wake(f);
}

static void on_dropped(struct fetches *f, struct fetch *x, const struct fetch_note *n)
{
    struct fetch_use *use = use_of(x, n);

    if (!use)
        return;
    fetch_cache_drop(&f->cache, use->entry, false);
    wake(f);
}

static void on_note(int fd, bool readable, bool writable, void *arg)
{
    struct fetch *x = FL_CAST(fetch, FETCH_MAGIC, arg);
    struct fetch_note n;

    int r = fetch_note_recv(fd, &n, false);
    if (r == -EAGAIN)
        return;
    if (r == 0) {
        finish(x, "the fetcher ended without a word");
        return;
    }
    switch (n.type) {
    case FETCH_NOTE_SIZE:
        on_size(x->of, x, &n);
        break;
    case FETCH_NOTE_CACHED:
        on_cached(x->of, x, &n);
        break;
    case FETCH_NOTE_DROPPED:
        on_dropped(x->of, x, &n);
        break;
    default:
        finish(x, n.type == FETCH_NOTE_DONE ? NULL : n.text);
        break;
    }
}

static void cancelled_answered(struct fetch *x)
{
    fl_callback_f *gone = x->gone;
    void *arg = x->arg;

    stop_fetcher(x);
    DL_DELETE(x->of->cancelled, x);
    fetch_free(x);
    if (gone)
        gone(arg);
}

static void answered(void *arg, int64_t value, int pidfd, const char *text)
{
    struct fetch *x = FL_CAST(fetch, FETCH_MAGIC, arg);
    struct fl_err err;

    x->asked = false;
    x->pidfd = pidfd;
    if (x->cancelled)
        cancelled_answered(x);
    else if (value < 0)
        finish(x, text);
    else if (fl_watch_new(x->of->loop, x->note_fd, true, false, on_note, x, &x->watch, &err) < 0)
        finish(x, err.msg);
}

static enum fetch_action action_of(const struct fetch_use *use)
{
    return !use->entry ? FETCH_DIRECT : use->first ? FETCH_NEW : FETCH_CACHED;
}

static int write_orders(struct fetches *f, struct fetch *x, struct fl_err *err)
{
    const char *folder = x->spec.folder;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fetch_orders o = {.folder = f->dir.path, .n = x->n};

    o.items = xcalloc(x->n + 1, sizeof(*o.items));
    for (size_t i = 0; i < x->n; i++)
        o.items[i] = (struct fetch_order){.action = action_of(&x->uses[i]),
                                          .file = x->uses[i].entry ? x->uses[i].entry->file : NULL};
    _cleanup_free_ char *text = fetch_orders_text(&o);
    free(o.items);
    fl_buf_pack(&b, &x->spec.command->base);
    int r = runtime_file_write(folder, "fetch", b.data, b.len, err);
    if (r == 0)
        r = runtime_file_write(folder, "fetch-cache", text, strlen(text), err);
    return r;
}

static int start(struct fetches *f, struct fetch *x, struct fl_err *err)
{
    const struct fetch_spec *s = &x->spec;
    const struct launcher_msg m = {.head = {.type = LAUNCHER_FETCH},
                                   .s = {s->folder, s->user ? s->user : "", s->sandbox}};
    int pair[2];

    int r = write_orders(f, x, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fl_err_errno(err, errno, "make a socket for container '%s'", s->id);
    x->note_fd = pair[0];
    x->asked = true;
    launcher_client_ask(f->launcher, &m, pair[1], answered, x);
    return 0;
}

static struct fetch *next_queued(struct fetches *f)
{
    struct fetch *x;

    DL_FOREACH (f->all, x) {
        if (x->state == FETCH_QUEUED)
            return x;
    }
    return NULL;
}

static void run_some(struct fetches *f)
{
    struct fetch *x;

    if (f->starting)
        return; /* one that could not be started has ended; the loop below goes on */
    f->starting = true;
    while (!f->closed && f->running < f->flags->max_parallel_fetches && (x = next_queued(f))) {
        struct fl_err err;
        x->state = FETCH_RUNNING;
        f->running++;
        if (start(f, x, &err) < 0)
            finish(x, err.msg);
    }
    f->starting = false;
}

void fetch_begin(struct fetches *f, const struct fetch_spec *spec, fetch_done_f *done, void *arg,
                 struct fetch **handle)
{
    struct fetch *x = xnew0(struct fetch);

    *x = (struct fetch){.magic = FETCH_MAGIC,
                        .of = f,
                        .spec = *spec,
                        .done = done,
                        .arg = arg,
                        .handle = handle,
                        .n = spec->command->n_uris,
                        .note_fd = -EBADF,
                        .pidfd = -EBADF};
    /* One name for one user, whichever containerizer asks: the cache goes by it. */
    if (spec->user && f->own_user && streq(spec->user, f->own_user))
        x->spec.user = NULL;
    x->uses = xcalloc(x->n + 1, sizeof(*x->uses));
    *handle = x;
    DL_APPEND(f->all, x);
    f->waiting++;
    decide_all(f, x);
    look_again(f, x);
    run_some(f);
}
