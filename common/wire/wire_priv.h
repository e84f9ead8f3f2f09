/* Inside of common/wire; for its files, tests and fuzz targets only. */
#ifndef COMMON_WIRE_WIRE_PRIV_H
#define COMMON_WIRE_WIRE_PRIV_H

#include "common/base/pb_priv.h"
#include "common/base/stream.h"
#include "common/wire/wire.h"

#define WIRE_PROTOCOL "fairlead-wire/1"
#define WIRE_PATH     "/wire"

/* ---- wire_frame.c: bytes and messages. Pure. ---- */

#define WIRE_HEADER 8

struct wire_frame {
    unsigned type;
    const uint8_t *payload; /* borrowed from the bytes looked at */
    size_t payload_len;
    size_t size; /* of the whole frame */
};
/* Looks at the beginning of n bytes: 1 and *ret when a whole frame is there, 0 when more must come, or FL_TOO_LARGE,
 * FL_INVALID. */
int wire_frame_next(const void *p, size_t n, size_t max_frame, struct wire_frame *ret,
                    struct fl_err *err);
int wire_frame_decode(const struct wire_frame *f, struct fl_arena *arena, struct wire_message *ret,
                      struct fl_err *err);
/* Appends a frame. FL_INVALID for a message that is in no row of wire_types.def. `back` is working memory, for one frame after
 * another. */
int wire_frame_encode(struct fl_buf *out, struct pb_back *back, const ProtobufCMessage *m,
                      size_t max_frame, struct fl_err *err);

/* ---- wire_connect.c: the upgrade ---- */

void wire_request(struct fl_buf *out, const char *host, uint16_t port, const char *self,
                  const char *authorization);
/* Looks at the answer: its length when it is whole and says yes, 0 when more must come, or negative. */
ssize_t wire_answer(const char *p, size_t n, const char *peer, struct fl_err *err);

/* ---- wire.c ---- */

struct wire_channel *wire_channel_new(struct fl_loop *loop, const struct wire_limits *limits);
/* An outgoing channel sends the request once it is connected, and waits this long for the answer. */
#define WIRE_OPEN_S 15
int wire_channel_connect(struct wire_channel *c, const char *host, uint16_t port,
                         const char *bind_ip, struct fl_tls *tls, const char *self,
                         const char *authorization, struct fl_err *err);
void wire_channel_attach(struct wire_channel *c, struct fl_stream *s); /* an accepted one */

#endif
