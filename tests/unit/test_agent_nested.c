/* The agent's book of nested and standalone containers: who waits is answered once, ends are kept until they are removed. */
#include "tests/unit/agent_harness.h"

struct heard {
    unsigned started, ended, removed;
    int status;
    enum container_end_reason reason;
    struct fl_err err;
};

static void on_event(void *arg, const struct container_end *end)
{
    struct heard *x = arg;

    if (!end) {
        x->started++;
        return;
    }
    x->ended++;
    x->status = end->status;
    x->reason = end->reason;
}

static void on_removed(void *arg, const struct fl_err *err)
{
    struct heard *x = arg;

    x->removed++;
    if (err)
        x->err = *err;
}

static int launch(struct harness *h, const char *id, struct heard *x, struct fl_err *err)
{
    static const struct resources none = RESOURCES_INIT;
    V1__CommandInfo cmd = V1__COMMAND_INFO__INIT;
    const struct agent_nested_launch l = {
        .container_id = id, .command = &cmd, .resources = &none, .cpu_limit = -1, .mem_limit = -1};

    cmd.value = (char *)"run";
    return agent_nested_launch(h->a, &l, on_event, x, err);
}

static void ended(struct harness *h, const char *id, enum container_end_reason reason, int status)
{
    const struct container_end end = {.reason = reason,
                                      .has_status = reason == CONTAINER_EXITED,
                                      .status = status,
                                      .message = "why"};

    h_container(h, id)->gone = true;
    h->cb.ended(h->cb.arg, id, &end);
}

static struct harness *world(void)
{
    struct harness *h = h_new(NULL);
    struct heard root = {0};
    struct fl_err err;

    ck_assert_int_eq(agent_recover(h->a, &err), 0);
    ck_assert_int_eq(launch(h, "root", &root, &err), 0);
    ck_assert_uint_eq(root.started, 0);
    h->cb.started(h->cb.arg, "root", 77);
    ck_assert_uint_eq(root.started, 1);
    return h;
}

START_TEST(test_life)
{
    struct harness *h = world();
    struct heard a = {0}, w1 = {0}, w2 = {0}, late = {0}, rm = {0};
    struct fl_err err;

    ck_assert_int_eq(launch(h, "root.a", &a, &err), 0);
    ck_assert(
        strstr(h_container(h, "root.a")->env, "MESOS_SANDBOX=/w/containers/root/containers/a\n"));
    ck_assert_int_lt(launch(h, "root.a", &a, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    ck_assert_int_eq(agent_nested_wait(h->a, "root.a", on_event, &w1, &err), 0);
    h->cb.started(h->cb.arg, "root.a", 78);
    ck_assert_uint_eq(a.started, 1);
    ck_assert_uint_eq(w1.started + w1.ended, 0);
    ck_assert_int_eq(agent_nested_wait(h->a, "root.a", on_event, &w2, &err), 0);
    ck_assert_int_lt(agent_nested_remove(h->a, "root.a", on_removed, &rm, &err), 0);
    ck_assert_int_eq(err.reason, FL_INTERNAL);
    ck_assert_int_eq(agent_nested_kill(h->a, "root.a", 15, &err), 0);
    ck_assert_int_eq(h_container(h, "root.a")->signals[0], 15);
    ended(h, "root.a", CONTAINER_EXITED, 15);
    ck_assert(w1.ended == 1 && w1.status == 15 && w2.ended == 1 && a.ended == 0);
    /* Kept, until it is removed. */
    ck_assert_int_eq(agent_nested_wait(h->a, "root.a", on_event, &late, &err), 0);
    ck_assert(late.ended == 1 && late.status == 15);
    ck_assert_int_lt(agent_nested_kill(h->a, "root.a", 15, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    ck_assert_int_eq(agent_nested_remove(h->a, "root.a", on_removed, &rm, &err), 0);
    ck_assert(rm.removed == 0 && h_container(h, "root.a")->forgotten);
    h_work(h);
    ck_assert(rm.removed == 1 && rm.err.reason == FL_OK);
    ck_assert_int_lt(agent_nested_wait(h->a, "root.a", on_event, &late, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    h_free(h);
}
END_TEST

START_TEST(test_start_fails)
{
    struct harness *h = world();
    struct heard a = {0}, w = {0};
    struct fl_err err;

    ck_assert_int_eq(launch(h, "root.a", &a, &err), 0);
    ck_assert_int_eq(agent_nested_wait(h->a, "root.a", on_event, &w, &err), 0);
    /* Killed before it runs: it is destroyed. */
    ck_assert_int_eq(agent_nested_kill(h->a, "root.a", 9, &err), 0);
    ck_assert(h_container(h, "root.a")->destroyed);
    ended(h, "root.a", CONTAINER_LAUNCH_FAILED, 0);
    ck_assert(a.ended == 1 && a.reason == CONTAINER_LAUNCH_FAILED && w.ended == 1);
    ck_assert_int_lt(agent_nested_wait(h->a, "root.a", on_event, &w, &err), 0);
    ck_assert_int_lt(launch(h, "nobody.a", &a, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    h_free(h);
}
END_TEST

START_TEST(test_goes_with_root)
{
    struct harness *h = world();
    struct heard a = {0}, b = {0}, w = {0}, open = {0};
    struct fl_err err;

    ck_assert_int_eq(launch(h, "root.a", &a, &err), 0);
    ck_assert_int_eq(launch(h, "root.a.b", &b, &err), 0);
    h->cb.started(h->cb.arg, "root.a", 78);
    h->cb.started(h->cb.arg, "root.a.b", 79);
    ended(h, "root.a.b", CONTAINER_EXITED, 0);
    ended(h, "root.a", CONTAINER_EXITED, 0);
    ck_assert_int_eq(agent_nested_wait(h->a, "root", on_event, &open, &err), 0);
    ended(h, "root", CONTAINER_EXITED, 1);
    ck_assert_uint_eq(open.ended, 1);
    ck_assert_int_lt(agent_nested_wait(h->a, "root.a", on_event, &w, &err), 0);
    ck_assert_int_lt(agent_nested_wait(h->a, "root.a.b", on_event, &w, &err), 0);
    h_free(h);
}
END_TEST

/* Whoever waits hears, at the latest when the agent ends. */
START_TEST(test_agent_ends)
{
    struct harness *h = world();
    struct heard a = {0}, w = {0};
    struct fl_err err;

    ck_assert_int_eq(launch(h, "root.a", &a, &err), 0);
    ck_assert_int_eq(agent_nested_wait(h->a, "root", on_event, &w, &err), 0);
    h_free(h);
    ck_assert(a.ended == 1 && w.ended == 1 && w.reason == CONTAINER_LOST);
}
END_TEST

START_TEST(test_ids)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(512);
    V1__ContainerID *id = container_id_pb(arena, "root.a.b");
    _cleanup_free_ char *text = container_id_text(id), *path = container_nested_path("root.a.b");

    ck_assert_str_eq(id->value, "b");
    ck_assert_str_eq(id->parent->parent->value, "root");
    ck_assert_ptr_null(id->parent->parent->parent);
    ck_assert_str_eq(text, "root.a.b");
    ck_assert_str_eq(path, "containers/a/containers/b");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_nested");
    TCase *tc = tcase_create("nested");
    SRunner *sr = srunner_create(s);

    tcase_add_test(tc, test_life);
    tcase_add_test(tc, test_start_fails);
    tcase_add_test(tc, test_goes_with_root);
    tcase_add_test(tc, test_agent_ends);
    tcase_add_test(tc, test_ids);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
