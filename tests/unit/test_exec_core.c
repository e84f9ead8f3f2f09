/* The executor library's core against a fake world: what it remembers, what it hands over again, when it gives up. */
#include <check.h>

#include "libframework/exec_core.h"
#include "tests/unit/fake_env.h"

#define S 1000000ull

struct world {
    struct fake_env env;
    struct exec_core *core;
    unsigned subscribes, calls, disconnects, deaths;
    Exec__Call *last; /* the last body sent, decoded */
};

static void keep(struct world *w, const void *body, size_t n)
{
    fl_pb_free(w->last);
    w->last = exec__call__unpack(NULL, n, body);
    ck_assert_ptr_nonnull(w->last);
    ck_assert_str_eq(w->last->framework_id->value, "f");
    ck_assert_str_eq(w->last->executor_id->value, "e");
}

static void io_subscribe(void *ctx, const void *body, size_t n)
{
    struct world *w = ctx;

    w->subscribes++;
    keep(w, body, n);
}

static void io_close(void *ctx)
{
}

static void io_call(void *ctx, const void *body, size_t n)
{
    struct world *w = ctx;

    w->calls++;
    keep(w, body, n);
}

static void io_event(void *ctx, const Exec__Event *ev, const void *bytes, size_t n)
{
}

static void io_disconnected(void *ctx, const char *why)
{
    ((struct world *)ctx)->disconnects++;
}

static void io_dead(void *ctx, const char *message)
{
    ((struct world *)ctx)->deaths++;
}

static const struct exec_io io = {io_subscribe, io_close,        io_call,
                                  io_event,     io_disconnected, io_dead};

static void begin(struct world *w, bool checkpoint)
{
    const struct exec_config config = {
        .framework_id = "f",
        .executor_id = "e",
        .checkpoint = checkpoint,
        .recovery_timeout_us = 60 * S,
        .max_backoff_us = 2 * S,
    };

    *w = (struct world){0};
    fake_env_init(&w->env, 3);
    w->core = exec_core_new(&w->env.env, &io, w, &config);
    exec_core_start(w->core);
    ck_assert_uint_eq(w->subscribes, 1);
}

static void end(struct world *w)
{
    exec_core_free(w->core);
    ck_assert_ptr_null(w->env.timers);
    fl_pb_free(w->last);
}

static void feed(struct world *w, const Exec__Event *ev)
{
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT, framed = FL_BUF_INIT;

    fl_buf_pack(&record, &ev->base);
    recordio_add(&framed, record.data, record.len);
    exec_core_data(w->core, framed.data, framed.len);
}

static void feed_type(struct world *w, Exec__Event__Type type)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Subscribed sub = EXEC__EVENT__SUBSCRIBED__INIT;
    V1__ExecutorInfo executor = V1__EXECUTOR_INFO__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;
    V1__FrameworkInfo framework = V1__FRAMEWORK_INFO__INIT;
    V1__AgentInfo agent = V1__AGENT_INFO__INIT;

    eid.value = framework.name = framework.user = agent.hostname = (char *)"e";
    executor.executor_id = &eid;
    sub.executor_info = &executor;
    sub.framework_info = &framework;
    sub.agent_info = &agent;
    ev.has_type = true;
    ev.type = type;
    ev.subscribed = type == EXEC__EVENT__TYPE__SUBSCRIBED ? &sub : NULL;
    feed(w, &ev);
}

static void feed_launch(struct world *w, const char *id)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Launch launch = EXEC__EVENT__LAUNCH__INIT;
    V1__TaskInfo task = V1__TASK_INFO__INIT;
    V1__TaskID tid = V1__TASK_ID__INIT;
    V1__AgentID aid = V1__AGENT_ID__INIT;

    tid.value = task.name = aid.value = (char *)id;
    task.task_id = &tid;
    task.agent_id = &aid;
    launch.task = &task;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__LAUNCH;
    ev.launch = &launch;
    feed(w, &ev);
}

static void update(struct world *w, const char *id, V1__TaskState state)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Exec__Call call = EXEC__CALL__INIT;
    Exec__Call__Update u = EXEC__CALL__UPDATE__INIT;
    V1__TaskStatus status = V1__TASK_STATUS__INIT;
    V1__TaskID tid = V1__TASK_ID__INIT;
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;

    tid.value = (char *)id;
    fid.value = eid.value = (char *)"";
    status.task_id = &tid;
    status.state = state;
    u.status = &status;
    call.framework_id = &fid;
    call.executor_id = &eid;
    call.has_type = true;
    call.type = EXEC__CALL__TYPE__UPDATE;
    call.update = &u;
    fl_buf_pack(&body, &call.base);
    exec_core_call(w->core, body.data, body.len);
}

static void acknowledge(struct world *w, const char *id, const ProtobufCBinaryData *uuid)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Acknowledged a = EXEC__EVENT__ACKNOWLEDGED__INIT;
    V1__TaskID tid = V1__TASK_ID__INIT;

    tid.value = (char *)id;
    a.task_id = &tid;
    a.uuid = *uuid;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__ACKNOWLEDGED;
    ev.acknowledged = &a;
    feed(w, &ev);
}

