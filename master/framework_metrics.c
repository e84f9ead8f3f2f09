/* What the master counts of each framework, told under master/frameworks/NAME/ID/ while the framework is known. Counting is an
 * addition in the framework itself: there may be thousands of frameworks, and each has some seventy numbers. */
#include "master/core.h"

#include <ctype.h>

#include "common/base/json.h"

void framework_count_state(struct framework *f, V1__TaskState state, int by)
{
    if ((size_t)state >= ARRAY_SIZE(f->counts.tasks))
        return;
    if (!task_state_is_terminal(state))
        f->counts.tasks[state] += (unsigned)by;
    else if (by > 0)
        f->counts.ended[state] += (unsigned)by;
}

void framework_count_call(struct framework *f, Sched__Call__Type type)
{
    if ((size_t)type < ARRAY_SIZE(f->counts.calls))
        f->counts.calls[type]++;
}

void framework_count_event(struct framework *f, Sched__Event__Type type)
{
    if ((size_t)type < ARRAY_SIZE(f->counts.events))
        f->counts.events[type]++;
}

void framework_count_operation(struct framework *f, V1__Offer__Operation__Type type)
{
    if ((size_t)type < ARRAY_SIZE(f->counts.operations))
        f->counts.operations[type]++;
}

/* ---- telling ---- */

struct telling {
    metric_tell_f *tell;
    void *to;
    struct fl_buf name; /* owned; begins with the framework's prefix */
    size_t prefix;
};

static void tell(struct telling *t, const char *dir, const char *name, double value)
{
    t->name.len = t->prefix;
    fl_buf_adds(&t->name, dir);
    for (; *name; name++)
        fl_buf_addc(&t->name, (char)tolower((unsigned char)*name));
    t->tell(fl_buf_cstr(&t->name), value, t->to);
}

/* One for each name of the enum; returns the sum. 0 is "UNKNOWN" in these enums. */
static uint64_t tell_each(struct telling *t, const char *dir, const ProtobufCEnumDescriptor *d,
                          const uint64_t *counts, size_t n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < d->n_values; i++) {
        int value = d->values[i].value;

        if (value <= 0 || (size_t)value >= n)
            continue;
        tell(t, dir, d->values[i].name, (double)counts[value]);
        sum += counts[value];
    }
    return sum;
}

static void tell_tasks(struct telling *t, const struct framework_counts *c)
{
    const ProtobufCEnumDescriptor *d = &v1__task_state__descriptor;

    for (unsigned i = 0; i < d->n_values; i++) {
        V1__TaskState state = (V1__TaskState)d->values[i].value;

        if ((size_t)state >= ARRAY_SIZE(c->tasks))
            continue;
        if (task_state_is_terminal(state))
            tell(t, "tasks/terminal/", d->values[i].name, (double)c->ended[state]);
        else
            tell(t, "tasks/active/", d->values[i].name, (double)c->tasks[state]);
    }
}

static bool is_suppressed(const struct framework *f, const char *role)
{
    for (size_t i = 0; i < f->n_suppressed; i++) {
        if (streq(f->suppressed[i], role))
            return true;
    }
    return false;
}

static void tell_framework(struct telling *t, const struct framework *f)
{
    const struct framework_counts *c = &f->counts;
    uint64_t sum;

    tell(t, "", "subscribed", f->connected);
    sum = tell_each(t, "calls/", &sched__call__type__descriptor, c->calls, ARRAY_SIZE(c->calls));
    tell(t, "", "calls", (double)sum);
    sum =
        tell_each(t, "events/", &sched__event__type__descriptor, c->events, ARRAY_SIZE(c->events));
    tell(t, "", "events", (double)sum);
    tell(t, "offers/", "sent", (double)c->sent);
    tell(t, "offers/", "accepted", (double)c->accepted);
    tell(t, "offers/", "declined", (double)c->declined);
    tell(t, "offers/", "rescinded", (double)c->rescinded);
    tell_tasks(t, c);
    sum = tell_each(t, "operations/", &v1__offer__operation__type__descriptor, c->operations,
                    ARRAY_SIZE(c->operations));
    tell(t, "", "operations", (double)sum);
    for (size_t i = 0; i < f->n_roles; i++) {
        t->name.len = t->prefix;
        fl_buf_addf(&t->name, "roles/%s/suppressed", f->roles[i]);
        t->tell(fl_buf_cstr(&t->name), is_suppressed(f, f->roles[i]), t->to);
    }
}

/* The characters that the reference encodes in a framework's name. */
static void put_encoded(struct fl_buf *out, const char *name)
{
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;

        if (c < 0x20 || c > 0x7f || strchr("$&+,/:;=?@ \"<>#%{}|\\^~[]`", c))
            fl_buf_addf(out, "%%%02X", c);
        else
            fl_buf_addc(out, (char)c);
    }
}

void frameworks_tell(const struct master *m, metric_tell_f *fn, void *to)
{
    struct telling t = {.tell = fn, .to = to};
    const struct framework *f;

    if (!m->flags->publish_per_framework_metrics)
        return;
    for (f = m->frameworks; f; f = f->hh.next) {
        fl_buf_clear(&t.name);
        fl_buf_adds(&t.name, "master/frameworks/");
        put_encoded(&t.name, f->info->name);
        fl_buf_addf(&t.name, "/%s/", f->id);
        t.prefix = t.name.len;
        tell_framework(&t, f);
    }
    fl_buf_done(&t.name);
}
