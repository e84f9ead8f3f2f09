#include "cli/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 10000

/* Field `n` of the text, counted from 1, as words between blanks; "" when there are fewer. Cuts the text. */
static const char *field(char *text, unsigned n)
{
    char *p = text;

    for (unsigned i = 1;; i++) {
        p += strspn(p, " ");
        size_t len = strcspn(p, " ");
        if (i == n) {
            p[len] = '\0';
            return p;
        }
        p += len;
    }
}

/* 0 when there is no such process, or it is a zombie. */
static uint64_t start_time(pid_t pid)
{
    char path[64], text[1024];
    uint64_t start = 0;
    FILE *f;

    fl_snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    /* The name in parentheses may hold anything: count from the last one. The state is the first field behind it,
     * the start the twentieth (proc(5)). */
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || p[2] == 'Z' || fl_parse_u64(field(p + 1, 20), &start) < 0)
        return 0;
    return start;
}

static bool alive(const struct process *p)
{
    /* Ours may be a zombie until it is waited for. */
    waitpid(p->pid, NULL, WNOHANG);
    return p->start && start_time(p->pid) == p->start;
}

static void add(struct processes *p, pid_t pid, uint64_t start, const char *name)
{
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
    struct process *x = &p->items[p->n++];
    *x = (struct process){.pid = pid, .start = start};
    fl_snprintf(x->name, sizeof(x->name), "%s", name);
}

/* Where who runs `fairlead up` sees that its processes do not die by themselves. One that is left behind by a `down` that was killed
 * is for a cluster that is gone, too. */
static char *stopping_path(const char *dir)
{
    return xasprintf("%s/stopping", dir);
}

int processes_add(struct processes *p, pid_t pid, const char *name, const char *dir,
                  struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/pids", dir);
    FILE *f = fopen(path, p->n ? "ae" : "we");

    if (!p->n) {
        _cleanup_free_ char *stopping = stopping_path(dir);
        unlink(stopping);
    }
    add(p, pid, start_time(pid), name);
    if (!f)
        return fl_err_errno(err, errno, "write '%s'", path);
    fprintf(f, "%d %llu %s\n", (int)pid, (unsigned long long)p->items[p->n - 1].start, name);
    if (fclose(f) != 0)
        return fl_err_errno(err, errno, "write '%s'", path);
    return 0;
}

const char *processes_first_dead(const struct processes *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!alive(&p->items[i]))
            return p->items[i].name;
    return NULL;
}

const char *processes_next_dead(struct processes *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct process *x = &p->items[i];
        if (!x->told && !alive(x)) {
            x->told = true;
            return x->name;
        }
    }
    return NULL;
}

static void load(const char *dir, struct processes *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/pids", dir);
    FILE *f = fopen(path, "re");
    unsigned long long start;
    char name[32];
    int pid;

    while (f && fscanf(f, "%d %llu %31s", &pid, &start, name) == 3)
        add(ret, pid, start, name);
    if (f)
        fclose(f);
}

bool processes_running(const char *dir)
{
    struct processes p = {0};
    bool any = false;

    load(dir, &p);
    for (size_t i = 0; i < p.n; i++)
        any = any || alive(&p.items[i]);
    processes_done(&p);
    return any;
}

static void stop_one(const struct process *p)
{
    if (!alive(p))
        return;
    kill(p->pid, SIGTERM);
    for (int ms = 0; ms < GRACE_MS && alive(p); ms += 20)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (alive(p))
        kill(p->pid, SIGKILL);
}

bool processes_being_stopped(const char *dir)
{
    _cleanup_free_ char *path = stopping_path(dir);

    return access(path, F_OK) == 0;
}

void processes_stop(const char *dir)
{
    _cleanup_free_ char *path = xasprintf("%s/pids", dir), *stopping = stopping_path(dir);
    struct processes p = {0};

    load(dir, &p);
    if (p.n) {
        int fd = open(stopping, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd >= 0)
            close(fd);
    }
    for (size_t i = p.n; i-- > 0;)
        stop_one(&p.items[i]);
    unlink(path);
    unlink(stopping);
    processes_done(&p);
}

void processes_done(struct processes *p)
{
    free(p->items);
    *p = (struct processes){0};
}
