/* Unpacking, without an agent around it: what is refused, left out, and limited. */
#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/containerizer/fetch_beneath.h"
#include "agent/containerizer/fetch_extract.h"

static char base[64];
static int box = -EBADF; /* the sandbox: base/box */

static void open_it(void)
{
    fl_snprintf(base, sizeof(base), "/tmp/fl-extract-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    _cleanup_free_ char *path = xasprintf("%s/box", base);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    box = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void close_it(void)
{
    close(box);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A file in memory with what `fill` writes through libarchive. */
static int archive_of(void (*fill)(struct archive *a))
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    struct archive *a = archive_write_new();

    archive_write_set_format_pax_restricted(a);
    archive_write_add_filter_gzip(a);
    ck_assert_int_eq(archive_write_open_fd(a, fd), ARCHIVE_OK);
    fill(a);
    ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    return fd;
}

static void put(struct archive *a, const char *path, mode_t type, const char *text)
{
    struct archive_entry *e = archive_entry_new();

    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, type);
    archive_entry_set_perm(e, 0644);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(e, text);
    else if (text)
        archive_entry_set_size(e, (la_int64_t)strlen(text));
    ck_assert_int_ge(archive_write_header(a, e), ARCHIVE_WARN);
    if (type == AE_IFREG && text)
        archive_write_data(a, text, strlen(text));
    archive_entry_free(e);
}

static int unpack(int fd, uint64_t most, struct fl_err *err)
{
    int r = archive_extract(box, fd, "a.tar.gz", ARCHIVE_MANY, most, err);

    close(fd);
    return r;
}

static size_t size_of(const char *path)
{
    struct stat st;

    return fstatat(box, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (size_t)st.st_size : 99999;
}

/* ---- limits ---- */

static void zeros(struct archive *a)
{
    static const char data[1 << 16];
    struct archive_entry *e = archive_entry_new();

    archive_entry_set_pathname(e, "zeros");
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_size(e, 64 << 16);
    archive_write_header(a, e);
    for (int i = 0; i < 64; i++)
        archive_write_data(a, data, sizeof(data));
    archive_entry_free(e);
}

START_TEST(more_than_may_be_is_refused)
{
    struct fl_err err;

    /* 4 MiB in about 4 KiB: over the ratio, so the free bytes decide. */
    ck_assert_int_eq(unpack(archive_of(zeros), 4 << 20, &err), -EAGAIN);
    ck_assert_msg(strstr(err.msg, "unpacks to more than 4194304 bytes") != NULL, "%s", err.msg);
    ck_assert_uint_lt(size_of("zeros"), (4 << 20) + 1);
    ck_assert_int_eq(unpack(archive_of(zeros), (4 << 20) + 512, &err), 0);
    ck_assert_uint_eq(size_of("zeros"), 4 << 20);
}
END_TEST

/* 2048 entries that are the sandbox itself, and so cost nothing but reading. */
static void dots(struct archive *a)
{
    for (int i = 0; i < 2048; i++)
        put(a, "./", AE_IFDIR, NULL);
}

/* Members of gzip, one after the other, are one stream: without the end of a tar, one archive. */
START_TEST(more_entries_than_may_be_are_refused)
{
    const int members = ARCHIVE_MAX_ENTRIES / 2048 + 1;
    int fd = memfd_create("archive", MFD_CLOEXEC), one = memfd_create("one", MFD_CLOEXEC);
    _cleanup_free_ char *gz = xasprintf("gzip -1 </proc/self/fd/%d >/proc/self/fd/%d", one, fd);
    struct archive *a = archive_write_new();
    struct stat st;
    struct fl_err err;

    archive_write_set_format_ustar(a);
    archive_write_open_fd(a, one);
    dots(a);
    archive_write_free(a);
    ck_assert_int_eq(ftruncate(one, 2048 * 512), 0);
    fcntl(fd, F_SETFD, 0);
    fcntl(one, F_SETFD, 0);
    ck_assert_int_eq(system(gz), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    _cleanup_free_ char *data = xmalloc((size_t)st.st_size);
    ck_assert_int_eq(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
    for (int i = 1; i < members; i++)
        ck_assert_int_eq(pwrite(fd, data, (size_t)st.st_size, st.st_size * i), st.st_size);
    close(one);
    ck_assert_int_lt(unpack(fd, ARCHIVE_FREE_BYTES, &err), 0);
    ck_assert_msg(strstr(err.msg, "more than 2000000 entries") != NULL, "%s", err.msg);
}
END_TEST

/* ---- places ---- */

static void links(struct archive *a)
{
    put(a, "d", AE_IFDIR, NULL);
    put(a, "inside", AE_IFLNK, "d/../d");
    put(a, "inside/x", AE_IFREG, "through");
    put(a, "./d//y/", AE_IFDIR, NULL);
    put(a, "dangling", AE_IFLNK, "nowhere");
    put(a, "dangling", AE_IFREG, "replaced");
    put(a, "d/x", AE_IFREG, "again");
    put(a, "out", AE_IFLNK, "/etc/passwd");
    put(a, "empty", AE_IFREG, NULL);
}

START_TEST(links_that_stay_inside_are_followed)
{
    struct fl_err err;

    ck_assert_msg(unpack(archive_of(links), 1 << 20, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(size_of("d/x"), strlen("again"));
    ck_assert_uint_eq(size_of("dangling"), strlen("replaced"));
    ck_assert_uint_eq(size_of("out"), strlen("/etc/passwd"));
    ck_assert_uint_eq(size_of("empty"), 0);
}
END_TEST

static void dangling_folder(struct archive *a)
{
    put(a, "d", AE_IFLNK, "../made");
    put(a, "d/x/y", AE_IFREG, "x");
}

static void over_a_folder(struct archive *a)
{
    put(a, "d/x", AE_IFREG, "x");
    put(a, "d", AE_IFREG, "x");
}

static void by_proc(struct archive *a)
{
    put(a, "p", AE_IFLNK, "/proc/self/cwd");
    put(a, "p/fl-evil", AE_IFREG, "x");
}

static void to_the_top(struct archive *a)
{
    put(a, "t", AE_IFLNK, "/");
    put(a, "t/tmp/fl-evil", AE_IFDIR, NULL);
}

static void (*const refused[])(struct archive *a) = {dangling_folder, over_a_folder, by_proc,
                                                     to_the_top};

START_TEST(what_leads_elsewhere_is_refused)
{
    struct fl_err err;
    _cleanup_free_ char *made = xasprintf("%s/made", base);

    ck_assert_int_lt(unpack(archive_of(refused[_i]), 1 << 20, &err), 0);
    ck_assert_msg(str_starts(err.msg, "unpack 'a.tar.gz': "), "%s", err.msg);
    ck_assert_int_ne(access(made, F_OK), 0);
    ck_assert_int_ne(access("/tmp/fl-evil", F_OK), 0);
    ck_assert_int_ne(access("fl-evil", F_OK), 0);
}
END_TEST

START_TEST(outputs_follow_no_link)
{
    struct fl_err err;
    int fd;

    ck_assert_int_eq(symlinkat(base, box, "l"), 0);
    ck_assert_int_eq(symlinkat("d", box, "in"), 0);
    ck_assert_int_eq(mkdirat(box, "d", 0755), 0);
    ck_assert_int_lt(beneath_output(box, "l/evil", &fd, &err), 0);
    ck_assert_int_lt(beneath_output(box, "in/x", &fd, &err), 0);
    ck_assert_int_eq(beneath_output(box, "a/b/c", &fd, &err), 0);
    close(fd);
    /* One that is there is replaced, never written through. */
    ck_assert_int_eq(beneath_output(box, "l", &fd, &err), 0);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    close(fd);
    ck_assert_uint_eq(size_of("l"), 1);
}
END_TEST

START_TEST(a_budget_is_spent_once)
{
    struct fetch_budget b = {.fd = box, .left = 10};
    struct fl_err err;

    ck_assert_int_eq(fetch_budget_take(&b, 10, &err), 0);
    ck_assert_int_eq(fetch_budget_take(&b, 0, &err), 0);
    ck_assert_int_eq(fetch_budget_take(&b, 1, &err), -ENOSPC);
    b.left = UINT64_MAX;
    ck_assert_int_eq(fetch_budget_take(&b, UINT64_MAX, &err), 0);
    ck_assert_int_eq(fetch_budget_take(&b, 1, &err), -ENOSPC);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fetch_extract");
    TCase *t = tcase_create("extract");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_it, close_it);
    tcase_add_test(t, more_than_may_be_is_refused);
    tcase_add_test(t, more_entries_than_may_be_are_refused);
    tcase_add_test(t, links_that_stay_inside_are_followed);
    tcase_add_loop_test(t, what_leads_elsewhere_is_refused, 0, (int)ARRAY_SIZE(refused));
    tcase_add_test(t, outputs_follow_no_link);
    tcase_add_test(t, a_budget_is_spent_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
