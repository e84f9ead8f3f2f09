/* Whose turn it is, when many want more of one thread than it has: deficit round robin by time over lanes (a connection, a channel), with
 * the two lists of FQ-CoDel (RFC 8290, section 4.2). A lane that has work again and owes nothing is served before those that are busy
 * all the time; so who asks little does not wait behind who asks much, and those who ask much share evenly, whatever one
 * of their messages costs.
 *
 * It only decides: the work of a lane, and its order, are the user's. Time is an argument. One thread. */
#ifndef COMMON_BASE_TURNS_H
#define COMMON_BASE_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a lane may use in a turn, microseconds. */
#define FL_TURN_US 500

struct fl_lane {
    struct fl_lane *next;
    int32_t credit_us; /* what is left of its turn; not positive: it has used more than its share */
    bool queued, fresh;
};

struct fl_lane_list {
    struct fl_lane *head, **tail;
};

struct fl_turns {
    struct fl_lane_list fresh, busy;
    uint64_t fresh_us; /* used by fresh ones while a busy one waited, since one had a turn */
};

void fl_turns_init(struct fl_turns *t);
void fl_lane_init(struct fl_lane *l);
/* The lane has work. Nothing happens to one that waits already. Not the one whose turn it is: fl_turns_end() puts that back. */
void fl_turns_add(struct fl_turns *t, struct fl_lane *l);
/* Takes out the one whose turn it is, with a positive credit; NULL when nobody waits. fl_turns_end() follows, unless it is freed. */
struct fl_lane *fl_turns_next(struct fl_turns *t);
/* It has used so much, and has more to do. */
void fl_turns_end(struct fl_turns *t, struct fl_lane *l, uint64_t used_us, bool more);
static inline bool fl_turns_empty(const struct fl_turns *t)
{
    return !t->fresh.head && !t->busy.head;
}

/* The highest of some times within the last one to two minutes. One thread notes, any may read. */
struct fl_peak {
    _Atomic uint64_t now_us, before_us; /* this minute's, and the one's before */
    uint64_t minute_end_us;
};
void fl_peak_note(struct fl_peak *p, uint64_t us, uint64_t now_us);
uint64_t fl_peak_us(const struct fl_peak *p);

/* How late a loop's own timer comes: what else runs there before it has its turn. One thread has the timer, any may read. */
struct fl_lateness {
    uint64_t due_us;
    _Atomic uint64_t last_us;
    struct fl_peak peak;
};
static inline void fl_lateness_due(struct fl_lateness *l, uint64_t at_us)
{
    l->due_us = at_us;
}
/* The timer fired. */
void fl_lateness_note(struct fl_lateness *l, uint64_t now_us);
uint64_t fl_lateness_last_us(const struct fl_lateness *l);

#endif
