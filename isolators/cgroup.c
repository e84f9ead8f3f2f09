/* See cgroup.h. */
#include "isolators/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

bool cgroup_is_v2(const struct isolator_config *config)
{
    struct statfs st;

    return statfs(config->cgroups_hierarchy, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

/* libcgroup reads the mounts once a process. */
static int library_init(struct fl_err *err)
{
    static bool done;

    if (done)
        return 0;
    int r = cgroup_init();
    if (r != 0)
        return fl_err_set(err, FL_UNSUPPORTED, "cannot use the cgroups of this machine: %s",
                          cgroup_strerror(r));
    done = true;
    return 0;
}

static int find_mount(const char *controller, char **ret, struct fl_err *err)
{
    char *mount = NULL;

    int r = library_init(err);
    if (r < 0)
        return r;
    r = cgroup_get_subsys_mount_point(controller, &mount);
    if (r != 0)
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "the cgroup controller '%s' is not mounted: %s; mount it or leave the isolator out",
            controller, cgroup_strerror(r));
    *ret = xstrdup(mount);
    free(mount);
    return 0;
}

int cgroup_room_open(const struct isolator_config *config, const char *controller,
                     struct cgroup_room *ret, struct fl_err *err)
{
    struct cgroup_room r = {.v2 = cgroup_is_v2(config)};

    if (!streq(config->launcher, "linux"))
        return fl_err_set(err, FL_UNSUPPORTED, "cgroups need --launcher=linux");
    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "cgroups need root; run the agent as root or with --launcher=posix");
    fl_snprintf(r.controller, sizeof(r.controller), "%s", controller);
    if (*controller) {
        int k = find_mount(controller, &r.mount, err);
        if (k < 0)
            return k;
    } else {
        r.mount = xstrdup(config->cgroups_hierarchy);
    }
    r.root = xstrdup(config->cgroups_root);
    *ret = r;
    return 0;
}

void cgroup_room_done(struct cgroup_room *r)
{
    free(r->mount);
    free(r->root);
    r->mount = r->root = NULL;
}

char *cgroup_path(const struct cgroup_room *r, const char *id, const char *file)
{
    return xasprintf("%s/%s/%s%s%s", r->mount, r->root, id, *file ? "/" : "", file);
}

/* Without a controller there is nothing that libcgroup could make. */
static int make_plain(const struct cgroup_room *r, const char *id, struct fl_err *err)
{
    _cleanup_free_ char *root = xasprintf("%s/%s", r->mount, r->root),
                        *path = cgroup_path(r, id, "");

    if ((mkdir(root, 0755) < 0 && errno != EEXIST) || (mkdir(path, 0755) < 0 && errno != EEXIST))
        return fl_err_errno(err, errno, "make the cgroup '%s'", path);
    return 0;
}

int cgroup_make(const struct cgroup_room *r, const char *id, const struct cgroup_value *values,
                size_t n, struct fl_err *err)
{
    if (!*r->controller)
        return make_plain(r, id, err);
    _cleanup_free_ char *name = xasprintf("%s/%s", r->root, id);
    struct cgroup *cg = cgroup_new_cgroup(name);
    struct cgroup_controller *c = cg ? cgroup_add_controller(cg, r->controller) : NULL;
    int k = c ? 0 : ECGFAIL;

    for (size_t i = 0; i < n && k == 0; i++)
        k = cgroup_add_value_string(c, values[i].name, values[i].text);
    if (k == 0)
        k = cgroup_create_cgroup(cg, 1);
    if (cg)
        cgroup_free(&cg);
    return k == 0 ? 0
                  : fl_err_set(err, FL_INTERNAL, "make the cgroup '%s' of controller '%s': %s",
                               name, r->controller, cgroup_strerror(k));
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
static uint32_t each_pid(const struct cgroup_room *r, const char *id, const char *file,
                         void (*fn)(pid_t pid))
{
    _cleanup_free_ char *path = cgroup_path(r, id, file);
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
                fn(pid);
            pid = 0;
        }
    return count;
}

uint32_t cgroup_count(const struct cgroup_room *r, const char *id, const char *file)
{
    return each_pid(r, id, file, NULL);
}

static void kill_it(pid_t pid)
{
    kill(pid, SIGKILL);
}

static void kill_members(const struct cgroup_room *r, const char *id)
{
    if (r->v2 && cgroup_write(r, id, "cgroup.kill", "1", NULL) == 0)
        return;
    /* Frozen, none can fork between being listed and being killed. */
    bool freezer = streq(r->controller, "freezer");
    if (freezer)
        cgroup_write(r, id, "freezer.state", "FROZEN", NULL);
    each_pid(r, id, "cgroup.procs", kill_it);
    if (freezer)
        cgroup_write(r, id, "freezer.state", "THAWED", NULL);
}

int cgroup_remove(const struct cgroup_room *r, const char *id)
{
    _cleanup_free_ char *path = cgroup_path(r, id, "");

    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    kill_members(r, id);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -EAGAIN;
}

void cgroup_each(const struct cgroup_room *r, void (*found)(void *arg, const char *id), void *arg)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", r->mount, r->root);
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            found(arg, e->d_name);
    if (d)
        closedir(d);
}
