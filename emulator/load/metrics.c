/* The master's own metrics: /metrics/snapshot is one object of names to numbers. See load.h. */
#include "common/base/json.h"
#include "emulator/load/load.h"

void load_metrics_parse(struct load_metrics *m, const char *text, size_t n)
{
    json_error_t e;
    json_t *root = json_loadb(text, n, 0, &e), *value;
    const char *key;

    load_metrics_done(m);
    json_object_foreach(root, key, value)
    {
        if (!json_is_number(value))
            continue;
        m->v = xgrow(m->v, &m->cap, m->n + 1, sizeof *m->v);
        m->v[m->n++] = (struct load_metric){xstrdup(key), json_number_value(value)};
    }
    json_decref(root);
}

void load_metrics_done(struct load_metrics *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->v[i].name);
    free(m->v);
    *m = (struct load_metrics){0};
}

const double *load_metrics_get(const struct load_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (streq(m->v[i].name, name))
            return &m->v[i].value;
    }
    return NULL;
}
