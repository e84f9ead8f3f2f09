/* Finding the leading master. `--master` is "host:port", a comma-separated list of them, "file:///path" of either, or zk://...
 * (joins later; refused with a clear line until then). With a list, each is asked in turn (GET /redirect) until one leads.
 * Callback on the loop whenever the leader changes: NULL while none is known. */
#ifndef COMMON_COORD_DETECTOR_H
#define COMMON_COORD_DETECTOR_H

#include "common/base/err.h"
#include "common/base/loop.h"

struct detector;
struct detected_master {
    const char *host;
    uint16_t port;
};
typedef void detector_f(const struct detected_master *leader_or_null, void *arg);
int detector_new(struct fl_loop *loop, const char *spec, detector_f *fn, void *arg,
                 struct detector **ret, struct fl_err *err);
/* The leader it named does not answer: look again (with the list's next), soon and with a growing delay. */
void detector_failed(struct detector *d);
/* The leader it named serves us: the next detector_failed() looks again soon, however often there was one before. */
void detector_worked(struct detector *d);
void detector_free(struct detector *d);

#endif
