/* fairlead: the command line. See cli.h. */
#include <stdio.h>

#include "cli/cli.h"

static void usage(FILE *f)
{
    fprintf(f, "usage: fairlead VERB [OPTIONS] ...\n\n");
    for (size_t i = 0; i < cli_verbs_n; i++)
        fprintf(f, "  %-11s %s\n", cli_verbs[i].name, cli_verbs[i].help);
    fprintf(f,
            "\nEvery verb takes --master HOST:PORT (or FAIRLEAD_MASTER; default " CLI_DEFAULT_MASTER
            "), --json and --help.\nWho asks is in the file that FAIRLEAD_LOGIN names, where the "
            "cluster wants to "
            "know.\n");
}

static int load_credential(struct fl_err *err)
{
    const char *path = getenv("FAIRLEAD_LOGIN");

    if (!path || !*path)
        return 0;
    int r = http_credential_read(path, &cli_credential, err);
    return r < 0 ? fl_err_wrap(err, "FAIRLEAD_LOGIN") : 0;
}

int main(int argc, char **argv)
{
    struct cli c = {.program = argv[0], .master = getenv("FAIRLEAD_MASTER")};

    struct fl_err err = {0};
    int status;

    if (!c.master || !*c.master)
        c.master = CLI_DEFAULT_MASTER;
    if (argc < 2) {
        usage(stderr);
        return CLI_USAGE;
    }
    if (streq(argv[1], "--help") || streq(argv[1], "-h") || streq(argv[1], "help")) {
        usage(stdout);
        return CLI_OK;
    }
    const struct verb *v = verb_find(streq(argv[1], "--version") ? "version" : argv[1]);
    if (!v) {
        fprintf(stderr, "fairlead: there is no verb '%s'; `fairlead help` lists them\n", argv[1]);
        return CLI_USAGE;
    }
    if (load_credential(&err) < 0)
        return cli_fail(&err);
    status = v->run(&c, argc - 1, argv + 1);
    http_credential_done(&cli_credential);
    return status;
}
