/* ContainerInfo.docker.parameters: options of `docker run` by name, as frameworks have always given them, each a field of the Engine's
 * API. Docker's program would take any; here the table says which, and what is not in it is refused with a message. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "agent/docker/create.h"

enum kind {
    TEXT,    /* the field is the value */
    NUMBER,  /* a whole number */
    BYTES,   /* "64m" */
    SWITCH,  /* "true", "false" or "" */
    LIST,    /* appended to the field */
    PAIR,    /* "key=value" into the field */
    PATH,    /* "path:options" into the field */
    CPUS,    /* "1.5" as 10^-9 of a processor */
    WORDS,   /* the field is a list of this one */
    ULIMIT,  /* "nofile=1024:2048" */
    DEVICE,  /* "/dev/a:/dev/b:rwm" */
    GPUS,    /* "all" or a number */
    PUBLISH, /* "8080:80/tcp" */
    EXPOSE,  /* "80/tcp" */
    ADDRESS, /* of the container in its network */
    ALIAS,   /* its name there */
    NO_CHECK,
    IGNORED, /* what the agent does anyway */
};
struct option {
    const char *key;
    enum kind kind;
    bool host; /* a field of HostConfig */
    const char *field;
};

static const struct option options[] = {
    {"add-host", LIST, true, "ExtraHosts"},
    {"blkio-weight", NUMBER, true, "BlkioWeight"},
    {"cap-add", LIST, true, "CapAdd"},
    {"cap-drop", LIST, true, "CapDrop"},
    {"cgroup-parent", TEXT, true, "CgroupParent"},
    {"cgroupns", TEXT, true, "CgroupnsMode"},
    {"cpu-period", NUMBER, true, "CpuPeriod"},
    {"cpu-quota", NUMBER, true, "CpuQuota"},
    {"cpu-rt-period", NUMBER, true, "CpuRealtimePeriod"},
    {"cpu-rt-runtime", NUMBER, true, "CpuRealtimeRuntime"},
    {"cpu-shares", NUMBER, true, "CpuShares"},
    {"c", NUMBER, true, "CpuShares"},
    {"cpus", CPUS, true, "NanoCpus"},
    {"cpuset-cpus", TEXT, true, "CpusetCpus"},
    {"cpuset-mems", TEXT, true, "CpusetMems"},
    {"device", DEVICE, true, "Devices"},
    {"device-cgroup-rule", LIST, true, "DeviceCgroupRules"},
    {"dns", LIST, true, "Dns"},
    {"dns-opt", LIST, true, "DnsOptions"},
    {"dns-option", LIST, true, "DnsOptions"},
    {"dns-search", LIST, true, "DnsSearch"},
    {"domainname", TEXT, false, "Domainname"},
    {"entrypoint", WORDS, false, "Entrypoint"},
    {"env", LIST, false, "Env"},
    {"e", LIST, false, "Env"},
    {"expose", EXPOSE, false, "ExposedPorts"},
    {"gpus", GPUS, true, "DeviceRequests"},
    {"group-add", LIST, true, "GroupAdd"},
    {"hostname", TEXT, false, "Hostname"},
    {"h", TEXT, false, "Hostname"},
    {"init", SWITCH, true, "Init"},
    {"ip", ADDRESS, false, "IPv4Address"},
    {"ip6", ADDRESS, false, "IPv6Address"},
    {"ipc", TEXT, true, "IpcMode"},
    {"label", PAIR, false, "Labels"},
    {"l", PAIR, false, "Labels"},
    {"link", LIST, true, "Links"},
    {"log-driver", TEXT, true, "LogConfig.Type"},
    {"log-opt", PAIR, true, "LogConfig.Config"},
    {"mac-address", TEXT, false, "MacAddress"},
    {"memory", BYTES, true, "Memory"},
    {"m", BYTES, true, "Memory"},
    {"memory-reservation", BYTES, true, "MemoryReservation"},
    {"memory-swap", BYTES, true, "MemorySwap"},
    {"memory-swappiness", NUMBER, true, "MemorySwappiness"},
    {"net-alias", ALIAS, false, "Aliases"},
    {"network-alias", ALIAS, false, "Aliases"},
    {"no-healthcheck", NO_CHECK, false, "Healthcheck"},
    {"oom-kill-disable", SWITCH, true, "OomKillDisable"},
    {"oom-score-adj", NUMBER, true, "OomScoreAdj"},
    {"pid", TEXT, true, "PidMode"},
    {"pids-limit", NUMBER, true, "PidsLimit"},
    {"privileged", SWITCH, true, "Privileged"},
    {"publish", PUBLISH, true, "PortBindings"},
    {"p", PUBLISH, true, "PortBindings"},
    {"publish-all", SWITCH, true, "PublishAllPorts"},
    {"P", SWITCH, true, "PublishAllPorts"},
    {"read-only", SWITCH, true, "ReadonlyRootfs"},
    {"rm", IGNORED, false, NULL},
    {"runtime", TEXT, true, "Runtime"},
    {"security-opt", LIST, true, "SecurityOpt"},
    {"shm-size", BYTES, true, "ShmSize"},
    {"stop-signal", TEXT, false, "StopSignal"},
    {"stop-timeout", NUMBER, false, "StopTimeout"},
    {"storage-opt", PAIR, true, "StorageOpt"},
    {"sysctl", PAIR, true, "Sysctls"},
    {"tmpfs", PATH, true, "Tmpfs"},
    {"ulimit", ULIMIT, true, "Ulimits"},
    {"user", TEXT, false, "User"},
    {"u", TEXT, false, "User"},
    {"userns", TEXT, true, "UsernsMode"},
    {"uts", TEXT, true, "UTSMode"},
    {"volume", LIST, true, "Binds"},
    {"v", LIST, true, "Binds"},
    {"volume-driver", TEXT, true, "VolumeDriver"},
    {"volumes-from", LIST, true, "VolumesFrom"},
    {"workdir", TEXT, false, "WorkingDir"},
    {"w", TEXT, false, "WorkingDir"},
};

