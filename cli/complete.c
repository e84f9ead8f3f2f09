/* See complete.h. The tables say everything: verbs, their options, and by the word in "--agent AGENT" or "TASK [--follow]" what completes
 * an argument. */
#include "cli/complete.h"

#include <stdio.h>

#include "cli/config.h"
#include "cli/find.h"

#define MOST_OPTIONS 48
#define MOST_IDS     200

struct completion {
    struct fl_buf *out;
    const char *before; /* "--agent=": stands before each candidate */
    const char *part;   /* what is there of the word */
    int n;
    char **words;
    const struct verb *verb;
    struct opt opts[MOST_OPTIONS]; /* of the verb and of all verbs; `to` is not to be used */
    size_t n_opts;
};

static void offer(struct completion *k, const char *word, const char *text)
{
    if (!str_starts(word, k->part) || strpbrk(word, "\n\t"))
        return;
    _cleanup_free_ char *clean = text_clean(text);
    fl_buf_addf(k->out, "%s%s\t%s\n", k->before, word, clean);
}

/* ---- options ---- */

static void take_options(const struct cli *c, const struct opt *opts, size_t n, void *arg)
{
    struct completion *k = arg;
    struct cli any = *c;
    struct opt common[CLI_COMMON_MAX];
    size_t n_common = opt_common(&any, common);

    for (size_t i = 0; i < n && k->n_opts < MOST_OPTIONS; i++)
        k->opts[k->n_opts++] = opts[i];
    for (size_t i = 0; i < n_common && k->n_opts < MOST_OPTIONS; i++)
        k->opts[k->n_opts++] = common[i];
}

static const struct opt *option_of(const struct completion *k, const char *word)
{
    size_t len = strcspn(word, "=");

    for (size_t i = 0; i < k->n_opts; i++) {
        size_t m = strcspn(k->opts[i].name, " [");
        if ((m == len && strncmp(k->opts[i].name, word, m) == 0) ||
            (k->opts[i].letter && word[0] == '-' && word[1] == k->opts[i].letter && !word[2]))
            return &k->opts[i];
    }
    return NULL;
}

static bool takes_next(const struct opt *o, const char *word)
{
    return o && o->type != OPT_FLAG && o->type != OPT_SECONDS && !strchr(word, '=');
}

static void offer_options(struct completion *k)
{
    for (size_t i = 0; i < k->n_opts; i++) {
        char name[64];
        fl_snprintf(name, sizeof(name), "%.*s", (int)strcspn(k->opts[i].name, " ["),
                    k->opts[i].name);
        offer(k, name, k->opts[i].help);
    }
    offer(k, "--help", "show the options");
}

/* ---- ids ---- */

/* The value of an option that was given already, or NULL. */
static const char *given(const struct completion *k, const char *name)
{
    size_t n = strlen(name);

    for (int i = 0; i + 1 < k->n; i++) {
        if (streq(k->words[i], name) && i + 2 < k->n)
            return k->words[i + 1];
        if (strncmp(k->words[i], name, n) == 0 && k->words[i][n] == '=')
            return k->words[i] + n + 1;
    }
    return NULL;
}

/* Members of a list that an endpoint answers with: `text` explains the word `id`, and may be NULL. */
static void offer_listed(struct completion *k, struct cli *c, const char *path, const char *list,
                         const char *id, const char *text)
{
    _cleanup_json_ json_t *all = NULL;
    json_t *o;
    size_t i;

    if (cli_get_list(c, path, list, &all) != CLI_OK)
        return;
    json_array_foreach(all, i, o)
    {
        if (i < MOST_IDS)
            offer(k, jstr(o, id), text ? jstr(o, text) : "");
    }
}

static void offer_tasks(struct completion *k, struct cli *c)
{
    offer_listed(k, c, "/tasks?limit=200", "tasks", "id", "state");
}

static void offer_agents(struct completion *k, struct cli *c)
{
    offer_listed(k, c, "/slaves", "slaves", "id", "hostname");
}

static void offer_roles(struct completion *k, struct cli *c)
{
    offer_listed(k, c, "/roles", "roles", "name", NULL);
}

