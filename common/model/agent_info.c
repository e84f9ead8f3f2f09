/* One block: the message, its id, the two arrays, unknown fields, the host name. */
#include "common/model/agent_info.h"

#include "common/model/intern.h"
#include "common/model/pb_held.h"

struct kept {
    V1__AgentInfo info; /* first: what is handed out */
    V1__AgentID id;     /* its value is interned, with a reference */
};

/* Takes `n` bytes of the block. */
static void *take(char **at, size_t n)
{
    void *p = *at;

    *at += (n + 7) & ~(size_t)7;
    return p;
}

static size_t unknown_size(const ProtobufCMessage *m)
{
    size_t n = m->n_unknown_fields * sizeof(*m->unknown_fields);

    for (size_t i = 0; i < m->n_unknown_fields; i++)
        n += m->unknown_fields[i].len + 8;
    return n;
}

static void keep_unknown(ProtobufCMessage *to, const ProtobufCMessage *m, char **at)
{
    to->unknown_fields = NULL;
    if (m->n_unknown_fields == 0)
        return;
    to->unknown_fields = take(at, m->n_unknown_fields * sizeof(*m->unknown_fields));
    for (size_t i = 0; i < m->n_unknown_fields; i++) {
        ProtobufCMessageUnknownField *f = &to->unknown_fields[i];
        *f = m->unknown_fields[i];
        f->data = take(at, f->len);
        memcpy(f->data, m->unknown_fields[i].data, f->len);
    }
}

static struct kept *kept_new(const V1__AgentInfo *info, size_t n_resources, char **ret_at)
{
    size_t size = sizeof(struct kept) + (n_resources + info->n_attributes) * sizeof(void *) +
                  unknown_size(&info->base) + (strlen(info->hostname) | 7) + 1;
    struct kept *k = xmalloc(size);

    k->info = *info;
    k->info.n_resources = n_resources;
    *ret_at = (char *)(k + 1);
    return k;
}

V1__AgentInfo *agent_info_keep(const V1__AgentInfo *info, bool without_resources)
{
    char *at;
    struct kept *k = kept_new(info, without_resources ? 0 : info->n_resources, &at);
    V1__AgentInfo *to = &k->info;

    to->resources = take(&at, to->n_resources * sizeof(void *));
    for (size_t i = 0; i < to->n_resources; i++)
        to->resources[i] = (V1__Resource *)pb_hold(&info->resources[i]->base);
    to->attributes = take(&at, to->n_attributes * sizeof(void *));
    for (size_t i = 0; i < to->n_attributes; i++)
        to->attributes[i] = (V1__Attribute *)pb_hold(&info->attributes[i]->base);
    to->domain = info->domain ? (V1__DomainInfo *)pb_hold(&info->domain->base) : NULL;
    keep_unknown(&to->base, &info->base, &at);
    v1__agent_id__init(&k->id);
    if (info->id) {
        k->id.value = (char *)intern_ref(info->id->value);
        to->id = &k->id;
    }
    to->hostname = take(&at, strlen(info->hostname) + 1);
    memcpy(to->hostname, info->hostname, strlen(info->hostname) + 1);
    return to;
}

void agent_info_release(V1__AgentInfo *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < kept->n_resources; i++)
        pb_release(&kept->resources[i]->base);
    for (size_t i = 0; i < kept->n_attributes; i++)
        pb_release(&kept->attributes[i]->base);
    if (kept->domain)
        pb_release(&kept->domain->base);
    if (kept->id)
        intern_unref(kept->id->value);
    free(kept);
}
