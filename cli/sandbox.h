/* Reading a task's files from its agent, a piece at a time, by READ_FILE. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "cli/connection.h"

/* One file that is followed: what is new is handed to `out`. */
struct follow {
    struct cli *cli;
    struct http_client *http; /* borrowed */
    struct peer peer;         /* the agent, or the master's way to it */
    char *agent_id;           /* owned */
    bool via_master;
    char *path; /* virtual or real path of the file; owned */
    uint64_t offset;
    struct http_call *call; /* under way, or NULL */
    int status;             /* of the last answer; 0: none, or it could not be asked */
    void (*out)(const char *p, size_t n, void *arg);
    void (*turn)(void *arg, bool more); /* an answer was dealt with; more: ask again at once */
    void *arg;
};
/* The agent is asked at its own address, and through the master when it does not answer there. */
int follow_init(struct follow *f, struct cli *c, struct http_client *http, const char *agent_id,
                const char *agent_address, const char *directory, const char *file,
                struct fl_err *err);
void follow_done(struct follow *f);
/* Asks for the next piece unless one is under way. */
void follow_poll(struct follow *f);

#endif