static json_t *get_or_new(json_t *in, const char *name, json_t *(*make)(void))
{
    json_t *v = json_object_get(in, name);

    if (!v) {
        v = make();
        json_object_set_new(in, name, v);
    }
    return v;
}

void docker_append(json_t *host, const char *name, const char *text)
{
    json_array_append_new(get_or_new(host, name, docker_json_array), docker_json_text(text));
}

void docker_set_in(json_t *host, const char *name, const char *key, const char *text)
{
    json_object_set_new(get_or_new(host, name, docker_json_object), key, docker_json_text(text));
}

/* "LogConfig.Type": the object, made where it is missing, and *field its member. */
static json_t *owner_of(json_t *in, const char **field)
{
    const char *dot = strchr(*field, '.');

    if (!dot)
        return in;
    _cleanup_free_ char *outer = xstrndup(*field, (size_t)(dot - *field));
    *field = dot + 1;
    return get_or_new(in, outer, docker_json_object);
}

static int bad(struct fl_err *err, const char *key, const char *value, const char *wants)
{
    return fl_err_set(err, FL_INVALID,
                      "parameter '%s' of the Docker container has the value '%s', but %s", key,
                      value, wants);
}

static int put_number(json_t *in, const struct option *o, const char *field, const char *value,
                      struct fl_err *err)
{
    int64_t v;

    if (fl_parse_i64(value, &v) < 0)
        return bad(err, o->key, value, "needs a whole number");
    json_object_set_new(in, field, json_integer(v));
    return 0;
}

/* Docker's units: b, k, m, g, t with an optional 'b' or "ib" after; -1 is for itself. */
static int put_bytes(json_t *in, const struct option *o, const char *value, struct fl_err *err)
{
    static const char units[] = "bkmgt";
    size_t n = strspn(value, "-0123456789.");
    _cleanup_free_ char *number = xstrndup(value, n);
    const char *unit = value[n] ? strchr(units, tolower((unsigned char)value[n])) : units;
    const char *rest = value[n] ? value + n + 1 : "";
    double v;

    if (!unit || fl_parse_f64(number, &v) < 0 || v < -1 || v > 1e15 ||
        !(streq(rest, "") || strcasecmp(rest, "b") == 0 || strcasecmp(rest, "ib") == 0))
        return bad(err, o->key, value, "needs an amount like 64m");
    for (; unit > units; unit--)
        v *= 1024;
    json_object_set_new(in, o->field, json_integer((json_int_t)v));
    return 0;
}

