#include "agent/disk_trash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/disk.h"
#include "common/base/child.h"
#include "common/base/log.h"

/* Between mkdir() and rename() the folder may be removed with what was in it before. */
#define TRIES 3

struct agent_trash {
    struct fl_loop *loop;
    char *folder;
    uint64_t next; /* names that no earlier agent has left behind */
    struct child *child;
    bool again; /* something came while it ran */
};

static void empty(struct agent_trash *t);

static void on_emptied(void *arg, const struct child_result *r)
{
    struct agent_trash *t = arg;
    struct fl_err err;

    t->child = NULL;
    if (child_check(r, "rm", &err) < 0)
        log_warning("Cannot remove all of '%s': %s, ignoring", t->folder, err.msg);
    if (t->again)
        empty(t);
}

/* What is mounted below is not ours. */
static void empty(struct agent_trash *t)
{
    const char *const argv[] = {"/bin/rm", "-rf", "--one-file-system", "--", t->folder, NULL};
    const struct child_spec spec = {.argv = argv};
    struct fl_err err;

    t->again = t->child != NULL;
    if (t->child)
        return;
    if (child_run(t->loop, &spec, on_emptied, t, &t->child, &err) < 0)
        log_warning("Cannot remove '%s': %s, ignoring", t->folder, err.msg);
}

struct agent_trash *agent_trash_new(struct fl_loop *loop, const char *work_dir)
{
    struct agent_trash *t = xnew0(struct agent_trash);

    t->loop = loop;
    t->folder = xasprintf("%s/trash", work_dir);
    t->next = fl_loop_now_us(loop);
    if (access(t->folder, F_OK) == 0)
        empty(t);
    return t;
}

void agent_trash_free(struct agent_trash *t)
{
    if (!t)
        return;
    child_leave(t->child);
    free(t->folder);
    free(t);
}

int agent_trash_put(struct agent_trash *t, const char *path, struct fl_err *err)
{
    struct stat st;

    for (int i = 0; i < TRIES; i++) {
        _cleanup_free_ char *to = xasprintf("%s/%llu", t->folder, (unsigned long long)t->next++);

        if (lstat(path, &st) < 0)
            return errno == ENOENT ? 0 : fl_err_errno(err, errno, "remove '%s'", path);
        if (mkdir(t->folder, 0700) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make '%s'", t->folder);
        if (rename(path, to) == 0) {
            empty(t);
            return 0;
        }
        if (errno != ENOENT)
            break;
    }
    /* On another file system, or with something mounted in it. */
    return agent_disk_remove(NULL, path, err);
}
