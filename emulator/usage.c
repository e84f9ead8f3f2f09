/* See usage.h. */
#include "emulator/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/base/buf.h"

static bool read_small(const char *path, struct fl_buf *out)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    fl_buf_clear(out);
    if (fd < 0)
        return false;
    while ((n = read(fd, fl_buf_reserve(out, 4096), 4096)) > 0)
        out->len += (size_t)n;
    fl_buf_cstr(out);
    return n == 0;
}

/* The `skip`-th word after the name of the program, which may hold blanks: /proc/PID/stat. */
static uint64_t stat_word(const char *text, unsigned skip)
{
    const char *p = strrchr(text, ')');
    uint64_t v = 0;

    for (; p && *p && skip > 0; skip--) {
        p += strcspn(p, " ");
        p += *p == ' ';
    }
    for (; p && *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v;
}

static uint64_t status_kb(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    uint64_t v = 0;

    if (!p)
        return 0;
    p += strlen(name);
    p += strspn(p, ": \t");
    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v * 1024;
}

static void add_children(int64_t pid, struct emu_usage *u)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    char path[80];
    const char *p;

    fl_snprintf(path, sizeof path, "/proc/%lld/task/%lld/children", (long long)pid, (long long)pid);
    if (!read_small(path, &text))
        return;
    for (p = fl_buf_cstr(&text); *p;) {
        struct emu_usage child;
        uint64_t id = 0;

        for (; *p >= '0' && *p <= '9'; p++)
            id = id * 10 + (uint64_t)(*p - '0');
        p += strspn(p, " \n");
        emu_usage_read((int64_t)id, true, &child);
        u->cpu_us += child.cpu_us;
        u->rss += child.rss;
        u->peak += child.peak;
    }
}

void emu_usage_read(int64_t pid, bool children, struct emu_usage *ret)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    uint64_t tick = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    char path[80];

    *ret = (struct emu_usage){0};
    if (pid <= 0)
        return;
    fl_snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (!read_small(path, &text))
        return;
    /* utime and stime are the 14th and 15th words; the name is the second. */
    ret->cpu_us = (stat_word(text.data, 12) + stat_word(text.data, 13)) * tick;
    fl_snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    if (!read_small(path, &text))
        return;
    ret->rss = status_kb(text.data, "\nVmRSS");
    ret->peak = status_kb(text.data, "\nVmHWM");
    ret->known = true;
    if (children)
        add_children(pid, ret);
}

void emu_usage_self(struct emu_usage *ret)
{
    struct rusage r;

    emu_usage_read(getpid(), false, ret);
    if (getrusage(RUSAGE_SELF, &r) == 0)
        ret->cpu_us = (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000u +
                      (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}
