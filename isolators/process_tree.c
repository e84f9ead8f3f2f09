/* Walks /proc/<pid>/task/<pid>/children, so the cost is that of the container's processes and not of the machine's. */
#include "isolators/process_tree.h"

#include <errno.h>
#include <fcntl.h>

#include "common/base/util.h"

#define MAX_PROCESSES 10000

struct walk {
    pid_t *pids; /* owned; found so far, those before `done` looked at */
    size_t n, cap, done;
};

static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
    char path[64];

    fl_snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
    if (n >= 0)
        buf[n] = '\0';
    return n;
}

static void add(struct walk *w, const char *text)
{
    int64_t child;

    if (w->n >= MAX_PROCESSES || fl_parse_i64(text, &child) < 0)
        return;
    w->pids = xgrow(w->pids, &w->cap, w->n + 1, sizeof(pid_t));
    w->pids[w->n++] = (pid_t)child;
}

/* "12 345 ": what the end of a read cuts off is kept for the next. */
static void add_children(struct walk *w, pid_t pid)
{
    char path[64], buf[4096];
    size_t kept = 0;
    ssize_t n;

    fl_snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, buf + kept, sizeof(buf) - 1 - kept)) > 0) {
        char *p = buf, *end;
        buf[kept + (size_t)n] = '\0';
        for (; (end = strchr(p, ' ')); p = end + 1) {
            *end = '\0';
            add(w, p);
        }
        kept = strlen(p);
        memmove(buf, p, kept + 1);
    }
}

static uint64_t number_at(char **fields, size_t n, size_t i)
{
    uint64_t v = 0;

    if (i < n)
        fl_parse_u64(fields[i], &v);
    return v;
}

/* Fields of /proc/<pid>/stat counted from 1; those behind the name start with 3. */
static void add_usage(pid_t pid, struct tree_usage *out)
{
    char buf[1024];
    char *fields[52];
    size_t n = 3;

    if (read_proc(pid, "stat", buf, sizeof(buf)) <= 0)
        return;
    char *p = strrchr(buf, ')');
    if (!p || p[1] == '\0')
        return;
    for (char *f = p + 2, *end; *(end = f + strcspn(f, " \n")) && n < ARRAY_SIZE(fields);
         f = end + 1) {
        *end = '\0';
        fields[n++] = f;
    }
    double tick = (double)sysconf(_SC_CLK_TCK);
    out->processes++;
    out->threads += (uint32_t)number_at(fields, n, 20);
    out->user_s += (double)(number_at(fields, n, 14) + number_at(fields, n, 16)) / tick;
    out->system_s += (double)(number_at(fields, n, 15) + number_at(fields, n, 17)) / tick;
    out->rss_bytes += number_at(fields, n, 24) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void process_tree_each(pid_t root, void (*fn)(pid_t pid, void *arg), void *arg)
{
    struct walk w = {.pids = NULL};

    add_children(&w, root);
    for (; w.done < w.n; w.done++) {
        fn(w.pids[w.done], arg);
        add_children(&w, w.pids[w.done]);
    }
    free(w.pids);
}

static void add_one(pid_t pid, void *arg)
{
    add_usage(pid, arg);
}

int process_tree_usage(pid_t root, struct tree_usage *out)
{
    memset(out, 0, sizeof(*out));
    if (root <= 0)
        return -ESRCH;
    process_tree_each(root, add_one, out);
    return 0;
}
