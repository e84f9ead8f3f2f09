/* The default executor's core against an agent that answers when the test says so. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <utlist.h>

#include "executors/default/pod.h"
#include "tests/unit/fake_env.h"

#define S(n)         ((uint64_t)((n)*1000000.0))
#define EXITED(code) ((code) << 8)

struct pod_call {
    Aapi__Call *call;
    pod_answer_f *fn;
    void *arg;
    struct pod_call *prev, *next;
};

struct told {
    V1__TaskStatus *status;
    struct told *prev, *next;
};

struct world {
    struct fake_env fake;
    struct pod_env env;
    struct pod *pod;
    struct pod_call *calls;
    struct told *told;
    bool idle;
    char shown[100];
};

/* ---- the agent ---- */

static struct pod_call *w_post(void *ctx, const Aapi__Call *call, pod_answer_f *fn, void *arg)
{
    struct world *w = ctx;
    struct pod_call *c = xnew0(struct pod_call);

    *c = (struct pod_call){.call = FL_PB_DUP(call), .fn = fn, .arg = arg};
    DL_APPEND(w->calls, c);
    return c;
}

static void w_cancel(void *ctx, struct pod_call *c)
{
    struct world *w = ctx;

    DL_DELETE(w->calls, c);
    fl_pb_free(c->call);
    free(c);
}

static void w_update(void *ctx, const V1__TaskStatus *s)
{
    struct world *w = ctx;
    struct told *t = xnew0(struct told);

    t->status = FL_PB_DUP(s);
    DL_APPEND(w->told, t);
}

static void w_show(void *ctx, const char *task_id, const char *container)
{
    struct world *w = ctx;

    snprintf(w->shown, sizeof(w->shown), "%s", task_id);
}

static void w_idle(void *ctx, bool idle)
{
    ((struct world *)ctx)->idle = idle;
}

static const struct pod_io io = {
    .post = w_post, .cancel = w_cancel, .update = w_update, .show_sandbox = w_show, .idle = w_idle};

/* The oldest call of that kind, whose task's container it is about or NULL. */
static struct pod_call *find(struct world *w, Aapi__Call__Type type)
{
    struct pod_call *c;

    DL_FOREACH (w->calls, c)
        if (c->call->type == type)
            return c;
    return NULL;
}

static void answer(struct world *w, Aapi__Call__Type type, int status,
                   const Aapi__Response__WaitNestedContainer *wait, const char *text)
{
    struct pod_call *c = find(w, type);
    Aapi__Response r = AAPI__RESPONSE__INIT;

    ck_assert_msg(c != NULL, "no call of type %d is under way", (int)type);
    r.wait_nested_container = (Aapi__Response__WaitNestedContainer *)(uintptr_t)wait;
    pod_answer_f *fn = c->fn;
    void *arg = c->arg;
    w_cancel(w, c);
    fn(arg, status, wait ? &r : NULL, text);
}

#define LAUNCH AAPI__CALL__TYPE__LAUNCH_CONTAINER
#define WAIT   AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER
#define KILL   AAPI__CALL__TYPE__KILL_NESTED_CONTAINER

/* The end of the task that has been waited for longest. */
static void ended(struct world *w, int status)
{
    Aapi__Response__WaitNestedContainer x = AAPI__RESPONSE__WAIT_NESTED_CONTAINER__INIT;

    x.has_exit_status = true;
    x.exit_status = status;
    answer(w, WAIT, 200, &x, NULL);
}

/* ---- the executor's side ---- */

static V1__TaskStatus *last_of(struct world *w, const char *task)
{
    V1__TaskStatus *s = NULL;
    struct told *t;

    DL_FOREACH (w->told, t)
        if (streq(t->status->task_id->value, task))
            s = t->status;
    return s;
}

static void expect(struct world *w, const char *task, V1__TaskState state)
{
    V1__TaskStatus *s = last_of(w, task);

    ck_assert_msg(s && s->state == state, "task %s is in state %d, not %d", task,
                  s ? (int)s->state : -1, (int)state);
}

static void subscribed(struct world *w, bool killing)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Subscribed s = EXEC__EVENT__SUBSCRIBED__INIT;
    V1__FrameworkInfo f = V1__FRAMEWORK_INFO__INIT;
    V1__FrameworkInfo__Capability cap = V1__FRAMEWORK_INFO__CAPABILITY__INIT, *caps[] = {&cap};
    V1__ContainerID id = V1__CONTAINER_ID__INIT;

    cap.has_type = true;
    cap.type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE;
    f.user = f.name = (char *)"x";
    f.capabilities = caps;
    f.n_capabilities = killing;
    id.value = (char *)"root";
    s.framework_info = &f;
    s.container_id = &id;
    ev.subscribed = &s;
    pod_event(w->pod, &ev);
}

