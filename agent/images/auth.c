#include "agent/images/auth.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "agent/images/reference.h"
#include "common/base/base64.h"

void auth_challenge_done(struct auth_challenge *c)
{
    free(c->realm);
    free(c->service);
    free(c->scope);
    *c = (struct auth_challenge){0};
}

/* ---- challenges ---- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == ',')
        p++;
    return p;
}

static size_t token_len(const char *p)
{
    size_t n = 0;

    while (is_token_char(p[n]))
        n++;
    return n;
}

/* A quoted text or a token; *p moves behind it. The caller's. */
static char *take_value(const char **p)
{
    const char *s = *p;
    size_t n = token_len(s);

    if (*s != '"') {
        *p = s + n;
        return xstrndup(s, n);
    }
    char *out = xmalloc(strlen(s)), *at = out;
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1])
            s++;
        *at++ = *s;
    }
    *at = '\0';
    *p = s + (*s == '"');
    return out;
}

static void set_parameter(struct auth_challenge *c, const char *name, size_t n, char *value)
{
    char **to = n == 5 && strncasecmp(name, "realm", n) == 0     ? &c->realm
                : n == 7 && strncasecmp(name, "service", n) == 0 ? &c->service
                : n == 5 && strncasecmp(name, "scope", n) == 0   ? &c->scope
                                                                 : NULL;

    if (!to) {
        free(value);
        return;
    }
    free(*to);
    *to = value;
}

static enum auth_scheme scheme_of(const char *name, size_t n)
{
    if (n == 6 && strncasecmp(name, "Bearer", n) == 0)
        return AUTH_BEARER;
    return n == 5 && strncasecmp(name, "Basic", n) == 0 ? AUTH_BASIC : AUTH_NONE;
}

static void prefer(struct auth_challenge *best, struct auth_challenge *now)
{
    if (now->scheme > best->scheme) {
        struct auth_challenge old = *best;

        *best = *now;
        *now = old;
    }
    auth_challenge_done(now);
}

void auth_challenge_parse(const char *value, struct auth_challenge *ret)
{
    struct auth_challenge now = {0};

    *ret = (struct auth_challenge){0};
    for (const char *p = skip(value); *p; p = skip(p)) {
        size_t n = token_len(p);
        const char *after = p + n;

        if (n == 0)
            break;
        while (*after == ' ')
            after++;
        if (*after == '=') {
            const char *name = p;

            p = after + 1;
            while (*p == ' ')
                p++;
            set_parameter(&now, name, n, take_value(&p));
        } else {
            prefer(ret, &now);
            now.scheme = scheme_of(p, n);
            p += n;
        }
    }
    prefer(ret, &now);
}

/* ---- tokens ---- */

static void add_escaped(struct fl_buf *b, const char *s)
{
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-._~", *s);

        if (plain)
            fl_buf_addc(b, *s);
        else
            fl_buf_addf(b, "%%%02X", (unsigned char)*s);
    }
}

char *auth_token_url(const struct auth_challenge *c, const char *repository)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_free_ char *scope =
        c->scope ? xstrdup(c->scope) : xasprintf("repository:%s:pull", repository);

    if (!c->realm)
        return NULL;
    fl_buf_adds(&b, c->realm);
    fl_buf_adds(&b, strchr(c->realm, '?') ? "&scope=" : "?scope=");
    add_escaped(&b, scope);
    if (c->service) {
        fl_buf_adds(&b, "&service=");
        add_escaped(&b, c->service);
    }
    return fl_buf_take(&b);
}

/* It becomes part of a header. */
static bool is_header_text(const char *s)
{
    if (!s || !*s)
        return false;
    for (; *s; s++)
        if (*s < ' ' || *s == 127)
            return false;
    return true;
}

int auth_token_parse(const void *data, size_t n, char **ret, struct fl_err *err)
{
    json_t *j = json_loadb(data, n, 0, NULL);
    const char *token = json_string_value(json_object_get(j, "token"));
    int r = 0;

    if (!token || !*token)
        token = json_string_value(json_object_get(j, "access_token"));
    if (is_header_text(token))
        *ret = xstrdup(token);
    else
        r = fl_err_set(err, FL_INVALID, "the token server's answer has no token");
    json_decref(j);
    return r;
}

/* ---- credentials ---- */

static char *host_of(const char *key)
{
    const char *s = strstr(key, "://");

    s = s ? s + 3 : key;
    return xstrndup(s, strcspn(s, "/"));
}

/* Docker's hub is named in several ways; its passwords are for no host of others that only looks like it. */
static bool is_for(const char *key, const char *host)
{
    _cleanup_free_ char *h = host_of(key);

    return streq(h, host) || (image_host_is_hub(h) && image_host_is_hub(host));
}

static char *decode(const char *text)
{
    size_t n = strlen(text), len;
    uint8_t *out = xmalloc(n / 4 * 3 + 4);

    if (json_base64_decode(text, n, out, &len) < 0 || !memchr(out, ':', len)) {
        free(out);
        return NULL;
    }
    char *s = xstrndup((char *)out, len);
    explicit_bzero(out, len);
    free(out);
    return s;
}

static char *credentials_of(const json_t *auth)
{
    const char *both = json_string_value(json_object_get(auth, "auth"));
    const char *user = json_string_value(json_object_get(auth, "username"));
    const char *password = json_string_value(json_object_get(auth, "password"));

    if (both && *both)
        return decode(both);
    return user && password ? xasprintf("%s:%s", user, password) : NULL;
}

int auth_credentials_find(const char *config, const char *host, char **ret, struct fl_err *err)
{
    json_error_t je;
    json_t *j = json_loads(config, 0, &je);
    const json_t *auths = json_object_get(j, "auths"), *auth;
    const char *key;
    char *found = NULL;

    if (!json_is_object(j)) {
        json_decref(j);
        return fl_err_set(err, FL_INVALID,
                          "the credentials for registries are no JSON object as Docker's "
                          "config.json has");
    }
    json_object_foreach(auths ? (json_t *)(uintptr_t)auths : j, key, auth)
    {
        if (!found && json_is_object(auth) && is_for(key, host))
            found = credentials_of(auth);
    }
    json_decref(j);
    *ret = found;
    return 0;
}

char *auth_basic(const char *user_password)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    json_text_base64(&b, user_password, strlen(user_password));
    char *s = xasprintf("Basic %.*s", (int)(b.len - 2), b.data + 1); /* without its quotes */
    explicit_bzero(b.data, b.len);
    return s;
}
