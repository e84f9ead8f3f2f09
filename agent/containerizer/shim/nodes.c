/* Device nodes that the plan asks for in a root of the container's own. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The folder is made when it is missing; what is there by that name goes. */
static int make_in(int dir, const char *name, const struct plan_node *n)
{
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return -1;
    if (mknodat(dir, name, (mode_t)n->mode, makedev(n->major, n->minor)) < 0)
        return -1;
    return fchownat(dir, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW);
}

static int make_node(const struct shim *s, const struct plan_record *r, struct shim_error *e)
{
    struct line folder = {.n = 0};
    struct plan_node n;
    const char *path;

    memcpy(&n, r->data, sizeof(n));
    if (!plan_strings(r, sizeof(n), &path, 1) || *path != '/')
        return fail(e, EPROTO, "understand", "plan");
    line_add(&folder, path);
    char *slash = strrchr(folder.text, '/');
    *slash = '\0';
    int dir = make_in_root(s, *folder.text ? folder.text : "/", true);
    int result =
        dir < 0 || make_in(dir, slash + 1, &n) < 0 ? fail(e, errno, "make the device", path) : 0;
    if (dir >= 0)
        close(dir);
    return result;
}

int make_nodes(const struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos;
    int result = 0;

    mode_t mask = umask(0);
    plan_begin(s->plan, s->plan_len, &pos);
    while (result == 0 && plan_next(s->plan, s->plan_len, &pos, &r) > 0)
        if (r.tag == PLAN_NODE)
            result = make_node(s, &r, e);
    umask(mask);
    return result;
}
