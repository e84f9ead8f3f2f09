/* Layers onto the disk: what an honest archive becomes, what a hostile one cannot do, and laying layers over one another. Layers have
 * owners and devices, so most of it is for root. */
#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "agent/images/layer.h"
#include "agent/images/tree.h"

struct entry {
    const char *name;
    mode_t mode;      /* with its type */
    const char *data; /* of a file, or where a link leads; "=x": a hard link to x */
};

static char base[64];
static int base_fd;

static void set_up(void)
{
    fl_snprintf(base, sizeof(base), "/tmp/fairlead-layer-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void tear_down(void)
{
    struct fl_err err = {0};

    ck_assert_msg(tree_empty(base_fd, &err) == 0, "%s", err.msg);
    close(base_fd);
    rmdir(base);
}

static void add_entry(struct archive *a, const struct entry *e)
{
    struct archive_entry *h = archive_entry_new();
    bool hard = e->data && *e->data == '=';
    size_t n = S_ISREG(e->mode) && e->data && !hard ? strlen(e->data) : 0;

    archive_entry_set_pathname(h, e->name);
    archive_entry_set_mode(h, e->mode);
    archive_entry_set_uid(h, 12);
    archive_entry_set_gid(h, 34);
    archive_entry_set_mtime(h, 1000, 0);
    archive_entry_set_size(h, (la_int64_t)n);
    if (S_ISLNK(e->mode))
        archive_entry_set_symlink(h, e->data);
    if (hard)
        archive_entry_set_hardlink(h, e->data + 1);
    if (S_ISCHR(e->mode))
        archive_entry_set_rdev(h, makedev(1, 3));
    archive_entry_xattr_add_entry(h, "user.note", "hi", 2);
    archive_entry_xattr_add_entry(h, "trusted.overlay.redirect", "/etc", 4);
    ck_assert_int_eq(archive_write_header(a, h), ARCHIVE_OK);
    if (n)
        archive_write_data(a, e->data, n);
    archive_entry_free(h);
}

static int archive_of(const struct entry *e, size_t n, int filter)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);
    struct archive *a = archive_write_new();

    archive_write_set_format_pax(a);
    if (filter)
        archive_write_add_filter(a, filter);
    ck_assert_int_eq(archive_write_open_fd(a, fd), ARCHIVE_OK);
    for (size_t i = 0; i < n; i++)
        add_entry(a, &e[i]);
    archive_write_close(a);
    archive_write_free(a);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int unpack_to(const char *name, const struct entry *e, size_t n, int filter,
                     const struct layer_limits *limits, char digest[FL_SHA256_HEX],
                     struct fl_err *err)
{
    _cleanup_close_ int fd = archive_of(e, n, filter);

    mkdirat(base_fd, name, 0755);
    _cleanup_close_ int root = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return layer_unpack(fd, root, LAYER_OF_IMAGE, limits, digest, err);
}

static void unpack_ok(const char *name, const struct entry *e, size_t n)
{
    char digest[FL_SHA256_HEX];
    struct fl_err err = {0};

    ck_assert_msg(unpack_to(name, e, n, 0, &(struct layer_limits){0}, digest, &err) == 0, "%s",
                  err.msg);
}

static struct stat stat_of(const char *path)
{
    struct stat st = {0};

    if (fstatat(base_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        st.st_mode = 0;
    return st;
}

static bool holds(const char *path, const char *text)
{
    char buf[100] = "";
    _cleanup_close_ int fd = openat(base_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0 && streq(buf, text);
}

static bool is_opaque(const char *path)
{
    char v = 0;
    _cleanup_close_ int fd = openat(base_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fgetxattr(fd, TREE_OPAQUE, &v, 1) == 1 && v == 'y';
}

#define UNPACK(name, ...)                                                                          \
    do {                                                                                           \
        const struct entry _e[] = {__VA_ARGS__};                                                   \
        unpack_ok(name, _e, ARRAY_SIZE(_e));                                                       \
    } while (0)

/* ---- honest ones ---- */

START_TEST(test_kinds)
{
    char v[8] = "";

    UNPACK("l", {"./", S_IFDIR | 0711, NULL}, {"bin/", S_IFDIR | 0755, NULL},
           {"bin/su", S_IFREG | 04755, "code"}, {"bin/same", S_IFREG | 0755, "=bin/su"},
           {"lib", S_IFLNK | 0777, "/usr/lib"}, {"/abs", S_IFREG | 0600, "a"},
           {"null", S_IFCHR | 0666, NULL}, {"deep/er/file", S_IFREG | 0644, ""});
    ck_assert_int_eq(stat_of("l").st_mode & 07777, 0711);
    ck_assert_uint_eq(stat_of("l").st_uid, 12);
    ck_assert_int_eq(stat_of("l/bin/su").st_mode, S_IFREG | 04755);
    ck_assert_uint_eq(stat_of("l/bin/su").st_gid, 34);
    ck_assert_int_eq(stat_of("l/bin").st_mtime, 1000);
    ck_assert_uint_eq(stat_of("l/bin/same").st_ino, stat_of("l/bin/su").st_ino);
    ck_assert(S_ISLNK(stat_of("l/lib").st_mode));
    ck_assert(holds("l/abs", "a"));
    ck_assert_uint_eq(stat_of("l/null").st_rdev, makedev(1, 3));
    ck_assert(S_ISREG(stat_of("l/deep/er/file").st_mode));
    _cleanup_free_ char *path = xasprintf("%s/l/bin/su", base);
    ck_assert_int_eq(getxattr(path, "user.note", v, sizeof(v)), 2);
    ck_assert_int_lt(getxattr(path, "trusted.overlay.redirect", v, sizeof(v)), 0);
}
END_TEST

/* The digest is that of the archive inside, however it is packed. */
START_TEST(test_filters)
{
    static const struct entry e[] = {{"f", S_IFREG | 0644, "data"}};
    static const int filters[] = {0, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD};
    char first[FL_SHA256_HEX], digest[FL_SHA256_HEX], name[8];
    struct fl_err err = {0};

    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        fl_snprintf(name, sizeof(name), "l%zu", i);
        ck_assert_msg(unpack_to(name, e, 1, filters[i], &(struct layer_limits){0},
                                i ? digest : first, &err) == 0,
                      "%s", err.msg);
        ck_assert(i == 0 || streq(first, digest));
    }
    ck_assert(holds("l2/f", "data"));
}
END_TEST

START_TEST(test_whiteouts)
{
    UNPACK("l", {".wh.gone", S_IFREG, ""}, {"d/.wh..wh..opq", S_IFREG, ""},
           {"d/new", S_IFREG | 0644, "n"}, {".wh.again", S_IFREG, ""},
           {"again", S_IFREG | 0644, "x"}, {".wh.dir", S_IFREG, ""}, {"dir/", S_IFDIR | 0755, NULL},
           {"late/", S_IFDIR | 0755, NULL}, {".wh.late", S_IFREG, ""},
           {".wh..wh.plnk", S_IFREG, ""});
    ck_assert(S_ISCHR(stat_of("l/gone").st_mode));
    ck_assert_uint_eq(stat_of("l/gone").st_rdev, 0);
    ck_assert(is_opaque("l/d"));
    ck_assert(holds("l/d/new", "n"));
    ck_assert(holds("l/again", "x"));
    ck_assert(is_opaque("l/dir"));
    ck_assert(is_opaque("l/late"));
    ck_assert_int_eq(stat_of("l/.wh..wh.plnk").st_mode, 0);
}
END_TEST

/* Within a layer its own links are followed, as if its folder were the root. */
START_TEST(test_own_links)
{
    UNPACK("l", {"usr/lib/", S_IFDIR | 0755, NULL}, {"lib", S_IFLNK | 0777, "/usr/lib"},
           {"lib/x", S_IFREG | 0644, "x"}, {"up", S_IFLNK | 0777, "../../../usr"},
           {"up/y", S_IFREG | 0644, "y"});
    ck_assert(holds("l/usr/lib/x", "x"));
    ck_assert(holds("l/usr/y", "y"));
}
END_TEST

/* ---- hostile ones ---- */

#define LONG_NAME                                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aa"                                                                                           \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aa"                                                                                           \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aa"

static const struct entry hostile[][3] = {
    {{"../out", S_IFREG | 0644, "x"}},
    {{"a/../../out", S_IFREG | 0644, "x"}},
    {{"h", S_IFREG | 0644, "=../victim"}},
    {{"h", S_IFREG | 0644, "=/../victim"}},
    {{"h", S_IFREG | 0644, "=victim"}},
    {{".wh...", S_IFREG, ""}},
    {{"d/.wh..", S_IFREG, ""}},
    {{".wh.", S_IFREG, ""}},
    {{LONG_NAME, S_IFREG | 0644, "x"}},
    {{"loop", S_IFLNK | 0777, "loop"}, {"loop/x", S_IFREG | 0644, "x"}},
    {{"dangling", S_IFLNK | 0777, "nowhere"}, {"dangling/x", S_IFREG | 0644, "x"}},
    {{"f", S_IFREG | 0644, "x"}, {"f/x", S_IFREG | 0644, "x"}},
};

static void write_victim(void)
{
    _cleanup_close_ int fd = openat(base_fd, "victim", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    ck_assert_int_eq(write(fd, "safe", 4), 4);
}

START_TEST(test_refused)
{
    char digest[FL_SHA256_HEX];
    struct fl_err err = {0};
    size_t n = 0;

    while (n < 3 && hostile[_i][n].name)
        n++;
    write_victim();
    ck_assert_int_lt(unpack_to("l", hostile[_i], n, 0, &(struct layer_limits){0}, digest, &err), 0);
    ck_assert_int_eq(stat_of("out").st_mode, 0);
    ck_assert(holds("victim", "safe"));
    ck_assert_uint_eq(stat_of("victim").st_nlink, 1);
}
END_TEST

/* Nothing is refused here, and nothing leaves the layer either. */
START_TEST(test_kept_inside)
{
    _cleanup_free_ char *outside = xasprintf("%s/out", base);

    write_victim();
    mkdirat(base_fd, "out", 0755);
    const struct entry e[] = {
        {"s", S_IFLNK | 0777, outside},
        {"t", S_IFLNK | 0777, "../victim"},
        {"t", S_IFREG | 0644, "mine"},
        {"u", S_IFLNK | 0777, "../victim"},
        {".wh.u", S_IFREG, ""},
        {"v", S_IFLNK | 0777, ".."},
        {"v/victim", S_IFREG | 0644, "clamped"},
    };
    unpack_ok("l", e, ARRAY_SIZE(e));
    ck_assert(holds("victim", "safe"));
    ck_assert(holds("l/t", "mine"));
    ck_assert(holds("l/victim", "clamped"));
    ck_assert_uint_eq(stat_of("out").st_nlink, 2);
}
END_TEST

START_TEST(test_limits)
{
    static const struct entry e[] = {{"a", S_IFREG | 0644, "0123456789"},
                                     {"b", S_IFREG | 0644, "0123456789"}};
    char digest[FL_SHA256_HEX];
    struct fl_err err = {0};

    ck_assert_int_lt(
        unpack_to("l1", e, 2, 0, &(struct layer_limits){.max_entries = 1}, digest, &err), 0);
    ck_assert_int_eq(err.reason, FL_LIMIT);
    ck_assert_int_lt(
        unpack_to("l2", e, 2, 0, &(struct layer_limits){.max_bytes = 600}, digest, &err), 0);
    ck_assert_int_eq(err.reason, FL_LIMIT);
    /* Nobody has that much room. */
    ck_assert_int_lt(
        unpack_to("l3", e, 2, 0, &(struct layer_limits){.spare_bytes = 1ull << 62}, digest, &err),
        0);
    ck_assert_int_eq(err.reason, FL_LIMIT);
}
END_TEST

START_TEST(test_damaged)
{
    static const struct entry e[] = {{"a", S_IFREG | 0644, "0123456789"}};
    struct fl_err err = {0};
    char digest[FL_SHA256_HEX];

    for (off_t cut = 3; cut < 1100; cut += 97) {
        _cleanup_close_ int fd = archive_of(e, 1, cut % 2 ? ARCHIVE_FILTER_GZIP : 0);
        struct stat st;
        fstat(fd, &st);
        if (cut >= st.st_size)
            break;
        ck_assert_int_eq(ftruncate(fd, cut), 0);
        mkdirat(base_fd, "l", 0755);
        _cleanup_close_ int root = openat(base_fd, "l", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_lt(
            layer_unpack(fd, root, LAYER_OF_IMAGE, &(struct layer_limits){0}, digest, &err), 0);
    }
}
END_TEST

/* ---- layers over one another, by copying ---- */

static void lay(const char *layer, const char *over)
{
    struct fl_err err = {0};

    mkdirat(base_fd, over, 0755);
    _cleanup_close_ int from = openat(base_fd, layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int to = openat(base_fd, over, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_msg(tree_copy_layer(from, to, &err) == 0, "%s", err.msg);
}

START_TEST(test_copy)
{
    UNPACK("l1", {"gone", S_IFREG | 0644, "1"}, {"d/old", S_IFREG | 0644, "1"},
           {"kept/a", S_IFREG | 0644, "1"}, {"f", S_IFREG | 04755, "1"},
           {"f2", S_IFREG | 04755, "=f"}, {"link", S_IFLNK | 0777, "/etc"},
           {"file", S_IFREG | 0644, "1"}, {"dir/x", S_IFREG | 0644, "1"});
    UNPACK("l2", {".wh.gone", S_IFREG, ""}, {"d/.wh..wh..opq", S_IFREG, ""},
           {"d/new", S_IFREG | 0644, "2"}, {"kept/b", S_IFREG | 0644, "2"},
           {"link/", S_IFDIR | 0755, NULL}, {"link/in", S_IFREG | 0644, "2"},
           {"file/", S_IFDIR | 0755, NULL}, {"dir", S_IFREG | 0644, "2"});
    lay("l1", "root");
    ck_assert_uint_eq(stat_of("root/f").st_ino, stat_of("root/f2").st_ino);
    ck_assert_uint_ne(stat_of("root/f").st_ino, stat_of("l1/f").st_ino);
    lay("l2", "root");
    ck_assert_int_eq(stat_of("root/gone").st_mode, 0);
    ck_assert_int_eq(stat_of("root/d/old").st_mode, 0);
    ck_assert(holds("root/d/new", "2"));
    ck_assert(holds("root/kept/a", "1") && holds("root/kept/b", "2"));
    ck_assert_int_eq(stat_of("root/f").st_mode, S_IFREG | 04755);
    ck_assert_uint_eq(stat_of("root/f").st_uid, 12);
    ck_assert(holds("root/link/in", "2"));
    ck_assert(S_ISDIR(stat_of("root/file").st_mode));
    ck_assert(holds("root/dir", "2"));
}
END_TEST

START_TEST(test_remove_deep)
{
    struct fl_err err = {0};
    int at = fcntl(base_fd, F_DUPFD_CLOEXEC, 3);

    for (int i = 0; i < 300; i++) {
        mkdirat(at, "d", 0755);
        mkdirat(at, "e", 0755);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    /* Names that a layer has, so that ours must be others. */
    ck_assert_int_eq(mkdirat(base_fd, "d/.fairlead-deep-0", 0755), 0);
    ck_assert_int_eq(mkdirat(base_fd, "d/.fairlead-deep-0/x", 0755), 0);
    ck_assert_int_eq(mknodat(base_fd, "d/.fairlead-deep-1", S_IFREG | 0644, 0), 0);
    ck_assert_msg(tree_remove(base_fd, "d", &err) == 0, "%s", err.msg);
    ck_assert_int_eq(tree_remove(base_fd, "d", &err), 0);
    ck_assert_int_eq(stat_of("d").st_mode, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("image_layer");
    TCase *t = tcase_create("image_layer");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_remove_deep);
    if (geteuid() == 0) {
        tcase_add_test(t, test_kinds);
        tcase_add_test(t, test_filters);
        tcase_add_test(t, test_whiteouts);
        tcase_add_test(t, test_own_links);
        tcase_add_loop_test(t, test_refused, 0, (int)ARRAY_SIZE(hostile));
        tcase_add_test(t, test_kept_inside);
        tcase_add_test(t, test_limits);
        tcase_add_test(t, test_damaged);
        tcase_add_test(t, test_copy);
    }
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
