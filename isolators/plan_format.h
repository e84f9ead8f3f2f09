/* The launch plan on disk: what the agent decided and the shim carries out, in order. The agent writes it as `plan` into the
 * container's runtime folder (isolators/launch_plan.c) and reads it again after a restart; fairlead-shim, which has no library
 * but libc, reads it where it lies. Both are of one machine, so numbers are native.
 *
 *   file   = struct plan_head, record...
 *   record = u32 tag, u32 length, bytes, zeros up to a multiple of 8
 * Strings include their NUL. Whoever reads must not trust it more than a file: plan_next() checks every length, and
 * PLAN_STRING records end in NUL or are refused. A reader refuses a version that is not its own.
 */
#ifndef ISOLATORS_PLAN_FORMAT_H
#define ISOLATORS_PLAN_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLAN_MAGIC    0x4e4c5046u /* "FPLN" */
#define PLAN_VERSION  1
#define PLAN_MAX_SIZE (8u << 20) /* more than the kernel takes as arguments and environment */

struct plan_head {
    uint32_t magic;
    uint16_t version;
    uint16_t unused;
};

enum plan_tag {
    PLAN_FLAGS = 1,   /* u64 of enum plan_flag */
    PLAN_CGROUP = 2,  /* string: a cgroup.procs file to join */
    PLAN_MOUNT = 3,   /* struct plan_mount and its four strings */
    PLAN_RLIMIT = 4,  /* struct plan_rlimit */
    PLAN_PROGRAM = 5, /* string */
    PLAN_ARG = 6,     /* string, in order; the first is argv[0] */
    PLAN_ENV = 7,     /* string "NAME=value" */
    PLAN_SANDBOX = 8, /* string: working directory, stdout, stderr */
    PLAN_HOSTNAME = 9,
    /* Nested containers. */
    PLAN_SANDBOX_ROOT = 10, /* string: the sandbox lies below it, behind no symbolic link */
    PLAN_JOIN = 11,         /* struct plan_join and a string: the runtime folder of the parent */
    /* A file system and rights of its own; see launch_plan.h for the order in which they take effect. */
    PLAN_ROOTFS = 12, /* string: becomes the root after all mounts, whose targets are below it */
    PLAN_NETNS = 13,  /* string: a network namespace to enter, by its file; before the mounts */
    PLAN_CAPABILITIES = 14, /* struct plan_capabilities */
    PLAN_SECCOMP = 15,      /* struct sock_filter[] */
    PLAN_NODE = 16, /* struct plan_node and a string: a device node to be made below the root */
    PLAN_DIRECTORY =
        17, /* string: working directory, as the container sees it; the last one counts;
                            without any it is the sandbox */
    PLAN_SANDBOX_TARGET = 18, /* string: where the new root shows the sandbox */
    PLAN_BORROW = 19, /* struct plan_borrow and two strings: taken from the parent's mounts */
    PLAN_LOG = 20,    /* struct plan_log: stdout or stderr is rotated */
    PLAN_SECRET =
        21, /* struct plan_secret, a string and the content of a file; wiped when it is there */
    /* What only a restarted agent reads. */
    PLAN_USER = 32,      /* string */
    PLAN_RESOURCES = 33, /* encoded CheckpointResourcesMessage */
    PLAN_LIMITS = 34,    /* struct plan_limits */
};

enum plan_flag {
    PLAN_CHECKPOINT = 1 << 0,    /* outlives the agent; its status is made durable */
    PLAN_PID_NAMESPACE = 1 << 1, /* the shim is process 1 of its own */
    PLAN_STANDALONE = 1 << 2,    /* kept over a restart of the agent, though no executor's */
    PLAN_DEBUG = 1 << 3,         /* not kept over a restart */
    PLAN_SHARES_CGROUPS = 1 << 4,
    PLAN_IO = 1 << 5,  /* stdin, stdout and stderr come as descriptors on the shim's socket */
    PLAN_TTY = 1 << 6, /* with PLAN_IO: a terminal is the one descriptor */
    PLAN_NO_NEW_PRIVILEGES = 1 << 8,
    PLAN_RELAY = 1 << 7, /* with PLAN_TTY: and its master, and a socket to relay to and from */
    PLAN_MASK = 1 << 9,  /* with a root: what /proc and /sys tell of the machine is hidden */
    PLAN_SHARED_MOUNTS = 1 << 10, /* there is a PLAN_MOUNT_SHARED */
};

/* Followed by source, target, type and data, each with its NUL; empty means none. */
struct plan_mount {
    uint64_t flags;   /* of mount(2) */
    uint32_t options; /* enum plan_mount_option */
    uint32_t unused;
};
enum plan_mount_option {
    /* Resolved below the sandbox, through no symbolic link, and made when it is not there. */
    PLAN_MOUNT_TARGET_IN_SANDBOX = 1 << 0,
    PLAN_MOUNT_SOURCE_IN_SANDBOX = 1 << 1,
    PLAN_MOUNT_READ_ONLY = 1 << 2,              /* a bind, and with MS_REC all that is below it */
    PLAN_MOUNT_SOURCE_IN_SANDBOX_ROOT = 1 << 3, /* the same below PLAN_SANDBOX_ROOT */
    PLAN_MOUNT_SHARED = 1 << 4, /* a bind of the machine: what is mounted in it goes out again */
};

/* Followed by the target with its NUL, then the secret. */
struct plan_secret {
    uint32_t options; /* enum plan_mount_option, of the target */
    uint32_t unused;
};

