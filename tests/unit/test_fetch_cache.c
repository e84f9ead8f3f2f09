/* What of fetching is pure: URIs, orders, the books of the cache. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/containerizer/fetch_cache.h"
#include "agent/containerizer/fetch_dir.h"
#include "agent/containerizer/fetch_note.h"
#include "agent/containerizer/fetch_uri.h"

#define HEX64 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

/* ---- URIs ---- */

static const struct uri_row {
    const char *value;
    enum fetch_way way;
    const char *name, *digest, *uri; /* uri NULL: as the value */
    const char *error;
} uris[] = {
    {"/a/b.tgz", FETCH_FILE, "b.tgz", NULL, NULL, NULL},
    {"  /a/b.tgz", FETCH_FILE, "b.tgz", NULL, "/a/b.tgz", NULL},
    {"b", FETCH_FILE, "b", NULL, NULL, NULL},
    {"file:///a/b", FETCH_FILE, "b", NULL, NULL, NULL},
    {"HTTP://h/a/b.zip?x=1", FETCH_NET, "b.zip?x=1", NULL, NULL, NULL},
    {"https://h/a?x=/c", FETCH_NET, "c", NULL, NULL, NULL},
    {"ftp://h/a/", FETCH_NET, "", NULL, NULL, NULL},
    {"ftps://u:p@h/a", FETCH_NET, "a", NULL, NULL, NULL},
    {"hdfs://h:9/a/b", FETCH_HOOK, "b", NULL, NULL, NULL},
    {"s3a://bucket/b", FETCH_HOOK, "b", NULL, NULL, NULL},
    {"http://h/a#sha256=" HEX64, FETCH_NET, "a", "sha256", "http://h/a", NULL},
    {"/a#sha512=" HEX64 HEX64, FETCH_FILE, "a", "sha512", "/a", NULL},
    {"http://h/a#sha256", FETCH_NET, "a#sha256", NULL, NULL, NULL},
    {"http://h/a#md5=" HEX64, FETCH_NET, "a#md5=" HEX64, NULL, NULL, NULL},
    {"http://h/a?checksum=sha256:" HEX64, FETCH_NET, "a?checksum=sha256:" HEX64, NULL, NULL, NULL},
    {"http://h/a#sha256=" HEX64 "0", 0, NULL, NULL, NULL, "64 hexadecimal"},
    {"http://h/a#sha512=" HEX64, 0, NULL, NULL, NULL, "128 hexadecimal"},
    {"http://h", 0, NULL, NULL, NULL, "missing path"},
    {"http://h/", 0, NULL, NULL, NULL, "missing path"},
    {"hdfs://", 0, NULL, NULL, NULL, "missing path"},
    {"a\\b", 0, NULL, NULL, NULL, "Illegal"},
    {"a'b", 0, NULL, NULL, NULL, "Illegal"},
    {"-x://h/a", 0, NULL, NULL, NULL, "no scheme"},
    {"://h/a", 0, NULL, NULL, NULL, "no scheme"},
    {"a b://h/a", 0, NULL, NULL, NULL, "no scheme"},
};

START_TEST(uris_are_understood)
{
    const struct uri_row *row = &uris[_i];
    struct fetch_uri u;
    struct fl_err err;

    int r = fetch_uri_parse(row->value, &u, &err);
    if (row->error) {
        ck_assert_int_eq(r, -EINVAL);
        ck_assert_msg(strstr(err.msg, row->error) != NULL, "%s", err.msg);
        return;
    }
    ck_assert_msg(r == 0, "%s", err.msg);
    ck_assert_int_eq(u.way, row->way);
    ck_assert_str_eq(u.name, row->name);
    ck_assert_str_eq(u.uri, row->uri ? row->uri : row->value);
    ck_assert(streq(u.digest, row->digest));
    ck_assert_uint_eq(strlen(u.hex), row->digest ? fl_digest_digits(row->digest) : 0);
    fetch_uri_done(&u);
}
END_TEST

START_TEST(du_is_found_among_warnings)
{
    uint64_t n = 0;

    ck_assert_int_eq(fetch_du_size("WARN a b\n12  hdfs://h/a\n", "hdfs://h/a", &n), 0);
    ck_assert_uint_eq(n, 12);
    ck_assert_int_eq(fetch_du_size("13 39\thdfs://h/a", "hdfs://h/a", &n), 0);
    ck_assert_uint_eq(n, 13);
    ck_assert_int_eq(
        fetch_du_size("x hdfs://h/a\n1 hdfs://h/ab\n1 2 3 hdfs://h/a\n\n", "hdfs://h/a", &n),
        -ENOENT);
    ck_assert_int_eq(fetch_du_size("", "hdfs://h/a", &n), -ENOENT);
}
END_TEST

