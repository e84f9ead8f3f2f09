/* The calls about nested and standalone containers: LAUNCH_..., WAIT_..., KILL_... and REMOVE_[NESTED_]CONTAINER. The older calls
 * are about nested containers only; the newer ones take both, and resources.
 *
 * Order of refusals: what the message itself tells (agent_container_check, before anything else), 403, then what the core says. A call
 * that waits holds its exchange; the core answers every one. */
#include <math.h>
#include <signal.h>

#include "agent/api/handlers.h"
#include "common/base/http_auth.h"
#include "common/base/log.h"
#include "common/model/acl_operation.h"
#include "common/model/validate.h"

/* ---- what the calls have in common ---- */

enum verb { LAUNCH, WAIT, KILL, REMOVE, SESSION, ATTACH };

/* A call's part bears its type's name in small letters and begins with the id. */
static const struct call_row {
    Aapi__Call__Type type;
    const char *field;
    enum verb verb;
    bool nested_only;
} rows[] = {
    {AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER, "launch_nested_container", LAUNCH, true},
    {AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER, "wait_nested_container", WAIT, true},
    {AAPI__CALL__TYPE__KILL_NESTED_CONTAINER, "kill_nested_container", KILL, true},
    {AAPI__CALL__TYPE__REMOVE_NESTED_CONTAINER, "remove_nested_container", REMOVE, true},
    {AAPI__CALL__TYPE__LAUNCH_CONTAINER, "launch_container", LAUNCH, false},
    {AAPI__CALL__TYPE__WAIT_CONTAINER, "wait_container", WAIT, false},
    {AAPI__CALL__TYPE__KILL_CONTAINER, "kill_container", KILL, false},
    {AAPI__CALL__TYPE__REMOVE_CONTAINER, "remove_container", REMOVE, false},
    {AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION, "launch_nested_container_session", SESSION,
     true},
    {AAPI__CALL__TYPE__ATTACH_CONTAINER_OUTPUT, "attach_container_output", ATTACH, false},
};

static const struct call_row *row_of(const Aapi__Call *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].type == c->type)
            return &rows[i];
    }
    return NULL;
}

static const V1__ContainerID *id_of(const Aapi__Call *c)
{
    switch (c->type) {
    case AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER:
        return c->launch_nested_container->container_id;
    case AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER:
        return c->wait_nested_container->container_id;
    case AAPI__CALL__TYPE__KILL_NESTED_CONTAINER:
        return c->kill_nested_container->container_id;
    case AAPI__CALL__TYPE__REMOVE_NESTED_CONTAINER:
        return c->remove_nested_container->container_id;
    case AAPI__CALL__TYPE__LAUNCH_CONTAINER:
        return c->launch_container->container_id;
    case AAPI__CALL__TYPE__WAIT_CONTAINER:
        return c->wait_container->container_id;
    case AAPI__CALL__TYPE__KILL_CONTAINER:
        return c->kill_container->container_id;
    case AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION:
        return c->launch_nested_container_session->container_id;
    case AAPI__CALL__TYPE__ATTACH_CONTAINER_OUTPUT:
        return c->attach_container_output->container_id;
    default:
        return c->remove_container->container_id;
    }
}

/* ---- checks of the message ---- */

int agent_container_id_check(const V1__ContainerID *id, const char *field, struct fl_err *err)
{
    unsigned depth = 0;

    for (; id; id = id->parent) {
        const char *why = ++depth > CONTAINER_MAX_DEPTH ? "it is nested too deep" : NULL;
        struct fl_err own;

        if (!why && validate_id(id->value, &own) < 0)
            why = own.msg;
        else if (!why && strlen(id->value) > CONTAINER_MAX_NAME)
            why = "it exceeds the maximum length (242)";
        else if (!why && strpbrk(id->value, ". "))
            why = "it contains invalid characters";
        if (why)
            return fl_err_set(err, FL_INVALID,
                              "Failed to validate agent::Call: '%s.container_id' is invalid: "
                              "'ContainerID.value' '%.260s': %s",
                              field, id->value, why);
    }
    return 0;
}

static int bad_launch(const char *field, const char *why, struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "Failed to validate agent::Call: '%s' is invalid: %s", field,
                      why);
}

static const V1__LinuxInfo *linux_info(const V1__ContainerInfo *info)
{
    return info ? info->linux_info : NULL;
}

