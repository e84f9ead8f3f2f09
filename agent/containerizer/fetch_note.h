/* What the agent and a fetcher say to each other: orders in files of the container's runtime folder, which only the agent's user reads, and
 * notes on a SOCK_SEQPACKET socket.
 *
 *   fetch         an encoded CommandInfo: its URIs are the items, counted from 0
 *   fetch-cache   "<folder of the cache>\n", then a line an item: "-" directly, "new <file>" through the cache, "get <file>" from it
 *
 *   fetcher: SIZE item bytes -> agent: ANSWER item limit (-1: directly)    for each "new"
 *   fetcher: CACHED item                                                   its file in the cache is whole and right
 *   fetcher: DROPPED item                                                  its file in the cache is of no use
 *   fetcher: DONE, or FAILED text                                          the last word
 *
 * Both ends are of one build; the fetcher has the rights of the container's user when it speaks, but nobody else's code runs in it.
 */
#ifndef AGENT_CONTAINERIZER_FETCH_NOTE_H
#define AGENT_CONTAINERIZER_FETCH_NOTE_H

#include "common/base/err.h"

enum fetch_note_type {
    FETCH_NOTE_SIZE = 1,
    FETCH_NOTE_ANSWER,
    FETCH_NOTE_CACHED,
    FETCH_NOTE_DROPPED,
    FETCH_NOTE_DONE,
    FETCH_NOTE_FAILED,
};

struct fetch_note {
    uint32_t type, item;
    int64_t value;
    char text[500]; /* only as much as is used is sent, with its NUL */
};

int fetch_note_send(int sock, const struct fetch_note *n); /* 0 or -errno */
/* 1: read; 0: the other end is gone, or says what cannot be understood; -EAGAIN. */
int fetch_note_recv(int sock, struct fetch_note *n, bool wait);

enum fetch_action { FETCH_DIRECT, FETCH_NEW, FETCH_CACHED };
struct fetch_order {
    enum fetch_action action;
    char *file; /* name in the cache's folder; NULL when direct */
};
struct fetch_orders {
    char *folder; /* "": there is no cache */
    struct fetch_order *items;
    size_t n;
};
/* Writes and reads fetch-cache. Reading takes only names that lie in the folder. */
char *fetch_orders_text(const struct fetch_orders *o); /* the caller's */
int fetch_orders_parse(const char *text, struct fetch_orders *ret, struct fl_err *err);
void fetch_orders_done(struct fetch_orders *o);

#endif