START_TEST(updates_get_uuid_time_and_source)
{
    struct world w;

    begin(&w, false);
    feed_type(&w, EXEC__EVENT__TYPE__SUBSCRIBED);
    update(&w, "t", V1__TASK_STATE__TASK_RUNNING);
    ck_assert_uint_eq(w.calls, 1);
    const V1__TaskStatus *s = w.last->update->status;
    ck_assert_uint_eq(s->uuid.len, FL_UUID_LEN);
    ck_assert(s->has_timestamp && s->timestamp > 1.7e9);
    ck_assert_int_eq(s->source, V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
    ck_assert_str_eq(s->executor_id->value, "e");
    end(&w);
}
END_TEST

START_TEST(what_is_not_acknowledged_is_handed_over_again)
{
    struct world w;

    begin(&w, true);
    feed_type(&w, EXEC__EVENT__TYPE__SUBSCRIBED);
    feed_launch(&w, "t1");
    feed_launch(&w, "t2");
    update(&w, "t1", V1__TASK_STATE__TASK_RUNNING);
    ProtobufCBinaryData first = w.last->update->status->uuid;
    uint8_t copy[FL_UUID_LEN];
    memcpy(copy, first.data, FL_UUID_LEN);
    update(&w, "t1", V1__TASK_STATE__TASK_FINISHED);
    acknowledge(&w, "t1", &(ProtobufCBinaryData){.len = FL_UUID_LEN, .data = copy});
    exec_core_stream_ended(w.core, "the agent is restarted");
    ck_assert_uint_eq(w.disconnects, 1);
    fake_env_pass(&w.env, 1 * S);
    ck_assert_uint_eq(w.subscribes, 2);
    /* t1 is known to the agent by its first update; t2 has had none. */
    ck_assert_uint_eq(w.last->subscribe->n_unacknowledged_tasks, 1);
    ck_assert_str_eq(w.last->subscribe->unacknowledged_tasks[0]->task_id->value, "t2");
    ck_assert_uint_eq(w.last->subscribe->n_unacknowledged_updates, 1);
    ck_assert_int_eq(w.last->subscribe->unacknowledged_updates[0]->status->state,
                     V1__TASK_STATE__TASK_FINISHED);
    end(&w);
}
END_TEST

START_TEST(updates_without_an_agent_wait)
{
    struct world w;

    begin(&w, true);
    feed_type(&w, EXEC__EVENT__TYPE__SUBSCRIBED);
    exec_core_stream_ended(w.core, "cut");
    update(&w, "t", V1__TASK_STATE__TASK_FAILED);
    ck_assert_uint_eq(w.calls, 0);
    ck_assert(!exec_core_idle(w.core));
    fake_env_pass(&w.env, 1 * S);
    ck_assert_uint_eq(w.last->subscribe->n_unacknowledged_updates, 1);
    acknowledge(&w, "t", &w.last->subscribe->unacknowledged_updates[0]->status->uuid);
    ck_assert(exec_core_idle(w.core));
    end(&w);
}
END_TEST

START_TEST(without_checkpoint_the_agents_end_is_the_executors)
{
    struct world w;

    begin(&w, false);
    feed_type(&w, EXEC__EVENT__TYPE__SUBSCRIBED);
    exec_core_stream_ended(w.core, "cut");
    ck_assert_uint_eq(w.deaths, 1);
    fake_env_pass(&w.env, 100 * S);
    ck_assert_uint_eq(w.subscribes, 1);
    end(&w);
}
END_TEST

START_TEST(with_checkpoint_it_looks_until_the_recovery_timeout)
{
    struct world w;

    begin(&w, true);
    feed_type(&w, EXEC__EVENT__TYPE__SUBSCRIBED);
    exec_core_stream_ended(w.core, "cut");
    for (int i = 0; i < 590; i++) {
        fake_env_pass(&w.env, S / 10);
        if (w.deaths == 0)
            exec_core_headers(w.core, 503, "recovering", 10);
    }
    ck_assert_uint_eq(w.deaths, 0);
    for (int i = 0; i < 40 && w.deaths == 0; i++) {
        fake_env_pass(&w.env, S / 10);
        exec_core_headers(w.core, 503, "recovering", 10);
    }
    ck_assert_uint_eq(w.deaths, 1);
    end(&w);
}
END_TEST

START_TEST(a_refusal_is_final)
{
    struct world w;

    begin(&w, true);
    exec_core_headers(w.core, 400, "no such executor", 16);
    ck_assert_uint_eq(w.deaths, 1);
    fake_env_pass(&w.env, 100 * S);
    ck_assert_uint_eq(w.subscribes, 1);
    end(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exec_core");
    TCase *t = tcase_create("core");
    SRunner *r;
    int failed;

    tcase_add_test(t, updates_get_uuid_time_and_source);
    tcase_add_test(t, what_is_not_acknowledged_is_handed_over_again);
    tcase_add_test(t, updates_without_an_agent_wait);
    tcase_add_test(t, without_checkpoint_the_agents_end_is_the_executors);
    tcase_add_test(t, with_checkpoint_it_looks_until_the_recovery_timeout);
    tcase_add_test(t, a_refusal_is_final);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
