/* Prints what the flag tables say (`make docs`; `make lint` compares):
 *   gen_flags_doc md       docs/flags.md
 *   gen_flags_doc master   the manual page of fairlead-master, docs/man/fairlead-master.8
 *   gen_flags_doc agent    that of fairlead-agent */
#include <stdio.h>

#include "agent/flags.h"
#include "master/flags.h"

static const char head[] =
    "# Flags\n"
    "\n"
    "Made from `master/flags.def`, `agent/flags.def` and "
    "`common/base/daemon_flags.def` by `make docs`; edit those.\n"
    "\n"
    "A flag is given as `--name=value`, a switch also as `--name` or "
    "`--no-name`; or by the environment as "
    "`FAIRLEAD_NAME=value`,\n"
    "or, for what ran on Mesos before, `MESOS_NAME=value`. The command line "
    "wins over `FAIRLEAD_`, and that over `MESOS_`,\n"
    "and all three over files: `--flags_file=FILE` has a line `name=value` for each flag, "
    "`--flags_dir=DIR` a file for each flag,\n"
    "called `name`, with the value in it (a switch: an empty file `?name` or `?no-name`). The "
    "directory wins over the file.\n"
    "A value `file:///path` stands for the text in that file, except where "
    "the type is a path. Durations are written "
    "`100ms`, `5secs`,\n"
    "`1.5mins`, `2hrs`, `1days`, `3weeks`; sizes `100B`, `4KB`, `512MB`, "
    "`1GB`, `2TB` (powers of 1024).\n"
    "\n"
    "TLS is set by the environment as in Mesos: `LIBPROCESS_SSL_ENABLED`, "
    "`LIBPROCESS_SSL_CERT_FILE`, "
    "`LIBPROCESS_SSL_KEY_FILE`,\n"
    "`LIBPROCESS_SSL_CA_FILE`, `LIBPROCESS_SSL_CA_DIR`, `LIBPROCESS_SSL_VERIFY_SERVER_CERT`, "
    "`LIBPROCESS_SSL_REQUIRE_CLIENT_CERT`,\n"
    "`LIBPROCESS_SSL_VERIFY_DEPTH`, `LIBPROCESS_SSL_CIPHERS`, `LIBPROCESS_SSL_ENABLE_TLS_V1_0` to "
    "`_V1_3`.\n"
    "\n"
    "All flags of Mesos's master and agent are taken. *Replaced* means that "
    "something else does the work here, *ignored* that "
    "it\n"
    "has no meaning here; a daemon says so in one line of its log.\n";

/* What the manual page says around the flags. */
struct page {
    const char *name, *title, *what, *description, *files, *see;
    const struct fl_flag *rows;
    size_t n;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct fl_flag *const *)a)->name,
                  (*(const struct fl_flag *const *)b)->name);
}

