/* An agent is killed with -9 and comes back: what runs goes on, what ended is known, what nobody wants goes. The "agent" is a forked
 * child that has its own launcher; the test is the agent that comes after it. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/containerizer/runtime_dir.h"
#include "isolators/plan_format.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

static struct fixture f;

static const struct mode {
    const char *launcher, *isolation;
} modes[] = {
    {"posix", "posix/cpu,posix/mem"},
    {"linux", "cgroups/cpu,cgroups/mem"},
    {"linux", "cgroups/all,namespaces/pid,filesystem/linux,disk/du"},
};

static bool can_run(int mode)
{
    return streq(modes[mode].launcher, "posix") ||
           (geteuid() == 0 && access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) == 0);
}

static void close_it(void)
{
    if (!f.dir[0])
        return;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
    memset(&f, 0, sizeof(f));
}

/* Launches and waits until all run, in a child that is then killed. */
static void agent_that_dies(const struct launch *l, size_t n)
{
    int ready[2];
    char byte;

    stop(&f);
    ck_assert_int_eq(pipe(ready), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        fixture_reopen(&f);
        for (size_t i = 0; i < n; i++)
            fixture_launch(&f, &l[i]);
        for (size_t i = 0; i < n; i++)
            fixture_wait_started(&f, l[i].id);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool recovery_is_done(void *arg)
{
    return f.recovery_done;
}

static void come_back(const char *const *ids, size_t n)
{
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, n);
    ck_assert(fixture_until(&f, recovery_is_done, NULL, 10000000));
}

static void wait_gone(const char *text)
{
    for (int i = 0; i < 1000 && processes_with(text); i++)
        fixture_run(&f, 10000);
    ck_assert_int_eq(processes_with(text), 0);
}

START_TEST(checkpointed_ones_go_on)
{
    if (!can_run(_i))
        return;
    static const char *const ids[] = {"keep", "ends"};
    static const char *const more[] = {"--cgroups_cpu_enable_pids_and_tids_count", NULL};
    struct container_usage u;
    struct fl_err err;

    fixture_open(&f, modes[_i].launcher, modes[_i].isolation, more);
    agent_that_dies(
        (struct launch[]){
            {.id = "keep", .shell = "echo up; exec sleep 73001.5", .checkpoint = true},
            {.id = "ends",
             .shell = "while [ ! -e go ]; do sleep 0.02; done; exit 9",
             .checkpoint = true},
            {.id = "not", .shell = "exec sleep 73002.5"}},
        3);
    /* Those without checkpoint go with the agent; nobody is there to see it. */
    for (int i = 0; i < 500 && processes_with("73002.5"); i++)
        usleep(10000);
    ck_assert_int_eq(processes_with("73002.5"), 0);
    come_back(ids, 2);
    const struct seen *keep = fixture_seen(&f, "keep"), *ends = fixture_seen(&f, "ends");
    ck_assert(keep->recovered && ends->recovered && !keep->ended);
    ck_assert_int_eq(keep->n_recovered, 1);
    ck_assert_int_eq(keep->n_started, 0);
    ck_assert_int_eq(processes_with("73001.5"), 1);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "keep", &u), 0);
    ck_assert_uint_ge(u.processes, 1);

    _cleanup_free_ char *go = xasprintf("%s/sandbox-ends/go", f.dir);
    close(open(go, O_CREAT | O_WRONLY, 0644));
    fixture_wait_ended(&f, "ends");
    ck_assert_int_eq(ends->reason, CONTAINER_EXITED);
    ck_assert_int_eq(ends->status, 9 << 8);
    f.cz->ops->forget(f.cz, "ends");

    ck_assert_int_eq(f.cz->ops->signal(f.cz, "keep", SIGTERM, &err), 0);
    fixture_wait_ended(&f, "keep");
    ck_assert_int_eq(keep->status, SIGTERM);
    f.cz->ops->forget(f.cz, "keep");
    wait_gone("73001.5");
    for (int i = 0; i < 500 && fixture_leftovers(&f); i++)
        fixture_run(&f, 10000);
}
END_TEST

