/* See fetch_extract.h. The fetcher's process. */
#include "agent/containerizer/fetch_extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

/* A sandbox has a quota, but measured only now and then; a bomb is stopped here. Ratio and floor: what real archives never reach. */
#define MAX_RATIO   200
#define FREE_BYTES  ((uint64_t)1 << 30)
#define MAX_ENTRIES 2000000

struct budget {
    uint64_t bytes, entries, max_bytes;
};

static const struct {
    const char *end;
    enum archive_kind kind;
} endings[] = {
    {".tar", ARCHIVE_MANY},    {".tgz", ARCHIVE_MANY},     {".tar.gz", ARCHIVE_MANY},
    {".tbz2", ARCHIVE_MANY},   {".tar.bz2", ARCHIVE_MANY}, {".txz", ARCHIVE_MANY},
    {".tar.xz", ARCHIVE_MANY}, {".zip", ARCHIVE_MANY},     {".gz", ARCHIVE_GZIP},
};

enum archive_kind archive_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (str_ends(name, endings[i].end))
            return endings[i].kind;
    return ARCHIVE_NONE;
}

static int archive_failed(struct archive *a, const char *name, struct fl_err *err)
{
    const char *why = archive_error_string(a);

    return fl_err_set(err, FL_INVALID, "unpack '%s': %s", name, why ? why : "it is damaged");
}

static int spend(struct budget *b, size_t n, const char *name, struct fl_err *err)
{
    b->bytes += n;
    if (b->bytes > b->max_bytes)
        return fl_err_set(err, FL_LIMIT,
                          "unpack '%s': it unpacks to more than %" PRIu64
                          " bytes, which no honest archive of its size does",
                          name, b->max_bytes);
    return 0;
}

static int copy_data(struct archive *in, struct archive *out, struct budget *b, const char *name,
                     struct fl_err *err)
{
    const void *data;
    size_t n;
    la_int64_t offset;
    int r;

    while ((r = archive_read_data_block(in, &data, &n, &offset)) == ARCHIVE_OK) {
        int k = spend(b, n, name, err);
        if (k < 0)
            return k;
        if (archive_write_data_block(out, data, n, offset) < ARCHIVE_WARN)
            return archive_failed(out, name, err);
    }
    return r == ARCHIVE_EOF ? 0 : archive_failed(in, name, err);
}

static bool leads_out(const char *path)
{
    if (!path || *path == '/')
        return true;
    for (const char *p = path; p; p = strchr(p, '/'), p += p != NULL)
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
            return true;
    return false;
}

/* Devices and pipes are left out; names that lead out are refused here and once more by libarchive. */
static int check_entry(struct archive_entry *e, const char *name, bool *ret_skip,
                       struct fl_err *err)
{
    const char *path = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
    mode_t type = archive_entry_filetype(e);

    if (leads_out(path) || (link && leads_out(link)))
        return fl_err_set(err, FL_INVALID,
                          "unpack '%s': its entry '%s' would lie outside of the sandbox", name,
                          path ? (leads_out(path) ? path : link) : "");
    *ret_skip = !link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK;
    archive_entry_set_perm(e, archive_entry_perm(e) & 0777);
    return 0;
}

static int extract_entries(struct archive *in, struct archive *out, struct budget *b,
                           const char *name, struct fl_err *err)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(in, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        bool skip = false;
        if (++b->entries > MAX_ENTRIES)
            return fl_err_set(err, FL_LIMIT, "unpack '%s': it has more than %d entries", name,
                              MAX_ENTRIES);
        int k = check_entry(e, name, &skip, err);
        if (k < 0)
            return k;
        if (skip)
            continue;
        if (archive_write_header(out, e) < ARCHIVE_WARN)
            return archive_failed(out, name, err);
        k = copy_data(in, out, b, name, err);
        if (k < 0)
            return k;
        if (archive_write_finish_entry(out) < ARCHIVE_WARN)
            return archive_failed(out, name, err);
    }
    return r == ARCHIVE_EOF ? 0 : archive_failed(in, name, err);
}

static struct archive *disk_writer(void)
{
    struct archive *out = archive_write_disk_new();

    archive_write_disk_set_options(
        out, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_UNLINK |
                 ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                 ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
    return out;
}

static int extract_many(struct archive *in, struct budget *b, const char *name, struct fl_err *err)
{
    struct archive *out = disk_writer();

    int r = extract_entries(in, out, b, name, err);
    /* Closing sets the folders' times and modes. */
    if (archive_write_close(out) < ARCHIVE_WARN && r == 0)
        r = archive_failed(out, name, err);
    archive_write_free(out);
    return r;
}

static int extract_one(struct archive *in, int sandbox, struct budget *b, const char *name,
                       struct fl_err *err)
{
    _cleanup_free_ char *plain = xstrndup(name, strlen(name) - strlen(".gz"));
    struct archive_entry *e;
    char buf[65536];
    ssize_t n;

    if (archive_read_next_header(in, &e) != ARCHIVE_OK)
        return archive_failed(in, name, err);
    if (archive_filter_code(in, 0) != ARCHIVE_FILTER_GZIP)
        return fl_err_set(err, FL_INVALID, "unpack '%s': it is no gzip file", name);
    /* The folders of `name` were made when it was fetched. */
    _cleanup_close_ int out =
        openat(sandbox, plain, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (out < 0)
        return fl_err_errno(err, errno, "make '%s' in the sandbox", plain);
    while ((n = archive_read_data(in, buf, sizeof(buf))) > 0) {
        int k = spend(b, (size_t)n, name, err);
        if (k < 0)
            return k;
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(out, buf + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                return fl_err_errno(err, errno, "write '%s'", plain);
            done += w > 0 ? w : 0;
        }
    }
    return n < 0 ? archive_failed(in, name, err) : 0;
}

int archive_extract(int sandbox, int fd, const char *name, struct fl_err *err)
{
    enum archive_kind kind = archive_kind(name);
    struct archive *in = archive_read_new();
    struct budget b = {.max_bytes = FREE_BYTES};
    struct stat st;
    int r;

    if (fstat(fd, &st) == 0)
        b.max_bytes = FL_MAX(FREE_BYTES, (uint64_t)st.st_size * MAX_RATIO);
    lseek(fd, 0, SEEK_SET);
    archive_read_support_filter_gzip(in);
    if (kind == ARCHIVE_GZIP) {
        archive_read_support_format_raw(in);
    } else {
        archive_read_support_filter_bzip2(in);
        archive_read_support_filter_xz(in);
        archive_read_support_format_tar(in);
        archive_read_support_format_zip(in);
    }
    if (archive_read_open_fd(in, fd, 65536) != ARCHIVE_OK)
        r = archive_failed(in, name, err);
    else
        r = kind == ARCHIVE_GZIP ? extract_one(in, sandbox, &b, name, err)
                                 : extract_many(in, &b, name, err);
    archive_read_free(in);
    return r;
}
