/* --allocator and --modules: the allocator by its name, from this program or from a shared object that the reference's JSON names:
 *   {"libraries":[{"file":"/path/lib.so","modules":[{"name":"org_example_FirstFit"}]}]}
 * (`"name":"x"` instead of "file" means libx.so of the loader's path). */
#include <jansson.h>

#include "common/base/json.h"
#include "master/shell.h"

/* The library that offers the module; owned text, or NULL. */
static char *library_of(const json_t *all, const char *module)
{
    const json_t *library, *m;
    size_t i, k;

    json_array_foreach(json_object_get(all, "libraries"), i, library)
    {
        const char *file = json_string_value(json_object_get(library, "file"));
        const char *name = json_string_value(json_object_get(library, "name"));
        json_array_foreach(json_object_get(library, "modules"), k, m)
        {
            if (!streq(json_string_value(json_object_get(m, "name")), module))
                continue;
            return file ? xstrdup(file) : name ? xasprintf("lib%s.so", name) : NULL;
        }
    }
    return NULL;
}

int shell_find_allocator(const char *allocator, const char *modules,
                         const struct allocator_ops **ret_ops, struct fl_err *err)
{
    /* "hierarchical" is the flag's word for the built-in one. */
    const char *name = streq(allocator, "hierarchical") ? "HierarchicalDRF" : allocator;
    const struct allocator_ops *built_in = allocator_builtin(name);
    _cleanup_free_ char *file = NULL;
    json_error_t why;
    json_t *all;

    if (built_in) {
        *ret_ops = built_in;
        return 0;
    }
    if (!modules)
        return fl_err_set(err, FL_INVALID,
                          "flag '--allocator=%s' names no built-in allocator; name its library in "
                          "--modules, or write "
                          "--allocator=hierarchical",
                          name);
    all = json_loads(modules, 0, &why);
    if (!all)
        return fl_err_set(err, FL_INVALID, "flag '--modules' is no JSON: %s", why.text);
    file = library_of(all, name);
    json_decref(all);
    if (!file)
        return fl_err_set(
            err, FL_INVALID,
            "flag '--modules' has no library with a module '%s', which --allocator names", name);
    return allocator_load(file, name, ret_ops, err);
}
