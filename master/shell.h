/* The master's shell: what its files share. Everything runs on the main thread's loop, but for the I/O
 * threads of the HTTP server and the store's own. */
#ifndef MASTER_SHELL_H
#define MASTER_SHELL_H

#include "common/base/daemon.h"
#include "master/api/api.h"

struct fl_tls;
struct allocator_log;
struct shell_delay;

struct shell {
    struct fl_flags *flags_table;
    struct master_flags flags;
    struct fl_loop *loop;
    struct fl_daemon_address address;
    struct fl_tls *tls, *client_tls;
    struct http_guard *guard; /* or NULL */
    struct http_server *http;
    struct store *store;
    struct pending_store *pending_stores; /* of shell_io.c: writes that have not completed */
    struct metrics *metrics;
    struct master_env env;
    struct master *master;
    struct master_api api;
    struct metric *store_ms;
    struct allocator_log *allocator_log; /* or NULL */
    struct whitelist *whitelist;
    struct shell_delay *delay;
    struct fl_signal *on_term, *on_int, *on_hup;
    bool stopping;
    int exit_status;
};

/* ---- shell_info.c ---- */
/* What the master says of itself, in heap memory. `port` is the one listened on. */
int shell_master_info(const struct shell *s, uint16_t port, V1__MasterInfo **ret,
                      struct fl_err *err);

/* ---- shell_modules.c ---- */
/* The allocator that --allocator names, built in or from --modules. FL_INVALID says which flag is wrong. */
int shell_find_allocator(const char *allocator, const char *modules_or_null,
                         const struct allocator_ops **ret_ops, struct fl_err *err);

/* ---- shell_allocator_log.c: the file of --allocator_log ---- */
/* NULL without the flag. The file that is there already is kept as PATH.old. */
int shell_allocator_log_open(struct shell *s, struct fl_err *err);
void shell_allocator_log_close(struct shell *s); /* writes what is left; takes none */

/* ---- shell_whitelist.c ---- */
/* Watches the file of --whitelist; NULL without one. */
struct whitelist *shell_whitelist_new(struct shell *s);
void shell_whitelist_free(struct whitelist *w);

/* ---- shell_delay.c: the metrics event_loop/... and event_queue_http_requests ---- */
struct shell_delay *shell_delay_new(struct shell *s); /* after the server and the metrics */
void shell_delay_free(struct shell_delay *d);

/* ---- shell_io.c ---- */
extern const struct master_io shell_io;
/* Reads the registry into the core. */
int shell_recover(struct shell *s, struct fl_err *err);
int shell_open_store(struct shell *s, struct fl_err *err);
/* With what was under way, which completes no more. */
void shell_close_store(struct shell *s);

/* ---- shell_metrics.c ---- */
void shell_metrics(struct shell *s);

#endif
