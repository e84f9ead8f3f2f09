/* See config.h. */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    bool secret;
} keys[] = {
#define CONFIG_KEY(id, name, secret, help) {name, secret},
#include "cli/config_keys.def"
#undef CONFIG_KEY
};

const char *config_key_name(enum config_key k)
{
    return keys[k].name;
}

bool config_key_is_secret(enum config_key k)
{
    return keys[k].secret;
}

bool config_name_is_good(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n > 0 && n <= CONFIG_MAX_NAME && !name[n] && name[0] != '-';
}

static void context_done(struct context *x)
{
    free(x->name);
    for (size_t k = 0; k < CONFIG_KEYS; k++) {
        if (x->values[k] && keys[k].secret)
            explicit_bzero(x->values[k], strlen(x->values[k]));
        free(x->values[k]);
    }
}

void config_done(struct config *c)
{
    for (size_t i = 0; i < c->n; i++)
        context_done(&c->contexts[i]);
    free(c->contexts);
    free(c->current);
    *c = (struct config){0};
}

struct context *config_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (streq(c->contexts[i].name, name))
            return &c->contexts[i];
    return NULL;
}

struct context *config_add(struct config *c, const char *name)
{
    struct context *x = config_find(c, name);

    if (x)
        return x;
    c->contexts = xgrow(c->contexts, &c->cap, c->n + 1, sizeof(*c->contexts));
    x = &c->contexts[c->n++];
    *x = (struct context){.name = xstrdup(name)};
    return x;
}

bool config_remove(struct config *c, const char *name)
{
    struct context *x = config_find(c, name);

    if (!x)
        return false;
    context_done(x);
    c->n--;
    memmove(x, x + 1, (size_t)(c->contexts + c->n - x) * sizeof(*x));
    if (c->current && !config_find(c, c->current)) {
        free(c->current);
        c->current = NULL;
    }
    return true;
}

int context_set(struct context *x, enum config_key k, const char *value, struct fl_err *err)
{
    for (const char *p = value; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            return fl_err_set(err, FL_INVALID, "%s: it has a control character", keys[k].name);
    if (value && (!*value || value[0] == ' ' || value[strlen(value) - 1] == ' '))
        return fl_err_set(err, FL_INVALID, "%s: it is empty or has blanks around", keys[k].name);
    free(x->values[k]);
    x->values[k] = value ? xstrdup(value) : NULL;
    return 0;
}

/* ---- its text ---- */

/* Blanks at both ends go; the line is cut up. */
static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    for (char *end = s + strlen(s); end > s && strchr(" \t\r", end[-1]);)
        *--end = '\0';
    return s;
}

static int set_current(struct config *c, const char *value, struct fl_err *err)
{
    if (!config_name_is_good(value))
        return fl_err_set(err, FL_INVALID, "'current' is no name of a context");
    free(c->current);
    c->current = xstrdup(value);
    return 0;
}

/* A line "name = value" of the context `x`, or of none. */
static int take_pair(struct config *c, struct context *x, char *line, struct fl_err *err)
{
    char *equals = strchr(line, '=');

    if (!equals)
        return fl_err_set(err, FL_INVALID, "'name = value' or '[context]' is wanted");
    *equals = '\0';
    const char *name = trim(line), *value = trim(equals + 1);
    if (!x && streq(name, "current"))
        return set_current(c, value, err);
    if (!x)
        return fl_err_set(err, FL_INVALID, "only 'current' stands before the first [context]");
    for (size_t k = 0; k < CONFIG_KEYS; k++) {
        if (!streq(name, keys[k].name))
            continue;
        if (x->values[k])
            return fl_err_set(err, FL_INVALID, "'%s' stands there twice", keys[k].name);
        return context_set(x, k, value, err);
    }
    return fl_err_set(err, FL_INVALID, "a context has no such setting");
}

static int take_line(struct config *c, struct context **x, char *line, struct fl_err *err)
{
    size_t n;

    line = trim(line);
    n = strlen(line);
    if (!n || *line == '#' || *line == ';')
        return 0;
    if (*line != '[')
        return take_pair(c, *x, line, err);
    if (line[n - 1] != ']')
        return fl_err_set(err, FL_INVALID, "a ']' is missing");
    line[n - 1] = '\0';
    if (!config_name_is_good(line + 1))
        return fl_err_set(err, FL_INVALID, "a context's name has letters, digits, '.', '_', '-'");
    if (config_find(c, line + 1))
        return fl_err_set(err, FL_INVALID, "the context '%s' stands there twice", line + 1);
    *x = config_add(c, line + 1);
    return 0;
}

