/* throttle - a framework that does nothing but hold resources: tasks that sleep, as many, as large and as long as the arguments say. It
 * is what one watches a sharing policy with (docs/drf.md), and what a new cluster is tried with.
 *
 *     build/examples/throttle --master 127.0.0.1:5050 --name A --cpus 2 --mem 1000 --seconds 20..40
 *
 * Every offer is filled with tasks, unless --per-offer says how many of them at most; what is left of it goes back at once. With
 * --total it ends when so many tasks have finished, else it runs until it is interrupted. At each change it prints one line:
 *
 *     12.345 running=2 finished=7 failed=0
 */
#include <errno.h>
#include <fairlead/scheduler.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

struct throttle {
    const char *master, *name, *role, *gang;
    double cpus, mem, gpus;
    double least, most; /* seconds that a task lasts */
    double total;       /* tasks in all; 0: for ever */
    double parallel;    /* tasks at a time */
    double per_offer;   /* tasks of one offer */
    double refuse;      /* seconds for which an offer that is too small is not wanted again */
    unsigned launched, running, finished, failed;
    bool quiet, broken;
    struct timespec started;
};

static void need(bool ok)
{
    if (!ok) {
        fprintf(stderr, "throttle: out of memory\n");
        exit(1);
    }
}

static void tell(const struct throttle *t)
{
    struct timespec now;

    if (t->quiet)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%.3f running=%u finished=%u failed=%u\n",
           (double)(now.tv_sec - t->started.tv_sec) +
               (double)(now.tv_nsec - t->started.tv_nsec) / 1e9,
           t->running, t->finished, t->failed);
    fflush(stdout);
}

static fw_task *make_task(struct throttle *t)
{
    char id[128], command[64];
    double seconds = t->least + (t->most - t->least) * drand48();
    fw_task *task;

    snprintf(id, sizeof(id), "%s-%ld-%u", t->name, (long)getpid(), t->launched++);
    snprintf(command, sizeof(command), "exec sleep %.3f", seconds);
    task = fw_task_new(id, t->name);
    need(task && fw_task_set_shell(task, command) == 0 &&
         fw_task_set_scalar(task, "cpus", t->cpus) == 0 &&
         fw_task_set_scalar(task, "mem", t->mem) == 0 &&
         (t->gpus == 0 || fw_task_set_scalar(task, "gpus", t->gpus) == 0));
    return task;
}

/* How many tasks fit into an offer and are wanted. */
static unsigned wanted(const struct throttle *t, const fw_offer *offer)
{
    double cpus = fw_offer_scalar(offer, "cpus"), mem = fw_offer_scalar(offer, "mem"),
           gpus = fw_offer_scalar(offer, "gpus");
    unsigned n = 0;

    while (n < 256 && n < t->per_offer && t->running + n < t->parallel &&
           (t->total == 0 || t->running + t->finished + n < t->total) &&
           (n + 1) * t->cpus <= cpus + 1e-6 && (n + 1) * t->mem <= mem + 1e-6 &&
           (n + 1) * t->gpus <= gpus + 1e-6)
        n++;
    return n;
}

static void use_offer(struct throttle *t, fw_scheduler *s, const fw_offer *offer)
{
    fw_task *tasks[256];
    unsigned n = wanted(t, offer);
    const char *id = fw_offer_id(offer);

    if (n == 0) {
        fw_decline(s, &id, 1, t->refuse);
        if (t->total > 0 && t->running + t->finished >= t->total)
            fw_suppress(s, NULL, 0); /* until a task fails and is to be repeated */
        return;
    }
    for (unsigned i = 0; i < n; i++)
        tasks[i] = make_task(t);
    if (fw_launch(s, offer, tasks, n, 0) == 0)
        t->running += n;
    for (unsigned i = 0; i < n; i++)
        fw_task_free(tasks[i]);
}

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    unsigned before = ((struct throttle *)arg)->running;

    for (size_t i = 0; i < n; i++)
        use_offer(arg, s, offers[i]);
    if (((struct throttle *)arg)->running != before)
        tell(arg);
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    struct throttle *t = arg;

    if (!fw_task_state_is_terminal(fw_status_state(status)))
        return;
    t->running--;
    if (fw_status_state(status) == FW_TASK_FINISHED) {
        t->finished++;
    } else {
        t->failed++;
        fprintf(stderr, "%s: %s %s %s\n", fw_status_task_id(status),
                fw_task_state_name(fw_status_state(status)), fw_status_reason(status),
                fw_status_message(status));
        fw_revive(s, NULL, 0);
    }
    tell(t);
    if (t->total > 0 && t->finished >= t->total)
        fw_scheduler_stop(s, true);
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    ((struct throttle *)arg)->broken = true;
    fprintf(stderr, "throttle: the master says: %s\n", message);
}

