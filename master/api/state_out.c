/* Writing views: what all of them share. See state.h. */
#include "master/api/state.h"

void state_request_done(struct state_request *r)
{
    free(r->query);
    free(r->path_rest);
    free(r->jsonp);
    free(r->principal);
}

void state_write(struct state_out *o)
{
    const char *jsonp = o->rq->jsonp;

    o->m = o->api->master;
    o->viewer = viewer_new(o->m, o->rq->principal);
    task_writer_begin(o->tasks);
    o->arena = fl_arena_new(16 * 1024);
    o->j = json_out_on(&o->buf);
    if (jsonp) {
        fl_buf_adds(&o->buf, jsonp);
        fl_buf_addc(&o->buf, '(');
    }
    o->rq->view->write(o);
    if (jsonp)
        fl_buf_adds(&o->buf, ");");
}

void state_out_done(struct state_out *o)
{
    viewer_free(o->viewer);
    fl_arena_free(o->arena);
    fl_buf_done(&o->buf);
    fl_buf_done(&o->head);
}

/* ---- tasks ---- */

static const struct task *first_of(const struct framework *f, enum task_list list)
{
    return list == TASKS_LIVE          ? f->tasks
           : list == TASKS_UNREACHABLE ? f->unreachable_tasks
                                       : f->completed_tasks;
}

static inline const struct task *next_of(const struct task *t, enum task_list list)
{
    return list == TASKS_COMPLETED ? t->next_completed : t->hh.next;
}

/* Tasks lie all over the heap: while one is written, the memory of the next and the place of the one behind it are fetched. */
static inline void fetch_ahead(const struct task *next, enum task_list list)
{
    const char *behind;

    if (!next)
        return;
    task_writer_prefetch(next);
    behind = (const char *)next_of(next, list);
    if (behind)
        for (size_t at = 0; at < sizeof(struct task); at += 64)
            __builtin_prefetch(behind + at);
}

void state_each_task_of(struct state_out *o, const struct framework *f, enum task_list list,
                        state_task_f *fn, void *arg)
{
    for (const struct task *t = first_of(f, list), *next; t; t = next) {
        next = next_of(t, list);
        fetch_ahead(next, list);
        if (!viewer_sees_task(o->viewer, t))
            continue;
        fn(o, t, arg);
        state_step(o);
    }
}

void state_each_task(struct state_out *o, enum task_list list, state_task_f *fn, void *arg)
{
    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next)
        state_each_task_of(o, f, list, fn, arg);
    for (const struct framework *f = o->m->completed_frameworks; f; f = f->next_completed)
        state_each_task_of(o, f, list, fn, arg);
}
