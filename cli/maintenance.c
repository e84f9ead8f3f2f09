/* `fairlead maintenance`: the schedule, and machines that are down. A machine is named as its agent is (id, host), or HOST, or HOST/IP. */
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "cli/amounts.h"
#include "cli/find.h"

static const char *ns_text(const json_t *o, char *buf, size_t size)
{
    double ns = json_number_value(json_object_get(o, "nanoseconds"));
    time_t s = (time_t)(ns / 1e9);
    struct tm tm;

    if (json_is_string(json_object_get(o, "nanoseconds")) &&
        fl_parse_f64(jstr(o, "nanoseconds"), &ns) == 0)
        s = (time_t)(ns / 1e9);
    if (!gmtime_r(&s, &tm) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
        fl_snprintf(buf, size, "-");
    return buf;
}

static const char *duration_text(const json_t *o, char *buf, size_t size)
{
    double ns = json_number_value(json_object_get(o, "nanoseconds"));

    if (json_is_string(json_object_get(o, "nanoseconds")) &&
        fl_parse_f64(jstr(o, "nanoseconds"), &ns) < 0)
        ns = 0;
    if (!o)
        fl_snprintf(buf, size, "for ever");
    else if (ns < 7200e9)
        fl_snprintf(buf, size, "%gm", ns / 60e9);
    else
        fl_snprintf(buf, size, "%gh", ns / 3600e9);
    return buf;
}

static int get_schedule(struct cli *c, json_t **ret_windows)
{
    _cleanup_json_ json_t *answer = NULL;
    json_t *windows;
    int code =
        cli_call(c, "GET_MAINTENANCE_SCHEDULE", NULL, NULL, "get_maintenance_schedule", &answer);

    if (code)
        return code;
    windows = json_object_get(json_object_get(answer, "schedule"), "windows");
    *ret_windows = windows ? json_incref(windows) : json_array();
    return CLI_OK;
}

static int put_schedule(struct cli *c, json_t *windows)
{
    return cli_call(c, "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule",
                    json_pack("{s:{s:O}}", "schedule", "windows", windows), NULL, NULL);
}

int verb_maintenance_schedule(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"HOST", "IP", "START", "#DURATION"};
    _cleanup_json_ json_t *windows = NULL;
    json_t *w, *m;
    size_t k, n;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = get_schedule(c, &windows);
    if (code)
        return code;
    if (c->json) {
        cli_print_json(windows);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(windows, k, w)
    {
        json_array_foreach(json_object_get(w, "machine_ids"), n, m)
        {
            char start[40], duration[40];
            table_cell(t, "%s", jstr(m, "hostname"));
            table_cell(t, "%s", jstr(m, "ip"));
            table_cell(t, "%s", ns_text(jpath(w, "unavailability.start"), start, sizeof(start)));
            table_cell(
                t, "%s",
                duration_text(jpath(w, "unavailability.duration"), duration, sizeof(duration)));
        }
    }
    table_print(c, t);
    return CLI_OK;
}

/* ---- machines ---- */

static json_t *machine_of_agent(const json_t *agent)
{
    const char *address = agent_address_of(agent);
    size_t n = address ? strcspn(address, ":") : 0;
    _cleanup_free_ char *ip = xstrndup(address ? address : "", n);

    return json_pack("{s:s, s:s}", "hostname", jstr(agent, "hostname"), "ip", ip);
}

static bool same_machine(const json_t *a, const json_t *b)
{
    return strcasecmp(jstr(a, "hostname"), jstr(b, "hostname")) == 0 &&
           streq(jstr(a, "ip"), jstr(b, "ip"));
}

/* Of agents with that host name: theirs when it is one; the caller's. */
static json_t *machine_of_host(const json_t *agents, const char *host)
{
    json_t *machine = NULL, *a;
    size_t i;

    json_array_foreach(agents, i, a)
    {
        if (!streq(jstr(a, "hostname"), host))
            continue;
        json_t *m = machine_of_agent(a);
        bool other = machine && !same_machine(machine, m);
        json_decref(machine);
        machine = m;
        if (other) {
            json_decref(machine);
            return NULL;
        }
    }
    return machine;
}

/* The machine that a word names: "host/ip" as it is; an agent; a machine of the schedule; else a host. */
static json_t *machine_of_word(const json_t *agents, const json_t *windows, const char *word)
{
    const char *slash = strchr(word, '/');
    size_t n = json_array_size(agents), at = 0, i, k;
    json_t *w, *m;

    if (slash) {
        _cleanup_free_ char *host = xstrndup(word, (size_t)(slash - word));
        json_t *o = json_object();
        if (*host)
            json_object_set_new(o, "hostname", json_string(host));
        if (slash[1])
            json_object_set_new(o, "ip", json_string(slash + 1));
        return o;
    }
    _cleanup_free_ struct candidate *list = xcalloc(n + 1, sizeof(*list));
    for (i = 0; i < n; i++)
        list[i] = (struct candidate){jstr(json_array_get(agents, i), "id"),
                                     jstr(json_array_get(agents, i), "hostname")};
    enum match match = id_match(list, n, word, &at);
    if (match == MATCH_ONE)
        return machine_of_agent(json_array_get(agents, at));
    json_array_foreach(windows, i, w)
    {
        json_array_foreach(json_object_get(w, "machine_ids"), k, m)
        {
            if (strcasecmp(jstr(m, "hostname"), word) == 0 || streq(jstr(m, "ip"), word))
                return json_deep_copy(m);
        }
    }
    m = machine_of_host(agents, word);
    if (m)
        return m;
    if (match == MATCH_MANY) {
        cli_fail_as(CLI_NOT_FOUND, "several agents are called '%s': give an id, or HOST/IP", word);
        return NULL;
    }
    return json_pack("{s:s}", "hostname", word);
}

/* Several agents of one machine are one machine. */
static int machines_of_words(struct cli *c, char **argv, int argc, int i, const json_t *windows,
                             json_t *to)
{
    _cleanup_json_ json_t *agents = NULL;
    json_t *seen;
    size_t k;
    int code = cli_get_list(c, "/slaves", "slaves", &agents);

    for (; code == CLI_OK && i < argc; i++) {
        _cleanup_json_ json_t *m = machine_of_word(agents, windows, argv[i]);
        bool known = false;
        if (!m)
            return CLI_NOT_FOUND;
        json_array_foreach(to, k, seen)
        {
            known = known || same_machine(seen, m);
        }
        if (!known)
            json_array_append(to, m);
    }
    return code;
}

static bool contains(const json_t *machines, const json_t *m)
{
    json_t *o;
    size_t i;

    json_array_foreach(machines, i, o)
    {
        if (same_machine(o, m))
            return true;
    }
    return false;
}

/* Takes the machines out of all windows; empty windows go. Returns how many were there. */
static size_t take_out(json_t *windows, const json_t *machines)
{
    size_t found = 0;

    for (size_t i = json_array_size(windows); i-- > 0;) {
        json_t *ids = json_object_get(json_array_get(windows, i), "machine_ids");
        for (size_t k = json_array_size(ids); k-- > 0;) {
            if (contains(machines, json_array_get(ids, k))) {
                json_array_remove(ids, k);
                found++;
            }
        }
        if (!json_array_size(ids))
            json_array_remove(windows, i);
    }
    return found;
}

/* ---- the verbs ---- */

int verb_maintenance_add(struct cli *c, int argc, char **argv)
{
    const char *start = "now", *duration = NULL;
    const struct opt opts[] = {
        {"--start TIME", OPT_TEXT, &start, "now, +2h, 2026-11-30T22:00Z, @SECONDS (now)", 0},
        {"--duration DURATION", OPT_TEXT, &duration, "30m, 2h (for ever)", 0},
    };
    _cleanup_json_ json_t *windows = NULL, *machines = json_array(), *when = NULL;
    struct fl_err err = {0};
    int64_t start_ns, ns;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1000, &code);

    if (i < 0)
        return code;
    if (amounts_time(start, (int64_t)time(NULL) * 1000000000, &start_ns, &err) < 0 ||
        (duration && amounts_duration(duration, &ns, &err) < 0))
        return cli_fail_as(CLI_USAGE, "%s", err.msg);
    code = get_schedule(c, &windows);
    if (code == CLI_OK)
        code = machines_of_words(c, argv, argc, i, windows, machines);
    if (code)
        return code;
    take_out(windows, machines);
    when = json_pack("{s:{s:I}}", "start", "nanoseconds", (json_int_t)start_ns);
    if (duration)
        json_object_set_new(when, "duration", json_pack("{s:I}", "nanoseconds", (json_int_t)ns));
    json_array_append_new(windows,
                          json_pack("{s:O, s:O}", "machine_ids", machines, "unavailability", when));
    return put_schedule(c, windows);
}

