/* The containerizer with plain processes: what a launch tells, and that nothing is left. Any user may run it. */
#include <errno.h>
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

static struct fixture f;

static void open_posix(void)
{
    fixture_open(&f, "posix", "posix/cpu,posix/mem", NULL);
}

static void close_it(void)
{
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

static const char *const argv_exact[] = {"/usr/bin/printf", "%s|", "a b", "$HOME", "*", "", NULL};
static const char *const argv_path[] = {"true", NULL};
static const char *const argv_missing[] = {"/no/such/program", "x", NULL};
static const char *const argv_not_executable[] = {"/etc/passwd", NULL};

static const struct end_row {
    struct launch launch;
    enum container_end_reason reason;
    int status; /* -1: none */
    const char *message, *output;
} end_rows[] = {
    {{.shell = "exit 0"}, CONTAINER_EXITED, 0, "", ""},
    {{.shell = "exit 3"}, CONTAINER_EXITED, 3 << 8, "", ""},
    {{.shell = "kill -9 $$"}, CONTAINER_EXITED, SIGKILL, "", ""},
    {{.shell = "kill -TERM $$"}, CONTAINER_EXITED, SIGTERM, "", ""},
    {{.shell = "X=abc; echo $X | tr a-c x-z"}, CONTAINER_EXITED, 0, "", "xyz\n"},
    {{.argv = argv_exact}, CONTAINER_EXITED, 0, "", "a b|$HOME|*||"},
    {{.argv = argv_path}, CONTAINER_EXITED, 0, "", ""},
    {{.argv = argv_missing},
     CONTAINER_LAUNCH_FAILED,
     -1,
     "cannot run '/no/such/program': No such file or directory",
     ""},
    {{.argv = argv_not_executable},
     CONTAINER_LAUNCH_FAILED,
     -1,
     "cannot run '/etc/passwd': Permission denied",
     ""},
    {{.shell = "echo err >&2; exit 1"}, CONTAINER_EXITED, 1 << 8, "", ""},
};

START_TEST(ends_as_it_should)
{
    struct end_row row = end_rows[_i];
    row.launch.id = "c";
    const struct seen *s = fixture_finish(&f, &row.launch);
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");

    ck_assert_int_eq(s->reason, row.reason);
    ck_assert_str_eq(s->message, row.message);
    ck_assert_int_eq(s->has_status ? s->status : -1, row.status);
    ck_assert_int_eq(s->n_started, row.reason == CONTAINER_EXITED);
    ck_assert_str_eq(out, row.output);
}
END_TEST

START_TEST(starts_in_the_sandbox_with_its_environment)
{
    const char *const env[] = {"MESOS_X=1", "B=two words", NULL};
    _cleanup_free_ char *sandbox = sandbox_path(&f, "c");
    setenv("MESOS_PRIVATE", "1", 1);
    fixture_finish(&f, &(struct launch){
                           .id = "c", .shell = "pwd; echo $MESOS_X/$B/$MESOS_PRIVATE", .env = env});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    _cleanup_free_ char *want = xasprintf("%s\n1/two words/1\n", sandbox);
    _cleanup_free_ char *want_private = xasprintf("%s\n1/two words/\n", sandbox);

    ck_assert(streq(out, want_private) && !streq(out, want));
}
END_TEST

/* The search in PATH is the shim's own: a folder without it, one that may not be run, and a script without a header. */
START_TEST(finds_its_program_in_its_path)
{
    static const char *const make = "mkdir a b; echo no > a/prog; echo 'echo \"$1-$#\"' > b/prog; "
                                    "chmod +x b/prog";
    fixture_finish(&f, &(struct launch){.id = "maker", .shell = make});
    _cleanup_free_ char *dir = sandbox_path(&f, "maker");
    _cleanup_free_ char *path = xasprintf("PATH=%s/none:%s/a:%s/b", dir, dir, dir),
                        *denied = xasprintf("PATH=%s/a", dir);
    const char *const argv[] = {"prog", "one two", "3", NULL}, *const env[] = {path, NULL},
                      *const denied_env[] = {denied, NULL};
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "found", .argv = argv, .env = env});
    _cleanup_free_ char *out = sandbox_read(&f, "found", "stdout");

    ck_assert_int_eq(s->reason, CONTAINER_EXITED);
    ck_assert_int_eq(s->status, 0);
    ck_assert_str_eq(out, "one two-2\n");
    s = fixture_finish(&f, &(struct launch){.id = "denied", .argv = argv, .env = denied_env});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert(strstr(s->message, strerror(EACCES)) != NULL);
}
END_TEST

