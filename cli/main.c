/* fairlead: the command line. See cli.h. */
#include <locale.h>
#include <stdio.h>

#include "cli/connection.h"
#include "cli/watch.h"

static int unknown(int argc, char **argv, int i)
{
    bool group = false;

    for (size_t k = 0; k < cli_verbs_n; k++)
        group = group || (str_starts(cli_verbs[k].name, argv[i]) &&
                          cli_verbs[k].name[strlen(argv[i])] == ' ');
    if (group && i + 1 < argc)
        return cli_fail_as(CLI_USAGE, "`%s` has no verb '%s'; `fairlead help` lists them", argv[i],
                           argv[i + 1]);
    if (group)
        return cli_fail_as(CLI_USAGE, "`%s` wants a second word; `fairlead help` lists them",
                           argv[i]);
    return cli_fail_as(CLI_USAGE, "there is no verb '%s'; `fairlead help` lists them", argv[i]);
}

/* `fairlead --context x agents` is `fairlead agents --context x`. */
static int run_words(struct cli *c, int argc, char **argv)
{
    static char version[] = "version";
    int words, code, i;

    if (argc > 1 && (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help"))) {
        help_all(stdout);
        return CLI_OK;
    }
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
