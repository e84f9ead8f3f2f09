/* See workload.h. */
#include "emulator/workload.h"

#include <math.h>

#include "common/base/flags.h"

/* All zero of struct emu_time is EMU_FIXED 0, so that what is not declared happens at once, or never goes wrong. */
const struct emu_workload emu_workload_default = {
    .start_delay = {EMU_FIXED, 0, 0},
    .duration = {EMU_FOREVER, 0, 0},
    .kill_delay = {EMU_FIXED, 0, 0},
};

uint64_t emu_random_u64(struct emu_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

double emu_random_unit(struct emu_random *r)
{
    return (double)(emu_random_u64(r) >> 11) / (double)(1ull << 53);
}

uint64_t emu_time_draw(const struct emu_time *t, struct emu_random *r)
{
    double us;

    switch (t->shape) {
    case EMU_FOREVER:
        break;
    case EMU_FIXED:
        return t->a_us;
    case EMU_UNIFORM:
        return t->a_us + (uint64_t)(emu_random_unit(r) * (double)(t->b_us - t->a_us));
    case EMU_EXPONENTIAL:
        us = -log(1 - emu_random_unit(r)) * (double)t->a_us;
        return t->b_us && us > (double)t->b_us ? t->b_us : (uint64_t)us;
    }
    return UINT64_MAX;
}

/* ---- from text ---- */

enum { MAX_WORDS = 4 };

/* Splits `copy` in place. */
static size_t words_of(char *copy, char *words[MAX_WORDS])
{
    size_t n = 0;

    for (char *p = copy + strspn(copy, " "); *p && n < MAX_WORDS; p += strspn(p, " ")) {
        words[n++] = p;
        p += strcspn(p, " ");
        if (*p)
            *p++ = '\0';
    }
    return n;
}

int emu_time_parse(const char *text, struct emu_time *ret, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    struct emu_time t = {EMU_FIXED, 0, 0};
    char *words[MAX_WORDS];
    size_t n = words_of(copy, words), first = 1;
    int r = 0;

    if (n == 1 && streq(words[0], "forever")) {
        *ret = (struct emu_time){EMU_FOREVER, 0, 0};
        return 0;
    }
    if (n == 3 && streq(words[0], "uniform"))
        t.shape = EMU_UNIFORM;
    else if ((n == 2 || n == 3) && streq(words[0], "exponential"))
        t.shape = EMU_EXPONENTIAL;
    else if (n == 1)
        first = 0;
    else
        return fl_err_set(err, FL_INVALID,
                          "'%s' is no time; write '10secs', 'uniform 5secs 10secs', 'exponential "
                          "1mins', 'exponential 1mins 10mins' (mean, most) or 'forever'",
                          text);
    r = fl_duration_parse(words[first], &t.a_us, err);
    if (r == 0 && n > first + 1)
        r = fl_duration_parse(words[first + 1], &t.b_us, err);
    if (r == 0 && t.shape == EMU_UNIFORM && t.b_us < t.a_us)
        r = fl_err_set(err, FL_INVALID, "in '%s' the longest is before the shortest", text);
    if (r == 0)
        *ret = t;
    return r;
}

int emu_time_take(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct fl_err err;

    if (v->kind != YAML_TEXT)
        return yaml_bad(r, v, "a time is wanted here, as '10secs' or 'uniform 5secs 10secs'");
    if (emu_time_parse(v->text, into, &err) < 0)
        return yaml_bad(r, v, "%s", err.msg);
    return 0;
}

int emu_probability_take(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    double p;

    if (v->kind != YAML_TEXT || fl_parse_f64(v->text, &p) < 0 || !(p >= 0) || p > 1)
        return yaml_bad(r, v, "'%s' is no probability from 0 to 1", v->text ? v->text : "");
    *(double *)into = p;
    return 0;
}

static int take_lag(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct emu_time *t = into;
    int rc = emu_time_take(r, v, t);

    if (rc == 0 && t->shape == EMU_FOREVER)
        return yaml_bad(r, v, "a message cannot be late for ever; 'lose: 1' loses it");
    return rc;
}

static int take_flap(const struct yaml_reader *r, const struct yaml_node *v, void *plan)
{
    static const struct yaml_row rows[] = {
        {"every", emu_time_take, offsetof(struct emu_fault_plan, flap_every), true},
        {"away", emu_time_take, offsetof(struct emu_fault_plan, flap_away), true},
    };
    struct emu_fault_plan *p = plan;
    int rc = yaml_map(r, v, "'flap'", rows, ARRAY_SIZE(rows), p);

    if (rc == 0 && p->flap_every.shape != EMU_FOREVER && p->flap_every.a_us < 1000)
        return yaml_bad(r, v, "'every' must be 1ms or more");
    return rc;
}

int emu_fault_plan_take(const struct yaml_reader *r, const struct yaml_node *v, void *plan)
{
    static const struct yaml_row rows[] = {
        {"flap", take_flap, 0, false},
        {"lag", take_lag, offsetof(struct emu_fault_plan, lag), false},
        {"lose", emu_probability_take, offsetof(struct emu_fault_plan, lose), false},
    };

    return yaml_map(r, v, "'faults'", rows, ARRAY_SIZE(rows), plan);
}

struct exit_row {
    char *code, *signal;
    double probability;
};

static int take_number(const struct yaml_reader *r, const struct yaml_node *at, const char *text,
                       int64_t least, int64_t most, int64_t *ret)
{
    if (fl_parse_i64(text, ret) < 0 || *ret < least || *ret > most)
        return yaml_bad(r, at, "'%s' must be a whole number from %lld to %lld", text,
                        (long long)least, (long long)most);
    return 0;
}

static int fill_exit(const struct yaml_reader *r, const struct yaml_node *v,
                     const struct exit_row *row, struct emu_exit *e)
{
    int64_t n = 0;
    int rc;

    if (!row->code == !row->signal)
        return yaml_bad(r, v, "an exit has either a 'code' or a 'signal'");
    rc = row->code ? take_number(r, v, row->code, 0, 255, &n)
                   : take_number(r, v, row->signal, 1, 64, &n);
    if (rc < 0)
        return rc;
    e->status = row->code ? (int)n << 8 : (int)n;
    e->probability = row->probability;
    return 0;
}

static int take_exit(const struct yaml_reader *r, const struct yaml_node *v, struct emu_exit *e)
{
    static const struct yaml_row rows[] = {
        {"code", yaml_take_text, offsetof(struct exit_row, code), false},
        {"signal", yaml_take_text, offsetof(struct exit_row, signal), false},
        {"probability", emu_probability_take, offsetof(struct exit_row, probability), true},
    };
    struct exit_row row = {0};
    int rc = yaml_map(r, v, "an exit", rows, ARRAY_SIZE(rows), &row);

    if (rc == 0)
        rc = fill_exit(r, v, &row, e);
    free(row.code);
    free(row.signal);
    return rc;
}

static int take_exits(const struct yaml_reader *r, const struct yaml_node *v, void *workload)
{
    struct emu_workload *w = workload;
    double sum = 0;

    if (v->kind != YAML_LIST || v->n > EMU_MAX_EXITS)
        return yaml_bad(r, v, "'exits' is a list of at most %d", EMU_MAX_EXITS);
    w->n_exits = 0;
    for (size_t i = 0; i < v->n; i++) {
        int rc = take_exit(r, v->items[i], &w->exits[i]);

        if (rc < 0)
            return rc;
        sum += w->exits[i].probability;
        w->n_exits++;
    }
    if (sum > 1 + 1e-9)
        return yaml_bad(r, v, "the probabilities of 'exits' add up to %g, over 1", sum);
    return 0;
}

int emu_workload_take(const struct yaml_reader *r, const struct yaml_node *v, void *workload)
{
    static const struct yaml_row rows[] = {
        {"start_delay", emu_time_take, offsetof(struct emu_workload, start_delay), false},
        {"duration", emu_time_take, offsetof(struct emu_workload, duration), false},
        {"kill_delay", emu_time_take, offsetof(struct emu_workload, kill_delay), false},
        {"exits", take_exits, 0, false},
    };

    return yaml_map(r, v, "'tasks'", rows, ARRAY_SIZE(rows), workload);
}

/* ---- one task ---- */

static int draw_exit(const struct emu_workload *w, struct emu_random *r)
{
    double at = emu_random_unit(r);

    for (size_t i = 0; i < w->n_exits; i++) {
        if (at < w->exits[i].probability)
            return w->exits[i].status;
        at -= w->exits[i].probability;
    }
    return 0;
}

static int take_label(const V1__Label *l, struct emu_random *r, struct emu_plan *p,
                      struct fl_err *err)
{
    const char *value = l->value ? l->value : "";
    struct emu_time t;
    uint64_t code;
    int rc;

    if (streq(l->key, "emulator.duration")) {
        rc = emu_time_parse(value, &t, err);
        if (rc < 0)
            return fl_err_wrap(err, "label 'emulator.duration'");
        p->run_us = emu_time_draw(&t, r);
    } else if (streq(l->key, "emulator.exit")) {
        if (fl_parse_u64(value, &code) < 0 || code > 255)
            return fl_err_set(err, FL_INVALID,
                              "label 'emulator.exit': '%s' is no exit code from 0 to 255", value);
        p->status = (int)code << 8;
    }
    return 0;
}

int emu_plan_make(const struct emu_workload *w, const V1__Labels *labels_or_null,
                  struct emu_random *r, struct emu_plan *ret, struct fl_err *err)
{
    struct emu_plan p = {
        .start_us = emu_time_draw(&w->start_delay, r),
        .run_us = emu_time_draw(&w->duration, r),
        .kill_us = emu_time_draw(&w->kill_delay, r),
        .status = draw_exit(w, r),
    };

    for (size_t i = 0; labels_or_null && i < labels_or_null->n_labels; i++) {
        int rc = take_label(labels_or_null->labels[i], r, &p, err);

        if (rc < 0)
            return rc;
    }
    *ret = p;
    return 0;
}
