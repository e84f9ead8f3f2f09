/* The channels: row 10 of the budgets. Status updates from one end to the other over loopback TCP in one thread, so that both ends' work,
 * encoding and decoding, counts; CPU time of the thread, kernel included.
 *   wire.msgs_s_core    messages a second of one core, both ends on it
 *   wire.encode_ns, wire.decode_ns   one message's share of the work outside the kernel
 */
#include <time.h>

#include "tests/unit/wire_harness.h"

enum { MESSAGES = 500000, PER_TURN = 256, RUNS = 5, CODEC = 200000 };

static unsigned received;

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    if (m->type == WIRE_STATUS_UPDATE)
        received++;
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    fprintf(stderr, "bench_wire: %s\n", why->msg);
    exit(1);
}

static const struct wire_ops ops = {.on_message = on_message, .on_closed = on_closed};

static void bench_channel(struct wire_server *s, struct wire_channel *c)
{
    struct w_update u;
    unsigned sent = 0;
    double start;

    w_update_init(&u);
    received = 0;
    start = cpu_ns();
    while (received < MESSAGES) {
        for (unsigned i = 0; i < PER_TURN && sent < MESSAGES && wire_unsent(c) < 4 << 20;
             i++, sent++)
            if (!wire_send(c, &u.msg.base))
                exit(1);
        fl_loop_run_once(s->loop);
    }
    printf("wire.msgs_s_core %.0f msgs/s\n", MESSAGES / ((cpu_ns() - start) / 1e9));
}

static void bench_codec(void)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_(pb_back_done) struct pb_back back = {0};
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    struct w_update u;
    struct wire_frame f;
    struct wire_message m;
    double start;

    w_update_init(&u);
    start = cpu_ns();
    for (unsigned i = 0; i < CODEC; i++) {
        fl_buf_clear(&b);
        if (wire_frame_encode(&b, &back, &u.msg.base, 1 << 20, NULL) < 0)
            exit(1);
    }
    printf("wire.encode_ns %.1f ns\n", (cpu_ns() - start) / CODEC);
    start = cpu_ns();
    for (unsigned i = 0; i < CODEC; i++) {
        if (wire_frame_next(b.data, b.len, 1 << 20, &f, NULL) != 1 ||
            wire_frame_decode(&f, arena, &m, NULL) < 0)
            exit(1);
        fl_arena_reset(arena);
    }
    printf("wire.decode_ns %.1f ns\n", (cpu_ns() - start) / CODEC);
}

int main(void)
{
    struct wire_server s;
    struct wire_channel *c;
    struct fl_err err;

    w_start(&s, 0, &ops, NULL);
    if (wire_connect(s.loop, "127.0.0.1", s.port, NULL, NULL, "bench/1", NULL, NULL, &ops, NULL, &c,
                     &err) < 0)
        on_closed(NULL, &err, NULL);
    for (int r = 0; r < RUNS; r++) {
        bench_channel(&s, c);
        bench_codec();
    }
    wire_channel_free(c);
    w_stop(&s);
    return 0;
}
