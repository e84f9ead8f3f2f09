/* fairlead-loadgen: schedulers that a file declares, at a real master. See docs/loadgen.md. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/base/flags.h"
#include "common/base/log.h"
#include "emulator/load/load.h"

#define PROGRAM "fairlead-loadgen"

struct flags {
    char *master, *until, *then, *json, *html;
    uint64_t frameworks, jobs, tasks, seconds, limit, subscribing, master_pid, emulator_pid;
    bool quiet, check;
};

#define ROW(name, type, def, help, ...)                                                            \
    FL_FLAG_ROW(struct flags, name, type, name, def, 0, help, ##__VA_ARGS__)
/* clang-format off */
static const struct fl_flag rows[] = {
    ROW(master, FLAG_STRING, "127.0.0.1:5050", "The leading master, host:port.")
    ROW(until, FLAG_STRING, "file", "When the work is done: when every task is where the file wants it, or when all are accepted.",
        .check = "file|accepted")
    ROW(then, FLAG_STRING, "exit", "What follows: leave; stay until SIGTERM; or kill all tasks and wait for it.", .check = "exit|hold|kill")
    ROW(frameworks, FLAG_UINT, NULL, "Frameworks of the file's first entry, instead of what it says.", .check = "1..20000")
    ROW(jobs, FLAG_UINT, NULL, "Jobs of the first entry.")
    ROW(tasks, FLAG_UINT, NULL, "Tasks of each job of the first entry.", .check = "1..")
    ROW(seconds, FLAG_DURATION, "0secs", "The work ends after so long; 0secs: when it is done.")
    ROW(limit, FLAG_DURATION, "0secs", "Give up after so long, with status 1; 0secs: never.")
    ROW(subscribing, FLAG_UINT, "64", "Frameworks that subscribe at a time.", .check = "1..")
    ROW(master_pid, FLAG_UINT, "0", "Process id of the master, for its CPU time and memory.")
    ROW(emulator_pid, FLAG_UINT, "0", "The same of the emulator and its children.")
    ROW(json, FLAG_PATH, NULL, "Write the report there as JSON.")
    ROW(html, FLAG_PATH, NULL, "Write the report there as one HTML page.")
    ROW(quiet, FLAG_BOOL, "false", "No lines about progress.")
    ROW(check, FLAG_BOOL, "false", "Read the file, say what it declares, and end.")
};
/* clang-format on */
#undef ROW

static void tell(const struct load_plan *p)
{
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct load_entry *e = &p->entries[i];

        printf("%s: %llu frameworks, %llu jobs of %llu tasks\n", e->name,
               (unsigned long long)e->frameworks, (unsigned long long)e->jobs,
               (unsigned long long)e->tasks);
    }
}

static void override(const struct fl_flags *table, const struct flags *f, struct load_entry *e)
{
    if (fl_flags_given(table, "frameworks"))
        e->frameworks = f->frameworks;
    if (fl_flags_given(table, "jobs"))
        e->jobs = f->jobs;
    if (fl_flags_given(table, "tasks"))
        e->tasks = f->tasks;
}

static int write_file(const char *path, const struct fl_buf *b, struct fl_err *err)
{
    FILE *out = fopen(path, "we");
    bool good;

    if (!out)
        return fl_err_set(err, FL_INVALID, "cannot write '%s'", path);
    good = fwrite(b->data, 1, b->len, out) == b->len;
    good = fclose(out) == 0 && good;
    return good ? 0 : fl_err_set(err, FL_INVALID, "cannot write all of '%s'", path);
}

static int report(const struct flags *f, struct load *l, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT, json = FL_BUF_INIT, html = FL_BUF_INIT;
    int r = 0;

    load_report_text(l, &text);
    fputs(fl_buf_cstr(&text), stdout);
    fflush(stdout);
    if (f->json) {
        load_report_json(l, &json);
        r = write_file(f->json, &json, err);
    }
    if (r == 0 && f->html) {
        load_report_html(l, &html);
        r = write_file(f->html, &html, err);
    }
    return r;
}

/* Two descriptors a framework. */
static void raise_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}

static int work(const struct fl_flags *table, const struct flags *f, const char *path, bool *ret_ok,
                struct fl_err *err)
{
    struct load_options o = {.master = f->master,
                             .until = streq(f->until, "accepted") ? LOAD_UNTIL_ACCEPTED
                                                                  : LOAD_UNTIL_FILE,
                             .then = streq(f->then, "kill")   ? LOAD_THEN_KILL
                                     : streq(f->then, "hold") ? LOAD_THEN_HOLD
                                                              : LOAD_THEN_EXIT,
                             .limit_us = f->limit,
                             .seconds_us = f->seconds,
                             .subscribing = f->subscribing,
                             .master_pid = (int64_t)f->master_pid,
                             .emulator_pid = (int64_t)f->emulator_pid,
                             .quiet = f->quiet};
    _cleanup_(load_plan_freep) struct load_plan *plan = NULL;
    _cleanup_(load_freep) struct load *l = NULL;
    int r = fl_log_open("loadgen", NULL, err);

    if (r == 0)
        r = load_plan_load(path, &plan, err);
    if (r < 0)
        return r;
    override(table, f, &plan->entries[0]);
    *ret_ok = true;
    if (f->check) {
        tell(plan);
        return 0;
    }
    raise_limit();
    r = load_new(plan, &o, &l, err);
    if (r < 0)
        return r;
    load_run(l);
    *ret_ok = load_went_well(l);
    return report(f, l, err);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    bool help = false, version = false, ok = true;
    struct fl_flags *table = NULL;
    struct flags f = {0};
    struct fl_err err = {0};
    int rest = argc;
    int r = fl_flags_new(PROGRAM,
                         "usage: " PROGRAM " WORKLOAD.yaml [FLAGS]\n\nRuns the schedulers that the "
                         "file's list 'workload' declares, and reports what they met.",
                         rows, ARRAY_SIZE(rows), &f, &table, &err);

    /* The file comes first or last. */
    if (r == 0)
        r = fl_flags_parse(table, path ? argc - 1 : argc, path ? argv + 1 : argv, &rest, &help,
                           &version, &err);
    if (r == 0 && !path && rest < argc)
        path = argv[rest++];
    else if (path)
        rest++;
    if (r == 0 && !help && !version && (!path || rest < argc))
        r = fl_err_set(&err, FL_INVALID, "give one file; --help says more");
    if (r == 0 && help) {
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

        fl_flags_help(table, &out);
        fputs(fl_buf_cstr(&out), stdout);
    } else if (r == 0 && version) {
        printf(PROGRAM " %s\n", FL_VERSION);
    } else if (r == 0) {
        r = work(table, &f, path, &ok, &err);
    }
    if (r < 0)
        fprintf(stderr, PROGRAM ": %s\n", err.msg);
    fl_flags_free(table);
    return r < 0 || !ok;
}
