#include "cli/task.h"

void task_place_done(struct task_place *p)
{
    json_decref(p->task);
    free(p->agent_address);
    *p = (struct task_place){0};
}

static int find_agent(struct cli *c, struct task_place *p, struct fl_err *err)
{
    const char *id = jstr(p->task, "slave_id");
    _cleanup_free_ char *path = xasprintf("/slaves?slave_id=%s", id);
    _cleanup_json_ json_t *all = NULL;
    int r = cli_get_json(c->master, path, &all, err);

    if (r < 0)
        return r;
    const char *pid = jstr(json_array_get(json_object_get(all, "slaves"), 0), "pid");
    const char *at = strrchr(pid, '@');
    if (!at)
        return fl_err_set(err, FL_NOT_FOUND, "the agent '%s' of the task is not registered", id);
    p->agent_address = xstrdup(at + 1);
    return 0;
}

int task_find(struct cli *c, const char *task_id, struct task_place *ret, struct fl_err *err)
{
    _cleanup_task_place_ struct task_place p = {0};
    _cleanup_json_ json_t *all = NULL;
    json_t *task, *status;
    size_t i;
    int r = cli_get_json(c->master, "/tasks?limit=1000000&order=asc", &all, err);

    if (r < 0)
        return r;
    json_array_foreach(json_object_get(all, "tasks"), i, task)
    {
        if (!streq(jstr(task, "id"), task_id))
            continue;
        json_decref(p.task);
        p.task = json_incref(task);
    }
    if (!p.task)
        return fl_err_set(err, FL_NOT_FOUND,
                          "there is no task '%s'; `fairlead ps --all` lists them", task_id);
    p.framework_id = jstr(p.task, "framework_id");
    p.executor_id = jstr(p.task, "executor_id");
    if (!*p.executor_id)
        p.executor_id = jstr(p.task, "id");
    json_array_foreach(json_object_get(p.task, "statuses"), i, status)
    {
        const json_t *container =
            json_object_get(json_object_get(status, "container_status"), "container_id");
        if (container)
            p.container = container;
    }
    r = find_agent(c, &p, err);
    if (r < 0)
        return r;
    *ret = p;
    p = (struct task_place){0};
    return 0;
}
