/* Inside of the Docker containerizer; the agent's thread only. */
#ifndef AGENT_DOCKER_DOCKER_PRIV_H
#define AGENT_DOCKER_DOCKER_PRIV_H

#include <uthash.h>

#include "agent/containerizer/fetches.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/docker/create.h"
#include "agent/docker/docker.h"
#include "agent/docker/engine.h"

/* STARTING: one request after the other; RUNNING: it may have ended already, and its output comes in; ENDED: `ended` is deferred. */
enum docker_state { DOCKER_STARTING, DOCKER_RUNNING, DOCKER_ENDED };

struct docker_logs;

#define DOCKER_CONTAINER_MAGIC 0xd0c4e003u
struct docker_container {
    unsigned magic;
    struct docker_containerizer *dz; /* borrowed */
    enum docker_state state;
    char *id, *name, *folder, *sandbox, *user; /* owned; user may be NULL */
    bool checkpoint;
    bool made;       /* the engine has, or may have, a container of this name */
    bool cannot_die; /* a request is under way whose outcome must be known before it can be ended */
    bool destroying;
    bool recovered;            /* found after a restart, and not yet told of */
    bool exited;               /* the engine has said so; its last output may still come */
    bool resized, more_memory; /* while it was being started */

    /* Until it is made. */
    V1__CommandInfo *command;
    json_t *body;
    bool force_pull;
    char *image;
    struct fetch *fetch;

    V1__NetworkInfo *network; /* what was asked for, without addresses; or NULL */
    struct resources resources;
    double cpu_limit, mem_limit;

    struct docker_call *step; /* of the life, one at a time */
    struct docker_call *wait; /* for its end */
    struct fl_buf pull_line;  /* of the pull's answer */
    struct fl_err pull_error;
    struct docker_logs *logs;
    struct fl_timer *retry;    /* asks again, when the engine was away */
    struct fl_timer *force;    /* the engine does not end it: its process is killed */
    struct fl_timer *patience; /* its process is gone, or its output does not end */
    uint64_t retry_us, since_us;

    pid_t pid;
    int pidfd; /* -EBADF: none */
    struct fl_watch *pidfd_watch;
    char *inspection, *ip, *ip6, *stop_signal; /* owned; or NULL */
    char *cgroup_cpu, *cgroup_memory;          /* owned: folders of its statistics; or NULL */
    uint64_t memory_peak;                      /* when its process ended; 0: not known */
    char *memory_stat;                         /* the same; owned, or NULL */

    struct {
        enum container_end_reason reason;
        bool decided, has_status;
        int status;
        char *message;
        V1__TaskResourceLimitation *limitation;
    } end;
    UT_hash_handle hh;
};

/* A container whose task is over, until it is removed. */
struct docker_removal;

#define DOCKER_MAGIC 0xd0c4e004u
struct docker_containerizer {
    struct containerizer base; /* first */
    unsigned magic;
    struct fl_loop *loop;
    const struct agent_flags *flags; /* borrowed */
    struct containerizer_callbacks cb;
    struct fetches *fetches; /* borrowed */
    struct docker_engine *engine;
    char *runtime_dir;                   /* owned: <runtime_dir>/docker */
    struct docker_container *containers; /* hash by id */
    struct docker_exec *execs;           /* hash by id, of all containers */
    struct docker_removal *removals;
    bool recovering, listed; /* until recovery_done; the engine's containers have been looked at */
    struct docker_call *list;
    struct fl_timer *list_retry;
    uint64_t recover_since_us, list_retry_us;
    bool v2; /* cgroups of version 2 */
};

/* ---- docker.c ---- */
struct docker_container *docker_container_new(struct docker_containerizer *dz, const char *id);
void docker_container_free(struct docker_container *c); /* out of the table */
struct docker_container *docker_find(struct docker_containerizer *dz, const char *id);
char *docker_path(const struct docker_container *c, const char *what); /* "/containers/NAME/what" */

/* Tells the engine the amounts anew. */
void docker_send_amounts(struct docker_container *c, bool more_memory);

