/* Prints what the tables of the command line say (`make docs`; `make lint` compares):
 *   gen_cli_doc md     docs/cli.md, after tools/cli_head.md
 *   gen_cli_doc man    docs/man/fairlead.1
 * Options are learnt from the verbs themselves: each hands them over instead of running (struct cli.describe). */
#include <stdio.h>

#include "cli/cli.h"

static void describe_with(const struct verb *v,
                          void (*fn)(const struct cli *c, const struct opt *opts, size_t n,
                                     void *arg))
{
    struct cli c = {.program = "fairlead", .verb = v, .describe = fn};
    char *argv[] = {(char *)(uintptr_t)v->name, NULL};

    v->run(&c, 1, argv);
}

/* ---- markdown ---- */

static void md_text(const char *s)
{
    for (; *s; s++) {
        if (*s == '|' || *s == '<')
            putchar('\\');
        putchar(*s);
    }
}

static void md_options(const struct cli *c, const struct opt *opts, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++) {
        printf("%s| `", i ? "" : "\n| option | |\n|---|---|\n");
        if (opts[i].letter)
            printf("-%c`, `", opts[i].letter);
        printf("%s` | ", opts[i].name);
        md_text(opts[i].help);
        printf(" |\n");
    }
}

static void md_common(const char *title, unsigned flags)
{
    const struct verb v = {.flags = flags};
    struct cli c = {.verb = &v};
    struct opt opts[CLI_COMMON_MAX];

    printf("\n%s\n", title);
    md_options(&c, opts, opt_common(&c, opts), NULL);
}

static void print_md(void)
{
    printf("## Exit codes\n\n| code | meaning |\n|---|---|\n");
#define EXIT(name, number, meaning) printf("| %d | %s |\n", number, meaning);
#include "cli/exit_codes.def"
#undef EXIT
    printf("\n`run` and `exec` end with the code of the command, or 128 and the number of the "
           "signal that ended "
           "it.\n\n## Environment\n\n| variable | meaning |\n|---|---|\n");
#define ENVIRONMENT(name, meaning) printf("| `%s` | %s |\n", name, meaning);
#include "cli/environment.def"
#undef ENVIRONMENT
    printf("\n## Options of many verbs\n");
    md_common("Of lists:", V_LISTS | V_LOCAL | V_RAW);
    md_common("Of verbs that cannot be taken back:", V_ASKS | V_LOCAL | V_RAW);
    md_common("Of all that ask a cluster (`--json` not of `run` and `exec`):", 0);
    printf("\n## Verbs\n");
    for (size_t i = 0; i < cli_verbs_n; i++) {
        const struct verb *v = &cli_verbs[i];
        if (v->flags & V_HIDDEN)
            continue;
        printf("\n### `fairlead %s%s%s`\n\n%s%s%s\n", v->name, *v->usage ? " " : "", v->usage,
               v->help, *v->more ? " " : "", v->more);
        describe_with(v, md_options);
    }
}

/* ---- mdoc ---- */

/* Each sentence begins a line; nothing in the text is taken for a request. */
static void man_text(const char *s)
{
    bool open = false, begin = true;

    for (; *s; s++) {
        if (begin && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        begin = false;
        if (*s == '`') {
            fputs(open ? "\\(cq" : "\\(oq", stdout);
            open = !open;
        } else if (*s == '\\') {
            fputs("\\e", stdout);
        } else if (*s == '.' && s[1] == ' ' && !open) {
            fputs(".\n", stdout);
            begin = true;
            s++;
        } else {
            putchar(*s);
        }
    }
    putchar('\n');
}

static void man_options(const struct cli *c, const struct opt *opts, size_t n, void *arg)
{
    if (n)
        puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < n; i++) {
        const char *name = opts[i].name + 1;
        size_t len = strcspn(name, " [");
        printf(".It ");
        if (opts[i].letter)
            printf("Fl %c , ", opts[i].letter);
        printf("Fl %.*s", (int)len, name);
        if (name[len] == '[')
            printf(" Ns Op = Ns Ar SECONDS");
        else if (name[len])
            printf(" Ar%s", name + len);
        putchar('\n');
        man_text(opts[i].help);
    }
    if (n)
        puts(".El");
}

