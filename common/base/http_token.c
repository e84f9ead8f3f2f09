/* JSON Web Tokens signed with HMAC-SHA256: "header.payload.signature", each in base64url without padding. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base/http_auth.h"
#include "common/base/base64.h"

#define SIGNATURE 32

static void add_base64url(struct fl_buf *out, const void *p, size_t n)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    json_text_base64(&b, p, n);
    for (size_t i = 1; i + 1 < b.len && b.data[i] != '='; i++)
        fl_buf_addc(out, b.data[i] == '+' ? '-' : b.data[i] == '/' ? '_' : b.data[i]);
}

/* Heap memory, terminated; NULL when it is not base64url. */
static char *from_base64url(const char *s, size_t n, size_t *ret_n)
{
    _cleanup_free_ char *plain = xmalloc(n + 1);
    _cleanup_free_ char *out = xmalloc(n + 4);

    for (size_t i = 0; i < n; i++) {
        if (strchr("+/= \t\r\n", s[i]))
            return NULL;
        plain[i] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
    }
    if (json_base64_decode(plain, n, (uint8_t *)out, ret_n) < 0)
        return NULL;
    out[*ret_n] = '\0';
    return TAKE_PTR(out);
}

static void sign(const char *text, size_t n, const char *key, unsigned char out[SIGNATURE])
{
    unsigned len = SIGNATURE;

    /* Only memory can fail it, which ends the process here as everywhere. */
    if (!HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, n, out, &len))
        abort();
}

char *http_token_make(const struct http_claim *claims, size_t n, const char *key)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    json_t *payload = json_object();
    struct fl_buf out = FL_BUF_INIT;
    unsigned char signature[SIGNATURE];
    char *text;

    for (size_t i = 0; i < n; i++)
        json_object_set_new(payload, claims[i].name, json_string(claims[i].value));
    text = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    if (!text)
        abort(); /* out of memory */
    add_base64url(&out, header, sizeof header - 1);
    fl_buf_addc(&out, '.');
    add_base64url(&out, text, strlen(text));
    free(text);
    sign(out.data, out.len, key, signature);
    fl_buf_addc(&out, '.');
    add_base64url(&out, signature, sizeof signature);
    return fl_buf_take(&out);
}

/* ---- checking ---- */

static json_t *parse_part(const char *s, size_t n)
{
    size_t len;
    _cleanup_free_ char *text = from_base64url(s, n, &len);
    json_t *o = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (o && json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

static int check_header(const char *s, size_t n, struct fl_err *err)
{
    json_t *header = parse_part(s, n);
    const json_t *typ = json_object_get(header, "typ");
    int r = 0;

    if (!header)
        r = fl_err_set(err, FL_UNAUTHENTICATED, "the header is not JSON in base64url");
    else if (!streq(json_string_value(json_object_get(header, "alg")), "HS256"))
        r = fl_err_set(err, FL_UNAUTHENTICATED, "the algorithm is not HS256");
    else if (typ && !json_is_string(typ))
        r = fl_err_set(err, FL_UNAUTHENTICATED, "'typ' is not a text");
    else if (json_object_get(header, "crit"))
        r = fl_err_set(err, FL_UNAUTHENTICATED, "'crit' is not supported");
    json_decref(header);
    return r;
}

static int check_signature(const char *token, const char *dot, const char *key, struct fl_err *err)
{
    unsigned char expected[SIGNATURE];
    size_t len = 0;
    _cleanup_free_ char *got = from_base64url(dot + 1, strlen(dot + 1), &len);

    sign(token, (size_t)(dot - token), key, expected);
    if (!got || len != SIGNATURE || CRYPTO_memcmp(got, expected, SIGNATURE) != 0)
        return fl_err_set(err, FL_UNAUTHENTICATED, "the signature does not match");
    return 0;
}

static struct http_principal *principal_of(json_t *payload)
{
    struct http_principal *p = xnew0(struct http_principal);
    const char *name, *sub = json_string_value(json_object_get(payload, "sub"));
    json_t *value;

    p->claims = xcalloc(json_object_size(payload) + 1, sizeof(*p->claims));
    json_object_foreach(payload, name, value)
    {
        struct http_claim *c = &p->claims[p->n_claims++];
        c->name = xstrdup(name);
        c->value = json_is_string(value) ? xstrdup(json_string_value(value))
                                         : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!c->value)
            abort(); /* out of memory */
    }
    p->value = sub && *sub ? xstrdup(sub) : NULL;
    return p;
}

static int check_payload(const char *s, size_t n, double now_s, struct http_principal **ret,
                         struct fl_err *err)
{
    json_t *payload = parse_part(s, n), *exp = json_object_get(payload, "exp"),
           *nbf = json_object_get(payload, "nbf");
    int r = 0;

    if (!payload)
        r = fl_err_set(err, FL_UNAUTHENTICATED, "the claims are not JSON in base64url");
    else if (json_object_size(payload) == 0)
        r = fl_err_set(err, FL_UNAUTHENTICATED, "there are no claims");
    else if ((exp && !json_is_number(exp)) || (nbf && !json_is_number(nbf)))
        r = fl_err_set(err, FL_UNAUTHENTICATED, "'exp' or 'nbf' is not a number");
    else if (exp && json_number_value(exp) < now_s)
        r = fl_err_set(err, FL_UNAUTHENTICATED, "it has expired");
    else if (nbf && json_number_value(nbf) > now_s)
        r = fl_err_set(err, FL_UNAUTHENTICATED, "it is not valid yet");
    else
        *ret = principal_of(payload);
    json_decref(payload);
    return r;
}

int http_token_check(const char *token, const char *key, double now_s, struct http_principal **ret,
                     struct fl_err *err)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    int r;

    if (!second || strchr(second + 1, '.'))
        return fl_err_set(err, FL_UNAUTHENTICATED, "it has not three parts");
    /* The signature before the claims: what nobody signed is not looked at. */
    r = check_header(token, (size_t)(first - token), err);
    if (r == 0)
        r = check_signature(token, second, key, err);
    if (r == 0)
        r = check_payload(first + 1, (size_t)(second - first - 1), now_s, ret, err);
    return r;
}
