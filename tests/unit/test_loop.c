/* Loop, timers, posting, env, RecordIO. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/env.h"
#include "common/base/loop.h"

struct seen {
    struct fl_loop *loop;
    int n;
    int order[64];
    struct fl_timer *timer;
};

static struct fl_loop *new_loop(void)
{
    struct fl_loop *loop = NULL;
    struct fl_err err;
    ck_assert_int_eq(fl_loop_new(&loop, &err), 0);
    return loop;
}

static void stop(void *arg)
{
    struct seen *s = arg;
    s->n++;
    fl_loop_stop(s->loop);
}

START_TEST(timer_never_early)
{
    struct seen s = {.loop = new_loop()};
    struct fl_timer *t = fl_timer_new(s.loop, stop, &s);
    uint64_t before = fl_loop_now_us(s.loop);
    fl_timer_set(t, 500000);
    fl_timer_set(t, 7300); /* replaces */
    fl_loop_run(s.loop);
    ck_assert_uint_ge(fl_loop_now_us(s.loop) - before, 7300);
    ck_assert_uint_lt(fl_loop_now_us(s.loop) - before, 400000);
    ck_assert_int_eq(s.n, 1);
    fl_timer_free(t);
    fl_loop_free(s.loop);
}
END_TEST

static void free_timer(void *arg)
{
    struct seen *s = arg;
    fl_timer_free(s->timer);
    stop(s);
}

START_TEST(timer_freed_in_callback)
{
    struct seen s = {.loop = new_loop()};
    s.timer = fl_timer_new(s.loop, free_timer, &s);
    fl_timer_set(s.timer, 0);
    fl_loop_run(s.loop);
    ck_assert_int_eq(s.n, 1);
    fl_loop_free(s.loop);
}
END_TEST

struct busy {
    struct fl_loop *loop;
    struct fl_timer *timer;
    int turns, jobs;
};

static void again_and_again(void *arg)
{
    struct busy *b = arg;
    b->turns++;
    fl_timer_set(b->timer, 0);
    if (b->turns > 100000)
        fl_loop_stop(b->loop); /* nobody else had a turn */
}

static void job_after_job(void *arg)
{
    struct busy *b = arg;
    if (++b->jobs == 1000)
        fl_loop_stop(b->loop);
    else
        fl_loop_post(b->loop, job_after_job, b);
}

/* Work in slices, each a timer that is due at once, and what is posted have their turns by turns. */
START_TEST(a_timer_that_is_always_due_holds_up_nobody)
{
    struct busy b = {.loop = new_loop()};
    b.timer = fl_timer_new(b.loop, again_and_again, &b);
    fl_timer_set(b.timer, 0);
    fl_loop_post(b.loop, job_after_job, &b);
    fl_loop_run(b.loop);
    ck_assert_int_eq(b.jobs, 1000);
    ck_assert_int_lt(b.turns, 10000);
    fl_timer_free(b.timer);
    fl_loop_free(b.loop);
}
END_TEST

#define POSTS 20000

static void count(void *arg)
{
    struct seen *s = arg;
    if (++s->n == POSTS)
        fl_loop_stop(s->loop);
}

static void *poster(void *arg)
{
    struct seen *s = arg;
    for (int i = 0; i < POSTS / 2; i++)
        fl_loop_post(s->loop, count, s);
    return NULL;
}

START_TEST(posts_from_threads)
{
    struct seen s = {.loop = new_loop()};
    pthread_t a, b;
    pthread_create(&a, NULL, poster, &s);
    pthread_create(&b, NULL, poster, &s);
    fl_loop_run(s.loop);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    ck_assert_int_eq(s.n, POSTS);
    fl_loop_free(s.loop);
}
END_TEST

static void second(void *arg)
{
    struct seen *s = arg;
    s->order[s->n] = 2;
    stop(s);
}

static void first(void *arg)
{
    struct seen *s = arg;
    fl_loop_defer(s->loop, second, s);
    s->order[s->n++] = 1;
}

