/* The table of verbs, and the options of a verb. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

#define VERB(name, fn, usage, help) {name, usage, help, fn},
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

static void help(const char *verb, const struct opt *opts, size_t n)
{
    const struct verb *v = verb_find(verb);

    printf("usage: fairlead %s %s\n\n%s\n\n", v->name, v->usage, v->help);
    for (size_t i = 0; i < n; i++)
        printf("  %-22s %s\n", opts[i].name, opts[i].help);
    printf("  %-22s %s\n", "--master HOST:PORT",
           "the master to ask (FAIRLEAD_MASTER; " CLI_DEFAULT_MASTER ")");
    printf("  %-22s %s\n", "--json", "print JSON where something is listed");
    printf("  %-22s %s\n", "--quiet", "no progress");
}

static int set(const struct opt *o, const char *name, const char *value)
{
    uint64_t count;

    switch (o->type) {
    case OPT_FLAG:
        *(bool *)o->to = true;
        return 0;
    case OPT_TEXT:
        *(const char **)o->to = value;
        return 0;
    case OPT_NUMBER:
        if (fl_parse_f64(value, o->to) == 0 && *(double *)o->to >= 0)
            return 0;
        return cli_failf("%s takes a number that is not negative, not '%s'", name, value);
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

/* The option that `word` names, which may be "--name=value" (then *ret_value). */
static const struct opt *find(const struct opt *opts, size_t n, const char *word,
                              const char **ret_value)
{
    size_t len = strcspn(word, "=");

    *ret_value = word[len] ? word + len + 1 : NULL;
    for (size_t i = 0; i < n; i++) {
        /* The name in the table may show its argument: "--cpus N". */
        size_t m = strcspn(opts[i].name, " ");
        if (m == len && strncmp(opts[i].name, word, len) == 0)
            return &opts[i];
    }
    return NULL;
}

int opt_parse(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
              bool *ret_help)
{
    const struct opt common[] = {
        {"--master", OPT_TEXT, &c->master, ""},
        {"--json", OPT_FLAG, &c->json, ""},
        {"--quiet", OPT_FLAG, &c->quiet, ""},
    };
    int i;

    *ret_help = false;
    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *value;
        if (streq(argv[i], "--"))
            return i + 1;
        if (streq(argv[i], "--help")) {
            help(argv[0], opts, n);
            *ret_help = true;
            return -1;
        }
        const struct opt *o = find(opts, n, argv[i], &value);
        if (!o)
            o = find(common, ARRAY_SIZE(common), argv[i], &value);
        if (!o) {
            cli_failf("`%s` has no option '%s'; see `fairlead %s --help`", argv[0], argv[i],
                      argv[0]);
            return -1;
        }
        const char *name = argv[i];
        if (o->type != OPT_FLAG && !value) {
            if (i + 1 >= argc) {
                cli_failf("%s wants a value", name);
                return -1;
            }
            value = argv[++i];
        }
        if (set(o, name, value) != 0)
            return -1;
    }
    return i;
}

int opt_no_words(int argc, char **argv, int i)
{
    if (i >= argc)
        return CLI_OK;
    cli_failf("`%s` does not know what to do with '%s'", argv[0], argv[i]);
    return CLI_USAGE;
}

int cli_failf(const char *fmt, ...)
{
    va_list ap;

    fputs("fairlead: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return CLI_FAILED;
}

int cli_fail(const struct fl_err *err)
{
    return cli_failf("%s", err->msg);
}
