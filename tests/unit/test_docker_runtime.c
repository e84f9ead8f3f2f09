/* docker/runtime: what runs, by the table of the reference (rows: the task's command; columns: the image). */
#include <check.h>

#include "common/base/buf.h"
#include "isolators/docker_runtime.h"

#define NOTHING "-" /* the command stays */
#define ERROR   "!"

static const struct {
    bool shell;
    const char *value, *argv; /* argv: words, or NULL */
    const char *with[4]; /* neither, Cmd, Entrypoint, both: the program and then its arguments */
} rows[] = {
    {false, NULL, NULL, {ERROR, "c0 c0 c1", "e0 e0 e1", "e0 e0 e1 c0 c1"}},
    {false, NULL, "a b", {ERROR, "c0 c0 a b", "e0 e0 e1 a b", "e0 e0 e1 a b"}},
    {false, "v", NULL, {NOTHING, NOTHING, NOTHING, NOTHING}},
    {false, "v", "a b", {NOTHING, NOTHING, NOTHING, NOTHING}},
    {true, NULL, NULL, {ERROR, ERROR, ERROR, ERROR}},
    {true, NULL, "a b", {ERROR, ERROR, ERROR, ERROR}},
    {true, "v", NULL, {NOTHING, NOTHING, NOTHING, NOTHING}},
    {true, "v", "a b", {NOTHING, NOTHING, NOTHING, NOTHING}},
};

static char *words(const V1__CommandInfo *c)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_adds(&b, c->value);
    for (size_t i = 0; i < c->n_arguments; i++)
        fl_buf_addf(&b, " %s", c->arguments[i]);
    return fl_buf_take(&b);
}

START_TEST(test_row)
{
    static char *entrypoint[] = {"e0", "e1", NULL}, *cmd[] = {"c0", "c1", NULL};
    char *argv[] = {"a", "b"};
    V1__CommandInfo command = V1__COMMAND_INFO__INIT;

    command.has_shell = true;
    command.shell = rows[_i].shell;
    command.value = (char *)(uintptr_t)rows[_i].value;
    if (rows[_i].argv) {
        command.arguments = argv;
        command.n_arguments = 2;
    }
    for (int i = 0; i < 4; i++) {
        const struct image_config image = {.entrypoint = i & 2 ? entrypoint : NULL,
                                           .cmd = i & 1 ? cmd : NULL};
        const char *want = rows[_i].with[i];
        V1__CommandInfo *got = NULL;
        struct fl_err err = {0};
        int r = docker_runtime_command(&command, &image, &got, &err);

        ck_assert_int_eq(r < 0, streq(want, ERROR));
        ck_assert_int_eq(got == NULL, streq(want, ERROR) || streq(want, NOTHING));
        if (!got)
            continue;
        _cleanup_free_ char *text = words(got);
        ck_assert_str_eq(text, want);
        ck_assert(!got->shell);
        fl_pb_free(got);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("docker_runtime");
    TCase *t = tcase_create("docker_runtime");

    tcase_add_loop_test(t, test_row, 0, (int)ARRAY_SIZE(rows));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
