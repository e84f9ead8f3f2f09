/* fairlead/framework.h - what scheduler.h and executor.h share: status codes and messages.
 *
 * Messages (offers, tasks, statuses, ...) are opaque handles over the protocol's own messages.
 * Getters borrow: what they return lives as long as the handle. Setters copy. A handle belongs to
 * one thread at a time.
 *
 * The library speaks the v1 scheduler and executor HTTP API of Apache Mesos. For all that the
 * getters and setters do not name, fw_*_encode() and fw_*_decode() give and take the protocol's
 * serialized message (mesos.v1.*), so a program may use any protobuf library beside this one.
 *
 * Errors: functions return 0 or a negative errno value; functions that make something return NULL
 * when out of memory. Link with `pkg-config --cflags --libs framework`.
 */
#ifndef FAIRLEAD_FRAMEWORK_H
#define FAIRLEAD_FRAMEWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FW_PUBLIC __attribute__((visibility("default")))

typedef struct fw_offer fw_offer;                 /* mesos.v1.Offer */
typedef struct fw_task fw_task;                   /* mesos.v1.TaskInfo */
typedef struct fw_status fw_status;               /* mesos.v1.TaskStatus */
typedef struct fw_info fw_info;                   /* mesos.v1.FrameworkInfo */
typedef struct fw_executor_info fw_executor_info; /* mesos.v1.ExecutorInfo */

/* Numbers of mesos.v1.TaskState. */
enum fw_task_state {
    FW_TASK_STARTING = 0,
    FW_TASK_RUNNING = 1,
    FW_TASK_FINISHED = 2,
    FW_TASK_FAILED = 3,
    FW_TASK_KILLED = 4,
    FW_TASK_LOST = 5,
    FW_TASK_STAGING = 6,
    FW_TASK_ERROR = 7,
    FW_TASK_KILLING = 8,
    FW_TASK_DROPPED = 9,
    FW_TASK_UNREACHABLE = 10,
    FW_TASK_GONE = 11,
    FW_TASK_GONE_BY_OPERATOR = 12,
    FW_TASK_UNKNOWN = 13,
};
FW_PUBLIC const char *fw_task_state_name(enum fw_task_state s); /* "TASK_RUNNING" */
FW_PUBLIC bool fw_task_state_is_terminal(enum fw_task_state s);

/* The library's version, "1.11.0". */
FW_PUBLIC const char *fw_version(void);

/* ---- framework info ---- */
/* user: NULL means the user of this process. */
FW_PUBLIC fw_info *fw_info_new(const char *name, const char *user_or_null);
FW_PUBLIC void fw_info_free(fw_info *i);
FW_PUBLIC int fw_info_set_id(fw_info *i,
                             const char *framework_id); /* to fail over to a known framework */
FW_PUBLIC int fw_info_set_failover_timeout(fw_info *i, double seconds);
FW_PUBLIC int fw_info_set_checkpoint(fw_info *i, bool on); /* tasks survive their agent's restart */
FW_PUBLIC int fw_info_set_hostname(fw_info *i, const char *hostname);
FW_PUBLIC int fw_info_set_principal(fw_info *i, const char *principal);
FW_PUBLIC int fw_info_set_webui_url(fw_info *i, const char *url);
/* One or more; turns MULTI_ROLE on. Without any, the framework is in role "*". */
FW_PUBLIC int fw_info_add_role(fw_info *i, const char *role);
/* "PARTITION_AWARE", "TASK_KILLING_STATE", "GPU_RESOURCES", ... -EINVAL when unknown. */
FW_PUBLIC int fw_info_add_capability(fw_info *i, const char *name);
FW_PUBLIC int fw_info_add_label(fw_info *i, const char *key, const char *value);
FW_PUBLIC int fw_info_encode(const fw_info *i, void **ret_bytes,
                             size_t *ret_n);                    /* free(*ret_bytes) */
FW_PUBLIC fw_info *fw_info_decode(const void *bytes, size_t n); /* NULL: not a message */

/* ---- offers ---- */
FW_PUBLIC const char *fw_offer_id(const fw_offer *o);
FW_PUBLIC const char *fw_offer_agent_id(const fw_offer *o);
FW_PUBLIC const char *fw_offer_hostname(const fw_offer *o);
FW_PUBLIC const char *
fw_offer_role(const fw_offer *o); /* the role it is allocated to; "*" when not said */
FW_PUBLIC double fw_offer_scalar(const fw_offer *o,
                                 const char *name); /* "cpus", "mem" (MB), ...; 0 when absent */
/* Takes up to `n` ports (numbers of the offer's "ports" ranges) that no earlier call of this handle
 * took; how many. */
