/* Images of a registry: protocol version 2 (OCI's distribution specification). Everything is verified by its digest on the way, but the
 * manifest of a tag, which the registry alone vouches for. What may pass is tried again after a while, blobs from where they stopped. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "agent/images/auth.h"
#include "agent/images/http.h"
#include "agent/images/source.h"
#include "common/base/sha256.h"

#define REGISTRY_MAGIC 0x1f01de28u
#define ATTEMPTS       5
#define FIRST_WAIT_MS  200
#define AUTH_ATTEMPTS  2

struct registry_source {
    struct image_source base; /* first */
    unsigned magic;
    struct source_options o;               /* borrowed */
    char *url, *host;                      /* owned; "https://host:port", "host:port" */
    char *repository, *reference, *digest; /* owned; digest: of the reference, or NULL */
    char *credentials;                     /* owned; "user:password" or NULL */
    pthread_mutex_t mutex;
    char *authorization; /* owned; the last that was good */
};

static struct registry_source *registry_of(struct image_source *s)
{
    return FL_CAST(registry_source, REGISTRY_MAGIC, s);
}

static void wait_before(int attempt)
{
    long ms = (long)FIRST_WAIT_MS << (attempt - 1);
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* ---- small answers ---- */

struct small {
    struct fl_buf *out;
    struct fl_err *err;
};

static int small_begin(void *arg, bool partial)
{
    fl_buf_clear(((struct small *)arg)->out);
    return 0;
}

static int small_body(void *arg, const void *data, size_t n)
{
    struct small *s = arg;

    if (s->out->len + n > IMAGE_MAX_MANIFEST)
        return fl_err_set(s->err, FL_TOO_LARGE, "the registry's answer has more than %zu bytes",
                          IMAGE_MAX_MANIFEST);
    fl_buf_add(s->out, data, n);
    return 0;
}

/* ---- who we are ---- */

static int get_token(struct registry_source *s, const struct auth_challenge *c, char **ret,
                     struct fl_err *err)
{
    _cleanup_free_ char *url = auth_token_url(c, s->repository);
    _cleanup_free_ char *basic = s->credentials ? auth_basic(s->credentials) : NULL;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_http_got_ struct http_got got = {0};
    struct small small = {&b, err};

    if (!url || (!str_starts(url, "https://") && !str_starts(url, "http://")))
        return fl_err_set(err, FL_INVALID, "registry '%s' wants a token and names no place for it",
                          s->host);
    if (basic && str_starts(url, "http://") && str_starts(s->url, "https://"))
        return fl_err_set(err, FL_FORBIDDEN,
                          "registry '%s' wants the password to be sent without TLS", s->host);
    const struct http_get rq = {.url = url,
                                .authorization = basic,
                                .stall_us = s->o.stall_us,
                                .begin = small_begin,
                                .body = small_body,
                                .arg = &small};
    int r = http_get(&rq, &got, err);
    if (r == 0 && got.status != 200)
        r = fl_err_set(err, FL_UNAUTHENTICATED,
                       "the token server of registry '%s' answered %ld; check the credentials of "
                       "the image or of --docker_config",
                       s->host, got.status);
    return r < 0 ? r : auth_token_parse(b.data ? b.data : "", b.len, ret, err);
}

static int answer_challenge(struct registry_source *s, const char *challenge, char **ret,
                            struct fl_err *err)
{
    _cleanup_auth_challenge_ struct auth_challenge c = {0};
    _cleanup_free_ char *token = NULL;

    auth_challenge_parse(challenge ? challenge : "", &c);
    if (c.scheme == AUTH_BEARER) {
        int r = get_token(s, &c, &token, err);
        if (r == 0)
            *ret = xasprintf("Bearer %s", token);
        return r;
    }
    if (c.scheme == AUTH_BASIC && s->credentials) {
        *ret = auth_basic(s->credentials);
        return 0;
    }
    return fl_err_set(err, FL_UNAUTHENTICATED,
                      "registry '%s' wants credentials%s; give them with the image or in "
                      "--docker_config",
                      s->host, c.scheme == AUTH_BASIC ? "" : " of a kind that is not supported");
}

static char *authorization_now(struct registry_source *s)
{
    pthread_mutex_lock(&s->mutex);
    char *a = s->authorization ? xstrdup(s->authorization) : NULL;
    pthread_mutex_unlock(&s->mutex);
    return a;
}

static void set_authorization(struct registry_source *s, const char *a)
{
    pthread_mutex_lock(&s->mutex);
    free(s->authorization);
    s->authorization = xstrdup(a);
    pthread_mutex_unlock(&s->mutex);
}

/* A refused request is sent again with what the registry asks for; tokens also end in the middle of a pull. */
static int get_allowed(struct registry_source *s, struct http_get *rq, struct http_got *got,
                       struct fl_err *err)
{
    _cleanup_free_ char *authorization = authorization_now(s);

    for (int i = 0;; i++) {
        rq->authorization = authorization;
        int r = http_get(rq, got, err);
        if (r < 0 || got->status != 401 || i == AUTH_ATTEMPTS)
            return r;
        char *better = NULL;
        r = answer_challenge(s, got->challenge, &better, err);
        if (r < 0)
            return r;
        free(authorization);
        authorization = better;
        set_authorization(s, better);
        http_got_done(got);
    }
}

/* What the registry says in its errors, as far as it is plain text. */
static void error_text(const struct http_got *got, char *out, size_t size)
{
    json_t *j = json_loadb(got->errors.data ? got->errors.data : "", got->errors.len, 0, NULL);
    const json_t *first = json_array_get(json_object_get(j, "errors"), 0);
    const char *m = json_string_value(json_object_get(first, "message"));
    size_t n = 0;

    out[0] = '\0';
    if (m && *m)
        n = FL_MIN(strlen(m), size - 3);
    for (size_t i = 0; i < n; i++)
        out[2 + i] = m[i] < ' ' ? ' ' : m[i];
    if (n) {
        memcpy(out, ": ", 2);
        out[2 + n] = '\0';
    }
    json_decref(j);
}

/* *ret_again: worth another try. */
static int check_status(const struct registry_source *s, const struct http_got *got,
                        const char *what, bool *ret_again, struct fl_err *err)
{
    char text[200];

    *ret_again = got->status == 429 || got->status / 100 == 5;
    if (got->status == 200 || got->status == 206)
        return 0;
    error_text(got, text, sizeof(text));
    if (got->status == 401 || got->status == 403)
        return fl_err_set(err, FL_UNAUTHENTICATED,
                          "registry '%s' does not give us %s (%ld%s); check the credentials",
                          s->host, what, got->status, text);
    if (got->status == 404)
        return fl_err_set(err, FL_NOT_FOUND, "registry '%s' has no %s%s", s->host, what, text);
    return fl_err_set(err, FL_UNAVAILABLE, "registry '%s' answered %ld for %s%s", s->host,
                      got->status, what, text);
}

/* ---- manifests ---- */

static int get_manifest(struct image_source *base, const char *digest, struct fl_buf *out,
                        struct fl_err *err)
{
    struct registry_source *s = registry_of(base);
    const char *which = digest ? digest : s->reference;
    _cleanup_free_ char *url = xasprintf("%s/v2/%s/manifests/%s", s->url, s->repository, which);
    _cleanup_free_ char *what = xasprintf("manifest '%s:%s'", s->repository, which);
    struct small small = {out, err};
    struct http_get rq = {.url = url,
                          .accept = MEDIA_MANIFESTS,
                          .stall_us = s->o.stall_us,
                          .begin = small_begin,
                          .body = small_body,
                          .arg = &small};

    for (int i = 1;; i++) {
        _cleanup_http_got_ struct http_got got = {0};
        int r = get_allowed(s, &rq, &got, err);
        bool again = got.again;

        if (r == 0)
            r = check_status(s, &got, what, &again, err);
        if (r == 0 || !again || i == ATTEMPTS)
            return r;
        wait_before(i);
    }
}

static int registry_describe(struct image_source *base, struct image_manifest *ret, char **ret_id,
                             struct fl_err *err)
{
    return source_describe(base, get_manifest, registry_of(base)->digest, ret, ret_id, err);
}

/* ---- blobs ---- */

struct download {
    const struct registry_source *s;
    const struct image_blob *b;
    int fd;
    uint64_t have, check_at;
    struct fl_sha256 *hash;
    struct fl_err *err;
};

static int restart(struct download *d)
{
    fl_sha256_free(d->hash);
    d->hash = fl_sha256_new();
    d->have = d->check_at = 0;
    if (ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0)
        return fl_err_errno(d->err, errno, "begin a download anew");
    return 0;
}

static int blob_begin(void *arg, bool partial)
{
    struct download *d = arg;

    return partial || d->have == 0 ? 0 : restart(d);
}

static int check_room(struct download *d)
{
    struct statvfs fs;

    if (d->b->size && d->have > d->b->size)
        return fl_err_set(d->err, FL_INVALID,
                          "blob '%s' has more than the %" PRIu64 " bytes its manifest says",
                          d->b->digest, d->b->size);
    if (d->have < d->check_at || fstatvfs(d->fd, &fs) < 0)
        return 0;
    d->check_at = d->have + (16 << 20);
    if ((uint64_t)fs.f_bavail * fs.f_frsize < d->s->o.spare_bytes)
        return fl_err_set(d->err, FL_LIMIT,
                          "pulling stops because less than %" PRIu64
                          " MB are free where images are kept (--docker_store_dir)",
                          d->s->o.spare_bytes >> 20);
    return 0;
}

static int blob_body(void *arg, const void *data, size_t n)
{
    struct download *d = arg;

    for (size_t done = 0; done < n;) {
        ssize_t w = write(d->fd, (const char *)data + done, n - done);
        if (w < 0 && errno != EINTR)
            return fl_err_errno(d->err, errno, "write blob '%s'", d->b->digest);
        done += w > 0 ? (size_t)w : 0;
    }
    fl_sha256_add(d->hash, data, n);
    d->have += n;
    return check_room(d);
}

static int check_blob(struct download *d, struct fl_err *err)
{
    char hex[FL_SHA256_HEX];
    const char *want;

    fl_sha256_hex(d->hash, hex);
    if (image_digest_hex(d->b->digest, &want) == 0 && streq(hex, want) &&
        (!d->b->size || d->have == d->b->size))
        return lseek(d->fd, 0, SEEK_SET) < 0 ? fl_err_errno(err, errno, "read a blob again") : 0;
    return fl_err_set(err, FL_INVALID,
                      "registry '%s' sent %" PRIu64 " bytes of digest 'sha256:%s' as blob '%s'",
                      d->s->host, d->have, hex, d->b->digest);
}

static int download(struct registry_source *s, struct download *d, struct fl_err *err)
{
    _cleanup_free_ char *url = xasprintf("%s/v2/%s/blobs/%s", s->url, s->repository, d->b->digest);
    _cleanup_free_ char *what = xasprintf("blob '%s'", d->b->digest);
    struct http_get rq = {
        .url = url, .stall_us = s->o.stall_us, .begin = blob_begin, .body = blob_body, .arg = d};

    for (int i = 1;; i++) {
        _cleanup_http_got_ struct http_got got = {0};
        bool all = d->b->size && d->have == d->b->size; /* the end was lost after the last byte */
        rq.from = d->have;
        int r = all ? 0 : get_allowed(s, &rq, &got, err);
        bool again = got.again;

        if (r == 0 && !all) {
            r = check_status(s, &got, what, &again, err);
            if (got.status ==
                416) /* not even the first byte of what is missing: what we have is wrong */
                again = restart(d) == 0;
        }
        if (r == 0 || !again || i == ATTEMPTS)
            return r < 0 ? r : check_blob(d, err);
        wait_before(i);
    }
}

static int registry_blob(struct image_source *base, const struct image_blob *b, const char *scratch,
                         int *ret_fd, struct fl_err *err)
{
    struct registry_source *s = registry_of(base);
    _cleanup_close_ int fd = open(scratch, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct download d = {.s = s, .b = b, .fd = fd, .hash = fl_sha256_new(), .err = err};
    int r = fd < 0 ? fl_err_errno(err, errno, "make '%s'", scratch) : download(s, &d, err);

    fl_sha256_free(d.hash);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

/* ---- the object ---- */

static void registry_free(struct image_source *base)
{
    struct registry_source *s = registry_of(base);

    free(s->url);
    free(s->host);
    free(s->repository);
    free(s->reference);
    free(s->digest);
    free(s->credentials);
    free(s->authorization);
    pthread_mutex_destroy(&s->mutex);
    s->magic = 0;
    free(s);
}

static int find_credentials(struct registry_source *s, struct fl_err *err)
{
    const struct source_options *o = &s->o;
    int r = 0;

    if (o->user && o->password)
        s->credentials = xasprintf("%s:%s", o->user, o->password);
    if (!s->credentials && o->config)
        r = auth_credentials_find(o->config, s->host, &s->credentials, err);
    if (r == 0 && !s->credentials && o->default_config)
        r = auth_credentials_find(o->default_config, s->host, &s->credentials, err);
    return r;
}

static const struct image_source_ops registry_ops = {
    .describe = registry_describe,
    .blob = registry_blob,
    .free = registry_free,
};

int source_registry_new(const struct source_options *o, const struct image_ref *ref,
                        const char *base, struct image_source **ret, struct fl_err *err)
{
    struct registry_source *s = xnew0(struct registry_source);

    curl_global_init(CURL_GLOBAL_DEFAULT);
    *s = (struct registry_source){.base.ops = &registry_ops,
                                  .magic = REGISTRY_MAGIC,
                                  .o = *o,
                                  .url = xstrdup(base),
                                  .host = xstrdup(strstr(base, "://") + 3),
                                  .repository = xstrdup(ref->repository),
                                  .reference = xstrdup(image_ref_tag(ref)),
                                  .digest = ref->digest ? xstrdup(ref->digest) : NULL};
    pthread_mutex_init(&s->mutex, NULL);
    int r = find_credentials(s, err);
    if (r < 0) {
        registry_free(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}