START_TEST(an_end_meanwhile_is_known)
{
    if (!can_run(_i))
        return;
    static const char *const ids[] = {"c", "never"};

    fixture_open(&f, modes[_i].launcher, modes[_i].isolation, NULL);
    agent_that_dies((struct launch[]){{.id = "c",
                                       .shell = "while [ ! -e go ]; do sleep 0.02; done; exit 7",
                                       .checkpoint = true}},
                    1);
    _cleanup_free_ char *go = xasprintf("%s/sandbox-c/go", f.dir),
                        *status = xasprintf("%s/run/containers/c/status", f.dir);
    close(open(go, O_CREAT | O_WRONLY, 0644));
    for (int i = 0; i < 1000 && access(status, F_OK) < 0; i++)
        usleep(10000);
    /* And once more: the agent that learns it may die before it has noted it. */
    for (int round = 0; round < 2; round++) {
        come_back(ids, 2);
        const struct seen *s = fixture_wait_ended(&f, "c");
        ck_assert_int_eq(s->n_recovered, 0);
        ck_assert_int_eq(s->reason, CONTAINER_EXITED);
        ck_assert_int_eq(s->status, 7 << 8);
        ck_assert_int_eq(fixture_wait_ended(&f, "never")->reason, CONTAINER_LOST);
    }
    f.cz->ops->forget(f.cz, "c");
    f.cz->ops->forget(f.cz, "c");
}
END_TEST

/* The command is over, its shim has yet to note it: stopped here where it would be only slow elsewhere. */
START_TEST(an_end_in_progress_is_waited_for)
{
    if (!can_run(_i))
        return;
    static const char *const ids[] = {"c"};
    int pidfd;

    fixture_open(&f, modes[_i].launcher, modes[_i].isolation, NULL);
    agent_that_dies((struct launch[]){{.id = "c",
                                       .shell = "while [ ! -e go ]; do sleep 0.02; done; exit 7",
                                       .checkpoint = true}},
                    1);
    _cleanup_free_ char *go = xasprintf("%s/sandbox-c/go", f.dir),
                        *folder = xasprintf("%s/run/containers/c", f.dir);
    pid_t shim = runtime_process(folder, "shim", &pidfd);
    ck_assert_int_gt(shim, 0);
    close(pidfd);
    ck_assert_int_eq(kill(shim, SIGSTOP), 0);
    close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    for (int i = 0; i < 1000 && runtime_process(folder, "started", &pidfd) > 0; i++) {
        close(pidfd);
        usleep(10000);
    }
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, 1);
    fixture_run(&f, 100000);
    bool early = f.recovery_done || fixture_seen(&f, "c")->ended;
    ck_assert_int_eq(kill(shim, SIGCONT), 0);
    ck_assert(!early);
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->reason, CONTAINER_EXITED);
    ck_assert_int_eq(s->status, 7 << 8);
    ck_assert(fixture_until(&f, recovery_is_done, NULL, 10000000));
    f.cz->ops->forget(f.cz, "c");
}
END_TEST

START_TEST(unwanted_ones_are_destroyed)
{
    if (!can_run(_i))
        return;
    fixture_open(&f, modes[_i].launcher, modes[_i].isolation, NULL);
    agent_that_dies(
        (struct launch[]){
            {.id = "c", .shell = "setsid sleep 73003.5 & exec sleep 73003.5", .checkpoint = true}},
        1);
    /* In the middle of an exec a process shows no command line. */
    for (int i = 0; i < 500 && !processes_with("73003.5"); i++)
        usleep(10000);
    ck_assert_int_ge(processes_with("73003.5"), 1);
    come_back(NULL, 0);
    wait_gone("73003.5");
    for (int i = 0; i < 500 && fixture_leftovers(&f); i++)
        fixture_run(&f, 10000);
    ck_assert_int_eq(fixture_seen(&f, "c")->n_ended, 0);
}
END_TEST

