/* What many streaming answers are sent alike, at the cost of one on the owner's side: a piece is encoded and framed once, handed over once to
 * each I/O thread, and its bytes are shared by all who read it. Each reader has a place of its own in what waits, so what waits for slow ones is
 * kept once, too, and it is no more than max_unsent: who is further behind is closed as any slow stream is, and the others go on.
 *
 * Pieces of one turn leave together, and under load those of a few milliseconds. A stream may be written to by itself, too: all is read in
 * the order in which it was written. Owner loop; all members are of one server.
 */
#ifndef COMMON_BASE_HTTP_CAST_H
#define COMMON_BASE_HTTP_CAST_H

#include "common/base/http.h"

struct http_cast;

struct http_cast *http_cast_new(void);
/* Takes NULL. Its members go on as plain streams. What was not handed over yet is handed over. */
void http_cast_free(struct http_cast *c);
/* From here on the stream gets what is written; until it ends or is gone. False: it cannot have chunks (HTTP/1.0), or is over. */
bool http_cast_join(struct http_cast *c, struct http_stream *st);
unsigned http_cast_members(const struct http_cast *c);
/* A RecordIO record, which becomes a chunk: appended to the buffer that begin() gives. end() must follow before anything else. */
struct fl_buf *http_cast_begin(struct http_cast *c);
void http_cast_end_record(struct http_cast *c);

#endif
