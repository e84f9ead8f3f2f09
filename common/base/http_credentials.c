/* Files of principals and secrets. Of a secret only its SHA-256 is kept: digests have one length, so comparing them tells nothing of
 * the secret's, and a core dump does not hold it. */
#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/stat.h>
#include <uthash.h>

#include "common/base/http_auth.h"
#include "common/base/base64.h"

#define MAX_FILE (16 * 1024 * 1024)

struct credential {
    char *principal; /* owned; key */
    unsigned char digest[SHA256_DIGEST_LENGTH];
    UT_hash_handle hh;
};

struct http_credentials {
    struct credential *by_principal;
};

void http_secret_free(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void secret_freep(char **p)
{
    http_secret_free(*p);
}

void http_credentials_free(struct http_credentials *c)
{
    struct credential *x, *next;

    if (!c)
        return;
    HASH_ITER (hh, c->by_principal, x, next) {
        HASH_DEL(c->by_principal, x);
        free(x->principal);
        free(x);
    }
    free(c);
}

static int add(struct http_credentials *c, const char *principal, const char *secret,
               struct fl_err *err)
{
    struct credential *x;

    if (!*principal || strchr(principal, ':'))
        return fl_err_set(err, FL_INVALID, "the principal '%s' is empty or has a colon", principal);
    HASH_FIND_STR(c->by_principal, principal, x);
    if (x)
        return fl_err_set(err, FL_INVALID, "the principal '%s' stands there twice", principal);
    x = xnew0(struct credential);
    x->principal = xstrdup(principal);
    SHA256((const unsigned char *)secret, strlen(secret), x->digest);
    HASH_ADD_KEYPTR(hh, c->by_principal, x->principal, strlen(x->principal), x);
    return 0;
}

bool http_credentials_fit(const struct http_credentials *c, const char *principal,
                          const char *secret)
{
    static const unsigned char nobody[SHA256_DIGEST_LENGTH];
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const struct credential *x;

    HASH_FIND_STR(c->by_principal, principal, x);
    SHA256((const unsigned char *)secret, strlen(secret), digest);
    return CRYPTO_memcmp(digest, x ? x->digest : nobody, sizeof digest) == 0 && x;
}

/* ---- the two forms ---- */

/* The texts are borrowed from `o`. */
static int read_pair(const json_t *o, const char **ret_principal, const char **ret_secret,
                     struct fl_err *err)
{
    const json_t *secret = json_object_get(o, "secret");

    *ret_principal = json_string_value(json_object_get(o, "principal"));
    *ret_secret = secret ? json_string_value(secret) : "";
    if (!*ret_principal)
        return fl_err_set(err, FL_INVALID, "a credential has no text as 'principal'");
    if (!*ret_secret)
        return fl_err_set(err, FL_INVALID, "the secret of the principal '%s' is not a text",
                          *ret_principal);
    return 0;
}

static int add_all(struct http_credentials *c, const json_t *root, struct fl_err *err)
{
    const json_t *list = json_object_get(root, "credentials");
    const char *principal, *secret;

    if (!json_is_array(list))
        return fl_err_set(err, FL_INVALID, "it has no list 'credentials'");
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = read_pair(json_array_get(list, i), &principal, &secret, err);
        if (r == 0)
            r = add(c, principal, secret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* "principal secret", with blanks around; the line is cut up. False when it is empty. */
static bool cut_line(char *line, char **ret_principal, char **ret_secret)
{
    char *p = line + strspn(line, " \t\r"), *end;

    *ret_principal = p;
    p += strcspn(p, " \t\r");
    if (*p)
        *p++ = '\0';
    p += strspn(p, " \t\r");
    for (end = p + strlen(p); end > p && strchr(" \t\r", end[-1]); end--)
        ;
    *end = '\0';
    *ret_secret = p;
    return **ret_principal != '\0';
}

static int add_lines(struct http_credentials *c, char *text, struct fl_err *err)
{
    char *principal, *secret;
    unsigned n = 1;

    for (char *next, *line = text; line; line = next, n++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (!cut_line(line, &principal, &secret))
            continue;
        /* Not the text: what stands there may be a secret. */
        if (!*secret || strpbrk(secret, " \t"))
            return fl_err_set(err, FL_INVALID, "line %u is not a principal and a secret", n);
        int r = add(c, principal, secret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_json(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '{';
}

static int load_json(const char *text, json_t **ret, struct fl_err *err)
{
    json_error_t why;

    *ret = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    /* Not jansson's words: they quote the text, which may be a secret. */
    if (!*ret)
        return fl_err_set(err, FL_INVALID, "it is not JSON (line %d, column %d)", why.line,
                          why.column);
    return 0;
}

int http_credentials_parse(const char *text, struct http_credentials **ret, struct fl_err *err)
{
    _cleanup_(http_credentials_freep) struct http_credentials *c = xnew0(struct http_credentials);
    json_t *root = NULL;
    int r;

    if (is_json(text)) {
        r = load_json(text, &root, err);
        if (r == 0)
            r = add_all(c, root, err);
        json_decref(root);
    } else {
        _cleanup_(secret_freep) char *copy = xstrdup(text);
        r = add_lines(c, copy, err);
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

/* ---- files ---- */

static int read_file(const char *path, char **ret_text, struct fl_err *err)
{
    FILE *f = fopen(path, "re");
    _cleanup_(secret_freep) char *text = NULL;
    size_t n;

    if (!f)
        return fl_err_errno(err, errno, "open the file of secrets '%s'", path);
    text = xmalloc(MAX_FILE + 1);
    n = fread(text, 1, MAX_FILE + 1, f);
    int failed = ferror(f) ? errno : 0;
    fclose(f);
    if (failed)
        return fl_err_errno(err, failed, "read the file of secrets '%s'", path);
    if (n > MAX_FILE)
        return fl_err_set(err, FL_TOO_LARGE, "the file of secrets '%s' is over %d bytes", path,
                          MAX_FILE);
    text[n] = '\0';
    if (strlen(text) != n)
        return fl_err_set(err, FL_INVALID, "the file of secrets '%s' holds a NUL byte", path);
    *ret_text = TAKE_PTR(text);
    return 0;
}

int http_credentials_read(const char *path, struct http_credentials **ret, struct fl_err *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = read_file(path, &text, err);

    if (r < 0)
        return r;
    r = http_credentials_parse(text, ret, err);
    return r < 0 ? fl_err_wrap(err, "the file of credentials '%s'", path) : 0;
}

int http_secret_read(const char *path, char **ret_text, struct fl_err *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = read_file(path, &text, err);

    if (r < 0)
        return r;
    for (size_t n = strlen(text); n > 0 && strchr("\r\n", text[n - 1]); n--)
        text[n - 1] = '\0';
    if (!*text)
        return fl_err_set(err, FL_INVALID, "the file of a key '%s' is empty", path);
    *ret_text = TAKE_PTR(text);
    return 0;
}

bool http_secret_is_exposed(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & S_IRWXO);
}

char *http_basic_header(const char *principal, const char *secret)
{
    _cleanup_(secret_freep) char *pair = xasprintf("%s:%s", principal, secret);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    char *quoted, *header;

    json_text_base64(&b, pair, strlen(pair));
    quoted = fl_buf_cstr(&b);
    header = xasprintf("Basic %.*s", (int)b.len - 2, quoted + 1);
    OPENSSL_cleanse(b.data, b.len);
    return header;
}

void http_credential_done(struct http_credential *c)
{
    http_secret_free(c->principal);
    http_secret_free(c->secret);
    http_secret_free(c->header);
    *c = (struct http_credential){0};
}

int http_credential_read(const char *path, struct http_credential *ret, struct fl_err *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    const char *principal, *secret;
    char *a, *b;
    json_t *root = NULL;
    int r = read_file(path, &text, err);

    if (r < 0)
        return r;
    if (is_json(text)) {
        r = load_json(text, &root, err);
        if (r == 0)
            r = read_pair(root, &principal, &secret, err);
    } else {
        text[strcspn(text, "\n")] = '\0';
        if (!cut_line(text, &a, &b) || !*b)
            r = fl_err_set(err, FL_INVALID, "it is neither JSON nor a principal and a secret");
        principal = a;
        secret = b;
    }
    if (r == 0)
        *ret = (struct http_credential){xstrdup(principal), xstrdup(secret),
                                        http_basic_header(principal, secret)};
    json_decref(root);
    return r < 0 ? fl_err_wrap(err, "the file of a credential '%s'", path) : 0;
}
