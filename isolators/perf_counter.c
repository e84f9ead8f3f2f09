/* See perf_counter.h. */
#include "isolators/perf_counter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/util.h"

static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
} events[] = {
#define PERF_EVENT(name, ...) {name, __VA_ARGS__},
#include "isolators/perf_events.def"
#undef PERF_EVENT
};
_Static_assert(ARRAY_SIZE(events) == PERF_EVENTS, "an event a field of PerfStatistics");

static char plain(char c)
{
    if (c == '_')
        return '-';
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_name(const char *text, size_t n, const char *name)
{
    if (strlen(name) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (plain(text[i]) != plain(name[i]))
            return false;
    return true;
}

int perf_events_parse(const char *list, bool on[PERF_EVENTS], struct fl_err *err)
{
    memset(on, 0, PERF_EVENTS * sizeof(*on));
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ","), i = 0;
        while (n && i < PERF_EVENTS && !is_name(p, n, events[i].name))
            i++;
        if (i == PERF_EVENTS)
            return fl_err_set(err, FL_INVALID,
                              "Invalid perf events: '%.*s'; --perf_events takes perf's names, such "
                              "as cycles,page-faults",
                              (int)n, p);
        if (n)
            on[i] = true;
        p += n + (p[n] == ',');
    }
    return 0;
}

static int counter_open(size_t event, pid_t pid_or_group, int cpu, unsigned long flags)
{
    struct perf_event_attr a = {
        .size = sizeof(a),
        .type = events[event].type,
        .config = events[event].config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };

    return (int)syscall(SYS_perf_event_open, &a, pid_or_group, cpu, -1,
                        flags | PERF_FLAG_FD_CLOEXEC);
}

int perf_events_supported(bool on[PERF_EVENTS], struct fl_err *err)
{
    for (size_t i = 0; i < PERF_EVENTS; i++) {
        _cleanup_close_ int fd = on[i] ? counter_open(i, 0, -1, 0) : -EBADF;
        if (!on[i] || fd >= 0)
            continue;
        if (errno == EACCES || errno == EPERM || errno == ENOSYS)
            return fl_err_errno(err, errno, "Perf is not supported: count '%s'", events[i].name);
        on[i] = false;
    }
    return 0;
}

struct perf_counters {
    size_t n, cpus;
    struct counter {
        int event, fd;
    } v[];
};

static size_t processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_CONF);

    return n > 0 ? (size_t)n : 1;
}

size_t perf_counters_fds(const bool on[PERF_EVENTS])
{
    size_t n = 0;

    for (size_t i = 0; i < PERF_EVENTS; i++)
        n += on[i];
    return n * processors();
}

struct perf_counters *perf_counters_open(const bool on[PERF_EVENTS], const char *group)
{
    size_t cpus = processors(), most = perf_counters_fds(on);
    struct perf_counters *c = xcalloc(1, sizeof(*c) + most * sizeof(c->v[0]));
    _cleanup_close_ int dir = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < PERF_EVENTS && dir >= 0; i++)
        for (size_t cpu = 0; cpu < cpus && on[i]; cpu++) {
            /* One that is off, or out of descriptors: it counts nothing. */
            int fd = counter_open(i, dir, (int)cpu, PERF_FLAG_PID_CGROUP);
            if (fd >= 0)
                c->v[c->n++] = (struct counter){.event = (int)i, .fd = fd};
        }
    return c;
}

void perf_counters_read(const struct perf_counters *c, struct perf_usage *out)
{
    for (size_t i = 0; i < c->n; i++) {
        struct {
            uint64_t value, enabled, running;
        } r;
        int e = c->v[i].event;
        if (read(c->v[i].fd, &r, sizeof(r)) != sizeof(r))
            continue;
        /* There are fewer counters than events: they take turns. */
        double v = r.running ? (double)r.value * ((double)r.enabled / (double)r.running) : 0;
        bool clock =
            events[e].type == PERF_TYPE_SOFTWARE && (events[e].config == PERF_COUNT_SW_CPU_CLOCK ||
                                                     events[e].config == PERF_COUNT_SW_TASK_CLOCK);
        out->has[e] = true;
        out->value[e] += clock ? v / 1e6 : v;
    }
}

void perf_counters_free(struct perf_counters *c)
{
    for (size_t i = 0; c && i < c->n; i++)
        close(c->v[i].fd);
    free(c);
}
