/* The event loop: libevent for descriptors, timers and signals; an eventfd and a locked queue for
 * work from other threads. Each loop belongs to the one thread that runs it, so libevent's own
 * locking stays off: the letter box is the only thing two threads touch.
 *
 * A wake costs both threads a system call and mostly a switch, so a loop is only woken when it sleeps: `awake` is set by
 * what runs on the loop and cleared, with the box locked and empty, right before the loop may wait. What is posted
 * meanwhile runs before the next wait. */
#include "common/base/loop_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include <event2/event.h>

#define LOOP_MAGIC 0x100910a1

struct job {
    fl_callback_f *fn;
    void *arg;
};

struct job_list {
    struct job *v; /* owned */
    size_t n, cap;
};

struct fl_box {
    atomic_uint refs;
    pthread_mutex_t lock;
    int wake_fd; /* owned */
    bool closed;
    atomic_bool awake; /* the loop will look here before it waits */
    struct job_list jobs;
};

struct end_hook {
    struct end_hook *next;
    fl_callback_f *fn;
    void *arg;
};

struct fl_loop {
    unsigned magic;
    struct event_base *base;          /* owned */
    struct event *wake_ev, *defer_ev; /* owned */
    struct fl_box *box;               /* one reference */
    struct job_list deferred, running, deferred_running;
    struct job_list *deferred_now; /* being run, on the stack of on_deferred(); or NULL */
    atomic_bool stop;
    char *scratch; /* owned; made when first asked for */
    unsigned lookups;
    atomic_uint sockets;
    struct end_hook *hooks; /* owned */
};

static uint64_t monotonic_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void job_push(struct job_list *l, fl_callback_f *fn, void *arg)
{
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = (struct job){fn, arg};
}

/* ---- letter box ---- */

static struct fl_box *box_new(int wake_fd)
{
    struct fl_box *box = xnew0(struct fl_box);
    atomic_init(&box->refs, 1);
    pthread_mutex_init(&box->lock, NULL);
    box->wake_fd = wake_fd;
    return box;
}

struct fl_box *fl_loop_box(struct fl_loop *loop)
{
    atomic_fetch_add(&loop->box->refs, 1);
    return loop->box;
}

void fl_box_unref(struct fl_box *box)
{
    if (!box || atomic_fetch_sub(&box->refs, 1) != 1)
        return;
    close(box->wake_fd);
    pthread_mutex_destroy(&box->lock);
    free(box->jobs.v);
    free(box);
}

