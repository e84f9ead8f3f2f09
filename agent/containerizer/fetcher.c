/* The fetcher's process: takes the container's user first, so whatever it writes is the user's and nothing else can be written; then each
 * URI in order, into a file of the sandbox, and out of it if it is an archive (fetch_extract.c). It ends at the first failure, when its time
 * is over, or when the agent hangs up (a signal through its pidfd).
 *
 * Taken URIs: file://, plain paths, paths relative to --frameworks_home, http, https, ftp, ftps.
 */
#include "agent/containerizer/fetcher.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/containerizer/fetch_extract.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/containerizer/shim/note.h"
#include "agent/flags.h"
#include "common/base/buf.h"
#include "proto/mesos.pb-c.h"

#define MAX_COMMAND (16u << 20)

static void tell(int sock, const char *text)
{
    struct shim_note n = {.type = text ? SHIM_FAILED : SHIM_EXITED};

    fl_snprintf(n.text, sizeof(n.text), "%s", text ? text : "");
    send(sock, &n, offsetof(struct shim_note, text) + strlen(n.text) + 1, MSG_NOSIGNAL);
}

static int take_user(const char *user, struct fl_err *err)
{
    if (!*user)
        return 0;
    const struct passwd *pw = getpwnam(user);
    if (!pw)
        return fl_err_set(err, FL_INVALID,
                          "no user '%s' on this machine; create it or name another", user);
    if (initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
        return fl_err_errno(err, errno, "become user '%s'", user);
    return 0;
}

/* ---- the name of the file ---- */

/* What stands behind the last / of a URI, without query. */
static int base_name(const char *uri, char **ret, struct fl_err *err)
{
    size_t len = strcspn(uri, "?#");
    const char *start = uri + len;

    while (start > uri && start[-1] != '/')
        start--;
    size_t n = (size_t)(uri + len - start);
    if (n == 0 || (n == 1 && *start == '.') || (n == 2 && start[0] == '.' && start[1] == '.'))
        return fl_err_set(err, FL_INVALID, "the URI '%s' names no file; give output_file", uri);
    *ret = xstrndup(start, n);
    return 0;
}

/* Opens the new file `name` below the sandbox: its folders are made, no link is followed, `..` is refused. */
static int open_output(int sandbox, const char *name, int *ret_fd, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(name);
    _cleanup_close_ int dir = fcntl(sandbox, F_DUPFD_CLOEXEC, 3);
    char *part = copy;

    if (*name == '/' || !*name)
        return fl_err_set(err, FL_INVALID,
                          "output_file '%s' must be a path relative to the sandbox", name);
    for (char *slash; (slash = strchr(part, '/')); part = slash + 1) {
        *slash = '\0';
        if (streq(part, "..") || !*part)
            return fl_err_set(err, FL_INVALID, "output_file '%s' must not leave the sandbox", name);
        if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno, "make the folder '%s' of '%s'", part, name);
        int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return fl_err_errno(err, errno, "open the folder '%s' of '%s'", part, name);
        close(dir);
        dir = next;
    }
    if (!*part || streq(part, "..") || streq(part, "."))
        return fl_err_set(err, FL_INVALID, "output_file '%s' must not leave the sandbox", name);
    unlinkat(dir, part, 0);
    int fd = openat(dir, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return fl_err_errno(err, errno, "make '%s' in the sandbox", name);
    *ret_fd = fd;
    return 0;
}

/* ---- getting it ---- */

static int copy_file(const char *path, int out, struct fl_err *err)
{
    _cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_free_ char *buf = xmalloc(1 << 18);
    struct stat st;
    ssize_t n;

    if (in < 0 || fstat(in, &st) < 0)
        return fl_err_errno(err, errno, "read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "'%s' is not a file that could be fetched", path);
    while ((n = read(in, buf, 1 << 18)) > 0)
        for (ssize_t done = 0; done < n;) {
            ssize_t k = write(out, buf + done, (size_t)(n - done));
            if (k < 0 && errno != EINTR)
                return fl_err_errno(err, errno, "write what was read from '%s'", path);
            done += k > 0 ? k : 0;
        }
    return n < 0 ? fl_err_errno(err, errno, "read '%s'", path) : 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    int fd = *(int *)arg;
    size_t len = size * n, done = 0;

    while (done < len) {
        ssize_t k = write(fd, data + done, len - done);
        if (k < 0 && errno != EINTR)
            return 0;
        done += k > 0 ? (size_t)k : 0;
    }
    return len;
}

static void set_up(CURL *curl, const char *url, int *out, char *reason,
                   const struct agent_flags *flags)
{
    long stall = FL_MAX(1L, (long)(flags->fetcher_stall_timeout / 1000000));

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 20L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, stall);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "fairlead-fetcher/" FL_VERSION);
}

