/* The table of verbs, and the options of a verb. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/connection.h"

#define VERB(name, fn, flags, usage, help, more) {name, flags, usage, help, more, fn},
const struct verb cli_verbs[] = {
#include "cli/verbs.def"
};
#undef VERB
const size_t cli_verbs_n = ARRAY_SIZE(cli_verbs);

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < cli_verbs_n; i++)
        if (streq(cli_verbs[i].name, name))
            return &cli_verbs[i];
    return NULL;
}

const struct verb *verb_of_words(int argc, char **argv, int *ret_words)
{
    for (int n = FL_MIN(argc, 3); n > 0; n--) {
        char name[128];
        fl_snprintf(name, sizeof(name), "%s%s%s%s%s", argv[0], n > 1 ? " " : "",
                    n > 1 ? argv[1] : "", n > 2 ? " " : "", n > 2 ? argv[2] : "");
        const struct verb *v = verb_find(name);
        if (v) {
            *ret_words = n;
            return v;
        }
    }
    return NULL;
}

size_t opt_common(struct cli *c, struct opt opts[CLI_COMMON_MAX])
{
    const struct opt connected[] = {
        {"--master URL", OPT_TEXT, &c->master,
         "masters, several with commas: HOST:PORT or https://HOST:PORT", 0},
        {"--context CONTEXT", OPT_TEXT, &c->context, "the cluster of that name (`fairlead config`)",
         0},
        {"--credential-file FILE", OPT_TEXT, &c->credential_file,
         "principal and secret of who asks", 0},
        {"--token-file FILE", OPT_TEXT, &c->token_file, "a token instead", 0},
        {"--ca-file FILE", OPT_TEXT, &c->ca_file,
         "authorities that are trusted, for https (the system's)", 0},
        {"--cert-file FILE", OPT_TEXT, &c->cert_file,
         "certificate of who asks, where one is wanted", 0},
        {"--key-file FILE", OPT_TEXT, &c->key_file, "its private key", 0},
        {"--insecure", OPT_FLAG, &c->insecure, "do not check who answers by https", 0},
        {"--via-master", OPT_FLAG, &c->via_master,
         "ask agents through the master, not at their own address", 0},
        {"--timeout SECONDS", OPT_NUMBER, &c->timeout_s, "how long an answer may take (15)", 0},
        {"--quiet", OPT_FLAG, &c->quiet, "no progress", 'q'},
    };
    const struct opt json[] = {{"--json", OPT_FLAG, &c->json, "print JSON", 0}};
    const struct opt lists[] = {
        {"--wide", OPT_FLAG, &c->wide, "nothing is shortened to fit the terminal", 0},
        {"--no-headers", OPT_FLAG, &c->no_headers, "without the line of heads", 0},
        {"--ids", OPT_FLAG, &c->ids, "only the first column", 0},
        {"--watch[=SECONDS]", OPT_SECONDS, &c->watch_s, "again and again (2)", 'w'},
    };
    const struct opt asks[] = {{"--yes", OPT_FLAG, &c->yes, "do not ask", 'y'}};
    unsigned flags = c->verb ? c->verb->flags : 0;
    size_t n = 0;

#define ADD(list)                                                                                  \
    do {                                                                                           \
        memcpy(opts + n, list, sizeof(list));                                                      \
        n += ARRAY_SIZE(list);                                                                     \
    } while (0)
    if (flags & V_LISTS)
        ADD(lists);
    if (flags & V_ASKS)
        ADD(asks);
    if (!(flags & V_RAW))
        ADD(json);
    if (!(flags & V_LOCAL))
        ADD(connected);
#undef ADD
    return n;
}

static int set_number(const struct opt *o, const char *name, const char *value)
{
    double *to = o->to;

    if (o->type == OPT_SECONDS && !value) {
        *to = 2;
        return 0;
    }
    if (fl_parse_f64(value, to) == 0 && *to >= 0 && *to <= 1e15 &&
        (o->type != OPT_SECONDS || *to > 0))
        return 0;
    return cli_failf("%s takes a number that is not negative, not '%s'", name, value);
}

static int set(const struct opt *o, const char *name, const char *value)
{
    uint64_t count;

    switch (o->type) {
    case OPT_FLAG:
        if (value)
            return cli_failf("%s takes no value", name);
        *(bool *)o->to = true;
        return 0;
    case OPT_TEXT:
        *(const char **)o->to = value;
        return 0;
    case OPT_NUMBER:
    case OPT_SECONDS:
        return set_number(o, name, value);
    case OPT_COUNT:
        if (fl_parse_u64(value, &count) == 0 && count > 0 && count <= 1000000) {
            *(unsigned *)o->to = (unsigned)count;
            return 0;
        }
        return cli_failf("%s takes a whole number from 1 to 1000000, not '%s'", name, value);
    case OPT_LIST: {
        struct opt_list *l = o->to;
        l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
        l->items[l->n++] = value;
        return 0;
    }
    }
    return CLI_USAGE;
}

/* The option that `word` names: "--name", "--name=value" (then *ret_value), "-n". */
static const struct opt *find(const struct opt *opts, size_t n, const char *word,
                              const char **ret_value)
{
    size_t len = strcspn(word, "=");

    *ret_value = word[len] ? word + len + 1 : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t m = strcspn(opts[i].name, " [");
        if (m == len && strncmp(opts[i].name, word, len) == 0)
            return &opts[i];
        if (opts[i].letter && word[0] == '-' && word[1] == opts[i].letter && len == 2)
            return &opts[i];
    }
    return NULL;
}

