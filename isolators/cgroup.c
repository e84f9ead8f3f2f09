/* See cgroup.h. */
#include "isolators/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>

#include "common/base/buf.h"
#include "isolators/cgroup_v2.h"

#define BETWEEN   "mesos" /* below it, in a container's group, are those nested in it */
#define LEAF      "leaf"
#define MAX_DEPTH 64

/* "a.b" as a path: "a/mesos/b". */
static void add_folder(struct fl_buf *b, const char *id)
{
    for (const char *p = id; *p;) {
        size_t n = strcspn(p, ".");
        fl_buf_add(b, p, n);
        p += n;
        if (*p) {
            fl_buf_adds(b, "/" BETWEEN "/");
            p++;
        }
    }
}

char *cgroup_path(const struct cgroup_room *r, const char *id, const char *file)
{
    struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b, "%s/%s/", r->mount, r->root);
    add_folder(&b, id);
    if (*file)
        fl_buf_addf(&b, "/%s", file);
    return fl_buf_take(&b);
}

char *cgroup_procs(const struct cgroup_room *r, const char *id)
{
    return cgroup_path(r, id, r->v2 ? LEAF "/cgroup.procs" : "cgroup.procs");
}

static int make_v1(const struct cgroup_room *r, const char *id, const struct cgroup_value *values,
                   size_t n, struct fl_err *err)
{
    _cleanup_free_ char *path = cgroup_path(r, id, "");
    struct cgroup *cg = cgroup_new_cgroup(path + strlen(r->mount) + 1);
    struct cgroup_controller *c = cg ? cgroup_add_controller(cg, r->controller) : NULL;
    int k = c ? 0 : ECGFAIL;

    for (size_t i = 0; i < n && k == 0; i++)
        k = cgroup_add_value_string(c, values[i].name, values[i].text);
    if (k == 0)
        k = cgroup_create_cgroup(cg, 1);
    if (cg)
        cgroup_free(&cg);
    return k == 0
               ? 0
               : fl_err_set(err, FL_INTERNAL, "make the cgroup '%s': %s", path, cgroup_strerror(k));
}

int cgroup_make(const struct cgroup_room *r, const char *id, const struct cgroup_value *values,
                size_t n, struct fl_err *err)
{
    if (!r->v2)
        return make_v1(r, id, values, n, err);
    int k = cgroup_v2_make(r, id, err);
    for (size_t i = 0; i < n && k == 0; i++)
        k = cgroup_write(r, id, values[i].name, values[i].text, err);
    return k;
}

int cgroup_write(const struct cgroup_room *r, const char *id, const char *file, const char *text,
                 struct fl_err *err)
{
    _cleanup_free_ char *path = cgroup_path(r, id, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return fl_err_errno(err, errno, "write '%s' to '%s'", text, path);
    return 0;
}

int cgroup_read(const struct cgroup_room *r, const char *id, const char *file, char *buf,
                size_t size)
{
    _cleanup_free_ char *path = cgroup_path(r, id, file);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return (int)n;
}

int cgroup_read_u64(const struct cgroup_room *r, const char *id, const char *file, uint64_t *ret)
{
    char buf[64];
    int n = cgroup_read(r, id, file, buf, sizeof(buf));

    if (n < 0)
        return n;
    buf[strcspn(buf, "\n")] = '\0';
    return fl_parse_u64(buf, ret);
}

bool cgroup_key(const char *text, const char *key, uint64_t *ret)
{
    size_t n = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        char number[32];
        if (strncmp(line, key, n) != 0 || line[n] != ' ')
            continue;
        if (fl_snprintf(number, sizeof(number), "%.*s", (int)strcspn(line + n + 1, "\n"),
                        line + n + 1) < 0)
            return false;
        return fl_parse_u64(number, ret) == 0;
    }
    return false;
}

/* Calls fn for each pid of the file; returns how many. */
static uint32_t each_pid(const char *path, void (*fn)(pid_t pid, void *arg), void *arg)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char buf[4096];
    uint32_t count = 0;
    pid_t pid = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\n') {
                pid = pid * 10 + (buf[i] - '0');
                continue;
            }
            count++;
            if (fn && pid > 0)
                fn(pid, arg);
            pid = 0;
        }
    return count;
}

