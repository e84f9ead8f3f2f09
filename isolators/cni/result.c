/* See result.h. */
#include "isolators/cni/result.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "isolators/cni/conf.h"

/* ---- resolvers ---- */

static void list_free(char **v)
{
    for (char **p = v; p && *p; p++)
        free(*p);
    free(v);
}

void cni_dns_done(struct cni_dns *d)
{
    list_free(d->servers);
    list_free(d->search);
    list_free(d->options);
    free(d->domain);
    memset(d, 0, sizeof(*d));
}

static void list_merge(char ***to, char *const *more)
{
    size_t n = 0, m = 0;

    while (*to && (*to)[n])
        n++;
    while (more && more[m])
        m++;
    if (m == 0)
        return;
    *to = xrealloc(*to, (n + m + 1) * sizeof(char *));
    for (size_t i = 0; i < m; i++)
        (*to)[n + i] = xstrdup(more[i]);
    (*to)[n + m] = NULL;
}

void cni_dns_merge(struct cni_dns *d, const struct cni_dns *more)
{
    list_merge(&d->servers, more->servers);
    list_merge(&d->search, more->search);
    list_merge(&d->options, more->options);
    if (more->domain) {
        free(d->domain);
        d->domain = xstrdup(more->domain);
    }
}

static void format_list(const char *key, char *const *v, struct fl_buf *out)
{
    if (!v || !*v)
        return;
    fl_buf_adds(out, key);
    for (; *v; v++)
        fl_buf_addf(out, " %s", *v);
    fl_buf_addc(out, '\n');
}

void cni_dns_format(const struct cni_dns *d, struct fl_buf *out)
{
    if (d->domain)
        fl_buf_addf(out, "domain %s\n", d->domain);
    format_list("search", d->search, out);
    format_list("options", d->options, out);
    for (char **s = d->servers; s && *s; s++)
        fl_buf_addf(out, "nameserver %s\n", *s);
}

/* A line of resolv.conf must not become two. */
static bool is_word(const char *s)
{
    if (!s || !*s)
        return false;
    for (; *s; s++)
        if (isspace((unsigned char)*s) || iscntrl((unsigned char)*s))
            return false;
    return true;
}

static int take_list(const json_t *o, const char *key, char ***ret, struct fl_err *err)
{
    const json_t *list = json_object_get(o, key);
    size_t n = json_array_size(list);

    if (!list || json_is_null(list) || (json_is_array(list) && n == 0))
        return 0;
    if (!json_is_array(list))
        return fl_err_set(err, FL_INVALID, "'dns.%s' must be a list of texts", key);
    *ret = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!is_word(s))
            return fl_err_set(err, FL_INVALID, "'dns.%s' must be a list of texts without blanks",
                              key);
        (*ret)[i] = xstrdup(s);
    }
    return 0;
}

/* *d is to be freed in any case. */
static int take_dns(const json_t *o, struct cni_dns *d, struct fl_err *err)
{
    const char *domain = json_string_value(json_object_get(o, "domain"));

    int r = take_list(o, "nameservers", &d->servers, err);
    if (r == 0)
        r = take_list(o, "search", &d->search, err);
    if (r == 0)
        r = take_list(o, "options", &d->options, err);
    if (r == 0 && domain && *domain) {
        if (!is_word(domain))
            return fl_err_set(err, FL_INVALID, "'dns.domain' must be a text without blanks");
        d->domain = xstrdup(domain);
    }
    return r;
}

/* ---- addresses ---- */

void cni_result_free(struct cni_result *r)
{
    if (!r)
        return;
    cni_dns_done(&r->dns);
    free(r->ip4);
    free(r->ip6);
    free(r);
}

static int take_address(struct cni_result *r, const char *cidr, struct fl_err *err)
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN];

    if (!cidr || fl_snprintf(text, sizeof(text), "%.*s", (int)strcspn(cidr, "/"), cidr) < 0)
        return fl_err_set(err, FL_INVALID, "an address is missing or too long");
    if (inet_pton(AF_INET, text, bytes) == 1) {
        if (!r->ip4)
            r->ip4 = xstrdup(text);
    } else if (inet_pton(AF_INET6, text, bytes) == 1) {
        if (!r->ip6)
            r->ip6 = xstrdup(text);
    } else {
        return fl_err_set(err, FL_INVALID, "'%s' is no IP address", text);
    }
    return 0;
}

