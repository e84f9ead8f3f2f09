/* The load generator: hundreds of frameworks on one loop, what they asked for and what became of it.
 *
 * frameworks.c decides (offers, updates, kills) and counts; links (link_http.c, link_lib.c) carry its calls to the master and events
 * back; run.c has the time and the phases; report_*.c say what happened. Everything on the loop's thread. */
#ifndef EMULATOR_LOAD_LOAD_H
#define EMULATOR_LOAD_LOAD_H

#include "common/base/loop.h"
#include "emulator/load/calls.h"
#include "emulator/load/hist.h"
#include "emulator/load/plan.h"
#include "emulator/usage.h"

struct load;
struct load_framework;

/* ---- what is counted ---- */

enum load_hist {
#define LOAD_HIST(id, name, help) LOAD_HIST_##id,
#define LOAD_COUNT(id, name, help)
#include "emulator/load/figures.def"
    LOAD_HISTS
};
enum load_count {
#define LOAD_HIST(id, name, help)
#define LOAD_COUNT(id, name, help) LOAD_COUNT_##id,
#include "emulator/load/figures.def"
    LOAD_COUNTS
};
struct load_figures {
    uint64_t counts[LOAD_COUNTS];
    struct hist hists[LOAD_HISTS];
};
struct load_name {
    const char *name, *help;
};
extern const struct load_name load_hist_names[LOAD_HISTS];
extern const struct load_name load_count_names[LOAD_COUNTS];
void load_figures_merge(struct load_figures *f, const struct load_figures *other);

/* ---- tasks and jobs: a million of them ---- */

enum load_state { LOAD_WAITING, LOAD_ACCEPTED, LOAD_RUNNING, LOAD_ENDED };
struct load_task {
    uint64_t accepted_us;
    uint64_t changed_us; /* running, or since it is killed: when that was asked for */
    uint32_t attempt;
    uint8_t state; /* enum load_state */
    bool killed, ran;
};
struct load_job {
    uint64_t arrived_us;
    uint32_t accepted, ran;
};

/* ---- frameworks ---- */

struct load_held {
    char *offer_id, *agent_id; /* owned */
    uint64_t fits;
};

struct load_link;
struct load_link_ops {
    /* Sends a call (its framework's id is filled in); `ref_us`: what the latency `since` counts from when the answer came, or 0. */
    void (*call)(struct load_link *l, const void *bytes, size_t n, uint64_t ref_us);
    /* Calls that the master has not answered yet, as far as the link can know. */
    size_t (*unanswered)(const struct load_link *l);
    void (*free)(struct load_link *l);
};
struct load_link {
    const struct load_link_ops *ops;
    struct load_framework *framework;
};
struct load_link *load_link_http_new(struct load_framework *f, struct fl_err *err);
struct load_link *load_link_lib_new(struct load_framework *f, struct fl_err *err);
/* Upwards. */
void load_link_subscribed(struct load_framework *f, const char *framework_id);
void load_link_event(struct load_framework *f, const void *bytes, size_t n);
void load_link_down(struct load_framework *f, const char *why);
void load_link_dead(struct load_framework *f, const char *why);
/* After `us` the master answered a call; status 0: it never did. */
void load_link_answered(struct load_framework *f, uint64_t us, uint64_t ref_us, int status,
                        struct load_bytes body);

struct load_group;
struct load_framework {
    struct load *load;
    struct load_group *group;
    uint32_t index; /* in its group */
    struct load_link *link;
    char *id;                /* owned; NULL before the first subscription */
    V1__FrameworkInfo *info; /* owned; its id is set */
    bool subscribed, ever, suppressed, filtered, gone;
    struct load_job *jobs;
    size_t n_jobs, n_arrived;
    struct load_task *tasks;
    size_t n_tasks, next_fresh, n_arrived_tasks;
    uint32_t *again; /* indices of tasks to be launched again */
    size_t n_again, cap_again;
    uint64_t in_flight, accepted, killing;
    size_t kill_next;
    struct load_held *held;
    size_t n_held;
    uint64_t
        freed_us; /* measure: when the last task's end, or the offer of what it had, was heard */
    char *last_agent; /* measure: owned; of the last launch */
    uint64_t fence, fence_seen, fence_sent_us;
};

/* An entry of the plan at work. */
struct load_group {
    struct load *load;
    const struct load_entry *entry;
    struct load_framework *frameworks;
    size_t n_frameworks;
    struct fl_buf pattern;
    uint64_t total, settled; /* tasks; those that are where the file wants them */
    uint64_t first_accepted; /* tasks that were accepted at least once */
    uint64_t next_job;       /* to arrive */
    uint64_t started_us, arrival_us, complete_us; /* 0: not yet */
    struct fl_timer *timer;                       /* of the next arrival */
    struct emu_random random;
    struct load_figures *figures;
};

