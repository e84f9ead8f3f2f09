/* See fetch_note.h. Both sides; no state. */
#include "agent/containerizer/fetch_note.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/buf.h"

int fetch_note_send(int sock, const struct fetch_note *n)
{
    size_t len = offsetof(struct fetch_note, text) + strnlen(n->text, sizeof(n->text) - 1) + 1;
    ssize_t k;

    do
        k = send(sock, n, len, MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    return k < 0 ? -errno : 0;
}

int fetch_note_recv(int sock, struct fetch_note *n, bool wait)
{
    ssize_t len;

    do
        len = recv(sock, n, sizeof(*n), wait ? 0 : MSG_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len < 0 && errno == EAGAIN)
        return -EAGAIN;
    return len > (ssize_t)offsetof(struct fetch_note, text) && ((char *)n)[len - 1] == '\0';
}

/* ---- orders ---- */

static const char *const words[] = {
    [FETCH_DIRECT] = "-", [FETCH_NEW] = "new ", [FETCH_CACHED] = "get "};

char *fetch_orders_text(const struct fetch_orders *o)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b, "%s\n", o->folder ? o->folder : "");
    for (size_t i = 0; i < o->n; i++)
        fl_buf_addf(&b, "%s%s\n", words[o->items[i].action],
                    o->items[i].file ? o->items[i].file : "");
    return xstrdup(fl_buf_cstr(&b));
}

static bool order_of(const char *line, size_t n, struct fetch_order *ret)
{
    for (int a = FETCH_NEW; a <= FETCH_CACHED; a++) {
        size_t skip = strlen(words[a]);
        if (n <= skip || memcmp(line, words[a], skip) != 0 || line[skip] == '.' ||
            memchr(line + skip, '/', n - skip))
            continue;
        *ret = (struct fetch_order){.action = a, .file = xstrndup(line + skip, n - skip)};
        return true;
    }
    *ret = (struct fetch_order){.action = FETCH_DIRECT};
    return n == 1 && *line == '-';
}

int fetch_orders_parse(const char *text, struct fetch_orders *ret, struct fl_err *err)
{
    struct fetch_orders o = {.folder = NULL};
    size_t cap = 0;

    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        if (!o.folder) {
            o.folder = xstrndup(line, n);
        } else {
            o.items = xgrow(o.items, &cap, o.n + 1, sizeof(*o.items));
            if (!order_of(line, n, &o.items[o.n])) {
                fetch_orders_done(&o);
                return fl_err_set(err, FL_INTERNAL, "cannot understand how to use the cache");
            }
            o.n++;
        }
        line += n + (line[n] == '\n');
    }
    if (!o.folder)
        o.folder = xstrdup("");
    *ret = o;
    return 0;
}

void fetch_orders_done(struct fetch_orders *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->items[i].file);
    free(o->items);
    free(o->folder);
    *o = (struct fetch_orders){.folder = NULL};
}