/* What is allowed only one level below the root, and only there. */
static int check_levels(const struct call_row *row, const V1__ContainerID *id,
                        const V1__ContainerInfo *info, bool amounts, struct fl_err *err)
{
    const V1__LinuxInfo *li = linux_info(info);
    bool deeper = id->parent && id->parent->parent;

    if (deeper && amounts)
        return bad_launch(row->field,
                          "containers nested at the second level or greater cannot specify "
                          "resources or resource limits",
                          err);
    if (deeper && li && li->has_share_cgroups && !li->share_cgroups)
        return bad_launch(row->field,
                          "containers nested at the second level or greater cannot set "
                          "'share_cgroups' to 'false'",
                          err);
    if (!id->parent && li && li->has_share_cgroups && li->share_cgroups)
        return bad_launch(row->field,
                          "containers without a parent cannot set 'share_cgroups' to 'true'", err);
    return 0;
}

static int check_resources(const Aapi__Call__LaunchContainer *l, struct fl_err *err)
{
    _cleanup_resources_ struct resources all = RESOURCES_INIT, volumes = RESOURCES_INIT;
    int r = resources_from_pb(l->resources, l->n_resources, &all, err);

    if (r < 0)
        return fl_err_wrap(err, "Invalid resources");
    if (l->container_id->parent)
        return 0;
    for (size_t i = 0; i < l->n_resources; i++) {
        const V1__Resource *x = l->resources[i];
        if (x->n_reservations || x->reservation || (x->role && !streq(x->role, "*")))
            return fl_err_set(err, FL_INVALID, "'launch_container.resources' must be unreserved");
    }
    resources_persistent_volumes(&all, &volumes);
    if (!resources_empty(&volumes))
        return fl_err_set(err, FL_INVALID,
                          "'launch_container.resources' may not use persistent volumes");
    if (resources_has_revocable(&all))
        return fl_err_set(err, FL_INVALID, "'launch_container.resources' must be non-revocable");
    return 0;
}

static int check_signal(const Aapi__Call *c, const struct call_row *row, struct fl_err *err)
{
    bool old = row->nested_only;
    int signo = old ? (c->kill_nested_container->has_signal ? c->kill_nested_container->signal : 1)
                    : (c->kill_container->has_signal ? c->kill_container->signal : 1);

    if (signo < 1 || signo >= NSIG)
        return fl_err_set(err, FL_INVALID, "'%s.signal' is %d: no signal has that number",
                          row->field, signo);
    return 0;
}

static int check_session(const Aapi__Call__LaunchNestedContainerSession *s, struct fl_err *err)
{
    const V1__LinuxInfo *li = linux_info(s->container);

    if (li && li->has_share_cgroups && !li->share_cgroups)
        return bad_launch("launch_nested_container_session.container.linux_info",
                          "'share_cgroups' cannot be set to 'false' for nested container sessions",
                          err);
    return 0;
}

int agent_container_check(const Aapi__Call *c, struct fl_err *err)
{
    const struct call_row *row = row_of(c);
    const V1__ContainerID *id;
    int r;

    if (!row)
        return 0;
    id = id_of(c);
    r = agent_container_id_check(id, row->field, err);
    if (r < 0)
        return r;
    if (row->nested_only && !id->parent)
        return fl_err_set(err, FL_INVALID,
                          "Failed to validate agent::Call: Expecting '%s.container_id.parent' to "
                          "be present",
                          row->field);
    if (row->verb == KILL)
        return check_signal(c, row, err);
    if (row->verb == SESSION)
        return check_session(c->launch_nested_container_session, err);
    if (row->verb != LAUNCH)
        return 0;
    if (row->nested_only)
        return check_levels(row, id, c->launch_nested_container->container, false, err);
    r = check_resources(c->launch_container, err);
    if (r < 0)
        return r;
    return check_levels(row, id, c->launch_container->container,
                        c->launch_container->n_resources || c->launch_container->n_limits, err);
}

/* ---- who may ---- */

/* An executor, known by the claims of its token, may do everything to what is below its own container, and nothing else. */
static int check_claims(const struct http_principal *p, const char *id, struct fl_err *err)
{
    const char *own = http_principal_claim(p, "cid");
    size_t n = strcspn(id, ".");

    if (own && strlen(own) == n && memcmp(own, id, n) == 0)
        return 0;
    return fl_err_set(err, FL_FORBIDDEN,
                      "The authenticated principal's claims are not those of the executor of "
                      "container '%s'",
                      id);
}

