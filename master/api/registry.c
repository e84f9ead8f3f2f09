/* /registrar(1)/registry: what the registry holds, in the form of the reference's Registry message. It is written from the master's
 * memory, which is what the registry would be read into. */
#include "master/api/state.h"
#include "master/maintenance.h"
#include "master/quota.h"
#include "master/weights.h"

static void write_admitted(struct state_out *o, V1__AgentInfo *info, const V1__DrainInfo *drain,
                           bool deactivated)
{
    struct json_out *j = &o->j;

    json_object(j);
    json_kpb(j, "info", &viewer_agent_info(o->viewer, info, o->arena)->base, FL_JSON_LEGACY);
    if (drain)
        json_kpb(j, "drain_info", &drain->base, FL_JSON_LEGACY);
    json_kbool(j, "deactivated", deactivated);
    json_end_object(j);
    fl_arena_reset(o->arena);
    state_step(o);
}

static void write_agents(struct state_out *o)
{
    json_kobject(&o->j, "slaves");
    json_karray(&o->j, "slaves");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next)
        write_admitted(o, a->info, a->drain_info, a->deactivated);
    for (const struct known_agent *k = o->m->recovered_agents; k; k = k->hh.next)
        if (k->info)
            write_admitted(o, k->info, k->drain_info, k->deactivated);
    json_end_array(&o->j);
    json_end_object(&o->j);
}

static void write_known(struct state_out *o, const char *key, const struct known_agent *list)
{
    struct json_out *j = &o->j;

    if (!list)
        return;
    json_kobject(j, key);
    json_karray(j, "slaves");
    for (const struct known_agent *k = list; k; k = k->hh.next) {
        json_object(j);
        json_kobject(j, "id");
        json_kstr(j, "value", k->id);
        json_end_object(j);
        json_kobject(j, "timestamp");
        json_kuint(j, "nanoseconds", k->since_ns);
        json_end_object(j);
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
    json_end_object(j);
}

static bool is_machine(const V1__MachineID *a, const V1__MachineID *b)
{
    return streq(a->hostname, b->hostname) && streq(a->ip, b->ip);
}

static bool is_down(const Maint__ClusterStatus *status, const V1__MachineID *id)
{
    for (size_t i = 0; i < status->n_down_machines; i++)
        if (is_machine(status->down_machines[i], id))
            return true;
    return false;
}

static void write_machine(struct json_out *j, const V1__MachineID *id, bool down,
                          const V1__Unavailability *unavailability)
{
    json_object(j);
    json_kobject(j, "info");
    json_kpb(j, "id", &id->base, FL_JSON_LEGACY);
    json_kstr(j, "mode", down ? "DOWN" : "DRAINING");
    json_kpb(j, "unavailability", &unavailability->base, FL_JSON_LEGACY);
    json_end_object(j);
    json_end_object(j);
}

static void write_maintenance(struct state_out *o)
{
    struct json_out *j = &o->j;
    const Maint__Schedule *schedule = maintenance_schedule(o->m, o->rq->principal, o->arena);
    const Maint__ClusterStatus *status = maintenance_status(o->m, o->rq->principal, o->arena);

    if (!schedule->n_windows)
        return;
    json_kobject(j, "machines");
    json_karray(j, "machines");
    for (size_t w = 0; w < schedule->n_windows; w++) {
        const Maint__Window *window = schedule->windows[w];
        for (size_t i = 0; i < window->n_machine_ids; i++)
            write_machine(j, window->machine_ids[i], is_down(status, window->machine_ids[i]),
                          window->unavailability);
    }
    json_end_array(j);
    json_end_object(j);
    json_karray(j, "schedules");
    json_pb(j, &schedule->base, FL_JSON_LEGACY);
    json_end_array(j);
}

static void write_roles(struct state_out *o)
{
    struct json_out *j = &o->j;
    const Quota__QuotaStatus *quota = master_quota_status(o->m, o->rq->principal, o->arena);
    V1__WeightInfo **weights;
    size_t n = master_weights(o->m, o->rq->principal, o->arena, &weights);

    if (n > 0) {
        json_karray(j, "weights");
        for (size_t i = 0; i < n; i++) {
            json_object(j);
            json_kpb(j, "info", &weights[i]->base, FL_JSON_LEGACY);
            json_end_object(j);
        }
        json_end_array(j);
    }
    if (quota->n_configs == 0)
        return;
    json_karray(j, "quota_configs");
    for (size_t i = 0; i < quota->n_configs; i++)
        json_pb(j, &quota->configs[i]->base, FL_JSON_LEGACY);
    json_end_array(j);
}

static void write_registry(struct state_out *o)
{
    struct json_out *j = &o->j;

    json_object(j);
    json_kobject(j, "master");
    json_kpb(j, "info", &o->m->info->base, FL_JSON_LEGACY);
    json_end_object(j);
    write_agents(o);
    write_known(o, "unreachable", o->m->unreachable_agents);
    write_known(o, "gone", o->m->gone_agents);
    write_maintenance(o);
    write_roles(o);
    json_end_object(j);
}

static const struct state_view view = {"/registry", write_registry, false};

void registry_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &view);
}
