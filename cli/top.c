/* `fairlead top`: what containers use, agent by agent, from two looks at each agent's measurements. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/find.h"
#include "cli/terminal.h"

#define DEFAULT_EVERY_S 2.0
#define FIRST_LOOK_S    1.0
#define MIB             1048576.0

/* One container at the last look. */
struct usage {
    char *key; /* agent and container; owned */
    double cpu_s, timestamp;
};

struct row {
    char *task, *framework, *agent; /* owned */
    double cpu, cpu_limit;          /* cores */
    double mem, mem_limit;          /* MiB */
    double processes;
};

struct top {
    struct cli *cli;
    const char *agent; /* only this one's; its id, host or NULL */
    bool by_memory;
    struct usage *last; /* sorted by key */
    size_t n_last;
    struct usage *now;
    size_t n_now, cap_now;
    struct row *rows;
    size_t n_rows, cap_rows;
    unsigned n_agents, n_silent;
};

static void usages_free(struct usage *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i].key);
    free(v);
}

static void rows_free(struct top *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        free(t->rows[i].task);
        free(t->rows[i].framework);
        free(t->rows[i].agent);
    }
    t->n_rows = 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct usage *)a)->key, ((const struct usage *)b)->key);
}

/* Cores since the last look; negative: it was not there. */
static double cores(const struct top *t, const struct usage *u)
{
    const struct usage *before =
        t->last ? bsearch(u, t->last, t->n_last, sizeof(*u), by_key) : NULL;

    if (!before || u->timestamp <= before->timestamp)
        return -1;
    return (u->cpu_s - before->cpu_s) / (u->timestamp - before->timestamp);
}

static void add_container(struct top *t, const char *agent, const char *host, const json_t *c)
{
    const json_t *s = json_object_get(c, "statistics");

    if (!s)
        return;
    t->now = xgrow(t->now, &t->cap_now, t->n_now + 1, sizeof(*t->now));
    t->rows = xgrow(t->rows, &t->cap_rows, t->n_rows + 1, sizeof(*t->rows));
    struct usage *u = &t->now[t->n_now++];
    *u = (struct usage){.key = xasprintf("%s %s", agent, jstr(c, "container_id")),
                        .cpu_s = jnum(s, "cpus_user_time_secs") + jnum(s, "cpus_system_time_secs"),
                        .timestamp = jnum(s, "timestamp")};
    t->rows[t->n_rows++] =
        (struct row){.task = xstrdup(jstr(c, "executor_id")),
                     .framework = xstrdup(jstr(c, "framework_id")),
                     .agent = xstrdup(host),
                     .cpu = cores(t, u),
                     .cpu_limit = jnum(s, "cpus_limit"),
                     .mem = jnum(s, "mem_total_bytes") > 0 ? jnum(s, "mem_total_bytes") / MIB
                                                           : jnum(s, "mem_rss_bytes") / MIB,
                     .mem_limit = jnum(s, "mem_limit_bytes") / MIB,
                     .processes = jnum(s, "processes")};
}

static void look_at(struct top *t, const json_t *agent)
{
    const char *address = agent_address_of(agent), *id = jstr(agent, "id");
    _cleanup_peer_ struct peer peer = {0};
    _cleanup_json_ json_t *list = NULL;
    struct fl_err err = {0};
    json_t *c;
    size_t i;

    t->n_agents++;
    if (!address || cli_agent_peer(t->cli, id, address, &peer, &err) < 0 ||
        cli_get_json(t->cli, &peer, "/containers", &list, &err) < 0) {
        t->n_silent++;
        return;
    }
    json_array_foreach(list, i, c)
    {
        add_container(t, id, jstr(agent, "hostname"), c);
    }
}

static int look(struct top *t)
{
    _cleanup_json_ json_t *agents = NULL;
    json_t *a = NULL;
    size_t i;
    int code;

    rows_free(t);
    t->n_agents = t->n_silent = 0;
    if (t->agent) {
        code = find_agent(t->cli, t->agent, &a);
        agents = json_pack("[o*]", a);
    } else {
        code = cli_get_list(t->cli, "/slaves", "slaves", &agents);
    }
    if (code)
        return code;
    json_array_foreach(agents, i, a)
    {
        look_at(t, a);
    }
    qsort(t->now, t->n_now, sizeof(*t->now), by_key);
    usages_free(t->last, t->n_last);
    t->last = t->now;
    t->n_last = t->n_now;
    t->now = NULL;
    t->n_now = t->cap_now = 0;
    return CLI_OK;
}

