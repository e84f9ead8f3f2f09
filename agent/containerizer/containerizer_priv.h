/* Inside of the containerizer; the agent's thread only. */
#ifndef AGENT_CONTAINERIZER_CONTAINERIZER_PRIV_H
#define AGENT_CONTAINERIZER_CONTAINERIZER_PRIV_H

#include <uthash.h>

#include "agent/containerizer/containerizer.h"
#include "agent/containerizer/fetches.h"
#include "agent/containerizer/launcher_client.h"
#include "agent/containerizer/provisioner.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/flags.h"
#include "isolators/isolator.h"
#include "isolators/launch_plan.h"

/* PROVISIONING -> PREPARING -> FETCHING -> LAUNCHING -> RUNNING -> DESTROYING -> gone; DESTROYING may follow any. */
enum container_state {
    CONTAINER_PROVISIONING, /* not begun, or its images are pulled and laid out */
    CONTAINER_PREPARING,    /* its isolators are asked */
    CONTAINER_FETCHING,     /* a fetcher runs */
    CONTAINER_LAUNCHING,    /* the launcher is asked, or the shim sets up */
    CONTAINER_RUNNING,      /* the command runs */
    CONTAINER_DESTROYING,   /* everything of it is being removed; `end` says why */
};

#define CONTAINER_MAGIC 0xc0471a3eu
struct container {
    unsigned magic;
    struct real_containerizer *cz; /* borrowed */
    struct container *parent;      /* or NULL; it outlives us */
    struct container *children, *prev, *next;
    enum container_state state;
    char *id, *folder;                   /* owned */
    bool recovered, checkpoint, started; /* started: recovered, and its command once ran */
    bool told;                           /* recovered, and the agent knows that it runs */
    bool unwanted;                       /* found after a restart and destroyed: nobody is told */
    bool asked;     /* the launcher, or a deferred call, still has us as its argument */
    bool cleaning;  /* its shim is gone */
    bool reporting; /* its `ended` is deferred */
    bool standalone, debug, is_task, shares_cgroups;
    bool relayed; /* recovered, and its shim holds its terminal */

    /* What it was launched with; owned. command is NULL once the plan is written, or when recovered. */
    V1__CommandInfo *command;
    V1__ContainerInfo *info;
    char *user, *sandbox;
    char **env; /* NULL-terminated */
    struct resources resources;
    double cpu_limit, mem_limit;
    char *rootfs;               /* owned; NULL: the machine's */
    struct image_config *image; /* owned; of rootfs */
    char **volume_roots;        /* owned, n_volumes of them, NULL where there is none; or NULL */
    size_t n_volume_roots;
    size_t provisioned;      /* of 1 + n_volumes: which is next */
    size_t prepared;         /* how many isolators have prepared */
    struct launch_plan plan; /* until it is written */

    int note_fd, pidfd; /* of the shim; -EBADF: none */
    struct fl_watch *note_watch, *pidfd_watch;
    pid_t shim_pid, pid;
    struct fetch *fetch;     /* while FETCHING */
    struct container_io *io; /* or NULL */
    struct fl_timer *timer;  /* escalation, and looking again whether all is gone */
    struct fl_timer *report; /* says `ended` on the next turn of the loop */
    uint64_t destroying_since_us, retry_us;

    struct {
        enum container_end_reason reason;
        bool decided, has_status;
        int status;
        char *message;                          /* owned */
        V1__TaskResourceLimitation *limitation; /* owned */
    } end;
    UT_hash_handle hh;
};

/* How output files are kept small; see container_logs.c. */
struct container_logs {
    char *prefix; /* of variables that change it for a container; owned; NULL: none do */
    struct plan_log log[2];
};

