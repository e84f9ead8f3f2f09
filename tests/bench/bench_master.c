/* What a task costs the master's core, from ACCEPT to its last acknowledgement: launched, RUNNING, FINISHED, each told and
 * acknowledged, among AGENTS agents. CPU time of the core with its allocator; decoding and encoding are the I/O threads' and are
 * measured by bench_codec, except that what goes to agents is encoded once here as the wire does.
 *   master.core_task_us   microseconds of CPU a task
 *   master.task_bytes     heap bytes of a running task
 */
#define W_NO_CHECK
#include <malloc.h>
#include <time.h>

#include "common/base/log.h"
#include "tests/unit/master_world.h"

enum { AGENTS = 100, ROUNDS = 50, PER_OFFER = 20, RUNS = 5 };

static struct world w;
static struct fl_buf packed;
static char offers[AGENTS][64], agents_of[AGENTS][64];
static size_t n_offers;

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void agent_send(void *ctx, void *peer, const ProtobufCMessage *m)
{
    fl_buf_clear(&packed);
    fl_buf_pack(&packed, m);
}

static void framework_send(void *ctx, void *stream, const Sched__Event *ev)
{
    if (ev->type == SCHED__EVENT__TYPE__SUBSCRIBED)
        fl_snprintf(w.fid, sizeof(w.fid), "%s", ev->subscribed->framework_id->value);
    if (ev->type != SCHED__EVENT__TYPE__OFFERS)
        return;
    for (size_t i = 0; i < ev->offers->n_offers && n_offers < AGENTS; i++, n_offers++) {
        fl_snprintf(offers[n_offers], 64, "%s", ev->offers->offers[i]->id->value);
        fl_snprintf(agents_of[n_offers], 64, "%s", ev->offers->offers[i]->agent_id->value);
    }
}

static void nothing(void *ctx, void *who)
{
}

static const struct master_io quiet_io = {agent_send, nothing, framework_send, nothing,
                                          w_publish,  w_store, w_fatal};

static double timed_call(const char *json)
{
    struct fl_arena *arena = fl_arena_new(64 * 1024);
    ProtobufCMessage *m = NULL;
    double start;

    if (fl_json_to_pb(json, strlen(json), &sched__call__descriptor, 0, fl_arena_allocator(arena),
                      &m, NULL) < 0)
        abort();
    start = cpu_us();
    if (master_call(w.m, (Sched__Call *)m, "s", NULL, NULL) != 202)
        abort();
    start = cpu_us() - start;
    fl_arena_free(arena);
    return start;
}

static double timed_status(const char *agent, const char *task, const char *state)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"pid\":\"slave(1)@10.0.0.1:5051\",\"update\":{\"framework_id\":{\"value\":\"%s\"},"
        "\"slave_id\":{\"value\":\"%s\"},\"status\":{\"task_id\":{\"value\":\"%s\"},\"state\":\"%"
        "s\","
        "\"source\":\"SOURCE_EXECUTOR\"},\"timestamp\":5.5,\"uuid\":\"" W_UUID "\"}}",
        w.fid, agent, task, state);
    struct fl_arena *arena = fl_arena_new(4096);
    ProtobufCMessage *m = NULL;
    double start;

    if (fl_json_to_pb(json, strlen(json), &msg__status_update_message__descriptor, 0,
                      fl_arena_allocator(arena), &m, NULL) < 0)
        abort();
    start = cpu_us();
    master_agent_message(w.m, master_agent(w.m, agent)->peer, "", m);
    start = cpu_us() - start;
    fl_arena_free(arena);
    return start;
}

static double ack(const char *agent, const char *task)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"type\":\"ACKNOWLEDGE\",\"framework_id\":{\"value\":\"%s\"},\"acknowledge\":{"
        "\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"%s\"},\"uuid\":\"" W_UUID "\"}}",
        w.fid, agent, task);

    return timed_call(json);
}

static double launch(size_t offer, int round)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(
        &b,
        "{\"type\":\"ACCEPT\",\"framework_id\":{\"value\":\"%s\"},\"accept\":{\"offer_ids\":[{"
        "\"value\":\"%s\"}],\"filters\":{\"refuse_seconds\":0},\"operations\":[{\"type\":"
        "\"LAUNCH\",\"launch\":{\"task_infos\":[",
        w.fid, offers[offer]);
    for (int i = 0; i < PER_OFFER; i++)
        fl_buf_addf(&b,
                    "%s{\"name\":\"task of the bench\",\"task_id\":{\"value\":\"t-%d-%zu-%d\"},"
                    "\"agent_id\":{\"value\":\"%s\"},\"command\":{\"value\":\"sleep 1\"},"
                    "\"resources\":[" W_CPUS("0.1") "]}",
                    i ? "," : "", round, offer, i, agents_of[offer]);
    fl_buf_adds(&b, "]}}]}}");
    return timed_call(fl_buf_cstr(&b));
}

static double pass(void)
{
    double start = cpu_us();

    w_pass(&w, W_SECOND);
    return cpu_us() - start;
}

static double finish(size_t offer, int round)
{
    double us = 0;

    for (int i = 0; i < PER_OFFER; i++) {
        _cleanup_free_ char *task = xasprintf("t-%d-%zu-%d", round, offer, i);
        us += timed_status(agents_of[offer], task, "TASK_RUNNING");
        us += ack(agents_of[offer], task);
        us += timed_status(agents_of[offer], task, "TASK_FINISHED");
        us += ack(agents_of[offer], task);
    }
    return us;
}

static void run_once(void)
{
    double us = 0, bytes = 0;

    w_init(&w, (const char *[]){"--max_completed_tasks_per_framework=10", NULL});
    w.env.io = &quiet_io;
    for (size_t i = 0; i < AGENTS; i++) {
        char address[32];

        fl_snprintf(address, sizeof(address), "10.0.%zu.1:1", i);
        w_agent(&w, (void *)(i + 1), address, &msg__register_slave_message__descriptor,
                "{\"slave\":{\"hostname\":\"h%zu\",\"resources\":" W_AGENT_RESOURCES
                "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS "}",
                i);
    }
    n_offers = 0;
    w_subscribe(&w, "s", ",\"failover_timeout\":100");
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = n_offers;
        size_t before = mallinfo2().uordblks;
        for (size_t i = 0; i < n; i++)
            us += launch(i, round);
        bytes = ((double)mallinfo2().uordblks - (double)before) / (double)(n * PER_OFFER);
        for (size_t i = 0; i < n; i++)
            us += finish(i, round);
        n_offers = 0;
        us += pass();
        if (n_offers != AGENTS) { /* what was left of the offers came back in two parts */
            fprintf(stderr, "bench_master: %zu offers in round %d\n", n_offers, round);
            exit(1);
        }
    }
    printf("master.core_task_us %.2f us\n", us / ((double)ROUNDS * AGENTS * PER_OFFER));
    printf("master.task_bytes %.0f bytes\n", bytes);
    w_done(&w);
}

int main(void)
{
    fl_log_set_level(FL_LOG_ERROR);
    for (int i = 0; i < RUNS; i++)
        run_once();
    fl_buf_done(&packed);
    return 0;
}
