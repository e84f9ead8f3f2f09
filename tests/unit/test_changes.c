/* What the core marks as changed, and the page's events that come of it. */
#include "tests/unit/master_world.h"

#include "master/api/page_rows.h"

static struct world w;
static struct page_rows *rows;
static struct fl_buf out;

static void setup(void)
{
    w_init(&w, (const char *[]){"--max_completed_tasks_per_framework=2", NULL});
    rows = page_rows_new();
    out = (struct fl_buf)FL_BUF_INIT;
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w_pass(&w, W_SECOND);
    changes_start(w.m);
}

static void teardown(void)
{
    changes_stop(w.m);
    fl_buf_done(&out);
    page_rows_free(rows);
    w_done(&w);
}

static size_t on_list(enum change_kind kind)
{
    const struct change_list *l = &w.m->changes->of[kind];
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (!l->items[i])
            continue;
        ck_assert_uint_eq(change_mark_of(kind, l->items[i])->slot, i + 1);
        n++;
    }
    return n;
}

static void seen(bool amounts)
{
    for (int kind = 0; kind < CHANGE_KINDS; kind++)
        changes_seen(w.m->changes, (enum change_kind)kind, SIZE_MAX, !amounts);
    changes_gone_seen(w.m->changes);
}

static const struct task *task(const char *id)
{
    const struct task *t;

    HASH_FIND_STR(w.m->frameworks->tasks, id, t);
    return t;
}

static void launch(const char *id)
{
    w_pass(&w, 2 * W_SECOND);
    w_launch(&w, "s1", id, W_CPUS("1"));
}

/* Ends it and has it acknowledged: it is a completed one then. */
static void finish(const char *id)
{
    w_status(&w, "a1", id, "TASK_FINISHED", W_UUID, NULL);
    ck_assert_int_eq(w_call(&w, "s1", "ACKNOWLEDGE",
                            "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{"
                            "\"value\":\"%s\"},\"uuid\":\"" W_UUID "\"}",
                            w.aid, id),
                     202);
    w_settle(&w);
}

static const char *text(void)
{
    return fl_buf_cstr(&out);
}

START_TEST(once_however_often)
{
    launch("t1");
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 1);
    w_status(&w, "a1", "t1", "TASK_STARTING", W_UUID, NULL);
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 1);
    page_rows_begin(rows, w.m, NULL, &out);
    page_put_task(rows, task("t1"));
    page_rows_end(rows);
    ck_assert_msg(strstr(text(), "\"RUNNING\",5.5,null,[1,0,64,0],null,5.5]]}\n\n"), "%s", text());
    seen(true);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 0);
    w_status(&w, "a1", "t1", "TASK_KILLING", W_UUID, NULL);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 1);
}
END_TEST

START_TEST(amounts_wait_for_their_second)
{
    seen(true);
    launch("t1");
    ck_assert_uint_eq(on_list(CHANGED_AGENTS), 1);
    ck_assert_uint_eq(on_list(CHANGED_FRAMEWORKS), 1);
    ck_assert(!w.m->agents->change.at_once && !w.m->frameworks->change.at_once);
    seen(false);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 0);
    ck_assert_uint_eq(on_list(CHANGED_AGENTS), 1);
    ck_assert_uint_eq(on_list(CHANGED_ROLES), 1);
    master_agent_closed(w.m, (void *)"a1");
    ck_assert(w.m->agents->change.at_once);
    seen(false);
    ck_assert_uint_eq(on_list(CHANGED_AGENTS), 0);
    seen(true);
    ck_assert_uint_eq(on_list(CHANGED_FRAMEWORKS), 0);
}
END_TEST

START_TEST(what_falls_out_is_gone)
{
    uint64_t first;

    launch("t1");
    first = task("t1")->change.key;
    finish("t1");
    launch("t2");
    finish("t2");
    seen(true);
    ck_assert_uint_eq(w.m->changes->gone_tasks.n, 0);
    launch("t3");
    finish("t3");
    ck_assert_uint_eq(w.m->changes->gone_tasks.n, 1);
    ck_assert_uint_eq(w.m->changes->gone_tasks.items[0].key, first);
    page_rows_begin(rows, w.m, NULL, &out);
    page_put_gone(rows, w.m->changes);
    _cleanup_free_ char *want =
        xasprintf("event: gone\ndata: {\"tasks\":[%llu]}\n\n", (unsigned long long)first);
    ck_assert_str_eq(text(), want);
}
END_TEST

