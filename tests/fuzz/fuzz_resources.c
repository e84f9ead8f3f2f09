/* Fuzzes every way resources come in: text, JSON and protobuf; also attributes. What is taken must survive being written and read
 * again, and the algebra must hold on it. The first byte chooses the way. */
#include <stdint.h>

#include "common/model/attributes.h"
#include "common/model/resources.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            __builtin_trap();                                                                      \
    } while (0)

static void check_algebra(const struct resources *r)
{
    _cleanup_resources_ struct resources copy = RESOURCES_INIT, twice = RESOURCES_INIT;
    resources_copy(&copy, r);
    CHECK(resources_equal(&copy, r));
    resources_copy(&twice, r);
    resources_add(&twice, r);
    CHECK(resources_contains(&twice, r));
    resources_subtract(&copy, r);
    CHECK(resources_empty(&copy));
    resources_copy(&copy, r);
    resources_allocate(&copy, "role");
    resources_unallocate(&copy);
}

static void check_messages(const struct resources *r)
{
    struct fl_arena *arena = fl_arena_new(4096);
    for (enum resources_format f = RESOURCES_PRE_REFINEMENT; f <= RESOURCES_ENDPOINT; f++) {
        _cleanup_resources_ struct resources back = RESOURCES_INIT;
        struct fl_err err;
        V1__Resource **pb;
        size_t n = resources_to_pb(r, f, true, arena, &pb);
        CHECK(resources_from_pb(pb, n, &back, &err) == 0);
        CHECK(resources_contains(r, &back));
    }
    fl_arena_free(arena);
}

static void check_writing(const struct resources *r)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    resources_format(r, &out);
    fl_buf_clear(&out);
    resources_json_summary(r, &j);
    fl_buf_clear(&out);
    j = json_out_on(&out);
    resources_json_full(r, &j, 0);
}

static int from_message(const uint8_t *data, size_t size, struct resources *r, struct fl_err *err)
{
    ProtobufCMessage *m;
    struct fl_arena *arena = fl_arena_new(4096);
    int rc = fl_pb_decode(data, size, &v1__offer__operation__reserve__descriptor,
                          fl_arena_allocator(arena), &m, err);
    if (rc == 0) {
        const V1__Offer__Operation__Reserve *list = (const V1__Offer__Operation__Reserve *)m;
        rc = resources_from_pb(list->resources, list->n_resources, r, err);
    }
    fl_arena_free(arena);
    return rc;
}

static void fuzz_attributes(const char *text)
{
    struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    V1__Attribute **a;
    size_t n;
    struct fl_err err;
    if (attributes_parse(text, arena, &a, &n, &err) == 0) {
        attributes_json(a, n, &j);
        CHECK(attributes_equal(a, n, a, n));
    }
    fl_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    _cleanup_free_ char *text = xstrndup((const char *)data + 1, size - 1);
    struct fl_err err = {0};
    int rc = 0;
    if (data[0] == 'A')
        fuzz_attributes(text);
    else if (data[0] == 'P')
        rc = from_message(data + 1, size - 1, &r, &err);
    else
        rc = resources_parse(text, "*", &r, &err);
    CHECK(rc == 0 || (rc < 0 && err.msg[0]));
    check_algebra(&r);
    check_messages(&r);
    check_writing(&r);
    return 0;
}
