/* The master's files: its log, at /files/... and through LIST_FILES and READ_FILE. */
#include "master/api/operator_call.h"

#include "common/base/http_files.h"
#include "common/model/operator_files.h"

/* The root decides, for nothing outside it can be reached through it, whatever the path says. What is attached nowhere is not forbidden:
 * it is not found. */
static int check_path(const struct master_api *api, const char *principal, const char *path,
                      struct fl_err *err)
{
    const struct acls *acls = http_guard_acls(api->guard);
    const char *virtual_path, *real;

    if (!acls || !http_files_root(api->files, path, &virtual_path, &real))
        return 0;
    return acls_check(acls, ACL_ACCESS_MESOS_LOGS, principal, NULL, err);
}

/* ---- the older endpoints ---- */

typedef void files_f(struct http_files *f, struct http_exchange *ex);

static void serve(struct http_exchange *ex, const struct master_api *api, files_f *fn)
{
    _cleanup_free_ char *path = http_query_get(http_exchange_request(ex)->query, "path");
    struct fl_err err = {0};

    if (path && check_path(api, http_guard_principal(ex), path, &err) < 0)
        http_respond_err(ex, &err);
    else
        fn(api->files, ex);
}

void files_browse_get(struct http_exchange *ex, void *arg)
{
    serve(ex, arg, http_files_browse);
}

void files_read_get(struct http_exchange *ex, void *arg)
{
    serve(ex, arg, http_files_read);
}

void files_download_get(struct http_exchange *ex, void *arg)
{
    serve(ex, arg, http_files_download);
}

void files_debug_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;

    http_files_debug(api->files, ex);
}

/* ---- the calls ---- */

int op_list_files(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ListFiles *c = op->call->list_files;
    Mapi__Response__ListFiles *m =
        OPERATOR_NEW(op, Mapi__Response__ListFiles, mapi__response__list_files);
    int r;

    r = check_path(op->api, op->principal, c->path, err);
    if (r == 0)
        r = operator_list_files(op->api->files, c->path, op->arena, &m->file_infos,
                                &m->n_file_infos, err);
    op->response.list_files = m;
    return r;
}

int op_read_file(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ReadFile *c = op->call->read_file;
    Mapi__Response__ReadFile *m =
        OPERATOR_NEW(op, Mapi__Response__ReadFile, mapi__response__read_file);
    int r;

    r = check_path(op->api, op->principal, c->path, err);
    if (r == 0)
        r = operator_read_file(op->api->files, c->path, c->offset,
                               c->has_length ? c->length : UINT64_MAX, op->arena, &m->data,
                               &m->size, err);
    op->response.read_file = m;
    return r;
}

int op_read_log(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ReadLog *c = op->call->read_log;
    Mapi__Response__ReadLog *m =
        OPERATOR_NEW(op, Mapi__Response__ReadLog, mapi__response__read_log);
    int r = check_path(op->api, op->principal, MASTER_LOG_PATH, err);

    if (r == 0)
        r = operator_read_file(op->api->files, MASTER_LOG_PATH, c->offset,
                               c->has_length ? c->length : UINT64_MAX, op->arena, &m->data,
                               &m->size, err);
    op->response.read_log = m;
    return r == 0
               ? 0
               : fl_err_wrap(err, "read the log of this master (--log_dir, --external_log_file)");
}