START_TEST(passwords_are_not_shown)
{
    static const char *const rows[][2] = {
        {"http://u:secret@h/a", "http://u:***@h/a"}, {"http://u@h/a:b", "http://u@h/a:b"},
        {"http://h:1/a@b", "http://h:1/a@b"},        {"/a:b@c", "/a:b@c"},
        {"ftp://u:a@b:c@h/x", "ftp://u:***@h/x"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *shown = fetch_uri_masked(rows[i][0]);
        ck_assert_str_eq(shown, rows[i][1]);
    }
}
END_TEST

START_TEST(output_files_are_names_in_the_sandbox)
{
    static const char *const good[] = {"a", "a/b", "./a", "a/./b", "...", ".a"};
    static const char *const bad[] = {"",     "/a",   "..",     ".",   "a/",
                                      "a//b", "../a", "a/../b", "a/.", "a/.."};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_msg(fetch_output_check(good[i], NULL) == 0, "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(fetch_output_check(bad[i], NULL) < 0, "%s", bad[i]);
}
END_TEST

START_TEST(digests_are_those_of_the_standard)
{
    char hex[FL_DIGEST_HEX];
    int fd = memfd_create("digest", MFD_CLOEXEC);

    ck_assert_int_eq(write(fd, "abc", 3), 3);
    ck_assert_int_eq(fl_digest_file(fd, "sha256", hex, NULL), 0);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(fl_digest_file(fd, "sha512", hex, NULL), 0);
    ck_assert_uint_eq(strlen(hex), 128);
    ck_assert(str_starts(hex, "ddaf35a193617abacc417349ae204131"));
    ck_assert_int_lt(fl_digest_file(fd, "crc", hex, NULL), 0);
    close(fd);
}
END_TEST

/* ---- orders ---- */

START_TEST(orders_are_read_as_written)
{
    struct fetch_order items[] = {
        {FETCH_DIRECT, NULL}, {FETCH_NEW, "c1-a.tgz"}, {FETCH_CACHED, "c2-b"}};
    const struct fetch_orders o = {.folder = "/cache/folder", .items = items, .n = 3};
    _cleanup_free_ char *text = fetch_orders_text(&o);
    struct fetch_orders back;

    ck_assert_int_eq(fetch_orders_parse(text, &back, NULL), 0);
    ck_assert_str_eq(back.folder, o.folder);
    ck_assert_uint_eq(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(back.items[i].action, items[i].action);
        ck_assert(streq(back.items[i].file, items[i].file));
    }
    fetch_orders_done(&back);
}
END_TEST

START_TEST(orders_stay_in_the_folder)
{
    static const char *const bad[] = {"/c\nget ../x\n", "/c\nnew a/b\n", "/c\nget \n",
                                      "/c\nother\n",    "/c\n\n",        "/c\nnew .\n"};
    struct fetch_orders o;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(fetch_orders_parse(bad[i], &o, NULL) < 0, "%s", bad[i]);
}
END_TEST

/* ---- the books ---- */

static struct fetch_cache c;
static char removed[1024];

static void on_remove(void *arg, const char *file)
{
    size_t n = strlen(removed);

    fl_snprintf(removed + n, sizeof(removed) - n, "%s ", file);
}

static void open_books(void)
{
    removed[0] = '\0';
    fetch_cache_init(&c, 100, on_remove, NULL);
}

static void close_books(void)
{
    fetch_cache_done(&c);
}

/* Fetched and let go. */
static void cached(const char *uri, uint64_t size)
{
    struct fetch_entry *e = fetch_cache_add(&c, NULL, uri, uri);

    ck_assert_int_eq(fetch_cache_reserve(&c, e, size), 0);
    fetch_cache_ready(&c, e, size);
    fetch_entry_release(&c, e);
}

static bool has(const char *uri)
{
    struct fetch_entry *e = fetch_cache_find(&c, NULL, uri);

    if (e)
        fetch_entry_release(&c, e);
    return e;
}

START_TEST(least_recently_found_goes_first)
{
    cached("a", 40);
    cached("b", 30);
    cached("d", 30);
    ck_assert_uint_eq(c.used, 100);
    ck_assert(has("a")); /* now the youngest */
    cached("e", 20);
    ck_assert_str_eq(removed, "c2-b ");
    ck_assert(has("a") && !has("b") && has("d") && has("e"));
    ck_assert_uint_eq(c.used, 90);
}
END_TEST

START_TEST(what_is_held_is_not_evicted)
{
    cached("a", 60);
    struct fetch_entry *a = fetch_cache_find(&c, NULL, "a");
    struct fetch_entry *b = fetch_cache_add(&c, NULL, "b", "b");
    ck_assert_int_eq(fetch_cache_reserve(&c, b, 41), -ENOSPC);
    ck_assert_str_eq(removed, "");
    ck_assert_int_eq(fetch_cache_reserve(&c, b, 40), 0);
    fetch_entry_release(&c, a);
    fetch_entry_release(&c, b);
    ck_assert_uint_eq(c.used, 60);
}
END_TEST

START_TEST(nothing_is_evicted_in_vain)
{
    cached("a", 60);
    struct fetch_entry *b = fetch_cache_add(&c, NULL, "b", "b");
    ck_assert_int_eq(fetch_cache_reserve(&c, b, 101), -ENOSPC);
    ck_assert_int_eq(fetch_cache_reserve(&c, b, UINT64_MAX), -ENOSPC);
    ck_assert(has("a"));
    fetch_entry_release(&c, b);
}
END_TEST

START_TEST(sizes_are_those_of_the_files)
{
    struct fetch_entry *a = fetch_cache_add(&c, NULL, "a", "a");
    ck_assert_int_eq(fetch_cache_reserve(&c, a, 50), 0);
    fetch_cache_ready(&c, a, 20);
    ck_assert_uint_eq(c.used, 20);
    fetch_entry_release(&c, a);
    struct fetch_entry *b = fetch_cache_add(&c, NULL, "b", "b");
    ck_assert_int_eq(fetch_cache_reserve(&c, b, 10), 0);
    fetch_cache_ready(&c, b, 11);
    ck_assert_int_eq(b->state, FETCH_GONE);
    ck_assert_uint_eq(c.used, 20);
    fetch_entry_release(&c, b);
    ck_assert(has("a") && !has("b"));
}
END_TEST

START_TEST(users_have_entries_of_their_own)
{
    struct fetch_entry *a = fetch_cache_add(&c, "alice", "u", "u");
    ck_assert_ptr_null(fetch_cache_find(&c, "bob", "u"));
    ck_assert_ptr_null(fetch_cache_find(&c, NULL, "u"));
    ck_assert_ptr_null(fetch_cache_find(&c, NULL, "alice@u"));
    struct fetch_entry *again = fetch_cache_find(&c, "alice", "u");
    ck_assert_ptr_eq(a, again);
    ck_assert_uint_eq(a->refs, 2);
    fetch_entry_release(&c, a);
    fetch_entry_release(&c, again);
}
END_TEST

START_TEST(who_waits_sees_that_it_is_gone)
{
    struct fetch_entry *a = fetch_cache_add(&c, NULL, "a", "a");
    struct fetch_entry *waits = fetch_cache_find(&c, NULL, "a");
    ck_assert_int_eq(fetch_cache_reserve(&c, a, 10), 0);
    fetch_cache_drop(&c, a, true);
    fetch_cache_drop(&c, a, false);
    fetch_entry_release(&c, a);
    ck_assert_int_eq(waits->state, FETCH_GONE);
    ck_assert(waits->abandoned);
    ck_assert_str_eq(removed, "c1-a ");
    ck_assert_uint_eq(c.used, 0);
    /* The next one begins anew, in another file. */
    struct fetch_entry *next = fetch_cache_add(&c, NULL, "a", "a");
    ck_assert_str_eq(next->file, "c2-a");
    fetch_cache_ready(&c, waits, 5);
    ck_assert_int_eq(waits->state, FETCH_GONE);
    fetch_entry_release(&c, waits);
    fetch_entry_release(&c, next);
    ck_assert_uint_eq(c.n_entries, 0); /* nobody would have made it ready */
}
END_TEST

START_TEST(names_of_files_are_harmless)
{
    struct fetch_entry *a = fetch_cache_add(&c, NULL, "a", "../../x y\n'$(z)");
    ck_assert_str_eq(a->file, "c1-.._.._x_y____z_");
    struct fetch_entry *b = fetch_cache_add(&c, NULL, "b", "a-very-long-name-of-an-archive.tar.gz");
    ck_assert_str_eq(b->file, "c2-a-very-lon_ive.tar.gz");
    fetch_entry_release(&c, a);
    fetch_entry_release(&c, b);
}
END_TEST

START_TEST(a_thousand_random_steps_add_up)
{
    struct fetch_entry *held[8] = {NULL};
    unsigned seed = 7;

    for (int i = 0; i < 20000; i++) {
        size_t k = (size_t)rand_r(&seed) % ARRAY_SIZE(held);
        char uri[8];
        fl_snprintf(uri, sizeof(uri), "%d", rand_r(&seed) % 20);
        if (held[k]) {
            struct fetch_entry *e = TAKE_PTR(held[k]);
            uint64_t size = (uint64_t)rand_r(&seed) % 60;
            if (e->state == FETCH_PENDING && !e->size && fetch_cache_reserve(&c, e, size) == 0)
                fetch_cache_ready(&c, e, (uint64_t)rand_r(&seed) % 60);
            else if (rand_r(&seed) % 4 == 0)
                fetch_cache_drop(&c, e, false);
            fetch_entry_release(&c, e);
        } else {
            held[k] = fetch_cache_find(&c, NULL, uri);
            if (!held[k])
                held[k] = fetch_cache_add(&c, NULL, uri, uri);
        }
        uint64_t sum = 0;
        size_t n = 0;
        for (struct fetch_entry *e = c.oldest; e; e = e->next, n++)
            sum += e->size;
        ck_assert_uint_eq(sum, c.used);
        ck_assert_uint_eq(n, c.n_entries);
        ck_assert_uint_eq(n, HASH_COUNT(c.table));
        ck_assert_uint_le(c.used, c.total);
    }
    for (size_t k = 0; k < ARRAY_SIZE(held); k++)
        if (held[k])
            fetch_entry_release(&c, held[k]);
}
END_TEST

/* ---- the folder ---- */

START_TEST(the_folder_is_emptied_and_locked)
{
    char root[] = "/tmp/fl-cache-XXXXXX";
    struct fetch_dir d, other;
    struct fl_err err;

    ck_assert_ptr_nonnull(mkdtemp(root));
    _cleanup_free_ char *path = xasprintf("%s/a/cache", root), *mine = xasprintf("%s/keep", path),
                        *a = xasprintf("%s/a", root), *lock = xasprintf("%s/.lock", path);
    ck_assert_msg(fetch_dir_open(&d, path, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(fetch_dir_make(&d, "c1-a", &err), 0);
    ck_assert_int_eq(fetch_dir_make(&d, "c1-a", &err), -EEXIST);
    ck_assert_int_eq(fetch_dir_make(&d, "keep", &err), 0);
    ck_assert_int_eq(fetch_dir_size(&d, "c1-a"), 0);
    ck_assert_int_eq(fetch_dir_open(&other, path, &err), -EEXIST);
    ck_assert_ptr_nonnull(strstr(err.msg, "another agent"));
    fetch_dir_close(&d);
    ck_assert_int_eq(fetch_dir_open(&d, path, &err), 0);
    ck_assert_int_eq(fetch_dir_size(&d, "c1-a"), -1);
    ck_assert_int_eq(fetch_dir_size(&d, "keep"), 0); /* not ours */
    fetch_dir_close(&d);
    chmod(a, 0777);
    ck_assert_int_eq(fetch_dir_open(&d, path, &err), -EPERM);
    ck_assert_ptr_nonnull(strstr(err.msg, "another user"));
    unlink(mine);
    unlink(lock);
    rmdir(path);
    rmdir(a);
    rmdir(root);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fetch_cache");
    TCase *t = tcase_create("fetch"), *b = tcase_create("books");

    tcase_add_loop_test(t, uris_are_understood, 0, (int)ARRAY_SIZE(uris));
    tcase_add_test(t, du_is_found_among_warnings);
    tcase_add_test(t, passwords_are_not_shown);
    tcase_add_test(t, output_files_are_names_in_the_sandbox);
    tcase_add_test(t, digests_are_those_of_the_standard);
    tcase_add_test(t, orders_are_read_as_written);
    tcase_add_test(t, orders_stay_in_the_folder);
    tcase_add_test(t, the_folder_is_emptied_and_locked);
    tcase_add_checked_fixture(b, open_books, close_books);
    tcase_add_test(b, least_recently_found_goes_first);
    tcase_add_test(b, what_is_held_is_not_evicted);
    tcase_add_test(b, nothing_is_evicted_in_vain);
    tcase_add_test(b, sizes_are_those_of_the_files);
    tcase_add_test(b, users_have_entries_of_their_own);
    tcase_add_test(b, who_waits_sees_that_it_is_gone);
    tcase_add_test(b, names_of_files_are_harmless);
    tcase_add_test(b, a_thousand_random_steps_add_up);
    suite_add_tcase(s, t);
    suite_add_tcase(s, b);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