static void start(struct world *w, bool killing)
{
    static const struct pod_config config = {.container_ip = "10.1.2.3",
                                             .shutdown_grace_us = 5000000};

    *w = (struct world){.idle = false};
    fake_env_init(&w->fake, 7);
    w->env = (struct pod_env){.env = w->fake.env, .io = &io, .ctx = w};
    w->pod = pod_new(&w->env, &config);
    subscribed(w, killing);
}

static void stop(struct world *w)
{
    struct told *t, *tmp;

    pod_free(w->pod);
    ck_assert_ptr_null(w->calls);
    ck_assert_ptr_null(w->fake.timers);
    DL_FOREACH_SAFE (w->told, t, tmp) {
        fl_pb_free(t->status);
        free(t);
    }
}

static void launch_with(struct world *w, const char *a, const char *b, uint64_t max_s)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__LaunchGroup g = EXEC__EVENT__LAUNCH_GROUP__INIT;
    V1__TaskGroupInfo group = V1__TASK_GROUP_INFO__INIT;
    V1__TaskInfo tasks[2], *list[2] = {&tasks[0], &tasks[1]};
    V1__TaskID ids[2];
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__DurationInfo max = V1__DURATION_INFO__INIT;

    agent.value = (char *)"S0";
    max.nanoseconds = (int64_t)max_s * 1000000000;
    for (size_t i = 0; i < 2; i++) {
        v1__task_info__init(&tasks[i]);
        v1__task_id__init(&ids[i]);
        ids[i].value = (char *)(uintptr_t)(i ? b : a);
        tasks[i].name = (char *)"t";
        tasks[i].task_id = &ids[i];
        tasks[i].agent_id = &agent;
        if (max_s)
            tasks[i].max_completion_time = &max;
    }
    group.tasks = list;
    group.n_tasks = b ? 2 : 1;
    g.task_group = &group;
    ev.launch_group = &g;
    pod_event(w->pod, &ev);
}

static void launch(struct world *w, const char *a, const char *b)
{
    launch_with(w, a, b, 0);
}

static void kill_task(struct world *w, const char *task, int grace_s)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Kill k = EXEC__EVENT__KILL__INIT;
    V1__TaskID id = V1__TASK_ID__INIT;
    V1__KillPolicy p = V1__KILL_POLICY__INIT;
    V1__DurationInfo d = V1__DURATION_INFO__INIT;

    id.value = (char *)(uintptr_t)task;
    d.nanoseconds = (int64_t)grace_s * 1000000000;
    p.grace_period = &d;
    k.task_id = &id;
    k.kill_policy = grace_s >= 0 ? &p : NULL;
    ev.kill = &k;
    pod_event(w->pod, &ev);
}

static void run_two(struct world *w, bool killing)
{
    start(w, killing);
    launch(w, "a", "b");
    answer(w, LAUNCH, 200, NULL, NULL);
    answer(w, LAUNCH, 200, NULL, NULL);
}

/* ---- */

