/* See cgroup_v2.h. */
#include "isolators/cgroup_v2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/buf.h"

/* Of root containers' names, the one that is the agent's own group; of groups in a container, the one for its processes. */
#define AGENT "agent"
#define LEAF  "leaf"

static int write_text(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -errno;
}

static int make_folder(const char *path, struct fl_err *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST
               ? 0
               : fl_err_errno(err, errno, "make the cgroup '%s'", path);
}

bool cgroup_v2_has(const char *mount, const char *controller)
{
    _cleanup_free_ char *path = xasprintf("%s/cgroup.controllers", mount);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[512];
    size_t len = strlen(controller);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n < 0)
        return false;
    if (len == 0)
        return true;
    text[n] = '\0';
    for (const char *p = text; *p; p += strspn(p, " \n")) {
        size_t k = strcspn(p, " \n");
        if (k == len && memcmp(p, controller, k) == 0)
            return true;
        p += k;
    }
    return false;
}

/* Where we are below the mount, "/" at its top; the caller's. */
static char *own_group(void)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[4096], *found = NULL;

    while (f && !found && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            found = xstrdup(line + 3);
    }
    if (f)
        fclose(f);
    return found;
}

/* The agent, its launcher, and whoever else is in the group we were started in. */
static int move_all(const char *from, const char *to, struct fl_err *err)
{
    _cleanup_free_ char *source = xasprintf("%s/cgroup.procs", from),
                        *target = xasprintf("%s/cgroup.procs", to);
    char pid[32];
    FILE *f = fopen(source, "re");
    int r = f ? 0 : fl_err_errno(err, errno, "read '%s'", source);

    while (r == 0 && fgets(pid, sizeof(pid), f)) {
        int k = write_text(target, pid);
        if (k < 0 && k != -ESRCH)
            r = fl_err_errno(err, -k, "move process %.*s to '%s'", (int)strcspn(pid, "\n"), pid,
                             to);
    }
    if (f)
        fclose(f);
    return r;
}

/* In a slice that systemd has delegated to us, or at the top of a cgroup namespace, we are ourselves what keeps controllers from being
 * passed on. */
static int step_aside(const struct cgroup_room *r, const char *group, struct fl_err *err)
{
    _cleanup_free_ char *own = own_group(),
                        *here = xasprintf("%s%s", r->mount, own && !streq(own, "/") ? own : ""),
                        *root = xasprintf("%s/%s", r->mount, r->root),
                        *agent = xasprintf("%s/" AGENT, root), *leaf = xasprintf("%s/" LEAF, agent);

    if (!own || !streq(here, group))
        return -EBUSY;
    int k = make_folder(root, err);
    if (k == 0)
        k = make_folder(agent, err);
    if (k == 0)
        k = make_folder(leaf, err);
    return k < 0 ? k : move_all(group, leaf, err);
}

static int enable(const struct cgroup_room *r, const char *group, struct fl_err *err)
{
    if (!*r->controller)
        return 0;
    _cleanup_free_ char *path = xasprintf("%s/cgroup.subtree_control", group),
                        *text = xasprintf("+%s", r->controller);
    int k = write_text(path, text);

    if (k == -EBUSY && step_aside(r, group, err) == 0)
        k = write_text(path, text);
    if (k == -EBUSY)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "cannot enable the cgroup controller '%s' in '%s', because there are "
                          "processes in it; move them to a group below it",
                          r->controller, group);
    return k < 0
               ? fl_err_errno(err, -k,
                              "enable the cgroup controller '%s' in '%s' (is it delegated to us?)",
                              r->controller, group)
               : 0;
}

/* Makes what `folder` names below `group`, part by part, and enables the controller in each. */
static int descend(const struct cgroup_room *r, const char *group, const char *folder,
                   struct fl_buf *at, struct fl_err *err)
{
    int k = 0;

    fl_buf_adds(at, group);
    while (*folder && k == 0) {
        size_t n = strcspn(folder, "/");
        if (n) {
            fl_buf_addc(at, '/');
            fl_buf_add(at, folder, n);
            k = make_folder(fl_buf_cstr(at), err);
            if (k == 0)
                k = enable(r, fl_buf_cstr(at), err);
        }
        folder += n + (folder[n] == '/');
    }
    return k;
}

int cgroup_v2_root(const struct cgroup_room *r, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf at = FL_BUF_INIT;
    int k = enable(r, r->mount, err);

    return k < 0 ? k : descend(r, r->mount, r->root, &at, err);
}

static int make_once(const struct cgroup_room *r, const char *id, struct fl_err *err)
{
    _cleanup_free_ char *root = xasprintf("%s/%s", r->mount, r->root),
                        *path = cgroup_path(r, id, "");
    _cleanup_buf_ struct fl_buf at = FL_BUF_INIT;
    int k = descend(r, root, path + strlen(root) + 1, &at, err);

    if (k < 0)
        return k;
    fl_buf_adds(&at, "/" LEAF);
    return make_folder(fl_buf_cstr(&at), err);
}

int cgroup_v2_make(const struct cgroup_room *r, const char *id, struct fl_err *err)
{
    if (streq(id, AGENT))
        return fl_err_set(err, FL_INVALID, "a container cannot be called '%s'", id);
    int k = make_once(r, id, err);
    if (k != -ENOENT)
        return k;
    /* Somebody has removed --cgroups_root. */
    k = cgroup_v2_root(r, err);
    return k < 0 ? k : make_once(r, id, err);
}
