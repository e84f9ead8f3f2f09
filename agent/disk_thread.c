/* See disk_thread.h. `lock` guards queue and stop; everything else is the loop's thread's. The object outlives its owner until the
 * last result that was posted to the loop has been taken. */
#include "agent/disk_thread.h"

#include <pthread.h>
#include <utlist.h>

#include "common/base/log.h"

struct job {
    struct agent_disk_thread *t;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct job *prev, *next;
};

struct agent_disk_thread {
    struct fl_loop *loop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *queue;
    bool stop;
    bool running; /* the thread was started */
    bool closed;
    unsigned out; /* jobs whose result has not been taken */
};

static void destroy(struct agent_disk_thread *t)
{
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->more);
    free(t);
}

static void finished(void *arg)
{
    struct job *j = arg;
    struct agent_disk_thread *t = j->t;

    if (!t->closed)
        j->done(j->arg);
    free(j);
    if (--t->out == 0 && t->closed)
        destroy(t);
}

static struct job *next_job(struct agent_disk_thread *t)
{
    struct job *j;

    pthread_mutex_lock(&t->lock);
    while (!t->queue && !t->stop)
        pthread_cond_wait(&t->more, &t->lock);
    j = t->stop ? NULL : t->queue;
    if (j)
        DL_DELETE(t->queue, j);
    pthread_mutex_unlock(&t->lock);
    return j;
}

static void *run(void *arg)
{
    struct agent_disk_thread *t = arg;
    struct job *j;

    while ((j = next_job(t))) {
        j->work(j->arg);
        fl_loop_post(t->loop, finished, j);
    }
    return NULL;
}

struct agent_disk_thread *agent_disk_thread_new(struct fl_loop *loop)
{
    struct agent_disk_thread *t = xnew0(struct agent_disk_thread);

    t->loop = loop;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->more, NULL);
    return t;
}

void agent_disk_thread_run(struct agent_disk_thread *t, void (*work)(void *arg),
                           void (*done)(void *arg), void *arg)
{
    struct job *j = xnew0(struct job);

    *j = (struct job){.t = t, .work = work, .done = done, .arg = arg};
    t->out++;
    if (!t->running && pthread_create(&t->thread, NULL, run, t) != 0) {
        log_warning("Cannot start the thread that waits for the disk; doing without");
        work(arg);
        fl_loop_post(t->loop, finished, j);
        return;
    }
    t->running = true;
    pthread_mutex_lock(&t->lock);
    DL_APPEND(t->queue, j);
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

void agent_disk_thread_free(struct agent_disk_thread *t)
{
    struct job *j, *tmp;

    if (!t)
        return;
    if (t->running) {
        pthread_mutex_lock(&t->lock);
        t->stop = true;
        pthread_cond_signal(&t->more);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    DL_FOREACH_SAFE (t->queue, j, tmp) {
        DL_DELETE(t->queue, j);
        free(j);
        t->out--;
    }
    t->closed = true;
    if (t->out == 0)
        destroy(t);
}
