/* See mem_pressure.h. */
#include "isolators/mem_pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

/* A share of the limit of open files. */
static size_t share(unsigned part)
{
    struct rlimit r;

    return getrlimit(RLIMIT_NOFILE, &r) == 0 ? (size_t)r.rlim_cur / part : 0;
}

size_t mem_pressure_most(void)
{
    return share(30);
}

size_t mem_events_most(void)
{
    return share(4);
}

static int listen_to(const struct cgroup_room *r, const char *id, int control, const char *level)
{
    _cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    char text[64];

    if (fd < 0)
        return -errno;
    fl_snprintf(text, sizeof(text), "%d %d %s", fd, control, level);
    int k = cgroup_write(r, id, "cgroup.event_control", text, NULL);
    return k < 0 ? k : TAKE_FD(fd);
}

void mem_pressure_open(struct mem_pressure *p, const struct cgroup_room *r, const char *id)
{
    static const char *const levels[] = {"low", "medium", "critical"};
    _cleanup_free_ char *path = cgroup_path(r, id, "memory.pressure_level");
    _cleanup_close_ int control = open(path, O_RDONLY | O_CLOEXEC);

    *p = (struct mem_pressure){.fd = {-EBADF, -EBADF, -EBADF}};
    for (int i = 0; i < 3; i++)
        p->fd[i] = control < 0 ? -EBADF : listen_to(r, id, control, levels[i]);
    p->open = p->fd[0] >= 0 && p->fd[1] >= 0 && p->fd[2] >= 0;
    if (!p->open)
        mem_pressure_close(p);
}

void mem_pressure_read(struct mem_pressure *p)
{
    for (int i = 0; i < 3; i++) {
        uint64_t n;
        if (read(p->fd[i], &n, sizeof(n)) == sizeof(n))
            p->count[i] += n;
    }
}

void mem_pressure_close(struct mem_pressure *p)
{
    for (int i = 0; i < 3; i++) {
        if (p->fd[i] >= 0)
            close(p->fd[i]);
        p->fd[i] = -EBADF;
    }
    p->open = false;
}
