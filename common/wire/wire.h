/* Typed message channels between daemons: protobuf messages over one TCP (or TLS) connection in both directions.
 *
 * A connection begins as an HTTP/1.1 request `GET /wire` with `Upgrade: fairlead-wire/1` to the daemon's one port, so agents need
 * nothing but --master's host and port. After 101 both ends send frames:
 *     u32 length of what follows (little-endian) | u16 type (row of wire_types.def) | u16 flags (0) | payload
 * A frame over the limit, an unknown type or a payload that does not decode closes the channel with a reason in the log; unknown
 * fields inside messages are kept. Delivery is in order and at most once per connection; what must arrive is repeated
 * by the protocol above (status updates, registrations).
 *
 * Sending encodes at once into the channel's buffer, which is written once per turn of the loop (batching). A channel whose peer does
 * not read is closed when `max_unsent` is reached.
 *
 * Threads: a channel belongs to its owner's loop. The socket of one that an HTTP server with I/O threads accepted stays on that server's I/O
 * thread, which reads, decodes and writes: what a turn of that thread brought comes to the owner as one batch, and what a
 * turn of the owner's sent goes there as one. The owner takes messages in slices of time and, when more come than it can take, by turns over
 * the channels; order holds within a channel. When the server is freed such channels are dead: nothing is sent, no callback
 * follows; they may be freed, and are with the owner's loop.
 */
#ifndef COMMON_WIRE_WIRE_H
#define COMMON_WIRE_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "common/base/err.h"
#include "common/base/http.h"
#include "common/base/loop.h"

/* WIRE_TYPE(number, DescriptorSymbol): numbers are never reused. */
enum wire_type {
#define WIRE_TYPE(number, name, descriptor) WIRE_##name = number,
#include "common/wire/wire_types.def"
#undef WIRE_TYPE
};
const ProtobufCMessageDescriptor *wire_type_descriptor(unsigned type); /* NULL: unknown */
int wire_type_of(const ProtobufCMessageDescriptor *d);                 /* negative: none */

struct wire_channel;

struct wire_message {
    unsigned type;
    ProtobufCMessage
        *msg;    /* decoded into `arena`; valid during the callback unless the arena is taken */
    size_t size; /* encoded bytes */
};

struct wire_ops {
    /* Owner's loop. */
    void (*on_message)(struct wire_channel *c, const struct wire_message *m, void *arg);
    /* Once; the channel is freed by its owner (wire_channel_free), from here if it likes. */
    void (*on_closed)(struct wire_channel *c, const struct fl_err *why, void *arg);
    /* Outgoing channels: ready to send. */
    void (*on_open)(struct wire_channel *c, void *arg);
};
struct wire_limits {
    size_t max_frame;        /* 64 MiB */
    size_t max_unsent;       /* 256 MiB */
    unsigned idle_timeout_s; /* 0 = none: pings of the protocol above find dead peers */
    /* 64 MiB; 0 = that. Decoded messages of one I/O thread that the owner has not taken. Above it nothing is read; it goes on at half. Of
     * one channel a 16th of it may be there, encoded. */
    size_t max_inbox;
};
extern const struct wire_limits wire_limits_default;

/* Server side: call from the handler of GET /wire. Answers 400/426 itself when the request is no proper upgrade.
 * `accepted` gets the channel on the exchange's owner loop; it must set ops. */
typedef void wire_accepted_f(struct wire_channel *c, void *arg);
void wire_accept(struct http_exchange *ex, const struct wire_limits *limits,
                 wire_accepted_f *accepted, void *arg);
/* Client side. `self` describes this end to the peer ("fairlead-agent/1.11.0"); `authorization` is the value of that header, or NULL. on_open or on_closed follows. */
int wire_connect(struct fl_loop *loop, const char *host, uint16_t port, const char *bind_ip,
                 struct fl_tls *tls, const char *self, const char *authorization,
                 const struct wire_limits *limits, const struct wire_ops *ops, void *arg,
                 struct wire_channel **ret_channel, struct fl_err *err);
void wire_set_ops(struct wire_channel *c, const struct wire_ops *ops, void *arg);
/* Owner's loop. The message's type must be in wire_types.def. False when the channel is closed or just became too slow. */
bool wire_send(struct wire_channel *c, const ProtobufCMessage *m);
size_t wire_unsent(const struct wire_channel *c);
const char *wire_peer(const struct wire_channel *c); /* "ip:port" */
void wire_channel_close(
    struct wire_channel *c); /* after what is queued has been sent; on_closed follows */
void wire_channel_free(struct wire_channel *c); /* at once; no callback */

/* Of all channels of the process that are read by I/O threads. Any thread. */
struct wire_counters {
    uint64_t batches_in, messages_in, batches_out;
    uint64_t pauses; /* times that a channel was not read because of max_inbox */
    uint64_t
        wait_max_us; /* of a batch, until the last of it was taken; the last one to two minutes */
};
void wire_counters(struct wire_counters *ret);

#endif