static void box_wake(struct fl_box *box)
{
    /* EAGAIN means that the counter is full, so the loop is awake anyway. */
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(box->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

bool fl_box_post(struct fl_box *box, fl_callback_f *fn, void *arg)
{
    pthread_mutex_lock(&box->lock);
    bool open = !box->closed;
    bool wake = box->jobs.n == 0 && !atomic_load_explicit(&box->awake, memory_order_relaxed);
    if (open)
        job_push(&box->jobs, fn, arg);
    pthread_mutex_unlock(&box->lock);
    if (open && wake)
        box_wake(box);
    return open;
}

void fl_loop_post(struct fl_loop *loop, fl_callback_f *fn, void *arg)
{
    fl_box_post(loop->box, fn, arg);
}

/* ---- the loop ---- */

static void run_jobs(struct job_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->v[i].fn(l->v[i].arg);
    l->n = 0;
}

static void run_posted(struct fl_loop *loop)
{
    pthread_mutex_lock(&loop->box->lock);
    struct job_list jobs = loop->box->jobs;
    loop->box->jobs = loop->running; /* empty, with memory of its own */
    pthread_mutex_unlock(&loop->box->lock);
    loop->running = (struct job_list){0};
    run_jobs(&jobs);
    loop->running = jobs;
}

void fl_loop_stay_awake(struct fl_loop *loop)
{
    atomic_store_explicit(&loop->box->awake, true, memory_order_relaxed);
}

/* Edge-triggered: each write is an event, and nobody needs to read the count back. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct fl_loop *loop = FL_CAST(fl_loop, LOOP_MAGIC, arg);
    fl_loop_stay_awake(loop);
    if (atomic_load(&loop->stop))
        event_base_loopbreak(loop->base);
    run_posted(loop);
}

static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
    struct fl_loop *loop = FL_CAST(fl_loop, LOOP_MAGIC, arg);
    fl_loop_stay_awake(loop);
    struct job_list jobs = loop->deferred;
    loop->deferred = loop->deferred_running;
    loop->deferred_running = (struct job_list){0};
    loop->deferred_now = &jobs;
    run_jobs(&jobs);
    loop->deferred_now = NULL;
    loop->deferred_running = jobs;
}

static void nothing(void *arg)
{
}

static void forget_jobs(struct job_list *l, const void *arg)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (l->v[i].arg == arg)
            l->v[i].fn = nothing;
}

void fl_loop_forget(struct fl_loop *loop, const void *arg)
{
    forget_jobs(&loop->deferred, arg);
    forget_jobs(loop->deferred_now, arg);
}

void fl_loop_defer(struct fl_loop *loop, fl_callback_f *fn, void *arg)
{
    job_push(&loop->deferred, fn, arg);
    if (loop->deferred.n == 1 && loop->defer_ev) /* else the loop is being freed */
        event_active(loop->defer_ev, EV_TIMEOUT, 1);
}

/* Unless the program (a user's, with our library) has a handler of its own. Whoever starts programs gives them the
 * default back before exec. */
static void ignore_sigpipe(void)
{
    struct sigaction sa;
    if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
        sa.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &sa, NULL);
    }
}

int fl_loop_reserve(struct fl_loop **ret_loop, struct fl_err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return fl_err_errno(err, errno, "make an eventfd for an event loop");
    struct fl_loop *loop = xnew0(struct fl_loop);
    loop->magic = LOOP_MAGIC;
    loop->box = box_new(fd);
    *ret_loop = loop;
    return 0;
}

int fl_loop_wake_fd(const struct fl_loop *loop)
{
    return loop->box->wake_fd;
}

int fl_loop_bind(struct fl_loop *loop, struct fl_err *err)
{
    int fd = loop->box->wake_fd;
    /* A peer that closed its end must be an error of write(), never the end of the process. */
    ignore_sigpipe();

    struct event_config *cfg = event_config_new();
    if (cfg) {
        event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
        loop->base = event_base_new_with_config(cfg);
        event_config_free(cfg);
    }
    if (!loop->base)
        return fl_err_set(err, FL_NO_MEMORY, "make an event loop: libevent gave none");
    loop->wake_ev = event_new(loop->base, fd, EV_READ | EV_PERSIST | EV_ET, on_wake, loop);
    loop->defer_ev = event_new(loop->base, -1, 0, on_deferred, loop);
    if (!loop->wake_ev || !loop->defer_ev || event_add(loop->wake_ev, NULL) != 0)
        return fl_err_set(err, FL_NO_MEMORY, "make the events of a loop: libevent gave none");
    return 0;
}

int fl_loop_new(struct fl_loop **ret_loop, struct fl_err *err)
{
    _cleanup_(fl_loop_freep) struct fl_loop *loop = NULL;
    int r = fl_loop_reserve(&loop, err);
    if (r == 0)
        r = fl_loop_bind(loop, err);
    if (r == 0)
        *ret_loop = TAKE_PTR(loop);
    return r;
}

static void event_freep_if(struct event *ev)
{
    if (ev)
        event_free(ev);
}

static void run_what_is_left(struct fl_loop *loop)
{
    run_posted(loop);
    while (loop->deferred.n > 0)
        on_deferred(-1, 0, loop);
}

static void drop_base(struct fl_loop *loop)
{
    event_freep_if(TAKE_PTR(loop->wake_ev));
    event_freep_if(TAKE_PTR(loop->defer_ev));
    if (loop->base)
        event_base_free(TAKE_PTR(loop->base));
}