FW_PUBLIC size_t fw_offer_take_ports(fw_offer *o, size_t n, uint16_t *ports);
/* Text of a TEXT attribute, or NULL. */
FW_PUBLIC const char *fw_offer_attribute(const fw_offer *o, const char *name);
FW_PUBLIC int fw_offer_encode(const fw_offer *o, void **ret_bytes, size_t *ret_n);
FW_PUBLIC fw_offer *fw_offer_dup(const fw_offer *o); /* keep it beyond its callback */
FW_PUBLIC void fw_offer_free(fw_offer *o);           /* of fw_offer_dup() */

/* ---- tasks ---- */
FW_PUBLIC fw_task *fw_task_new(const char *task_id, const char *name);
FW_PUBLIC void fw_task_free(fw_task *t);
FW_PUBLIC const char *fw_task_id(const fw_task *t);
/* /bin/sh -c command. */
FW_PUBLIC int fw_task_set_shell(fw_task *t, const char *command);
/* argv[0] is looked up in PATH; NULL-terminated. */
FW_PUBLIC int fw_task_set_argv(fw_task *t, const char *const *argv);
FW_PUBLIC int fw_task_set_user(fw_task *t, const char *user);
FW_PUBLIC int fw_task_add_env(fw_task *t, const char *name, const char *value);
FW_PUBLIC int fw_task_add_uri(fw_task *t, const char *uri, bool executable, bool extract);
/* "cpus", "mem" and "disk" in MB, "gpus", or any scalar. Replaces an earlier amount. */
FW_PUBLIC int fw_task_set_scalar(fw_task *t, const char *name, double amount);
FW_PUBLIC int fw_task_add_port(fw_task *t, uint16_t port);
FW_PUBLIC int fw_task_set_limit(fw_task *t, const char *name,
                                double amount); /* cpus or mem; INFINITY */
FW_PUBLIC int fw_task_set_kill_grace(fw_task *t, double seconds);
FW_PUBLIC int fw_task_add_label(fw_task *t, const char *key, const char *value);
FW_PUBLIC int fw_task_set_data(fw_task *t, const void *data, size_t n);
FW_PUBLIC const void *fw_task_data(const fw_task *t, size_t *ret_n);
/* Runs on this executor instead of a command. Copies. */
FW_PUBLIC int fw_task_set_executor(fw_task *t, const fw_executor_info *e);
FW_PUBLIC int fw_task_encode(const fw_task *t, void **ret_bytes, size_t *ret_n);
FW_PUBLIC fw_task *fw_task_decode(const void *bytes, size_t n);

/* ---- executor infos ---- */
FW_PUBLIC fw_executor_info *fw_executor_info_new(const char *executor_id,
                                                 const char *shell_command);
FW_PUBLIC void fw_executor_info_free(fw_executor_info *e);
FW_PUBLIC int fw_executor_info_set_scalar(fw_executor_info *e, const char *name, double amount);
FW_PUBLIC int fw_executor_info_add_env(fw_executor_info *e, const char *name, const char *value);
FW_PUBLIC int fw_executor_info_add_uri(fw_executor_info *e, const char *uri, bool executable,
                                       bool extract);
FW_PUBLIC int fw_executor_info_set_data(fw_executor_info *e, const void *data, size_t n);
FW_PUBLIC int fw_executor_info_encode(const fw_executor_info *e, void **ret_bytes, size_t *ret_n);
FW_PUBLIC fw_executor_info *fw_executor_info_decode(const void *bytes, size_t n);

/* ---- statuses ---- */
FW_PUBLIC const char *fw_status_task_id(const fw_status *s);
FW_PUBLIC const char *fw_status_agent_id(const fw_status *s);    /* "" when not said */
FW_PUBLIC const char *fw_status_executor_id(const fw_status *s); /* "" when not said */
FW_PUBLIC enum fw_task_state fw_status_state(const fw_status *s);
FW_PUBLIC const char *fw_status_message(const fw_status *s); /* "" when none */
FW_PUBLIC const char *fw_status_reason(const fw_status *s);  /* "REASON_..." or "" */
FW_PUBLIC const char *fw_status_source(const fw_status *s);  /* "SOURCE_..." or "" */
FW_PUBLIC double fw_status_timestamp(const fw_status *s);    /* seconds since 1970 */
FW_PUBLIC bool fw_status_needs_ack(const fw_status *s);      /* it carries a uuid */
FW_PUBLIC const void *fw_status_data(const fw_status *s, size_t *ret_n);
/* The container's sandbox is found on the agent under this id; "" when not said. */
FW_PUBLIC const char *fw_status_container_id(const fw_status *s);
FW_PUBLIC int fw_status_encode(const fw_status *s, void **ret_bytes, size_t *ret_n);
FW_PUBLIC fw_status *fw_status_dup(const fw_status *s);
FW_PUBLIC void fw_status_free(fw_status *s); /* of fw_status_dup() */

#ifdef __cplusplus
}
#endif
#endif
