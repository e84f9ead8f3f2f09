/* Which cluster is meant and who asks: options, environment, context, default, in that order. See connection.h.
 *
 * What a context says of credentials goes only to the masters that it names, or to others when --context says so in as many words: a
 * secret is not sent to whoever --master names. */
#include <errno.h>
#include <stdio.h>

#include "cli/config.h"
#include "cli/connection_priv.h"

enum level { BY_DEFAULT, BY_FILE, BY_ENVIRONMENT, BY_FLAG };

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* The context that is meant, or NULL. */
static int choose_context(struct cli *c, struct config *config, const struct context **ret,
                          enum level *ret_level, struct fl_err *err)
{
    const char *name = c->context;

    *ret_level = BY_FLAG;
    if (!name) {
        name = environment("FAIRLEAD_CONTEXT");
        *ret_level = BY_ENVIRONMENT;
    }
    if (!name) {
        name = config->current;
        *ret_level = BY_FILE;
    }
    if (!name)
        return 0;
    *ret = config_find(config, name);
    if (!*ret)
        return fl_err_set(err, FL_NOT_FOUND,
                          "there is no context '%.64s'; `fairlead config list` lists them", name);
    return 0;
}

/* What is asked with, each from the first place that says it. */
struct settings {
    const char *values[CONFIG_KEYS];
};

static bool is_identity(enum config_key k)
{
    return k == CONFIG_CREDENTIAL_FILE || k == CONFIG_TOKEN_FILE || k == CONFIG_PRINCIPAL ||
           k == CONFIG_SECRET || k == CONFIG_TOKEN;
}

/* Whether the context says this; who asks is one matter, however it is said. */
static bool says(const struct context *x, enum config_key key)
{
    for (enum config_key k = 0; k < CONFIG_KEYS; k++)
        if (x->values[k] && (k == key || (is_identity(k) && is_identity(key))))
            return true;
    return false;
}

static void replace(struct settings *s, enum config_key key, const char *value)
{
    for (enum config_key k = 0; k < CONFIG_KEYS; k++)
        if (is_identity(k) && is_identity(key))
            s->values[k] = NULL;
    s->values[key] = value;
}

static void settle(struct cli *c, const struct context *x, enum level x_level, struct settings *s)
{
    const struct {
        enum config_key key;
        const char *flag, *variable;
    } rows[] = {
        {CONFIG_MASTER, c->master, "FAIRLEAD_MASTER"},
        {CONFIG_TOKEN_FILE, c->token_file, "FAIRLEAD_TOKEN_FILE"},
        {CONFIG_CREDENTIAL_FILE, c->credential_file, "FAIRLEAD_LOGIN"},
        {CONFIG_CA_FILE, c->ca_file, "FAIRLEAD_CA_FILE"},
        {CONFIG_CERT_FILE, c->cert_file, "FAIRLEAD_CERT_FILE"},
        {CONFIG_KEY_FILE, c->key_file, "FAIRLEAD_KEY_FILE"},
        {CONFIG_INSECURE, c->insecure ? "yes" : NULL, "FAIRLEAD_INSECURE"},
    };
    enum level master_level = c->master                        ? BY_FLAG
                              : environment("FAIRLEAD_MASTER") ? BY_ENVIRONMENT
                                                               : BY_DEFAULT;
    bool named = x && x_level == BY_FLAG, theirs = x && (named || x_level > master_level);

    s->values[CONFIG_MASTER] = CLI_DEFAULT_MASTER;
    for (enum config_key k = 0; theirs && k < CONFIG_KEYS; k++)
        if (x->values[k])
            s->values[k] = x->values[k];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *value = environment(rows[i].variable);
        /* --context names a cluster: variables are of another one. */
        if (value && !(named && says(x, rows[i].key)))
            replace(s, rows[i].key, value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].flag)
            replace(s, rows[i].key, rows[i].flag);
}

static int load_token(struct connection *n, const char *text, struct fl_err *err)
{
    if (text[strcspn(text, " \t\r\n")])
        return fl_err_set(err, FL_INVALID, "the token has blanks or several lines");
    n->authorization = xasprintf("Bearer %s", text);
    return 0;
}

static int load_identity(struct connection *n, const struct settings *s, struct fl_err *err)
{
    const char *const *v = s->values;
    char *token;
    int r = 0;

    if (v[CONFIG_CREDENTIAL_FILE]) {
        r = http_credential_read(v[CONFIG_CREDENTIAL_FILE], &n->credential, err);
        if (r < 0)
            return fl_err_wrap(err, "the credential (--credential-file, FAIRLEAD_LOGIN)");
        n->authorization = xstrdup(n->credential.header);
    } else if (v[CONFIG_TOKEN_FILE]) {
        r = http_secret_read(v[CONFIG_TOKEN_FILE], &token, err);
        if (r < 0)
            return fl_err_wrap(err, "the token (--token-file, FAIRLEAD_TOKEN_FILE)");
        r = load_token(n, token, err);
        http_secret_free(token);
    } else if (v[CONFIG_TOKEN]) {
        r = load_token(n, v[CONFIG_TOKEN], err);
    } else if (v[CONFIG_PRINCIPAL]) {
        n->credential.principal = xstrdup(v[CONFIG_PRINCIPAL]);
        n->credential.secret = xstrdup(v[CONFIG_SECRET] ? v[CONFIG_SECRET] : "");
        n->credential.header = http_basic_header(n->credential.principal, n->credential.secret);
        n->authorization = xstrdup(n->credential.header);
    }
    return r;
}