static int put_switch(json_t *in, const struct option *o, const char *value, struct fl_err *err)
{
    bool on = !*value || streq(value, "true") || streq(value, "1");

    if (!on && !streq(value, "false") && !streq(value, "0"))
        return bad(err, o->key, value, "needs true or false");
    json_object_set_new(in, o->field, json_boolean(on));
    return 0;
}

/* Without the separator the whole value is the key. */
static void put_pair(json_t *in, const char *field, char separator, const char *value)
{
    const char *at = strchr(value, separator);
    _cleanup_free_ char *key = at ? xstrndup(value, (size_t)(at - value)) : xstrdup(value);

    docker_set_in(in, field, key, at ? at + 1 : "");
}

static int put_ulimit(json_t *host, const struct option *o, const char *value, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(value);
    char *soft = strchr(copy, '='), *hard = soft ? strchr(soft, ':') : NULL;
    int64_t s, h;

    if (soft)
        *soft++ = '\0';
    if (hard)
        *hard++ = '\0';
    if (!soft || fl_parse_i64(soft, &s) < 0 || fl_parse_i64(hard ? hard : soft, &h) < 0)
        return bad(err, o->key, value, "needs a limit like nofile=1024:2048");
    json_array_append_new(
        get_or_new(host, o->field, docker_json_array),
        json_pack("{s:s, s:I, s:I}", "Name", copy, "Soft", (json_int_t)s, "Hard", (json_int_t)h));
    return 0;
}

/* Docker's own rule: what follows the last ':' is the access if it is made of r, w and m alone. */
static int put_device(json_t *host, const struct option *o, const char *value, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(value);
    char *second = strchr(copy, ':'), *third = NULL;
    const char *access = "rwm";

    if (second)
        *second++ = '\0';
    if (second && (third = strchr(second, ':')))
        *third++ = '\0';
    if (third) {
        access = third;
    } else if (second && *second && second[strspn(second, "rwm")] == '\0') {
        access = second;
        second = NULL;
    }
    if (copy[0] != '/' || access[strspn(access, "rwm")] != '\0')
        return bad(err, o->key, value, "needs a device like /dev/a:/dev/b:rwm");
    json_array_append_new(get_or_new(host, o->field, docker_json_array),
                          json_pack("{s:s, s:s, s:s}", "PathOnHost", copy, "PathInContainer",
                                    second ? second : copy, "CgroupPermissions", access));
    return 0;
}

static int put_gpus(json_t *host, const struct option *o, const char *value, struct fl_err *err)
{
    int64_t n = -1;

    if (!streq(value, "all") && (fl_parse_i64(value, &n) < 0 || n < 0))
        return bad(err, o->key, value, "needs a number or 'all'");
    json_array_append_new(
        get_or_new(host, o->field, docker_json_array),
        json_pack("{s:I, s:[[s]]}", "Count", (json_int_t)n, "Capabilities", "gpu"));
    return 0;
}

static int put_cpus(json_t *host, const struct option *o, const char *value, struct fl_err *err)
{
    double v;

    if (fl_parse_f64(value, &v) < 0 || v < 0 || v > 1e6)
        return bad(err, o->key, value, "needs a number of processors");
    json_object_set_new(host, o->field, json_integer((json_int_t)(v * 1e9)));
    return 0;
}

/* ---- ports and networks ---- */

void docker_port_put(json_t *body, const char *host_ip, const char *host_port,
                     const char *container_port, const char *protocol)
{
    _cleanup_free_ char *key =
        xasprintf("%s/%s", container_port, protocol && *protocol ? protocol : "tcp");
    json_t *host = json_object_get(body, "HostConfig");

    for (char *p = strchr(key, '/'); *p; p++)
        *p = (char)tolower((unsigned char)*p);
    json_object_set_new(get_or_new(body, "ExposedPorts", docker_json_object), key,
                        docker_json_object());
    json_array_append_new(
        get_or_new(get_or_new(host, "PortBindings", docker_json_object), key, docker_json_array),
        json_pack("{s:s, s:s}", "HostIp", host_ip, "HostPort", host_port));
}