/* ---- life.c: from the launch to `ended` ---- */
void docker_begin(void *container); /* deferred */
/* It is in the engine and should run: asks the engine about it. For a recovered one the first step. */
void docker_inspect(void *container);
void docker_end_with(struct docker_container *c, enum container_end_reason reason,
                     const char *message);
void docker_destroy(struct docker_container *c);
/* Its output is all there. */
void docker_output_over(struct docker_container *c);
/* Asks `fn` again later, and later each time. */
void docker_again(struct docker_container *c, fl_callback_f *fn);

/* ---- image.c: the image is there, or is pulled ---- */
void docker_image(struct docker_container *c); /* docker_create() or docker_end_with() follows */
void docker_create(struct docker_container *c);
/* auth.c: X-Registry-Auth for an image: from .docker/config.json or .dockercfg of the sandbox, or --docker_config. The caller's;
 * NULL: there is none. */
char *docker_registry_auth(const char *config, const char *sandbox, const char *image);

/* ---- inspect.c: what an inspection says ---- */
struct docker_state_seen {
    bool running, never_started, oom_killed;
    int exit_code;
    pid_t pid;
    const char *error; /* borrowed from the JSON */
};
void docker_read_state(const json_t *inspection, struct docker_state_seen *out);
/* Keeps what tasks' statuses and signals need of it. */
void docker_keep_inspection(struct docker_container *c, const struct docker_answer *a);
int docker_status(struct docker_container *c, struct fl_arena *arena, V1__ContainerStatus **ret);

/* ---- logs.c: output into the sandbox ---- */
/* Begins, or goes on where an agent before us was. */
int docker_logs_begin(struct docker_container *c, struct fl_err *err);
void docker_logs_free(struct docker_logs *l);
bool docker_logs_over(const struct docker_logs *l);

/* ---- exec.c: commands in a running container ---- */
struct docker_exec;
int docker_exec_launch(struct docker_container *c, const struct container_spec *spec,
                       struct fl_err *err);
struct docker_exec *docker_exec_find(struct docker_containerizer *dz, const char *id);
void docker_exec_destroy(struct docker_exec *x);
int docker_exec_signal(struct docker_exec *x, int signo, struct fl_err *err);
int docker_exec_status(struct docker_exec *x, struct fl_arena *arena, V1__ContainerStatus **ret);
void docker_exec_end_all(struct docker_container *c); /* with their root: tells `ended` */
void docker_exec_each(struct docker_containerizer *dz, void (*fn)(void *arg, const char *id),
                      void *arg);
void docker_exec_free_all(struct docker_containerizer *dz);
int docker_exec_attach(struct docker_exec *x, const struct container_listener *l,
                       struct fl_err *err);
void docker_exec_detach(struct docker_exec *x, const void *arg);
void docker_exec_resume(struct docker_exec *x);

/* ---- removal.c ---- */
/* In `delay_us`, and again while the engine is away. */
void docker_remove_later(struct docker_containerizer *dz, const char *name, uint64_t delay_us);
void docker_removals_free(struct docker_containerizer *dz);

/* ---- usage.c ---- */
void docker_usage_find(struct docker_container *c); /* once its pid is known */
void docker_usage(const struct docker_container *c, struct container_usage *out);
/* What the kernel counts: the most that was used, in bytes; 0: not known. The text of memory.stat into `stat`. */
uint64_t docker_memory_peak(const struct docker_container *c, char *stat, size_t size);

/* ---- recover.c ---- */
/* How long recovery waits for an engine that is away. */
#define DOCKER_PATIENCE_US 30000000u
void docker_recover(struct containerizer *base, const char *const *ids, size_t n);
int docker_plan_write(const struct docker_container *c, struct fl_err *err);
void docker_recovery_check(struct docker_containerizer *dz);

static inline struct docker_containerizer *docker_of(struct containerizer *c)
{
    struct docker_containerizer *dz = (struct docker_containerizer *)c;

    assert(dz && dz->magic == DOCKER_MAGIC);
    return dz;
}

#endif
