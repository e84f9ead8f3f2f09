/* Inside of the provisioner; the agent's thread. All slow work is in helpers (agent/images/helper.h), one a step:
 *
 *   provision: record in the store? -> else a pull, shared by all who wait for that image -> the root file system is made -> done()
 *   removal:   one helper a container
 *   prune:     begins when nothing is provisioned, and holds up what comes meanwhile
 *   clean:     at the start, and after a pull that did not end by itself
 */
#ifndef AGENT_CONTAINERIZER_PROVISIONER_PRIV_H
#define AGENT_CONTAINERIZER_PROVISIONER_PRIV_H

#include <jansson.h>

#include "agent/containerizer/provisioner.h"
#include "agent/flags.h"
#include "agent/images/store.h"
#include "common/base/child.h"

#define PROVISION_MAGIC 0x9407151eu
struct provision {
    unsigned magic;
    struct provisioner *p;
    struct provision *prev, *next;
    char *container_id, *name; /* owned; name: of the image, as records call it */
    V1__Image *image;          /* owned */
    provisioner_done_f *done;
    void *arg;
    bool given_up, queued;       /* queued: behind a prune */
    struct image_pull *pull;     /* waited for, or NULL */
    struct image_record *record; /* owned */
    char *rootfs;                /* owned */
    struct child *child;         /* makes the root */
    struct fl_err why;           /* of giving up */
};

#define PULL_MAGIC 0x9407151fu
struct image_pull {
    unsigned magic;
    struct provisioner *p;
    struct image_pull *prev, *next;
    char *name, *request; /* owned; request: until it is sent */
    size_t waiters;
    struct child *child; /* NULL: others are pulled first */
};

#define REMOVAL_MAGIC 0x94071520u
struct removal {
    unsigned magic;
    struct provisioner *p;
    struct removal *prev, *next;
    char *container_id; /* owned */
    struct child *child;
};

struct provisioner {
    struct fl_loop *loop;
    const struct agent_flags *flags;    /* borrowed */
    char *image_helper, *rootfs_helper; /* owned: paths of the programs */
    char *store, *root;                 /* owned; root: <work_dir>/provisioner/containers */
    const char *backend;
    int lock; /* of the store, shared */
    struct provision *provisions;
    struct image_pull *pulls;
    size_t n_pulling;
    struct removal *removals;

    struct child *clean;
    bool clean_again;

    struct {
        bool wanted;
        struct child *child;
        json_t *keep; /* owned */
        provisioner_pruned_f *done;
        void *arg;
    } prune;
    struct {
        struct fl_timer *timer; /* NULL: only when asked */
        double headroom;
        uint64_t interval_us;
        json_t *keep; /* owned: names of excluded images */
    } gc;
};

/* provisioner.c */
/* Runs one of the helpers; `request` becomes ours. */
int helper_run(struct provisioner *p, const char *helper, json_t *request, uint64_t timeout_us,
               child_done_f *done, void *arg, struct child **ret, struct fl_err *err);
/* Reads what it was told when it failed: like child_check(), without the program's name before it. */
int helper_check(const struct child_result *r, struct fl_err *err);
char *container_folder(const struct provisioner *p, const char *container_id); /* the caller's */
void provision_begin(void *provision);
void provision_pulled(struct provision *v, struct image_record *record_or_null,
                      const struct fl_err *err); /* the record is borrowed */

/* provisioner_pull.c */
void pull_join(struct provision *v);
void pull_leave(struct provision *v);
void pull_free_all(struct provisioner *p);
void store_clean_later(struct provisioner *p);

/* provisioner_gc.c */
int gc_configure(struct provisioner *p, struct fl_err *err);
void prune_when_idle(struct provisioner *p);
void gc_free(struct provisioner *p);

#endif
