/* The networks of one container, as the isolator has them in memory. */
#ifndef ISOLATORS_CNI_NETWORK_H
#define ISOLATORS_CNI_NETWORK_H

#include "isolators/cni/conf.h"
#include "isolators/cni/netns.h"
#include "isolators/cni/result.h"
#include "isolators/cni/run.h"
#include "isolators/id_map.h"
#include "isolators/isolators_priv.h"

struct cni_network {
    char *name, *ifname;       /* owned */
    json_t *conf;              /* as its plug-ins get it; NULL: nothing was run for it */
    V1__NetworkInfo *info;     /* what was asked for */
    char *said;                /* what ADD gave; NULL: not done */
    struct cni_result *result; /* the same, read */
};

#define CNI_ENTRY_MAGIC 0xc4170003u
struct cni_entry {
    struct id_entry id; /* first */
    unsigned magic;
    struct cni_isolator *owner;
    char *folder, *ns; /* owned */
    struct cni_network *networks;
    size_t n;

    /* While it is prepared. The plan is the container's. */
    struct launch_plan *plan;
    char *hostname, *rootfs;
    bool nested;
    struct cni_netns *making;

    struct cni_run *run; /* ADD or DEL of networks[next] */
    size_t next;
    /* While it is taken down. */
    bool going, failed;
    bool recovered; /* plug-ins of an earlier agent may still run */
    unsigned attempts, waits;
    struct fl_timer *timer;
    pid_t pid; /* of a process in the namespace; 0: none */
};

#define CNI_MAGIC 0xc4170004u
struct cni_isolator {
    struct isolator base; /* first */
    unsigned magic;
    struct fl_loop *loop;
    const struct isolator_config *config;
    struct cni_catalog *catalog;
    struct cni_default_dns *dns;
    char *root; /* owned */
    bool root_made;
    struct id_map containers; /* of struct cni_entry */
};

static inline struct cni_isolator *cni_of(struct isolator *i)
{
    return FL_CAST(cni_isolator, CNI_MAGIC, i);
}

/* network.c */
struct cni_entry *cni_entry_new(struct cni_isolator *i, const char *id);
void cni_entry_drop(struct cni_entry *e);
/* The entry of the container, or of the nearest one around it that has one; NULL: the machine's network. */
struct cni_entry *cni_entry_of(const struct cni_isolator *i, const char *id);
/* Adds the networks that `info` names. */
int cni_entry_fill(struct cni_entry *e, const V1__ContainerInfo *info, struct fl_err *err);
/* Its folder, and for each network what its plug-ins will be given; all before the first of them runs. */
int cni_entry_save(const struct cni_entry *e, const struct cni_network *n, struct fl_err *err);
int cni_entry_save_result(const struct cni_entry *e, const struct cni_network *n,
                          struct fl_err *err);
/* From what lies on disk. */
struct cni_entry *cni_entry_load(struct cni_isolator *i, const char *id);
/* Forgets a network that is gone, on disk as well. */
int cni_network_remove(const struct cni_entry *e, struct cni_network *n);
const char *cni_entry_address(const struct cni_entry *e); /* the first; or NULL */
/* In the form of a container's status, from the arena. */
void cni_entry_status(const struct cni_entry *e, struct fl_arena *arena,
                      V1__ContainerStatus *status);
/* Adds what its interfaces have carried. */
void cni_entry_usage(const struct cni_entry *e, struct container_usage *out);

/* detach.c: takes it down, again and again until it is done; then it is dropped. */
void cni_detach(struct cni_entry *e);
void cni_detach_stop(struct cni_entry *e); /* leaves it to the next agent */

#endif
