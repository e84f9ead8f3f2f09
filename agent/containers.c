/* See containers.h. The mesos containerizer is always made: its launcher process fetches for all, and what it runs from before the flag
 * was changed goes on; it launches only where the flag names it. */
#include "agent/containers.h"

#include <unistd.h>

#include "agent/containerizer/composing.h"
#include "agent/docker/docker.h"
#include "agent/flags.h"

enum { MESOS, DOCKER, N_KINDS };
static const char *const names[N_KINDS] = {"mesos", "docker"};

static bool mesos_takes(const V1__ContainerInfo *info)
{
    return !info || info->type == V1__CONTAINER_INFO__TYPE__MESOS;
}

static bool docker_takes(const V1__ContainerInfo *info)
{
    return info && info->type == V1__CONTAINER_INFO__TYPE__DOCKER;
}

/* The place of each in the list; -1: it is not there. */
static int read_flag(const char *text, int rank[N_KINDS], struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *name;
    int place = 0;

    for (int i = 0; i < N_KINDS; i++)
        rank[i] = -1;
    while ((name = strsep(&rest, ","))) {
        int kind = 0;
        while (kind < N_KINDS && !streq(name, names[kind]))
            kind++;
        if (kind == N_KINDS || rank[kind] >= 0)
            return fl_err_set(
                err, FL_INVALID,
                "flag '--containerizers' has '%s', which %s; there are mesos and "
                "docker",
                name, kind == N_KINDS ? "is no containerizer of this agent" : "is there already");
        rank[kind] = place++;
    }
    return 0;
}

static int add_docker(struct fl_loop *loop, const struct agent_flags *flags,
                      struct containerizer *all, struct containerizer *real, int rank,
                      struct fl_err *err)
{
    struct containerizer_callbacks own;
    struct containerizer *docker;

    composing_callbacks(all, &own);
    int r = docker_containerizer_new(loop, flags, containerizer_fetches(real), &own, &docker, err);
    return r < 0 ? r : composing_add(all, docker, rank, docker_takes, err);
}

int agent_containers_new(struct fl_loop *loop, const struct agent_flags *flags, int launcher_fd,
                         const struct containerizer_callbacks *cb, struct containerizer **ret,
                         struct fl_err *err)
{
    struct containerizer *all, *real;
    struct containerizer_callbacks own;
    int rank[N_KINDS];
    int r = read_flag(flags->containerizers, rank, err);

    if (r < 0) {
        if (launcher_fd >= 0)
            close(launcher_fd);
        return r;
    }
    all = composing_new(cb, flags->containerizers);
    composing_callbacks(all, &own);
    r = containerizer_new(loop, flags, launcher_fd, &own, &real, err);
    if (r == 0)
        r = composing_add(all, real, rank[MESOS], mesos_takes, err);
    if (r == 0 && rank[DOCKER] >= 0)
        r = add_docker(loop, flags, all, real, rank[DOCKER], err);
    if (r < 0) {
        all->ops->free(all);
        return r;
    }
    *ret = all;
    return 0;
}
