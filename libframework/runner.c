/* See runner.h. */
#include "libframework/runner.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <utlist.h>

static void list_free(struct fw_item **list)
{
    struct fw_item *i, *next;

    DL_FOREACH_SAFE (*list, i, next) {
        DL_DELETE(*list, i);
        free(i);
    }
}

/* NULL when out of memory. Terminated, so that a text can be read as one. */
static struct fw_item *item_new(int kind, const void *bytes, size_t n)
{
    struct fw_item *i = malloc(sizeof(*i) + n + 1);

    if (!i)
        return NULL;
    i->bytes = (uint8_t *)(i + 1);
    if (n)
        memcpy(i->bytes, bytes, n);
    i->bytes[n] = '\0';
    i->n = n;
    i->kind = kind;
    return i;
}

/* All that is queued, with one lock. */
static struct fw_item *take_all(struct fw_runner *r, struct fw_item **list, size_t *n)
{
    pthread_mutex_lock(&r->lock);
    struct fw_item *all = *list;
    *list = NULL;
    if (n)
        *n = 0;
    pthread_mutex_unlock(&r->lock);
    return all;
}

int fw_runner_init(struct fw_runner *r, const struct fw_runner_ops *ops, void *owner,
                   struct fl_loop *loop_or_null)
{
    r->ops = ops;
    r->owner = owner;
    r->notice_fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    r->loop = loop_or_null;
    r->shared = loop_or_null;
    if (!r->shared && fl_loop_new(&r->loop, NULL) < 0)
        return -ENOMEM;
    r->env = env_from_loop(r->loop);
    return 0;
}

void fw_runner_quit(struct fw_runner *r)
{
    if (!r->thread_started)
        return;
    fl_loop_stop(r->loop);
    pthread_join(r->thread, NULL);
    r->thread_started = false;
}

void fw_runner_done(struct fw_runner *r)
{
    list_free(&r->calls);
    list_free(&r->notices);
    r->closed = true;
    if (!r->shared)
        fl_loop_free(r->loop);
    if (r->notice_fd >= 0)
        close(r->notice_fd);
    if (!r->shared)
        pthread_mutex_destroy(&r->lock);
}

static void free_owner(void *owner)
{
    free(owner);
}

void fw_runner_free_owner(struct fw_runner *r, void *owner)
{
    /* What is posted runs in order. */
    if (r->shared)
        fl_loop_post(r->loop, free_owner, owner);
    else
        free(owner);
}

void fw_runner_drain(struct fw_runner *r)
{
    struct fw_item *i, *next, *all = take_all(r, &r->calls, &r->n_calls);

    DL_FOREACH_SAFE (all, i, next) {
        r->ops->on_call(r->owner, i->bytes, i->n);
        free(i);
    }
}

static void woken(void *arg)
{
    struct fw_runner *r = arg;

    if (r->closed)
        return;
    pthread_mutex_lock(&r->lock);
    r->wake_posted = false;
    pthread_mutex_unlock(&r->lock);
    fw_runner_drain(r);
}

int fw_runner_call(struct fw_runner *r, const void *bytes, size_t n)
{
    struct fw_item *i = item_new(0, bytes, n);
    int result = 0;

    if (!i)
        return -ENOMEM;
    pthread_mutex_lock(&r->lock);
    if (r->n_calls >= FW_MAX_QUEUED) {
        result = -EAGAIN;
    } else {
        DL_APPEND(r->calls, i);
        r->n_calls++;
        if (!r->wake_posted) {
            r->wake_posted = true;
            fl_loop_post(r->loop, woken, r);
        }
    }
    pthread_mutex_unlock(&r->lock);
    if (result < 0)
        free(i);
    return result;
}

void fw_runner_tell(struct fw_runner *r, int kind, const void *bytes, size_t n, const void *message)
{
    struct fw_item *i;

    if (r->notice_fd < 0) {
        r->ops->on_notice(r->owner, kind, bytes, n, message);
        return;
    }
    i = item_new(kind, bytes, n);
    if (!i)
        return;
    pthread_mutex_lock(&r->lock);
    bool first = !r->notices;
    DL_APPEND(r->notices, i);
    pthread_mutex_unlock(&r->lock);
    if (first) /* dispatch takes all that is there */
        eventfd_write(r->notice_fd, 1);
}

int fw_runner_run(struct fw_runner *r)
{
    if (r->shared)
        return -EINVAL;
    if (r->started)
        return -EALREADY;
    r->started = true;
    fl_loop_run(r->loop);
    atomic_store(&r->ended, true);
    return 0;
}

static void *thread_main(void *arg)
{
    struct fw_runner *r = arg;

    fl_loop_run(r->loop);
    atomic_store(&r->ended, true);
    return NULL;
}

int fw_runner_start(struct fw_runner *r)
{
    int rc;

    if (r->shared)
        return -EINVAL;
    if (r->started)
        return -EALREADY;
    rc = pthread_create(&r->thread, NULL, thread_main, r);
    if (rc)
        return -rc;
    r->started = r->thread_started = true;
    return 0;
}

int fw_runner_join(struct fw_runner *r)
{
    if (!r->thread_started)
        return -EINVAL;
    pthread_join(r->thread, NULL);
    r->thread_started = false;
    return 0;
}

int fw_runner_fd(struct fw_runner *r)
{
    int rc;

    if (r->notice_fd >= 0)
        return r->notice_fd;
    if (r->started)
        return -EALREADY;
    r->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->notice_fd < 0)
        return -errno;
    rc = fw_runner_start(r);
    return rc < 0 ? rc : r->notice_fd;
}

int fw_runner_dispatch(struct fw_runner *r)
{
    eventfd_t ignored;
    struct fw_item *i, *next, *all;
    int n = 0;

    if (r->notice_fd < 0)
        return -EINVAL;
    if (eventfd_read(r->notice_fd, &ignored) < 0 && errno != EAGAIN)
        return -errno;
    all = take_all(r, &r->notices, NULL);
    DL_FOREACH_SAFE (all, i, next) {
        r->ops->on_notice(r->owner, i->kind, i->bytes, i->n, NULL);
        free(i);
        n++;
    }
    if (!atomic_load(&r->ended))
        return n;
    /* The end is told by a call of its own: keep the descriptor readable until it has been made. */
    if (n > 0)
        eventfd_write(r->notice_fd, 1);
    return n > 0 ? n : -ECONNABORTED;
}

void fw_runner_end(struct fw_runner *r)
{
    atomic_store(&r->ended, true);
    if (r->notice_fd >= 0)
        eventfd_write(r->notice_fd, 1);
    if (!r->shared)
        fl_loop_stop(r->loop);
}