static void offer_frameworks(struct completion *k, struct cli *c)
{
    _cleanup_json_ json_t *answer = NULL;
    json_t *f;
    size_t i;

    if (cli_call(c, "GET_FRAMEWORKS", NULL, NULL, "get_frameworks", &answer) != CLI_OK)
        return;
    json_array_foreach(json_object_get(answer, "frameworks"), i, f)
    {
        if (i < MOST_IDS)
            offer(k, framework_id_of(f), jstr(json_object_get(f, "framework_info"), "name"));
    }
}

static void offer_contexts(struct completion *k)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = config_path();

    if (config_read(path, &config, NULL) < 0)
        return;
    for (size_t i = 0; i < config.n; i++)
        offer(k, config.contexts[i].name,
              config.contexts[i].values[CONFIG_MASTER] ? config.contexts[i].values[CONFIG_MASTER]
                                                       : "");
}

/* From the cluster that the words before mean. */
static void ask_cluster(struct completion *k, void (*fn)(struct completion *k, struct cli *c))
{
    struct cli c = {.program = "fairlead",
                    .quiet = true,
                    .timeout_s = 1,
                    .master = given(k, "--master"),
                    .context = given(k, "--context"),
                    .credential_file = given(k, "--credential-file"),
                    .token_file = given(k, "--token-file"),
                    .ca_file = given(k, "--ca-file")};
    int code;

    if (connection_new(&c, &c.connection, &code) < 0)
        return;
    fn(k, &c);
    connection_free(c.connection);
}

static void offer_list(struct completion *k, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        offer(k, words[i], "");
}

/* `kind` is the word that stands for the argument. */
static void offer_kind(struct completion *k, const char *kind, size_t n)
{
    static const char *const states[] = {"staging",  "starting",   "running", "killing",
                                         "finished", "failed",     "killed",  "lost",
                                         "error",    "unreachable"};
    static const char *const types[] = {"TASK_ADDED",
                                        "TASK_UPDATED",
                                        "AGENT_ADDED",
                                        "AGENT_REMOVED",
                                        "FRAMEWORK_ADDED",
                                        "FRAMEWORK_UPDATED",
                                        "FRAMEWORK_REMOVED",
                                        "HEARTBEAT",
                                        "SUBSCRIBED",
                                        "task",
                                        "agent",
                                        "framework"};
#define IS(text) (n == sizeof(text) - 1 && strncmp(kind, text, n) == 0)
    if (IS("TASK"))
        ask_cluster(k, offer_tasks);
    else if (IS("AGENT") || IS("MACHINE"))
        ask_cluster(k, offer_agents);
    else if (IS("FRAMEWORK"))
        ask_cluster(k, offer_frameworks);
    else if (IS("ROLE"))
        ask_cluster(k, offer_roles);
    else if (IS("CONTEXT"))
        offer_contexts(k);
    else if (IS("STATE"))
        offer_list(k, states, ARRAY_SIZE(states));
    else if (IS("TYPE"))
        offer_list(k, types, ARRAY_SIZE(types));
    else if (IS("bash|zsh|fish"))
        offer_list(k, (const char *const[]){"bash", "zsh", "fish"}, 3);
    else if (IS("FILE") || IS("DIR") || IS("PATH"))
        fl_buf_adds(k->out, ":files\n");
#undef IS
}

static void offer_value(struct completion *k, const struct opt *o)
{
    const char *kind = o->name + strcspn(o->name, " ");

    kind += strspn(kind, " ");
    offer_kind(k, kind, strlen(kind));
}

/* ---- words ---- */

/* Of usage "FRAMEWORK [AGENT]" the word that stands for argument number `at`; the last one again when it is repeated. */
static void offer_argument(struct completion *k, int at)
{
    const char *p = k->verb->usage, *last = NULL;
    size_t n = 0, last_n = 0;
    bool repeated = false;

    while (*p) {
        p += strspn(p, " ");
        size_t whole = strcspn(p, " ");
        const char *word = p + strspn(p, "[");
        n = strcspn(word, "] .");
        if (n && *word != '-' && (*word < 'a' || strchr(word, '|'))) {
            if (at-- == 0) {
                offer_kind(k, word, n);
                return;
            }
            last = word;
            last_n = n;
            repeated = strncmp(word + n, "...", 3) == 0;
        } else if (*word == '-') {
            p += whole + strspn(p + whole, " "); /* an option with its argument */
            if (*p != '[' && *p != '-')
                whole = strcspn(p, " ");
            else
                whole = 0;
        }
        p += whole;
    }
    if (repeated)
        offer_kind(k, last, last_n);
}

