/* One command, ADD or DEL, to the plug-ins of one network, one after the other; CNI specification 0.1 to 1.0. The loop's thread.
 *
 * ADD goes forwards, each plug-in gets the result of the one before; the first failure ends it. DEL goes backwards, each gets the last
 * result of ADD where the version has it so, and a failure does not keep the others from running: it is told at the end. */
#ifndef ISOLATORS_CNI_RUN_H
#define ISOLATORS_CNI_RUN_H

#include "common/base/loop.h"
#include "isolators/cni/conf.h"

/* Borrowed for as long as it runs. */
struct cni_run_spec {
    bool add; /* else DEL */
    const char *container_id, *ifname;
    const char *netns; /* NULL: there is none any more */
    const char *plugins_dir, *launcher_dir;
    json_t *conf;
    const char *added; /* DEL: what ADD gave, or NULL */
};
/* Once, never before cni_run() returned. `result`: of ADD; borrowed. */
typedef void cni_run_f(void *arg, const char *result, const struct fl_err *err_or_null);

struct cni_run;
struct cni_run *cni_run(struct fl_loop *loop, const struct cni_run_spec *spec, cni_run_f *done,
                        void *arg);
/* Nothing is called any more; a plug-in that runs goes on by itself, for killed half-way it would leave things behind. */
void cni_run_free(struct cni_run *r);

/* Whether a plug-in for that container runs, which may be one that an earlier agent started. */
bool cni_run_under_way(const char *container_id);

#endif
