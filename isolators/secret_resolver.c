/* See secret_resolver.h. */
#include "isolators/secret_resolver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MODULE   "fairlead_DirectorySecretResolver"
#define MAX_SIZE (1u << 20)

static bool is_ours(const char *name)
{
    return name && (streq(name, MODULE) || streq(name, "directory"));
}

/* The parameter `dir` of the module, NULL when it is not there. The caller's. */
static char *dir_of(const json_t *all)
{
    const json_t *library, *module, *parameter;
    const char *dir = NULL;
    size_t i, k, n;

    json_array_foreach(json_object_get(all, "libraries"), i, library)
    {
        json_array_foreach(json_object_get(library, "modules"), k, module)
        {
            if (!is_ours(json_string_value(json_object_get(module, "name"))))
                continue;
            json_array_foreach(json_object_get(module, "parameters"), n, parameter)
            {
                const char *key = json_string_value(json_object_get(parameter, "key"));
                if (key && streq(key, "dir"))
                    dir = json_string_value(json_object_get(parameter, "value"));
            }
        }
    }
    return dir ? xstrdup(dir) : NULL;
}

static char *dir_of_text(const char *text)
{
    json_t *all = json_loads(text, 0, NULL);
    char *dir = dir_of(all);

    json_decref(all);
    return dir;
}

/* The last file, in order of names, that says so. */
static char *dir_of_files(const char *modules_dir)
{
    struct dirent **names = NULL;
    char *dir = NULL;
    int n = scandir(modules_dir, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", modules_dir, names[i]->d_name);
        json_t *all = json_load_file(path, 0, NULL);
        char *found = dir_of(all);

        if (found) {
            free(dir);
            dir = found;
        }
        json_decref(all);
        free(names[i]);
    }
    free(names);
    return dir;
}

int secret_resolver_open(const struct isolator_config *config, struct secret_resolver *out,
                         struct fl_err *err)
{
    _cleanup_free_ char *dir = NULL;

    out->dir = -1;
    if (!config->secret_resolver)
        return 0;
    if (!is_ours(config->secret_resolver))
        return fl_err_set(err, FL_INVALID,
                          "there is no secret resolver '%s'; --secret_resolver can be " MODULE,
                          config->secret_resolver);
    if (config->modules)
        dir = dir_of_text(config->modules);
    else if (config->modules_dir)
        dir = dir_of_files(config->modules_dir);
    if (!dir)
        return fl_err_set(err, FL_INVALID,
                          "the secret resolver " MODULE
                          " needs the parameter 'dir' in --modules or --modules_dir");
    out->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->dir < 0)
        return fl_err_errno(err, errno, "open the folder of secrets '%s'", dir);
    return 0;
}

void secret_resolver_close(struct secret_resolver *r)
{
    if (r->dir >= 0)
        close(r->dir);
    r->dir = -1;
}

void secret_free(char *value, size_t n)
{
    if (value)
        explicit_bzero(value, n);
    free(value);
}

static int check(const V1__Secret *s, struct fl_err *err)
{
    bool reference = s->has_type && s->type == V1__SECRET__TYPE__REFERENCE,
         value = s->has_type && s->type == V1__SECRET__TYPE__VALUE;

    if (reference && !s->reference)
        return fl_err_set(err, FL_INVALID,
                          "Secret of type REFERENCE must have the 'reference' field set");
    if (reference && s->value)
        return fl_err_set(err, FL_INVALID,
                          "Secret '%s' of type REFERENCE must not have the 'value' field set",
                          s->reference->name);
    if (value && !s->value)
        return fl_err_set(err, FL_INVALID, "Secret of type VALUE must have the 'value' field set");
    if (value && s->reference)
        return fl_err_set(err, FL_INVALID,
                          "Secret of type VALUE must not have the 'reference' field set");
    return 0;
}

/* The name of one entry of a folder. */
static bool is_name(const char *name)
{
    return *name && !strchr(name, '/') && !streq(name, ".") && !streq(name, "..");
}

/* A plain file below the folder; links may lead from one place in it to another. */
static int open_secret(int dir, const char *path, struct stat *st)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    int r = fd < 0 || fstat(fd, st) < 0 ? -errno
            : !S_ISREG(st->st_mode)     ? -EINVAL
            : st->st_size > MAX_SIZE    ? -EFBIG
                                        : 0;

    if (r == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return r;
}

static int read_secret(int dir, const char *path, char **ret, size_t *ret_n)
{
    struct stat st;
    _cleanup_close_ int fd = open_secret(dir, path, &st);

    if (fd < 0)
        return fd;
    size_t size = (size_t)st.st_size, n = 0;
    char *value = xcalloc(1, size + 1);
    for (ssize_t got = 1; got > 0 && n < size; n += (size_t)got) {
        got = read(fd, value + n, size - n);
        if (got < 0) {
            int r = -errno;
            secret_free(value, n);
            return r;
        }
    }
    *ret = value;
    *ret_n = n;
    return 0;
}

int secret_resolve(const struct secret_resolver *resolver, const V1__Secret *s, char **ret,
                   size_t *ret_n, struct fl_err *err)
{
    int r = check(s, err);

    if (r < 0)
        return r;
    if (s->reference && resolver->dir < 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Default secret resolver cannot resolve references; start the agent with "
                          "--secret_resolver");
    if (s->reference) {
        const char *name = s->reference->name, *key = s->reference->key;
        if (!is_name(name) || (key && !is_name(key)))
            return fl_err_set(err, FL_INVALID, "'%s' cannot be the name of a secret", name);
        _cleanup_free_ char *path = key ? xasprintf("%s/%s", name, key) : xstrdup(name);
        r = read_secret(resolver->dir, path, ret, ret_n);
        return r < 0 ? fl_err_errno(err, -r, "read the secret '%s'", path) : 0;
    }
    if (!s->value)
        return fl_err_set(err, FL_INVALID, "Secret has no value");
    *ret_n = s->value->data.len;
    *ret = xcalloc(1, *ret_n + 1);
    if (*ret_n)
        memcpy(*ret, s->value->data.data, *ret_n);
    return 0;
}

int secret_isolator_new(const struct isolator_ops *ops, const struct isolator_config *config,
                        struct isolator **ret, struct fl_err *err)
{
    struct secret_isolator *x = xnew0(struct secret_isolator);
    int r = secret_resolver_open(config, &x->resolver, err);

    if (r < 0) {
        free(x);
        return r;
    }
    x->base.base.ops = ops;
    x->base.config = config;
    *ret = &x->base.base;
    return 0;
}

void secret_isolator_free(struct isolator *i)
{
    secret_resolver_close(&((struct secret_isolator *)i)->resolver);
    free(i);
}
