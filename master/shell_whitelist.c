/* The file of --whitelist: read at start and every five seconds, as the reference does. What cannot be read is logged once,
 * and the last list holds; before the first reading every agent may be offered. Main thread; the file is small. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "master/shell.h"

#define INTERVAL_US 5000000
#define MAX_FILE    (16u * 1024 * 1024)

struct whitelist {
    struct shell *shell;
    struct env_timer *timer;
    bool known; /* `text` has been read */
    struct fl_buf text;
    char complaint[500]; /* the last one logged; "" while all is well */
};

static int read_all(const char *path, struct fl_buf *out, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char piece[16384];
    ssize_t n;

    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "'%s' is no file", path);
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        fl_buf_add(out, piece, (size_t)n);
        if (out->len > MAX_FILE)
            return fl_err_set(err, FL_TOO_LARGE, "'%s' is over %u bytes", path, MAX_FILE);
    }
    if (n < 0)
        return fl_err_errno(err, errno, "read '%s'", path);
    if (memchr(fl_buf_cstr(out), '\0', out->len))
        return fl_err_set(err, FL_INVALID, "'%s' holds no text", path);
    return 0;
}

static void complain(struct whitelist *w, const struct fl_err *err)
{
    if (streq(w->complaint, err->msg))
        return;
    fl_snprintf(w->complaint, sizeof(w->complaint), "%s", err->msg);
    log_error("cannot read the file of --whitelist: %s; %s, and it is tried again every 5 s",
              err->msg, w->known ? "the list read before holds" : "all agents are offered");
}

static void on_due(void *arg)
{
    struct whitelist *w = arg;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    struct fl_err err;

    env_timer_set(&w->shell->env.env, w->timer, INTERVAL_US);
    if (read_all(w->shell->flags.whitelist, &text, &err) < 0) {
        complain(w, &err);
        return;
    }
    w->complaint[0] = '\0';
    if (w->known && text.len == w->text.len &&
        memcmp(fl_buf_cstr(&text), fl_buf_cstr(&w->text), text.len) == 0)
        return;
    w->known = true;
    fl_buf_done(&w->text);
    w->text = text;
    text = (struct fl_buf)FL_BUF_INIT;
    master_set_whitelist(w->shell->master, fl_buf_cstr(&w->text));
}

struct whitelist *shell_whitelist_new(struct shell *s)
{
    struct whitelist *w;

    /* "*" stood for all before the flag could be left out. */
    if (!s->flags.whitelist || streq(s->flags.whitelist, "*"))
        return NULL;
    w = xnew0(struct whitelist);
    w->shell = s;
    w->timer = env_timer_new(&s->env.env, on_due, w);
    on_due(w);
    return w;
}

void shell_whitelist_free(struct whitelist *w)
{
    if (!w)
        return;
    env_timer_free(&w->shell->env.env, w->timer);
    fl_buf_done(&w->text);
    free(w);
}
