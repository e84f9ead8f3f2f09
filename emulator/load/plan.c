/* See plan.h. */
#include "emulator/load/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>

#include "common/base/buf.h"
#include "common/base/flags.h"

#define MAX_FRAMEWORKS 20000
#define MAX_TASKS      100000000ull

/* ---- arrival ---- */

uint64_t load_arrival_next(const struct load_arrival *a, uint64_t at_us, struct emu_random *r)
{
    switch (a->kind) {
    case LOAD_AT_ONCE:
        break;
    case LOAD_EVERY:
        return at_us + a->every_us;
    case LOAD_POISSON:
        return at_us + (uint64_t)(-log(1 - emu_random_unit(r)) * 1e6 / a->per_second);
    }
    return at_us;
}

static int parse_rate(const char *text, double *ret)
{
    _cleanup_free_ char *copy = xstrdup(text);

    if (!str_ends(copy, "/s"))
        return -EINVAL;
    copy[strlen(copy) - 2] = '\0';
    if (fl_parse_f64(copy, ret) < 0 || !(*ret > 0) || *ret > 1e6)
        return -EINVAL;
    return 0;
}

int load_arrival_parse(const char *text, struct load_arrival *ret, struct fl_err *err)
{
    struct load_arrival a = {LOAD_AT_ONCE, 0, 0};

    if (streq(text, "at once")) {
        *ret = a;
        return 0;
    }
    if (str_starts(text, "every ")) {
        int rc = fl_duration_parse(text + 6, &a.every_us, err);

        if (rc < 0)
            return rc;
        a.kind = LOAD_EVERY;
        *ret = a;
        return 0;
    }
    if (str_starts(text, "poisson ") && parse_rate(text + 8, &a.per_second) == 0) {
        a.kind = LOAD_POISSON;
        *ret = a;
        return 0;
    }
    return fl_err_set(err, FL_INVALID,
                      "'%s' is no arrival; write 'at once', 'every 10ms' or 'poisson 20/s'", text);
}

static int take_arrival(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct fl_err e;

    if (v->kind != YAML_TEXT)
        return yaml_bad(r, v, "an arrival is wanted here, as 'at once' or 'every 10ms'");
    if (load_arrival_parse(v->text, into, &e) < 0)
        return yaml_bad(r, v, "%s", e.msg);
    return 0;
}

/* ---- words ---- */

struct word {
    const char *text;
    int value;
};

static int take_word(const struct yaml_reader *r, const struct yaml_node *v,
                     const struct word *words, size_t n, int *ret)
{
    _cleanup_buf_ struct fl_buf all = FL_BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        if (v->kind == YAML_TEXT && streq(v->text, words[i].text)) {
            *ret = words[i].value;
            return 0;
        }
        fl_buf_addf(&all, "%s%s", i ? ", " : "", words[i].text);
    }
    return yaml_bad(r, v, "one of these words is wanted here: %s", fl_buf_cstr(&all));
}

static int take_bool(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const struct word words[] = {{"true", true}, {"false", false}};
    int value, rc = take_word(r, v, words, ARRAY_SIZE(words), &value);

    if (rc == 0)
        *(bool *)into = value;
    return rc;
}

static int take_api(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const struct word words[] = {{"libframework", LOAD_LIBFRAMEWORK}, {"http", LOAD_HTTP}};
    int value, rc = take_word(r, v, words, ARRAY_SIZE(words), &value);

    if (rc == 0)
        *(enum load_api *)into = (enum load_api)value;
    return rc;
}

static int take_encoding(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const struct word words[] = {{"protobuf", LOAD_PROTOBUF}, {"json", LOAD_JSON}};
    int value, rc = take_word(r, v, words, ARRAY_SIZE(words), &value);

    if (rc == 0)
        *(enum load_encoding *)into = (enum load_encoding)value;
    return rc;
}

static int take_place(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const struct word words[] = {{"pack", LOAD_PACK}, {"spread", LOAD_SPREAD}};
    int value, rc = take_word(r, v, words, ARRAY_SIZE(words), &value);

    if (rc == 0)
        *(enum load_place *)into = (enum load_place)value;
    return rc;
}

/* ---- parts of an entry ---- */

static int take_span(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct fl_err e;

    if (v->kind != YAML_TEXT)
        return yaml_bad(r, v, "a time is wanted here, as '10secs'");
    if (fl_duration_parse(v->text, into, &e) < 0)
        return yaml_bad(r, v, "%s", e.msg);
    return 0;
}

