/* Fuzzes what the fetcher reads from strangers: archives, unpacked into a folder beside which nothing may appear or change; URIs; what a
 * Hadoop client prints; and the orders of the agent. The first byte chooses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/containerizer/fetch_extract.h"
#include "agent/containerizer/fetch_note.h"
#include "agent/containerizer/fetch_uri.h"

#define SMALL ((uint64_t)1 << 20)

static char base[] = "/tmp/fl-fuzz-fetch-XXXXXX";
static int base_fd = -EBADF;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (ftw->level > 0)
        remove(path);
    return 0;
}

static void remove_all(void)
{
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    rmdir(base);
}

static void set_up(void)
{
    assert(mkdtemp(base));
    atexit(remove_all);
    base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(base_fd, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, "sings", 5) == 5);
    close(fd);
    assert(mkdirat(base_fd, "box", 0700) == 0);
}

/* The box, the canary as it was, with one name, and nothing else. */
static void look_around(void)
{
    struct stat st;
    const struct dirent *e;
    int n = 0, fd = openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fdopendir(fd);

    while ((e = readdir(d)))
        n++;
    closedir(d);
    assert(n == 4);
    assert(fstatat(base_fd, "canary", &st, AT_SYMLINK_NOFOLLOW) == 0);
    assert(S_ISREG(st.st_mode) && st.st_size == 5 && st.st_nlink == 1);
    assert((st.st_mode & 07777) == 0600);
}

/* No set-id bits, no devices; and so much at most. */
static uint64_t found;
static int check_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    assert(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode));
    assert(!(st->st_mode & 07000) || S_ISLNK(st->st_mode));
    found += S_ISREG(st->st_mode) && st->st_nlink == 1 ? (uint64_t)st->st_size : 0;
    return 0;
}

static void fuzz_archive(const char *name, const char *data, size_t n)
{
    char box[64];
    int box_fd, fd = memfd_create("archive", MFD_CLOEXEC);

    if (base_fd < 0)
        set_up();
    fl_snprintf(box, sizeof(box), "%s/box", base);
    box_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(fd >= 0 && box_fd >= 0 && write(fd, data, n) == (ssize_t)n);
    archive_extract(box_fd, fd, name, archive_kind(name), SMALL, NULL);
    look_around();
    found = 0;
    nftw(box, check_one, 16, FTW_PHYS | FTW_MOUNT);
    assert(found <= FL_MAX(SMALL, n * ARCHIVE_MAX_RATIO));
    nftw(box, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    close(fd);
    close(box_fd);
}

static void fuzz_uri(const char *text)
{
    struct fetch_uri u;
    uint64_t size;

    if (fetch_uri_parse(text, &u, NULL) == 0) {
        _cleanup_free_ char *path = NULL, *shown = fetch_uri_masked(u.uri);
        assert(!strchr(u.name, '/') && u.uri && shown);
        assert(u.way != FETCH_HOOK || *u.uri != '-');
        if (u.way == FETCH_FILE && fetch_uri_path(&u, "/home", &path, NULL) == 0)
            assert(*path == '/');
        fetch_uri_done(&u);
    }
    fetch_output_check(text, NULL);
    fetch_du_size(text, "hdfs://h/a", &size);
}

static void fuzz_orders(const char *text)
{
    struct fetch_orders o, again;

    if (fetch_orders_parse(text, &o, NULL) < 0)
        return;
    _cleanup_free_ char *written = fetch_orders_text(&o);
    assert(fetch_orders_parse(written, &again, NULL) == 0 && again.n == o.n);
    for (size_t i = 0; i < o.n; i++)
        assert(!o.items[i].file || !strchr(o.items[i].file, '/'));
    fetch_orders_done(&o);
    fetch_orders_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.tar", "a.zip", "a.gz", "a.tar.gz", "a.tar.zst"};

    if (size == 0)
        return 0;
    _cleanup_free_ char *copy = xstrndup((const char *)data + 1, size - 1);
    switch (data[0] % 8) {
    case 5:
        fuzz_uri(copy);
        break;
    case 6:
    case 7:
        fuzz_orders(copy);
        break;
    default:
        fuzz_archive(names[data[0] % 8], (const char *)data + 1, size - 1);
    }
    return 0;
}