/* Followed by where the parent sees it and where it is put, each with its NUL. A place that the parent does not have is left out. */
struct plan_borrow {
    uint32_t kind; /* enum plan_borrow_kind */
    uint32_t unused;
};
enum plan_borrow_kind {
    PLAN_BORROW_MOUNT = 0,   /* put as a mount of the plan, in its order */
    PLAN_BORROW_SANDBOX = 1, /* of the parent, on PLAN_SANDBOX_ROOT or below; put before all else */
};

/* Bits as of linux/capability.h. */
struct plan_capabilities {
    uint64_t bounding, effective; /* effective: also permitted, inheritable and ambient */
};
#define PLAN_CAPABILITIES_OF_USER UINT64_MAX /* as effective: those that its user has anyway */

/* Followed by the path. */
struct plan_node {
    uint32_t mode; /* with S_IFCHR or S_IFBLK */
    uint32_t major, minor;
    uint32_t uid, gid;
    uint32_t unused;
};

struct plan_log {
    uint32_t which; /* 0: stdout, 1: stderr */
    uint32_t keep;  /* older files that are kept */
    uint64_t max_size;
};

struct plan_rlimit {
    uint32_t resource;
    uint32_t unused;
    uint64_t soft, hard;
};

/* Followed by the string. What the shim of the parent is in, it enters; then it leaves what it has of its own. */
struct plan_join {
    uint64_t enter;   /* CLONE_NEW... of setns(2) */
    uint64_t unshare; /* CLONE_NEWNS or nothing */
};

struct plan_limits {
    double cpus, mem; /* as in struct container_spec */
};

struct plan_record {
    uint32_t tag, len;
    const char *data; /* borrowed from the buffer; aligned to 8 when the buffer is */
};

static inline size_t plan_padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* The tags whose whole content is one string. */
static inline bool plan_is_string(uint32_t tag)
{
    return tag == PLAN_CGROUP || (tag >= PLAN_PROGRAM && tag <= PLAN_SANDBOX_ROOT) ||
           tag == PLAN_ROOTFS || tag == PLAN_NETNS || tag == PLAN_DIRECTORY ||
           tag == PLAN_SANDBOX_TARGET || tag == PLAN_USER;
}

/* The least content a tag may have. */
static inline size_t plan_min_len(uint32_t tag)
{
    switch (tag) {
    case PLAN_FLAGS:
        return sizeof(uint64_t);
    case PLAN_MOUNT:
        return sizeof(struct plan_mount) + 4;
    case PLAN_RLIMIT:
        return sizeof(struct plan_rlimit);
    case PLAN_LOG:
        return sizeof(struct plan_log);
    case PLAN_LIMITS:
        return sizeof(struct plan_limits);
    case PLAN_CAPABILITIES:
        return sizeof(struct plan_capabilities);
    case PLAN_NODE:
        return sizeof(struct plan_node) + 1;
    case PLAN_SECRET:
        return sizeof(struct plan_secret) + 1;
    case PLAN_BORROW:
        return sizeof(struct plan_borrow) + 2;
    case PLAN_JOIN:
        return sizeof(struct plan_join) + 1;
    default:
        return plan_is_string(tag) ? 1 : 0;
    }
}

/* Sets *pos behind the head. False: this is no plan of this version. */
static inline bool plan_begin(const char *buf, size_t len, size_t *pos)
{
    struct plan_head h;

    if (len < sizeof(h))
        return false;
    memcpy(&h, buf, sizeof(h));
    *pos = sizeof(h);
    return h.magic == PLAN_MAGIC && h.version == PLAN_VERSION;
}

/* 1: *r is the next record; 0: the end; -1: malformed. */
static inline int plan_next(const char *buf, size_t len, size_t *pos, struct plan_record *r)
{
    if (*pos >= len)
        return 0;
    if (len - *pos < 8)
        return -1;
    memcpy(&r->tag, buf + *pos, 4);
    memcpy(&r->len, buf + *pos + 4, 4);
    r->data = buf + *pos + 8;
    size_t room = len - *pos - 8;
    if (r->len > room || plan_padded(r->len) > room || r->len < plan_min_len(r->tag))
        return -1;
    if (plan_is_string(r->tag) && r->data[r->len - 1] != '\0')
        return -1;
    *pos += 8 + plan_padded(r->len);
    return 1;
}

/* The first record of that tag. False: there is none. */
static inline bool plan_find(const char *buf, size_t len, uint32_t tag, struct plan_record *r)
{
    size_t pos;

    if (!buf || !plan_begin(buf, len, &pos))
        return false;
    while (plan_next(buf, len, &pos, r) > 0)
        if (r->tag == tag)
            return true;
    return false;
}

/* The n strings behind the first `skip` bytes. False when one is missing. */
static inline bool plan_strings(const struct plan_record *r, size_t skip, const char *s[], int n)
{
    const char *p = r->data + skip, *end = r->data + r->len;

    for (int i = 0; i < n; i++) {
        const char *nul = p < end ? (const char *)memchr(p, 0, (size_t)(end - p)) : NULL;
        if (!nul)
            return false;
        s[i] = p;
        p = nul + 1;
    }
    return true;
}

/* The strings of a mount: source, target, type, data. False when one is missing. */
static inline bool plan_mount_strings(const struct plan_record *r, const char *s[4])
{
    return plan_strings(r, sizeof(struct plan_mount), s, 4);
}

#endif