/* 0.1 and 0.2 have ip4 and ip6, later versions a list. */
static int take_addresses(struct cni_result *r, const json_t *root, struct fl_err *err)
{
    const json_t *ips = json_object_get(root, "ips"), *one;
    int result = 0;

    for (size_t i = 0; i < json_array_size(ips) && result == 0; i++)
        result = take_address(
            r, json_string_value(json_object_get(json_array_get(ips, i), "address")), err);
    one = json_object_get(root, "ip4");
    if (result == 0 && json_is_object(one))
        result = take_address(r, json_string_value(json_object_get(one, "ip")), err);
    one = json_object_get(root, "ip6");
    if (result == 0 && json_is_object(one))
        result = take_address(r, json_string_value(json_object_get(one, "ip")), err);
    return result;
}

int cni_result_parse(const char *text, struct cni_result **ret, struct fl_err *err)
{
    json_error_t why;
    _cleanup_json_ json_t *root = json_loads(text, 0, &why);

    if (!json_is_object(root))
        return fl_err_set(err, FL_INVALID, "the result is no JSON object: %s",
                          root ? "it is another value" : why.text);
    struct cni_result *r = xnew0(struct cni_result);
    int result = take_addresses(r, root, err);
    if (result == 0)
        result = take_dns(json_object_get(root, "dns"), &r->dns, err);
    if (result < 0) {
        cni_result_free(r);
        return result;
    }
    *ret = r;
    return 0;
}

void cni_error_text(const char *out, const char *errs, char *ret, size_t size)
{
    _cleanup_json_ json_t *root = json_loads(out, 0, NULL);
    const char *msg = json_string_value(json_object_get(root, "msg"));
    const char *details = json_string_value(json_object_get(root, "details"));
    bool more = details && *details;

    if (msg)
        fl_snprintf(ret, size, "%s%s%s", msg, more ? ": " : "", more ? details : "");
    else
        fl_snprintf(ret, size, "stdout='%s', stderr='%s'", out, errs);
    for (char *p = ret; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = ' ';
}

/* ---- --default_container_dns ---- */

struct row {
    char *network; /* owned; NULL: all */
    struct cni_dns dns;
};
struct cni_default_dns {
    struct row *rows;
    size_t n;
};

void cni_default_dns_free(struct cni_default_dns *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        free(d->rows[i].network);
        cni_dns_done(&d->rows[i].dns);
    }
    free(d->rows);
    free(d);
}
FL_DEFINE_CLEANUP(struct cni_default_dns *, cni_default_dns_free, default_dns_freep)

static const struct row *row_of(const struct cni_default_dns *d, const char *network)
{
    for (size_t i = 0; i < d->n; i++)
        if (streq(d->rows[i].network, network))
            return &d->rows[i];
    return NULL;
}

const struct cni_dns *cni_default_dns_of(const struct cni_default_dns *d, const char *network)
{
    const struct row *row = d ? row_of(d, network) : NULL;

    if (d && !row)
        row = row_of(d, NULL);
    return row ? &row->dns : NULL;
}

static int take_row(struct cni_default_dns *d, const json_t *o, struct fl_err *err)
{
    const char *mode = json_string_value(json_object_get(o, "network_mode"));
    const char *network = json_string_value(json_object_get(o, "network_name"));

    if (streq(mode, "HOST"))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Configuring DNS for HOST network with `--default_container_dns` is not "
                          "yet supported");
    if (!streq(mode, "CNI"))
        return fl_err_set(err, FL_INVALID,
                          "UNKNOWN network mode configured in `--default_container_dns`");
    if (row_of(d, network))
        return fl_err_set(err, FL_INVALID,
                          "Multiple DNS configuration %s%s%s for CNI network in "
                          "`--default_container_dns` is not allowed",
                          network ? "with the same network name '" : "without network name",
                          network ? network : "", network ? "'" : "");
    if (!json_is_object(json_object_get(o, "dns")))
        return fl_err_set(err, FL_INVALID, "'dns' is missing in `--default_container_dns`");
    d->rows = xrealloc(d->rows, (d->n + 1) * sizeof(*d->rows));
    d->rows[d->n] = (struct row){.network = network ? xstrdup(network) : NULL};
    return take_dns(json_object_get(o, "dns"), &d->rows[d->n++].dns, err);
}

int cni_default_dns_parse(const char *text, struct cni_default_dns **ret, struct fl_err *err)
{
    _cleanup_(default_dns_freep) struct cni_default_dns *d = xnew0(struct cni_default_dns);
    json_error_t why;
    _cleanup_json_ json_t *root = text ? json_loads(text, 0, &why) : NULL;
    const json_t *list = json_object_get(root, "mesos");

    if (text && !json_is_object(root))
        return fl_err_set(err, FL_INVALID, "--default_container_dns must be a JSON object: %s",
                          root ? "it is another value" : why.text);
    if (list && !json_is_array(list))
        return fl_err_set(err, FL_INVALID, "'mesos' in --default_container_dns must be a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = take_row(d, json_array_get(list, i), err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(d);
    return 0;
}
