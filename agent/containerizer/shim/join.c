/* The namespaces of a nested container that are its parent's, and its sandbox, which lies in that of its root. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    uint64_t flag;
    const char *name;
} spaces[] = {
    /* Mounts last: what is opened before is the machine's. */
    {CLONE_NEWIPC, "ns/ipc"}, {CLONE_NEWUTS, "ns/uts"},
    {CLONE_NEWNET, "ns/net"}, {CLONE_NEWPID, "ns/pid_for_children"},
    {CLONE_NEWNS, "ns/mnt"},
};

/* Opens /proc/<pid> of the parent's shim. The folder stays that very process's, so a look at its start time settles who it is. */
static int open_parent(const struct shim *s, const char *folder, struct shim_error *e)
{
    char noted[64], seen[64];
    struct line path = {.n = 0}, pid = {.n = 0};

    line_add(&path, folder);
    line_add(&path, "/shim");
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, noted, sizeof(noted) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return fail(e, ESRCH, "find the parent by", path.text);
    noted[n] = '\0';
    line_add(&pid, noted);
    pid.text[strcspn(pid.text, " ")] = '\0';
    int dir = openat(s->proc_fd, pid.text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = dir < 0 ? -1 : openat(dir, "stat", O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : proc_identity_of(fd, seen, sizeof(seen));
    if (fd >= 0)
        close(fd);
    if (n > 0 && strcmp(noted, seen) == 0)
        return dir;
    if (dir >= 0)
        close(dir);
    return fail(e, ESRCH, "find the parent by", path.text);
}

static int enter(int dir, const struct plan_join *j, struct shim_error *e)
{
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (!(j->enter & spaces[i].flag))
            continue;
        int fd = openat(dir, spaces[i].name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_setns, fd, (int)spaces[i].flag) < 0)
            return fail(e, errno, "enter the parent's", spaces[i].name);
        close(fd);
    }
    return 0;
}

static int join(const struct shim *s, const struct plan_record *r, struct shim_error *e)
{
    struct plan_join j;
    const char *folder = r->data + sizeof(j);

    memcpy(&j, r->data, sizeof(j));
    if (r->data[r->len - 1] != '\0')
        return fail(e, EPROTO, "understand", "plan");
    int dir = open_parent(s, folder, e);
    if (dir < 0)
        return -1;
    int result = enter(dir, &j, e);
    close(dir);
    if (result == 0 && j.unshare && syscall(SYS_unshare, (int)j.unshare) < 0)
        result = fail(e, errno, "leave namespaces of", folder);
    return result;
}

int join_parent(const struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0)
        if (r.tag == PLAN_JOIN)
            return join(s, &r, e);
    return 0;
}

int open_sandbox(struct shim *s, struct shim_error *e)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    size_t n = s->sandbox_root ? strlen(s->sandbox_root) : 0;

    if (n == 0) {
        s->sandbox_fd = open(s->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else if (strncmp(s->sandbox, s->sandbox_root, n) == 0 && s->sandbox[n] == '/') {
        int root = open(s->sandbox_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        s->sandbox_fd =
            root < 0 ? -1 : (int)syscall(SYS_openat2, root, s->sandbox + n + 1, &how, sizeof(how));
        if (root >= 0)
            close(root);
    } else {
        errno = EPROTO;
    }
    return s->sandbox_fd < 0 ? fail(e, errno, "open the sandbox", s->sandbox) : 0;
}
