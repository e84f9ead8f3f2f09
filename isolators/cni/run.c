/* See run.h. */
#include "isolators/cni/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/base/child.h"
#include "common/base/log.h"
#include "isolators/cni/result.h"

#define PLUGIN_TIMEOUT_US (60 * 1000000ull)
#define MAX_RESULT        (256u << 10)
#define DEFAULT_PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define RUN_MAGIC         0xc4170001u

struct cni_run {
    unsigned magic;
    struct fl_loop *loop;
    struct cni_run_spec spec;
    cni_run_f *done;
    void *arg;
    size_t step; /* how many plug-ins have run */
    struct child *child;
    json_t *prev;  /* what the next one is given */
    char *result;  /* of ADD */
    char *program; /* that runs now */
    bool failed;
    struct fl_err err; /* the first failure */
};

void cni_run_free(struct cni_run *r)
{
    if (!r)
        return;
    child_leave(r->child);
    fl_loop_forget(r->loop, r);
    json_decref(r->prev);
    free(r->result);
    free(r->program);
    r->magic = 0;
    free(r);
}

static void finish(struct cni_run *r)
{
    cni_run_f *done = r->done;
    void *arg = r->arg;
    const struct fl_err err = r->err;
    bool failed = r->failed;
    _cleanup_free_ char *result = TAKE_PTR(r->result);

    cni_run_free(r);
    done(arg, failed ? NULL : result, failed ? &err : NULL);
}

static void note_failure(struct cni_run *r, const struct fl_err *err)
{
    if (!r->failed)
        r->err = *err;
    r->failed = true;
}

static size_t index_of(const struct cni_run *r)
{
    return r->spec.add ? r->step : cni_conf_plugins(r->spec.conf) - 1 - r->step;
}

static void say_failure(struct cni_run *r, const struct child_result *res, struct fl_err *err)
{
    char why[300];

    if (res->timed_out)
        fl_snprintf(why, sizeof(why), "it did not end within 60 s and was killed");
    else if (WIFSIGNALED(res->status))
        fl_snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(res->status));
    else
        cni_error_text(res->out, res->err, why, sizeof(why));
    fl_err_set(err, FL_UNAVAILABLE,
               "The CNI plugin '%s' failed to %s container %s %s CNI network '%s': %s", r->program,
               r->spec.add ? "attach" : "detach", r->spec.container_id, r->spec.add ? "to" : "from",
               cni_conf_name(r->spec.conf), why);
}

/* ADD: its answer is what the next one is given. */
static int take_result(struct cni_run *r, const struct child_result *res, struct fl_err *err)
{
    json_error_t why;
    json_t *root = res->cut ? NULL : json_loads(res->out, 0, &why);

    if (!root)
        return fl_err_set(err, FL_INVALID, "Failed to parse the output of the CNI plugin '%s': %s",
                          r->program, res->cut ? "it is too long" : why.text);
    json_decref(r->prev);
    r->prev = root;
    free(r->result);
    r->result = xstrdup(res->out);
    return 0;
}

static void next(struct cni_run *r);

static void ran(void *arg, const struct child_result *res)
{
    struct cni_run *r = FL_CAST(cni_run, RUN_MAGIC, arg);
    struct fl_err err;
    int result = 0;

    r->child = NULL;
    if (res->timed_out || !WIFEXITED(res->status) || WEXITSTATUS(res->status) != 0) {
        say_failure(r, res, &err);
        result = -EIO;
    } else if (r->spec.add) {
        result = take_result(r, res, &err);
    }
    if (result < 0)
        note_failure(r, &err);
    r->step++;
    next(r);
}

