/* /allocator/offer_constraints_debug: for each framework and role the agents that its offer constraints exclude, and the roles it has
 * suppressed. For people who wonder why a framework gets no offers. Core's thread. */
#include "common/model/attributes.h"
#include "common/model/http_guard.h"
#include "master/api/handlers.h"
#include "master/api/viewer.h"

static void excluded(struct json_out *j, const struct master *m, const struct framework *f,
                     const char *role)
{
    json_karray(j, role);
    for (const struct agent *a = m->agents; f->constraints && a; a = a->hh.next) {
        if (!offer_constraints_pass(f->constraints, role, a->info))
            json_string(j, a->id);
    }
    json_end_array(j);
}

static void write_framework(struct json_out *j, const struct master *m, const struct framework *f)
{
    json_kobject(j, f->id);
    json_karray(j, "suppressed_roles");
    for (size_t i = 0; i < f->n_suppressed; i++)
        json_string(j, f->suppressed[i]);
    json_end_array(j);
    json_kobject(j, "excluded_by_attribute_constraints");
    for (size_t i = 0; i < f->n_roles; i++)
        excluded(j, m, f, f->roles[i]);
    json_end_object(j);
    json_end_object(j);
}

void offer_constraints_debug_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct master *m = api->master;
    _cleanup_viewer_ struct viewer *v = viewer_new(m, http_guard_principal(ex));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    json_kobject(&j, "frameworks");
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        if (viewer_sees_framework(v, f->info))
            write_framework(&j, m, f);
    }
    json_end_object(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}
