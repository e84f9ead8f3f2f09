/* What the agent writes below work_dir, in the layout and record format of the reference (features.md 3.7), so that an agent of
 * either kind can take over a work_dir:
 *
 *   meta/boot_id, meta/slaves/latest -> <agent id>, meta/slaves/<agent>/slave.info
 *   meta/slaves/<agent>/frameworks/<f>/{framework.info,framework.pid}
 *     executors/<e>/{executor.info,executor_generated_for_command_task}
 *       runs/{latest,<container>/{pids/forked.pid,http.marker,executor.sentinel,tasks/<t>/{task.info,task.updates}}}
 *   slaves/<agent>/frameworks/<f>/executors/<e>/runs/<container>   the sandbox
 *
 * A record is its length (u32, host order) and a message. Whole files are written beside and renamed; logs are appended, and a torn
 * last record is cut off when they are read. Files of tasks are not synced to the disk: what a crash of the machine loses is of
 * containers that it ended as well. slave.info and the resources are.
 */
#include <stdarg.h>
#include <stdio.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

#define MAX_RECORD (64u * 1024 * 1024)

char *agent_path_join(const char *first, ...)
{
    size_t n = strlen(first) + 1, at = 0;
    const char *s;
    va_list list;
    char *p;

    va_start(list, first);
    while ((s = va_arg(list, const char *)))
        n += strlen(s);
    va_end(list);
    p = xmalloc(n);
    va_start(list, first);
    for (s = first; s; s = va_arg(list, const char *)) {
        size_t len = strlen(s);

        memcpy(p + at, s, len);
        at += len;
    }
    va_end(list);
    p[at] = '\0';
    return p;
}

static const char *base_of(const struct agent_core *a, bool meta)
{
    assert(a->info->id);
    return meta ? a->meta_dir : a->work_dir;
}

char *agent_path_slave(const struct agent_core *a, bool meta)
{
    return agent_path_join(base_of(a, meta), "/slaves/", a->info->id->value, NULL);
}

char *agent_path_framework(const struct agent_framework *f, bool meta)
{
    return agent_path_join(base_of(f->core, meta), "/slaves/", f->core->info->id->value,
                           "/frameworks/", f->id, NULL);
}

char *agent_path_executor(const struct agent_executor *e, bool meta)
{
    return agent_path_join(base_of(e->core, meta), "/slaves/", e->core->info->id->value,
                           "/frameworks/", e->framework->id, "/executors/", e->id, NULL);
}

char *agent_path_run(const struct agent_executor *e, bool meta)
{
    return agent_path_join(base_of(e->core, meta), "/slaves/", e->core->info->id->value,
                           "/frameworks/", e->framework->id, "/executors/", e->id, "/runs/",
                           e->container_id, NULL);
}

char *agent_path_task(const struct agent_executor *e, const char *task_id, const char *file)
{
    _cleanup_free_ char *base = agent_path_run(e, true);

    return agent_path_join(base, "/tasks/", task_id, "/", file, NULL);
}

char *agent_path_operation(const struct agent_core *a, const uint8_t *uuid)
{
    _cleanup_free_ char *base = agent_path_slave(a, true);
    char text[FL_UUID_STR];

    fl_uuid_format(uuid, text);
    return xasprintf("%s/operations/%s", base, text);
}

void agent_record_add(struct fl_buf *out, const ProtobufCMessage *m)
{
    uint32_t n = (uint32_t)protobuf_c_message_get_packed_size(m);

    fl_buf_add(out, &n, sizeof n);
    fl_buf_pack(out, m);
}

int agent_record_next(const void *data, size_t n, size_t *off, const ProtobufCMessageDescriptor *d,
                      ProtobufCMessage **ret_m, struct fl_err *err)
{
    size_t left = n - *off;
    const char *p;
    uint32_t len;
    int r;

    if (left < sizeof len)
        return 0;
    p = (const char *)data + *off;
    memcpy(&len, p, sizeof len);
    if (len > MAX_RECORD)
        return fl_err_set(err, FL_TOO_LARGE, "a record of %u bytes at byte %zu", len, *off);
    if (left - sizeof len < len)
        return 0;
    r = fl_pb_decode(p + sizeof len, len, d, NULL, ret_m, err);
    if (r < 0)
        return r;
    *off += sizeof len + len;
    return 1;
}

int agent_record_read(struct agent_core *a, const char *path, const ProtobufCMessageDescriptor *d,
                      ProtobufCMessage **ret_m, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    size_t off = 0;
    int r = a->env->io->read(a->env->ctx, path, &b, err);

    if (r < 0)
        return r;
    r = agent_record_next(b.data, b.len, &off, d, ret_m, err);
    if (r == 0)
        return fl_err_set(err, FL_INVALID, "'%s' holds no whole record", path);
    return r < 0 ? fl_err_wrap(err, "'%s'", path) : 0;
}

