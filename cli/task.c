#include "cli/task.h"

#include "cli/find.h"

void task_place_done(struct task_place *p)
{
    json_decref(p->task);
    free(p->agent_address);
    *p = (struct task_place){0};
}

bool task_is_live(const json_t *t)
{
    static const char *const live[] = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING",
                                       "TASK_KILLING", "TASK_UNREACHABLE"};

    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        if (streq(jstr(t, "state"), live[i]))
            return true;
    return false;
}

static int find_agent_of(struct cli *c, struct task_place *p, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;
    _cleanup_json_ json_t *all = NULL;

    fl_buf_adds(&path, "/slaves");
    query_add(&path, "slave_id", p->agent_id);
    int r = cli_get_json(c, NULL, fl_buf_cstr(&path), &all, err);
    if (r < 0)
        return r;
    const char *address = agent_address_of(json_array_get(json_object_get(all, "slaves"), 0));
    if (!address)
        return fl_err_set(err, FL_NOT_FOUND, "the agent '%s' of the task is not registered",
                          p->agent_id);
    p->agent_address = xstrdup(address);
    return 0;
}

static bool begins(const json_t *task, void *arg)
{
    return str_starts(jstr(task, "id"), arg);
}

/* Several tasks of one id: those of different frameworks; the newest counts. */
static int find_part(struct cli *c, const char *word, json_t **ret, struct fl_err *err)
{
    _cleanup_json_ json_t *found = json_array();
    json_t *task, *last;
    size_t i;
    int r = *word ? list_tasks(c, NULL, begins, (void *)(uintptr_t)word, found, err) : 0;

    if (r < 0)
        return r;
    last = json_array_get(found, json_array_size(found) - 1);
    if (!last)
        return fl_err_set(err, FL_NOT_FOUND,
                          "there is no task '%s'; `fairlead tasks --all` lists them", word);
    json_array_foreach(found, i, task)
    {
        if (!streq(jstr(task, "id"), jstr(last, "id")))
            return fl_err_set(err, FL_NOT_FOUND,
                              "several tasks begin with '%s', among them '%s' and '%s': give more "
                              "of the id",
                              word, jstr(task, "id"), jstr(last, "id"));
    }
    *ret = json_incref(last);
    return 0;
}

int task_get(struct cli *c, const char *task_id, json_t **ret, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;
    _cleanup_json_ json_t *all = NULL;
    json_t *task, *found = NULL;
    size_t i;

    fl_buf_adds(&path, "/tasks?order=asc&limit=1000");
    query_add(&path, "task_id", task_id);
    int r = cli_get_json(c, NULL, fl_buf_cstr(&path), &all, err);
    if (r < 0)
        return r;
    json_array_foreach(json_object_get(all, "tasks"), i, task)
    {
        if (streq(jstr(task, "id"), task_id))
            found = task;
    }
    if (!found)
        return find_part(c, task_id, ret, err);
    *ret = json_incref(found);
    return 0;
}

int task_find(struct cli *c, const char *task_id, struct task_place *ret, struct fl_err *err)
{
    _cleanup_task_place_ struct task_place p = {0};
    json_t *status;
    size_t i;
    int r = task_get(c, task_id, &p.task, err);

    if (r < 0)
        return r;
    p.framework_id = jstr(p.task, "framework_id");
    p.agent_id = jstr(p.task, "slave_id");
    p.executor_id = jstr(p.task, "executor_id");
    if (!*p.executor_id)
        p.executor_id = jstr(p.task, "id");
    json_array_foreach(json_object_get(p.task, "statuses"), i, status)
    {
        const json_t *container = jpath(status, "container_status.container_id");
        if (container)
            p.container = container;
    }
    r = find_agent_of(c, &p, err);
    if (r < 0)
        return r;
    *ret = p;
    p = (struct task_place){0};
    return 0;
}

int task_peer(struct cli *c, const struct task_place *p, struct peer *ret, struct fl_err *err)
{
    return cli_agent_peer(c, p->agent_id, p->agent_address, ret, err);
}
