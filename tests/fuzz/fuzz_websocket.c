/* Fuzzes what a client sends over a WebSocket. The first byte says where the rest is cut in two pieces; with an odd one the owner stops
 * reading after each message until the rest is there. */
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/websocket.h"

static struct fl_loop *loop;
static bool open, stops;

static void on_message(struct websocket *w, bool text, const char *p, size_t n, void *arg)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (unsigned char)p[i];
    assert(n <= 4096);
    if (sum % 7 == 6)
        websocket_close(w, WEBSOCKET_POLICY, "seven");
    else
        websocket_send(w, text, p, n);
    if (stops)
        websocket_pause(w, true);
}

static void on_room(struct websocket *w, void *arg)
{
}

static void on_closed(struct websocket *w, void *arg)
{
    open = false;
    websocket_free(w);
}

static const struct websocket_ops ops = {on_message, on_room, on_closed};
static const struct fl_stream_ops no_ops;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct websocket_limits limits = {4096, 3600000000u, 3600};
    struct fl_stream *s;
    struct fl_err err;
    int sv[2];

    if (size < 2 || size > 32768 || (!loop && fl_loop_new(&loop, &err) < 0) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return 0;
    size_t cut = data[0] % size;
    stops = data[0] & 1;
    data++;
    size--;
    cut = FL_MIN(cut, size);
    if (fl_stream_adopt(loop, sv[0], NULL, &no_ops, NULL, &s, &err) < 0)
        abort();
    struct websocket *w = websocket_new(s, &limits, &ops, NULL);
    open = true;
    if (cut > 0 && send(sv[1], data, cut, MSG_NOSIGNAL) > 0)
        fl_loop_run_once(loop);
    if (size > cut && send(sv[1], data + cut, size - cut, MSG_NOSIGNAL) > 0 && open && !stops)
        fl_loop_run_once(loop);
    close(sv[1]);
    while (open && stops) {
        websocket_pause(w, false);
        fl_loop_run_once(loop);
    }
    while (open)
        fl_loop_run_once(loop);
    return 0;
}