struct load_agent {
    char *id; /* owned; NULL: a free slot */
    uint64_t freed_us;
};
struct load_agents {
    struct load_agent *v;
    size_t n, cap; /* cap is a power of two */
};
/* Never NULL. Valid until the next call. */
struct load_agent *load_agents_get(struct load_agents *a, const char *id, size_t n);
void load_agents_done(struct load_agents *a);

struct load_error {
    char *kind, *message; /* owned */
    uint64_t n;
};
struct load_sample {
    uint64_t at_us, running, accepted, offers, updates;
};

enum load_until { LOAD_UNTIL_FILE, LOAD_UNTIL_ACCEPTED, LOAD_UNTIL_RUNNING };
enum load_then { LOAD_THEN_EXIT, LOAD_THEN_HOLD, LOAD_THEN_KILL };
struct load_options {
    const char *master; /* host:port */
    enum load_until until;
    enum load_then then;
    uint64_t limit_us;                /* 0: none */
    uint64_t seconds_us;              /* end of the work by time; 0: none */
    uint64_t subscribing;             /* frameworks at a time */
    int64_t master_pid, emulator_pid; /* 0: not given */
    bool quiet;
};

enum load_phase {
    LOAD_SUBSCRIBING,
    LOAD_WORKING,
    LOAD_SETTLING, /* everything is where it should be; the master is asked whether it has heard all of our calls */
    LOAD_HOLDING,
    LOAD_KILLING,
    LOAD_KILL_SETTLING,
    LOAD_LEAVING,
    LOAD_OVER
};

struct load_usages {
    struct emu_usage self, master, emulator;
};

struct load_metric {
    char *name; /* owned */
    double value;
};
struct load_metrics {
    struct load_metric *v;
    size_t n, cap;
};
void load_metrics_parse(struct load_metrics *m, const char *text, size_t n);
void load_metrics_done(struct load_metrics *m);
const double *load_metrics_get(const struct load_metrics *m, const char *name);

struct load {
    struct fl_loop *loop;
    struct load_options options;
    const struct load_plan *plan;
    char *host;
    uint16_t port;
    struct http_client *http;
    struct load_group *groups;
    size_t n_groups;
    struct load_agents agents;
    enum load_phase phase;
    uint64_t now_us, began_us; /* began: all were subscribed and work began */
    uint64_t accepted_us, running_us, settled_us, killing_us, killed_us; /* when; 0: never */
    uint64_t running, peak_running, subscribed, first_subscribe_us;
    uint64_t kill_left;
    uint64_t gangs, gangs_whole, gangs_partial, gangs_pure;
    struct load_error *errors;
    size_t n_errors;
    struct load_sample *samples;
    size_t n_samples, cap_samples;
    uint64_t sample_every_us, sample_due_us;
    struct fl_timer *tick;
    struct fl_signal *term, *interrupt;
    bool asked_to_end, failed, torn_down;
    uint64_t settled_running; /* tasks that ran when all was settled */
    char *why;                /* owned; what went wrong, in one line, or NULL */
    struct load_usages at_begin, at_settled, at_killing, at_killed;
    struct load_metrics metrics_before, metrics_after;
    struct fl_arena *arena;
    struct fl_buf out; /* the call at hand */
    struct load_accept accept;
    struct load_figures *total; /* filled for the report */
    size_t fence_turn;
    uint64_t fence_due_us, settle_deadline_us, resync_due_us, progress_us;
};

/* ---- frameworks.c ---- */
int load_groups_new(struct load *l, struct fl_err *err);
/* Makes at most `most` frameworks more; *ret_all: these were the last. */
int load_groups_open(struct load *l, uint64_t most, bool *ret_all, struct fl_err *err);
void load_groups_free(struct load *l);
void load_group_arrive(struct load_group *g);                        /* one job more */
void load_framework_send(struct load_framework *f, uint64_t ref_us); /* load->out */
void load_framework_fence(struct load_framework *f);
void load_framework_kill_some(struct load_framework *f);
void load_framework_resync(
    struct load_framework *f); /* asks again for what should have been heard */
void load_framework_suppress(struct load_framework *f);
void load_error_count(struct load *l, const char *kind, const char *message, size_t n);

/* ---- updates.c ---- */
void load_framework_heard(struct load_framework *f, const struct load_update *u);

/* ---- run.c ---- */
int load_new(const struct load_plan *plan, const struct load_options *o, struct load **ret,
             struct fl_err *err);
void load_run(struct load *l);
void load_free(struct load *l);
FL_DEFINE_CLEANUP(struct load *, load_free, load_freep)
bool load_went_well(const struct load *l);
/* Called by frameworks.c whenever something was settled, answered or lost. */
void load_progress(struct load *l);
void load_give_up(struct load *l, const char *fmt, ...) _printf_(2, 3);

/* ---- reports ---- */
void load_report_sum(struct load *l); /* fills l->total */
void load_report_text(struct load *l, struct fl_buf *out);
void load_report_json(struct load *l, struct fl_buf *out);
void load_report_html(struct load *l, struct fl_buf *out);

#endif
