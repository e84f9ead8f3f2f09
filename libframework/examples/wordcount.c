/* wordcount - a framework with work to do: counts the words below a list of directories, one task a directory, as many at a time as its
 * share of the cluster allows.
 *
 *     ls -d /usr/share/doc/?* | build/examples/wordcount --master 127.0.0.1:5050 --cpus 0.5 --mem 64
 *
 * It shows what hello.c does not: a custom executor (wordcount_executor.c), several tasks on one offer, work that is repeated when a
 * task is lost, and declining when there is nothing left to do.
 */
#include <fairlead/scheduler.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum work_state { WAITING, LAUNCHED, DONE };

struct work {
    char *directory;
    enum work_state state;
    unsigned tries;
};

struct wordcount {
    const char *name;
    double cpus, mem;
    char executor_path[PATH_MAX];
    struct work *works;
    size_t n, next, done, running, peak;
    unsigned long long words;
    const char *failed;
};

enum { MAX_TRIES = 5 };

static void need(bool ok)
{
    if (!ok) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
}

/* The next piece of work, or NULL. Pieces that were lost wait again, so it looks all around. */
static struct work *take_work(struct wordcount *w)
{
    for (size_t looked = 0; looked < w->n; looked++) {
        struct work *x = &w->works[w->next++ % w->n];
        if (x->state == WAITING)
            return x;
    }
    return NULL;
}

static fw_executor_info *make_executor(const struct wordcount *w)
{
    fw_executor_info *e = fw_executor_info_new("wordcount", w->executor_path);

    need(e && fw_executor_info_set_scalar(e, "cpus", 0.1) == 0 &&
         fw_executor_info_set_scalar(e, "mem", 32) == 0);
    return e;
}

static fw_task *make_task(const struct wordcount *w, const struct work *x,
                          const fw_executor_info *executor)
{
    char id[64];
    fw_task *t;

    /* The number of the try makes the id of each launch unique. */
    snprintf(id, sizeof(id), "%s-%zu.%u", w->name, (size_t)(x - w->works), x->tries);
    t = fw_task_new(id, x->directory);
    need(t && fw_task_set_executor(t, executor) == 0 &&
         fw_task_set_scalar(t, "cpus", w->cpus) == 0 && fw_task_set_scalar(t, "mem", w->mem) == 0 &&
         fw_task_set_data(t, x->directory, strlen(x->directory)) == 0);
    return t;
}

static void use_offer(struct wordcount *w, fw_scheduler *s, const fw_offer *offer,
                      fw_executor_info *executor)
{
    /* Room for the executor is set aside whether or not one runs there already. */
    double cpus = fw_offer_scalar(offer, "cpus") - 0.1, mem = fw_offer_scalar(offer, "mem") - 32;
    const char *id = fw_offer_id(offer);
    fw_task *tasks[64];
    struct work *x;
    size_t n = 0;

    while (n < 64 && cpus + 1e-6 >= w->cpus && mem + 1e-6 >= w->mem && (x = take_work(w))) {
        tasks[n++] = make_task(w, x, executor);
        x->state = LAUNCHED;
        cpus -= w->cpus;
        mem -= w->mem;
    }
    if (n == 0) {
        fw_decline(s, &id, 1, w->done + w->running >= w->n ? 3600 : 1);
        return;
    }
    fw_launch(s, offer, tasks, n, 0);
    w->running += n;
    if (w->running > w->peak)
        w->peak = w->running;
    for (size_t i = 0; i < n; i++)
        fw_task_free(tasks[i]);
}

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    struct wordcount *w = arg;
    fw_executor_info *executor = make_executor(w);

    for (size_t i = 0; i < n; i++)
        use_offer(w, s, offers[i], executor);
    fw_executor_info_free(executor);
}