#define CONTAINERIZER_MAGIC 0xc0471a3fu
struct real_containerizer {
    struct containerizer base; /* first */
    unsigned magic;
    struct fl_loop *loop;
    const struct agent_flags *flags; /* borrowed */
    struct containerizer_callbacks cb;
    struct launcher_client *launcher;
    struct fetches *fetches;
    struct isolator_config config;
    struct container_logs logs;
    struct isolator **isolators; /* in order of preparing */
    size_t n_isolators;
    struct provisioner *provisioner; /* or NULL: no images */
    bool linux_launcher;
    V1__ContainerInfo *default_info; /* owned; of executors without one; or NULL */
    char *own_user;                  /* the agent's, NULL when it has no name */
    char *
        *inherited_env; /* what every container's environment begins with; NULL-terminated, owned */
    struct container *containers; /* by id */
    size_t n_containers;
    bool recovering;       /* from recover() until recovery_done */
    struct fl_err refusal; /* why recovery does not begin */
};

/* containerizer.c */
struct container *container_new(struct real_containerizer *cz, const char *id);
void container_free(struct container *c);
struct isolated_container container_isolated(const struct container *c); /* borrows */

/* container_prepare.c: images, isolators, the plan. */
void container_begin(void *container); /* deferred by launch() */
isolator_ready_f container_ready;

/* container.c: the state machine */
void container_end_with(struct container *c, enum container_end_reason reason, const char *message);
void container_destroy(struct container *c);
void container_clean_up(
    void *container); /* once the shim is gone: again and again until nothing is left */
isolator_limit_f container_limit;
void container_launch(struct container *c); /* all is prepared and fetched */
void container_signal_shim(struct container *c, int signo);
int container_watch_shim(struct container *c,
                         struct fl_err *err); /* by pidfd, for recovered ones */

/* container_command.c: program, arguments and environment into the plan */
int container_plan_command(struct container *c, struct fl_err *err);
char **inherited_environment(const struct agent_flags *flags, struct fl_err *err);
void env_free(char **env);

/* container_logs.c */
int container_logs_init(struct container_logs *l, const struct agent_flags *flags,
                        struct fl_err *err);
void container_logs_done(struct container_logs *l);
int container_plan_logs(struct container *c, struct fl_err *err);

/* container_nested.c */
char *container_parent_id(const char *id); /* the caller's; NULL: not nested */
const struct container *container_root(const struct container *c);
/* Makes its sandbox below that of its root; the caller's. `user` NULL: the root's. */
int container_nested_sandbox(const struct container *parent, const char *id, const char *user,
                             char **ret, struct fl_err *err);

/* container_io.c */
bool container_io_wanted(const struct container *c);
uint64_t container_io_flags(const struct container *c); /* PLAN_... */
/* Makes the descriptors and sends the container's ends to its shim. */
int container_io_open(struct container *c, struct fl_err *err);
/* A terminal whose shim an earlier agent started; where there is none, nothing. */
void container_io_recover(struct container *c);
void container_io_end(struct container *c); /* hands over what is left, tells the listeners */
void container_io_free(struct container_io *io);
int container_io_attach(struct containerizer *base, const char *id,
                        const struct container_listener *l, struct fl_err *err);
void container_io_detach(struct containerizer *base, const char *id, const void *arg);
void container_io_resume(struct containerizer *base, const char *id);
int container_io_input(struct containerizer *base, const char *id, const void *data, size_t n,
                       struct fl_err *err);
void container_io_window(struct containerizer *base, const char *id, unsigned rows,
                         unsigned columns);

/* container_recover.c */
void containerizer_recover(struct containerizer *base, const char *const *ids, size_t n);
/* Says `recovery_done` once every wanted container has been reported, running or ended. */
void containerizer_recovery_check(struct real_containerizer *cz);

extern const struct containerizer_ops containerizer_real_ops;

static inline struct real_containerizer *real_of(struct containerizer *c)
{
    struct real_containerizer *cz = (struct real_containerizer *)c;

    assert(cz && cz->magic == CONTAINERIZER_MAGIC);
    return cz;
}

#endif