uint32_t cgroup_count(const struct cgroup_room *r, const char *id, bool threads)
{
    const char *file = r->v2 ? (threads ? LEAF "/cgroup.threads" : LEAF "/cgroup.procs")
                             : (threads ? "tasks" : "cgroup.procs");
    _cleanup_free_ char *path = cgroup_path(r, id, file);

    return each_pid(path, NULL, NULL);
}

void cgroup_each_process(const struct cgroup_room *r, const char *id,
                         void (*fn)(pid_t pid, void *arg), void *arg)
{
    _cleanup_free_ char *path = cgroup_procs(r, id);

    each_pid(path, fn, arg);
}

static void kill_it(pid_t pid, void *arg)
{
    kill(pid, SIGKILL);
}

/* Calls fn for each folder in this one, with its path. */
static void each_below(const char *path, void (*fn)(void *arg, const char *path, const char *name),
                       void *arg)
{
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            _cleanup_free_ char *below = xasprintf("%s/%s", path, e->d_name);
            fn(arg, below, e->d_name);
        }
    if (d)
        closedir(d);
}

/* A task that runs as root can make groups in its own, as deep as it likes. */
struct depth {
    int left;
};

static void kill_below(void *arg, const char *path, const char *name)
{
    const struct depth *d = arg;
    struct depth below = {d->left - 1};
    _cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", path);

    each_pid(procs, kill_it, NULL);
    if (below.left > 0)
        each_below(path, kill_below, &below);
}

static void remove_below(void *arg, const char *path, const char *name)
{
    const struct depth *d = arg;
    struct depth below = {d->left - 1};

    if (rmdir(path) == 0 || errno == ENOENT || below.left == 0)
        return;
    each_below(path, remove_below, &below);
    rmdir(path);
}

static void kill_members(const struct cgroup_room *r, const char *id, const char *path)
{
    struct depth all = {MAX_DEPTH};

    if (r->v2 && cgroup_write(r, id, "cgroup.kill", "1", NULL) == 0)
        return;
    /* Frozen, none can fork between being listed and being killed. */
    bool freezer = streq(r->controller, "freezer");
    if (freezer)
        cgroup_write(r, id, "freezer.state", "FROZEN", NULL);
    kill_below(&all, path, "");
    if (freezer)
        cgroup_write(r, id, "freezer.state", "THAWED", NULL);
}

/* What lay between it and the container that it is nested in; others nested there may still need it. */
static void remove_between(const struct cgroup_room *r, const char *id, char *path)
{
    if (!strchr(id, '.'))
        return;
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* No container can have that name (cgroup_v2_make), but one that was refused it is cleaned up all the same. */
static bool is_agents(const struct cgroup_room *r, const char *id)
{
    return r->v2 && streq(id, "agent");
}

int cgroup_remove(const struct cgroup_room *r, const char *id)
{
    if (is_agents(r, id))
        return 0;
    _cleanup_free_ char *path = cgroup_path(r, id, "");
    struct depth all = {MAX_DEPTH};

    if (r->v2) {
        _cleanup_free_ char *leaf = cgroup_path(r, id, LEAF);
        rmdir(leaf);
    }
    bool gone = rmdir(path) == 0 || errno == ENOENT;

    if (!gone) {
        kill_members(r, id, path);
        remove_below(&all, path, "");
        gone = access(path, F_OK) < 0;
    }
    if (gone)
        remove_between(r, id, path);
    return gone ? 0 : -EAGAIN;
}

struct each {
    const struct cgroup_room *room;
    const char *parent; /* or NULL */
    void (*found)(void *arg, const char *id);
    void *arg;
};

static void each_one(void *arg, const char *path, const char *name)
{
    const struct each *e = arg;

    if (!e->parent && is_agents(e->room, name))
        return;
    _cleanup_free_ char *id = e->parent ? xasprintf("%s.%s", e->parent, name) : xstrdup(name),
                        *nested = xasprintf("%s/" BETWEEN, path);
    struct each below = *e;
    below.parent = id;
    e->found(e->arg, id);
    each_below(nested, each_one, &below);
}

void cgroup_each(const struct cgroup_room *r, void (*found)(void *arg, const char *id), void *arg)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", r->mount, r->root);
    struct each e = {.room = r, .found = found, .arg = arg};

    each_below(path, each_one, &e);
}
