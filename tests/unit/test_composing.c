/* Several containerizers as one: who takes a launch, who hears of it afterwards, and that each recovers what it knows. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "agent/containerizer/composing.h"

#define LIST 256

struct fake {
    struct containerizer base; /* first */
    struct containerizer_callbacks cb;
    char launched[LIST], signalled[LIST], recovered[LIST], forgot[LIST];
    const char *known;
    bool freed;
};
struct heard {
    char recovered[LIST], ended[LIST];
    unsigned done;
    bool failed;
};

static void add(char list[LIST], const char *id)
{
    size_t n = strlen(list);

    ck_assert_int_eq(fl_snprintf(list + n, LIST - n, "%s ", id), 0);
}

static int f_launch(struct containerizer *c, const struct container_spec *spec, struct fl_err *err)
{
    add(((struct fake *)c)->launched, spec->container_id);
    return 0;
}

static int f_signal(struct containerizer *c, const char *id, int signo, struct fl_err *err)
{
    add(((struct fake *)c)->signalled, id);
    return 0;
}

static void f_recover(struct containerizer *c, const char *const *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(((struct fake *)c)->recovered, ids[i]);
}

static void f_forget(struct containerizer *c, const char *id)
{
    add(((struct fake *)c)->forgot, id);
}

static bool f_knows(struct containerizer *c, const char *id)
{
    const struct fake *f = (struct fake *)c;

    return f->known && streq(f->known, id);
}

static void f_free(struct containerizer *c)
{
    ((struct fake *)c)->freed = true;
}

static const struct containerizer_ops fake_ops = {.launch = f_launch,
                                                  .signal = f_signal,
                                                  .recover = f_recover,
                                                  .forget = f_forget,
                                                  .knows = f_knows,
                                                  .free = f_free};

static void on_recovered(void *arg, const char *id, pid_t pid)
{
    add(((struct heard *)arg)->recovered, id);
}

static void on_ended(void *arg, const char *id, const struct container_end *end)
{
    add(((struct heard *)arg)->ended, id);
}

static void on_done(void *arg, const struct fl_err *err)
{
    struct heard *h = arg;

    h->done++;
    h->failed = err != NULL;
}

static bool takes_any(const V1__ContainerInfo *info)
{
    return true;
}

static bool takes_docker(const V1__ContainerInfo *info)
{
    return info && info->type == V1__CONTAINER_INFO__TYPE__DOCKER;
}

struct world {
    struct heard heard;
    struct containerizer *all;
    struct fake mesos, docker;
};

/* `mesos` is made first, `docker` is tried first. */
static void set_up(struct world *w, int mesos_rank)
{
    const struct containerizer_callbacks cb = {
        .ended = on_ended, .recovered = on_recovered, .recovery_done = on_done, .arg = &w->heard};
    struct fl_err err;

    memset(w, 0, sizeof *w);
    w->mesos.base.ops = w->docker.base.ops = &fake_ops;
    w->all = composing_new(&cb, "docker,mesos");
    composing_callbacks(w->all, &w->mesos.cb);
    ck_assert_int_eq(composing_add(w->all, &w->mesos.base, mesos_rank, takes_any, &err), 0);
    composing_callbacks(w->all, &w->docker.cb);
    ck_assert_int_eq(composing_add(w->all, &w->docker.base, 0, takes_docker, &err), 0);
}

static void tear_down(struct world *w)
{
    w->all->ops->free(w->all);
    ck_assert(w->mesos.freed && w->docker.freed);
}

static int launch(struct world *w, const char *id, bool docker, struct fl_err *err)
{
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;
    const struct container_spec spec = {.container_id = id, .container = docker ? &info : NULL};

    info.type = V1__CONTAINER_INFO__TYPE__DOCKER;
    return w->all->ops->launch(w->all, &spec, err);
}

START_TEST(test_launch)
{
    struct world w;
    struct fl_err err;

    set_up(&w, 1);
    ck_assert_int_eq(launch(&w, "d", true, &err), 0);
    ck_assert_int_eq(launch(&w, "m", false, &err), 0);
    ck_assert_int_eq(launch(&w, "d.check", false, &err), 0);
    ck_assert_str_eq(w.docker.launched, "d d.check ");
    ck_assert_str_eq(w.mesos.launched, "m ");
    ck_assert_int_lt(launch(&w, "d", false, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    ck_assert_int_lt(launch(&w, "x.y", true, &err), 0);
    ck_assert_str_eq(err.msg, "Parent container x does not exist");
    ck_assert_int_eq(w.all->ops->signal(w.all, "d.check", 15, &err), 0);
    ck_assert_str_eq(w.docker.signalled, "d.check ");
    tear_down(&w);
}
END_TEST

START_TEST(test_end)
{
    struct world w;
    struct fl_err err;
    const struct container_end end = {.reason = CONTAINER_EXITED};

    set_up(&w, 1);
    ck_assert_int_eq(launch(&w, "d", true, &err), 0);
    ck_assert_int_eq(launch(&w, "d.n", true, &err), 0);
    w.docker.cb.ended(w.docker.cb.arg, "d.n", &end);
    ck_assert_int_eq(w.all->ops->signal(w.all, "d", 15, &err), 0);
    w.docker.cb.ended(w.docker.cb.arg, "d", &end);
    ck_assert_str_eq(w.heard.ended, "d.n d ");
    ck_assert_int_lt(w.all->ops->signal(w.all, "d", 15, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    w.all->ops->forget(w.all, "d");
    ck_assert_str_eq(w.docker.forgot, "d ");
    tear_down(&w);
}
END_TEST

/* One that is not named by the flag launches nothing, but has what it had. */
START_TEST(test_not_enabled)
{
    struct world w;
    struct fl_err err;

    set_up(&w, -1);
    ck_assert_int_lt(launch(&w, "m", false, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "None of the enabled containerizers (docker,mesos)"));
    tear_down(&w);
}
END_TEST

START_TEST(test_recovery)
{
    const char *const ids[] = {"a", "b", "c"};
    struct fl_err err, broken = {.reason = FL_INTERNAL, .msg = "broken"};
    struct world w;

    set_up(&w, 1);
    w.docker.known = "b";
    w.mesos.known = "c";
    w.all->ops->recover(w.all, ids, 3);
    ck_assert_str_eq(w.docker.recovered, "b ");
    ck_assert_str_eq(w.mesos.recovered, "a c "); /* nobody knows a: the first says so */
    w.docker.cb.recovered(w.docker.cb.arg, "b", 7);
    w.mesos.cb.recovered(w.mesos.cb.arg, "standalone", 8);
    w.docker.cb.recovery_done(w.docker.cb.arg, &broken);
    ck_assert_uint_eq(w.heard.done, 0);
    w.mesos.cb.recovery_done(w.mesos.cb.arg, NULL);
    ck_assert_uint_eq(w.heard.done, 1);
    ck_assert(w.heard.failed);
    ck_assert_str_eq(w.heard.recovered, "b standalone ");
    ck_assert_int_eq(w.all->ops->signal(w.all, "standalone", 15, &err), 0);
    ck_assert_str_eq(w.mesos.signalled, "standalone ");
    tear_down(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("composing");
    TCase *tc = tcase_create("composing");
    SRunner *sr = srunner_create(s);

    tcase_add_test(tc, test_launch);
    tcase_add_test(tc, test_end);
    tcase_add_test(tc, test_not_enabled);
    tcase_add_test(tc, test_recovery);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
