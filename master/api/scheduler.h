/* The event streams of frameworks: the master's io for them. Core thread. */
#ifndef MASTER_API_SCHEDULER_H
#define MASTER_API_SCHEDULER_H

#include "master/api/api.h"

struct sched_stream;
/* Answers the exchange with a 200 stream. Freed when it is closed from either side. */
struct sched_stream *sched_stream_new(struct master_api *api, struct http_exchange *ex,
                                      enum api_encoding encoding);
/* For master_io: `stream` is a struct sched_stream. One record is one HTTP chunk. */
void sched_stream_send(void *stream, const Sched__Event *ev);
void sched_stream_close(void *stream); /* after what was sent */

struct sched_api *sched_api_new(void);
/* Ends every stream, at shutdown. The core is not told: what it still sends them is dropped. */
void sched_api_close(struct sched_api *s);
void sched_api_free(struct sched_api *s);

#endif
