/* The fetcher's process: opens what it needs of the cache, then takes the container's user, so whatever it reads and writes by name is that
 * user's; then each URI in order, through the cache or directly, into a file of the sandbox, and out of it if it is an archive
 * (fetch_extract.c). It ends at the first failure, or when the agent ends or says so (SIGTERM), and takes a Hadoop client with it.
 */
#include "agent/containerizer/fetcher.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/containerizer/containerizer.h"
#include "agent/containerizer/fetch_extract.h"
#include "agent/containerizer/fetch_get.h"
#include "agent/containerizer/fetch_note.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/flags.h"
#include "common/base/buf.h"
#include "proto/mesos.pb-c.h"

#define MAX_COMMAND (16u << 20)

struct fetch_item {
    const V1__CommandInfo__URI *pb;
    struct fetch_uri uri;
    struct fetch_order *order;
    int cache_fd;       /* new: for writing; cached: for reading; -EBADF: not to be used */
    const char *output; /* the file's name in the sandbox; borrowed */
};

struct fetcher {
    const struct agent_flags *flags;
    int sock, sandbox;
    struct fetch_orders orders;
    V1__CommandInfo *command;
    struct fetch_item *items; /* n_uris of the command */
};

static void say(const struct fetcher *f, uint32_t type, size_t item, int64_t value,
                const char *text)
{
    struct fetch_note n = {.type = type, .item = (uint32_t)item, .value = value};

    fl_snprintf(n.text, sizeof(n.text), "%s", text ? text : "");
    fetch_note_send(f->sock, &n);
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

/* ---- putting it into the sandbox ---- */

static struct fetch_sink sink_on(const struct fetcher *f, int fd, uint64_t most)
{
    return (struct fetch_sink){.fd = fd, .budget = {.fd = fd, .left = most}};
}

static int check_digest(const struct fetch_uri *u, int fd, struct fl_err *err)
{
    char hex[FL_DIGEST_HEX];

    int r = u->digest ? fl_digest_file(fd, u->digest, hex, err) : 0;
    if (r == 0 && u->digest && !streq(hex, u->hex)) {
        _cleanup_free_ char *shown = fetch_uri_masked(u->uri);
        return fl_err_set(err, FL_INVALID, "'%.150s' has the %s %s, but should have %s", shown,
                          u->digest, hex, u->hex);
    }
    return r;
}

static bool is_executable(const struct fetch_item *it)
{
    return it->pb->has_executable && it->pb->executable;
}

/* By the file's name in the sandbox; one of the cache also by its URI, for so it is in the reference. */
static enum archive_kind kind_of(const struct fetch_item *it, bool cached)
{
    bool extract = (!it->pb->has_extract || it->pb->extract) && !is_executable(it);
    enum archive_kind kind = extract ? archive_kind(it->output) : ARCHIVE_NONE;

    return kind == ARCHIVE_NONE && extract && cached ? archive_kind(it->uri.name) : kind;
}

static const char *archive_name(const struct fetch_item *it)
{
    return archive_kind(it->output) != ARCHIVE_NONE ? it->output : it->uri.name;
}

static int make_executable(const struct fetch_item *it, int fd, struct fl_err *err)
{
    return is_executable(it) && fchmod(fd, 0755) < 0
               ? fl_err_errno(err, errno, "make '%.200s' executable", it->output)
               : 0;
}

static int fetch_direct(struct fetcher *f, struct fetch_item *it, struct fl_err *err)
{
    _cleanup_close_ int out = -EBADF;
    enum archive_kind kind = kind_of(it, false);

    int r = beneath_output(f->sandbox, it->output, &out, err);
    if (r < 0)
        return r;
    struct fetch_sink sink = sink_on(f, out, UINT64_MAX);
    r = fetch_get(&it->uri, f->flags, f->sandbox, &sink, err);
    if (r == 0)
        r = check_digest(&it->uri, out, err);
    if (r == 0)
        r = make_executable(it, out, err);
    if (r == 0 && kind != ARCHIVE_NONE)
        r = archive_extract(f->sandbox, out, it->output, kind, ARCHIVE_FREE_BYTES, err);
    return r;
}

/* What was in an archive, without the archive; anything else as a copy. */
static int take_from_cache(struct fetcher *f, struct fetch_item *it, struct fl_err *err)
{
    _cleanup_close_ int out = -EBADF;
    enum archive_kind kind = kind_of(it, true);
    int r = 0;

    if (kind == ARCHIVE_NONE || kind == ARCHIVE_EXTRA) {
        r = beneath_output(f->sandbox, it->output, &out, err);
        if (r < 0)
            return r;
        struct fetch_sink sink = sink_on(f, out, UINT64_MAX);
        lseek(it->cache_fd, 0, SEEK_SET);
        r = fetch_copy(it->cache_fd, &sink, err);
        if (r == 0)
            r = make_executable(it, out, err);
    }
    if (r == 0 && kind != ARCHIVE_NONE)
        r = archive_extract(f->sandbox, it->cache_fd, archive_name(it), kind, ARCHIVE_FREE_BYTES,
                            err);
    return r;
}

/* ---- through the cache ---- */

static void drop_cached(struct fetcher *f, struct fetch_item *it)
{
    /* A later item may have the same file open, and must not take a part for the whole. */
    bool cut =
        it->cache_fd < 0 || it->order->action != FETCH_NEW || ftruncate(it->cache_fd, 0) == 0;
    assert(cut);
    if (it->cache_fd >= 0)
        close(it->cache_fd);
    it->cache_fd = -EBADF;
    say(f, FETCH_NOTE_DROPPED, (size_t)(it - f->items), 0, NULL);
}

/* Asks how large it is, and the agent whether there is room for that; *ret_limit < 0: there is not. */
static int ask_for_room(struct fetcher *f, const struct fetch_item *it, int64_t *ret_limit,
                        struct fl_err *err)
{
    size_t item = (size_t)(it - f->items);
    struct fl_err why = {.code = 0};
    struct fetch_note n;
    uint64_t size = 0;

    int r = fetch_size(&it->uri, f->flags, &size, &why);
    say(f, FETCH_NOTE_SIZE, item, r < 0 || size > INT64_MAX ? -1 : (int64_t)size, why.msg);
    if (fetch_note_recv(f->sock, &n, true) != 1 || n.type != FETCH_NOTE_ANSWER || n.item != item)
        return fl_err_set(err, FL_CLOSED, "the agent does not answer");
    *ret_limit = n.value;
    return 0;
}

/* 0: it is in the cache; 1: it is to be fetched directly. */
static int fill_cache(struct fetcher *f, struct fetch_item *it, struct fl_err *err)
{
    int64_t limit = -1;

    if (it->cache_fd < 0) {
        drop_cached(f, it);
        return 1;
    }
    int r = ask_for_room(f, it, &limit, err);
    if (r < 0)
        return r;
    if (limit < 0) {
        close(it->cache_fd);
        it->cache_fd = -EBADF;
        return 1;
    }
    struct fetch_sink sink = sink_on(f, it->cache_fd, (uint64_t)limit);
    r = fetch_get(&it->uri, f->flags, f->sandbox, &sink, err);
    if (r < 0 && sink.failed) { /* larger than was said, or no room on its disk */
        drop_cached(f, it);
        return 1;
    }
    if (r == 0)
        r = check_digest(&it->uri, it->cache_fd, err);
    if (r == 0)
        say(f, FETCH_NOTE_CACHED, (size_t)(it - f->items), 0, NULL);
    return r;
}

static int fetch_one(struct fetcher *f, struct fetch_item *it, struct fl_err *err)
{
    int r = 1;

    if (it->order && it->order->action == FETCH_NEW) {
        r = fill_cache(f, it, err);
    } else if (it->order && it->order->action == FETCH_CACHED) {
        struct stat st;
        /* Empty: made by an item before this one, which then went another way; nothing in the cache is empty. */
        if (it->cache_fd >= 0 && fstat(it->cache_fd, &st) == 0 && st.st_size > 0)
            r = 0;
        else
            drop_cached(f, it);
    }
    if (r < 0)
        return r;
    return r == 0 ? take_from_cache(f, it, err) : fetch_direct(f, it, err);
}

/* ---- the process ---- */

/* Before the user is taken: no task may open these files by name. */
static void open_cached(struct fetcher *f, struct fetch_item *it)
{
    it->cache_fd = -EBADF;
    if (!it->order || !it->order->file)
        return;
    _cleanup_free_ char *path = xasprintf("%s/%s", f->orders.folder, it->order->file);
    it->cache_fd =
        open(path, (it->order->action == FETCH_NEW ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
}

static int read_items(struct fetcher *f, const char *folder, struct fl_err *err)
{
    _cleanup_free_ char *data = NULL, *text = NULL;
    size_t n;

    int r = runtime_file_read(folder, "fetch", MAX_COMMAND, &data, &n, err);
    if (r < 0)
        return r;
    f->command = v1__command_info__unpack(NULL, n, (const uint8_t *)data);
    if (!f->command)
        return fl_err_set(err, FL_INTERNAL, "cannot understand what to fetch");
    r = runtime_file_read(folder, "fetch-cache", MAX_COMMAND, &text, &n, err);
    if (r == 0)
        r = fetch_orders_parse(text, &f->orders, err);
    if (r < 0)
        return r;
    f->items = xcalloc(f->command->n_uris + 1, sizeof(*f->items));
    for (size_t i = 0; i < f->command->n_uris && r == 0; i++) {
        struct fetch_item *it = &f->items[i];
        it->pb = f->command->uris[i];
        it->order = i < f->orders.n ? &f->orders.items[i] : NULL;
        open_cached(f, it);
        r = fetch_uri_parse(it->pb->value, &it->uri, err);
        if (r < 0)
            return r;
        it->output = it->pb->output_file ? it->pb->output_file : it->uri.name;
        if (!it->pb->output_file &&
            (!*it->output || streq(it->output, ".") || streq(it->output, "..")))
            return fl_err_set(err, FL_INVALID, "the URI '%.200s' names no file; give output_file",
                              it->uri.uri);
        r = fetch_output_check(it->output, err);
    }
    return r;
}

/* Of a nested container it lies in folders that a task may write in: "containers/ID", once or more at the path's end, is entered
 * through no link. */
static int open_sandbox(const char *path)
{
    _cleanup_free_ char *base = xstrdup(path);

    for (;;) {
        char *name = strrchr(base, '/');
        char *above = name ? memrchr(base, '/', (size_t)(name - base)) : NULL;
        if (!above || above == base || !str_starts(above, "/containers/") ||
            name != above + strlen("/containers"))
            break;
        *above = '\0';
    }
    const char *below = path + strlen(base);
    if (!*below)
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = container_open_below(base, below + 1);
    errno = fd < 0 ? -fd : 0;
    return fd;
}

static int fetch_all(struct fetcher *f, const char *folder, const char *user, const char *path,
                     struct fl_err *err)
{
    int r = read_items(f, folder, err);

    if (r == 0)
        r = take_user(user, err);
    if (r < 0)
        return r;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* the launcher goes with the agent; a new user clears it */
    f->sandbox = open_sandbox(path);
    if (f->sandbox < 0 || fchdir(f->sandbox) < 0)
        return fl_err_errno(err, errno, "open the sandbox '%s'", path);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < f->command->n_uris && r == 0; i++)
        r = fetch_one(f, &f->items[i], err);
    return r;
}

/* Where users look first. The shim never runs, so nobody else writes this file. */
static void tell_stderr(const struct fetcher *f, const char *text)
{
    if (f->sandbox < 0)
        return;
    int fd = openat(f->sandbox, "stderr",
                    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd >= 0)
        dprintf(fd, "Failed to fetch: %s\n", text);
}

/* Ends the whole group, in which a Hadoop client and what it started are. */
static void on_term(int sig)
{
    if (getpgrp() == getpid())
        kill(0, SIGKILL);
    _exit(EXIT_FAILURE);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FL_SANITIZED 1
#else
#define FL_SANITIZED 0
#endif

void fetcher_process(const struct agent_flags *flags, int sock, const char *folder,
                     const char *user, const char *sandbox)
{
    struct fetcher f = {.flags = flags, .sock = sock, .sandbox = -EBADF};
    struct rlimit as;
    struct fl_err err;

    prctl(PR_SET_NAME, "fl-fetcher");
    setpgid(0, 0);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    /* An archive that wants more is no archive; a sanitizer's shadow alone is larger. */
    if (!FL_SANITIZED && getrlimit(RLIMIT_AS, &as) == 0) {
        as.rlim_cur = FL_MIN(as.rlim_max, (rlim_t)4 << 30);
        setrlimit(RLIMIT_AS, &as);
    }
    umask(022);
    setlocale(LC_CTYPE, "C.UTF-8"); /* for the names in archives */
    int r = fetch_all(&f, folder, user, sandbox, &err);
    if (r < 0)
        tell_stderr(&f, err.msg);
    say(&f, r < 0 ? FETCH_NOTE_FAILED : FETCH_NOTE_DONE, 0, 0, r < 0 ? err.msg : NULL);
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
