/* From events to the framework's callbacks. Runs on the thread the callbacks belong to. */
#include "common/base/json.h"
#include "libframework/scheduler.h"

static void call_offers(struct fw_scheduler *s, const Sched__Event *ev)
{
    size_t n = ev->offers->n_offers;
    _cleanup_free_ fw_offer *offers = xcalloc(n + 1, sizeof(*offers));
    _cleanup_free_ fw_offer **list = xcalloc(n + 1, sizeof(*list));

    for (size_t i = 0; i < n; i++) {
        offers[i].pb = ev->offers->offers[i];
        list[i] = &offers[i];
    }
    s->cb.on_offers(s, list, n, s->arg);
    for (size_t i = 0; i < n; i++)
        free(offers[i].taken);
}

static void call_inverse_offers(struct fw_scheduler *s, const Sched__Event *ev)
{
    for (size_t i = 0; i < ev->inverse_offers->n_inverse_offers; i++) {
        const V1__InverseOffer *o = ev->inverse_offers->inverse_offers[i];
        const V1__Unavailability *u = o->unavailability;
        double start = u && u->start ? (double)u->start->nanoseconds / 1e9 : 0;
        double duration = u && u->duration ? (double)u->duration->nanoseconds / 1e9 : -1;
        s->cb.on_inverse_offer(s, o->id->value, o->agent_id ? o->agent_id->value : NULL, start,
                               duration, s->arg);
    }
}

static void call_update(struct fw_scheduler *s, const Sched__Event *ev)
{
    fw_status status = {.pb = ev->update->status};

    if (s->cb.on_update)
        s->cb.on_update(s, &status, s->arg);
    if (!s->explicit_acks && fw_status_needs_ack(&status))
        fw_acknowledge(s, &status);
}

static void call_operation(struct fw_scheduler *s, const Sched__Event *ev)
{
    const V1__OperationStatus *o = ev->update_operation_status->status;
    const char *state = fl_enum_name(&v1__operation_state__descriptor, (int)o->state);

    s->cb.on_operation_status(s, o->operation_id ? o->operation_id->value : "", state ? state : "",
                              o->message ? o->message : "", s->arg);
}

static void call_failure(struct fw_scheduler *s, const Sched__Event *ev)
{
    const Sched__Event__Failure *f = ev->failure;
    const char *agent = f->agent_id ? f->agent_id->value : "";

    if (f->executor_id) {
        if (s->cb.on_executor_lost)
            s->cb.on_executor_lost(s, agent, f->executor_id->value, f->has_status ? f->status : -1,
                                   s->arg);
    } else if (s->cb.on_agent_lost) {
        s->cb.on_agent_lost(s, agent, s->arg);
    }
}

static void call_subscribed(struct fw_scheduler *s, const Sched__Event *ev)
{
    const V1__MasterInfo *m = ev->subscribed->master_info;
    char master[300] = "";

    if (m && m->address && m->address->ip)
        fl_snprintf(master, sizeof(master), "%s:%d", m->address->ip, m->address->port);
    else if (m && m->hostname)
        fl_snprintf(master, sizeof(master), "%s:%u", m->hostname, m->port);
    s->cb.on_subscribed(s, ev->subscribed->framework_id->value, master, s->arg);
}

static void run_event(struct fw_scheduler *s, const Sched__Event *ev, const void *bytes, size_t n)
{
    const struct fw_scheduler_callbacks *cb = &s->cb;

    if (cb->on_event)
        cb->on_event(s, bytes, n, s->arg);
    if (ev->subscribed && cb->on_subscribed)
        call_subscribed(s, ev);
    if (ev->offers && cb->on_offers)
        call_offers(s, ev);
    if (ev->inverse_offers && cb->on_inverse_offer)
        call_inverse_offers(s, ev);
    if (ev->rescind && cb->on_rescind)
        cb->on_rescind(s, ev->rescind->offer_id->value, s->arg);
    if (ev->rescind_inverse_offer && cb->on_rescind_inverse_offer)
        cb->on_rescind_inverse_offer(s, ev->rescind_inverse_offer->inverse_offer_id->value, s->arg);
    if (ev->update)
        call_update(s, ev);
    if (ev->update_operation_status && cb->on_operation_status)
        call_operation(s, ev);
    if (ev->message && cb->on_message)
        cb->on_message(s, ev->message->agent_id->value, ev->message->executor_id->value,
                       ev->message->data.data, ev->message->data.len, s->arg);
    if (ev->failure)
        call_failure(s, ev);
    if (ev->type == SCHED__EVENT__TYPE__HEARTBEAT && cb->on_heartbeat)
        cb->on_heartbeat(s, s->arg);
}

static void run_text(struct fw_scheduler *s, enum fw_sched_notice kind, const char *text)
{
    if (kind == FW_DISCONNECTED && s->cb.on_disconnected)
        s->cb.on_disconnected(s, text, s->arg);
    if (kind == FW_DEAD && s->cb.on_error)
        s->cb.on_error(s, text, s->arg);
}

void fw_sched_notice(void *scheduler, int kind, const void *bytes, size_t n, const void *message)
{
    struct fw_scheduler *s = FL_CAST(fw_scheduler, FW_SCHEDULER_MAGIC, scheduler);

    if (kind != FW_EVENT) {
        run_text(s, (enum fw_sched_notice)kind, bytes);
    } else if (message) {
        run_event(s, message, bytes, n);
    } else {
        /* It was decoded before it was queued, so it is a message. */
        _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4 * n + 512);
        ProtobufCMessage *m = NULL;
        if (fl_pb_decode(bytes, n, &sched__event__descriptor, fl_arena_allocator(arena), &m,
                         NULL) == 0)
            run_event(s, (const Sched__Event *)m, bytes, n);
    }
}