static int print_table(const char *title, const struct fl_flag *rows, size_t n, void *values)
{
    struct fl_flags *f = NULL;
    struct fl_err err = {0};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    if (fl_flags_new(title, NULL, rows, n, values, &f, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    fl_flags_markdown(f, &out);
    printf("\n## %s\n\n%s", title, fl_buf_cstr(&out));
    fl_flags_free(f);
    return 0;
}

/* Text as mdoc: each sentence begins a line, and nothing in it is taken for a request. */
static void print_text(const char *text)
{
    for (const char *p = text; *p; p++) {
        bool sentence_ends = (*p == '.' || *p == ';') && p[1] == ' ' && p[2];
        if (*p == '\\')
            fputs("\\e", stdout);
        else
            putchar(*p);
        if (sentence_ends && *p == '.') {
            putchar('\n');
            p++;
        }
    }
    putchar('\n');
}

static void print_flag(const struct fl_flag *row)
{
    if (row->type == FLAG_BOOL)
        printf(".It Fl -%s , Fl -no-%s", row->name, row->name);
    else
        printf(".It Fl -%s Ns = Ns Ar value", row->name);
    if (row->alias)
        printf(" , Fl -%s", row->alias);
    putchar('\n');
    if (row->offset == (size_t)-1)
        puts(row->opts & FLAG_IGNORED ? "Ignored:" : "Replaced:");
    print_text(row->help);
    if (row->def && *row->def)
        printf("Default: %s.\n", row->def);
    if (row->opts & FLAG_REQUIRED)
        puts("Required.");
    if (row->env)
        printf("Environment:\n.Ev %s .\n", row->env);
}

static int print_page(const struct page *p)
{
    _cleanup_free_ const struct fl_flag **rows = xcalloc(p->n, sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (!(p->rows[i].opts & FLAG_HIDDEN))
            rows[n++] = &p->rows[i];
    }
    qsort(rows, n, sizeof(*rows), compare_names);
    printf(".\\\" Made from the flag tables by make docs.\n.Dd November 21, 2026\n.Dt %s 8\n.Os\n",
           p->title);
    printf(".Sh NAME\n.Nm %s\n.Nd %s\n.Sh SYNOPSIS\n.Nm\n.Op Fl -name Ns = Ns Ar value ...\n",
           p->name, p->what);
    printf(".Sh DESCRIPTION\n%s.Pp\n", p->description);
    puts("A flag is given on the command line or as the environment variable\n.Ev "
         "FAIRLEAD_NAME\nor\n.Ev MESOS_NAME ;\n"
         "the command line wins, then the first.\n"
         "Files can hold more of them,\n.Fl -flags_file\nand\n.Fl -flags_dir ;\nthose win over "
         "defaults only.\n"
         "A value\n.Pa file:///path\nstands for the text in that file.\n"
         "Durations are written 100ms, 5secs, 1.5mins, 2hrs, 1days, 3weeks; sizes 100B, 4KB, "
         "512MB, 1GB, 2TB.\n"
         ".Bl -tag -width Ds\n.It Fl -help\nShow all flags and exit.\n.It Fl -version\nShow the "
         "version and exit.");
    for (size_t i = 0; i < n; i++)
        print_flag(rows[i]);
    printf(".El\n.Sh SIGNALS\n.Bl -tag -width Ds\n.It Dv SIGHUP\nOpen the log file again, after "
           "rotation.\n"
           ".It Dv SIGTERM , SIGINT\nEnd in good order.\n.El\n");
    printf(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev LIBPROCESS_SSL_ENABLED\nSpeak TLS, with\n"
           ".Ev LIBPROCESS_SSL_CERT_FILE ,\n.Ev LIBPROCESS_SSL_KEY_FILE ,\n.Ev "
           "LIBPROCESS_SSL_CA_FILE\nand the other "
           "variables of Mesos.\n.El\n");
    printf(".Sh FILES\n%s.Sh EXIT STATUS\n.Ex -std\n.Sh SEE ALSO\n%s", p->files, p->see);
    return 0;
}

int main(int argc, char **argv)
{
    struct page master = {
        .name = "fairlead-master",
        .title = "FAIRLEAD-MASTER",
        .what = "master of a Fairlead cluster",
        .description = "The master offers the free resources of all agents to frameworks in the "
                       "order of Dominant Resource\n"
                       "Fairness, forwards their tasks to the agents, and keeps the registry of "
                       "admitted agents.\n"
                       "It speaks the HTTP APIs of Apache Mesos on one port.\n",
        .files = ".Bl -tag -width Ds\n.It Pa work_dir/registry\nThe registry.\n.El\n",
        .see = ".Xr fairlead 1 ,\n.Xr fairlead-agent 8\n",
        .rows = master_flags_rows,
        .n = master_flags_n,
    };
    struct page agent = {
        .name = "fairlead-agent",
        .title = "FAIRLEAD-AGENT",
        .what = "agent of a Fairlead cluster",
        .description = "The agent offers the resources of its machine to a master and runs tasks "
                       "in containers.\n"
                       "Tasks live on while it is restarted.\n"
                       "It speaks the HTTP APIs of Apache Mesos on one port.\n",
        .files = ".Bl -tag -width Ds\n.It Pa work_dir/meta\nCheckpoints.\n.It Pa "
                 "work_dir/slaves\nSandboxes.\n"
                 ".It Pa runtime_dir\nWhat is known of running containers.\n.El\n",
        .see = ".Xr fairlead 1 ,\n.Xr fairlead-master 8\n",
        .rows = agent_flags_rows,
        .n = agent_flags_n,
    };
    struct master_flags m = {0};
    struct agent_flags a = {0};
    const char *what = argc > 1 ? argv[1] : "md";
    if (streq(what, "master"))
        return print_page(&master);
    if (streq(what, "agent"))
        return print_page(&agent);
    fputs(head, stdout);
    return print_table("fairlead-master", master_flags_rows, master_flags_n, &m) |
           print_table("fairlead-agent", agent_flags_rows, agent_flags_n, &a);
}