START_TEST(a_container_for_each_task)
{
    struct world w;
    struct pod_call *c;
    V1__ContainerID *id;

    start(&w, false);
    launch(&w, "a", "b");
    expect(&w, "a", V1__TASK_STATE__TASK_STARTING);
    expect(&w, "b", V1__TASK_STATE__TASK_STARTING);
    c = find(&w, LAUNCH);
    id = c->call->launch_container->container_id;
    ck_assert_str_eq(id->parent->value, "root");
    ck_assert_uint_eq(c->call->launch_container->command->environment->n_variables, 2);
    answer(&w, LAUNCH, 200, NULL, NULL);
    expect(&w, "a", V1__TASK_STATE__TASK_RUNNING);
    expect(&w, "b", V1__TASK_STATE__TASK_STARTING);
    ck_assert_str_eq(w.shown, "a");
    ck_assert_str_eq(last_of(&w, "a")->container_status->container_id->parent->value, "root");
    answer(&w, LAUNCH, 200, NULL, NULL);
    expect(&w, "b", V1__TASK_STATE__TASK_RUNNING);
    /* The end of one that finishes leaves the other alone. */
    ended(&w, 0);
    expect(&w, "a", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_ptr_null(find(&w, KILL));
    ck_assert(!w.idle);
    ended(&w, 0);
    ck_assert(w.idle);
    stop(&w);
}
END_TEST

START_TEST(one_failure_kills_its_group_only)
{
    struct world w;

    run_two(&w, false);
    launch(&w, "other", NULL);
    answer(&w, LAUNCH, 200, NULL, NULL);
    ended(&w, EXITED(3));
    expect(&w, "a", V1__TASK_STATE__TASK_FAILED);
    ck_assert_str_eq(last_of(&w, "a")->message, "Command exited with status 3");
    ck_assert_int_eq(find(&w, KILL)->call->kill_nested_container->signal, SIGTERM);
    answer(&w, KILL, 200, NULL, NULL);
    ck_assert_ptr_null(find(&w, KILL));
    ended(&w, SIGTERM);
    expect(&w, "b", V1__TASK_STATE__TASK_KILLED);
    expect(&w, "other", V1__TASK_STATE__TASK_RUNNING);
    ck_assert(!w.idle);
    ended(&w, 0);
    ck_assert(w.idle);
    /* It may be given more before it has ended. */
    launch(&w, "late", NULL);
    ck_assert(!w.idle);
    stop(&w);
}
END_TEST

START_TEST(kill_grace_and_kill)
{
    struct world w;

    run_two(&w, true);
    kill_task(&w, "b", 2);
    expect(&w, "b", V1__TASK_STATE__TASK_KILLING);
    kill_task(&w, "b", 0);
    answer(&w, KILL, 200, NULL, NULL);
    fake_env_pass(&w.fake, S(1.9));
    ck_assert_ptr_null(find(&w, KILL));
    fake_env_pass(&w.fake, S(0.1));
    ck_assert_int_eq(find(&w, KILL)->call->kill_nested_container->signal, SIGKILL);
    /* What the agent could not do is asked again. */
    answer(&w, KILL, 500, NULL, "busy");
    fake_env_pass(&w.fake, S(1));
    ck_assert_int_eq(find(&w, KILL)->call->kill_nested_container->signal, SIGKILL);
    stop(&w);
}
END_TEST

START_TEST(the_longest_time)
{
    struct world w;

    start(&w, true);
    launch_with(&w, "a", NULL, 10);
    answer(&w, LAUNCH, 200, NULL, NULL);
    fake_env_pass(&w.fake, S(10));
    expect(&w, "a", V1__TASK_STATE__TASK_RUNNING);
    fake_env_pass(&w.fake, 1);
    ended(&w, SIGKILL);
    expect(&w, "a", V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq((int)last_of(&w, "a")->reason,
                     V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED);
    stop(&w);
}
END_TEST

START_TEST(a_container_that_cannot_be_started)
{
    struct world w;

    start(&w, false);
    launch(&w, "a", "b");
    answer(&w, LAUNCH, 400, NULL, "no such image");
    expect(&w, "a", V1__TASK_STATE__TASK_FAILED);
    ck_assert_str_eq(last_of(&w, "a")->message, "no such image");
    /* The other, which is not there yet, is killed as soon as it is. */
    ck_assert_ptr_null(find(&w, KILL));
    answer(&w, LAUNCH, 200, NULL, NULL);
    ck_assert_ptr_nonnull(find(&w, KILL));
    ended(&w, SIGTERM);
    expect(&w, "b", V1__TASK_STATE__TASK_KILLED);
    ck_assert(w.idle);
    stop(&w);
}
END_TEST

START_TEST(the_agent_goes_and_comes_back)
{
    struct world w;
    size_t n = 0;
    struct pod_call *c;

    start(&w, false);
    launch(&w, "a", "b");
    answer(&w, LAUNCH, 200, NULL, NULL);
    pod_disconnected(w.pod);
    ck_assert_ptr_null(w.calls);
    subscribed(&w, false);
    DL_COUNT(w.calls, c, n);
    ck_assert_uint_eq(n, 2);
    answer(&w, LAUNCH, 202, NULL, NULL); /* it had been started */
    expect(&w, "b", V1__TASK_STATE__TASK_RUNNING);
    /* While it recovers it cannot be asked. */
    answer(&w, WAIT, 503, NULL, "recovering");
    expect(&w, "a", V1__TASK_STATE__TASK_RUNNING);
    fake_env_pass(&w.fake, S(1));
    /* b has been waited for longer now. */
    ended(&w, 0);
    expect(&w, "b", V1__TASK_STATE__TASK_FINISHED);
    answer(&w, WAIT, 404, NULL, NULL);
    expect(&w, "a", V1__TASK_STATE__TASK_FAILED);
    ck_assert(w.idle);
    stop(&w);
}
END_TEST

START_TEST(shutdown_within_the_grace_given)
{
    struct world w;
    Exec__Event ev = EXEC__EVENT__INIT;

    run_two(&w, false);
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__SHUTDOWN;
    pod_event(w.pod, &ev);
    answer(&w, KILL, 200, NULL, NULL);
    answer(&w, KILL, 200, NULL, NULL);
    launch(&w, "late", NULL);
    ck_assert_ptr_null(find(&w, LAUNCH));
    fake_env_pass(&w.fake, S(3));
    ck_assert_int_eq(find(&w, KILL)->call->kill_nested_container->signal, SIGKILL);
    ended(&w, SIGKILL);
    ended(&w, SIGKILL);
    expect(&w, "a", V1__TASK_STATE__TASK_KILLED);
    ck_assert(w.idle);
    stop(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pod");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(t, a_container_for_each_task);
    tcase_add_test(t, one_failure_kills_its_group_only);
    tcase_add_test(t, kill_grace_and_kill);
    tcase_add_test(t, the_longest_time);
    tcase_add_test(t, a_container_that_cannot_be_started);
    tcase_add_test(t, the_agent_goes_and_comes_back);
    tcase_add_test(t, shutdown_within_the_grace_given);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