/* ---- arguments ---- */

struct option {
    const char *name, *what, *help;
    double *number;
    const char **text;
};

static bool read_number(const char *text, double *ret)
{
    char *end;

    errno = 0;
    *ret = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *ret >= 0;
}

/* "20" or "20..40" */
static bool read_seconds(struct throttle *t, const char *text)
{
    char first[32];
    const char *dots = strstr(text, "..");
    size_t n = dots ? (size_t)(dots - text) : strlen(text);

    if (n >= sizeof(first))
        return false;
    memcpy(first, text, n);
    first[n] = '\0';
    return read_number(first, &t->least) && read_number(dots ? dots + 2 : first, &t->most) &&
           t->most >= t->least;
}

static int usage(const struct option *options, size_t n)
{
    fprintf(stderr, "usage: throttle [options]; a framework whose tasks sleep\n");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  %-12s %-8s %s\n", options[i].name, options[i].what, options[i].help);
    fprintf(stderr, "  %-12s %-8s %s\n", "--quiet", "", "no line for each change");
    return 2;
}

static bool read_option(struct throttle *t, const struct option *options, size_t n,
                        const char *name, const char *value)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        if (options[i].text)
            *options[i].text = value;
        else if (options[i].number)
            return read_number(value, options[i].number);
        else
            return read_seconds(t, value);
        return true;
    }
    return false;
}

static fw_info *make_info(const struct throttle *t)
{
    fw_info *info = fw_info_new(t->name, NULL);

    need(info && (!t->role || fw_info_add_role(info, t->role) == 0) &&
         (!t->gang || fw_info_add_label(info, "fairlead.gang", t->gang) == 0) &&
         (t->gpus == 0 || fw_info_add_capability(info, "GPU_RESOURCES") == 0));
    return info;
}

/* Ends the framework in order, tasks and all, when the user interrupts. The signal comes as a descriptor, for a handler could not
 * call the library. */
static int signal_descriptor(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int loop(fw_scheduler *s, int signals)
{
    struct pollfd fds[] = {{.fd = fw_scheduler_fd(s), .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    int r = 0;

    while (r >= 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents) {
            fw_scheduler_stop(s, true);
            fds[1].fd = -1;
        }
        r = fw_scheduler_dispatch(s);
    }
    return 0;
}

static int run(struct throttle *t)
{
    struct fw_scheduler_callbacks callbacks = {.size = sizeof(callbacks),
                                               .on_offers = on_offers,
                                               .on_update = on_update,
                                               .on_error = on_error};
    fw_info *info = make_info(t);
    fw_scheduler *s;
    int signals = signal_descriptor(), r;

    r = fw_scheduler_new(t->master, info, &callbacks, t, &s);
    fw_info_free(info);
    if (r < 0) {
        fprintf(stderr, "throttle: '%s' cannot be used as a master\n", t->master);
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &t->started);
    loop(s, signals);
    fw_scheduler_free(s);
    return t->broken || t->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct throttle t = {.master = "127.0.0.1:5050",
                         .name = "throttle",
                         .cpus = 0.1,
                         .mem = 64,
                         .least = 10,
                         .most = 10,
                         .parallel = 1e9,
                         .per_offer = 256,
                         .refuse = 1};
    const struct option options[] = {
        {"--master", "HOST", "where the master is (127.0.0.1:5050)", NULL, &t.master},
        {"--name", "NAME", "of the framework", NULL, &t.name},
        {"--role", "ROLE", "of the framework (*)", NULL, &t.role},
        {"--gang", "TEXT", "label fairlead.gang, as in 'count=4 unit=cpus:1'", NULL, &t.gang},
        {"--cpus", "N", "of one task (0.1)", &t.cpus, NULL},
        {"--mem", "MB", "of one task (64)", &t.mem, NULL},
        {"--gpus", "N", "of one task (0)", &t.gpus, NULL},
        {"--seconds", "A..B", "how long a task lasts, at random between (10)", NULL, NULL},
        {"--total", "N", "tasks in all; 0: for ever (0)", &t.total, NULL},
        {"--parallel", "N", "tasks at a time at most", &t.parallel, NULL},
        {"--per-offer", "N", "tasks on one offer at most", &t.per_offer, NULL},
        {"--refuse", "SECONDS", "not to be offered again what is too small (1)", &t.refuse, NULL},
    };
    size_t n = sizeof(options) / sizeof(options[0]);

    srand48((long)getpid());
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0)
            t.quiet = true;
        else if (i + 1 == argc || !read_option(&t, options, n, argv[i], argv[i + 1]))
            return usage(options, n);
        else
            i++;
    }
    return run(&t);
}