START_TEST(runs_as_the_user)
{
    if (geteuid() != 0)
        return; /* needs root */
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "c", .user = "nobody", .shell = "id -un; touch made"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    _cleanup_free_ char *path = xasprintf("%s/sandbox-c/stdout", f.dir);
    struct stat st;

    ck_assert_int_eq(s->status, 0);
    ck_assert_str_eq(out, "nobody\n");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_ne(st.st_uid, 0);
}
END_TEST

START_TEST(refuses_an_unknown_user)
{
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "c", .user = "no-such-user", .shell = "true"});

    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "'no-such-user'"));
}
END_TEST

START_TEST(refuses_a_link_as_output)
{
    _cleanup_free_ char *path = xasprintf("%s/victim", f.dir);
    struct fl_err err;
    /* The launch is deferred, so the trap can be laid between. */
    ck_assert_int_eq(fixture_try_launch(&f, &(struct launch){.id = "c", .shell = "echo hi"}, &err),
                     0);
    _cleanup_free_ char *link = xasprintf("%s/sandbox-c/stdout", f.dir);
    ck_assert_int_eq(symlink(path, link), 0);
    const struct seen *s = fixture_wait_ended(&f, "c");

    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(refuses_what_is_impossible)
{
    struct fl_err err;

    fixture_launch(&f, &(struct launch){.id = "c", .shell = "sleep 100"});
    _cleanup_resources_ struct resources none = RESOURCES_INIT;
    V1__CommandInfo cmd = V1__COMMAND_INFO__INIT;
    cmd.value = (char *)(uintptr_t) "true";
    struct container_spec spec = {
        .container_id = "c", .command = &cmd, .sandbox = f.dir, .resources = &none};
    ck_assert_int_lt(f.cz->ops->launch(f.cz, &spec, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    spec.container_id = "../c";
    ck_assert_int_lt(f.cz->ops->launch(f.cz, &spec, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    fixture_wait_started(&f, "c");
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
}
END_TEST

START_TEST(destroy_ends_all_even_what_left_the_session)
{
    fixture_launch(&f,
                   &(struct launch){.id = "c",
                                    .shell = "trap '' TERM; setsid sh -c 'exec sleep 71234.5' & "
                                             "(setsid sh -c 'sleep 71234.5' &) ; echo up; wait"});
    fixture_wait_started(&f, "c");
    /* Seen once is enough: one that is in the middle of exec() has no command line. */
    int n = processes_with("71234.5");
    for (int i = 0; i < 2000 && n < 3; i++) {
        fixture_run(&f, 10000);
        n = processes_with("71234.5");
    }
    ck_assert_int_ge(n, 3);
    f.cz->ops->destroy(f.cz, "c");
    f.cz->ops->destroy(f.cz, "c");
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->reason, CONTAINER_DESTROYED);
    ck_assert_int_eq(processes_with("71234.5"), 0);
}
END_TEST

START_TEST(what_a_command_leaves_behind_ends_with_it)
{
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "c", .shell = "setsid sleep 71235.5 & exit 4"});

    ck_assert_int_eq(s->status, 4 << 8);
    ck_assert_int_eq(processes_with("71235.5"), 0);
}
END_TEST

START_TEST(destroy_before_it_runs)
{
    fixture_launch(&f, &(struct launch){.id = "c", .shell = "sleep 71236.5"});
    f.cz->ops->destroy(f.cz, "c");
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->reason, CONTAINER_DESTROYED);
    ck_assert_int_eq(s->n_started, 0);

    /* And while the launcher is at it. */
    fixture_launch(&f, &(struct launch){.id = "d", .shell = "sleep 71236.5"});
    fl_loop_run_once(f.loop);
    f.cz->ops->destroy(f.cz, "d");
    ck_assert_int_eq(fixture_wait_ended(&f, "d")->reason, CONTAINER_DESTROYED);
    ck_assert_int_eq(processes_with("71236.5"), 0);
}
END_TEST

START_TEST(signals_reach_the_group)
{
    struct fl_err err;

    ck_assert_int_lt(f.cz->ops->signal(f.cz, "c", SIGTERM, &err), 0);
    fixture_launch(
        &f, &(struct launch){
                .id = "c", .shell = "trap 'echo got; exit 5' TERM; sleep 71237.5 & echo up; wait"});
    fixture_wait_started(&f, "c");
    for (int i = 0; i < 500; i++) {
        _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
        if (strstr(out, "up"))
            break;
        fixture_run(&f, 10000);
    }
    ck_assert_msg(f.cz->ops->signal(f.cz, "c", SIGTERM, &err) == 0, "%s", err.msg);
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->status, 5 << 8);
    ck_assert_int_eq(processes_with("71237.5"), 0);
}
END_TEST

static bool uses_something(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->processes >= 2 && u->cpus_user_s > 0.05;
}

