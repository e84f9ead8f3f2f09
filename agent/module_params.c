/* See module_params.h. Files of --modules_dir are taken in the order of their names. */
#include <jansson.h>

#include "agent/agent_priv.h"
#include "agent/module_params.h"

void module_parameters_set(struct module_parameters *p, const char *key, const char *value)
{
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof *p->items);
    p->items[p->n++] = (struct module_parameter){xstrdup(key), xstrdup(value)};
}

void module_parameters_done(struct module_parameters *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].key);
        free(p->items[i].value);
    }
    free(p->items);
    *p = (struct module_parameters){0};
}

const char *module_parameter(const struct module_parameters *p, const char *key)
{
    for (size_t i = p->n; i-- > 0;) {
        if (streq(p->items[i].key, key))
            return p->items[i].value;
    }
    return NULL;
}

bool module_has_name(const char *const *names, const char *name)
{
    while (name && *names && !streq(*names, name))
        names++;
    return name && *names;
}

static int take_module(const json_t *module, struct module_parameters *out, struct fl_err *err)
{
    const json_t *parameter;
    size_t i;

    json_array_foreach(json_object_get(module, "parameters"), i, parameter)
    {
        const char *key = json_string_value(json_object_get(parameter, "key"));
        const char *value = json_string_value(json_object_get(parameter, "value"));

        if (!key || !value)
            return fl_err_set(err, FL_INVALID,
                              "a parameter of module '%s' has no text as its key and value",
                              json_string_value(json_object_get(module, "name")));
        module_parameters_set(out, key, value);
    }
    return 0;
}

static int take_document(const char *text, const char *where, const char *const *names,
                         struct module_parameters *out, struct fl_err *err)
{
    const json_t *library, *module;
    json_error_t why;
    json_t *all = json_loads(text, 0, &why);
    size_t i, k;
    int r = 0;

    if (!all)
        return fl_err_set(err, FL_INVALID, "%s is no JSON: %s", where, why.text);
    json_array_foreach(json_object_get(all, "libraries"), i, library)
    {
        json_array_foreach(json_object_get(library, "modules"), k, module)
        {
            const char *name = json_string_value(json_object_get(module, "name"));

            if (r == 0 && module_has_name(names, name))
                r = take_module(module, out, err);
        }
    }
    json_decref(all);
    return r;
}

struct name_list {
    char **p;
    size_t n, cap;
};

static void add_name(const char *name, void *arg)
{
    struct name_list *l = arg;

    l->p = xgrow(l->p, &l->cap, l->n + 1, sizeof *l->p);
    l->p[l->n++] = xstrdup(name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_file(const struct module_source *src, const char *file, const char *const *names,
                     struct module_parameters *out, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", src->flags->modules_dir, file);
    _cleanup_free_ char *where = xasprintf("file '%s' of --modules_dir", path);
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    int r = src->io->read(src->ctx, path, &text, err);

    return r < 0 ? fl_err_wrap(err, "--modules_dir")
                 : take_document(fl_buf_cstr(&text), where, names, out, err);
}

static int take_directory(const struct module_source *src, const char *const *names,
                          struct module_parameters *out, struct fl_err *err)
{
    struct name_list files = {0};
    int r = src->io->list(src->ctx, src->flags->modules_dir, add_name, &files, err);

    if (r < 0)
        fl_err_wrap(err, "--modules_dir");
    if (files.n > 0)
        qsort(files.p, files.n, sizeof *files.p, by_text);
    for (size_t i = 0; i < files.n; i++) {
        if (r == 0)
            r = take_file(src, files.p[i], names, out, err);
        free(files.p[i]);
    }
    free(files.p);
    return r;
}

int module_parameters_read(const struct module_source *src, const char *const *names,
                           struct module_parameters *out, struct fl_err *err)
{
    if (src->flags->modules)
        return take_document(src->flags->modules, "flag '--modules'", names, out, err);
    return src->flags->modules_dir ? take_directory(src, names, out, err) : 0;
}
