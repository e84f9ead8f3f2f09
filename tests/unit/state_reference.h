/* What answers about the state have to be, by way of whole messages and the generic encoders: slow, plain, and for comparing only. */
#ifndef TESTS_UNIT_STATE_REFERENCE_H
#define TESTS_UNIT_STATE_REFERENCE_H

#include "common/model/operator_parts.h"
#include "master/master.h"

#define REF_LIST(v, field, max, arena)                                                             \
    ((v)->field = fl_arena_alloc(arena, ((max) + 1) * sizeof(*(v)->field)))

static inline void ref_tasks_of(Mapi__Response__GetTasks *v, const struct framework *f,
                                struct fl_arena *arena)
{
    for (const struct task *t = f->tasks; t; t = t->hh.next)
        v->tasks[v->n_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
        v->unreachable_tasks[v->n_unreachable_tasks++] = master_task_pb(t, arena);
    for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
        v->completed_tasks[v->n_completed_tasks++] = master_task_pb(t, arena);
}

static inline Mapi__Response__GetTasks *ref_tasks(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetTasks *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetTasks, mapi__response__get_tasks);

    REF_LIST(v, tasks, 100000, arena);
    REF_LIST(v, unreachable_tasks, 100000, arena);
    REF_LIST(v, completed_tasks, 100000, arena);
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        ref_tasks_of(v, f, arena);
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        ref_tasks_of(v, f, arena);
    return v;
}

static inline Mapi__Response__GetExecutors *ref_executors(const struct master *m,
                                                          struct fl_arena *arena)
{
    Mapi__Response__GetExecutors *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetExecutors, mapi__response__get_executors);

    REF_LIST(v, executors, 10000, arena);
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        for (const struct executor *e = a->executors; e; e = e->next) {
            Mapi__Response__GetExecutors__Executor *x =
                FL_ARENA_NEW(arena, Mapi__Response__GetExecutors__Executor,
                             mapi__response__get_executors__executor);
            x->executor_info = e->info;
            x->agent_id = FL_ARENA_NEW(arena, V1__AgentID, v1__agent_id);
            x->agent_id->value = (char *)a->id;
            v->executors[v->n_executors++] = x;
        }
    }
    return v;
}

static inline Mapi__Response__GetFrameworks *ref_frameworks(const struct master *m,
                                                            struct fl_arena *arena)
{
    Mapi__Response__GetFrameworks *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetFrameworks, mapi__response__get_frameworks);

    REF_LIST(v, frameworks, HASH_COUNT(m->frameworks), arena);
    REF_LIST(v, completed_frameworks, m->n_completed_frameworks, arena);
    for (const struct framework *f = m->frameworks; f; f = f->hh.next)
        v->frameworks[v->n_frameworks++] = master_framework_pb(m, f, arena);
    for (const struct framework *f = m->completed_frameworks; f; f = f->next_completed)
        v->completed_frameworks[v->n_completed_frameworks++] = master_framework_pb(m, f, arena);
    return v;
}

static inline Mapi__Response__GetAgents *ref_agents(const struct master *m, struct fl_arena *arena)
{
    Mapi__Response__GetAgents *v =
        FL_ARENA_NEW(arena, Mapi__Response__GetAgents, mapi__response__get_agents);

    REF_LIST(v, agents, HASH_COUNT(m->agents), arena);
    REF_LIST(v, recovered_agents, HASH_COUNT(m->recovered_agents), arena);
    for (const struct agent *a = m->agents; a; a = a->hh.next)
        v->agents[v->n_agents++] = master_agent_pb(m, a, arena);
    for (const struct known_agent *k = m->recovered_agents; k; k = k->hh.next)
        if (k->info)
            v->recovered_agents[v->n_recovered_agents++] = k->info;
    return v;
}

/* An answer with one of the fields set, of that type. */
static inline Mapi__Response *ref_response(const struct master *m, Mapi__Response__Type type,
                                           struct fl_arena *arena)
{
    Mapi__Response *r = FL_ARENA_NEW(arena, Mapi__Response, mapi__response);

    r->has_type = true;
    r->type = type;
    switch (type) {
    case MAPI__RESPONSE__TYPE__GET_TASKS:
        r->get_tasks = ref_tasks(m, arena);
        break;
    case MAPI__RESPONSE__TYPE__GET_EXECUTORS:
        r->get_executors = ref_executors(m, arena);
        break;
    case MAPI__RESPONSE__TYPE__GET_FRAMEWORKS:
        r->get_frameworks = ref_frameworks(m, arena);
        break;
    case MAPI__RESPONSE__TYPE__GET_AGENTS:
        r->get_agents = ref_agents(m, arena);
        break;
    default:
        r->get_state = FL_ARENA_NEW(arena, Mapi__Response__GetState, mapi__response__get_state);
        r->get_state->get_tasks = ref_tasks(m, arena);
        r->get_state->get_executors = ref_executors(m, arena);
        r->get_state->get_frameworks = ref_frameworks(m, arena);
        r->get_state->get_agents = ref_agents(m, arena);
        break;
    }
    return r;
}

/* Empty lists are written, in this order. */
static const char *const ref_lists_agents[] = {"agents", "recovered_agents", NULL};
static const char *const ref_lists_frameworks[] = {"frameworks", "completed_frameworks", NULL};
static const char *const ref_lists_executors[] = {"executors", NULL};
static const char *const ref_lists_tasks[] = {"tasks", "unreachable_tasks", "completed_tasks",
                                              NULL};

static inline void ref_lists(struct json_out *j, const ProtobufCMessage *m,
                             const char *const *lists)
{
    json_object(j);
    for (size_t i = 0; lists[i]; i++) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(m->descriptor, lists[i]);
        size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
        ProtobufCMessage *const *items =
            *(ProtobufCMessage *const *const *)((const char *)m + f->offset);

        json_karray(j, f->name);
        for (size_t k = 0; k < n; k++)
            json_pb(j, items[k], FL_JSON_DEFAULTS);
        json_end_array(j);
    }
    json_end_object(j);
}

static inline void ref_json_state(struct json_out *j, const Mapi__Response__GetState *s)
{
    json_object(j);
    json_key(j, "get_tasks");
    ref_lists(j, &s->get_tasks->base, ref_lists_tasks);
    json_key(j, "get_executors");
    ref_lists(j, &s->get_executors->base, ref_lists_executors);
    json_key(j, "get_frameworks");
    ref_lists(j, &s->get_frameworks->base, ref_lists_frameworks);
    json_key(j, "get_agents");
    ref_lists(j, &s->get_agents->base, ref_lists_agents);
    json_end_object(j);
}

static inline void ref_json(struct json_out *j, const Mapi__Response *r)
{
    json_object(j);
    json_kstr(j, "type", fl_enum_name(&mapi__response__type__descriptor, (int)r->type));
    if (r->get_agents) {
        json_key(j, "get_agents");
        ref_lists(j, &r->get_agents->base, ref_lists_agents);
    } else if (r->get_frameworks) {
        json_key(j, "get_frameworks");
        ref_lists(j, &r->get_frameworks->base, ref_lists_frameworks);
    } else if (r->get_executors) {
        json_key(j, "get_executors");
        ref_lists(j, &r->get_executors->base, ref_lists_executors);
    } else if (r->get_tasks) {
        json_key(j, "get_tasks");
        ref_lists(j, &r->get_tasks->base, ref_lists_tasks);
    } else {
        json_key(j, "get_state");
        ref_json_state(j, r->get_state);
    }
    json_end_object(j);
}

#endif
