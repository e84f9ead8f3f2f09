/* Runs real containers in unit tests: a loop, a launcher, a temporary runtime folder, and what the callbacks said. */
#ifndef TESTS_UNIT_CONTAINER_FIXTURE_H
#define TESTS_UNIT_CONTAINER_FIXTURE_H

#include "agent/containerizer/containerizer.h"
#include "agent/flags.h"

struct seen {
    char id[64];
    bool started, recovered, ended;
    int n_started, n_recovered, n_ended;
    pid_t pid;
    enum container_end_reason reason;
    bool has_status;
    int status;
    char message[512];
};

struct fixture {
    char dir[64]; /* everything of the test lies below */
    struct agent_flags flags;
    struct fl_flags *parsed;
    struct fl_loop *loop;
    struct containerizer *cz;
    int launcher_fd;
    struct seen seen[64];
    size_t n_seen;
    bool recovery_done;
    bool may_refuse;   /* recovery may fail */
    char refusal[512]; /* why it did */
};

/* Where the directories of fixtures are made, from now on; borrowed. Default: /tmp. */
void fixture_below(const char *folder);
/* `isolation` and `launcher` as the flags; NULL launcher: posix. Further flags as "--name=value". Stops the test on failure. */
void fixture_open(struct fixture *f, const char *launcher, const char *isolation,
                  const char *const *more);
/* The same directory and flags with a new launcher and containerizer, as a restarted agent. */
void fixture_reopen(struct fixture *f);
void fixture_close(struct fixture *f); /* kills nothing: the test has */

/* What differs from `sh -c text` with 0.1 cpus and 64 MB is in the spec before the call. */
struct launch {
    const char *id;
    const char *shell;       /* or */
    const char *const *argv; /* argv[0] is the program */
    const char *user;
    const char *const *env;
    const V1__ContainerInfo *info;
    V1__Environment *environment; /* of the CommandInfo */
    const char *resources;
    double mem_limit, cpu_limit; /* 0: none given */
    bool checkpoint, debug;
    const char *uri;
    int volume_mb;                    /* a persistent volume `v` of role `r` at "vol"; 0: none */
    const V1__CommandInfo__URI *uris; /* n_uris of them */
    size_t n_uris;
};
int fixture_try_launch(struct fixture *f, const struct launch *l, struct fl_err *err);
void fixture_launch(struct fixture *f, const struct launch *l); /* must be taken */
struct seen *fixture_seen(struct fixture *f, const char *id);
/* Runs the loop until it has started / ended, for ten seconds at most; fails the test after. */
struct seen *fixture_wait_started(struct fixture *f, const char *id);
struct seen *fixture_wait_ended(struct fixture *f, const char *id);
/* Runs the loop for a while. */
void fixture_run(struct fixture *f, uint64_t us);
bool fixture_until(struct fixture *f, bool (*done)(void *arg), void *arg, uint64_t us);
/* launch, wait for the end. */
struct seen *fixture_finish(struct fixture *f, const struct launch *l);

char *sandbox_path(const struct fixture *f, const char *id); /* the caller's */
char *sandbox_read(const struct fixture *f, const char *id,
                   const char *file); /* the caller's; "" when none */
/* Processes of the machine with this text in their command line. */
int processes_with(const char *text);
/* Containers' folders, cgroups and mounts that are left; describes them. 0 when nothing is. */
int fixture_leftovers(const struct fixture *f);

#endif
