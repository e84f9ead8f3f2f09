/* What a Docker container uses, read from its cgroups as the isolators read theirs: a few small files, no question to the engine. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent/docker/docker_priv.h"
#include "isolators/cgroup.h"

static ssize_t read_text(const char *path, char *buf, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

    buf[n > 0 ? n : 0] = '\0';
    return n;
}

static ssize_t read_in(const char *folder, const char *name, char *buf, size_t size)
{
    _cleanup_free_ char *path = folder ? xasprintf("%s/%s", folder, name) : NULL;

    buf[0] = '\0';
    return path ? read_text(path, buf, size) : -1;
}

static uint64_t number_in(const char *folder, const char *name)
{
    char text[64];
    uint64_t v = 0;

    if (read_in(folder, name, text, sizeof text) <= 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return fl_parse_u64(text, &v) < 0 ? 0 : v;
}

static uint64_t key_of(const char *text, const char *key)
{
    uint64_t v = 0;

    return cgroup_key(text, key, &v) ? v : 0;
}

/* Is `name` one of "a,b,c"? */
static bool in_list(const char *list, size_t n, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; p < list + n; p += strcspn(p, ",:") + 1)
        if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == ':'))
            return true;
    return false;
}

/* A line of /proc/PID/cgroup: "4:cpu,cpuacct:/docker/..." or "0::/..." */
static void take_line(struct docker_container *c, const char *line)
{
    const char *root = c->dz->flags->cgroups_hierarchy;
    const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

    /* A process that has ended, or is not in a group of its own, is in "/". */
    if (!path || streq(path + 1, "/"))
        return;
    size_t n = (size_t)(path - list) - 1;
    if (n == 0 && c->dz->v2) {
        free(c->cgroup_cpu);
        free(c->cgroup_memory);
        c->cgroup_cpu = xasprintf("%s%s", root, path + 1);
        c->cgroup_memory = xstrdup(c->cgroup_cpu);
    } else if (in_list(list + 1, n, "cpuacct") && !c->dz->v2) {
        free(c->cgroup_cpu);
        c->cgroup_cpu = xasprintf("%s/cpuacct%s", root, path + 1);
    } else if (in_list(list + 1, n, "memory") && !c->dz->v2) {
        free(c->cgroup_memory);
        c->cgroup_memory = xasprintf("%s/memory%s", root, path + 1);
    }
}

void docker_usage_find(struct docker_container *c)
{
    char path[64], text[4096], *line, *rest = text;

    fl_snprintf(path, sizeof path, "/proc/%d/cgroup", c->pid);
    if (read_text(path, text, sizeof text) <= 0)
        return;
    while ((line = strsep(&rest, "\n")))
        take_line(c, line);
}

static void cpu_usage(const struct docker_container *c, struct container_usage *out)
{
    char text[1024];

    if (c->dz->v2) {
        read_in(c->cgroup_cpu, "cpu.stat", text, sizeof text);
        out->cpus_user_s = (double)key_of(text, "user_usec") / 1e6;
        out->cpus_system_s = (double)key_of(text, "system_usec") / 1e6;
        return;
    }
    read_in(c->cgroup_cpu, "cpuacct.stat", text, sizeof text);
    out->cpus_user_s = (double)key_of(text, "user") / (double)sysconf(_SC_CLK_TCK);
    out->cpus_system_s = (double)key_of(text, "system") / (double)sysconf(_SC_CLK_TCK);
}

static void memory_usage(const struct docker_container *c, struct container_usage *out)
{
    char text[4096];

    read_in(c->cgroup_memory, "memory.stat", text, sizeof text);
    if (c->dz->v2) {
        out->mem_rss_bytes = key_of(text, "anon");
        out->mem_cache_bytes = key_of(text, "file");
        out->mem_total_bytes = number_in(c->cgroup_memory, "memory.current");
        return;
    }
    out->mem_rss_bytes = key_of(text, "total_rss");
    out->mem_cache_bytes = key_of(text, "total_cache");
    out->mem_total_bytes = number_in(c->cgroup_memory, "memory.usage_in_bytes");
}

void docker_usage(const struct docker_container *c, struct container_usage *out)
{
    struct timespec now;
    double cpus = milli_to_double(resources_scalar(&c->resources, "cpus"));

    memset(out, 0, sizeof *out);
    clock_gettime(CLOCK_REALTIME, &now);
    out->timestamp = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    out->cpus_limit =
        c->cpu_limit >= 0 ? FL_MIN(c->cpu_limit, (double)sysconf(_SC_NPROCESSORS_ONLN)) : cpus;
    out->mem_limit_bytes = docker_memory(&c->resources, c->mem_limit);
    cpu_usage(c, out);
    memory_usage(c, out);
}

uint64_t docker_memory_peak(const struct docker_container *c, char *stat, size_t size)
{
    read_in(c->cgroup_memory, "memory.stat", stat, size);
    return number_in(c->cgroup_memory, c->dz->v2 ? "memory.peak" : "memory.max_usage_in_bytes");
}
