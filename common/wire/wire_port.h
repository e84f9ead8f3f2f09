/* Accepted channels whose socket stays on the I/O thread that accepted it (wire_port.c). For files of common/wire.
 *
 * A link is the I/O thread's half of a channel, a port all links of one I/O thread for one owner. What a turn of the I/O thread's loop
 * brought is decoded there and crosses as one batch; what a turn of the owner's loop sent crosses back as one. */
#ifndef COMMON_WIRE_WIRE_PORT_H
#define COMMON_WIRE_WIRE_PORT_H

#include "common/wire/wire_priv.h"

struct wire_link;

/* What wire_accept() was called with; lives as long as the process. Read by any thread. */
struct wire_accepting {
    struct wire_limits limits;
    struct fl_loop *loop; /* the owner's */
    wire_accepted_f *accepted;
    void *arg;
    struct wire_accepting *next;
};

/* I/O thread: the stream of a channel that was accepted; arg is the struct wire_accepting. */
void wire_port_taken(struct fl_stream *s, void *arg);

/* ---- wire_port.c, for the channel (owner's loop) ---- */
int wire_link_send(struct wire_link *l, const ProtobufCMessage *m, size_t max_frame,
                   struct fl_err *err);
size_t wire_link_unsent(const struct wire_link *l);
bool wire_link_ended(const struct wire_link *l); /* its HTTP server is gone */
void wire_link_close(struct wire_link *l);       /* when all is sent */
void wire_link_free(struct wire_link *l);        /* the channel has let go of it; closes at once */

/* ---- wire.c, for the port (owner's loop) ---- */
/* Takes `peer`. */
struct wire_channel *wire_channel_of_link(struct wire_link *l, const struct wire_accepting *how,
                                          char *peer);
void wire_channel_deliver(struct wire_channel *c, const struct wire_message *m);
void wire_channel_over(struct wire_channel *c, const struct fl_err *why);

#endif