/* Errors name the line and never show its text, which may hold a secret. */
int config_parse(const char *text, size_t n, struct config *ret, struct fl_err *err)
{
    _cleanup_config_ struct config c = {0};
    struct context *x = NULL;
    unsigned number = 1;

    if (n > CONFIG_MAX_BYTES)
        return fl_err_set(err, FL_TOO_LARGE, "it is larger than %u bytes", CONFIG_MAX_BYTES);
    if (memchr(text, '\0', n))
        return fl_err_set(err, FL_INVALID, "it is no text");
    _cleanup_free_ char *copy = xstrndup(text, n);
    for (char *next, *line = copy; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (take_line(&c, &x, line, err) < 0) {
            explicit_bzero(copy, n);
            return fl_err_wrap(err, "line %u", number);
        }
    }
    explicit_bzero(copy, n);
    *ret = c;
    c = (struct config){0};
    return 0;
}

void config_format(const struct config *c, struct fl_buf *out)
{
    fl_buf_adds(out, "# Clusters that `fairlead` knows: `fairlead config`.\n");
    if (c->current)
        fl_buf_addf(out, "current = %s\n", c->current);
    for (size_t i = 0; i < c->n; i++) {
        fl_buf_addf(out, "\n[%s]\n", c->contexts[i].name);
        for (size_t k = 0; k < CONFIG_KEYS; k++)
            if (c->contexts[i].values[k])
                fl_buf_addf(out, "%s = %s\n", keys[k].name, c->contexts[i].values[k]);
    }
}

/* ---- the file ---- */

char *config_path(void)
{
    const char *x = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (x && *x == '/')
        return xasprintf("%s/fairlead/config", x);
    return xasprintf("%s/.config/fairlead/config", home && *home ? home : "");
}

static bool has_secrets(const struct config *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < CONFIG_KEYS; k++)
            if (keys[k].secret && c->contexts[i].values[k])
                return true;
    return false;
}

/* Whoever may write it could send our credentials elsewhere. */
static int check_owner(const struct stat *st, struct fl_err *err)
{
    if (!S_ISREG(st->st_mode))
        return fl_err_set(err, FL_INVALID, "it is not a file");
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return fl_err_set(err, FL_FORBIDDEN, "it belongs to another user");
    if (st->st_mode & 022)
        return fl_err_set(err, FL_FORBIDDEN, "others may write it: chmod 600");
    return 0;
}

static int read_all(int fd, struct fl_buf *b, struct fl_err *err)
{
    for (;;) {
        ssize_t n = read(fd, fl_buf_reserve(b, 4096), 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fl_err_errno(err, errno, "read it");
        if (n == 0 || b->len > CONFIG_MAX_BYTES)
            return 0;
        b->len += (size_t)n;
    }
}

static int read_config(const char *path, struct config *ret, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct stat st;
    int r;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret = (struct config){0};
        return 0;
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "open it");
    r = check_owner(&st, err);
    if (r == 0)
        r = read_all(fd, &b, err);
    if (r == 0)
        r = config_parse(b.data ? b.data : "", b.len, ret, err);
    if (r == 0 && (st.st_mode & 044) && has_secrets(ret)) {
        config_done(ret);
        r = fl_err_set(err, FL_FORBIDDEN, "it has secrets and others may read it: chmod 600");
    }
    if (b.data)
        explicit_bzero(b.data, b.len);
    return r;
}

int config_read(const char *path, struct config *ret, struct fl_err *err)
{
    int r = read_config(path, ret, err);

    return r < 0 ? fl_err_wrap(err, "the configuration file '%s'", path) : 0;
}

static int make_folders(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *p = xstrdup(path);

    for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(p, 0700) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s'", p);
        *slash = '/';
    }
    return 0;
}

static int write_whole(int fd, const char *p, size_t n, struct fl_err *err)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR)
            return fl_err_errno(err, errno, "write it");
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return fsync(fd) < 0 ? fl_err_errno(err, errno, "write it") : 0;
}

int config_write(const char *path, const struct config *c, struct fl_err *err)
{
    /* A link stays one: what it points at is replaced. */
    _cleanup_free_ char *real = realpath(path, NULL);
    _cleanup_free_ char *name = xasprintf("%s.XXXXXX", real ? real : path);
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    int r = make_folders(path, err);

    if (r < 0)
        return r;
    _cleanup_close_ int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return fl_err_errno(err, errno, "write '%s'", path);
    config_format(c, &text);
    r = fchmod(fd, 0600) < 0 ? fl_err_errno(err, errno, "set its mode")
                             : write_whole(fd, text.data, text.len, err);
    if (r == 0 && rename(name, real ? real : path) < 0)
        r = fl_err_errno(err, errno, "rename it");
    if (r < 0)
        unlink(name);
    explicit_bzero(text.data, text.len);
    return r < 0 ? fl_err_wrap(err, "the configuration file '%s'", path) : 0;
}
