/* What the master says of itself: addresses, name, version, domain. */
#include "master/shell.h"

#include <arpa/inet.h>

#include "common/base/json.h"

/* The protocol's number: the address in network order, read as a little-endian integer. */
static uint32_t ip_number(const char *ip)
{
    uint8_t b[4] = {0};

    if (inet_pton(AF_INET, ip, b) != 1)
        return 0;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_capabilities(V1__MasterInfo *info)
{
    static const V1__MasterInfo__Capability__Type types[] = {
        V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_UPDATE,
        V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
        V1__MASTER_INFO__CAPABILITY__TYPE__QUOTA_V2,
    };

    info->capabilities = xcalloc(ARRAY_SIZE(types), sizeof(*info->capabilities));
    while (info->n_capabilities < ARRAY_SIZE(types)) {
        V1__MasterInfo__Capability *c = xnew0(V1__MasterInfo__Capability);
        v1__master_info__capability__init(c);
        c->has_type = true;
        c->type = types[info->n_capabilities];
        info->capabilities[info->n_capabilities++] = c;
    }
}

static int put_domain(const struct shell *s, V1__MasterInfo *info, struct fl_err *err)
{
    ProtobufCMessage *domain;
    int r;

    if (!s->flags.domain)
        return 0;
    r = fl_json_to_pb(s->flags.domain, strlen(s->flags.domain), &v1__domain_info__descriptor, 0,
                      NULL, &domain, err);
    if (r < 0)
        return fl_err_wrap(err, "flag '--domain'");
    info->domain = (V1__DomainInfo *)domain;
    return 0;
}

int shell_master_info(const struct shell *s, uint16_t port, V1__MasterInfo **ret,
                      struct fl_err *err)
{
    _cleanup_pb_ V1__MasterInfo *info = xnew0(V1__MasterInfo);
    const char *ip = s->address.advertised;
    int r;

    v1__master_info__init(info);
    if (s->flags.advertise_port)
        port = (uint16_t)s->flags.advertise_port;
    info->id = xstrdup(""); /* the core makes it */
    info->ip = ip_number(ip);
    info->port = port;
    info->hostname = xstrdup(s->address.hostname);
    info->pid = xasprintf("master@%s:%u", ip, (unsigned)port);
    info->version = xstrdup(FL_VERSION);
    info->address = xnew0(V1__Address);
    v1__address__init(info->address);
    info->address->hostname = xstrdup(info->hostname);
    info->address->ip = xstrdup(ip);
    info->address->port = port;
    put_capabilities(info);
    r = put_domain(s, info, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(info);
    return 0;
}
