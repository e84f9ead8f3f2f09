/* Inside of fairlead-shim. One process, one thread, no library but libc; no stdio, which would be a third of its memory. */
#ifndef AGENT_CONTAINERIZER_SHIM_SHIM_H
#define AGENT_CONTAINERIZER_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/containerizer/shim/note.h"
#include "isolators/plan_format.h"

#define SHIM_MAX_BORROWED 8
#define SHIM_LOGS         2

/* An output file that we write ourselves. */
struct shim_log {
    int fd, pipe_fd;   /* -1: not open; where the command's output comes from, -1: not through us */
    uint64_t size;     /* of the file */
    uint64_t max_size; /* 0: no limit */
    unsigned keep;     /* older files */
};

struct shim {
    int folder_fd;  /* the container's runtime folder */
    int proc_fd;    /* the host's /proc, from before the mounts */
    int signal_fd;  /* SIGCHLD, SIGTERM */
    int sandbox_fd; /* -1: none; with a root of its own, as seen there */
    int root_fd;    /* what will be the root; -1: not yet, no more, or never */

    bool hidden; /* root_hide_ourselves() was called */
    bool switch_user;
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* in `memory` */
    size_t n_groups;

    const char *plan; /* mapped; gone after the start */
    size_t plan_len;
    uint64_t flags;
    const char *program, *sandbox, *sandbox_root;
    const char *rootfs, *sandbox_target, *directory; /* NULL: none */
    /* Trees of the parent's mounts, and of the machine's that stay shared with it, in the order of the plan; -1: it has none. */
    int borrowed[SHIM_MAX_BORROWED], shared[SHIM_MAX_BORROWED];
    size_t n_shared_put;
    char **argv, **env; /* NULL-terminated, in `memory`; strings in `plan` */

    struct shim_log logs[SHIM_LOGS];   /* stdout, stderr */
    int master_fd, slave_fd, relay_fd; /* PLAN_RELAY; -1: none */
    int listen_fd;                     /* where a later agent asks for the terminal; -1: none */
    char typed[512];                   /* what was relayed and the terminal did not take yet */
    size_t n_typed;

    pid_t child;      /* as we see it; 0: reaped */
    pid_t child_host; /* as the host sees it */
};

/* Why it failed; filled by fail(), told by main. */
struct shim_error {
    int errnum;
    char text[SHIM_TEXT_MAX];
};
/* Notes "what 'subject'" and errno; returns -1. */
int fail(struct shim_error *e, int errnum, const char *what, const char *subject);

/* plan.c: maps the plan, finds what is single in it. */
int plan_load(struct shim *s, struct shim_error *e);
void plan_unload(struct shim *s);

/* join.c: enters the network namespace of the plan, whose file the parent may not see; then the parent's namespaces. */
int enter_network(const struct shim *s, struct shim_error *e);
int join_parent(struct shim *s, struct shim_error *e);
int open_sandbox(struct shim *s, struct shim_error *e);

/* setup.c. The cgroups first, whose files the parent's mounts may not show. */
int join_cgroups(const struct shim *s, struct shim_error *e);
/* Mounts, nodes, host name, in the plan's order; then the root. */
int setup_run(struct shim *s, struct shim_error *e);

/* mounts.c: descriptors or -1 with errno; paths below the new root are followed inside of it. */
int open_below(int dir, const char *path, uint64_t flags, uint64_t resolve);
int open_in_root(const struct shim *s, const char *path);
int make_in_root(const struct shim *s, const char *path, bool folder); /* unless it is there */
int copy_tree(int dir, const char *path, bool recursive);              /* nobody sees it yet */
int restrict_tree(int tree, unsigned long flags, bool recursive);      /* MS_RDONLY, MS_NO... */
int put_tree(int tree, int target);
int open_target(const struct shim *s, const char *path, bool in_sandbox, bool folder);
int put_at(const struct shim *s, int tree, const char *path, bool in_sandbox);
int bind_mount(struct shim *s, const struct plan_mount *m, const char *const str[4], bool recursive,
               struct shim_error *e);

/* Sources of PLAN_MOUNT_SHARED, from the machine's mounts while they are still shared with ours. */
int take_shared(struct shim *s, struct shim_error *e);

/* secrets.c: all of the plan's */
int put_secrets(const struct shim *s, struct shim_error *e);

/* root.c */
int root_prepare(struct shim *s, struct shim_error *e);
int root_enter(struct shim *s, struct shim_error *e);
int root_hide_ourselves(struct shim *s, struct shim_error *e);
int mount_in_root(const struct shim *s, const char *source, const char *at, const char *type,
                  unsigned long flags, const char *data);

/* spawn.c: stdout and stderr, then the command. */
int spawn_child(struct shim *s, struct shim_error *e);

/* nodes.c: the devices of the plan in the new root. Before cgroups are joined, which may forbid to make them. */
int make_nodes(const struct shim *s, struct shim_error *e);

/* rights.c: capabilities, user, no_new_privs, seccomp. What could not be done, errno set; NULL when all is. */
const char *rights_take(const struct shim *s);

/* io.c: descriptors of the command that the agent sends, and the relay of a terminal. */
int receive_io(struct shim *s, int fds[3], struct shim_error *e);
void relay_terminal(struct shim *s); /* what can be without waiting */

/* logs.c: stdout is 0, stderr 1. */
int open_output(const struct shim *s, const char *name, struct shim_error *e);
int log_open(struct shim *s, unsigned i, struct shim_error *e);
int log_open_for_command(struct shim *s, unsigned i,
                         struct shim_error *e); /* its end; the caller's */
void log_write(struct shim *s, unsigned i, const char *p, size_t n);
void logs_take(struct shim *s); /* what the pipes hold now */

/* files.c */
int file_write(const struct shim *s, const char *name, const char *text, size_t n, bool durable);
/* The same of what is open as fd: the `stat` of a process. */
int proc_identity_of(int fd, char *buf, size_t size);
/* pid as the host sees it and start time of `self` or a pid, from the host's /proc. */
int proc_identity(const struct shim *s, const char *who, char *buf, size_t size);

/* A line is put together without stdio. */
struct line {
    char text[SHIM_TEXT_MAX];
    size_t n;
};
void line_add(struct line *l, const char *s);
void line_int(struct line *l, int64_t v);

#endif