int agent_container_allowed(const struct agent_api *api, const struct http_exchange *ex,
                            const char *id, const struct agent_container_acl *acl,
                            struct fl_err *err)
{
    const struct http_principal *p = http_exchange_principal(ex);
    const struct agent_viewer v = agent_viewer_of(api, ex);
    const struct agent_executor *e = agent_nested_executor(api->core, id);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    const char *user =
        e ? acl_executor_user(agent_executor_info(e, arena), e->framework->info) : NULL;

    if (p && !p->value)
        return check_claims(p, id, err);
    if (!v.acls)
        return 0;
    if (!strchr(id, '.') && !e)
        return acls_check(v.acls, acl->standalone, v.principal, NULL, err);
    int r = acls_check(v.acls, acl->nested, v.principal, user, err);
    if (r == 0 && acl->command)
        r = acls_check(v.acls, acl->as_user, v.principal,
                       acl->command->user ? acl->command->user : user, err);
    return r;
}

static const struct agent_container_acl acl_rows[] = {
    [LAUNCH] = {ACL_LAUNCH_NESTED_UNDER_PARENT, ACL_LAUNCH_STANDALONE, ACL_LAUNCH_NESTED_AS_USER,
                NULL},
    [WAIT] = {ACL_WAIT_NESTED, ACL_WAIT_STANDALONE, ACL_WAIT_NESTED, NULL},
    [KILL] = {ACL_KILL_NESTED, ACL_KILL_STANDALONE, ACL_KILL_NESTED, NULL},
    [REMOVE] = {ACL_REMOVE_NESTED, ACL_REMOVE_STANDALONE, ACL_REMOVE_NESTED, NULL},
};

/* ---- launch ---- */

static void launched(void *arg, const struct container_end *end)
{
    struct http_exchange *ex = arg;

    if (!end)
        http_respond(ex, 200, NULL, "");
    else if (end->reason == CONTAINER_LAUNCH_FAILED)
        http_respond(ex, 400, HTTP_TEXT, end->message ? end->message : "Container launch failed");
    else
        http_respond(ex, 400, HTTP_TEXT, "Container destroyed while it was being launched");
}

static double limit_of(const Aapi__Call__LaunchContainer *c, const char *name)
{
    for (size_t i = 0; c && i < c->n_limits; i++) {
        if (streq(c->limits[i]->key, name))
            return c->limits[i]->value->value;
    }
    return -1;
}

static int launch(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *call,
                  const char *id, struct fl_err *err)
{
    static const V1__CommandInfo nothing = V1__COMMAND_INFO__INIT;
    const Aapi__Call__LaunchContainer *c = call->launch_container;
    const Aapi__Call__LaunchNestedContainer *n = call->launch_nested_container;
    bool old = call->type == AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER;
    const V1__CommandInfo *command = old ? n->command : c->command;
    const V1__ContainerInfo *info = old ? n->container : c->container;
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    int r = 0;

    if (info && info->type != V1__CONTAINER_INFO__TYPE__MESOS)
        return fl_err_set(err, FL_INVALID, "The provided ContainerInfo is not supported");
    if (!old)
        r = resources_from_pb(c->resources, c->n_resources, &res, err);
    if (r < 0)
        return r;
    const struct agent_nested_launch l = {.container_id = id,
                                          .command = command ? command : &nothing,
                                          .container = info,
                                          .user = command ? command->user : NULL,
                                          .resources = &res,
                                          .cpu_limit = limit_of(old ? NULL : c, "cpus"),
                                          .mem_limit = limit_of(old ? NULL : c, "mem")};
    r = agent_nested_launch(api->core, &l, launched, ex, err);
    if (r < 0 && err->reason == FL_CONFLICT) {
        http_respond(ex, 202, NULL, "");
        return 0;
    }
    if (r < 0)
        err->reason = FL_INVALID; /* whatever it is, what was asked for cannot be had */
    return r;
}

/* ---- wait ---- */

struct waiting {
    struct http_exchange *ex;
    enum api_encoding encoding;
    bool old;
};