static int put_published(json_t *body, const struct option *o, const char *value,
                         struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(value);
    char *protocol = strchr(copy, '/');
    uint64_t port;

    if (protocol)
        *protocol++ = '\0';
    char *inner = strrchr(copy, ':');
    if (inner)
        *inner++ = '\0';
    char *outer = inner ? strrchr(copy, ':') : NULL;
    if (outer)
        *outer++ = '\0';
    const char *host_port = outer ? outer : inner ? copy : "";
    if (fl_parse_u64(inner ? inner : copy, &port) < 0 || port == 0 || port > UINT16_MAX ||
        (*host_port && (fl_parse_u64(host_port, &port) < 0 || port > UINT16_MAX)))
        return bad(err, o->key, value, "needs ports like 8080:80/tcp, one each");
    docker_port_put(body, outer ? copy : "", host_port, inner ? inner : copy, protocol);
    return 0;
}

/* How it is in the network of HostConfig.NetworkMode, which is there by now. */
static json_t *endpoint(json_t *body)
{
    const char *mode =
        json_string_value(json_object_get(json_object_get(body, "HostConfig"), "NetworkMode"));
    json_t *networking = get_or_new(body, "NetworkingConfig", docker_json_object);

    return get_or_new(get_or_new(networking, "EndpointsConfig", docker_json_object),
                      mode ? mode : "bridge", docker_json_object);
}

static void put_exposed(json_t *body, const struct option *o, const char *value)
{
    _cleanup_free_ char *key = strchr(value, '/') ? xstrdup(value) : xasprintf("%s/tcp", value);

    json_object_set_new(get_or_new(body, o->field, docker_json_object), key, docker_json_object());
}

/* ---- all of them ---- */

static int put(json_t *body, const struct option *o, const char *value, struct fl_err *err)
{
    const char *field = o->field;
    json_t *in = o->host ? json_object_get(body, "HostConfig") : body;

    switch (o->kind) {
    case TEXT:
        in = owner_of(in, &field);
        json_object_set_new(in, field, docker_json_text(value));
        return 0;
    case NUMBER:
        return put_number(in, o, field, value, err);
    case BYTES:
        return put_bytes(in, o, value, err);
    case SWITCH:
        return put_switch(in, o, value, err);
    case LIST:
        docker_append(in, field, value);
        return 0;
    case PAIR:
        in = owner_of(in, &field);
        put_pair(in, field, '=', value);
        return 0;
    case PATH:
        put_pair(in, field, ':', value);
        return 0;
    case CPUS:
        return put_cpus(in, o, value, err);
    case WORDS:
        json_object_set_new(in, field, json_pack("[s]", value));
        return 0;
    case ULIMIT:
        return put_ulimit(in, o, value, err);
    case DEVICE:
        return put_device(in, o, value, err);
    case GPUS:
        return put_gpus(in, o, value, err);
    case PUBLISH:
        return put_published(body, o, value, err);
    case EXPOSE:
        put_exposed(body, o, value);
        return 0;
    case ADDRESS:
        docker_set_in(endpoint(body), "IPAMConfig", field, value);
        return 0;
    case ALIAS:
        docker_append(endpoint(body), field, value);
        return 0;
    case NO_CHECK:
        json_object_set_new(in, field, json_pack("{s:[s]}", "Test", "NONE"));
        return 0;
    case IGNORED:
        return 0;
    }
    return 0;
}

int docker_parameter_put(json_t *body, const char *key, const char *value, struct fl_err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (streq(options[i].key, key))
            return put(body, &options[i], value, err);
    return fl_err_set(err, FL_UNSUPPORTED,
                      "parameter '%s' of the Docker container is not one that this agent can hand "
                      "to Docker (docs/docker.md lists them)",
                      key);
}
