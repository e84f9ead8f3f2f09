/* How a daemon begins, the same for master and agent: the command line, the log, its addresses. main() only, before any
 * other thread; may block (name service, --ip_discovery_command). */
#ifndef COMMON_BASE_DAEMON_H
#define COMMON_BASE_DAEMON_H

#include <netinet/in.h>

#include "common/base/err.h"
#include "common/base/flags.h"
#include "common/base/http.h"

/* Parses; answers --help and --version on stdout; on an error writes its one line to stderr. True: go on. False: end with
 * *ret_status. */
bool fl_daemon_parse(struct fl_flags *f, const char *program, int argc, char **argv,
                     int *ret_status);
/* Ends main() after a later start-up error: one line on stderr, status 1. */
int fl_daemon_fail(const char *program, const struct fl_err *err);

/* Opens the log, the folder made if it is not there, and writes the parse's warnings to it. */
struct fl_daemon_log {
    bool quiet;
    const char *logging_level, *log_dir;
};
#define FL_DAEMON_LOG(flags)                                                                       \
    (struct fl_daemon_log)                                                                         \
    {                                                                                              \
        (flags)->quiet, (flags)->logging_level, (flags)->log_dir                                   \
    }
int fl_daemon_open_log(const char *name, struct fl_daemon_log how, const struct fl_flags *f,
                       struct fl_err *err);

/* Shows the log at /files: --external_log_file when that is given, else the file below --log_dir, if any. What cannot be shown is
 * a warning in the log. */
struct http_files;
void fl_daemon_serve_log(struct http_files *files, const char *virtual_path,
                         const char *external_or_null);

/* Where to listen, and what to tell others. */
struct fl_daemon_address {
    char ip[INET6_ADDRSTRLEN];         /* to listen on; "0.0.0.0" = all */
    char advertised[INET6_ADDRSTRLEN]; /* one that others can use */
    char hostname[256];                /* never empty: the address when there is no name */
};
struct fl_daemon_address_flags {
    const char *ip, *ip_discovery_command, *advertise_ip, *hostname;
    bool hostname_lookup;
};
#define FL_DAEMON_ADDRESS(flags)                                                                   \
    (struct fl_daemon_address_flags)                                                               \
    {                                                                                              \
        (flags)->ip, (flags)->ip_discovery_command, (flags)->advertise_ip, (flags)->hostname,      \
            (flags)->hostname_lookup                                                               \
    }
int fl_daemon_find_address(struct fl_daemon_address_flags how, struct fl_daemon_address *ret,
                           struct fl_err *err);

/* A line in the log when others may read the file. `path` may be NULL. */
void fl_daemon_warn_of_secret(const char *path);

/* The limits of the HTTP server, from --http_max_... and their like. */
#define FL_DAEMON_HTTP_LIMITS(flags)                                                               \
    (struct http_limits)                                                                           \
    {                                                                                              \
        .max_header = (flags)->http_max_header, .max_body = (flags)->http_max_body,                \
        .max_connections = (unsigned)(flags)->max_connections,                                     \
        .header_timeout_s = fl_daemon_seconds((flags)->http_header_timeout),                       \
        .body_timeout_s = fl_daemon_seconds((flags)->http_body_timeout),                           \
        .idle_timeout_s = fl_daemon_seconds((flags)->http_idle_timeout),                           \
        .max_unsent = (flags)->http_max_unsent, .gzip_min = http_limits_default.gzip_min,          \
        .max_pipelined = (unsigned)(flags)->http_max_pipelined                                     \
    }
/* Microseconds to whole seconds, upwards: 0 would mean no limit. */
static inline unsigned fl_daemon_seconds(uint64_t us)
{
    return (unsigned)((us + 999999) / 1000000);
}

#endif