START_TEST(defer_runs_after)
{
    struct seen s = {.loop = new_loop()};
    fl_loop_post(s.loop, first, &s);
    fl_loop_run(s.loop);
    ck_assert_int_eq(s.order[0], 1);
    ck_assert_int_eq(s.order[1], 2);
    fl_loop_free(s.loop);
}
END_TEST

static void mark(void *arg)
{
    ++*(int *)arg;
}

START_TEST(free_runs_what_waits)
{
    int n = 0;
    struct fl_loop *loop = new_loop();
    fl_loop_post(loop, mark, &n);
    fl_loop_defer(loop, mark, &n);
    fl_loop_free(loop);
    ck_assert_int_eq(n, 2);
}
END_TEST

static void on_fd(int fd, bool readable, bool writable, void *arg)
{
    struct seen *s = arg;
    uint64_t v;
    ck_assert(readable && !writable);
    ck_assert_int_eq((int)read(fd, &v, sizeof v), (int)sizeof v);
    stop(s);
}

START_TEST(watch_and_signal)
{
    struct seen s = {.loop = new_loop()};
    struct fl_watch *w = NULL;
    struct fl_signal *sig = NULL;
    struct fl_err err;
    int fd = eventfd(1, EFD_CLOEXEC);
    ck_assert_int_eq(fl_watch_new(s.loop, fd, true, false, on_fd, &s, &w, &err), 0);
    fl_loop_run(s.loop);
    ck_assert_int_eq(s.n, 1);
    fl_watch_free(w);
    close(fd);
    ck_assert_int_eq(fl_signal_new(s.loop, SIGUSR1, stop, &s, &sig, &err), 0);
    raise(SIGUSR1);
    fl_loop_run(s.loop);
    ck_assert_int_eq(s.n, 2);
    fl_signal_free(sig);
    fl_loop_free(s.loop);
}
END_TEST

START_TEST(uuid)
{
    struct fl_loop *loop = new_loop();
    struct env e = env_from_loop(loop);
    uint8_t a[FL_UUID_LEN], b[FL_UUID_LEN];
    char text[FL_UUID_STR];
    fl_uuid_make(&e, a);
    fl_uuid_make(&e, b);
    ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
    fl_uuid_format(a, text);
    ck_assert_int_eq((int)strlen(text), 36);
    ck_assert_int_eq(text[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", text[19]));
    memset(a, 0xab, sizeof a);
    fl_uuid_format(a, text);
    ck_assert_str_eq(text, "abababab-abab-abab-abab-abababababab");
    ck_assert_uint_gt(env_wall_ns(&e), 1700000000000000000ull);
    fl_loop_free(loop);
}
END_TEST

/* Random bytes are taken from the kernel in stock: no uuid comes twice, and a child does not go on with its parent's. */
START_TEST(uuids_are_not_repeated)
{
    enum { N = 1000 };
    static uint8_t all[N][FL_UUID_LEN];
    struct fl_loop *loop = new_loop();
    struct env e = env_from_loop(loop);
    uint8_t own[FL_UUID_LEN], childs[FL_UUID_LEN];
    int fds[2], status;
    pid_t pid;

    for (int i = 0; i < N; i++) {
        fl_uuid_make(&e, all[i]);
        for (int k = 0; k < i; k++)
            ck_assert_mem_ne(all[i], all[k], FL_UUID_LEN);
    }
    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fl_uuid_make(&e, childs);
        _exit(write(fds[1], childs, sizeof childs) == sizeof childs ? 0 : 1);
    }
    fl_uuid_make(&e, own);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(fds[0], childs, sizeof childs), sizeof childs);
    ck_assert_mem_ne(own, childs, FL_UUID_LEN);
    close(fds[0]);
    close(fds[1]);
    fl_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *t = tcase_create("loop");
    tcase_add_test(t, timer_never_early);
    tcase_add_test(t, timer_freed_in_callback);
    tcase_add_test(t, a_timer_that_is_always_due_holds_up_nobody);
    tcase_add_test(t, posts_from_threads);
    tcase_add_test(t, defer_runs_after);
    tcase_add_test(t, free_runs_what_waits);
    tcase_add_test(t, watch_and_signal);
    tcase_add_test(t, uuid);
    tcase_add_test(t, uuids_are_not_repeated);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
