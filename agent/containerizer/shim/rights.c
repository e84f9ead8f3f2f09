/* What the command may do: capabilities, no_new_privs, seccomp, and the user they belong to. In the process that will be the command, between
 * its limits and its exec.
 *
 * The filter is loaded as late as it can be, so that it need not allow what we do to set up: after no_new_privs at the very end; without it
 * loading takes CAP_SYS_ADMIN, so that is kept over the change of user, and only then dropped. What is called after the filter then is
 * capset(2), prctl(2) and execve(2).
 * A command that is root gets its bounding set back when it is exec'd; that is the kernel's rule, and the protocol's.
 * Raw calls where libc's would tell other threads, of which there are none. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILTER 4096 /* instructions; the kernel's own limit */

struct rights {
    bool has_capabilities, has_filter;
    struct plan_capabilities c;
    struct sock_fprog filter; /* in the plan */
};

static int find(const struct shim *s, struct rights *out)
{
    struct plan_record r;
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag == PLAN_CAPABILITIES) {
            out->has_capabilities = true;
            memcpy(&out->c, r.data, sizeof(out->c));
        } else if (r.tag == PLAN_SECCOMP) {
            size_t n = r.len / sizeof(struct sock_filter);
            if (n == 0 || n > MAX_FILTER || r.len % sizeof(struct sock_filter)) {
                errno = EPROTO;
                return -1;
            }
            out->has_filter = true;
            out->filter.len = (unsigned short)n;
            out->filter.filter = (struct sock_filter *)(uintptr_t)r.data;
        }
    }
    return 0;
}

/* EINVAL: the kernel has no more of them. */
static int drop_bounding(uint64_t keep)
{
    for (unsigned long i = 0; i < 64; i++) {
        if (keep & (1ull << i))
            continue;
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return errno == EINVAL ? 0 : -1;
    }
    return 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    for (unsigned i = 0; i < 2; i++) {
        data[i].effective = (uint32_t)(effective >> (32 * i));
        data[i].permitted = (uint32_t)(permitted >> (32 * i));
        data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
    }
    return (int)syscall(SYS_capset, &head, data);
}

/* Another user's capabilities are gone from the effective set, and kept in the permitted one. */
static int raise_kept(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return -1;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    return (int)syscall(SYS_capset, &head, data);
}

static int raise_ambient(uint64_t set)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    for (unsigned long i = 0; i < 64; i++)
        if (set & (1ull << i) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return -1;
    return 0;
}

static int change_user(const struct shim *s)
{
    if (syscall(SYS_setgroups, s->n_groups, s->groups) < 0 ||
        syscall(SYS_setresgid, s->gid, s->gid, s->gid) < 0 ||
        syscall(SYS_setresuid, s->uid, s->uid, s->uid) < 0)
        return -1;
    return 0;
}

static int load_filter(const struct rights *r)
{
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &r->filter, 0, 0);
}

/* The sets that are its own, or those that a change of user leaves. */
static int settle(const struct rights *r, bool kept)
{
    if (r->has_capabilities && r->c.effective != PLAN_CAPABILITIES_OF_USER) {
        if (set_capabilities(r->c.effective, r->c.effective, r->c.effective) < 0)
            return -1;
        return raise_ambient(r->c.effective);
    }
    return kept ? set_capabilities(0, 0, 0) : 0;
}

const char *rights_take(const struct shim *s)
{
    struct rights r = {.has_capabilities = false};
    bool nnp = s->flags & PLAN_NO_NEW_PRIVILEGES;

    if (find(s, &r) < 0)
        return "understand the rights of";
    bool late = r.has_filter && !nnp, keep = s->switch_user && (r.has_capabilities || late);
    if (r.has_capabilities && drop_bounding(r.c.bounding) < 0)
        return "drop capabilities of";
    if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return "keep capabilities for";
    if (s->switch_user && change_user(s) < 0)
        return "become the user of";
    if (keep && raise_kept() < 0)
        return "keep capabilities for";
    if (late && load_filter(&r) < 0)
        return "load the seccomp filter of";
    if (settle(&r, keep && s->uid != 0) < 0)
        return "set the capabilities of";
    if (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return "set no_new_privs for";
    if (nnp && r.has_filter && load_filter(&r) < 0)
        return "load the seccomp filter of";
    return NULL;
}
