/* Files of the runtime folder, and text without stdio. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void line_add(struct line *l, const char *s)
{
    while (*s && l->n + 1 < sizeof(l->text))
        l->text[l->n++] = *s++;
    l->text[l->n] = '\0';
}

void line_int(struct line *l, int64_t v)
{
    char digits[24];
    size_t n = sizeof(digits);
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        digits[--n] = '-';
    line_add(l, digits + n);
}

int fail(struct shim_error *e, int errnum, const char *what, const char *subject)
{
    struct line l = {.n = 0};

    line_add(&l, what);
    line_add(&l, " '");
    line_add(&l, subject);
    line_add(&l, "'");
    memcpy(e->text, l.text, l.n + 1);
    e->errnum = errnum;
    return -1;
}

/* Beside and renamed, so that a reader finds it whole or not at all. Durable: also after the machine went down. */
int file_write(const struct shim *s, const char *name, const char *text, size_t n, bool durable)
{
    struct line tmp = {.n = 0};

    line_add(&tmp, name);
    line_add(&tmp, ".tmp");
    int fd = openat(s->folder_fd, tmp.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, n) == (ssize_t)n ? 0 : -(errno ? errno : EIO);
    if (r == 0 && durable && fsync(fd) < 0)
        r = -errno;
    close(fd);
    if (r == 0 && renameat(s->folder_fd, tmp.text, s->folder_fd, name) < 0)
        r = -errno;
    if (r == 0 && durable && fsync(s->folder_fd) < 0)
        r = -errno;
    return r;
}

int proc_identity(const struct shim *s, const char *who, char *buf, size_t size)
{
    struct line path = {.n = 0};

    line_add(&path, who);
    line_add(&path, "/stat");
    int fd = openat(s->proc_fd, path.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int n = proc_identity_of(fd, buf, size);
    close(fd);
    return n;
}

/* "pid (comm) state ...": comm may hold anything, so fields are counted from the last ')'. */
int proc_identity_of(int fd, char *buf, size_t size)
{
    char stat[1024];
    struct line out = {.n = 0};

    ssize_t n = read(fd, stat, sizeof(stat) - 1);
    if (n <= 0)
        return -EIO;
    stat[n] = '\0';
    char *space = strchr(stat, ' '), *p = strrchr(stat, ')');
    if (!space || !p)
        return -EIO;
    *space = '\0';
    for (int field = 2; field < 22 && p; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return -EIO;
    char *end = strchr(p + 1, ' ');
    if (end)
        *end = '\0';
    line_add(&out, stat);
    line_add(&out, p);
    line_add(&out, "\n");
    if (out.n + 1 > size)
        return -ENOSPC;
    memcpy(buf, out.text, out.n + 1);
    return (int)out.n;
}
