/* Inside of the replay: what replay.c (the log, comparing) and replay_inputs.c (calling the module) share. */
#ifndef MASTER_ALLOCATOR_REPLAY_PRIV_H
#define MASTER_ALLOCATOR_REPLAY_PRIV_H

#include "master/allocator/replay.h"

#define REPLAY_MAGIC 0x5e97a17u

/* What the module borrows while the framework is there. */
struct replay_framework {
    char *id;
    struct offer_constraints *constraints;
    UT_hash_handle hh;
};

struct replay {
    unsigned magic;
    const struct allocator_ops *ops;
    struct allocator *a;
    struct alog_reader reader;
    struct fl_arena *input_arena, *decision_arena;
    struct replay_framework *frameworks;
    const Alog__Record *input; /* being played */
    uint64_t input_number;
    Alog__Record *next; /* read, not yet used; in decision_arena */
    bool at_end;        /* of the log */
    struct fl_buf came, scratch;
    struct replay_result *result;
    struct fl_err failed; /* with a code: the log cannot be played */
};

/* ---- replay.c ---- */
/* The log cannot be played; the first reason counts. */
void replay_fail(struct replay *p, const struct fl_err *err);
bool replay_over(const struct replay *p);
/* What the module answered is compared with the next record. */
void replay_check_ran(struct replay *p, uint64_t next);
void replay_check_result(struct replay *p, int code, const struct fl_err *err);
struct allocator_callbacks replay_callbacks(struct replay *p);

/* ---- replay_inputs.c ---- */
/* Calls the module as the record says. False: the record is none that can be called. */
bool replay_input(struct replay *p, const Alog__Record *rec);
void replay_drop_frameworks(struct replay *p);

#endif
