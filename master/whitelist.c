/* --whitelist: the agents that may be offered, as the text of the file says. Which file, and when it is read again, is the
 * shell's. */
#include "master/core.h"

#include <ctype.h>

static bool blank(const char *p, size_t n)
{
    while (n > 0 && isspace((unsigned char)p[n - 1]))
        n--;
    return n == 0;
}

/* The lines of `text`, without space around them; blank ones are none. In the scratch arena. */
static size_t split(struct master *m, const char *text, const char ***ret)
{
    char *p = fl_arena_strdup(m->core->scratch, text);
    size_t n = 0, cap = 1;

    for (const char *c = text; *c; c++)
        cap += *c == '\n';
    *ret = core_alloc(m, cap * sizeof(char *));
    while (*p) {
        size_t len = strcspn(p, "\n");
        char *end = p + len + (p[len] == '\n');
        if (!blank(p, len)) {
            while (isspace((unsigned char)*p)) {
                p++;
                len--;
            }
            while (isspace((unsigned char)p[len - 1]))
                len--;
            p[len] = '\0';
            (*ret)[n++] = p;
        }
        p = end;
    }
    return n;
}

void master_set_whitelist(struct master *m, const char *text_or_null)
{
    const char **names = NULL;
    size_t n;

    core_enter(m);
    if (text_or_null) {
        n = split(m, text_or_null, &names);
        log_info("%zu agents are whitelisted", n);
        m->alloc_ops->set_whitelist(m->alloc, names, n);
    } else {
        m->alloc_ops->set_whitelist(m->alloc, NULL, 0);
    }
    allocation_kick(m);
    core_leave(m);
}
