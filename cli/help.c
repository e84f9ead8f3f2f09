/* --help: from the tables. */
#include <stdio.h>

#include "cli/cli.h"

static void print_options(const struct opt *opts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[64];
        fl_snprintf(name, sizeof(name), "%s%c%s%s", opts[i].letter ? "-" : "",
                    opts[i].letter ? opts[i].letter : ' ', opts[i].letter ? ", " : "   ",
                    opts[i].name);
        printf("  %-28s %s\n", name, opts[i].help);
    }
}

void help_verb(const struct cli *c, const struct opt *opts, size_t n)
{
    struct cli any = *c;
    struct opt common[CLI_COMMON_MAX];
    size_t n_common = opt_common(&any, common);

    printf("usage: fairlead %s%s%s\n\n%s\n", c->verb->name, *c->verb->usage ? " " : "",
           c->verb->usage, c->verb->help);
    if (*c->verb->more)
        printf("%s\n", c->verb->more);
    if (n) {
        printf("\n");
        print_options(opts, n);
    }
    if (n_common) {
        printf("\nof many verbs:\n");
        print_options(common, n_common);
    }
}

void help_all(FILE *f)
{
    fprintf(f, "usage: fairlead [--context CONTEXT | --master URL] VERB [OPTIONS] ...\n\n");
    for (size_t i = 0; i < cli_verbs_n; i++)
        if (!(cli_verbs[i].flags & V_HIDDEN))
            fprintf(f, "  %-27s %s\n", cli_verbs[i].name, cli_verbs[i].help);
    fprintf(f, "\n`fairlead VERB --help` shows its options. The cluster is that of --master, "
               "FAIRLEAD_MASTER,\nthe current context of `fairlead config`, or " CLI_DEFAULT_MASTER
               ".\n\nexit codes:\n");
#define EXIT(name, number, meaning) fprintf(f, "  %-4d %s\n", number, meaning);
#include "cli/exit_codes.def"
#undef EXIT
}
