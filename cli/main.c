/* fairlead: the command line. See cli.h. */
#include <locale.h>
#include <stdio.h>

#include "cli/connection.h"
#include "cli/watch.h"

/* The second words of a group: "schedule, add, remove". */
static void add_group(const char *group, struct fl_buf *out)
{
    size_t n = strlen(group);

    for (size_t k = 0; k < cli_verbs_n; k++)
        if (str_starts(cli_verbs[k].name, group) && cli_verbs[k].name[n] == ' ')
            fl_buf_addf(out, "%s%s", out->len ? ", " : "", cli_verbs[k].name + n + 1);
}

static int unknown(int argc, char **argv, int i)
{
    _cleanup_buf_ struct fl_buf group = FL_BUF_INIT;

    add_group(argv[i], &group);
    if (group.len && i + 1 < argc)
        return cli_fail_as(CLI_USAGE, "`%s` has no verb '%s': %s", argv[i], argv[i + 1],
                           fl_buf_cstr(&group));
    if (group.len)
        return cli_fail_as(CLI_USAGE, "`%s` wants a second word: %s", argv[i], fl_buf_cstr(&group));
    return cli_fail_as(CLI_USAGE, "there is no verb '%s'; `fairlead help` lists them", argv[i]);
}

/* `fairlead help quota set` is `fairlead quota set --help`. */
static int help(struct cli *c, int argc, char **argv)
{
    static char option[] = "--help";
    int words;

    if (argc < 3) {
        help_all(stdout);
        return CLI_OK;
    }
    c->verb = verb_of_words(argc - 2, argv + 2, &words);
    if (!c->verb)
        return unknown(argc, argv, 2);
    char *name = xstrdup(c->verb->name);
    int code = c->verb->run(c, 2, (char *[]){name, option, NULL});
    free(name);
    return code;
}

/* `fairlead --context x agents` is `fairlead agents --context x`. */
static int run_words(struct cli *c, int argc, char **argv)
{
    static char version[] = "version";
    int words, code, i;

    if (argc > 1 && (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help")))
        return help(c, argc, argv);
    if (argc > 1 && streq(argv[1], "--version"))
        argv[1] = version;
    i = opt_parse(c, NULL, 0, argc, argv, &code);
    if (i < 0)
        return code;
    if (i >= argc) {
        help_all(stderr);
        return CLI_USAGE;
    }
    c->verb = verb_of_words(argc - i, argv + i, &words);
    if (!c->verb)
        return unknown(argc, argv, i);
    _cleanup_free_ char *name = xstrdup(c->verb->name);
    argv[i + words - 1] = name;
    return watch_verb(c, argc - i - words + 1, argv + i + words - 1);
}

int main(int argc, char **argv)
{
    struct cli c = {.program = argv[0]};

    /* For the widths of characters; what the terminal shows is its own matter. */
    setlocale(LC_CTYPE, "C.UTF-8");
    int code = run_words(&c, argc, argv);
    connection_free(c.connection);
    if (fflush(stdout) != 0 || ferror(stdout))
        code = code ? code : CLI_FAILED;
    return code;
}
