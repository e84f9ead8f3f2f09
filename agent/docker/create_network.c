/* The part of a container's creation that is about networks. See create.h. */
#include "agent/docker/create_priv.h"

#include <inttypes.h>

/* A parameter `net` or `network` comes before what the message says. */
static const char *network_parameter(const struct making *m)
{
    for (size_t i = 0; i < m->docker->n_parameters; i++)
        if (streq(m->docker->parameters[i]->key, "net") ||
            streq(m->docker->parameters[i]->key, "network"))
            return m->docker->parameters[i]->value;
    return NULL;
}

static int find_network(struct making *m, struct fl_err *err)
{
    const V1__ContainerInfo *i = m->info;

    switch (m->docker->has_network ? m->docker->network
                                   : V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__HOST) {
    case V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__HOST:
        m->network = "host";
        return 0;
    case V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__BRIDGE:
        m->network = "bridge";
        return 0;
    case V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__NONE:
        m->network = "none";
        return 0;
    case V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__USER:
        if (i->n_network_infos == 0)
            return making_refuse(err, "No network info found in container info");
        if (i->n_network_infos > 1)
            return making_refuse(err, "Only a single network can be defined in Docker run");
        if (!i->network_infos[0]->name)
            return making_refuse(err, "No network name found in network info");
        m->network = i->network_infos[0]->name;
        return 0;
    default:
        return making_refuse(err, "Unsupported Network mode");
    }
}

static bool has_port(V1__Resource *const *res, size_t n, uint64_t port)
{
    for (size_t i = 0; i < n; i++) {
        const V1__Value__Ranges *r = streq(res[i]->name, "ports") ? res[i]->ranges : NULL;
        for (size_t k = 0; r && k < r->n_range; k++)
            if (port >= r->range[k]->begin && port <= r->range[k]->end)
                return true;
    }
    return false;
}

static int put_ports(struct making *m, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(2048);
    V1__Resource **res;
    size_t n = resources_to_pb(m->spec->resources, RESOURCES_POST_REFINEMENT, false, arena, &res);

    if (m->docker->n_port_mappings > 0 && (streq(m->network, "host") || streq(m->network, "none")))
        return making_refuse(
            err, "Port mappings are only supported for bridge and user-defined networks");
    for (size_t i = 0; i < m->docker->n_port_mappings; i++) {
        const V1__ContainerInfo__DockerInfo__PortMapping *p = m->docker->port_mappings[i];
        char outer[16], inner[16];

        if (!has_port(res, n, p->host_port))
            return fl_err_set(err, FL_INVALID, "Port [%" PRIu32 "] not included in resources",
                              p->host_port);
        fl_snprintf(outer, sizeof outer, "%" PRIu32, p->host_port);
        fl_snprintf(inner, sizeof inner, "%" PRIu32, p->container_port);
        docker_port_put(m->body, "", outer, inner, p->protocol);
    }
    return 0;
}

/* ---- DNS of --default_container_dns ---- */

static void put_dns_list(json_t *host, const char *name, const json_t *from)
{
    const json_t *v;
    size_t i;

    json_array_foreach(from, i, v)
    {
        if (json_is_string(v))
            docker_append(host, name, json_string_value(v));
    }
}

/* The entry for this network: by its name before the one for all of its kind. */
static const json_t *dns_entry(const json_t *entries, const char *mode, const char *network)
{
    const json_t *e, *any = NULL;
    size_t i;

    json_array_foreach(entries, i, e)
    {
        const char *of = json_string_value(json_object_get(e, "network_mode"));
        const char *name = json_string_value(json_object_get(e, "network_name"));

        if (!of || !streq(of, mode))
            continue;
        if (!name || streq(mode, "BRIDGE"))
            any = e;
        else if (streq(name, network))
            return e;
    }
    return any;
}

static bool has_dns_parameter(const struct making *m)
{
    for (size_t i = 0; i < m->docker->n_parameters; i++)
        if (str_starts(m->docker->parameters[i]->key, "dns"))
            return true;
    return false;
}

int making_put_dns(struct making *m, struct fl_err *err)
{
    const char *text = m->flags->default_container_dns;
    const char *mode =
        !m->docker->has_network                                                  ? NULL
        : m->docker->network == V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__BRIDGE ? "BRIDGE"
        : m->docker->network == V1__CONTAINER_INFO__DOCKER_INFO__NETWORK__USER   ? "USER"
                                                                                 : NULL;
    json_error_t where;

    if (!text || !mode || has_dns_parameter(m))
        return 0;
    json_t *all = json_loads(text, 0, &where);
    if (!json_is_object(all)) {
        json_decref(all);
        return fl_err_set(err, FL_INVALID, "--default_container_dns is no JSON object: %s",
                          all ? "it is another value" : where.text);
    }
    const json_t *dns =
        json_object_get(dns_entry(json_object_get(all, "docker"), mode, m->network), "dns");
    put_dns_list(m->host, "Dns", json_object_get(dns, "nameservers"));
    put_dns_list(m->host, "DnsSearch", json_object_get(dns, "search"));
    put_dns_list(m->host, "DnsOptions", json_object_get(dns, "options"));
    json_decref(all);
    return 0;
}

int making_put_network(struct making *m, struct fl_err *err)
{
    int r = find_network(m, err);

    if (r < 0)
        return r;
    if (m->info->hostname && streq(m->network, "host"))
        return making_refuse(err, "Unable to set hostname with host network mode");
    if (m->info->hostname)
        json_object_set_new(m->body, "Hostname", docker_json_text(m->info->hostname));
    r = put_ports(m, err);
    if (r == 0 && network_parameter(m))
        m->network = network_parameter(m);
    json_object_set_new(m->host, "NetworkMode", docker_json_text(m->network));
    return r;
}
