#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool raw;

bool terminal_is(int fd)
{
    return isatty(fd);
}

void terminal_restore(void)
{
    if (raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    raw = false;
}

int terminal_raw(struct fl_err *err)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return fl_err_errno(err, errno, "use standard input as a terminal");
    t = before;
    cfmakeraw(&t);
    atexit(terminal_restore);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
        return fl_err_errno(err, errno, "set the terminal");
    raw = true;
    return 0;
}

bool terminal_size(unsigned *ret_rows, unsigned *ret_columns)
{
    struct winsize w;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
        return false;
    *ret_rows = w.ws_row;
    *ret_columns = w.ws_col;
    return true;
}

bool terminal_colours(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && streq(term, "dumb"));
}

bool terminal_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}