/* "host:port,https://host:port": a scheme counts for those that follow without one. */
static int parse_masters(struct connection *n, const char *text, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    bool tls = false;

    for (char *next, *word = copy; word; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        word += strspn(word, " ");
        word[strcspn(word, " ")] = '\0';
        if (!*word)
            continue;
        struct peer p = {.prefix = xstrdup("")};
        int r = address_parse(word, 5050, tls, &p.at, err);
        if (r < 0) {
            free(p.prefix);
            return r;
        }
        tls = p.at.tls;
        _cleanup_free_ char *at = address_text(&p.at);
        p.name = xasprintf("the master at '%s'", at);
        n->masters = xgrow(n->masters, &n->cap_masters, n->n_masters + 1, sizeof(*n->masters));
        n->masters[n->n_masters++] = p;
        n->tls_wanted = n->tls_wanted || tls;
    }
    if (!n->n_masters)
        return fl_err_set(err, FL_INVALID, "no master is named: --master HOST:PORT");
    return 0;
}

static int make_tls(struct connection *n, const struct settings *s, struct fl_err *err)
{
    const char *const *v = s->values;
    const struct fl_tls_config t = {
        .cert_file = v[CONFIG_CERT_FILE],
        .key_file = v[CONFIG_KEY_FILE],
        .ca_file = v[CONFIG_CA_FILE],
        .verify_peer = !(v[CONFIG_INSECURE] && !streq(v[CONFIG_INSECURE], "no") &&
                         !streq(v[CONFIG_INSECURE], "0")),
        .min_version = 0x0303,
    };

    return n->tls_wanted ? fl_tls_client_new(&t, &n->tls, err) : 0;
}

static int make(struct cli *c, struct connection *n, struct fl_err *err)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = config_path();
    const struct context *x = NULL;
    struct settings s = {0};
    enum level x_level;
    int r = config_read(path, &config, err);

    if (r == 0)
        r = choose_context(c, &config, &x, &x_level, err);
    if (r < 0)
        return r;
    settle(c, x, x ? x_level : BY_DEFAULT, &s);
    n->text = xstrdup(s.values[CONFIG_MASTER]);
    r = parse_masters(n, s.values[CONFIG_MASTER], err);
    if (r == 0)
        r = load_identity(n, &s, err);
    if (r == 0)
        r = make_tls(n, &s, err);
    return r;
}

int connection_new(struct cli *c, struct connection **ret, int *ret_code)
{
    struct connection *n = xnew0(struct connection);
    struct fl_err err = {0};
    int r = make(c, n, &err);

    if (r < 0) {
        connection_free(n);
        cli_fail(&err);
        *ret_code = CLI_USAGE;
        return r;
    }
    *ret = n;
    return 0;
}

void connection_free(struct connection *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_masters; i++)
        peer_done(&n->masters[i]);
    free(n->masters);
    peer_done(&n->leader);
    http_credential_done(&n->credential);
    http_secret_free(n->authorization);
    fl_tls_free(n->tls);
    free(n->text);
    free(n);
}

const char *connection_masters(const struct cli *c)
{
    return c->connection->text;
}

const char *connection_principal(const struct cli *c)
{
    return c->connection->credential.principal;
}

const char *connection_secret(const struct cli *c)
{
    return c->connection->credential.secret;
}

/* ---- addresses and peers ---- */

int address_parse(const char *text, uint16_t default_port, bool tls, struct address *ret,
                  struct fl_err *err)
{
    const char *scheme = strstr(text, "://");

    if (scheme && str_starts(text, "https://"))
        tls = true;
    else if (scheme && str_starts(text, "http://"))
        tls = false;
    else if (scheme)
        return fl_err_set(err, FL_INVALID,
                          "'%.200s' is no master's address: HOST:PORT, http:// or https://", text);
    *ret = (struct address){.tls = tls};
    return http_parse_host_port(text, default_port, &ret->host, &ret->port, err);
}

void address_done(struct address *a)
{
    free(a->host);
    *a = (struct address){0};
}

char *address_text(const struct address *a)
{
    bool v6 = strchr(a->host, ':');

    return xasprintf("%s%s%s%s:%u", a->tls ? "https://" : "", v6 ? "[" : "", a->host, v6 ? "]" : "",
                     a->port);
}

void peer_done(struct peer *p)
{
    address_done(&p->at);
    free(p->prefix);
    free(p->name);
    *p = (struct peer){0};
}
