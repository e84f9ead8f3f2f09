/* hello - the smallest framework: runs one command on the first offer that is large enough, and ends with it.
 *
 *     build/examples/hello 127.0.0.1:5050 'echo hello; sleep 1'
 *
 * Read it from main() upwards. Three things happen in callbacks: offers come, we launch or decline; updates come, we note what became
 * of the task; an error comes, and that is the end.
 */
#include <fairlead/scheduler.h>
#include <stdio.h>
#include <stdlib.h>

struct hello {
    const char *command;
    bool launched;
    int exit_code;
};

static void on_subscribed(fw_scheduler *s, const char *framework_id, const char *master, void *arg)
{
    printf("subscribed at %s as %s\n", master, framework_id);
}

static fw_task *make_task(const struct hello *h)
{
    fw_task *t = fw_task_new("hello-1", "hello");

    if (!t || fw_task_set_shell(t, h->command) < 0 || fw_task_set_scalar(t, "cpus", 0.1) < 0 ||
        fw_task_set_scalar(t, "mem", 32) < 0) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return t;
}

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    struct hello *h = arg;

    for (size_t i = 0; i < n; i++) {
        bool fits =
            fw_offer_scalar(offers[i], "cpus") >= 0.1 && fw_offer_scalar(offers[i], "mem") >= 32;

        if (!h->launched && fits) {
            fw_task *t = make_task(h);
            printf("launching on %s\n", fw_offer_hostname(offers[i]));
            fw_launch(s, offers[i], &t, 1, -1);
            fw_task_free(t);
            h->launched = true;
        } else {
            const char *id = fw_offer_id(offers[i]);
            /* We want nothing more: do not offer this again for an hour. */
            fw_decline(s, &id, 1, 3600);
        }
    }
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    struct hello *h = arg;

    printf("%s is %s %s\n", fw_status_task_id(status), fw_task_state_name(fw_status_state(status)),
           fw_status_message(status));
    if (fw_task_state_is_terminal(fw_status_state(status))) {
        h->exit_code = fw_status_state(status) == FW_TASK_FINISHED ? 0 : 1;
        /* The library acknowledges the update after this callback, then tears the framework down. */
        fw_scheduler_stop(s, true);
    }
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    fprintf(stderr, "the master says: %s\n", message);
}

int main(int argc, char **argv)
{
    struct hello h = {.command = argc > 2 ? argv[2] : "echo hello", .exit_code = 1};
    struct fw_scheduler_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_subscribed = on_subscribed,
        .on_offers = on_offers,
        .on_update = on_update,
        .on_error = on_error,
    };
    fw_info *info = fw_info_new("hello", NULL);
    fw_scheduler *s;
    int r;

    if (argc < 2) {
        fprintf(stderr, "usage: hello MASTER [COMMAND]\n");
        return 2;
    }
    if (!info || (r = fw_scheduler_new(argv[1], info, &callbacks, &h, &s)) < 0) {
        fprintf(stderr, "'%s' cannot be used as a master\n", argv[1]);
        return 2;
    }
    r = fw_scheduler_run(s);
    fw_scheduler_free(s);
    fw_info_free(info);
    return r < 0 ? 1 : h.exit_code;
}
