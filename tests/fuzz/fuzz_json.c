/* JSON from outside into messages. Properties, for the three APIs' calls and for the older spelling:
 *   - whatever the text, reading it ends in a message or an error that names something;
 *   - a message that was read can be written, and what was written reads back as the same message;
 *   - writing that one gives the same text: one step is the fixed point;
 *   - a text that jansson takes for JSON is never called invalid JSON here, nor the other way round. */
#include <errno.h>

#include "common/base/json.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/scheduler.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const targets[] = {
    &sched__call__descriptor,
    &exec__call__descriptor,
    &mapi__call__descriptor,
    &aapi__call__descriptor,
};

static void check_fixed_point(const ProtobufCMessage *m, unsigned flags)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT, again = FL_BUF_INIT;
    ProtobufCMessage *back = NULL;
    struct fl_err err = {0};

    fl_json_from_pb(&text, m, flags);
    if (fl_json_to_pb(text.data, text.len, m->descriptor, flags, NULL, &back, &err) < 0)
        abort();
    if (!fl_pb_equal(m, back))
        abort();
    fl_json_from_pb(&again, back, flags);
    if (again.len != text.len || memcmp(again.data, text.data, text.len) != 0)
        abort();
    fl_pb_free(back);
}

/* jansson knows no number beyond its types and nests less deeply: those it may refuse alone. It overlooks a
 * NUL behind a number. */
static void check_against_jansson(const char *text, size_t n, int r, const struct fl_err *err)
{
    bool called_invalid = r < 0 && str_starts(err->msg, "not valid JSON");
    json_error_t e;
    json_t *v;

    if (memchr(text, 0, n))
        return;
    v = json_loadb(text, n, JSON_DECODE_ANY, &e);
    if (v && called_invalid && !strstr(err->msg, "nested too deeply"))
        abort();
    if (!v && r == 0 && json_error_code(&e) != json_error_numeric_overflow &&
        json_error_code(&e) != json_error_stack_overflow)
        abort();
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    const ProtobufCMessageDescriptor *desc;
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};
    unsigned flags;
    int r;

    if (size < 1)
        return 0;
    desc = targets[data[0] % ARRAY_SIZE(targets)];
    flags = data[0] & 64 ? FL_JSON_V0 : 0;
    r = fl_json_to_pb(text, size - 1, desc, flags, NULL, &m, &err);
    if (r < 0 && (r != -EINVAL || err.reason != FL_INVALID || !err.msg[0] || m))
        abort();
    check_against_jansson(text, size - 1, r, &err);
    if (r == 0) {
        check_fixed_point(m, flags);
        fl_pb_free(m);
    }
    return 0;
}
