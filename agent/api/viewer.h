/* What one caller may see of the agent: frameworks, tasks, executors, containers (view_... of the access rules), and sandboxes and
 * logs. Core's thread. */
#ifndef AGENT_API_VIEWER_H
#define AGENT_API_VIEWER_H

#include "agent/api/api.h"

struct agent_viewer {
    const struct acls *acls; /* NULL: sees everything */
    const char *principal;
};

static inline struct agent_viewer agent_viewer_of(const struct agent_api *api,
                                                  const struct http_exchange *ex)
{
    return (struct agent_viewer){http_guard_acls(api->guard), http_guard_principal(ex)};
}
bool agent_viewer_framework(const struct agent_viewer *v, const struct agent_framework *f);
bool agent_viewer_task(const struct agent_viewer *v, const struct agent_task *t);
/* By the user of the executor: ACL_VIEW_EXECUTORS, ACL_VIEW_CONTAINERS, ACL_ACCESS_SANDBOXES. */
bool agent_viewer_executor(const struct agent_viewer *v, enum acl_action action,
                           const struct agent_executor *e);
/* A path of /files: FL_FORBIDDEN. What is not attached is not forbidden: it is not found. */
int agent_viewer_file(const struct agent_viewer *v, const struct agent_api *api, const char *path,
                      struct fl_err *err);

#endif