/* One that changes and goes between two looks is told of as gone only. */
START_TEST(freed_things_leave_the_lists)
{
    struct fl_err err;

    launch("t1");
    launch("t2");
    seen(true);
    w_status(&w, "a1", "t2", "TASK_RUNNING", W_UUID, NULL);
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 2);
    ck_assert_int_eq(master_teardown(w.m, w.fid, &err), 0);
    ck_assert_uint_eq(on_list(CHANGED_TASKS), 2); /* completed */
    for (int i = 0; i < 3; i++) {
        _cleanup_free_ char *stream = xasprintf("x%d", i);

        w_subscribe(&w, stream, "");
        ck_assert_int_eq(master_teardown(w.m, w.fid, &err), 0);
    }
    ck_assert_uint_eq(on_list(CHANGED_FRAMEWORKS), 4);
}
END_TEST

START_TEST(an_agent_keeps_its_key)
{
    uint64_t key = w.m->agents->change.key;
    const struct known_agent *k;

    seen(true);
    /* It answers no ping. */
    for (int i = 0; i < 10; i++) {
        w_pass(&w, 15 * W_SECOND);
        w_commit(&w);
    }
    k = w.m->unreachable_agents;
    ck_assert_ptr_nonnull(k);
    ck_assert_uint_eq(k->change.key, key);
    ck_assert_uint_eq(w.m->changes->gone_agents.n, 0);
    ck_assert_uint_eq(on_list(CHANGED_KNOWN_AGENTS), 1);
    ck_assert_uint_eq(on_list(CHANGED_AGENTS), 0);
    w_reregister(&w, "a2", "");
    ck_assert_ptr_null(w.m->unreachable_agents);
    ck_assert_uint_eq(w.m->agents->change.key, key);
    ck_assert_uint_eq(on_list(CHANGED_KNOWN_AGENTS), 0);
    ck_assert_uint_eq(on_list(CHANGED_AGENTS), 1);
    ck_assert_uint_eq(w.m->changes->gone_agents.n, 0);
    w_agent(&w, "a2", "10.0.0.1:40001", &msg__unregister_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"}}", w.aid);
    w_commit(&w);
    ck_assert_uint_eq(w.m->changes->gone_agents.n, 1);
    ck_assert_uint_eq(w.m->changes->gone_agents.items[0].key, key);
}
END_TEST

START_TEST(nobody_watches)
{
    changes_stop(w.m);
    launch("t1");
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    ck_assert_ptr_null(w.m->changes);
    ck_assert_uint_eq(task("t1")->change.slot, 0);
    ck_assert_uint_gt(task("t1")->change.key, 0);
    changes_start(w.m);
    for (int kind = 0; kind < CHANGE_KINDS; kind++)
        ck_assert_uint_eq(on_list((enum change_kind)kind), 0);
}
END_TEST

START_TEST(rows_stand_in_events_of_a_thousand)
{
    const char *p;
    size_t n = 0;

    launch("t1");
    page_rows_begin(rows, w.m, NULL, &out);
    for (int i = 0; i < 2 * PAGE_ROWS + 1; i++)
        page_put_task(rows, task("t1"));
    page_put_agent(rows, w.m->agents);
    page_put_framework(rows, w.m->frameworks);
    page_put_role(rows, "*", role_find(w.m, "*"));
    page_rows_end(rows);
    for (p = text(); (p = strstr(p, "event: tasks\n")); p++)
        n++;
    ck_assert_uint_eq(n, 3);
    ck_assert_ptr_nonnull(strstr(text(), ",\"h1\",\"slave(1)@10.0.0.1:5051\",null,null,null,"
                                         "\"active\",\"1.11.0\",1700001000,[4,0,1024,0],"));
    ck_assert_ptr_nonnull(strstr(text(), "[[\"*\",1.0,1,"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("changes");
    TCase *tc = tcase_create("marks");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, once_however_often);
    tcase_add_test(tc, amounts_wait_for_their_second);
    tcase_add_test(tc, what_falls_out_is_gone);
    tcase_add_test(tc, freed_things_leave_the_lists);
    tcase_add_test(tc, an_agent_keeps_its_key);
    tcase_add_test(tc, nobody_watches);
    tcase_add_test(tc, rows_stand_in_events_of_a_thousand);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
