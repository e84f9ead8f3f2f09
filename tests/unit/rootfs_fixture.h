/* A root file system for tests of containers: a folder with a static busybox. Include after container_fixture.c. */
#ifndef TESTS_UNIT_ROOTFS_FIXTURE_H
#define TESTS_UNIT_ROOTFS_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/containerizer/containerizer_priv.h"

#define BUSYBOX "/bin/busybox"

static inline void copy_file(const char *from, const char *to)
{
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC),
                        out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    char buf[65536];
    ssize_t n;

    ck_assert_msg(in >= 0 && out >= 0, "copy '%s' to '%s'", from, to);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        ck_assert_int_eq(write(out, buf, (size_t)n), n);
}

/* <dir>/<name>; the caller's. It has nothing but /bin and a file /image-file. */
static inline char *rootfs_make(const char *dir, const char *name)
{
    static const char *const applets[] = {
        "sh",   "ls",   "cat",  "mkdir", "touch",  "readlink", "grep",   "mount",    "id",   "stat",
        "env",  "pwd",  "wc",   "sleep", "chroot", "echo",     "umount", "hostname", "true", "head",
        "sort", "test", "find", "df",    "rm",     "mv",       "ln",     "tr",       "awk",  "dd"};
    char *root = xasprintf("%s/%s", dir, name);
    _cleanup_free_ char *bin = xasprintf("%s/bin", root), *to = xasprintf("%s/bin/busybox", root),
                        *file = xasprintf("%s/image-file", root);

    ck_assert_int_eq(mkdir(root, 0755), 0);
    ck_assert_int_eq(mkdir(bin, 0755), 0);
    copy_file(BUSYBOX, to);
    for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", bin, applets[i]);
        ck_assert_int_eq(symlink("busybox", path), 0);
    }
    _cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    return root;
}

/* What the provisioner would have done, between launch() and the loop's next turn. */
static inline void rootfs_give(struct fixture *f, const char *id, const char *rootfs)
{
    struct container *c;

    HASH_FIND_STR(real_of(f->cz)->containers, id, c);
    ck_assert(c && c->state == CONTAINER_PROVISIONING);
    c->rootfs = xstrdup(rootfs);
}

#endif