/* The schedule, and the machines that the words name. Negative: the verb is over. */
static int begin_machines(struct cli *c, int argc, char **argv, json_t **ret_windows,
                          json_t *machines, int *ret_code)
{
    int i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1000, ret_code);

    if (i < 0)
        return i;
    *ret_code = get_schedule(c, ret_windows);
    if (*ret_code == CLI_OK)
        *ret_code = machines_of_words(c, argv, argc, i, *ret_windows, machines);
    return *ret_code == CLI_OK ? 0 : -1;
}

int verb_maintenance_remove(struct cli *c, int argc, char **argv)
{
    _cleanup_json_ json_t *windows = NULL, *machines = json_array();
    int code;

    if (begin_machines(c, argc, argv, &windows, machines, &code) < 0)
        return code;
    if (!take_out(windows, machines))
        return cli_fail_as(CLI_NOT_FOUND, "none of these machines is in the schedule");
    return put_schedule(c, windows);
}

/* START_ and STOP_MAINTENANCE. */
static int move(struct cli *c, int argc, char **argv, bool down)
{
    _cleanup_json_ json_t *windows = NULL, *machines = json_array();
    int code;

    if (begin_machines(c, argc, argv, &windows, machines, &code) < 0)
        return code;
    code = down ? cli_confirm(c, "Shut down the agents of %zu machines, with their tasks?",
                              json_array_size(machines))
                : CLI_OK;
    if (code)
        return code;
    return cli_call(c, down ? "START_MAINTENANCE" : "STOP_MAINTENANCE",
                    down ? "start_maintenance" : "stop_maintenance",
                    json_pack("{s:O}", "machines", machines), NULL, NULL);
}

