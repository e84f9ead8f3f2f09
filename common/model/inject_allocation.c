/* Clients that know nothing of allocation roles leave allocation_info out: it is filled in at the border. Pure. */
#include "common/model/validate.h"

static void inject_one(V1__Resource *r, const char *role, struct fl_arena *arena)
{
    if (!r->allocation_info) {
        r->allocation_info = fl_arena_alloc(arena, sizeof(*r->allocation_info));
        v1__resource__allocation_info__init(r->allocation_info);
    }
    if (!r->allocation_info->role)
        r->allocation_info->role = fl_arena_strdup(arena, role);
}

static void inject(V1__Resource **r, size_t n, const char *role, struct fl_arena *arena)
{
    for (size_t i = 0; i < n; i++)
        inject_one(r[i], role, arena);
}

void inject_allocation_role_executor(V1__ExecutorInfo *executor, const char *role,
                                     struct fl_arena *arena)
{
    inject(executor->resources, executor->n_resources, role, arena);
}

void inject_allocation_role_task(V1__TaskInfo *task, const char *role, struct fl_arena *arena)
{
    inject(task->resources, task->n_resources, role, arena);
    if (task->executor)
        inject_allocation_role_executor(task->executor, role, arena);
}

static void inject_launches(V1__Offer__Operation *op, const char *role, struct fl_arena *arena)
{
    for (size_t i = 0; op->launch && i < op->launch->n_task_infos; i++)
        inject_allocation_role_task(op->launch->task_infos[i], role, arena);
    if (!op->launch_group)
        return;
    inject_allocation_role_executor(op->launch_group->executor, role, arena);
    V1__TaskGroupInfo *group = op->launch_group->task_group;
    for (size_t i = 0; i < group->n_tasks; i++)
        inject_allocation_role_task(group->tasks[i], role, arena);
}

void inject_allocation_role_operation(V1__Offer__Operation *op, const char *role,
                                      struct fl_arena *arena)
{
    inject_launches(op, role, arena);
    if (op->reserve) {
        inject(op->reserve->resources, op->reserve->n_resources, role, arena);
        inject(op->reserve->source, op->reserve->n_source, role, arena);
    }
    if (op->unreserve)
        inject(op->unreserve->resources, op->unreserve->n_resources, role, arena);
    if (op->create)
        inject(op->create->volumes, op->create->n_volumes, role, arena);
    if (op->destroy)
        inject(op->destroy->volumes, op->destroy->n_volumes, role, arena);
    if (op->grow_volume) {
        inject_one(op->grow_volume->volume, role, arena);
        inject_one(op->grow_volume->addition, role, arena);
    }
    if (op->shrink_volume)
        inject_one(op->shrink_volume->volume, role, arena);
    if (op->create_disk)
        inject_one(op->create_disk->source, role, arena);
    if (op->destroy_disk)
        inject_one(op->destroy_disk->source, role, arena);
}
