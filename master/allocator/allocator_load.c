/* Finds allocators: the built-in table, and modules in shared objects. The only file of this folder that touches the system
 * (dlopen, at start-up). */
#include <dlfcn.h>

#include "master/allocator/allocator_priv.h"

#include "common/model/intern.h"
#include "common/model/roles.h"

/* A program takes from the archive only the files that it uses. These belong to what modules were promised, so
 * one function of each such file is used here. */
typedef void any_f(void);
__attribute__((used)) static any_f *const promised[] = {
#define PROMISE(fn) (any_f *)fn
    PROMISE(resources_add),
    PROMISE(resources_from_pb),
    PROMISE(resources_parse),
    PROMISE(resources_json_full),
    PROMISE(resources_unreserved),
    PROMISE(resources_apply_operation),
    PROMISE(attributes_parse),
    PROMISE(offer_constraints_new),
    PROMISE(role_validate),
    PROMISE(intern),
    PROMISE(fl_buf_add),
    PROMISE(fl_arena_new),
    PROMISE(fl_pb_dup),
    PROMISE(xmalloc),
    PROMISE(fl_err_set),
#undef PROMISE
};

#define MODULE_SYMBOL "fairlead_allocator_module"

static const struct allocator_ops *const builtins[] = {
    &allocator_hierarchical_drf,
};

const struct allocator_ops *allocator_builtin(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
        if (streq(builtins[i]->name, name))
            return builtins[i];
    return NULL;
}

static const char *missing_hook(const struct allocator_ops *o)
{
    const struct {
        const char *name;
        bool there;
    } hooks[] = {
#define HOOK(h) {#h, o->h != NULL}
        HOOK(create),        HOOK(destroy),          HOOK(run),
        HOOK(add_framework), HOOK(remove_framework), HOOK(update_framework),
        HOOK(add_agent),     HOOK(remove_agent),     HOOK(update_agent),
        HOOK(set_whitelist), HOOK(set_agent_active), HOOK(set_framework_active),
        HOOK(recover),       HOOK(add_used),         HOOK(transition_to_used),
        HOOK(suppress),      HOOK(revive),           HOOK(update_allocation),
        HOOK(set_weight),    HOOK(set_paused),
#undef HOOK
    };

    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
        if (!hooks[i].there)
            return hooks[i].name;
    return NULL;
}

/* The version first: nothing behind it means anything until it is known. */
static int check(const struct allocator_module *m, const char *so_path, const char *name,
                 struct fl_err *err)
{
    const char *hook;

    if (m->abi != ALLOCATOR_ABI)
        return fl_err_set(err, FL_INVALID,
                          "allocator module '%s' was built for version %u of the interface, this "
                          "program has version %u: build the module again",
                          so_path, m->abi, ALLOCATOR_ABI);
    if (!m->ops || m->ops->abi != ALLOCATOR_ABI || !m->ops->name)
        return fl_err_set(err, FL_INVALID, "allocator module '%s' has no operations of version %u",
                          so_path, ALLOCATOR_ABI);
    hook = missing_hook(m->ops);
    if (hook)
        return fl_err_set(err, FL_INVALID, "allocator module '%s' lacks the required hook '%s'",
                          so_path, hook);
    if (name && !streq(name, m->ops->name))
        return fl_err_set(err, FL_NOT_FOUND, "allocator module '%s' is '%s', not '%s'", so_path,
                          m->ops->name, name);
    return 0;
}

int allocator_load(const char *so_path, const char *name, const struct allocator_ops **ret_ops,
                   struct fl_err *err)
{
    const struct allocator_module *m;
    void *so = dlopen(so_path, RTLD_NOW | RTLD_LOCAL);
    int r;

    if (!so)
        return fl_err_set(err, FL_INVALID, "load allocator module '%s': %s", so_path, dlerror());
    m = dlsym(so, MODULE_SYMBOL);
    if (!m) {
        dlclose(so);
        return fl_err_set(err, FL_INVALID, "'%s' is no allocator module: it exports no '%s'",
                          so_path, MODULE_SYMBOL);
    }
    r = check(m, so_path, name, err);
    if (r < 0) {
        dlclose(so);
        return r;
    }
    *ret_ops = m->ops;
    return 0;
}
