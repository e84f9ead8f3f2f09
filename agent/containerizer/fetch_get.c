/* See fetch_get.h: files and what libcurl gets. */
#include "agent/containerizer/fetch_get.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/flags.h"

#define MAX_REDIRECTS 20L

int fetch_sink_put(struct fetch_sink *sink, const char *data, size_t n)
{
    int r = fetch_budget_take(&sink->budget, n, &sink->err);

    if (r == 0)
        r = fetch_write(sink->fd, data, n, &sink->err);
    sink->failed = r < 0;
    return r;
}

static int sink_failed(const struct fetch_sink *sink, const char *what, struct fl_err *err)
{
    if (err)
        *err = sink->err;
    return fl_err_wrap(err, "fetch '%.200s'", what);
}

/* ---- files ---- */

int fetch_copy(int in, struct fetch_sink *sink, struct fl_err *err)
{
    _cleanup_free_ char *buf = xmalloc(1u << 18);
    ssize_t n;

    while ((n = read(in, buf, 1u << 18)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fl_err_errno(err, errno, "read a file that is copied");
        int r = fetch_sink_put(sink, buf, (size_t)n);
        if (r < 0)
            return sink_failed(sink, "a file", err);
    }
    return 0;
}

/* With the rights of the container's user, so nobody reads what is not theirs. */
static int open_local(const struct fetch_uri *u, const struct agent_flags *flags, struct stat *st,
                      int *ret, struct fl_err *err)
{
    _cleanup_free_ char *path = NULL;

    int r = fetch_uri_path(u, flags->frameworks_home, &path, err);
    if (r < 0)
        return r;
    /* Not for ever at a pipe. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) < 0)
        return fl_err_errno(err, errno, "read '%.200s'", path);
    if (!S_ISREG(st->st_mode))
        return fl_err_set(err, FL_INVALID, "'%.200s' is not a file that could be fetched", path);
    *ret = TAKE_FD(fd);
    return 0;
}

static int get_local(const struct fetch_uri *u, const struct agent_flags *flags,
                     struct fetch_sink *sink, struct fl_err *err)
{
    _cleanup_close_ int in = -EBADF;
    struct stat st;

    int r = open_local(u, flags, &st, &in, err);
    return r < 0 ? r : fetch_copy(in, sink, err);
}

static int size_local(const struct fetch_uri *u, const struct agent_flags *flags, uint64_t *ret,
                      struct fl_err *err)
{
    _cleanup_close_ int in = -EBADF;
    struct stat st;

    int r = open_local(u, flags, &st, &in, err);
    if (r == 0)
        *ret = (uint64_t)st.st_size;
    return r;
}

/* ---- by libcurl ---- */

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    return fetch_sink_put(arg, data, size * n) < 0 ? 0 : size * n;
}

static size_t on_nothing(char *data, size_t size, size_t n, void *arg)
{
    return size * n;
}

static void set_up(CURL *curl, const char *url, char *reason, const struct agent_flags *flags)
{
    long stall = FL_MAX(1L, (long)(flags->fetcher_stall_timeout / 1000000));

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, stall);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, stall);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "fairlead-fetcher/" FL_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_nothing);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_nothing);
}

/* The outcome in words; HTTP knows good answers that are none: 204, 206. */
static int judge(CURL *curl, CURLcode code, const char *url, const char *reason, struct fl_err *err)
{
    _cleanup_free_ char *shown = fetch_uri_masked(url);
    const char *scheme = NULL;
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_SCHEME, &scheme);
    bool http = scheme && strncasecmp(scheme, "http", 4) == 0;
    if (code == CURLE_HTTP_RETURNED_ERROR || (code == CURLE_OK && http && status != 200))
        return fl_err_set(err, FL_UNAVAILABLE, "download '%.200s': the server answered HTTP %ld",
                          shown, status);
    if (code != CURLE_OK)
        return fl_err_set(err, FL_UNAVAILABLE, "download '%.200s': %s", shown,
                          *reason ? reason : curl_easy_strerror(code));
    return 0;
}

static int get_net(const char *url, const struct agent_flags *flags, struct fetch_sink *sink,
                   struct fl_err *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();

    if (!curl)
        return fl_err_set(err, FL_NO_MEMORY, "cannot start a download");
    set_up(curl, url, reason, flags);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    CURLcode code = curl_easy_perform(curl);
    int r = sink->failed ? sink_failed(sink, url, err) : judge(curl, code, url, reason, err);
    curl_easy_cleanup(curl);
    return r;
}

static int size_net(const char *url, const struct agent_flags *flags, uint64_t *ret,
                    struct fl_err *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    curl_off_t size = -1;
    CURL *curl = curl_easy_init();

    if (!curl)
        return fl_err_set(err, FL_NO_MEMORY, "cannot ask for a size");
    set_up(curl, url, reason, flags);
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    int r = judge(curl, curl_easy_perform(curl), url, reason, err);
    if (r == 0)
        curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    curl_easy_cleanup(curl);
    if (r < 0)
        return r;
    if (size <= 0)
        return fl_err_set(err, FL_UNAVAILABLE, "the server does not say how large '%.200s' is",
                          url);
    *ret = (uint64_t)size;
    return 0;
}

/* ---- any ---- */

int fetch_get(const struct fetch_uri *u, const struct agent_flags *flags, int sandbox,
              struct fetch_sink *sink, struct fl_err *err)
{
    switch (u->way) {
    case FETCH_FILE:
        return get_local(u, flags, sink, err);
    case FETCH_NET:
        return get_net(u->uri, flags, sink, err);
    default:
        return fetch_hook_get(u->uri, flags, sandbox, sink, err);
    }
}

int fetch_size(const struct fetch_uri *u, const struct agent_flags *flags, uint64_t *ret,
               struct fl_err *err)
{
    switch (u->way) {
    case FETCH_FILE:
        return size_local(u, flags, ret, err);
    case FETCH_NET:
        return size_net(u->uri, flags, ret, err);
    default:
        return fetch_hook_size(u->uri, flags, ret, err);
    }
}
