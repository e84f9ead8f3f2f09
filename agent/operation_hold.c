/* Messages of the master that must not overtake the disk.
 *
 * A task may count on the volumes and reservations that came before it, so its launch waits until they are on disk. A volume is not
 * made where the data of a destroyed one may still be. What comes behind a message that waits, waits too: the order stays. Pings,
 * registration and the talk about operations pass, for they keep the waiting short.
 *
 * Dropped with the connection: the master finds what is missing when the agent registers again.
 */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

/* One master sends at most what its offers hold; far above that something is wrong. */
#define MAX_HELD 100000

struct agent_held {
    ProtobufCMessage *m; /* owned */
    struct agent_held *prev, *next;
};

static bool passes(const ProtobufCMessageDescriptor *d)
{
    static const ProtobufCMessageDescriptor *const table[] = {
        &msg__ping_slave_message__descriptor,
        &msg__slave_registered_message__descriptor,
        &msg__slave_reregistered_message__descriptor,
        &msg__shutdown_message__descriptor,
        &msg__acknowledge_operation_status_message__descriptor,
        &msg__reconcile_operations_message__descriptor,
        &msg__status_update_acknowledgement_message__descriptor,
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i] == d)
            return true;
    }
    return false;
}

static bool begins_to_wait(const struct agent_core *a, const ProtobufCMessage *m)
{
    if (m->descriptor == &msg__run_task_message__descriptor ||
        m->descriptor == &msg__run_task_group_message__descriptor)
        return true;
    return m->descriptor == &msg__apply_operation_message__descriptor &&
           agent_volumes_must_wait(a, &a->operations->on_disk,
                                   ((const Msg__ApplyOperationMessage *)m)->operation_info);
}

bool agent_hold(struct agent_core *a, const ProtobufCMessage *m)
{
    struct agent_operations *o = a->operations;
    struct agent_held *h;

    if (a->state != AGENT_RUNNING || passes(m->descriptor) ||
        (!o->held && (!agent_commit_pending(o) || !begins_to_wait(a, m))))
        return false;
    if (o->n_held >= MAX_HELD) {
        agent_count(a, COUNT_MESSAGES_OVER_LIMIT);
        log_warning("Dropping %s: %d messages already wait for the disk", m->descriptor->short_name,
                    MAX_HELD);
        return true;
    }
    h = xnew0(struct agent_held);
    h->m = fl_pb_dup(m, NULL);
    DL_APPEND(o->held, h);
    o->n_held++;
    return true;
}

static struct agent_held *take_first(struct agent_operations *o)
{
    struct agent_held *h = o->held;

    DL_DELETE(o->held, h);
    o->n_held--;
    return h;
}

static void held_free(struct agent_held *h)
{
    fl_pb_free(h->m);
    free(h);
}

void agent_hold_release(struct agent_core *a)
{
    struct agent_operations *o = a->operations;

    while (o->held && !(agent_commit_pending(o) && begins_to_wait(a, o->held->m))) {
        struct agent_held *h = take_first(o);

        agent_dispatch(a, h->m);
        held_free(h);
    }
}

void agent_hold_drop(struct agent_operations *o)
{
    while (o->held)
        held_free(take_first(o));
}