static void reason_of(const struct container_end *end, Aapi__Response__WaitContainer *w)
{
    static const struct {
        enum container_end_reason end;
        V1__TaskStatus__Reason reason;
    } reasons[] = {
        {CONTAINER_LAUNCH_FAILED, V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED},
        {CONTAINER_LIMIT_MEMORY, V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY},
        {CONTAINER_LIMIT_DISK, V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_DISK},
        {CONTAINER_LIMIT_PORTS, V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION},
    };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].end != end->reason)
            continue;
        w->has_state = w->has_reason = true;
        w->state = V1__TASK_STATE__TASK_FAILED;
        w->reason = reasons[i].reason;
    }
}

static void respond_waited(const struct waiting *s, const Aapi__Response__WaitContainer *w)
{
    Aapi__Response__WaitNestedContainer n = AAPI__RESPONSE__WAIT_NESTED_CONTAINER__INIT;
    Aapi__Response r = AAPI__RESPONSE__INIT;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    r.has_type = true;
    if (s->old) {
        n.has_exit_status = w->has_exit_status;
        n.exit_status = w->exit_status;
        n.has_state = w->has_state;
        n.state = w->state;
        n.has_reason = w->has_reason;
        n.reason = w->reason;
        n.limitation = w->limitation;
        n.message = w->message;
        r.type = AAPI__RESPONSE__TYPE__WAIT_NESTED_CONTAINER;
        r.wait_nested_container = &n;
    } else {
        r.type = AAPI__RESPONSE__TYPE__WAIT_CONTAINER;
        r.wait_container = (Aapi__Response__WaitContainer *)(uintptr_t)w;
    }
    api_encode(&out, &r.base, s->encoding);
    http_respond_buf(s->ex, 200, api_content_type(s->encoding), &out);
}

static void waited(void *arg, const struct container_end *end)
{
    _cleanup_free_ struct waiting *s = arg;
    Aapi__Response__WaitContainer w = AAPI__RESPONSE__WAIT_CONTAINER__INIT;

    w.has_exit_status = end->has_status;
    w.exit_status = end->status;
    w.message = (char *)(uintptr_t)end->message;
    w.limitation = (V1__TaskResourceLimitation *)(uintptr_t)end->limitation;
    reason_of(end, &w);
    respond_waited(s, &w);
}

static int wait_for(struct http_exchange *ex, struct agent_api *api, const char *id,
                    enum api_encoding encoding, bool old, struct fl_err *err)
{
    struct waiting *s = xnew0(struct waiting);

    *s = (struct waiting){.ex = ex, .encoding = encoding, .old = old};
    int r = agent_nested_wait(api->core, id, waited, s, err);
    if (r < 0)
        free(s);
    return r;
}

/* ---- kill, remove ---- */

static int kill_it(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *c,
                   const char *id, struct fl_err *err)
{
    int signo = SIGKILL;

    if (c->type == AAPI__CALL__TYPE__KILL_CONTAINER && c->kill_container->has_signal)
        signo = c->kill_container->signal;
    else if (c->type == AAPI__CALL__TYPE__KILL_NESTED_CONTAINER &&
             c->kill_nested_container->has_signal)
        signo = c->kill_nested_container->signal;
    int r = agent_nested_kill(api->core, id, signo, err);
    if (r == 0)
        http_respond(ex, 200, NULL, "");
    return r;
}

static void removed(void *arg, const struct fl_err *err)
{
    struct http_exchange *ex = arg;

    if (err)
        http_respond(ex, 500, HTTP_TEXT, err->msg);
    else
        http_respond(ex, 200, NULL, "");
}

/* ---- the endpoint ---- */

int agent_container_call(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *c,
                         enum api_encoding encoding, struct fl_err *err)
{
    const struct call_row *row = row_of(c);
    _cleanup_free_ char *id = container_id_text(id_of(c));
    struct agent_container_acl acl = acl_rows[row->verb];

    if (row->verb == LAUNCH)
        acl.command =
            row->nested_only ? c->launch_nested_container->command : c->launch_container->command;
    int r = agent_container_allowed(api, ex, id, &acl, err);
    if (r < 0)
        return r;
    switch (row->verb) {
    case LAUNCH:
        return launch(ex, api, c, id, err);
    case WAIT:
        return wait_for(ex, api, id, encoding, row->nested_only, err);
    case KILL:
        return kill_it(ex, api, c, id, err);
    default:
        return agent_nested_remove(api->core, id, removed, ex, err);
    }
}
