/* See ld_cache.h. The format of glibc 2.2 and later: a head, entries, and strings that the entries point to by their offset from the head.
 * It may lie behind the older format, which is skipped. */
#include "isolators/ld_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MAGIC    "glibc-ld.so.cache1.1"
#define MAX_FILE (64u << 20)

struct head {
    char magic[20];
    uint32_t n_libraries, strings_len, unused[5];
};
struct entry {
    int32_t flags;
    uint32_t name, path, os_version;
    uint64_t hwcap;
};

static int read_file(const char *file, char **ret, size_t *ret_n, struct fl_err *err)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "open '%s'", file);
    if (st.st_size > MAX_FILE)
        return fl_err_set(err, FL_TOO_LARGE, "'%s' is too large for a cache of libraries", file);
    _cleanup_free_ char *data = xcalloc(1, (size_t)st.st_size + 1);
    ssize_t n = pread(fd, data, (size_t)st.st_size, 0);
    if (n < 0)
        return fl_err_errno(err, errno, "read '%s'", file);
    *ret = TAKE_PTR(data);
    *ret_n = (size_t)n;
    return 0;
}

int ld_cache_each(const char *file, void (*fn)(void *arg, const char *name, const char *path),
                  void *arg, struct fl_err *err)
{
    _cleanup_free_ char *data = NULL;
    struct head h;
    size_t n = 0;
    int r = read_file(file, &data, &n, err);

    if (r < 0)
        return r;
    const char *at = memmem(data, n, MAGIC, strlen(MAGIC));
    size_t room = at ? n - (size_t)(at - data) : 0;
    if (room < sizeof(h))
        return fl_err_set(err, FL_UNSUPPORTED, "'%s' is no cache of libraries of the GNU C library",
                          file);
    memcpy(&h, at, sizeof(h));
    for (uint32_t i = 0; i < h.n_libraries; i++) {
        struct entry e;
        if (sizeof(h) + (i + (size_t)1) * sizeof(e) > room)
            break;
        memcpy(&e, at + sizeof(h) + i * sizeof(e), sizeof(e));
        if (e.name < room && e.path < room) /* data ends in NUL */
            fn(arg, at + e.name, at + e.path);
    }
    return 0;
}