int verb_maintenance_down(struct cli *c, int argc, char **argv)
{
    return move(c, argc, argv, true);
}

int verb_maintenance_up(struct cli *c, int argc, char **argv)
{
    return move(c, argc, argv, false);
}

int verb_maintenance_status(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"HOST", "IP", "?STATE", "#ANSWERS"};
    _cleanup_json_ json_t *answer = NULL;
    json_t *m;
    size_t k;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = cli_call(c, "GET_MAINTENANCE_STATUS", NULL, NULL, "get_maintenance_status", &answer);
    if (code)
        return code;
    json_t *status = json_object_get(answer, "status");
    if (c->json) {
        _cleanup_json_ json_t *none = json_object();
        cli_print_json(status ? status : none);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(json_object_get(status, "draining_machines"), k, m)
    {
        table_cell(t, "%s", jstr(json_object_get(m, "id"), "hostname"));
        table_cell(t, "%s", jstr(json_object_get(m, "id"), "ip"));
        table_cell(t, "draining");
        table_cell(t, "%zu", json_array_size(json_object_get(m, "statuses")));
    }
    json_array_foreach(json_object_get(status, "down_machines"), k, m)
    {
        table_cell(t, "%s", jstr(m, "hostname"));
        table_cell(t, "%s", jstr(m, "ip"));
        table_cell(t, "down");
        table_cell(t, "-");
    }
    table_print(c, t);
    return CLI_OK;
}