START_TEST(a_reused_pid_is_not_taken_for_it)
{
    static const char *const ids[] = {"c"};
    char text[64];

    fixture_open(&f, "posix", "posix/cpu", NULL);
    stop(&f);
    /* A folder as of before a reboot: our own pid with another start time. */
    _cleanup_free_ char *folder = xasprintf("%s/run/containers/c", f.dir),
                        *shim = xasprintf("%s/shim", folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    int fd = open(shim, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    int n = snprintf(text, sizeof(text), "%d 1\n", getpid());
    ck_assert_int_eq(write(fd, text, (size_t)n), n);
    close(fd);
    come_back(ids, 1);
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->reason, CONTAINER_LOST);
}
END_TEST

/* What another version of the agent launched: refused whole, with advice; destroyed where that is asked for. */
START_TEST(plans_of_another_version_are_refused)
{
    static const char *const ids[] = {"c"};
    const uint16_t version = (uint16_t)(PLAN_VERSION + (_i ? 1 : -1));

    fixture_open(&f, "posix", "posix/cpu,posix/mem", NULL);
    agent_that_dies(
        (struct launch[]){{.id = "c", .shell = "exec sleep 73004.5", .checkpoint = true}}, 1);
    _cleanup_free_ char *plan = xasprintf("%s/run/containers/c/plan", f.dir);
    int fd = open(plan, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(
        pwrite(fd, &version, sizeof(version), (off_t)offsetof(struct plan_head, version)),
        (ssize_t)sizeof(version));
    close(fd);
    f.may_refuse = true;
    come_back(ids, 1);
    ck_assert_ptr_nonnull(strstr(f.refusal, _i ? "a newer agent" : "an older agent"));
    ck_assert_ptr_nonnull(strstr(f.refusal, plan));
    ck_assert(!fixture_seen(&f, "c")->ended);
    ck_assert_int_eq(processes_with("73004.5"), 1);

    f.flags.strict = false;
    come_back(ids, 1);
    ck_assert_str_eq(f.refusal, "");
    wait_gone("73004.5");
    ck_assert(!fixture_seen(&f, "c")->recovered);
    ck_assert_int_ne(fixture_wait_ended(&f, "c")->reason, CONTAINER_EXITED);
    f.cz->ops->forget(f.cz, "c");
    for (int i = 0; i < 500 && fixture_leftovers(&f); i++)
        fixture_run(&f, 10000);
}
END_TEST

static const char *const garbage[] = {"",       "x",        "12", "12 ", "99999999999999999999 1\n",
                                      "-5 7\n", "1 2 3\n\n"};

START_TEST(garbage_in_a_folder_hurts_nobody)
{
    static const char *const files[] = {"plan", "shim", "started", "status"};

    fixture_open(&f, "posix", "posix/cpu", NULL);
    stop(&f);
    _cleanup_free_ char *folder = xasprintf("%s/run/containers/c", f.dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, files[i]);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_eq(write(fd, garbage[_i], strlen(garbage[_i])), (int)strlen(garbage[_i]));
        close(fd);
    }
    come_back(NULL, 0);
    fixture_run(&f, 10000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("container_recover");
    TCase *t = tcase_create("recover");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_loop_test(t, checkpointed_ones_go_on, 0, (int)ARRAY_SIZE(modes));
    tcase_add_loop_test(t, an_end_meanwhile_is_known, 0, (int)ARRAY_SIZE(modes));
    tcase_add_loop_test(t, an_end_in_progress_is_waited_for, 0, (int)ARRAY_SIZE(modes));
    tcase_add_loop_test(t, unwanted_ones_are_destroyed, 0, (int)ARRAY_SIZE(modes));
    tcase_add_test(t, a_reused_pid_is_not_taken_for_it);
    tcase_add_loop_test(t, plans_of_another_version_are_refused, 0, 2);
    tcase_add_loop_test(t, garbage_in_a_folder_hurts_nobody, 0, (int)ARRAY_SIZE(garbage));
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
