/* Built-in QoS controllers. Pure: what they ask for follows from their parameters and the usage they are shown.
 *
 * noop  kills nothing; what stands when no flag is given.
 * load  while the load average of 5 or of 15 minutes is above its threshold, every executor that holds something revocable must go.
 *       Parameters `load_threshold_5min`, `load_threshold_15min`; at least one of them.
 */
#include "agent/oversubscription.h"
#include "common/base/log.h"

static int noop_create(const struct module_parameters *p, void **ret_self, struct fl_err *err)
{
    *ret_self = NULL;
    return 0;
}

static int noop_correct(void *self, const struct oversub_usage *u, struct qos_corrections *out,
                        struct fl_err *err)
{
    return 0;
}

static void noop_destroy(void *self)
{
}

static const struct qos_ops noop = {
    .abi = OVERSUBSCRIPTION_ABI,
    .name = "noop",
    .create = noop_create,
    .correct = noop_correct,
    .destroy = noop_destroy,
};

/* ---- load ---- */

struct threshold {
    bool set;
    double value;
};
struct load {
    struct threshold over_5min, over_15min;
    bool too_high; /* said once a time */
};

static int read_threshold(const struct module_parameters *p, const char *key, struct threshold *out,
                          struct fl_err *err)
{
    const char *text = module_parameter(p, key);

    if (!text)
        return 0;
    if (fl_parse_f64(text, &out->value) < 0)
        return fl_err_set(err, FL_INVALID,
                          "parameter '%s' of the load controller is '%s': give a number", key,
                          text);
    out->set = true;
    return 0;
}

static int load_create(const struct module_parameters *p, void **ret_self, struct fl_err *err)
{
    struct load made = {0};
    int r = read_threshold(p, "load_threshold_5min", &made.over_5min, err);

    if (r == 0)
        r = read_threshold(p, "load_threshold_15min", &made.over_15min, err);
    if (r < 0)
        return r;
    if (!made.over_5min.set && !made.over_15min.set)
        return fl_err_set(err, FL_INVALID,
                          "the load controller needs the parameter 'load_threshold_5min' or "
                          "'load_threshold_15min' in --modules, or --qos_load_threshold_5min");
    *ret_self = xnew0(struct load);
    *(struct load *)*ret_self = made;
    return 0;
}

static bool is_over(const struct threshold *t, double load)
{
    return t->set && load > t->value;
}

static int load_correct(void *self, const struct oversub_usage *u, struct qos_corrections *out,
                        struct fl_err *err)
{
    struct load *l = self;
    bool was = l->too_high;

    if (!u->has_load)
        return fl_err_set(err, FL_UNAVAILABLE, "the load averages of this machine are not known");
    l->too_high = is_over(&l->over_5min, u->load_5min) || is_over(&l->over_15min, u->load_15min);
    if (l->too_high != was)
        log_info("Load averages %.2f (5 min) and %.2f (15 min) are %s the threshold", u->load_5min,
                 u->load_15min, l->too_high ? "above" : "below");
    for (size_t i = 0; l->too_high && i < u->n_executors; i++) {
        if (resources_has_revocable(&u->executors[i].allocated))
            qos_kill(out, &u->executors[i]);
    }
    return 0;
}

static void load_destroy(void *self)
{
    free(self);
}

static const struct qos_ops load = {
    .abi = OVERSUBSCRIPTION_ABI,
    .name = "org_apache_mesos_LoadQoSController",
    .create = load_create,
    .correct = load_correct,
    .destroy = load_destroy,
};

/* ---- by name ---- */

const struct qos_ops *qos_find(const char *name)
{
    static const struct {
        const char *name;
        const struct qos_ops *ops;
    } names[] = {
        {"noop", &noop},
        {"load", &load},
        {"org_apache_mesos_LoadQoSController", &load},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (streq(names[i].name, name))
            return names[i].ops;
    }
    return NULL;
}
