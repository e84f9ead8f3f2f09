/* See fetch_uri.h. */
#include "agent/containerizer/fetch_uri.h"

#include <ctype.h>
#include <errno.h>

static const char *const net_schemes[] = {"http://", "https://", "ftp://", "ftps://"};

static int way_of(const char *uri, enum fetch_way *ret, struct fl_err *err)
{
    const char *sep = strstr(uri, "://");

    *ret = FETCH_FILE;
    if (!sep || str_starts(uri, "file://"))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(net_schemes); i++)
        if (strncasecmp(uri, net_schemes[i], strlen(net_schemes[i])) == 0) {
            *ret = FETCH_NET;
            return 0;
        }
    /* It becomes an argument of a program, which must not take it for an option. */
    for (const char *p = uri; p < sep; p++)
        if (!isalpha((unsigned char)*p) &&
            (p == uri || !(isdigit((unsigned char)*p) || *p == '+' || *p == '-' || *p == '.')))
            return fl_err_set(err, FL_INVALID, "cannot fetch '%.200s': it begins with no scheme",
                              uri);
    if (sep == uri)
        return fl_err_set(err, FL_INVALID, "cannot fetch '%.200s': it has no scheme", uri);
    *ret = FETCH_HOOK;
    return 0;
}

/* Behind the last '/'; "" when there is nothing. */
static int name_of(const char *uri, const char **ret, struct fl_err *err)
{
    const char *sep = strstr(uri, "://");

    if (sep) {
        const char *slash = strchr(sep + 3, '/');
        if (!slash || !slash[1])
            return fl_err_set(err, FL_INVALID, "Malformed URI (missing path): %.200s", uri);
    }
    const char *last = strrchr(uri, '/');
    *ret = last ? last + 1 : uri;
    return 0;
}

/* Cuts "#sha256=..." off. A fragment that is something else belongs to the name, as in the reference. */
static int take_digest(char *uri, struct fetch_uri *u, struct fl_err *err)
{
    static const char *const names[] = {"sha256", "sha512"};
    char *hash = strrchr(uri, '#');

    for (size_t i = 0; hash && i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(hash + 1, names[i], n) != 0 || hash[1 + n] != '=')
            continue;
        const char *hex = hash + 1 + n + 1;
        if (strlen(hex) != fl_digest_digits(names[i]) ||
            strspn(hex, "0123456789abcdefABCDEF") != strlen(hex))
            return fl_err_set(err, FL_INVALID,
                              "the checksum of '%.200s' must be %zu hexadecimal digits", uri,
                              fl_digest_digits(names[i]));
        for (size_t k = 0; k <= strlen(hex); k++)
            u->hex[k] = (char)tolower((unsigned char)hex[k]);
        u->digest = names[i];
        *hash = '\0';
        return 0;
    }
    return 0;
}

int fetch_uri_parse(const char *value, struct fetch_uri *ret, struct fl_err *err)
{
    struct fetch_uri u = {.digest = NULL};
    const char *name = NULL;

    while (isspace((unsigned char)*value))
        value++;
    _cleanup_free_ char *uri = xstrdup(value);
    if (strpbrk(uri, "\\'"))
        return fl_err_set(err, FL_INVALID, "Illegal characters in URI '%.200s'", uri);
    int r = take_digest(uri, &u, err);
    if (r == 0)
        r = way_of(uri, &u.way, err);
    if (r == 0)
        r = name_of(uri, &name, err);
    if (r < 0)
        return r;
    u.name = xstrdup(name);
    u.uri = TAKE_PTR(uri);
    *ret = u;
    return 0;
}

void fetch_uri_done(struct fetch_uri *u)
{
    free(u->uri);
    free(u->name);
    u->uri = u->name = NULL;
}

int fetch_uri_path(const struct fetch_uri *u, const char *frameworks_home, char **ret,
                   struct fl_err *err)
{
    const char *path = u->uri;

    if (str_starts(path, "file://")) {
        path += strlen("file://");
        if (str_starts(path, "localhost/"))
            path += strlen("localhost");
        if (*path != '/')
            return fl_err_set(err, FL_INVALID,
                              "cannot fetch '%.200s': File URI only supports absolute paths",
                              u->uri);
    }
    if (*path == '/') {
        *ret = xstrdup(path);
        return 0;
    }
    if (!frameworks_home || !*frameworks_home)
        return fl_err_set(
            err, FL_INVALID,
            "cannot fetch the relative path '%.200s': the agent has no --frameworks_home", path);
    *ret = xasprintf("%s/%s", frameworks_home, path);
    return 0;
}

int fetch_output_check(const char *output_file, struct fl_err *err)
{
    const char *part = output_file;

    if (!*part)
        return fl_err_set(err, FL_INVALID,
                          "output_file must not be empty: give a file's name in "
                          "the sandbox");
    if (*part == '/')
        return fl_err_set(err, FL_INVALID,
                          "output_file '%.200s' must be a path relative to the sandbox",
                          output_file);
    for (size_t n;; part += n + 1) {
        n = strcspn(part, "/");
        if (n == 0 || (n == 1 && *part == '.' && !part[1]) ||
            (n == 2 && part[0] == '.' && part[1] == '.'))
            return fl_err_set(err, FL_INVALID,
                              "output_file '%.200s' must name a file and not leave the sandbox",
                              output_file);
        if (!part[n])
            return 0;
    }
}

/* The next word of a line, or NULL at its end. */
static const char *next_word(const char *p, const char *end, size_t *ret_n)
{
    while (p < end && isspace((unsigned char)*p))
        p++;
    size_t n = 0;
    while (p + n < end && !isspace((unsigned char)p[n]))
        n++;
    *ret_n = n;
    return n ? p : NULL;
}

static bool du_line(const char *line, const char *end, const char *uri, uint64_t *ret)
{
    const char *words[4];
    size_t lens[4], n = 0;

    for (const char *p = line; n < ARRAY_SIZE(words) && (p = next_word(p, end, &lens[n]));
         p += lens[n++])
        words[n] = p;
    if ((n != 2 && n != 3) || lens[n - 1] != strlen(uri) ||
        memcmp(words[n - 1], uri, lens[n - 1]) != 0)
        return false;
    _cleanup_free_ char *number = xstrndup(words[0], lens[0]);
    return fl_parse_u64(number, ret) == 0;
}

int fetch_du_size(const char *text, const char *uri, uint64_t *ret)
{
    for (const char *line = text; *line;) {
        const char *end = line + strcspn(line, "\n");
        if (du_line(line, end, uri, ret))
            return 0;
        line = end + (*end == '\n');
    }
    return -ENOENT;
}

char *fetch_uri_masked(const char *uri)
{
    const char *sep = strstr(uri, "://");
    const char *host = sep ? sep + 3 : NULL;
    size_t n = host ? strcspn(host, "/?#") : 0;
    const char *at = n ? memrchr(host, '@', n) : NULL;
    const char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;

    if (!colon)
        return xstrdup(uri);
    return xasprintf("%.*s:***%s", (int)(colon - uri), uri, at);
}
