#include "agent/images/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define MAX_REDIRECTS 5
#define MAX_ERRORS    4096
#define CONNECT_S     30L

struct getting {
    const struct http_get *rq;
    struct http_got *got;
    CURL *curl;
    bool begun;
    int failed; /* what begin() or body() said */
};

void http_got_done(struct http_got *g)
{
    free(g->challenge);
    fl_buf_done(&g->errors);
    *g = (struct http_got){0};
}

bool http_same_place(const char *a, const char *b)
{
    const char *pa = strstr(a, "://"), *pb = strstr(b, "://");

    if (!pa || !pb)
        return false;
    size_t na = (size_t)(pa - a) + 3 + strcspn(pa + 3, "/?#");
    size_t nb = (size_t)(pb - b) + 3 + strcspn(pb + 3, "/?#");
    return na == nb && strncasecmp(a, b, na) == 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    static const char name[] = "WWW-Authenticate:";
    struct getting *g = arg;
    size_t len = size * n, from = sizeof(name) - 1;

    if (len > from && strncasecmp(line, name, from) == 0) {
        _cleanup_free_ char *before = TAKE_PTR(g->got->challenge);

        g->got->challenge = xasprintf("%s%s%.*s", before ? before : "", before ? ", " : "",
                                      (int)strcspn(line + from, "\r\n"), line + from);
    }
    return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct getting *g = arg;
    size_t len = size * n;
    long status = 0;

    curl_easy_getinfo(g->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206) {
        size_t room = MAX_ERRORS - FL_MIN(g->got->errors.len, (size_t)MAX_ERRORS);

        fl_buf_add(&g->got->errors, data, FL_MIN(room, len));
        return len;
    }
    if (!g->begun) {
        g->begun = true;
        g->failed = g->rq->begin(g->rq->arg, status == 206);
    }
    if (g->failed == 0)
        g->failed = g->rq->body(g->rq->arg, data, len);
    return g->failed < 0 ? 0 : len;
}

static struct curl_slist *headers_of(const struct http_get *rq, const char *url)
{
    struct curl_slist *list = NULL;

    if (rq->accept) {
        _cleanup_free_ char *h = xasprintf("Accept: %s", rq->accept);
        list = curl_slist_append(list, h);
    }
    if (rq->authorization && http_same_place(rq->url, url)) {
        _cleanup_free_ char *h = xasprintf("Authorization: %s", rq->authorization);
        list = curl_slist_append(list, h);
        explicit_bzero(h, strlen(h));
    }
    return list;
}

static void set_up(struct getting *g, const char *url, struct curl_slist *headers, char *why)
{
    const struct http_get *rq = g->rq;
    long stall = (long)FL_MAX(rq->stall_us / 1000000, 1);

    curl_easy_reset(g->curl);
    curl_easy_setopt(g->curl, CURLOPT_URL, url);
    curl_easy_setopt(g->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(g->curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(g->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(g->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(g->curl, CURLOPT_USERAGENT, "fairlead/" FL_VERSION);
    curl_easy_setopt(g->curl, CURLOPT_CONNECTTIMEOUT, FL_MIN(CONNECT_S, stall));
    curl_easy_setopt(g->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(g->curl, CURLOPT_LOW_SPEED_TIME, stall);
    curl_easy_setopt(g->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(g->curl, CURLOPT_HEADERDATA, g);
    curl_easy_setopt(g->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(g->curl, CURLOPT_WRITEDATA, g);
    /* Not CURLOPT_RESUME_FROM: an answer 200, from a server without ranges, would be an error. begin() sees to it. */
    if (rq->from) {
        _cleanup_free_ char *range = xasprintf("%" PRIu64 "-", rq->from);
        curl_easy_setopt(g->curl, CURLOPT_RANGE, range);
    }
}

static bool may_pass(CURLcode c)
{
    switch (c) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

/* One request. *ret_next: where an answer 3xx leads, the caller's. */
static int get_one(struct getting *g, const char *url, char **ret_next, struct fl_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_of(g->rq, url);
    char *next = NULL;

    set_up(g, url, headers, why);
    free(TAKE_PTR(g->got->challenge));
    fl_buf_clear(&g->got->errors);
    CURLcode c = curl_easy_perform(g->curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(g->curl, CURLINFO_RESPONSE_CODE, &g->got->status);
    if (g->failed < 0)
        return g->failed; /* the receiver has said why */
    if (c != CURLE_OK) {
        g->got->again = may_pass(c);
        return fl_err_set(err, FL_UNAVAILABLE, "get '%.*s': %s", (int)strcspn(url, "?"), url,
                          *why ? why : curl_easy_strerror(c));
    }
    if (g->got->status / 100 == 3 && g->got->status != 304)
        curl_easy_getinfo(g->curl, CURLINFO_REDIRECT_URL, &next);
    *ret_next = next ? xstrdup(next) : NULL;
    return 0;
}

int http_get(const struct http_get *rq, struct http_got *ret, struct fl_err *err)
{
    struct getting g = {.rq = rq, .got = ret, .curl = curl_easy_init()};
    _cleanup_free_ char *url = xstrdup(rq->url);
    int r = g.curl ? 0 : fl_err_set(err, FL_NO_MEMORY, "out of memory");

    for (int i = 0; r == 0; i++) {
        char *next = NULL;

        r = get_one(&g, url, &next, err);
        if (r < 0 || !next)
            break;
        if (i == MAX_REDIRECTS)
            r = fl_err_set(err, FL_UNAVAILABLE, "'%s' is redirected without end", rq->url);
        else if (strncasecmp(url, "https:", 6) == 0 && strncasecmp(next, "https:", 6) != 0)
            r = fl_err_set(err, FL_FORBIDDEN, "'%s' is redirected to one without TLS", rq->url);
        free(url);
        url = next;
    }
    curl_easy_cleanup(g.curl);
    return r;
}
