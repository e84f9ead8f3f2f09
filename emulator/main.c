/* fairlead-emulator: a cluster that its file declares, as agents of a real master. See docs/emulator.md. */
#include <stdio.h>

#include "common/base/log.h"
#include "emulator/supervisor.h"
#include "emulator/verbs.h"

#define PROGRAM "fairlead-emulator"

struct flags {
    char *master, *first_address, *control, *at, *logging_level;
    uint64_t port, connecting, connect_rate, report, workers;
    bool check, print_domain, print_agents;
};

#define ROW(name, type, def, help, ...)                                                            \
    FL_FLAG_ROW(struct flags, name, type, name, def, 0, help, ##__VA_ARGS__)
/* clang-format off */
static const struct fl_flag rows[] = {
    ROW(master, FLAG_STRING, "127.0.0.1:5050", "The master, as fairlead-agent takes it.")
    ROW(first_address, FLAG_STRING, "127.64.0.1",
        "Source address of the first agent; each other has the next one. For a master outside of 127.0.0.0/8 it is only what "
        "agents say of themselves.")
    ROW(port, FLAG_UINT, "5051", "The port that agents say they listen on. Nobody does.", .check = "1..65535")
    ROW(connecting, FLAG_UINT, "256", "How many agents connect at a time.", .check = "1..")
    ROW(connect_rate, FLAG_UINT, "20000", "How many agents begin to connect a second, at most; 0 for no limit.")
    ROW(workers, FLAG_UINT, "0", "Processes that carry the agents; 0: as many as they need, at least one for 15000.", .check = "0..512")
    ROW(control, FLAG_STRING, "127.0.0.1:0",
        "Where commands are taken while it runs; it says at which port when this is 0. Whoever can connect may give them. Empty: nowhere.")
    ROW(at, FLAG_STRING, "", "Where one that runs is controlled: for the verbs.")
    ROW(report, FLAG_DURATION, "10secs", "Time between lines of numbers; 0secs for none.")
    ROW(logging_level, FLAG_STRING, "ERROR", "Least level of what the agents log: INFO, WARNING or ERROR.")
    ROW(print_domain, FLAG_BOOL, "false", "Write the fault domain that suits the master, as its --domain takes it, or nothing; and end.")
    ROW(print_agents, FLAG_BOOL, "false", "Write how many agents the file declares, and end.")
    ROW(check, FLAG_BOOL, "false", "Read the file, say what it declares, and end.")
};
/* clang-format on */
#undef ROW

static int fail(const struct fl_err *err)
{
    fprintf(stderr, PROGRAM ": %s\n", err->msg);
    return 1;
}

/* A master without a fault domain takes no agents that have one, and who is not aware of regions is offered only agents of the master's
 * own. */
static bool domain_of_master(const struct emu_cluster *c, struct fl_buf *out)
{
    for (size_t i = 0; i < c->n_groups; i++) {
        const struct emu_place *p = &c->groups[i].places[0];

        if (!p->region)
            continue;
        fl_buf_addf(out,
                    "{\"fault_domain\":{\"region\":{\"name\":\"%s\"},\"zone\":{\"name\":\"%s\"}}}",
                    p->region, p->zone);
        return true;
    }
    return false;
}

static void tell(const struct emu_cluster *c)
{
    _cleanup_buf_ struct fl_buf domain = FL_BUF_INIT;

    printf("%s: %llu agents\n", c->name ? c->name : "cluster",
           (unsigned long long)emu_cluster_count(c));
    for (size_t i = 0; i < c->n_groups; i++)
        printf("  %llu x %s: %s\n", (unsigned long long)c->groups[i].count, c->groups[i].name,
               c->groups[i].resources);
    if (domain_of_master(c, &domain))
        printf("  the master must have a fault domain, such as --domain='%s'\n",
               fl_buf_cstr(&domain));
    fflush(stdout);
}

static int print_domain(const struct emu_cluster *c)
{
    _cleanup_buf_ struct fl_buf domain = FL_BUF_INIT;

    if (domain_of_master(c, &domain))
        printf("%s\n", fl_buf_cstr(&domain));
    return 0;
}

static int work(const struct flags *f, const char *path, struct fl_err *err)
{
    const struct emu_options o = {.master = f->master,
                                  .first_address = f->first_address,
                                  .port = f->port,
                                  .connecting = f->connecting,
                                  .connect_rate = f->connect_rate,
                                  .workers = f->workers,
                                  .control = f->control,
                                  .report_us = f->report};
    _cleanup_(emu_cluster_freep) struct emu_cluster *c = NULL;
    enum fl_log_level level;
    int r;

    if (fl_log_parse_level(f->logging_level, &level) < 0)
        return fl_err_set(err, FL_INVALID, "--logging_level: there is no level '%s'",
                          f->logging_level);
    r = fl_log_open("emulator", NULL, err);
    if (r == 0)
        r = emu_cluster_load(path, &c, err);
    if (r < 0)
        return r;
    if (f->print_domain)
        return print_domain(c);
    if (f->print_agents) {
        printf("%llu\n", (unsigned long long)emu_cluster_count(c));
        return 0;
    }
    fl_log_set_level(level);
    tell(c);
    return f->check ? 0 : emu_supervise(c, &o, err);
}

static int run(const struct flags *f, const char *path, int argc, char **argv, struct fl_err *err)
{
    if (*f->at && !path)
        return emu_verb(f->at, argc, argv, err);
    if (!path && argc == 1)
        path = argv[0];
    else if (!path || argc > 0)
        return fl_err_set(err, FL_INVALID, "give one file; --help says more");
    return work(f, path, err);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    bool help = false, version = false;
    struct fl_flags *table = NULL;
    struct flags f = {0};
    struct fl_err err = {0};
    int rest = argc, status = 0;
    int r = fl_flags_new(PROGRAM,
                         "usage: " PROGRAM " CLUSTER.yaml [FLAGS]\n" EMU_VERBS_HELP
                         "\nRegisters the agents that the file declares with a master, until it is "
                         "asked to end.",
                         rows, ARRAY_SIZE(rows), &f, &table, &err);

    /* The file comes first or last. */
    if (path) {
        argc--;
        argv++;
    }
    if (r == 0)
        r = fl_flags_parse(table, argc, argv, &rest, &help, &version, &err);
    if (r == 0 && help) {
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

        fl_flags_help(table, &out);
        fputs(fl_buf_cstr(&out), stdout);
    } else if (r == 0 && version) {
        printf(PROGRAM " %s\n", FL_VERSION);
    } else if (r == 0) {
        r = run(&f, path, argc - rest, argv + rest, &err);
    }
    if (r < 0)
        status = fail(&err);
    fl_flags_free(table);
    return status;
}