/* One option at argv[i]; returns how many words it took, or a negative number after having said what is wrong. */
static int take_option(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
                       int i)
{
    struct opt common[CLI_COMMON_MAX];
    size_t n_common = opt_common(c, common);
    const char *value;
    const struct opt *o = find(opts, n, argv[i], &value);
    int took = 1;

    if (!o)
        o = find(common, n_common, argv[i], &value);
    if (!o) {
        if (c->verb)
            cli_failf("`%s` has no option '%s'; see `fairlead %s --help`", argv[0], argv[i],
                      argv[0]);
        else
            cli_failf("there is no option '%s' before the verb; see `fairlead help`", argv[i]);
        return -1;
    }
    if (o->type != OPT_FLAG && o->type != OPT_SECONDS && !value) {
        if (i + 1 >= argc) {
            cli_failf("%s wants a value", argv[i]);
            return -1;
        }
        value = argv[i + 1];
        took = 2;
    }
    return set(o, argv[i], value) == 0 ? took : -1;
}

/* Moves the word at `from` down to `to`; those between keep their order. */
static void move_word(char **argv, int from, int to)
{
    char *word = argv[from];

    memmove(argv + to + 1, argv + to, (size_t)(from - to) * sizeof(*argv));
    argv[to] = word;
}

/* Options to the front, words behind them. Returns where the words begin, or a negative number. */
static int take_all(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
                    bool *ret_help)
{
    bool raw = !c->verb || (c->verb->flags & V_RAW);
    int first = 1; /* of the words, which lie in front of argv[i] */

    for (int i = 1; i < argc;) {
        if (streq(argv[i], "--")) {
            move_word(argv, i, first);
            return first + 1;
        }
        if (argv[i][0] != '-' || !argv[i][1]) {
            if (raw)
                return i;
            i++;
            continue;
        }
        if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
            *ret_help = true;
            return -1;
        }
        int took = take_option(c, opts, n, argc, argv, i);
        if (took < 0)
            return -1;
        for (; took; took--)
            move_word(argv, i++, first++);
    }
    return first;
}

int opt_parse(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv, int *ret_code)
{
    bool help = false;
    int i;

    if (c->describe) {
        c->describe(c, opts, n, c->describe_arg);
        *ret_code = CLI_OK;
        return -1;
    }
    i = take_all(c, opts, n, argc, argv, &help);
    if (help)
        help_verb(c, opts, n);
    if (i < 0) {
        *ret_code = help ? CLI_OK : CLI_USAGE;
        return -1;
    }
    if (c->verb && !(c->verb->flags & V_LOCAL) && !c->connection &&
        connection_new(c, &c->connection, ret_code) < 0)
        return -1;
    return i;
}

int opt_parse_words(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
                    int least, int most, int *ret_code)
{
    int i = opt_parse(c, opts, n, argc, argv, ret_code);

    if (i < 0)
        return i;
    *ret_code = CLI_USAGE;
    if (argc - i < least) {
        cli_failf("something is missing: `fairlead %s %s`", c->verb->name, c->verb->usage);
        return -1;
    }
    if (argc - i > most) {
        cli_failf("`%s` does not know what to do with '%s'", argv[0], argv[i + most]);
        return -1;
    }
    *ret_code = CLI_OK;
    return i;
}
