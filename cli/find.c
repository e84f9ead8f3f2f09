/* See find.h. */
#include "cli/find.h"

#include <strings.h>

#define PAGE 50000 /* tasks of one answer */

static bool is_part(const char *id, const char *word)
{
    const char *tail = strrchr(id, '-');

    return str_starts(id, word) || (tail && strcasecmp(tail + 1, word) == 0);
}

enum match id_match(const struct candidate *list, size_t n, const char *word, size_t *ret_index)
{
    size_t named = 0, parts = 0, at_name = 0, at_part = 0;

    if (!*word)
        return MATCH_NONE;
    for (size_t i = 0; i < n; i++) {
        if (streq(list[i].id, word)) {
            *ret_index = i;
            return MATCH_ONE;
        }
        if (list[i].name && streq(list[i].name, word)) {
            named++;
            at_name = i;
        }
        if (is_part(list[i].id, word) && (!parts || !streq(list[at_part].id, list[i].id))) {
            parts++;
            at_part = i;
        }
    }
    if (named)
        *ret_index = at_name;
    else if (parts)
        *ret_index = at_part;
    else
        return MATCH_NONE;
    return (named ? named : parts) == 1 ? MATCH_ONE : MATCH_MANY;
}

static int say_many(const struct candidate *list, size_t n, const char *what, const char *word)
{
    _cleanup_buf_ struct fl_buf some = FL_BUF_INIT;
    size_t shown = 0;

    for (size_t i = 0; i < n && shown < 3; i++)
        if ((list[i].name && streq(list[i].name, word)) || is_part(list[i].id, word))
            fl_buf_addf(&some, "%s%s", shown++ ? ", " : "", list[i].id);
    return cli_fail_as(CLI_NOT_FOUND, "several %ss fit '%s', among them %s: give more of the id",
                       what, word, fl_buf_cstr(&some));
}

static int pick(const struct candidate *list, size_t n, const char *what, const char *verb,
                const char *word, size_t *ret_index)
{
    switch (id_match(list, n, word, ret_index)) {
    case MATCH_ONE:
        return CLI_OK;
    case MATCH_MANY:
        return say_many(list, n, what, word);
    case MATCH_NONE:
        break;
    }
    return cli_fail_as(CLI_NOT_FOUND, "there is no %s '%s'; `fairlead %s` lists them", what, word,
                       verb);
}

/* ---- agents ---- */

const char *agent_address_of(const json_t *agent)
{
    const char *at = strrchr(jstr(agent, "pid"), '@');

    return at ? at + 1 : NULL;
}

static int agents_like(struct cli *c, const char *id, json_t **ret)
{
    _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;

    fl_buf_adds(&path, "/slaves");
    if (id)
        query_add(&path, "slave_id", id);
    return cli_get_list(c, fl_buf_cstr(&path), "slaves", ret);
}

int find_agent(struct cli *c, const char *word, json_t **ret)
{
    _cleanup_json_ json_t *agents = NULL;
    size_t at = 0;
    int code = CLI_OK;

    /* A whole id is asked for alone: the list of all may be long. */
    if (strstr(word, "-S"))
        code = agents_like(c, word, &agents);
    if (code == CLI_OK && !json_array_size(agents)) {
        json_decref(agents);
        agents = NULL;
        code = agents_like(c, NULL, &agents);
    }
    if (code)
        return code;
    size_t n = json_array_size(agents);
    _cleanup_free_ struct candidate *list = xcalloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        const json_t *a = json_array_get(agents, i);
        list[i] = (struct candidate){jstr(a, "id"), jstr(a, "hostname")};
    }
    code = pick(list, n, "agent", "agents", word, &at);
    if (code == CLI_OK)
        *ret = json_incref(json_array_get(agents, at));
    return code;
}

int find_agent_peer(struct cli *c, const char *word, struct peer *ret)
{
    _cleanup_json_ json_t *agent = NULL;
    struct fl_err err = {0};
    int code = find_agent(c, word, &agent);

    if (code)
        return code;
    const char *address = agent_address_of(agent);
    if (!address)
        return cli_fail_as(CLI_UNREACHABLE, "the master does not know the address of '%s'", word);
    return cli_agent_peer(c, jstr(agent, "id"), address, ret, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

/* ---- frameworks ---- */

const char *framework_id_of(const json_t *framework)
{
    return jid(json_object_get(framework, "framework_info"), "id");
}

int find_framework(struct cli *c, const char *word, bool ended, json_t **ret)
{
    _cleanup_json_ json_t *answer = NULL, *all = json_array();
    size_t at = 0;
    int code = cli_call(c, "GET_FRAMEWORKS", NULL, NULL, "get_frameworks", &answer);

    if (code)
        return code;
    json_array_extend(all, json_object_get(answer, "frameworks"));
    if (ended)
        json_array_extend(all, json_object_get(answer, "completed_frameworks"));
    size_t n = json_array_size(all);
    _cleanup_free_ struct candidate *list = xcalloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_array_get(all, i);
        list[i] = (struct candidate){framework_id_of(f),
                                     jstr(json_object_get(f, "framework_info"), "name")};
    }
    code = pick(list, n, "framework", ended ? "frameworks --all" : "frameworks", word, &at);
    if (code == CLI_OK)
        *ret = json_incref(json_array_get(all, at));
    return code;
}

/* ---- tasks ---- */

int list_tasks(struct cli *c, const char *framework_id, bool (*keep)(const json_t *task, void *arg),
               void *arg, json_t *to, struct fl_err *err)
{
    for (size_t offset = 0;; offset += PAGE) {
        _cleanup_json_ json_t *all = NULL;
        _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;
        const json_t *list;
        json_t *task;
        size_t i;
        fl_buf_addf(&path, "/tasks?order=asc&limit=%d&offset=%zu", PAGE, offset);
        if (framework_id)
            query_add(&path, "framework_id", framework_id);
        int r = cli_get_json(c, NULL, fl_buf_cstr(&path), &all, err);
        if (r < 0)
            return r;
        list = json_object_get(all, "tasks");
        json_array_foreach(list, i, task)
        {
            if (!keep || keep(task, arg))
                json_array_append(to, task);
        }
        if (json_array_size(list) < PAGE)
            return 0;
    }
}
