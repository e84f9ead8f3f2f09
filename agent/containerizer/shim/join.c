/* The namespaces of a nested container that are its parent's, and its sandbox, which lies in that of its root. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
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

/* In the parent's mount namespace: links that it controls are followed as it sees them, and none that lead to our descriptors. */
static int take_borrowed(struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    struct plan_borrow b;
    const char *str[2];
    size_t pos, n = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag != PLAN_BORROW)
            continue;
        memcpy(&b, r.data, sizeof(b));
        if (n == SHIM_MAX_BORROWED || !plan_strings(&r, sizeof(b), str, 2))
            return fail(e, EPROTO, "understand", "plan");
        int fd = open_below(AT_FDCWD, str[0], O_PATH, 0);
        s->borrowed[n] = fd < 0 ? -1 : copy_tree(fd, "", true);
        if (fd >= 0)
            close(fd);
        if (s->borrowed[n] < 0 && (b.kind == PLAN_BORROW_SANDBOX || errno != ENOENT))
            return fail(e, errno, "take from the parent's mounts", str[0]);
        n++;
    }
    return 0;
}

/* Our own copy of the machine's mounts is ours alone first, or what we mount would go out. */
static int borrow(struct shim *s, int dir, struct shim_error *e)
{
    int ours = openat(s->proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC),
        theirs = openat(dir, "ns/mnt", O_RDONLY | O_CLOEXEC);

    if (ours < 0 || theirs < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
        syscall(SYS_setns, theirs, CLONE_NEWNS) < 0)
        return fail(e, errno, "look into the parent's", "ns/mnt");
    if (take_borrowed(s, e) < 0)
        return -1;
    if (syscall(SYS_setns, ours, CLONE_NEWNS) < 0)
        return fail(e, errno, "come back from the parent's", "ns/mnt");
    close(ours);
    close(theirs);
    return 0;
}

/* The parent's sandbox, with what it has mounted there, onto where the machine has it. */
static int put_sandbox(struct shim *s, int tree, const char *at, struct shim_error *e)
{
    size_t n = s->sandbox_root ? strlen(s->sandbox_root) : 0;

    if (n == 0 || strncmp(at, s->sandbox_root, n) != 0 || (at[n] != '/' && at[n] != '\0'))
        return fail(e, EPROTO, "find below the root's sandbox", at);
    int root = open(s->sandbox_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 || !at[n]
                 ? root
                 : open_below(root, at + n + 1, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    int r = fd < 0 || put_tree(tree, fd) < 0 ? fail(e, errno, "mount at", at) : 0;
    if (fd >= 0 && fd != root)
        close(fd);
    if (root >= 0)
        close(root);
    return r;
}

static int put_sandboxes(struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    struct plan_borrow b;
    const char *str[2];
    size_t pos, n = 0;
    int result = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (result == 0 && plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag != PLAN_BORROW)
            continue;
        memcpy(&b, r.data, sizeof(b));
        if (b.kind == PLAN_BORROW_SANDBOX && plan_strings(&r, sizeof(b), str, 2)) {
            result = put_sandbox(s, s->borrowed[n], str[1], e);
            close(s->borrowed[n]);
            s->borrowed[n] = -1;
        }
        n++;
    }
    return result;
}

static bool borrows(const struct shim *s)
{
    struct plan_record r;
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0)
        if (r.tag == PLAN_BORROW)
            return true;
    return false;
}

static int join(struct shim *s, const struct plan_record *r, struct shim_error *e)
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
    if (result == 0 && borrows(s) && (borrow(s, dir, e) < 0 || put_sandboxes(s, e) < 0))
        result = -1;
    close(dir);
    if (result == 0 && j.unshare && syscall(SYS_unshare, (int)j.unshare) < 0)
        result = fail(e, errno, "leave namespaces of", folder);
    return result;
}

int enter_network(const struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag != PLAN_NETNS)
            continue;
        int fd = open(r.data, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_setns, fd, CLONE_NEWNET) < 0)
            return fail(e, errno, "enter the network namespace", r.data);
        close(fd);
    }
    return 0;
}

int join_parent(struct shim *s, struct shim_error *e)
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
    size_t n = s->sandbox_root ? strlen(s->sandbox_root) : 0;

    if (n == 0) {
        s->sandbox_fd = open(s->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else if (strncmp(s->sandbox, s->sandbox_root, n) == 0 && s->sandbox[n] == '/') {
        int root = open(s->sandbox_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        s->sandbox_fd = root < 0 ? -1
                                 : open_below(root, s->sandbox + n + 1, O_RDONLY | O_DIRECTORY,
                                              RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (root >= 0)
            close(root);
    } else {
        errno = EPROTO;
    }
    return s->sandbox_fd < 0 ? fail(e, errno, "open the sandbox", s->sandbox) : 0;
}
