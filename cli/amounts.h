/* Resources as a person writes them: "cpus:2", "mem=512", "ports:[31000-31005,32000-32001]", "disks:{a,b}", several with ';'. Pure. */
#ifndef CLI_AMOUNTS_H
#define CLI_AMOUNTS_H

#include <jansson.h>

#include "common/base/err.h"

/* Appends them to the array `to`, as Resource objects of the v1 API without role. */
int amounts_parse(const char *text, json_t *to, struct fl_err *err);
/* Scalars only, as {name: {"value": number}}, for quota; added to the object `to`. */
int amounts_scalars(const char *text, json_t *to, struct fl_err *err);
/* "3h", "90s", "1d12h", "500ms": nanoseconds. */
int amounts_duration(const char *text, int64_t *ret_ns, struct fl_err *err);
/* "now", "+2h", "2026-11-30T22:00:00Z", "@seconds": nanoseconds since 1970. */
int amounts_time(const char *text, int64_t now_ns, int64_t *ret_ns, struct fl_err *err);

#endif
