/* See fetch_extract.h. The fetcher's process. */
#include "agent/containerizer/fetch_extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "agent/containerizer/fetch_beneath.h"

struct extraction {
    struct archive *in;
    int sandbox;
    const char *name; /* of the archive, for messages */
    struct fetch_budget budget;
    uint64_t entries;
};

static const struct {
    const char *end;
    enum archive_kind kind;
} endings[] = {
    {".tar", ARCHIVE_MANY},      {".tgz", ARCHIVE_MANY},     {".tar.gz", ARCHIVE_MANY},
    {".tbz2", ARCHIVE_MANY},     {".tar.bz2", ARCHIVE_MANY}, {".txz", ARCHIVE_MANY},
    {".tar.xz", ARCHIVE_MANY},   {".zip", ARCHIVE_MANY},     {".gz", ARCHIVE_GZIP},
    {".tar.zst", ARCHIVE_EXTRA}, {".tzst", ARCHIVE_EXTRA},
};

enum archive_kind archive_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (str_ends(name, endings[i].end))
            return endings[i].kind;
    return ARCHIVE_NONE;
}

static int damaged(const struct extraction *x, struct fl_err *err)
{
    const char *why = archive_error_string(x->in);

    return fl_err_set(err, FL_INVALID, "%s", why ? why : "it is damaged");
}

/* ---- entries ---- */

static bool leads_out(const char *path)
{
    const char *p = path;

    if (*p == '/')
        return true;
    for (;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n;
        if (!*p)
            return false;
    }
}

/* Takes what the file grows by: holes count, for somebody will read them. */
static int grow(struct extraction *x, uint64_t *size, uint64_t to, struct fl_err *err)
{
    if (to <= *size)
        return 0;
    int r = fetch_budget_take(&x->budget, to - *size, err);
    *size = to;
    return r;
}

static int put_at(int fd, const char *data, size_t n, off_t at, struct fl_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, data + done, n - done, at + (off_t)done);
        if (k < 0 && errno != EINTR)
            return fl_err_errno(err, errno, "write it");
        done += k > 0 ? (size_t)k : 0;
    }
    return 0;
}

static int copy_data(struct extraction *x, struct archive_entry *e, int fd, struct fl_err *err)
{
    uint64_t size = 0;
    const void *data;
    la_int64_t at;
    size_t n;
    int r;

    while ((r = archive_read_data_block(x->in, &data, &n, &at)) == ARCHIVE_OK) {
        if (at < 0 || (uint64_t)at > INT64_MAX - n)
            return fl_err_set(err, FL_INVALID, "it is damaged");
        int k = grow(x, &size, (uint64_t)at + n, err);
        if (k == 0)
            k = put_at(fd, data, n, at, err);
        if (k < 0)
            return k;
    }
    if (r != ARCHIVE_EOF)
        return damaged(x, err);
    /* A hole at its end is not told as data. */
    if (archive_entry_size_is_set(e) && archive_entry_size(e) > 0) {
        int k = grow(x, &size, (uint64_t)archive_entry_size(e), err);
        if (k < 0)
            return k;
    }
    if (ftruncate(fd, (off_t)size) < 0)
        return fl_err_errno(err, errno, "write it");
    return 0;
}

static int put_file(struct extraction *x, struct archive_entry *e, const char *path,
                    struct fl_err *err)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)}};
    _cleanup_close_ int fd = -EBADF;

    int r = beneath_file(x->sandbox, path, &fd, err);
    if (r == 0)
        r = copy_data(x, e, fd, err);
    if (r < 0)
        return r;
    if (archive_entry_mtime_is_set(e))
        futimens(fd, times); /* one that no file system can have is left out */
    if (fchmod(fd, archive_entry_perm(e) & 0777) < 0)
        return fl_err_errno(err, errno, "set the mode of '%.200s'", path);
    return 0;
}