static int take_need(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct load_need *need = into;

    if (v->kind != YAML_MAP || v->n == 0 || v->n > LOAD_MAX_SCALARS)
        return yaml_bad(r, v, "'resources' is a mapping of 1 to %d names to amounts",
                        LOAD_MAX_SCALARS);
    for (size_t i = 0; i < need->n; i++)
        free(need->v[i].name);
    need->n = 0;
    for (size_t i = 0; i < v->n; i++) {
        double amount;

        if (v->items[i]->kind != YAML_TEXT || fl_parse_f64(v->items[i]->text, &amount) < 0 ||
            !(amount > 0) || amount > 1e12)
            return yaml_bad(r, v->items[i], "'%s' needs an amount over 0", v->keys[i]);
        need->v[need->n++] = (struct load_scalar){xstrdup(v->keys[i]), amount};
    }
    return 0;
}

static int take_duration(const struct yaml_reader *r, const struct yaml_node *v, void *entry)
{
    struct load_entry *e = entry;
    struct emu_time t;
    int rc = emu_time_take(r, v, &t);

    if (rc < 0)
        return rc;
    e->ends = t.shape != EMU_FOREVER;
    return yaml_take_text(r, v, &e->duration);
}

static int take_gang(const struct yaml_reader *r, const struct yaml_node *v, void *entry)
{
    static const struct yaml_row rows[] = {
        {"same", yaml_take_text, offsetof(struct load_entry, gang_same), false},
        {"hold", take_span, offsetof(struct load_entry, gang_hold_us), false},
    };
    struct load_entry *e = entry;

    if (v->kind == YAML_TEXT)
        return take_bool(r, v, &e->gang);
    e->gang = true;
    return yaml_map(r, v, "'gang'", rows, ARRAY_SIZE(rows), e);
}

void load_gang_label(const struct load_entry *e, struct fl_buf *out)
{
    char hold[64];

    fl_buf_addf(out, "count=%llu unit=", (unsigned long long)e->tasks);
    for (size_t i = 0; i < e->need.n; i++)
        fl_buf_addf(out, "%s%s:%.12g", i ? ";" : "", e->need.v[i].name, e->need.v[i].amount);
    if (e->gang_same)
        fl_buf_addf(out, " same=%s", e->gang_same);
    if (e->gang_hold_us) {
        fl_duration_format(e->gang_hold_us, hold, sizeof hold);
        fl_buf_addf(out, " hold=%s", hold);
    }
}

/* ---- an entry ---- */

static const struct yaml_row entry_rows[] = {
    {"name", yaml_take_text, offsetof(struct load_entry, name), true},
    {"frameworks", yaml_take_count, offsetof(struct load_entry, frameworks), false},
    {"api", take_api, offsetof(struct load_entry, api), false},
    {"encoding", take_encoding, offsetof(struct load_entry, encoding), false},
    {"role", yaml_take_text, offsetof(struct load_entry, role), false},
    {"principal", yaml_take_text, offsetof(struct load_entry, principal), false},
    {"secret", yaml_take_text, offsetof(struct load_entry, secret), false},
    {"jobs", yaml_take_count, offsetof(struct load_entry, jobs), false},
    {"tasks", yaml_take_count, offsetof(struct load_entry, tasks), false},
    {"resources", take_need, offsetof(struct load_entry, need), false},
    {"arrival", take_arrival, offsetof(struct load_entry, arrival), false},
    {"duration", take_duration, 0, false},
    {"gang", take_gang, 0, false},
    {"parallel", yaml_take_count, offsetof(struct load_entry, parallel), false},
    {"per_offer", yaml_take_count, offsetof(struct load_entry, per_offer), false},
    {"hold", yaml_take_count, offsetof(struct load_entry, hold), false},
    {"place", take_place, offsetof(struct load_entry, place), false},
    {"keep", take_bool, offsetof(struct load_entry, keep), false},
    {"retry", take_bool, offsetof(struct load_entry, retry), false},
    {"checkpoint", take_bool, offsetof(struct load_entry, checkpoint), false},
    {"measure", take_bool, offsetof(struct load_entry, measure), false},
    {"refuse", take_span, offsetof(struct load_entry, refuse_us), false},
    {"start", take_span, offsetof(struct load_entry, start_us), false},
    {"after", yaml_take_text, offsetof(struct load_entry, after), false},
};

static void entry_defaults(struct load_entry *e, unsigned line)
{
    e->line = line;
    e->frameworks = e->jobs = e->tasks = 1;
    e->api = LOAD_LIBFRAMEWORK;
    e->refuse_us = 5000000;
    e->hold = UINT64_MAX;
    e->retry = e->checkpoint = true;
}

