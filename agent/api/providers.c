/* Calls about resource providers. This agent has none and knows no type of them: what is answered is what the reference answers when it
 * was started without --resource_provider_config_dir. Core's thread, but agent_provider_check(): an I/O thread. */
#include "agent/api/handlers.h"

static const V1__ResourceProviderInfo *config_of(const Aapi__Call *c, const char **ret_part)
{
    switch ((int)c->type) {
    case AAPI__CALL__TYPE__ADD_RESOURCE_PROVIDER_CONFIG:
        *ret_part = "add_resource_provider_config";
        return c->add_resource_provider_config->info;
    case AAPI__CALL__TYPE__UPDATE_RESOURCE_PROVIDER_CONFIG:
        *ret_part = "update_resource_provider_config";
        return c->update_resource_provider_config->info;
    default:
        return NULL;
    }
}

int agent_provider_check(const Aapi__Call *c, struct fl_err *err)
{
    const char *part = NULL;
    const V1__ResourceProviderInfo *info = config_of(c, &part);

    if (!info || !info->id)
        return 0;
    return fl_err_set(err, FL_INVALID,
                      "Failed to validate agent::Call: Expecting '%s.info.id' to be unset", part);
}

int agent_provider_call(const Aapi__Call *c, struct fl_err *err)
{
    const char *part = NULL;
    const V1__ResourceProviderInfo *info = config_of(c, &part);

    if (info)
        return fl_err_set(err, FL_INVALID,
                          "Failed to validate resource provider config with type '%s' and name "
                          "'%s': Unknown local resource provider type '%s'",
                          info->type, info->name, info->type);
    if (c->type == AAPI__CALL__TYPE__MARK_RESOURCE_PROVIDER_GONE)
        return fl_err_set(err, FL_INTERNAL,
                          "Could not mark resource provider '%s' as gone: Attempted to remove an "
                          "unknown resource provider",
                          c->mark_resource_provider_gone->resource_provider_id->value);
    return fl_err_set(err, FL_INTERNAL,
                      "Missing required flag --resource_provider_config_dir: this agent keeps no "
                      "configurations of resource providers");
}

void agent_resource_provider_post(struct http_exchange *ex, void *arg)
{
    if (http_exchange_request(ex)->method != HTTP_M_POST)
        api_refuse_method(ex, "POST");
    else
        http_respond(ex, 503, HTTP_TEXT,
                     "This agent has no resource providers, and takes none: there is no manager "
                     "of them to subscribe with.");
}