/* Of what an entry says of itself, nothing is believed: the kernel refuses what leads out, and this says it first. */
static int put_entry(struct extraction *x, struct archive_entry *e, struct fl_err *err)
{
    const char *path = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
    const char *target = archive_entry_symlink(e);

    if (!path)
        return fl_err_set(err, FL_INVALID, "an entry has no name that can be read");
    if (leads_out(path) || (link && leads_out(link)))
        return fl_err_set(err, FL_INVALID, "its entry '%.200s' would lie outside of the sandbox",
                          leads_out(path) ? path : link);
    while (str_starts(path, "./"))
        path += 2 + strspn(path + 2, "/");
    if (!*path || streq(path, "."))
        return 0; /* the sandbox itself */
    if (link)
        return beneath_hardlink(x->sandbox, path, link, err);
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
        return put_file(x, e, path, err);
    case AE_IFDIR:
        return beneath_folder(x->sandbox, path, archive_entry_perm(e) & 0777, err);
    case AE_IFLNK:
        return target ? beneath_symlink(x->sandbox, path, target, err) : 0;
    default:
        return 0; /* devices, pipes, sockets: no task gets them from an archive */
    }
}

static int extract_many(struct extraction *x, struct fl_err *err)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(x->in, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        if (++x->entries > ARCHIVE_MAX_ENTRIES)
            return fl_err_set(err, FL_LIMIT, "it has more than %d entries", ARCHIVE_MAX_ENTRIES);
        /* Every file needs a block or so besides its content. */
        int k = fetch_budget_take(&x->budget, 512, err);
        if (k == 0)
            k = put_entry(x, e, err);
        if (k < 0)
            return k;
    }
    return r == ARCHIVE_EOF ? 0 : damaged(x, err);
}

/* ---- one compressed file ---- */

static int extract_one(struct extraction *x, struct fl_err *err)
{
    const char *slash = strrchr(x->name, '/'), *base = slash ? slash + 1 : x->name;
    _cleanup_free_ char *plain = xstrndup(base, strlen(base) - strlen(".gz"));
    _cleanup_free_ char *buf = xmalloc(1u << 16);
    _cleanup_close_ int out = -EBADF;
    struct archive_entry *e;
    la_ssize_t n;

    /* EOF: what was compressed is empty. */
    int first = archive_read_next_header(x->in, &e);
    if (first != ARCHIVE_OK && first != ARCHIVE_EOF)
        return damaged(x, err);
    if (archive_filter_code(x->in, 0) != ARCHIVE_FILTER_GZIP)
        return fl_err_set(err, FL_INVALID, "it is no gzip file");
    int r = *plain && !streq(plain, ".") && !streq(plain, "..")
                ? beneath_output(x->sandbox, plain, &out, err)
                : fl_err_set(err, FL_INVALID, "there is no name before its ending");
    while (r == 0 && first == ARCHIVE_OK && (n = archive_read_data(x->in, buf, 1u << 16)) != 0) {
        if (n < 0)
            return damaged(x, err);
        r = fetch_budget_take(&x->budget, (uint64_t)n, err);
        if (r == 0)
            r = fetch_write(out, buf, (size_t)n, err);
    }
    return r;
}

static void support(struct archive *in, enum archive_kind kind)
{
    archive_read_support_filter_gzip(in);
    if (kind == ARCHIVE_GZIP) {
        archive_read_support_format_raw(in);
        return;
    }
    archive_read_support_filter_bzip2(in);
    archive_read_support_filter_xz(in);
    if (archive_libzstd_version()) /* without it libarchive would start a program */
        archive_read_support_filter_zstd(in);
    archive_read_support_format_tar(in);
    archive_read_support_format_zip(in);
}

int archive_extract(int sandbox, int fd, const char *name, enum archive_kind kind,
                    uint64_t free_bytes, struct fl_err *err)
{
    struct extraction x = {.in = archive_read_new(),
                           .sandbox = sandbox,
                           .name = name,
                           .budget = {.fd = sandbox, .left = free_bytes}};
    struct stat st;
    int r;

    if (fstat(fd, &st) == 0)
        x.budget.left = FL_MAX(free_bytes, (uint64_t)st.st_size * ARCHIVE_MAX_RATIO);
    uint64_t most = x.budget.left;
    lseek(fd, 0, SEEK_SET);
    support(x.in, kind);
    if (archive_read_open_fd(x.in, fd, 1u << 16) != ARCHIVE_OK)
        r = damaged(&x, err);
    else
        r = kind == ARCHIVE_GZIP ? extract_one(&x, err) : extract_many(&x, err);
    archive_read_free(x.in);
    if (r == -ENOSPC && x.budget.left == 0)
        return fl_err_set(err, FL_LIMIT,
                          "unpack '%.200s': it unpacks to more than %" PRIu64
                          " bytes, which no honest archive of its size does",
                          name, most);
    return r < 0 ? fl_err_wrap(err, "unpack '%.200s'", name) : 0;
}
