/* What the owner has to do for the connections of all I/O sides, taken by turns over the connections (turns.h) in slices of time, so
 * that timers, other sockets and other queues of the loop have their turn in between. Order holds within a connection.
 * Owner's thread, but for a lane's beginning and its order to end. */
#include <errno.h>

#include "common/base/http_priv.h"

/* How long the owner handles messages before it looks at what else there is. */
#define SLICE_US 2000
/* It looks at the clock after the first message of a connection, and then, when that was cheap, after so many, where one counts more
 * that has a body. */
#define CHEAP_US   30
#define LOOK       8
#define LOOK_BYTES 512

struct http_lane *lane_new(void)
{
    struct http_lane *l = xnew0(struct http_lane);
    fl_lane_init(&l->turn);
    list_init(&l->waiting);
    l->end = (struct http_msg){.kind = MSG_LANE_END, .fd = -EBADF};
    return l;
}

void lane_end(struct http_io *io, struct http_lane *l)
{
    owner_send(io, &l->end);
}

void lane_free(struct http_lane *l)
{
    free(l);
}

static struct http_lane *lane_of(struct http_msg *m)
{
    return m->kind == MSG_LANE_END ? container_of(m, struct http_lane, end) : m->ex->lane;
}

static void sort(struct http_server *s, struct http_msg_list *got)
{
    struct http_msg *next;
    for (struct http_msg *m = got->head; m; m = next) {
        next = m->next;
        if (m->kind == MSG_IDLE) {
            list_add(&s->idle, m);
            continue;
        }
        struct http_lane *l = lane_of(m);
        list_add(&l->waiting, m);
        fl_turns_add(&s->turns, &l->turn);
    }
    list_init(got);
}

void turns_handled(struct http_server *s, const struct http_msg *m, uint64_t now_us)
{
    if (m->kind != MSG_REQUEST)
        return;
    HTTP_COUNT(m->ex->io->stats.handled, 1);
    fl_peak_note(&s->wait, now_us > m->ex->read_us ? now_us - m->ex->read_us : 0, now_us);
}

static size_t weight(const struct http_msg *m)
{
    return m->kind == MSG_REQUEST ? 1 + m->ex->body.len / LOOK_BYTES : 1;
}

/* Returns the time. */
static uint64_t take_turn(struct http_server *s, struct http_lane *l, uint64_t start, uint64_t end)
{
    uint64_t now = start, until = FL_MIN(end, start + (uint64_t)l->turn.credit_us);
    size_t done = 0, look = 1;
    while (l->waiting.head && now < until) {
        struct http_msg *m = list_take(&l->waiting);
        if (m->kind == MSG_LANE_END) {
            msg_free(m); /* and with it the lane */
            return now;
        }
        done += weight(m);
        turns_handled(s, m, now);
        exchange_take(m);
        if (done >= look || !l->waiting.head) {
            uint64_t before = now;
            now = fl_loop_now_us(s->owner);
            look = now - before < CHEAP_US ? LOOK : 1;
            done = 0;
        }
    }
    fl_turns_end(&s->turns, &l->turn, now - start, l->waiting.head);
    return now;
}

static void run(struct http_server *s);

static void go_on(void *arg)
{
    struct http_server *s = arg;
    s->again = false;
    run(s);
}

/* A server that is freed by a handler leaves what waits to turns_done(). */
static void run(struct http_server *s)
{
    uint64_t now = fl_loop_now_us(s->owner), end = now + SLICE_US;
    struct fl_lane *turn;
    while (now < end && !s->stopped && (turn = fl_turns_next(&s->turns)))
        now = take_turn(s, container_of(turn, struct http_lane, turn), now, end);
    if (s->stopped)
        return;
    if (!fl_turns_empty(&s->turns)) {
        s->again = true;
        fl_loop_post(s->owner, go_on, s);
        return;
    }
    while (s->idle.head && !s->stopped)
        exchange_take(list_take(&s->idle));
}

void turns_receive(struct http_server *s, struct http_msg_list *got)
{
    sort(s, got);
    if (!s->again && !s->stopped)
        run(s);
}

bool turns_direct(const struct http_msg *m)
{
    return !m->ex->lane->waiting.head;
}

/* Lanes that have nothing waiting are freed with the message that ends them, which is in one of the I/O sides' lists. */
void turns_done(struct http_server *s)
{
    struct fl_lane *turn;
    while ((turn = fl_turns_next(&s->turns))) {
        struct http_lane *l = container_of(turn, struct http_lane, turn);
        struct http_msg_list waiting;
        list_init(&waiting);
        list_append(&waiting, &l->waiting);
        list_free(&waiting);
    }
    list_free(&s->idle);
}
