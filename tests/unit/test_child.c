/* Helper programs: input, output, limits, time, and being freed early. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/child.h"

static struct fl_loop *loop;

struct seen {
    int n;
    struct child_result r;
    char out[4096], err[4096];
    int checked;
    struct fl_err why;
};

static void setup(void)
{
    ck_assert_int_eq(fl_loop_new(&loop, NULL), 0);
}

static void teardown(void)
{
    fl_loop_free(loop);
}

static void on_done(void *arg, const struct child_result *r)
{
    struct seen *s = arg;

    s->n++;
    s->r = *r;
    fl_snprintf(s->out, sizeof(s->out), "%s", r->out);
    fl_snprintf(s->err, sizeof(s->err), "%s", r->err);
    s->checked = child_check(r, "the plug-in", &s->why); /* its texts are gone after this call */
    fl_loop_stop(loop);
}

static struct seen run_shell(const char *script, struct child_spec spec)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct seen s = {.n = 0};
    struct fl_err err;

    spec.argv = argv;
    ck_assert_int_eq(child_run(loop, &spec, on_done, &s, NULL, &err), 0);
    fl_loop_run(loop);
    ck_assert_int_eq(s.n, 1);
    return s;
}

START_TEST(input_and_output)
{
    struct seen s = run_shell("cat; echo to err >&2; exit 3", (struct child_spec){
                                                                  .input = "hello",
                                                                  .input_len = 5,
                                                              });

    ck_assert_int_eq(WEXITSTATUS(s.r.status), 3);
    ck_assert_str_eq(s.out, "hello");
    ck_assert_str_eq(s.err, "to err\n");
    ck_assert_int_lt(s.checked, 0);
    ck_assert_str_eq(s.why.msg, "the plug-in failed with status 3: to err");
}
END_TEST

START_TEST(output_is_cut)
{
    struct seen s =
        run_shell("head -c 300000 /dev/zero | tr '\\0' x", (struct child_spec){.max_output = 1000});

    ck_assert_uint_eq(s.r.out_len, 1000);
    ck_assert(s.r.cut);
    ck_assert_int_eq(s.r.status, 0);
}
END_TEST

START_TEST(large_input)
{
    char *big = xcalloc(1, 1 << 20);
    struct seen s = run_shell("wc -c", (struct child_spec){.input = big, .input_len = 1 << 20});

    ck_assert_str_eq(s.out, "1048576\n");
    free(big);
}
END_TEST

START_TEST(time_is_limited)
{
    struct seen s = run_shell("sleep 1000 & wait", (struct child_spec){.timeout_us = 20000});

    ck_assert(s.r.timed_out);
    ck_assert_int_eq(WTERMSIG(s.r.status), SIGKILL);
    ck_assert_int_eq(s.checked, -ETIMEDOUT);
}
END_TEST

START_TEST(input_is_held)
{
    struct seen s = run_shell("read x; echo $x", (struct child_spec){
                                                     .input = "line\n",
                                                     .input_len = 5,
                                                     .hold_input = true,
                                                 });

    ck_assert_str_eq(s.out, "line\n");
}
END_TEST

START_TEST(freed_early)
{
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    const struct child_spec spec = {.argv = argv};
    struct child *c = NULL;
    struct seen s = {.n = 0};

    ck_assert_int_eq(child_run(loop, &spec, on_done, &s, &c, NULL), 0);
    child_free(c);
    ck_assert_int_eq(s.n, 0);
    ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0); /* it was reaped */
}
END_TEST

START_TEST(no_such_program)
{
    const char *const argv[] = {"/no/such/program", NULL};
    const struct child_spec spec = {.argv = argv};
    struct fl_err err;

    ck_assert_int_lt(child_run(loop, &spec, on_done, NULL, NULL, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "/no/such/program"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("child");
    TCase *t = tcase_create("child");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, input_and_output);
    tcase_add_test(t, output_is_cut);
    tcase_add_test(t, large_input);
    tcase_add_test(t, time_is_limited);
    tcase_add_test(t, input_is_held);
    tcase_add_test(t, freed_early);
    tcase_add_test(t, no_such_program);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