static int check_entry(const struct yaml_reader *r, const struct yaml_node *v, struct load_entry *e)
{
    if (e->frameworks == 0 || e->frameworks > MAX_FRAMEWORKS)
        return yaml_bad(r, v, "'%s' must have 1 to %d frameworks", e->name, MAX_FRAMEWORKS);
    if (e->tasks == 0 || e->jobs > MAX_TASKS || e->tasks > MAX_TASKS ||
        e->jobs * e->tasks > MAX_TASKS)
        return yaml_bad(r, v, "'%s' must have jobs of 1 or more tasks, and at most %llu in all",
                        e->name, MAX_TASKS);
    if (e->encoding == LOAD_JSON && e->api != LOAD_HTTP)
        return yaml_bad(r, v,
                        "'%s': libframework speaks protobuf; 'encoding: json' needs 'api: http'",
                        e->name);
    if (e->gang && (e->parallel || e->per_offer || e->keep))
        return yaml_bad(r, v,
                        "'%s': a gang is placed whole; 'parallel', 'per_offer' and 'keep' do "
                        "not go with it",
                        e->name);
    if (!e->principal != !e->secret)
        return yaml_bad(r, v, "'%s' needs both 'principal' and 'secret', or none", e->name);
    if (e->keep && !e->parallel && !e->duration)
        return yaml_bad(r, v, "'%s': 'keep' replaces ended tasks; say by 'duration' when they end",
                        e->name);
    if (e->need.n == 0) {
        e->need.v[e->need.n++] = (struct load_scalar){xstrdup("cpus"), 0.1};
        e->need.v[e->need.n++] = (struct load_scalar){xstrdup("mem"), 32};
    }
    if (e->hold == UINT64_MAX)
        e->hold = e->arrival.kind == LOAD_AT_ONCE && !e->parallel ? 0 : 4;
    return 0;
}

static const struct load_entry *find_entry(const struct load_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        if (streq(p->entries[i].name, name))
            return &p->entries[i];
    }
    return NULL;
}

static int take_entries(const struct yaml_reader *r, const struct yaml_node *v, struct load_plan *p)
{
    if (v->kind != YAML_LIST || v->n == 0 || v->n > LOAD_MAX_ENTRIES)
        return yaml_bad(r, v, "'workload' is a list of 1 to %d entries", LOAD_MAX_ENTRIES);
    p->entries = xcalloc(v->n, sizeof *p->entries);
    for (size_t i = 0; i < v->n; i++) {
        struct load_entry *e = &p->entries[i];
        int rc;

        p->n_entries++;
        entry_defaults(e, v->items[i]->line);
        rc = yaml_map(r, v->items[i], "an entry", entry_rows, ARRAY_SIZE(entry_rows), e);
        if (rc == 0)
            rc = check_entry(r, v->items[i], e);
        if (rc < 0)
            return rc;
        if (find_entry(p, e->name) != e)
            return yaml_bad(r, v->items[i], "there are two entries '%s'", e->name);
        /* Only what stands before: so nothing waits for itself. */
        if (e->after && (streq(e->after, e->name) || !find_entry(p, e->after)))
            return yaml_bad(r, v->items[i], "'after: %s' names no entry before '%s'", e->after,
                            e->name);
    }
    return 0;
}

/* ---- the file ---- */

static const struct yaml_node *key_of(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; map->kind == YAML_MAP && i < map->n; i++) {
        if (streq(map->keys[i], key))
            return map->items[i];
    }
    return NULL;
}

/* The other keys of the file are the cluster's (emulator/cluster.c checks them). */
int load_plan_parse(const char *name, const char *text, size_t n, struct load_plan **ret,
                    struct fl_err *err)
{
    _cleanup_(load_plan_freep) struct load_plan *p = xnew0(struct load_plan);
    _cleanup_(yaml_freep) struct yaml_node *root = NULL;
    const struct yaml_reader r = {name, err};
    const struct yaml_node *seed, *workload;
    int rc = yaml_parse(name, text, n, &root, err);

    if (rc < 0)
        return rc;
    p->seed = 1;
    seed = key_of(root, "seed");
    workload = key_of(root, "workload");
    if (!workload)
        return yaml_bad(&r, root, "the file has no list 'workload'");
    if (seed)
        rc = yaml_take_count(&r, seed, &p->seed);
    if (rc == 0)
        rc = take_entries(&r, workload, p);
    if (rc == 0)
        *ret = TAKE_PTR(p);
    return rc;
}

int load_plan_load(const char *path, struct load_plan **ret, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    int rc = yaml_read(path, &b, err);

    return rc < 0 ? rc : load_plan_parse(path, b.data, b.len, ret, err);
}

void load_plan_free(struct load_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_entries; i++) {
        struct load_entry *e = &p->entries[i];

        for (size_t k = 0; k < e->need.n; k++)
            free(e->need.v[k].name);
        free(e->name);
        free(e->role);
        free(e->principal);
        free(e->secret);
        free(e->duration);
        free(e->gang_same);
        free(e->after);
    }
    free(p->entries);
    free(p);
}
