/* What encoding and decoding cost: an Offer and a TaskStatus as a framework sees them, as protobuf and as JSON.
 * Prints "key value unit" lines; each value is the median of five runs of about 40 ms. */
#include <stdio.h>
#include <time.h>

#include "common/base/json.h"
#include "proto/mesos.pb-c.h"

#define RUNS   5
#define RUN_NS 40000000u

static const char offer_json[] =
    "{\"id\":{\"value\":\"7d6b3ad1-2f5c-4f0e-9f39-6d9d2e2c5a10-O4711\"},"
    "\"framework_id\":{\"value\":\"7d6b3ad1-2f5c-4f0e-9f39-6d9d2e2c5a10-0001\"},"
    "\"agent_id\":{\"value\":\"7d6b3ad1-2f5c-4f0e-9f39-6d9d2e2c5a10-S42\"},"
    "\"hostname\":\"agent-42.example.com\",\"resources\":["
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":15.75},"
    "\"allocation_info\":{\"role\":\"batch/nightly\"}},"
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64240.0},"
    "\"allocation_info\":{\"role\":\"batch/nightly\"}},"
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":982004.5},"
    "\"allocation_info\":{\"role\":\"batch/nightly\"}},"
    "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,\"end\":31999}"
    ","
    "{\"begin\":32100,\"end\":32767}]},\"allocation_info\":{\"role\":\"batch/nightly\"}}],"
    "\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"r17\"}},"
    "{\"name\":\"ssd\",\"type\":\"TEXT\",\"text\":{\"value\":\"true\"}}],"
    "\"url\":{\"scheme\":\"http\",\"address\":{\"hostname\":\"agent-42.example.com\","
    "\"ip\":\"10.1.2.42\",\"port\":5051},\"path\":\"/slave(1)\"},"
    "\"allocation_info\":{\"role\":\"batch/nightly\"}}";

static const char status_json[] =
    "{\"task_id\":{\"value\":\"job-000123.task-000456\"},\"state\":\"TASK_RUNNING\","
    "\"agent_id\":{\"value\":\"7d6b3ad1-2f5c-4f0e-9f39-6d9d2e2c5a10-S42\"},"
    "\"timestamp\":1700000000.123456,"
    "\"executor_id\":{\"value\":\"job-000123.task-000456\"},\"source\":\"SOURCE_EXECUTOR\","
    "\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\",\"container_status\":{\"network_infos\":["
    "{\"ip_addresses\":[{\"protocol\":\"IPv4\",\"ip_address\":\"10.1.2.42\"}]}],"
    "\"container_id\":{\"value\":\"2f5c7d6b-4f0e-9f39-6d9d-2e2c5a103ad1\"}}}";

struct bench {
    const ProtobufCMessage *m;
    struct fl_buf pb, json, out;
    struct fl_arena *arena;
};

static void pb_encode(struct bench *b)
{
    fl_buf_clear(&b->out);
    fl_buf_pack(&b->out, b->m);
}

static void pb_decode(struct bench *b)
{
    ProtobufCMessage *m;

    fl_arena_reset(b->arena);
    if (fl_pb_decode(b->pb.data, b->pb.len, b->m->descriptor, fl_arena_allocator(b->arena), &m,
                     NULL) < 0)
        abort();
}

static void pb_dup(struct bench *b)
{
    fl_arena_reset(b->arena);
    (void)fl_pb_dup(b->m, fl_arena_allocator(b->arena));
}

static void json_encode(struct bench *b)
{
    fl_buf_clear(&b->out);
    fl_json_from_pb(&b->out, b->m, 0);
}

static void json_decode(struct bench *b)
{
    ProtobufCMessage *m;

    fl_arena_reset(b->arena);
    if (fl_json_to_pb(b->json.data, b->json.len, b->m->descriptor, 0, fl_arena_allocator(b->arena),
                      &m, NULL) < 0)
        abort();
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median nanoseconds of one call. */
static double measure(void (*fn)(struct bench *), struct bench *b)
{
    double runs[RUNS];

    for (int i = 0; i < RUNS; i++) {
        uint64_t start = now_ns(), end;
        uint64_t calls = 0;

        do {
            for (int k = 0; k < 100; k++)
                fn(b);
            calls += 100;
            end = now_ns();
        } while (end - start < RUN_NS);
        runs[i] = (double)(end - start) / (double)calls;
    }
    qsort(runs, RUNS, sizeof runs[0], compare_doubles);
    return runs[RUNS / 2];
}

static void bench_message(const char *name, const char *json,
                          const ProtobufCMessageDescriptor *desc)
{
    struct bench b = {.arena = fl_arena_new(4096)};
    ProtobufCMessage *m = NULL;
    struct fl_err err;
    double encode, decode;

    if (fl_json_to_pb(json, strlen(json), desc, 0, NULL, &m, &err) < 0) {
        fprintf(stderr, "%s: %s\n", name, err.msg);
        abort();
    }
    b.m = m;
    fl_buf_pack(&b.pb, m);
    fl_json_from_pb(&b.json, m, 0);
    printf("codec.%s_pb_bytes %zu bytes\n", name, b.pb.len);
    printf("codec.%s_pb_encode_ns %.0f ns\n", name, measure(pb_encode, &b));
    printf("codec.%s_pb_decode_ns %.0f ns\n", name, measure(pb_decode, &b));
    printf("codec.%s_pb_dup_ns %.0f ns\n", name, measure(pb_dup, &b));
    encode = measure(json_encode, &b);
    decode = measure(json_decode, &b);
    printf("codec.%s_json_bytes %zu bytes\n", name, b.json.len);
    printf("codec.%s_json_encode_ns %.0f ns\n", name, encode);
    printf("codec.%s_json_decode_ns %.0f ns\n", name, decode);
    printf("codec.%s_json_encode_mb_s %.0f MB/s\n", name, (double)b.json.len * 1e3 / encode);
    printf("codec.%s_json_decode_mb_s %.0f MB/s\n", name, (double)b.json.len * 1e3 / decode);
    fl_pb_free(m);
    fl_buf_done(&b.pb);
    fl_buf_done(&b.json);
    fl_buf_done(&b.out);
    fl_arena_free(b.arena);
}

int main(void)
{
    bench_message("offer", offer_json, &v1__offer__descriptor);
    bench_message("status", status_json, &v1__task_status__descriptor);
    return 0;
}