static int download(const char *url, int out, const struct agent_flags *flags, struct fl_err *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();

    if (!curl)
        return fl_err_set(err, FL_NO_MEMORY, "cannot start a download");
    set_up(curl, url, &out, reason, flags);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? 0
                            : fl_err_set(err, FL_UNAVAILABLE, "download '%s': %s", url,
                                         *reason ? reason : curl_easy_strerror(code));
}

static bool is_download(const char *uri)
{
    static const char *const schemes[] = {"http://", "https://", "ftp://", "ftps://"};

    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (strncasecmp(uri, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

static int fetch_to(const char *uri, int out, const struct agent_flags *flags, struct fl_err *err)
{
    if (is_download(uri))
        return download(uri, out, flags, err);
    if (str_starts(uri, "file://"))
        return copy_file(uri + (str_starts(uri, "file://localhost/") ? strlen("file://localhost")
                                                                     : strlen("file://")),
                         out, err);
    if (strstr(uri, "://"))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "cannot fetch '%s': only file, http, https, ftp and plain paths can be",
                          uri);
    if (*uri == '/')
        return copy_file(uri, out, err);
    if (!flags->frameworks_home || !*flags->frameworks_home)
        return fl_err_set(err, FL_INVALID,
                          "cannot fetch the relative path '%s': the agent has no --frameworks_home",
                          uri);
    _cleanup_free_ char *path = xasprintf("%s/%s", flags->frameworks_home, uri);
    return copy_file(path, out, err);
}

static int fetch_one(int sandbox, const V1__CommandInfo__URI *u, const struct agent_flags *flags,
                     struct fl_err *err)
{
    _cleanup_free_ char *base = NULL;
    _cleanup_close_ int out = -EBADF;
    bool extract = (!u->has_extract || u->extract) && !(u->has_executable && u->executable);

    int r = base_name(u->value, &base, err);
    if (r < 0 && !u->output_file)
        return r;
    const char *name = u->output_file ? u->output_file : base;
    r = open_output(sandbox, name, &out, err);
    if (r == 0)
        r = fetch_to(u->value, out, flags, err);
    if (r == 0 && u->has_executable && u->executable && fchmod(out, 0755) < 0)
        r = fl_err_errno(err, errno, "make '%s' executable", name);
    if (r == 0 && extract && archive_kind(name) != ARCHIVE_NONE)
        r = archive_extract(sandbox, out, name, err);
    return r < 0 ? fl_err_wrap(err, "Failed to fetch all URIs for the container") : 0;
}

static int fetch_all(const struct agent_flags *flags, const char *folder, const char *user,
                     const char *path, struct fl_err *err)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int sandbox = -EBADF;
    size_t n;

    int r = runtime_file_read(folder, "fetch", MAX_COMMAND, &data, &n, err);
    if (r == 0)
        r = take_user(user, err);
    if (r < 0)
        return r;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the launcher goes with the agent; a new user clears it */
    sandbox = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sandbox < 0 || fchdir(sandbox) < 0)
        return fl_err_errno(err, errno, "open the sandbox '%s'", path);
    V1__CommandInfo *cmd = v1__command_info__unpack(NULL, n, (const uint8_t *)data);
    if (!cmd)
        return fl_err_set(err, FL_INTERNAL, "cannot understand what to fetch");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < cmd->n_uris && r == 0; i++)
        r = fetch_one(sandbox, cmd->uris[i], flags, err);
    fl_pb_free(cmd);
    return r;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FL_SANITIZED 1
#else
#define FL_SANITIZED 0
#endif

void fetcher_process(const struct agent_flags *flags, int sock, const char *folder,
                     const char *user, const char *sandbox)
{
    const struct rlimit as = {.rlim_cur = (rlim_t)4 << 30, .rlim_max = (rlim_t)4 << 30};
    struct fl_err err;

    prctl(PR_SET_NAME, "fl-fetcher");
    if (!FL_SANITIZED)             /* a sanitizer's shadow alone is larger */
        setrlimit(RLIMIT_AS, &as); /* an archive that wants more is no archive */
    umask(022);
    int r = fetch_all(flags, folder, user, sandbox, &err);
    tell(sock, r < 0 ? err.msg : NULL);
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