/* The words of verbs that can follow the words from `first` on: "quota" is followed by "set". */
static void offer_verbs(struct completion *k, int first)
{
    _cleanup_buf_ struct fl_buf so_far = FL_BUF_INIT;

    for (int i = first; i + 1 < k->n; i++)
        fl_buf_addf(&so_far, "%s ", k->words[i]);
    const char *start = fl_buf_cstr(&so_far);
    for (size_t i = 0; i < cli_verbs_n; i++) {
        const struct verb *v = &cli_verbs[i];
        char word[64];
        if ((v->flags & V_HIDDEN) || !str_starts(v->name, start))
            continue;
        const char *rest = v->name + strlen(start);
        size_t n = strcspn(rest, " ");
        fl_snprintf(word, sizeof(word), "%.*s", (int)n, rest);
        /* A group once: verbs of one group stand together. */
        bool again = i > 0 && str_starts(cli_verbs[i - 1].name, start) &&
                     strncmp(cli_verbs[i - 1].name + strlen(start), word, n) == 0 &&
                     strchr(" ", cli_verbs[i - 1].name[strlen(start) + n]);
        if (!again)
            offer(k, word, rest[n] ? "" : v->help);
    }
}

/* Where the verb begins; options of all verbs may stand before it. */
static int skip_options(struct completion *k)
{
    int i = 0;

    while (i + 1 < k->n && k->words[i][0] == '-')
        i += takes_next(option_of(k, k->words[i]), k->words[i]) ? 2 : 1;
    return i;
}

/* Behind the first word of such a verb the user's own command stands. */
static bool in_command(const struct completion *k, int i)
{
    if (!(k->verb->flags & V_RAW))
        return false;
    for (; i + 1 < k->n; i++) {
        if (k->words[i][0] != '-')
            return true;
        if (takes_next(option_of(k, k->words[i]), k->words[i]))
            i++;
    }
    return false;
}

static void complete_argument(struct completion *k, int i)
{
    int at = 0;

    for (; i + 1 < k->n; i++) {
        if (k->words[i][0] != '-')
            at++;
        else if (takes_next(option_of(k, k->words[i]), k->words[i]))
            i++;
    }
    offer_argument(k, at);
}

void complete_words(int n, char **words, struct fl_buf *out)
{
    struct completion k = {.out = out, .before = "", .n = n, .words = words};
    struct cli c = {.describe = take_options, .describe_arg = &k};
    _cleanup_free_ char *before = NULL;
    const struct opt *o;
    int first, used = 0, code;

    if (n < 1)
        return;
    k.part = words[n - 1];
    opt_parse(&c, NULL, 0, 0, NULL, &code);
    first = skip_options(&k);
    if (first < n - 1)
        k.verb = verb_of_words(n - 1 - first, words + first, &used);
    if (k.verb) {
        k.n_opts = 0;
        c.verb = k.verb;
        k.verb->run(&c, 1, (char *[]){(char *)(uintptr_t)k.verb->name, NULL});
    }
    if (k.verb && in_command(&k, first + used))
        return;
    o = n > 1 ? option_of(&k, words[n - 2]) : NULL;
    if (n > 1 && takes_next(o, words[n - 2])) {
        offer_value(&k, o);
    } else if (k.part[0] == '-' && strchr(k.part, '=')) {
        o = option_of(&k, k.part);
        k.before = before = xstrndup(k.part, strcspn(k.part, "=") + 1);
        k.part += strlen(before);
        if (o)
            offer_value(&k, o);
    } else if (k.part[0] == '-') {
        offer_options(&k);
    } else {
        offer_verbs(&k, first);
        if (k.verb)
            complete_argument(&k, first + used);
    }
}