static void man_common(const char *title, unsigned flags)
{
    const struct verb v = {.flags = flags};
    struct cli c = {.verb = &v};
    struct opt opts[CLI_COMMON_MAX];

    printf(".Pp\n%s\n", title);
    man_options(&c, opts, opt_common(&c, opts), NULL);
}

static void man_head(void)
{
    fputs(
        ".\\\" Made from cli/*.def and the tables of options by make docs.\n.Dd November 21, 2026\n"
        ".Dt FAIRLEAD 1\n.Os\n.Sh NAME\n.Nm fairlead\n.Nd work with a Fairlead cluster\n"
        ".Sh SYNOPSIS\n.Nm\n.Op Fl -context Ar CONTEXT | Fl -master Ar URL\n.Ar verb\n"
        ".Op Ar options\n.Op Ar words ...\n"
        ".Sh DESCRIPTION\n.Nm\nasks the leading master of a cluster, and agents, and prints what "
        "they answer.\nThe cluster is that of\n.Fl -master\nor\n.Fl -context ,\nof "
        "the environment, of the current context in the configuration file, or "
        "127.0.0.1:5050.\nSeveral masters are written with commas and tried in turn.\n.Pp\n"
        "An agent, framework or task is named by its id, by the beginning of its id when only one "
        "begins so, or by what follows the last\n.Sq -\nof the id.\n"
        "Agents are also known by their host, frameworks by their name.\n.Pp\n"
        "Tables fit the terminal: the widest columns are shortened.\nElsewhere nothing is.\n"
        ".Pp\nAgents are asked at their own address, and through the master when they do not "
        "answer there.\n.Ss Options of many verbs\n",
        stdout);
    man_common("Of lists:", V_LISTS | V_LOCAL | V_RAW);
    man_common("Of verbs that cannot be taken back, which ask on a terminal:",
               V_ASKS | V_LOCAL | V_RAW);
    man_common("Of all that ask a cluster:", 0);
}

static void print_man(void)
{
    man_head();
    puts(".Sh VERBS");
    for (size_t i = 0; i < cli_verbs_n; i++) {
        const struct verb *v = &cli_verbs[i];
        if (v->flags & V_HIDDEN)
            continue;
        printf(".Ss %s%s%s\n", v->name, *v->usage ? " " : "", v->usage);
        man_text(v->help);
        if (*v->more)
            man_text(v->more);
        describe_with(v, man_options);
    }
    puts(".Sh ENVIRONMENT\n.Bl -tag -width Ds");
#define ENVIRONMENT(name, meaning)                                                                 \
    printf(".It Ev %s\n", name);                                                                   \
    man_text(meaning);
#include "cli/environment.def"
#undef ENVIRONMENT
    puts(".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.config/fairlead/config\nThe contexts, mode "
         "0600.\nOne that others may write is refused.\n.El\n.Sh EXIT STATUS\n.Bl -tag -width Ds");
#define EXIT(name, number, meaning)                                                                \
    printf(".It %d\n", number);                                                                    \
    man_text(meaning);
#include "cli/exit_codes.def"
#undef EXIT
    puts(
        ".El\n.Pp\n.Cm run\nand\n.Cm exec\nend with the code of the command, or 128 and the number "
        "of the signal that ended it.\n.Sh EXAMPLES\n.Bd -literal\n"
        "fairlead config set-context prod --master https://m1:5050,https://m2:5050\n"
        "fairlead run --cpus 1 --mem 128 -- sh -c 'echo hello'\n"
        "fairlead tasks --state running --watch\n"
        "fairlead logs -f TASK\n"
        "fairlead drain S3 --grace 10m --wait\n"
        "fairlead events -f --type task --json | jq .task_updated.state\n"
        ".Ed\n.Sh SEE ALSO\n.Xr fairlead-agent 8 ,\n.Xr fairlead-master 8");
}

int main(int argc, char **argv)
{
    if (argc > 1 && streq(argv[1], "man"))
        print_man();
    else
        print_md();
    return 0;
}
