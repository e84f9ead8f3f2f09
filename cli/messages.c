/* What is said on standard error, questions, and the codes that follow. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/terminal.h"

/* What daemons say goes through here, too: nothing of it moves the cursor. */
static void say(const char *fmt, va_list ap)
{
    char text[2048];

    vsnprintf(text, sizeof(text), fmt, ap);
    _cleanup_free_ char *clean = text_clean(text);
    for (size_t n = strlen(clean); n && clean[n - 1] == ' ';)
        clean[--n] = '\0';
    fprintf(stderr, "fairlead: %s\n", clean);
}

int cli_fail_as(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return code;
}

int cli_failf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return CLI_FAILED;
}

int cli_code_of(const struct fl_err *err)
{
    switch (err->reason) {
    case FL_NOT_FOUND:
        return CLI_NOT_FOUND;
    case FL_UNAUTHENTICATED:
    case FL_FORBIDDEN:
        return CLI_DENIED;
    case FL_UNAVAILABLE:
    case FL_TIMEOUT:
    case FL_CLOSED:
        return CLI_UNREACHABLE;
    default:
        return CLI_FAILED;
    }
}

int cli_fail(const struct fl_err *err)
{
    return cli_fail_as(cli_code_of(err), "%s", err->msg);
}

static bool is_yes(const char *line)
{
    return streq(line, "y\n") || streq(line, "yes\n") || streq(line, "Y\n") || streq(line, "YES\n");
}

int cli_confirm(struct cli *c, const char *fmt, ...)
{
    char line[16], question[512];
    va_list ap;

    if (c->yes)
        return CLI_OK;
    va_start(ap, fmt);
    vsnprintf(question, sizeof(question), fmt, ap);
    va_end(ap);
    _cleanup_free_ char *clean = text_clean(question);
    if (!terminal_is(STDIN_FILENO) || !terminal_is(STDERR_FILENO))
        return cli_fail_as(CLI_NOT_CONFIRMED, "%s There is no terminal to ask at: --yes does it",
                           clean);
    fprintf(stderr, "%s [y/N] ", clean);
    if (fgets(line, sizeof(line), stdin) && is_yes(line))
        return CLI_OK;
    return cli_fail_as(CLI_NOT_CONFIRMED, "nothing was done");
}