static int by_cpu(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->cpu != y->cpu ? (x->cpu < y->cpu) - (x->cpu > y->cpu) : strcmp(x->task, y->task);
}

static int by_mem(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->mem != y->mem ? (x->mem < y->mem) - (x->mem > y->mem) : strcmp(x->task, y->task);
}

static void print_json(const struct top *t)
{
    _cleanup_json_ json_t *all = json_array();

    for (size_t i = 0; i < t->n_rows; i++) {
        const struct row *r = &t->rows[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:i}", "task",
                                             r->task, "framework", r->framework, "agent", r->agent,
                                             "cpus", r->cpu < 0 ? 0 : r->cpu, "cpus_limit",
                                             r->cpu_limit, "mem", r->mem, "mem_limit", r->mem_limit,
                                             "processes", (int)r->processes));
    }
    cli_print_json(all);
}

/* `most` rows, 0: all. */
static void print(struct top *t, size_t most)
{
    static const char *const heads[] = {"TASK", "CPU",       "OF",    "MEM",      "OF",
                                        "%",    "PROCESSES", "AGENT", "FRAMEWORK"};
    struct table *table = table_new(heads, ARRAY_SIZE(heads));

    for (size_t i = 0; i < t->n_rows && (most == 0 || i < most); i++) {
        const struct row *r = &t->rows[i];
        table_cell(table, "%s", r->task);
        if (r->cpu < 0)
            table_cell(table, "-");
        else
            table_cell(table, "%.2f", r->cpu);
        table_cell(table, "%g", r->cpu_limit);
        table_cell(table, "%.1f", r->mem);
        table_cell(table, "%g", r->mem_limit);
        table_cell(table, "%.0f", r->mem_limit > 0 ? 100 * r->mem / r->mem_limit : 0);
        table_cell(table, "%.0f", r->processes);
        table_cell(table, "%s", r->agent);
        table_cell(table, "%s", r->framework);
    }
    table_print(t->cli, table);
    if (t->n_silent)
        printf("%u of %u agents do not answer\n", t->n_silent, t->n_agents);
}

static void rest(double seconds)
{
    const struct timespec ts = {.tv_sec = (time_t)seconds,
                                .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&ts, NULL);
}

static int run(struct top *t, bool once, double every)
{
    unsigned rows, columns;
    int code = look(t);

    for (double wait = FIRST_LOOK_S; code == CLI_OK; wait = every) {
        rest(wait);
        code = look(t);
        if (code)
            return code;
        if (t->n_rows)
            qsort(t->rows, t->n_rows, sizeof(*t->rows), t->by_memory ? by_mem : by_cpu);
        if (t->cli->json) {
            print_json(t);
        } else if (once || !terminal_size(&rows, &columns)) {
            print(t, 0);
        } else {
            printf("\033[H\033[2J%zu containers on %u agents; Ctrl-C ends this\n", t->n_rows,
                   t->n_agents);
            print(t, rows > 4 ? rows - 4 : 1);
        }
        fflush(stdout);
        if (once)
            break;
    }
    return code;
}

int verb_top(struct cli *c, int argc, char **argv)
{
    struct top t = {.cli = c};
    bool once = !terminal_is(STDOUT_FILENO);
    double every = DEFAULT_EVERY_S;
    const struct opt opts[] = {
        {"--once", OPT_FLAG, &once, "one picture; where the output is no terminal, always", 0},
        {"--every SECONDS", OPT_NUMBER, &every, "time between two (2)", 0},
        {"--memory", OPT_FLAG, &t.by_memory, "the largest first, not the busiest", 0},
        {"--agent AGENT", OPT_TEXT, &t.agent, "only this agent; its id or host name", 0},
    };
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = run(&t, once || c->json, FL_MAX(every, 0.1));
    rows_free(&t);
    free(t.rows);
    usages_free(t.last, t.n_last);
    return code;
}
