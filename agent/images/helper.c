#include "agent/images/helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MAX_REQUEST (16u << 20)

/* Strangers' bytes are parsed here: what goes wrong shall not take the machine along. */
static void limit_ourselves(void)
{
    static const struct {
        int what;
        rlim_t most;
    } limits[] = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow is larger */
        {RLIMIT_AS, (rlim_t)3 << 30},
#endif
        {RLIMIT_NOFILE, 4096},
        {RLIMIT_CORE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct rlimit l;

        if (getrlimit(limits[i].what, &l) < 0)
            continue;
        l.rlim_max = FL_MIN(l.rlim_max, limits[i].most);
        l.rlim_cur = l.rlim_max;
        setrlimit(limits[i].what, &l);
    }
}

static json_t *read_request(void)
{
    _cleanup_free_ char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, stdin);

    if (n <= 0 || n > (ssize_t)MAX_REQUEST)
        return NULL;
    json_t *rq = json_loads(line, 0, NULL);
    explicit_bzero(line, (size_t)n); /* it may hold credentials */
    return rq;
}

/* Nobody is there any more to hear the answer. */
static void *watch_sender(void *arg)
{
    char c;

    while (read(STDIN_FILENO, &c, 1) > 0 || errno == EINTR)
        errno = 0;
    kill(getpid(), SIGKILL);
    return NULL;
}

static int carry_out(const struct helper_request *requests, size_t n, const json_t *rq,
                     json_t **ret, struct fl_err *err)
{
    const char *what = helper_text(rq, "do");

    for (size_t i = 0; i < n; i++) {
        if (!streq(what, requests[i].name))
            continue;
        for (size_t k = 0; requests[i].needs[k]; k++)
            if (!helper_text(rq, requests[i].needs[k]))
                return fl_err_set(err, FL_INVALID, "the request '%s' lacks '%s'", what,
                                  requests[i].needs[k]);
        return requests[i].fn(rq, ret, err);
    }
    return fl_err_set(err, FL_INVALID, "'%s' is no request", what ? what : "");
}

static int say(json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(answer);
    return fflush(stdout) == 0 ? 0 : 1;
}

int helper_main(const struct helper_request *requests, size_t n, int argc, const char *usage)
{
    json_t *rq, *answer = NULL;
    pthread_t watcher;
    struct fl_err err;

    if (argc > 1) {
        fprintf(stderr, "%s", usage);
        return 2;
    }
    limit_ourselves();
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    rq = read_request();
    if (!rq || pthread_create(&watcher, NULL, watch_sender, NULL) != 0) {
        json_decref(rq);
        fprintf(stderr, "no request on standard input\n");
        return 1;
    }
    int r = carry_out(requests, n, rq, &answer, &err);
    json_decref(rq);
    if (r == 0)
        return say(answer);
    fprintf(stderr, "%s\n", err.msg);
    return 1;
}
