/* The agent's shell: gives the core a real loop, disk, master and executors. Everything on the loop's thread. */
#ifndef AGENT_SHELL_H
#define AGENT_SHELL_H

#include "agent/api/api.h"
#include "agent/disk_thread.h"
#include "common/base/daemon.h"
#include "common/coord/detector.h"
#include "common/wire/wire.h"

struct agent_link;

struct agent_shell {
    struct fl_loop *loop;
    const struct agent_flags *flags;
    struct fl_flags *flag_table;
    struct metrics *metrics;
    struct agent_env env;
    struct agent_core *core;
    struct containerizer *containerizer;
    struct http_guard *guard;          /* or NULL */
    char *default_executor;            /* owned; or NULL */
    char *token_key;                   /* owned; of --jwt_secret_key, or NULL */
    struct http_credential credential; /* of --credential, for the master */
    struct http_server *http;
    struct http_files *files;
    struct log_toggle *log_toggle;
    struct http_times *times;
    struct loop_delay *delay;
    struct agent_api api;
    struct agent_link *link;
    struct agent_disk_thread *disk;
    struct agent_trash *trash;
    struct net_prober *prober;
    struct fl_tls *tls_server, *tls_client;
    struct fl_signal *term, *interrupt, *usr1, *hup;
    int lock_fd;
    int exit_status;
};

/* Everything but running: on failure what was made is undone by agent_shell_done(). `launcher_fd` is taken. */
int agent_shell_init(struct agent_shell *s, const struct agent_flags *flags, struct fl_flags *table,
                     int launcher_fd, struct fl_err *err);
void agent_shell_done(struct agent_shell *s);

/* ---- link.c: the connection to the leading master ---- */
struct agent_link *agent_link_new(struct agent_shell *s);
int agent_link_start(struct agent_link *l, struct fl_err *err);
bool agent_link_send(struct agent_link *l, const ProtobufCMessage *m);
void agent_link_reset(struct agent_link *l, enum agent_link_reset how);
void agent_link_free(struct agent_link *l);

#endif
