/* GET /page/task?framework_id=ID&task_id=ID: one task with all that the master knows of it, and its agent, for the page and the command
 * line. The older /tasks looks through all tasks of a framework, and tells neither reasons nor messages of what happened. */
#include "master/api/handlers.h"
#include "master/api/task_writer.h"
#include "master/api/viewer.h"

/* One that runs, else one that nobody hears of, else one of those that ended. */
static const struct task *find(const struct framework *f, const char *id)
{
    struct task *const all[] = {f->tasks, f->unreachable_tasks, f->completed_by_id};
    const struct task *t = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(all) && !t; i++) {
        struct task *head = all[i];
        HASH_FIND_STR(head, id, t);
    }
    return t;
}

static const struct framework *find_framework(const struct master *m, const char *id)
{
    const struct framework *f = master_framework(m, id);

    for (const struct framework *c = m->completed_frameworks; c && !f; c = c->next_completed)
        if (streq(c->id, id))
            f = c;
    return f;
}

static void put_agent(struct json_out *j, const struct task *t)
{
    json_kobject(j, "agent");
    json_kstr(j, "id", t->agent_id);
    if (t->agent) {
        json_kstr(j, "hostname", t->agent->info->hostname);
        json_kstr(j, "pid", t->agent->pid);
    }
    json_end_object(j);
}

static void show(struct http_exchange *ex, const struct framework *f, const struct task *t)
{
    _cleanup_(task_writer_freep) struct task_writer *w = task_writer_new();
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    json_kobject(&j, "framework");
    json_kstr(&j, "id", f->id);
    json_kstr(&j, "name", f->info->name);
    json_end_object(&j);
    put_agent(&j, t);
    json_key(&j, "task");
    task_writer_begin(w);
    task_writer_json(w, t, &out);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void task_detail_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const char *query = http_exchange_request(ex)->query;
    _cleanup_viewer_ struct viewer *v = viewer_new(api->master, http_guard_principal(ex));
    _cleanup_free_ char *framework_id = http_query_get(query, "framework_id");
    _cleanup_free_ char *task_id = http_query_get(query, "task_id");
    const struct task *t = NULL;

    if (!framework_id || !task_id) {
        http_respond(ex, 400, HTTP_TEXT, "Give 'framework_id' and 'task_id' in the query");
        return;
    }
    const struct framework *f = find_framework(api->master, framework_id);
    if (f)
        t = find(f, task_id);
    /* Who may not see it is not told that it is there. */
    if (!t || !viewer_sees_task(v, t))
        http_respondf(ex, 404, HTTP_TEXT,
                      "The master knows no task '%s' of framework '%s'; those that ended long ago "
                      "are forgotten (--max_completed_tasks_per_framework)",
                      task_id, framework_id);
    else
        show(ex, f, t);
}
