/* Names and properties of task states and reasons, out of their tables. Pure. */
#include "common/model/task_state.h"

struct state_row {
    V1__TaskState state;
    const char *name, *metric;
    bool terminal, released;
    V1__TaskState legacy;
};

static const struct state_row states[] = {
#define TASK_STATE(id, metric, terminal, released, legacy)                                         \
    {V1__TASK_STATE__TASK_##id,    "TASK_" #id, metric, terminal, released,                        \
     V1__TASK_STATE__TASK_##legacy},
#include "common/model/task_states.def"
#undef TASK_STATE
};

static const struct {
    V1__TaskStatus__Reason reason;
    const char *name;
} reasons[] = {
#define TASK_REASON(id) {V1__TASK_STATUS__REASON__REASON_##id, "REASON_" #id},
#include "common/model/task_reasons.def"
#undef TASK_REASON
};

/* A peer may send a number that no row has: it is treated as the last row, UNKNOWN. */
static const struct state_row *find_state(V1__TaskState s)
{
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(states) && states[i].state != s)
        i++;
    return &states[i];
}

bool task_state_is_known(V1__TaskState s)
{
    return find_state(s)->state == s;
}

const char *task_state_name(V1__TaskState s)
{
    return find_state(s)->name;
}

const char *task_state_metric(V1__TaskState s)
{
    return find_state(s)->metric;
}

bool task_state_is_terminal(V1__TaskState s)
{
    return find_state(s)->terminal;
}

bool task_state_is_released(V1__TaskState s)
{
    return find_state(s)->released;
}

V1__TaskState task_state_for_framework(V1__TaskState s, bool partition_aware)
{
    return partition_aware ? s : find_state(s)->legacy;
}

size_t task_state_count(void)
{
    return ARRAY_SIZE(states);
}

V1__TaskState task_state_at(size_t i)
{
    assert(i < ARRAY_SIZE(states));
    return states[i].state;
}

const char *task_reason_name(V1__TaskStatus__Reason r)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].reason == r)
            return reasons[i].name;
    return "REASON_UNKNOWN";
}
