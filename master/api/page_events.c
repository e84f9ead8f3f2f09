/* The web page's events that hold no rows. See page_rows.h. */
#include "master/api/page_rows.h"
#include "master/api/page_values.h"

void page_put_hello(const struct master *m, const char *principal, const struct viewer *v,
                    struct fl_buf *out)
{
    struct json_out j = json_out_on(out);

    JSON_PUT(out, "event: hello\ndata: ");
    json_object(&j);
    json_kuint(&j, "version", 1);
    json_key(&j, "cluster");
    if (m->flags->cluster && viewer_sees_flags(v))
        json_string(&j, m->flags->cluster);
    else
        json_null(&j);
    json_kstr(&j, "hostname", m->info->hostname);
    json_kstr(&j, "master_version", FL_VERSION);
    json_kstr(&j, "id", m->id);
    json_kstr(&j, "leader", m->info->pid);
    json_kdouble(&j, "started", m->start_time);
    json_kdouble(&j, "elected", m->elected_time);
    json_key(&j, "principal");
    if (principal)
        json_string(&j, principal);
    else
        json_null(&j);
    json_karray(&j, "resources");
    for (int i = 0; i < PAGE_AMOUNTS; i++)
        json_string(&j, page_amount_names[i]);
    json_end_array(&j);
    json_kuint(&j, "interval_ms", PAGE_INTERVAL_MS);
    json_end_object(&j);
    JSON_PUT(out, "\n\n");
}

void page_put_beat(const struct master *m, struct fl_buf *out)
{
    struct json_out j = json_out_on(out);

    JSON_PUT(out, "event: beat\ndata: ");
    json_object(&j);
    json_kdouble(&j, "at", env_wall_s(&m->env->env));
    json_kuint(&j, "outstanding_offers", HASH_COUNT(m->offers));
    json_end_object(&j);
    JSON_PUT(out, "\n\n");
}