START_TEST(usage_and_status)
{
    struct container_usage u;
    struct fl_arena *arena = fl_arena_new(512);
    V1__ContainerStatus *st;

    fixture_launch(&f, &(struct launch){.id = "c",
                                        .shell = "sleep 100 & while :; do :; done",
                                        .resources = "cpus:0.5;mem:64"});
    const struct seen *s = fixture_wait_started(&f, "c");
    ck_assert(fixture_until(&f, uses_something, &u, 10000000));
    ck_assert_uint_gt(u.mem_rss_bytes, 100 << 10);
    ck_assert_uint_eq(u.mem_limit_bytes, 64 << 20);
    ck_assert(u.cpus_limit == 0.5 && u.timestamp > 1e9);
    ck_assert_int_eq(f.cz->ops->status(f.cz, "c", arena, &st), 0);
    ck_assert_uint_eq(st->executor_pid, (uint32_t)s->pid);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    ck_assert_int_lt(f.cz->ops->usage(f.cz, "c", &u), 0);
    fl_arena_free(arena);
}
END_TEST

START_TEST(a_killed_shim_is_not_waited_for)
{
    struct container_usage u;

    fixture_launch(&f, &(struct launch){.id = "c", .shell = "sleep 71238.5; true"});
    const struct seen *s = fixture_wait_started(&f, "c");
    char path[64], text[256];
    fl_snprintf(path, sizeof(path), "/proc/%d/stat", s->pid);
    FILE *stat = fopen(path, "re");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), stat));
    fclose(stat);
    int shim;
    ck_assert_int_eq(sscanf(strrchr(text, ')'), ") %*c %d", &shim), 1);
    kill(shim, SIGKILL);
    fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->status, SIGKILL);
    ck_assert_int_lt(f.cz->ops->usage(f.cz, "c", &u), 0);
    for (int i = 0; i < 100 && processes_with("71238.5"); i++)
        fixture_run(&f, 10000);
    ck_assert_int_eq(processes_with("71238.5"), 0);
}
END_TEST

static void kill_launcher(void)
{
    char path[64], text[64];
    /* The only child of ours that is one. */
    fl_snprintf(path, sizeof(path), "/proc/thread-self/children");
    FILE *c = fopen(path, "re");
    int pid;
    while (fscanf(c, "%d", &pid) == 1) {
        fl_snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        FILE *comm = fopen(path, "re");
        if (comm && fgets(text, sizeof(text), comm) && str_starts(text, "fl-launcher"))
            kill(pid, SIGKILL);
        if (comm)
            fclose(comm);
    }
    fclose(c);
}

START_TEST(without_a_launcher_launches_fail_with_a_word)
{
    fixture_launch(&f, &(struct launch){.id = "a", .shell = "sleep 100"});
    fixture_wait_started(&f, "a");
    kill_launcher();
    fixture_run(&f, 50000);
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "c", .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "launcher"));
    /* What runs goes on, and ends as it should. */
    f.cz->ops->destroy(f.cz, "a");
    ck_assert_int_eq(fixture_wait_ended(&f, "a")->reason, CONTAINER_DESTROYED);
}
END_TEST

START_TEST(many_at_once)
{
    char ids[40][8];

    for (int i = 0; i < 40; i++) {
        fl_snprintf(ids[i], sizeof(ids[i]), "c%d", i);
        char *cmd = xasprintf("exit %d", i);
        fixture_launch(&f, &(struct launch){.id = ids[i], .shell = cmd});
        free(cmd);
    }
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(fixture_wait_ended(&f, ids[i])->status, i << 8);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("containerizer");
    TCase *t = tcase_create("posix");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_posix, close_it);
    tcase_add_loop_test(t, ends_as_it_should, 0, (int)ARRAY_SIZE(end_rows));
    tcase_add_test(t, starts_in_the_sandbox_with_its_environment);
    tcase_add_test(t, finds_its_program_in_its_path);
    tcase_add_test(t, runs_as_the_user);
    tcase_add_test(t, refuses_an_unknown_user);
    tcase_add_test(t, refuses_a_link_as_output);
    tcase_add_test(t, refuses_what_is_impossible);
    tcase_add_test(t, destroy_ends_all_even_what_left_the_session);
    tcase_add_test(t, what_a_command_leaves_behind_ends_with_it);
    tcase_add_test(t, destroy_before_it_runs);
    tcase_add_test(t, signals_reach_the_group);
    tcase_add_test(t, usage_and_status);
    tcase_add_test(t, a_killed_shim_is_not_waited_for);
    tcase_add_test(t, without_a_launcher_launches_fail_with_a_word);
    tcase_add_test(t, many_at_once);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
