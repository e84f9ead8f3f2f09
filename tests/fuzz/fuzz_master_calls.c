/* The master's core under a script of calls and messages. Each line of the input is one step:
 *
 *     S{call}    a SUBSCRIBE or another call of the framework's API, as JSON, on stream "s0" or "s1"
 *     s{call}    (capital: the first stream)
 *     An{msg}    message number n (a letter) of an agent on channel "a0"; an: on channel "a1"
 *     T, t       a second, a minute passes      R  the master is killed and started again
 *     X, x       the streams close              Y, y  the channels close
 *
 * $F, $A and $O in a line stand for the framework, agent and offer last heard of. After every step the
 * books must agree: what an agent uses is what its tasks and executors have, what is offered is what
 * its offers hold. */
#define W_NO_CHECK
#include "common/base/log.h"
#include "common/model/validate.h"
#include "tests/unit/master_world.h"

#define MAX_STEPS 60

static const ProtobufCMessageDescriptor *const agent_messages[] = {
    &msg__register_slave_message__descriptor,   &msg__reregister_slave_message__descriptor,
    &msg__unregister_slave_message__descriptor, &msg__status_update_message__descriptor,
    &msg__exited_executor_message__descriptor,  &msg__executor_to_framework_message__descriptor,
    &msg__update_slave_message__descriptor,     &msg__update_operation_status_message__descriptor,
    &msg__pong_slave_message__descriptor,       &msg__kill_task_message__descriptor,
};

static struct world w;

static char *expand(const char *line, size_t n)
{
    struct fl_buf b = FL_BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        const char *id = NULL;
        if (line[i] == '$' && i + 1 < n)
            id = line[i + 1] == 'F'   ? w.fid
                 : line[i + 1] == 'A' ? w.aid
                 : line[i + 1] == 'O' ? w.oid
                                      : NULL;
        if (id) {
            fl_buf_adds(&b, id);
            i++;
        } else {
            fl_buf_addc(&b, line[i]);
        }
    }
    return fl_buf_take(&b);
}

static ProtobufCMessage *parse(const char *json, const ProtobufCMessageDescriptor *d,
                               struct fl_arena *arena)
{
    ProtobufCMessage *m = NULL;

    if (fl_json_to_pb(json, strlen(json), d, 0, fl_arena_allocator(arena), &m, NULL) < 0)
        return NULL;
    return m;
}

static bool open_stream[2];

static void call(const char *json, bool first, struct fl_arena *arena)
{
    Sched__Call *c = (Sched__Call *)parse(json, &sched__call__descriptor, arena);
    const char *stream = first ? "s0" : "s1";
    struct fl_err err;

    if (!c || validate_scheduler_call(c, &err) < 0)
        return;
    if (c->type != SCHED__CALL__TYPE__SUBSCRIBE) {
        master_call(w.m, c, stream, NULL, &err);
        return;
    }
    if (open_stream[!first])
        master_framework_closed(w.m, (void *)stream); /* a stream is subscribed once */
    open_stream[!first] = true;
    master_subscribe(w.m, (void *)stream, stream, c, NULL);
}

static void message(const char *line, bool first, struct fl_arena *arena)
{
    size_t kind = (size_t)(line[0] - 'a');
    ProtobufCMessage *m;

    if (kind >= ARRAY_SIZE(agent_messages))
        return;
    m = parse(line + 1, agent_messages[kind], arena);
    if (m)
        master_agent_message(w.m, (void *)(first ? "a0" : "a1"),
                             first ? "10.0.0.1:1" : "10.0.0.2:1", m);
}

static void step(const char *line)
{
    struct fl_arena *arena = fl_arena_new(4096);

    switch (line[0]) {
    case 'S':
    case 's':
        call(line + 1, line[0] == 'S', arena);
        break;
    case 'A':
    case 'a':
        message(line + 1, line[0] == 'A', arena);
        break;
    case 'T':
        w_pass(&w, W_SECOND);
        break;
    case 't':
        w_pass(&w, 60 * W_SECOND);
        break;
    case 'R':
        w_restart(&w);
        open_stream[0] = open_stream[1] = false;
        break;
    case 'X':
    case 'x':
        master_framework_closed(w.m, (void *)(line[0] == 'X' ? "s0" : "s1"));
        open_stream[line[0] != 'X'] = false;
        break;
    case 'Y':
    case 'y':
        master_agent_closed(w.m, (void *)(line[0] == 'Y' ? "a0" : "a1"));
        break;
    default:
        break;
    }
    fl_arena_free(arena);
    w_settle(&w);
    w_forget(&w);
}

static void check_books(void)
{
    struct agent *a, *tmp;

    HASH_ITER (hh, w.m->agents, a, tmp) {
        struct resources used = RESOURCES_INIT, offered = RESOURCES_INIT;
        struct executor *e;
        struct offer *o;
        struct task *t;

        DL_FOREACH2(a->tasks, t, agent_next)
        {
            if (!t->released)
                resources_add(&used, t->resources);
        }
        DL_FOREACH (a->executors, e)
            resources_add(&used, &e->resources);
        DL_FOREACH2(a->offers, o, agent_next) resources_add(&offered, &o->resources);
        if (!resources_equal(&used, &a->used) || !resources_equal(&offered, &a->offered))
            abort();
        resources_done(&used);
        resources_done(&offered);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;

    fl_log_set_level(FL_LOG_ERROR);
    open_stream[0] = open_stream[1] = false;
    w_init(&w, NULL);
    for (int i = 0; i < MAX_STEPS && p < end; i++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);
        _cleanup_free_ char *line = expand(p, n);

        step(line);
        check_books();
        p += n + 1;
    }
    w_done(&w);
    return 0;
}
