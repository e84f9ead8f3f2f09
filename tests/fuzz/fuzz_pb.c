/* Bytes from outside into messages: the calls of the APIs and what daemons send to each other. A message that was
 * decoded packs again, decodes again to itself, equals its copy, and can be written as JSON. */
#include <errno.h>

#include "common/base/json.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/scheduler.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const targets[] = {
    &sched__call__descriptor,
    &exec__call__descriptor,
    &mapi__call__descriptor,
    &aapi__call__descriptor,
    &aapi__process_io__descriptor,
    &sched__event__descriptor,
    &exec__event__descriptor,
    &msg__register_slave_message__descriptor,
    &msg__reregister_slave_message__descriptor,
    &msg__status_update_message__descriptor,
    &msg__run_task_message__descriptor,
    &msg__run_task_group_message__descriptor,
    &msg__update_slave_message__descriptor,
    &msg__update_operation_status_message__descriptor,
    &reg__registry__descriptor,
    &v1__container_id__descriptor,
};

static void check_message(const ProtobufCMessage *m)
{
    _cleanup_buf_ struct fl_buf bytes = FL_BUF_INIT, text = FL_BUF_INIT;
    ProtobufCMessage *back = NULL, *copy = fl_pb_dup(m, NULL);

    fl_buf_pack(&bytes, m);
    if (fl_pb_decode(bytes.data, bytes.len, m->descriptor, NULL, &back, NULL) < 0)
        abort();
    if (!fl_pb_equal(m, back) || !fl_pb_equal(m, copy))
        abort();
    fl_json_from_pb(&text, m, FL_JSON_DEFAULTS);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < ' ' || (unsigned char)text.data[i] > '~' + 1)
            abort();
    }
    fl_pb_free(back);
    fl_pb_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *desc;
    ProtobufCMessage *m = NULL, *in_arena = NULL;
    struct fl_arena *arena;
    struct fl_err err = {0};
    int r;

    if (size < 1)
        return 0;
    desc = targets[data[0] % ARRAY_SIZE(targets)];
    arena = fl_arena_new(256);
    r = fl_pb_decode(data + 1, size - 1, desc, NULL, &m, &err);
    if (r < 0 && (r != -EINVAL || err.reason != FL_INVALID || m))
        abort();
    if (fl_pb_decode(data + 1, size - 1, desc, fl_arena_allocator(arena), &in_arena, NULL) != r)
        abort();
    if (r == 0) {
        if (!fl_pb_equal(m, in_arena))
            abort();
        check_message(m);
        fl_pb_free(m);
    }
    fl_arena_free(arena);
    return 0;
}