static void finished(struct wordcount *w, struct work *x, const fw_status *status)
{
    size_t n;
    const char *data = fw_status_data(status, &n);
    char text[32] = "";

    if (data && n < sizeof(text))
        memcpy(text, data, n);
    w->words += strtoull(text, NULL, 10);
    w->done++;
    x->state = DONE;
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    struct wordcount *w = arg;
    const char *number = strrchr(fw_status_task_id(status), '-');
    size_t index = number ? strtoull(number + 1, NULL, 10) : w->n;
    struct work *x = index < w->n ? &w->works[index] : NULL;

    if (!x || x->state != LAUNCHED || !fw_task_state_is_terminal(fw_status_state(status)))
        return;
    w->running--;
    if (fw_status_state(status) == FW_TASK_FINISHED) {
        finished(w, x, status);
    } else if (++x->tries < MAX_TRIES) {
        fprintf(stderr, "%s: %s %s, again\n", x->directory,
                fw_task_state_name(fw_status_state(status)), fw_status_message(status));
        x->state = WAITING;
        fw_revive(s, NULL, 0);
    } else {
        w->failed = x->directory;
        fw_scheduler_stop(s, true);
    }
    if (w->done == w->n)
        fw_scheduler_stop(s, true);
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    fprintf(stderr, "the master says: %s\n", message);
}

static void read_directories(struct wordcount *w)
{
    char *line = NULL;
    size_t size = 0, cap = 0;
    ssize_t n;

    while ((n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (w->n == cap) {
            cap = cap ? cap * 2 : 256;
            w->works = realloc(w->works, cap * sizeof(*w->works));
            need(w->works);
        }
        w->works[w->n] = (struct work){.directory = strdup(line)};
        need(w->works[w->n++].directory);
    }
    free(line);
}

/* The executor lies beside this program. */
static void find_executor(struct wordcount *w)
{
    ssize_t n = readlink("/proc/self/exe", w->executor_path, sizeof(w->executor_path) - 32);
    char *slash;

    if (n < 0)
        n = 0;
    w->executor_path[n] = '\0';
    slash = strrchr(w->executor_path, '/');
    snprintf(slash ? slash + 1 : w->executor_path, 32, "wordcount_executor");
}

static int run(struct wordcount *w, const char *master)
{
    struct fw_scheduler_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_offers = on_offers,
        .on_update = on_update,
        .on_error = on_error,
    };
    fw_info *info = fw_info_new(w->name, NULL);
    fw_scheduler *s;
    int r;

    need(info);
    if (fw_scheduler_new(master, info, &callbacks, w, &s) < 0) {
        fprintf(stderr, "'%s' cannot be used as a master\n", master);
        return 2;
    }
    r = fw_scheduler_run(s);
    fw_scheduler_free(s);
    fw_info_free(info);
    if (r < 0 || w->failed) {
        fprintf(stderr, "%s: %s could not be counted\n", w->name,
                w->failed ? w->failed : "the list");
        return 1;
    }
    printf("%llu words in %zu directories, at most %zu tasks at a time\n", w->words, w->n, w->peak);
    return 0;
}

int main(int argc, char **argv)
{
    struct wordcount w = {.name = "wordcount", .cpus = 0.5, .mem = 64};
    const char *master = "127.0.0.1:5050";
    bool usage = argc % 2 == 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--master") == 0)
            master = argv[i + 1];
        else if (strcmp(argv[i], "--name") == 0)
            w.name = argv[i + 1];
        else if (strcmp(argv[i], "--cpus") == 0)
            w.cpus = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--mem") == 0)
            w.mem = strtod(argv[i + 1], NULL);
        else
            usage = true;
    }
    if (usage) {
        fprintf(stderr,
                "usage: wordcount [--master M] [--name N] [--cpus C] [--mem MB] < directories\n");
        return 2;
    }
    read_directories(&w);
    find_executor(&w);
    if (w.n == 0) {
        printf("0 words in 0 directories\n");
        return 0;
    }
    return run(&w, master);
}
