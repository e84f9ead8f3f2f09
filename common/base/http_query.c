/* Text of HTTP: percent encoding, parameters, header lists, host and port. Any thread. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/http_priv.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_percent_decode(const char *s, size_t n, bool plus, struct fl_buf *out)
{
    char *p = fl_buf_reserve(out, n + 1), *start = p;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int hi = i + 2 < n ? hex_digit(s[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(s[i + 2]) : -1;
            if (lo < 0)
                return -EINVAL;
            c = (char)(hi * 16 + lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return -EINVAL;
        *p++ = c;
    }
    *p = '\0';
    out->len += (size_t)(p - start);
    return 0;
}

bool http_query_is_valid(const char *query)
{
    for (const char *p = query; (p = strchr(p, '%')); p++)
        if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
            return false;
    return true;
}

char *http_query_get(const char *query, const char *name)
{
    for (const char *p = query ? query : ""; *p;) {
        size_t n = strcspn(p, "&;");
        const char *eq = memchr(p, '=', n);
        size_t name_len = eq ? (size_t)(eq - p) : n;
        _cleanup_buf_ struct fl_buf got = FL_BUF_INIT;
        if (http_percent_decode(p, name_len, true, &got) == 0 && streq(got.data, name)) {
            fl_buf_clear(&got);
            const char *value = eq ? eq + 1 : "";
            size_t len = eq ? n - name_len - 1 : 0;
            if (http_percent_decode(value, len, true, &got) < 0)
                return xstrndup(value, len); /* a bad escape stands for itself */
            return fl_buf_take(&got);
        }
        p += n;
        if (*p)
            p++;
    }
    return NULL;
}

/* Of one that is there twice the last counts: mesos-go sends its default Accept, and then the one it means. */
const char *http_header_find(const struct http_header *h, size_t n, const char *name)
{
    for (size_t i = n; i-- > 0;)
        if ((h[i].name[0] | 0x20) == (name[0] | 0x20) && strcasecmp(h[i].name, name) == 0)
            return h[i].value;
    return NULL;
}

const char *http_request_header(const struct http_request *r, const char *name)
{
    return http_header_find(r->headers, r->n_headers, name);
}

const char *http_response_header(const struct http_client_response *r, const char *name)
{
    return http_header_find(r->headers, r->n_headers, name);
}

/* "q=0", "q=0.0" and the like refuse a token. */
static bool refused(const char *params, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++) {
        if ((params[i] | 0x20) != 'q' || params[i + 1] != '=')
            continue;
        for (size_t k = i + 2; k < n && params[k] != ';'; k++)
            if (params[k] >= '1' && params[k] <= '9')
                return false;
        return true;
    }
    return false;
}

/* What the list says of a token: 1 takes it, 0 refuses it (q=0), -1 does not name it. */
static int list_says(const char *list, const char *token)
{
    size_t want = strlen(token);
    for (const char *p = list ? list : ""; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ",");
        size_t len = strcspn(p, ",; \t");
        if (len == want && strncasecmp(p, token, len) == 0)
            return !refused(p + len, n - len);
        p += n;
    }
    return -1;
}

bool http_accepts_coding(const char *list, const char *coding)
{
    int says = list_says(list, coding);

    return (says < 0 ? list_says(list, "*") : says) == 1;
}

static int bad_address(struct fl_err *err, const char *s)
{
    return fl_err_set(err, FL_INVALID, "read the address '%s': write host:port", s);
}

int http_parse_host_port(const char *s, uint16_t default_port, char **ret_host, uint16_t *ret_port,
                         struct fl_err *err)
{
    const char *p = s, *scheme = strstr(s, "://");
    if (scheme)
        p = scheme + 3;
    else if (str_starts(s, "//"))
        p = s + 2;
    size_t n = strcspn(p, "/?#");
    const char *at = memchr(p, '@', n);
    if (at)
        return bad_address(err, s);
    const char *host = p, *port = NULL;
    size_t host_len = n;
    if (n > 0 && p[0] == '[') {
        const char *close_bracket = memchr(p, ']', n);
        if (!close_bracket)
            return bad_address(err, s);
        host = p + 1;
        host_len = (size_t)(close_bracket - host);
        if (close_bracket + 1 < p + n) {
            if (close_bracket[1] != ':')
                return bad_address(err, s);
            port = close_bracket + 2;
        }
    } else {
        const char *colon = memchr(p, ':', n);
        if (colon) {
            host_len = (size_t)(colon - p);
            port = colon + 1;
        }
    }
    uint64_t number = default_port;
    if (port) {
        _cleanup_free_ char *text = xstrndup(port, (size_t)(p + n - port));
        if (fl_parse_u64(text, &number) < 0 || number > UINT16_MAX)
            return bad_address(err, s);
    }
    if (host_len == 0 || (port && number == 0))
        return bad_address(err, s);
    *ret_host = xstrndup(host, host_len);
    *ret_port = (uint16_t)number;
    return 0;
}