void fl_loop_at_end(struct fl_loop *loop, fl_callback_f *fn, void *arg)
{
    struct end_hook *h = xnew0(struct end_hook);
    *h = (struct end_hook){loop->hooks, fn, arg};
    loop->hooks = h;
}

static void run_hooks(struct fl_loop *loop)
{
    while (loop->hooks) {
        struct end_hook *h = loop->hooks;
        loop->hooks = h->next;
        h->fn(h->arg);
        free(h);
    }
}

static void end(struct fl_loop *loop)
{
    run_hooks(loop);
    /* What was under way may have registered more. */
    run_what_is_left(loop);
    while (loop->hooks) {
        run_hooks(loop);
        run_what_is_left(loop);
    }
}

void fl_loop_end(struct fl_loop *loop)
{
    end(loop);
    drop_base(loop);
}

void fl_loop_free(struct fl_loop *loop)
{
    if (!loop)
        return;
    end(loop);
    /* What was posted or deferred may free things: it must still run, and may defer again. */
    run_what_is_left(loop);
    pthread_mutex_lock(&loop->box->lock);
    loop->box->closed = true;
    pthread_mutex_unlock(&loop->box->lock);
    /* What a helper thread posted meanwhile: after this nothing can come any more. */
    run_what_is_left(loop);
    drop_base(loop);
    fl_box_unref(loop->box);
    free(loop->deferred.v);
    free(loop->running.v);
    free(loop->deferred_running.v);
    free(loop->scratch);
    loop->magic = 0;
    free(loop);
}

/* Runs what was posted while the loop was awake. False when nothing was: then the loop may wait, and the next post wakes it. */
static bool ran_posted(struct fl_loop *loop)
{
    pthread_mutex_lock(&loop->box->lock);
    bool any = loop->box->jobs.n > 0;
    atomic_store_explicit(&loop->box->awake, any, memory_order_relaxed);
    pthread_mutex_unlock(&loop->box->lock);
    if (!any)
        return false;
    run_posted(loop);
    /* At once, and not by an event, which would cost a look at all descriptors. */
    if (loop->deferred.n > 0) {
        event_del(loop->defer_ev);
        on_deferred(-1, 0, loop);
    }
    return true;
}

void fl_loop_run_once(struct fl_loop *loop)
{
    /* What was posted has had its turn: then the sockets have theirs, without waiting. Once in either case: without waiting alone,
     * libevent goes on as long as anything is ready, and what is posted would wait for a timer that sets itself again, for ever. */
    event_base_loop(loop->base, EVLOOP_ONCE | (ran_posted(loop) ? EVLOOP_NONBLOCK : 0));
}

void fl_loop_run(struct fl_loop *loop)
{
    while (!atomic_load(&loop->stop))
        fl_loop_run_once(loop);
    atomic_store(&loop->stop, false);
}

void fl_loop_stop(struct fl_loop *loop)
{
    atomic_store(&loop->stop, true);
    box_wake(loop->box);
}

uint64_t fl_loop_now_us(struct fl_loop *loop)
{
    return monotonic_us();
}

struct event_base *fl_loop_base(struct fl_loop *loop)
{
    return loop->base;
}

char *fl_loop_scratch(struct fl_loop *loop)
{
    if (!loop->scratch)
        loop->scratch = xmalloc(FL_LOOP_SCRATCH);
    return loop->scratch;
}

void fl_loop_count_sockets(struct fl_loop *loop, int by)
{
    unsigned n = atomic_load_explicit(&loop->sockets, memory_order_relaxed);
    atomic_store_explicit(&loop->sockets, n + (unsigned)by, memory_order_relaxed);
}

unsigned fl_loop_sockets(const struct fl_loop *loop)
{
    return atomic_load_explicit((atomic_uint *)&loop->sockets, memory_order_relaxed);
}

unsigned *fl_loop_lookups(struct fl_loop *loop)
{
    return &loop->lookups;
}