int agent_record_write(struct agent_core *a, const char *path, const ProtobufCMessage *m,
                       bool durable, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    agent_record_add(&b, m);
    return a->env->io->write(a->env->ctx, path, b.data, b.len, durable, err);
}

static int write_text(struct agent_core *a, const char *path, const char *text, struct fl_err *err)
{
    return a->env->io->write(a->env->ctx, path, text, strlen(text), false, err);
}

int agent_checkpoint_info(struct agent_core *a, struct fl_err *err)
{
    _cleanup_free_ char *dir = agent_path_slave(a, true);
    _cleanup_free_ char *info = xasprintf("%s/slave.info", dir);
    _cleanup_free_ char *latest = xasprintf("%s/slaves/latest", a->meta_dir);
    int r = agent_record_write(a, info, &a->info->base, true, err);

    if (r < 0)
        return r;
    /* Last: a `latest` that is there always names a complete slave.info. */
    return a->env->io->link(a->env->ctx, dir, latest, err);
}

bool agent_checkpoints(const struct agent_framework *f)
{
    return f->info->has_checkpoint && f->info->checkpoint;
}

/* A checkpoint of a framework, executor or task that cannot be written costs only this task's survival of the next restart. */
static void complain(struct agent_core *a, int r, const struct fl_err *err)
{
    if (r < 0)
        log_error("Cannot write a checkpoint: %s; this will not survive a restart of the agent",
                  err->msg);
}

void agent_checkpoint_framework(struct agent_framework *f)
{
    _cleanup_free_ char *dir = NULL, *info = NULL, *pid = NULL;
    struct fl_err err;
    int r;

    if (!agent_checkpoints(f))
        return;
    dir = agent_path_framework(f, true);
    info = xasprintf("%s/framework.info", dir);
    pid = xasprintf("%s/framework.pid", dir);
    r = agent_record_write(f->core, info, &f->info->base, false, &err);
    if (r == 0)
        r = write_text(f->core, pid, "", &err); /* frameworks of the HTTP API have no pid */
    complain(f->core, r, &err);
}

void agent_checkpoint_executor(struct agent_executor *e)
{
    _cleanup_free_ char *dir = NULL, *info = NULL, *generated = NULL, *run = NULL, *latest = NULL;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    struct agent_core *a = e->core;
    struct fl_err err;
    int r;

    if (!agent_checkpoints(e->framework))
        return;
    dir = agent_path_executor(e, true);
    info = xasprintf("%s/executor.info", dir);
    generated = xasprintf("%s/executor_generated_for_command_task", dir);
    run = agent_path_run(e, true);
    latest = xasprintf("%s/runs/latest", dir);
    arena = fl_arena_new(4096);
    r = agent_record_write(a, info, &agent_executor_info(e, arena)->base, false, &err);
    if (r == 0)
        r = write_text(a, generated, e->command ? "1" : "0", &err);
    if (r == 0)
        r = a->env->io->mkdir(a->env->ctx, run, NULL, &err);
    if (r == 0)
        r = a->env->io->link(a->env->ctx, run, latest, &err);
    complain(a, r, &err);
}

void agent_checkpoint_pid(struct agent_executor *e)
{
    _cleanup_free_ char *run = NULL, *path = NULL;
    struct fl_err err;
    char text[24];

    if (!agent_checkpoints(e->framework))
        return;
    run = agent_path_run(e, true);
    path = xasprintf("%s/pids/forked.pid", run);
    snprintf(text, sizeof text, "%d", (int)e->pid);
    complain(e->core, write_text(e->core, path, text, &err), &err);
}

void agent_checkpoint_task(struct agent_task *t, const V1__TaskInfo *info_or_null)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    _cleanup_free_ char *path = NULL;
    struct agent_core *a = t->executor->core;
    struct fl_err err;

    if (!agent_checkpoints(t->executor->framework))
        return;
    arena = fl_arena_new(4096);
    path = agent_path_task(t->executor, t->id, "task.info");
    complain(a, agent_record_write(a, path, &agent_task_pb(t, arena)->base, false, &err), &err);
    if (!info_or_null)
        return;
    /* Ours alone: what the built-in command executor must still know after a restart (kill policy, longest time). */
    free(path);
    path = agent_path_task(t->executor, t->id, "command.info");
    complain(a, agent_record_write(a, path, &info_or_null->base, false, &err), &err);
}
