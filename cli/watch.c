/* See watch.h. What a verb prints is gathered and drawn at once over what is there, so nothing flickers. */
#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "cli/terminal.h"
#include "common/base/buf.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    interrupted = 1;
}

static void rest(double seconds)
{
    const struct timespec ts = {.tv_sec = (time_t)seconds,
                                .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&ts, NULL);
}

/* Every line ends by clearing the rest of it, the last by clearing what is below. */
static void draw(const char *text, size_t n, unsigned rows)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    unsigned row = 1;

    /* Lines that are too long are cut and not wrapped: they would move all others. */
    fl_buf_adds(&out, "\033[?7l\033[H");
    for (size_t i = 0; i < n && row < rows; i++) {
        if (text[i] == '\n') {
            fl_buf_adds(&out, "\033[K\r\n");
            row++;
        } else {
            fl_buf_addc(&out, text[i]);
        }
    }
    fl_buf_adds(&out, "\033[J\033[?7h");
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
}

/* The verb with a copy of its words, which it sorts, and with standard output gathered in memory: it is a variable in this library. */
static int run_gathered(struct cli *c, int argc, char **argv, char **ret_text, size_t *ret_n)
{
    _cleanup_free_ char **words = xcalloc((size_t)argc + 1, sizeof(*words));
    FILE *real = stdout, *memory = open_memstream(ret_text, ret_n);
    int code;

    if (!memory)
        return cli_failf("no memory for what is to be shown");
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    stdout = memory;
    code = c->verb->run(c, argc, words);
    stdout = real;
    fclose(memory);
    return code;
}

static int again_and_again(struct cli *c, int argc, char **argv)
{
    const struct sigaction act = {.sa_handler = on_interrupt};
    bool tty = terminal_is(STDOUT_FILENO), seen = false;
    int code = CLI_OK;

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    while (!interrupted) {
        unsigned rows = 24, columns;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        terminal_size(&rows, &columns);
        code = run_gathered(c, argc, argv, &text, &n);
        /* A master that is away for a while comes back; everything else ends it. */
        if (code != CLI_OK && !(code == CLI_UNREACHABLE && seen))
            return code;
        seen = true;
        if (code == CLI_OK && tty)
            draw(text, n, rows);
        else if (code == CLI_OK && (fwrite(text, 1, n, stdout) != n || fflush(stdout) != 0))
            return CLI_FAILED;
        if (!interrupted)
            rest(FL_MAX(c->watch_s, 0.1));
    }
    return CLI_INTERRUPTED;
}

int watch_verb(struct cli *c, int argc, char **argv)
{
    _cleanup_free_ char **words = xcalloc((size_t)argc + 1, sizeof(*words));
    bool may = c->verb->flags & V_LISTS, asked = false;

    for (int i = 1; may && i < argc && !streq(argv[i], "--"); i++)
        asked = asked || streq(argv[i], "--watch") || streq(argv[i], "-w") ||
                str_starts(argv[i], "--watch=");
    if (asked) {
        /* Clears the screen once; what stands there scrolls away. */
        if (terminal_is(STDOUT_FILENO))
            fputs("\033[2J", stdout);
        return again_and_again(c, argc, argv);
    }
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    return c->verb->run(c, argc, words);
}
