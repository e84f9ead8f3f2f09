/* The web page's files as a client gets them. */
#include "tests/unit/http_fixture.h"

#include <zlib.h>

#include "master/api/handlers.h"
#include "master/api/page_assets.h"

static struct fixture f;

static void setup(void)
{
    struct http_server_config c = {
        .ip = "127.0.0.1",
        .process_id = "master",
        .limits = http_limits_default,
        .fallback = page_get,
    };

    fixture_start(&f, &c);
}

static void teardown(void)
{
    fixture_stop(&f);
}

/* Everything that came: head and body, which may hold zero bytes. */
static size_t ask(const char *method, const char *path, const char *headers, char **ret)
{
    _cleanup_free_ char *text = xasprintf(
        "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, headers);
    struct fl_buf b = FL_BUF_INIT;
    int fd = dial(f.port);
    ssize_t n;
    size_t len;

    send_text(fd, text);
    while ((n = recv(fd, fl_buf_reserve(&b, 65536), 65536, 0)) > 0)
        b.len += (size_t)n;
    close(fd);
    len = b.len;
    *ret = fl_buf_take(&b);
    return len;
}

static const struct page_asset *index_asset(void)
{
    for (size_t i = 0; i < page_assets_n; i++)
        if (streq(page_assets[i].path, "/index.html"))
            return &page_assets[i];
    ck_abort_msg("there is no index.html");
}

START_TEST(the_page_at_its_paths)
{
    static const char *const paths[] = {"/", "/master", "/master/", "/index.html"};
    const struct page_asset *a = index_asset();
    _cleanup_free_ char *got = NULL;
    size_t n = ask("GET", paths[_i], "", &got);

    ck_assert_ptr_nonnull(strstr(got, "HTTP/1.1 200 OK\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Content-Type: text/html; charset=utf-8\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Cache-Control: no-cache\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "X-Content-Type-Options: nosniff\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "frame-ancestors 'none'\r\n"));
    ck_assert_ptr_nonnull(strstr(got, a->etag));
    ck_assert_uint_gt(n, a->len);
    ck_assert_mem_eq(got + n - a->len, a->data, a->len);
}
END_TEST

static void inflates_to(const struct page_asset *a)
{
    z_stream z = {.next_in = (Bytef *)a->gzip, .avail_in = (uInt)a->gzip_len};
    _cleanup_free_ char *room = xmalloc(a->len + 1);

    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)a->len + 1;
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(z.total_out, a->len);
    ck_assert_mem_eq(room, a->data, a->len);
    inflateEnd(&z);
}

START_TEST(every_file_plain_and_compressed)
{
    for (size_t i = 0; i < page_assets_n; i++) {
        const struct page_asset *a = &page_assets[i];
        bool for_ever = strstr(a->path, "/assets/") == a->path;
        _cleanup_free_ char *got = NULL;
        size_t n = ask("GET", a->path, "Accept-Encoding: gzip\r\n", &got);

        ck_assert_msg(strstr(got, "HTTP/1.1 200 OK\r\n"), "%s: %s", a->path, got);
        ck_assert_msg(!strstr(got, "immutable\r\n") == !for_ever, "%s", a->path);
        if (a->gzip && a->len >= http_limits_default.gzip_min) {
            ck_assert_ptr_nonnull(strstr(got, "Content-Encoding: gzip\r\n"));
            ck_assert_mem_eq(got + n - a->gzip_len, a->gzip, a->gzip_len);
            inflates_to(a);
        } else {
            ck_assert_mem_eq(got + n - a->len, a->data, a->len);
        }
    }
}
END_TEST

START_TEST(not_again_what_the_client_has)
{
    const struct page_asset *a = index_asset();
    static const char *const forms[] = {"\"%s\"", "\"%s-gz\"", "W/\"%s\"", "\"other\", \"%s\""};
    _cleanup_free_ char *tag = xasprintf(forms[_i], a->etag), *got = NULL, *other = NULL;
    _cleanup_free_ char *header = xasprintf("If-None-Match: %s\r\n", tag);

    ask("GET", "/", header, &got);
    ck_assert_msg(strstr(got, "HTTP/1.1 304 Not Modified\r\n"), "%s", got);
    ck_assert_str_eq(strstr(got, "\r\n\r\n"), "\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(got, a->etag));
    ask("GET", "/", "If-None-Match: \"0000\"\r\n", &other);
    ck_assert_ptr_nonnull(strstr(other, "HTTP/1.1 200 OK\r\n"));
}
END_TEST

START_TEST(head_methods_and_unknown_paths)
{
    _cleanup_free_ char *head = NULL, *post = NULL, *unknown = NULL;
    _cleanup_free_ char *length = xasprintf("Content-Length: %zu\r\n", index_asset()->len);

    ask("HEAD", "/", "", &head);
    ck_assert_msg(strstr(head, length), "%s", head);
    ck_assert_str_eq(strstr(head, "\r\n\r\n"), "\r\n\r\n");
    ask("POST", "/", "Content-Length: 0\r\n", &post);
    ck_assert_ptr_nonnull(strstr(post, "HTTP/1.1 405 Method Not Allowed\r\n"));
    ck_assert_ptr_nonnull(strstr(post, "Allow: GET, HEAD\r\n"));
    ask("GET", "/assets/../index.html", "", &unknown);
    ck_assert_ptr_nonnull(strstr(unknown, "HTTP/1.1 404 Not Found\r\n"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("page");
    TCase *t = tcase_create("files");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, the_page_at_its_paths, 0, 4);
    tcase_add_test(t, every_file_plain_and_compressed);
    tcase_add_loop_test(t, not_again_what_the_client_has, 0, 4);
    tcase_add_test(t, head_methods_and_unknown_paths);
    suite_add_tcase(s, t);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
