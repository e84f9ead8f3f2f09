/* Reads the launch plan where it lies. Its strings are used in place, so it stays mapped until the command runs. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void take_log(struct shim *s, const struct plan_record *r)
{
    struct plan_log l;

    memcpy(&l, r->data, sizeof(l));
    if (l.which < SHIM_LOGS) {
        s->logs[l.which].max_size = l.max_size;
        s->logs[l.which].keep = l.keep;
    }
}

/* First pass: counts, and what is single. */
static int scan(struct shim *s, size_t *n_args, size_t *n_env)
{
    struct plan_record r;
    size_t pos;
    int more;

    if (!plan_begin(s->plan, s->plan_len, &pos))
        return -EPROTO;
    while ((more = plan_next(s->plan, s->plan_len, &pos, &r)) > 0) {
        switch (r.tag) {
        case PLAN_FLAGS:
            memcpy(&s->flags, r.data, sizeof(s->flags));
            break;
        case PLAN_PROGRAM:
            s->program = r.data;
            break;
        case PLAN_SANDBOX:
            s->sandbox = r.data;
            break;
        case PLAN_SANDBOX_ROOT:
            s->sandbox_root = r.data;
            break;
        case PLAN_ROOTFS:
            s->rootfs = r.data;
            break;
        case PLAN_SANDBOX_TARGET:
            s->sandbox_target = r.data;
            break;
        case PLAN_DIRECTORY:
            s->directory = r.data;
            break;
        case PLAN_LOG:
            take_log(s, &r);
            break;
        case PLAN_ARG:
            ++*n_args;
            break;
        case PLAN_ENV:
            ++*n_env;
            break;
        default:
            break;
        }
    }
    return more < 0 || !s->program || !s->sandbox ? -EPROTO : 0;
}

static void collect(struct shim *s)
{
    struct plan_record r;
    size_t pos, a = 0, e = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag == PLAN_ARG)
            s->argv[a++] = (char *)(uintptr_t)r.data;
        else if (r.tag == PLAN_ENV)
            s->env[e++] = (char *)(uintptr_t)r.data;
    }
}

int plan_load(struct shim *s, struct shim_error *e)
{
    struct stat st;
    size_t n_args = 0, n_env = 0;

    int fd = openat(s->folder_fd, "plan", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(e, errno, "open", "plan");
    if (st.st_size <= 0 || st.st_size > PLAN_MAX_SIZE)
        return fail(e, EPROTO, "read", "plan");
    s->plan_len = (size_t)st.st_size;
    void *map = mmap(NULL, s->plan_len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return fail(e, errno, "map", "plan");
    s->plan = (const char *)map;
    int r = scan(s, &n_args, &n_env);
    if (r < 0)
        return fail(e, -r, "understand", "plan");
    s->argv = (char **)calloc(n_args + 1, sizeof(char *));
    s->env = (char **)calloc(n_env + 1, sizeof(char *));
    if (!s->argv || !s->env)
        return fail(e, ENOMEM, "read", "plan");
    collect(s);
    return 0;
}

void plan_unload(struct shim *s)
{
    munmap((void *)(uintptr_t)s->plan, s->plan_len);
    s->plan = s->program = s->sandbox = NULL;
    free(s->argv);
    free(s->env);
    s->argv = s->env = NULL;
}
