/* What pod.c, pod_kill.c and pod_checks.c share. */
#ifndef EXECUTORS_DEFAULT_POD_PRIV_H
#define EXECUTORS_DEFAULT_POD_PRIV_H

#include "executors/default/pod.h"

enum pod_phase {
    POD_LAUNCHING, /* its container has been asked for */
    POD_RUNNING,
};

struct pod_task {
    struct pod *pod;
    V1__TaskInfo *info; /* owned */
    V1__ContainerID id; /* its parent is pod->root */
    char name[FL_UUID_STR];
    uint64_t group;
    enum pod_phase phase;
    struct pod_call *call;   /* the launch or the wait, while connected */
    struct env_timer *retry; /* of `call` */
    struct pod_call *kill_call;
    struct env_timer *kill_timer; /* end of the grace period, then repetition */
    struct env_timer *max_timer;
    bool killing, escalated, by_max_time, unhealthy;
    bool ran; /* TASK_RUNNING was told */
    struct task_checks *checks;
    V1__CheckStatusInfo *check_status; /* the last told; owned or NULL */
    bool has_health, healthy;          /* the last told */
    struct pod_task *prev, *next;
};

struct pod {
    struct pod_env *env; /* borrowed */
    struct pod_config config;
    char *container_ip;
    V1__ContainerID root;
    char *root_name;
    V1__FrameworkInfo *framework;
    bool connected, stopping; /* stopping: SHUTDOWN came */
    uint64_t groups;
    struct pod_task *tasks;
    struct pod_probe *probes;
};

static inline const struct env *pod_time(const struct pod *p)
{
    return &p->env->env;
}

/* reason < 0: none; message may be NULL. */
void pod_report(struct pod_task *t, V1__TaskState state, int reason, const char *message);
/* With what the task's checks tell. */
void pod_report_check(struct pod_task *t, V1__TaskStatus__Reason reason);
/* Its command with our variables behind its own, in the arena. */
V1__CommandInfo *pod_task_command(const struct pod_task *t, struct fl_arena *arena);
/* Its terminal status is told: the task goes, and with it maybe its group. */
void pod_task_over(struct pod_task *t, V1__TaskState state);

/* pod_kill.c */
void pod_kill(struct pod_task *t, uint64_t grace_us);
uint64_t pod_grace(const struct pod_task *t, const V1__KillPolicy *override_or_null);
void pod_kill_again(
    struct pod_task *t); /* the agent is back, or the container has just been started */
void pod_arm_max_time(struct pod_task *t);
void pod_kill_stop(struct pod_task *t);

/* pod_checks.c */
void pod_checks_start(struct pod_task *t);
void pod_checks_stop(struct pod_task *t);
void pod_probes_drop(struct pod *p); /* the agent is gone, and with it the containers of checks */

#endif