#define ENV_MAX 8
static void make_env(const struct cni_run *r, char *env[ENV_MAX])
{
    const struct cni_run_spec *s = &r->spec;
    const char *path = getenv("PATH");
    size_t n = 0;

    env[n++] = xasprintf("CNI_COMMAND=%s", s->add ? "ADD" : "DEL");
    env[n++] = xasprintf("CNI_CONTAINERID=%s", s->container_id);
    env[n++] = xasprintf("CNI_IFNAME=%s", s->ifname);
    env[n++] = xasprintf("CNI_PATH=%s", s->plugins_dir);
    env[n++] = xasprintf("PATH=%s", path ? path : DEFAULT_PATH);
    if (s->netns)
        env[n++] = xasprintf("CNI_NETNS=%s", s->netns);
    env[n] = NULL;
}

static int start(struct cni_run *r, struct fl_err *err)
{
    const struct cni_run_spec *s = &r->spec;
    const char *type = cni_conf_type(s->conf, index_of(r));
    char *env[ENV_MAX];

    free(r->program);
    r->program = s->plugins_dir ? cni_plugin_find(s->plugins_dir, s->launcher_dir, type) : NULL;
    if (!r->program)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Unable to find the plugin %s required to %s %s %s network '%s'; see "
                          "--network_cni_plugins_dir",
                          type, s->add ? "attach" : "detach", s->container_id,
                          s->add ? "to" : "from", cni_conf_name(s->conf));
    _cleanup_free_ char *request = cni_conf_request(s->conf, index_of(r), r->prev);
    const char *argv[] = {r->program, NULL};
    make_env(r, env);
    const struct child_spec spec = {.argv = argv,
                                    .env = (const char *const *)env,
                                    .input = request,
                                    .input_len = strlen(request),
                                    .timeout_us = PLUGIN_TIMEOUT_US,
                                    .max_output = MAX_RESULT};
    log_debug("Running CNI plugin '%s' to %s container '%s'", r->program, s->add ? "add" : "delete",
              s->container_id);
    int result = child_run(r->loop, &spec, ran, r, &r->child, err);
    for (size_t i = 0; env[i]; i++)
        free(env[i]);
    return result;
}

static void next(struct cni_run *r)
{
    struct fl_err err;

    while (r->step < cni_conf_plugins(r->spec.conf) && !(r->failed && r->spec.add)) {
        if (start(r, &err) == 0)
            return;
        note_failure(r, &err);
        r->step++;
    }
    finish(r);
}

static void begin(void *arg)
{
    next(FL_CAST(cni_run, RUN_MAGIC, arg));
}

struct cni_run *cni_run(struct fl_loop *loop, const struct cni_run_spec *spec, cni_run_f *done,
                        void *arg)
{
    struct cni_run *r = xnew0(struct cni_run);

    *r =
        (struct cni_run){.magic = RUN_MAGIC, .loop = loop, .spec = *spec, .done = done, .arg = arg};
    if (!spec->add && spec->added && cni_conf_version_is(spec->conf, 0, 4))
        r->prev = json_loads(spec->added, 0, NULL);
    fl_loop_defer(loop, begin, r);
    return r;
}

/* ---- plug-ins of an earlier agent ---- */

/* Their own helpers inherit the variable, so they are found as well. */
static bool has_variable(const char *pid, const char *variable)
{
    char path[64], text[4096];
    size_t n = 0, len = strlen(variable) + 1;
    ssize_t k;

    fl_snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && n < sizeof(text) && (k = read(fd, text + n, sizeof(text) - n)) > 0)
        n += (size_t)k;
    for (size_t i = 0; i + len <= n; i += strnlen(text + i, n - i) + 1)
        if (memcmp(text + i, variable, len) == 0)
            return true;
    return false;
}

bool cni_run_under_way(const char *container_id)
{
    _cleanup_free_ char *variable = xasprintf("CNI_CONTAINERID=%s", container_id);
    DIR *d = opendir("/proc");
    const struct dirent *e;
    bool found = false;

    while (d && !found && (e = readdir(d)))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
            found = has_variable(e->d_name, variable);
    if (d)
        closedir(d);
    return found;
}
