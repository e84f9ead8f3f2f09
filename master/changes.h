/* What has changed of tasks, agents, frameworks and roles since somebody looked: for those who show the whole cluster and want the newest
 * of each thing from time to time, not each change (master/api/page_stream.c). Core's thread.
 *
 * While nobody watches, m->changes is NULL and a mark costs the look at it. While somebody does, a mark puts the thing on a list, once,
 * however often it changes and however many watch. Things are on a list by address; one that is freed leaves it, and its key is kept as
 * gone. Keys are given always, for the life of the thing, so that a picture of the state and what follows speak of it alike. */
#ifndef MASTER_CHANGES_H
#define MASTER_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct master;
struct task;
struct agent;
struct known_agent;
struct framework;
struct role;

enum change_kind {
    CHANGED_TASKS,
    CHANGED_AGENTS,
    CHANGED_KNOWN_AGENTS, /* recovered and unreachable ones */
    CHANGED_FRAMEWORKS,   /* completed ones as well */
    CHANGED_ROLES,
    CHANGE_KINDS,
};

/* In each thing: 8 bytes, for a task may cost little. 40 bits of keys last for a year at 40,000 tasks a second. */
struct change_mark {
    uint64_t key : 40;    /* unique among things of its table; 0: none */
    uint64_t slot : 23;   /* its place in the list, plus one; 0: it is on none */
    uint64_t at_once : 1; /* more than amounts of resources changed */
};
#define CHANGES_MAX ((1u << 23) - 2) /* on one list */

struct gone {
    uint64_t key;
    /* Interned, a reference is owned: of the framework, and whom a task ran as. NULL unless `keep_users`. */
    const char *framework_user, *user;
};

struct changes {
    struct change_list {
        void **items; /* owned; NULL: it was freed, or moved */
        size_t n, cap;
    } of[CHANGE_KINDS];
    struct gone_list {
        struct gone *items; /* owned */
        size_t n, cap;
    } gone_tasks, gone_agents, gone_frameworks;
    struct {
        const char **items; /* owned; interned for ever */
        size_t n, cap;
    } gone_roles;
    bool all_roles;  /* what the cluster has changed, and with it every share */
    bool keep_users; /* somebody watches who may not see everything */
    bool lost;       /* more has changed than the lists hold: begin anew */
};

/* ---- for who watches ---- */
void changes_start(struct master *m); /* m->changes, empty */
void changes_stop(struct master *m);
/* The first n of a list, or those of them only that `at_once` says, are seen: they leave it. */
void changes_seen(struct changes *c, enum change_kind kind, size_t n, bool at_once_only);
void changes_gone_seen(struct changes *c);
struct change_mark *change_mark_of(enum change_kind kind, void *thing);

/* ---- for the core: beside what changes ---- */
void task_changed(struct task *t);
void agent_named(struct agent *a); /* it is new: its key */
void agent_changed(struct agent *a, bool at_once);
void known_changed(struct master *m, struct known_agent *k);
void framework_changed(struct framework *f, bool at_once);
void role_changed(struct master *m, struct role *r, bool at_once);
void roles_all_changed(struct master *m);
/* Before it is freed. */
void task_gone(struct task *t);
void agent_gone(struct agent *a);
void known_gone(struct master *m, struct known_agent *k);
void framework_gone(struct framework *f);
void role_gone(struct master *m, struct role *r);
/* An agent changes tables: `to` goes on under the key of `from`, which has none any more. */
void known_from_agent(struct known_agent *to, struct agent *from);
void known_from_known(struct master *m, struct known_agent *to, struct known_agent *from);
void agent_from_known(struct agent *to, struct known_agent *from);

#endif
