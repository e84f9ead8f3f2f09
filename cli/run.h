/* `fairlead run`: one framework for one command, as many instances as asked. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdio.h>

#include <fairlead/scheduler.h>

#include "cli/connection.h"
#include "cli/sandbox.h"

struct run;

/* One instance, from waiting for an offer to its end and the last byte of its output. */
struct instance {
    struct run *run;
    unsigned number; /* 1.. */
    enum { INSTANCE_WAITING, INSTANCE_LAUNCHED, INSTANCE_ENDED } stage;
    char *agent_address, *agent_id; /* "ip:port"; owned */
    int exit_code;
    char why[600]; /* of an end that is no exit of the command's own */
    struct follow out, err;
    bool following;
    unsigned drained; /* files without news since the end */
    bool reported;    /* all its output has been printed */
};

struct run {
    struct cli *cli;
    char *master; /* "host:port" of the leader; owned */
    /* what was asked */
    const char *name, *user, *role;
    double cpus, mem, disk, gpus;
    unsigned n;
    struct opt_list env, uris;
    char **argv;
    /* how it goes */
    struct fl_loop *loop;
    struct http_client *http;
    fw_scheduler *scheduler;
    struct fl_timer *poll, *hint;
    struct instance *open_line; /* whose line has no end yet, with several instances; or NULL */
    FILE *open_file;            /* on which it is */
    struct instance *instances;
    unsigned waiting, left;
    bool subscribed, interrupted;
    bool failed; /* the framework itself came to an end; already said */
};

/* run_output.c */
void output_begin(struct instance *i, const char *framework_id, const char *executor_id);
void output_poll(struct run *r);
/* The instance ended: prints the rest, then run_instance_done(). */
void output_finish(struct instance *i);
void run_instance_done(struct instance *i);

/* run_check.c: an error line when no agent could ever hold one instance, or the master does not answer. */
int run_check(struct run *r);

#endif
