/* Encodes launch plans. Pure; the agent's thread. */
#include "isolators/launch_plan.h"

#include <sched.h>
#include <sys/mount.h>

#include "common/base/buf.h"

static char *add_record(struct launch_plan *p, uint32_t tag, size_t len)
{
    size_t whole = 8 + plan_padded(len);
    uint32_t len32 = (uint32_t)len;

    p->buf = (char *)xgrow(p->buf, &p->cap, p->len + whole, 1);
    char *at = p->buf + p->len;
    memset(at, 0, whole);
    memcpy(at, &tag, 4);
    memcpy(at + 4, &len32, 4);
    p->len += whole;
    return at + 8;
}

void launch_plan_init(struct launch_plan *p)
{
    const struct plan_head head = {.magic = PLAN_MAGIC, .version = PLAN_VERSION};

    memset(p, 0, sizeof(*p));
    p->buf = (char *)xgrow(NULL, &p->cap, 4096, 1);
    memcpy(p->buf, &head, sizeof(head));
    p->len = sizeof(head);
}

void launch_plan_done(struct launch_plan *p)
{
    for (size_t i = 0; i < p->n_env; i++) {
        explicit_bzero(p->env[i], strlen(p->env[i]));
        free(p->env[i]);
    }
    free(p->env);
    fl_pb_free(p->command);
    if (p->has_secret)
        explicit_bzero(p->buf, p->cap);
    free(p->buf);
    memset(p, 0, sizeof(*p));
}

void launch_plan_bytes(struct launch_plan *p, enum plan_tag tag, const void *data, size_t n)
{
    char *at = add_record(p, tag, n);

    if (n)
        memcpy(at, data, n);
}

void launch_plan_string(struct launch_plan *p, enum plan_tag tag, const char *text)
{
    p->has_root = p->has_root || tag == PLAN_ROOTFS;
    launch_plan_bytes(p, tag, text, strlen(text) + 1);
}

void launch_plan_cgroup(struct launch_plan *p, const char *procs)
{
    launch_plan_string(p, PLAN_CGROUP, procs);
}

static void add_with_strings(struct launch_plan *p, enum plan_tag tag, const void *head,
                             size_t n_head, const char *const *s, int n)
{
    size_t len = n_head;

    for (int i = 0; i < n; i++)
        len += (s[i] ? strlen(s[i]) : 0) + 1;
    char *at = add_record(p, tag, len);
    memcpy(at, head, n_head);
    at += n_head;
    for (int i = 0; i < n; i++) {
        size_t k = s[i] ? strlen(s[i]) : 0;
        if (k)
            memcpy(at, s[i], k);
        at += k + 1;
    }
}

void launch_plan_mount(struct launch_plan *p, const char *source, const char *target,
                       const char *type, unsigned long flags, const char *data, unsigned options)
{
    const struct plan_mount m = {.flags = flags, .options = options};
    const char *s[4] = {source, target, type, data};

    add_with_strings(p, PLAN_MOUNT, &m, sizeof(m), s, 4);
}

void launch_plan_etc_file(struct launch_plan *p, const char *source, const char *target)
{
    if (p->has_root && access(source, F_OK) == 0)
        launch_plan_mount(p, source, target, NULL, MS_BIND, NULL, PLAN_MOUNT_READ_ONLY);
}

void launch_plan_borrow(struct launch_plan *p, enum plan_borrow_kind kind, const char *seen,
                        const char *put)
{
    const struct plan_borrow b = {.kind = kind};
    const char *s[2] = {seen, put};

    p->borrows = true;
    add_with_strings(p, PLAN_BORROW, &b, sizeof(b), s, 2);
}

void launch_plan_secret(struct launch_plan *p, const char *target, unsigned options,
                        const void *data, size_t n)
{
    const struct plan_secret head = {.options = options};
    size_t len = strlen(target) + 1;
    char *at = add_record(p, PLAN_SECRET, sizeof(head) + len + n);

    p->has_secret = true;
    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), target, len);
    if (n)
        memcpy(at + sizeof(head) + len, data, n);
}

void launch_plan_env(struct launch_plan *p, const char *entry)
{
    p->env = xgrow(p->env, &p->cap_env, p->n_env + 1, sizeof(*p->env));
    p->env[p->n_env++] = xstrdup(entry);
}

void launch_plan_rlimit(struct launch_plan *p, int resource, uint64_t soft, uint64_t hard)
{
    const struct plan_rlimit r = {.resource = (uint32_t)resource, .soft = soft, .hard = hard};

    memcpy(add_record(p, PLAN_RLIMIT, sizeof(r)), &r, sizeof(r));
}

void launch_plan_node(struct launch_plan *p, const struct plan_node *node, const char *path)
{
    size_t n = strlen(path) + 1;
    char *at = add_record(p, PLAN_NODE, sizeof(*node) + n);

    memcpy(at, node, sizeof(*node));
    memcpy(at + sizeof(*node), path, n);
}

void launch_plan_join(struct launch_plan *p, const char *folder)
{
    const struct plan_join j = {.enter = p->join, .unshare = p->unshare};
    size_t n = strlen(folder) + 1;

    if (!j.enter && !j.unshare && !p->borrows)
        return;
    char *at = add_record(p, PLAN_JOIN, sizeof(j) + n);
    memcpy(at, &j, sizeof(j));
    memcpy(at + sizeof(j), folder, n);
}

void launch_plan_limits(struct launch_plan *p, double cpus, double mem)
{
    const struct plan_limits l = {.cpus = cpus, .mem = mem};

    memcpy(add_record(p, PLAN_LIMITS, sizeof(l)), &l, sizeof(l));
}

bool launch_plan_has_mounts(const struct launch_plan *p)
{
    return (p->clone_flags | p->unshare) & CLONE_NEWNS;
}

int launch_plan_finish(struct launch_plan *p, struct fl_err *err)
{
    if (p->len > PLAN_MAX_SIZE)
        return fl_err_set(
            err, FL_TOO_LARGE,
            "the command with its arguments and environment is %zu bytes, more than the %u that "
            "can be passed to a program; make them smaller",
            p->len, PLAN_MAX_SIZE);
    memcpy(add_record(p, PLAN_FLAGS, sizeof(p->flags)), &p->flags, sizeof(p->flags));
    return 0;
}
