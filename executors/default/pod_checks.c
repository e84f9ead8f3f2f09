/* The probes of pod tasks' checks. A command runs in a container nested in the task's own; HTTP and TCP are asked by this process, whose
 * network its tasks share. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "common/base/log.h"
#include "executors/default/pod_priv.h"

/* A probe by command: launched, waited for, removed. It may outlive its task's interest in it, and its task. */
struct pod_probe {
    struct pod *pod;
    struct checker *checker; /* NULL: cancelled */
    V1__ContainerID id, parent;
    char name[64], parent_name[FL_UUID_STR];
    struct pod_call *call, *kill_call;
    struct pod_probe *prev, *next;
};

static struct pod_call *ask(struct pod_probe *b, const Aapi__Call *call, pod_answer_f *fn)
{
    return b->pod->env->io->post(b->pod->env->ctx, call, fn, b);
}

static void probe_free(struct pod_probe *b)
{
    struct pod_env *env = b->pod->env;

    if (b->call)
        env->io->cancel(env->ctx, b->call);
    if (b->kill_call)
        env->io->cancel(env->ctx, b->kill_call);
    DL_DELETE(b->pod->probes, b);
    free(b);
}

static void answer(struct pod_probe *b, bool known, int value)
{
    struct checker *c = b->checker;

    b->checker = NULL;
    if (!c)
        return;
    *checker_slot(c) = NULL;
    checker_answer(c, known, value);
}

static void on_removed(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_probe *b = arg;

    b->call = NULL;
    if (status != 200)
        log_debug("The sandbox of a check stays (status %d): %s", status, text ? text : "");
    probe_free(b);
}

static void remove_it(struct pod_probe *b)
{
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__RemoveNestedContainer m = AAPI__CALL__REMOVE_NESTED_CONTAINER__INIT;

    m.container_id = &b->id;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__REMOVE_NESTED_CONTAINER;
    call.remove_nested_container = &m;
    b->call = ask(b, &call, on_removed);
}

static void on_waited(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_probe *b = arg;
    const Aapi__Response__WaitNestedContainer *w = r ? r->wait_nested_container : NULL;
    bool exited = status == 200 && w && w->has_exit_status && WIFEXITED(w->exit_status);

    b->call = NULL;
    remove_it(b);
    answer(b, exited, exited ? WEXITSTATUS(w->exit_status) : 0);
}

static void on_killed(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_probe *b = arg;

    b->kill_call = NULL;
}

static void kill_it(struct pod_probe *b)
{
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__KillNestedContainer k = AAPI__CALL__KILL_NESTED_CONTAINER__INIT;

    if (b->kill_call)
        return;
    k.container_id = &b->id;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__KILL_NESTED_CONTAINER;
    call.kill_nested_container = &k;
    b->kill_call = ask(b, &call, on_killed);
}

static void on_launched(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_probe *b = arg;
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__WaitNestedContainer w = AAPI__CALL__WAIT_NESTED_CONTAINER__INIT;

    b->call = NULL;
    if (status != 200) {
        log_info("A check could not be run (status %d): %s", status, text ? text : "");
        remove_it(b);
        answer(b, false, 0);
        return;
    }
    w.container_id = &b->id;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER;
    call.wait_nested_container = &w;
    b->call = ask(b, &call, on_waited);
    if (!b->checker)
        kill_it(b);
}

static void begin_command(struct pod_task *t, struct checker *c)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    struct pod_probe *b = xnew0(struct pod_probe);
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__LaunchNestedContainer l = AAPI__CALL__LAUNCH_NESTED_CONTAINER__INIT;
    V1__ContainerInfo container = V1__CONTAINER_INFO__INIT;
    V1__LinuxInfo linux_info = V1__LINUX_INFO__INIT;
    uint8_t uuid[FL_UUID_LEN];
    char text[FL_UUID_STR];

    b->pod = t->pod;
    b->checker = c;
    fl_uuid_make(pod_time(t->pod), uuid);
    fl_uuid_format(uuid, text);
    snprintf(b->name, sizeof(b->name), "%scheck-%s", checker_is_health(c) ? "health-" : "", text);
    memcpy(b->parent_name, t->name, sizeof(t->name));
    v1__container_id__init(&b->parent);
    b->parent.value = b->parent_name;
    b->parent.parent = &t->pod->root;
    v1__container_id__init(&b->id);
    b->id.value = b->name;
    b->id.parent = &b->parent;
    DL_APPEND(t->pod->probes, b);
    *checker_slot(c) = b;
    l.container_id = &b->id;
    l.command = check_command(checker_target(c)->command, false,
                              pod_task_command(t, arena)->environment, arena);
    /* It sees the task's processes, as it sees its files. */
    linux_info.has_share_pid_namespace = true;
    linux_info.share_pid_namespace = true;
    container.type = V1__CONTAINER_INFO__TYPE__MESOS;
    container.linux_info = &linux_info;
    l.container = &container;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER;
    call.launch_nested_container = &l;
    b->call = ask(b, &call, on_launched);
}

static void on_net_answer(void *arg, bool known, int value)
{
    struct checker *c = arg;

    *checker_slot(c) = NULL;
    checker_answer(c, known, value);
}

static void begin(void *arg, struct checker *c)
{
    struct pod_task *t = arg;
    struct pod_env *env = t->pod->env;
    const struct check_target *g = checker_target(c);

    if (g->kind == V1__CHECK_INFO__TYPE__COMMAND)
        begin_command(t, c);
    else
        *checker_slot(c) = env->io->probe(env->ctx, &g->net, on_net_answer, c);
}

static void cancel(void *arg, struct checker *c)
{
    struct pod_task *t = arg;
    struct pod_env *env = t->pod->env;
    void *under_way = *checker_slot(c);

    *checker_slot(c) = NULL;
    if (!under_way)
        return;
    if (checker_target(c)->kind != V1__CHECK_INFO__TYPE__COMMAND) {
        env->io->probe_cancel(env->ctx, under_way);
        return;
    }
    struct pod_probe *b = under_way;
    b->checker = NULL;
    kill_it(b);
}

static void changed(void *arg, V1__TaskStatus__Reason reason, bool kill)
{
    struct pod_task *t = arg;

    pod_report_check(t, reason);
    if (!kill)
        return;
    log_info("Task '%s' has failed its health check too often", t->info->task_id->value);
    t->unhealthy = true;
    pod_kill(t, pod_grace(t, NULL));
}

void pod_checks_start(struct pod_task *t)
{
    static const struct task_checks_ops ops = {
        .begin = begin, .cancel = cancel, .changed = changed};
    V1__TaskStatus last = V1__TASK_STATUS__INIT;

    if (t->checks)
        return;
    t->checks = task_checks_new(pod_time(t->pod), t->info->check, t->info->health_check, &ops, t);
    if (!t->checks)
        return;
    last.check_status = t->check_status;
    last.has_healthy = t->has_health;
    last.healthy = t->healthy;
    task_checks_start(t->checks, &last);
}

void pod_checks_stop(struct pod_task *t)
{
    task_checks_free(TAKE_PTR(t->checks));
}

void pod_probes_drop(struct pod *p)
{
    while (p->probes)
        probe_free(p->probes);
}
