/* See conf.h. */
#include "isolators/cni/conf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "common/base/json.h"
#include "isolators/cni/state.h"

#define RESERVED "org.apache.mesos"

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

const char *cni_conf_name(const json_t *conf)
{
    return text_of(conf, "name");
}

static json_t *plugin_at(const json_t *conf, size_t i)
{
    json_t *list = json_object_get(conf, "plugins");

    return list ? json_array_get(list, i) : (json_t *)(uintptr_t)conf;
}

size_t cni_conf_plugins(const json_t *conf)
{
    const json_t *list = json_object_get(conf, "plugins");

    return list ? json_array_size(list) : 1;
}

const char *cni_conf_type(const json_t *conf, size_t i)
{
    return text_of(plugin_at(conf, i), "type");
}

/* The number at *p; stops behind it. */
static unsigned take_number(const char **p)
{
    unsigned v = 0;

    for (; **p >= '0' && **p <= '9' && v < 10000; ++*p)
        v = v * 10 + (unsigned)(**p - '0');
    return v;
}

bool cni_conf_version_is(const json_t *conf, unsigned major, unsigned minor)
{
    const char *text = text_of(conf, "cniVersion");
    unsigned a = 0, b = 1;

    if (text) {
        a = take_number(&text);
        text += *text == '.';
        b = take_number(&text);
    }
    return a > major || (a == major && b >= minor);
}

/* One component of a path that is neither hidden nor a way up. */
static bool is_name(const char *s)
{
    return s && *s && *s != '.' && strlen(s) <= NAME_MAX && !strchr(s, '/');
}

static int check(const json_t *conf, struct fl_err *err)
{
    const json_t *list = json_object_get(conf, "plugins");

    if (!json_is_object(conf))
        return fl_err_set(err, FL_INVALID, "a network configuration must be a JSON object");
    if (!is_name(cni_conf_name(conf)))
        return fl_err_set(err, FL_INVALID,
                          "'name' is missing or is not one that a folder can have");
    if (list && (!json_is_array(list) || json_array_size(list) == 0))
        return fl_err_set(err, FL_INVALID, "'plugins' must be a list with at least one plug-in");
    for (size_t i = 0; i < cni_conf_plugins(conf); i++)
        if (!is_name(cni_conf_type(conf, i)))
            return fl_err_set(err, FL_INVALID,
                              "'type' of plug-in %zu is missing or is not the name of a program",
                              i + 1);
    return 0;
}

int cni_conf_parse(const char *text, size_t len, json_t **ret, struct fl_err *err)
{
    json_error_t why;
    _cleanup_json_ json_t *conf = json_loadb(text, len, 0, &why);

    if (!conf)
        return fl_err_set(err, FL_INVALID, "line %d: %s", why.line, why.text);
    int r = check(conf, err);
    if (r == 0)
        *ret = TAKE_PTR(conf);
    return r;
}

/* ---- what a container asks for ---- */

static json_t *info_json(const V1__NetworkInfo *info)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_json_from_pb(&b, &info->base, FL_JSON_DEFAULTS);
    return json_loadb(b.data, b.len, 0, NULL);
}

static json_t *port_mappings(const V1__NetworkInfo *info)
{
    json_t *list = json_pack("[]");

    for (size_t i = 0; i < info->n_port_mappings; i++) {
        const V1__NetworkInfo__PortMapping *m = info->port_mappings[i];
        char protocol[16];
        fl_snprintf(protocol, sizeof(protocol), "%s", m->protocol ? m->protocol : "tcp");
        for (char *p = protocol; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        json_array_append_new(list, json_pack("{s:I, s:I, s:s}", "hostPort",
                                              (json_int_t)m->host_port, "containerPort",
                                              (json_int_t)m->container_port, "protocol", protocol));
    }
    return list;
}

/* The object at that key, made if need be; borrowed. */
static json_t *object_in(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);

    if (!json_is_object(v)) {
        v = json_pack("{}");
        json_object_set_new(o, key, v);
    }
    return v;
}

static int bind_one(json_t *plugin, const V1__NetworkInfo *info, struct fl_err *err)
{
    const json_t *given = json_object_get(plugin, "args");

    if (given && !json_is_object(given))
        return fl_err_set(err, FL_INVALID, "Invalid 'args' found in CNI network configuration");
    json_t *args = object_in(plugin, "args");
    if (json_object_get(args, RESERVED))
        return fl_err_set(err, FL_INVALID,
                          "'" RESERVED "' in 'args' should not be set in CNI network configuration "
                          "file. It is reserved by Mesos");
    json_object_set_new(args, RESERVED, json_pack("{s:o}", "network_info", info_json(info)));
    if (json_is_true(json_object_get(json_object_get(plugin, "capabilities"), "portMappings")) &&
        info->n_port_mappings > 0)
        json_object_set_new(object_in(plugin, "runtimeConfig"), "portMappings",
                            port_mappings(info));
    return 0;
}

int cni_conf_bind(json_t *conf, const V1__NetworkInfo *info, struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < cni_conf_plugins(conf) && r == 0; i++)
        r = bind_one(plugin_at(conf, i), info, err);
    return r;
}

V1__NetworkInfo *cni_conf_bound(const json_t *conf)
{
    const json_t *args = json_object_get(plugin_at(conf, 0), "args");
    const json_t *info = json_object_get(json_object_get(args, RESERVED), "network_info");
    ProtobufCMessage *m = NULL;

    if (!info || fl_json_value_to_pb(info, &v1__network_info__descriptor, 0, NULL, &m, NULL) < 0)
        return NULL;
    return (V1__NetworkInfo *)m;
}

char *cni_conf_request(const json_t *conf, size_t i, json_t *prev)
{
    _cleanup_json_ json_t *request = json_copy(plugin_at(conf, i));
    json_t *version = json_object_get(conf, "cniVersion");

    json_object_set(request, "name", json_object_get(conf, "name"));
    if (version)
        json_object_set(request, "cniVersion", version);
    if (json_object_get(conf, "plugins"))
        json_object_del(request, "capabilities"); /* for us, says the specification */
    if (prev)
        json_object_set(request, "prevResult", prev);
    return json_dumps(request, JSON_COMPACT);
}

/* ---- programs ---- */

static char *program_in(const char *dir, size_t n, const char *name)
{
    char *path = xasprintf("%.*s/%s", (int)n, dir, name);
    struct stat st;

    if (n > 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* Beside this program, or in the libexec of where it is installed. */
static char *find_own(const char *launcher_dir, const char *name)
{
    char self[PATH_MAX];

    if (launcher_dir)
        return program_in(launcher_dir, strlen(launcher_dir), name);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    while (n > 0 && self[n - 1] != '/')
        n--;
    self[n] = '\0';
    char *path = program_in(self, (size_t)n, name);
    if (path)
        return path;
    _cleanup_free_ char *libexec = xasprintf("%s../libexec/fairlead", self);
    return program_in(libexec, strlen(libexec), name);
}

char *cni_plugin_find(const char *dirs, const char *launcher_dir, const char *type)
{
    for (const char *p = dirs; p && *p;) {
        size_t n = strcspn(p, ":");
        char *path = program_in(p, n, type);
        if (path)
            return path;
        p += n + (p[n] == ':');
    }
    return streq(type, "mesos-cni-port-mapper") ? find_own(launcher_dir, "fairlead-cni-port-mapper")
                                                : NULL;
}
