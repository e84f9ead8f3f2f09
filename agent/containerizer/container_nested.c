/* Nested containers: their ids and the place of their sandboxes.
 *
 * The sandbox of "root.a.b" is containers/a/containers/b below root's. All of that belongs to the root's user, who may put links
 * anywhere in it, so it is made, and later opened by the shim, beneath the root's sandbox and through no link. */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/syscall.h>

#include "isolators/sandbox_path.h"

char *container_parent_id(const char *id)
{
    const char *dot = strrchr(id, '.');

    return dot ? xstrndup(id, (size_t)(dot - id)) : NULL;
}

const struct container *container_root(const struct container *c)
{
    while (c->parent)
        c = c->parent;
    return c;
}

V1__ContainerID *container_id_pb(struct fl_arena *arena, const char *id)
{
    V1__ContainerID *pb = NULL;

    for (const char *p = id; *p;) {
        size_t n = strcspn(p, ".");
        V1__ContainerID *one = FL_ARENA_NEW(arena, V1__ContainerID, v1__container_id);

        one->value = fl_arena_alloc(arena, n + 1);
        memcpy(one->value, p, n);
        one->value[n] = '\0';
        one->parent = pb;
        pb = one;
        p += n + (p[n] == '.');
    }
    return pb;
}

char *container_id_text(const V1__ContainerID *id)
{
    char *text = xstrdup(id->value);

    for (id = id->parent; id; id = id->parent) {
        char *longer = xasprintf("%s.%s", id->value, text);
        free(text);
        text = longer;
    }
    return text;
}

char *container_nested_path(const char *id)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    for (const char *p = strchr(id, '.'); p;) {
        size_t n = strcspn(++p, ".");
        fl_buf_addf(&b, "%scontainers/%.*s", b.len ? "/" : "", (int)n, p);
        p = p[n] ? p + n : NULL;
    }
    return xstrdup(fl_buf_cstr(&b));
}

int container_open_below(const char *root, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    _cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = dir < 0 ? -1 : (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

static int give_to(const char *root, const char *path, const char *user, struct fl_err *err)
{
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (getpwnam_r(user, &pw, buf, sizeof(buf), &found) != 0 || !found)
        return fl_err_set(err, FL_INVALID,
                          "no user '%s' on this machine; create it or name another", user);
    _cleanup_close_ int fd = container_open_below(root, path);
    if (fd < 0 || fchown(fd, pw.pw_uid, pw.pw_gid) < 0)
        return fl_err_errno(err, fd < 0 ? -fd : errno, "give '%s' in the sandbox '%s' to '%s'",
                            path, root, user);
    return 0;
}

int container_nested_sandbox(const struct container *parent, const char *id, const char *user,
                             char **ret, struct fl_err *err)
{
    const struct container *root = container_root(parent);
    _cleanup_free_ char *path = container_nested_path(id);

    if (!root->sandbox)
        return fl_err_set(err, FL_INTERNAL, "Unexpected empty sandbox directory for container '%s'",
                          root->id);
    int r = sandbox_make(root->sandbox, path, SANDBOX_DIR, NULL, err);
    if (r == 0 && user && !streq(user, root->user))
        r = give_to(root->sandbox, path, user, err);
    if (r == 0)
        *ret = xasprintf("%s/%s", root->sandbox, path);
    return r;
}
