/* Prints docs/flags.md from the daemons' flag tables (`make docs`; `make lint` compares). */
#include <stdio.h>

#include "agent/flags.h"
#include "master/flags.h"

static const char head[] = "# Flags\n"
                           "\n"
                           "Made from `master/flags.def`, `agent/flags.def` and "
                           "`common/base/daemon_flags.def` by `make docs`; edit those.\n"
                           "\n"
                           "A flag is given as `--name=value`, a switch also as `--name` or "
                           "`--no-name`; or by the environment as "
                           "`FAIRLEAD_NAME=value`,\n"
                           "or, for what ran on Mesos before, `MESOS_NAME=value`. The command line "
                           "wins over `FAIRLEAD_`, and that over `MESOS_`.\n"
                           "A value `file:///path` stands for the text in that file, except where "
                           "the type is a path. Durations are written "
                           "`100ms`, `5secs`,\n"
                           "`1.5mins`, `2hrs`, `1days`, `3weeks`; sizes `100B`, `4KB`, `512MB`, "
                           "`1GB`, `2TB` (powers of 1024).\n"
                           "\n"
                           "All flags of Mesos's master and agent are taken. *Replaced* means that "
                           "something else does the work here, *ignored* that "
                           "it\n"
                           "has no meaning here; a daemon says so in one line of its log.\n";

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

int main(void)
{
    struct master_flags m = {0};
    struct agent_flags a = {0};
    fputs(head, stdout);
    return print_table("fairlead-master", master_flags_rows, master_flags_n, &m) |
           print_table("fairlead-agent", agent_flags_rows, agent_flags_n, &a);
}
