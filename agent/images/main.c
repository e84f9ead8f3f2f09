/* fairlead-image: see helper.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/images/helper.h"

#define MAX_REQUEST (16u << 20)

/* Strangers' bytes are parsed here: what goes wrong shall not take the machine along. */
static void limit_ourselves(void)
{
    static const struct {
        int what;
        rlim_t most;
    } limits[] = {
        {RLIMIT_AS, (rlim_t)3 << 30},
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

static char *read_line(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, stdin);

    if (n > 0 && n <= (ssize_t)MAX_REQUEST)
        return line;
    free(line);
    return NULL;
}

/* Nobody is there any more to hear the answer. */
static void *watch_sender(void *arg)
{
    char c;

    while (read(STDIN_FILENO, &c, 1) > 0 || errno == EINTR)
        errno = 0;
    _exit(3);
}

int main(int argc, char **argv)
{
    _cleanup_free_ char *line = NULL;
    json_t *rq, *answer = NULL;
    pthread_t watcher;
    struct fl_err err;

    if (argc > 1) {
        fprintf(stderr, "usage: fairlead-image\n\nPulls images for an agent, which starts it.\n");
        return 2;
    }
    limit_ourselves();
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    line = read_line();
    rq = line ? json_loads(line, 0, NULL) : NULL;
    if (!rq || pthread_create(&watcher, NULL, watch_sender, NULL) != 0) {
        fprintf(stderr, "no request on standard input\n");
        return 1;
    }
    int r = image_helper_do(rq, &answer, &err);
    json_decref(rq);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(answer);
    return fflush(stdout) == 0 ? 0 : 1;
}
