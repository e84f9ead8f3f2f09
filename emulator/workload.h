/* How long emulated tasks run and how they end. Pure; what is random comes from the caller's generator. */
#ifndef EMULATOR_WORKLOAD_H
#define EMULATOR_WORKLOAD_H

#include "emulator/yaml.h"
#include "proto/mesos.pb-c.h"

/* splitmix64: the same seed gives the same cluster. */
struct emu_random {
    uint64_t state;
};
uint64_t emu_random_u64(struct emu_random *r);
double emu_random_unit(struct emu_random *r); /* in [0, 1) */

enum emu_shape { EMU_FIXED, EMU_FOREVER, EMU_UNIFORM, EMU_EXPONENTIAL };
struct emu_time {
    enum emu_shape shape;
    uint64_t a_us,
        b_us; /* fixed: a; uniform: a to b; exponential: mean a, at most b (0: no limit) */
};
/* UINT64_MAX: never. */
uint64_t emu_time_draw(const struct emu_time *t, struct emu_random *r);
/* "10secs", "forever", "uniform 5secs 10secs", "exponential 1mins", "exponential 1mins 10mins". */
int emu_time_parse(const char *text, struct emu_time *ret, struct fl_err *err);
int emu_time_take(const struct yaml_reader *r, const struct yaml_node *v, void *time);
int emu_probability_take(const struct yaml_reader *r, const struct yaml_node *v, void *number);

struct emu_exit {
    int status; /* wait(2) status */
    double probability;
};
enum { EMU_MAX_EXITS = 16 };
struct emu_workload {
    struct emu_time start_delay, duration, kill_delay;
    struct emu_exit exits[EMU_MAX_EXITS]; /* what is left of 1 exits with 0 */
    uint64_t n_exits;
};
/* Tasks start at once, run until they are killed, and then end at once. */
extern const struct emu_workload emu_workload_default;
/* The mapping `tasks:`, over what *w holds. */
int emu_workload_take(const struct yaml_reader *r, const struct yaml_node *v, void *workload);

/* What goes wrong between an agent and the master. Nothing, where all is zero. */
struct emu_fault_plan {
    struct emu_time flap_every,
        flap_away;       /* the connection breaks that often, for so long; every 0: never */
    struct emu_time lag; /* of each message, either way; order is kept */
    double lose;         /* probability that a message, either way, is lost */
};
/* The mapping `faults:`, over what *plan holds. */
int emu_fault_plan_take(const struct yaml_reader *r, const struct yaml_node *v, void *plan);

/* What one task will do. */
struct emu_plan {
    uint64_t start_us, run_us, kill_us; /* UINT64_MAX: never */
    int status;
};
/* Labels of the task (emulator.duration, emulator.exit) go before the workload. Negative: a label makes no sense. */
int emu_plan_make(const struct emu_workload *w, const V1__Labels *labels_or_null,
                  struct emu_random *r, struct emu_plan *ret, struct fl_err *err);

#endif
