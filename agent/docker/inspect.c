/* What GET /containers/NAME/json says, as far as the agent uses it. Everything may be missing. */
#include <limits.h>
#include <signal.h>

#include "agent/docker/docker_priv.h"

void docker_read_state(const json_t *inspection, struct docker_state_seen *out)
{
    const json_t *s = json_object_get(inspection, "State");
    const char *status = json_string_value(json_object_get(s, "Status"));
    json_int_t pid = json_integer_value(json_object_get(s, "Pid"));

    *out = (struct docker_state_seen){
        .running = json_is_true(json_object_get(s, "Running")),
        .never_started = status && streq(status, "created"),
        .oom_killed = json_is_true(json_object_get(s, "OOMKilled")),
        .exit_code = (int)json_integer_value(json_object_get(s, "ExitCode")),
        .pid = pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0,
        .error = json_string_value(json_object_get(s, "Error")),
    };
}

static void take_text(char **slot, const json_t *j)
{
    const char *text = json_string_value(j);

    free(*slot);
    *slot = text && *text ? xstrdup(text) : NULL;
}

/* The address in its own network; for the default one the engine also has it at the top. */
static void take_addresses(struct docker_container *c, const json_t *inspection)
{
    const json_t *settings = json_object_get(inspection, "NetworkSettings");
    json_t *networks = json_object_get(settings, "Networks");
    const char *name;
    json_t *n;

    take_text(&c->ip, json_object_get(settings, "IPAddress"));
    take_text(&c->ip6, json_object_get(settings, "GlobalIPv6Address"));
    json_object_foreach(networks, name, n)
    {
        if (!c->ip)
            take_text(&c->ip, json_object_get(n, "IPAddress"));
        if (!c->ip6)
            take_text(&c->ip6, json_object_get(n, "GlobalIPv6Address"));
    }
}

void docker_keep_inspection(struct docker_container *c, const struct docker_answer *a)
{
    const json_t *config = json_object_get(a->json, "Config");
    const char *text = a->text + strspn(a->text, " \t\r\n");

    take_addresses(c, a->json);
    take_text(&c->stop_signal, json_object_get(config, "StopSignal"));
    free(c->inspection);
    /* Docker's program prints an array, and so do those who read it expect one. */
    c->inspection = xasprintf("[%s]", text);
    for (size_t n = strlen(c->inspection); n > 1 && c->inspection[n - 2] == '\n'; n--) {
        c->inspection[n - 2] = ']';
        c->inspection[n - 1] = '\0';
    }
}

static V1__NetworkInfo__IPAddress *address(struct fl_arena *arena, const char *text, bool v6)
{
    V1__NetworkInfo__IPAddress *a =
        FL_ARENA_NEW(arena, V1__NetworkInfo__IPAddress, v1__network_info__ipaddress);

    a->ip_address = fl_arena_strdup(arena, text);
    if (v6) {
        a->has_protocol = true;
        a->protocol = V1__NETWORK_INFO__PROTOCOL__IPv6;
    }
    return a;
}

static V1__NetworkInfo *network(const struct docker_container *c, struct fl_arena *arena)
{
    V1__NetworkInfo *n = fl_arena_alloc(arena, sizeof *n);

    v1__network_info__init(n);
    if (c->network)
        n = (V1__NetworkInfo *)fl_pb_dup(&c->network->base, fl_arena_allocator(arena));
    n->ip_addresses = fl_arena_alloc(arena, 2 * sizeof(void *));
    if (c->ip)
        n->ip_addresses[n->n_ip_addresses++] = address(arena, c->ip, false);
    if (c->ip6)
        n->ip_addresses[n->n_ip_addresses++] = address(arena, c->ip6, true);
    return n;
}

int docker_status(struct docker_container *c, struct fl_arena *arena, V1__ContainerStatus **ret)
{
    V1__ContainerStatus *s = FL_ARENA_NEW(arena, V1__ContainerStatus, v1__container_status);

    s->container_id = container_id_pb(arena, c->id);
    if (c->pid > 0) {
        s->has_executor_pid = true;
        s->executor_pid = (uint32_t)c->pid;
    }
    if (c->ip || c->ip6) {
        s->n_network_infos = 1;
        s->network_infos = fl_arena_alloc(arena, sizeof(void *));
        s->network_infos[0] = network(c, arena);
    }
    *ret = s;
    return 0;
}
