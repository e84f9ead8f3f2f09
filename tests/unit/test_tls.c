/* HTTP over TLS: certificates made here, checked and refused; threads; switches of protocol; the environment. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/tls.h"
#include "tests/unit/http_fixture.h"

static const unsigned thread_counts[] = {0, 2};

struct certs {
    char dir[32];
    char key[64], cert[64];
};

static void write_files(struct certs *c, EVP_PKEY *pkey, X509 *x)
{
    FILE *f = fopen(c->key, "we");
    ck_assert(f && PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    f = fopen(c->cert, "we");
    ck_assert(f && PEM_write_X509(f, x) == 1);
    fclose(f);
}

#define OUR_NAMES "DNS:localhost,IP:127.0.0.1"

/* A certificate that signs itself. */
static void make_certs(struct certs *c, const char *names)
{
    fl_snprintf(c->dir, sizeof c->dir, "/tmp/fl_tls_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(c->dir));
    fl_snprintf(c->key, sizeof c->key, "%s/key.pem", c->dir);
    fl_snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->dir);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ck_assert(pkey && x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pkey);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
    X509_add_ext(x, san, -1);
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(san);
    X509_EXTENSION_free(ca);
    ck_assert_int_gt(X509_sign(x, pkey, EVP_sha256()), 0);
    write_files(c, pkey, x);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static void remove_certs(struct certs *c)
{
    unlink(c->key);
    unlink(c->cert);
    rmdir(c->dir);
}

static void echo(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    struct fl_buf b = FL_BUF_INIT;
    fl_buf_add(&b, r->body, r->body_len);
    http_respond_buf(ex, r->tls ? 200 : 500, "text/plain", &b);
}

static void echo_read(struct fl_stream *st, void *arg)
{
    size_t n;
    const char *p = fl_stream_peek(st, &n);
    fl_stream_write(st, p, n);
    fl_stream_consume(st, n);
}

static void echo_closed(struct fl_stream *st, const struct fl_err *why, void *arg)
{
    fl_stream_free(st);
}

static const struct fl_stream_ops echo_ops = {.on_read = echo_read, .on_closed = echo_closed};

static void taken(struct fl_stream *st, void *arg)
{
    fl_stream_set_ops(st, &echo_ops, NULL);
}

static void upgrade(struct http_exchange *ex, void *arg)
{
    http_upgrade(ex, "echo", http_exchange_loop(ex), taken, NULL);
}

static const struct http_route routes[] = {
    {.path = "/echo", .handler = echo},
    {.path = "/upgrade", .handler = upgrade},
};

struct world {
    struct certs certs;
    struct fl_tls *server_tls, *client_tls;
    struct fixture f;
    struct fl_loop *loop;
    struct http_client *client;
    int status;
    size_t len;
    struct fl_err err;
};

static unsigned max_connections = 20000;

static void open_named(struct world *w, int i, bool trust, bool client_cert, const char *names)
{
    struct fl_err err = {0};
    *w = (struct world){0};
    make_certs(&w->certs, names);
    struct fl_tls_config sc = {.cert_file = w->certs.cert,
                               .key_file = w->certs.key,
                               .ca_file = w->certs.cert,
                               .require_client_cert = client_cert};
    struct fl_tls_config cc = {.verify_peer = true, .ca_file = trust ? w->certs.cert : NULL};
    ck_assert_msg(fl_tls_server_new(&sc, &w->server_tls, &err) == 0, "%s", err.msg);
    ck_assert_msg(fl_tls_client_new(&cc, &w->client_tls, &err) == 0, "%s", err.msg);
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "x",
                                   .io_threads = thread_counts[i],
                                   .limits = http_limits_default,
                                   .tls = w->server_tls,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes)};
    c.limits.max_connections = max_connections;
    fixture_start(&w->f, &c);
    ck_assert_int_eq(fl_loop_new(&w->loop, &err), 0);
    w->client = http_client_new(w->loop);
}

static void open_world(struct world *w, int i, bool trust, bool client_cert)
{
    open_named(w, i, trust, client_cert, OUR_NAMES);
}

static void close_world(struct world *w)
{
    http_client_free(w->client);
    fl_loop_free(w->loop);
    fixture_stop(&w->f);
    fl_tls_free(w->server_tls);
    fl_tls_free(w->client_tls);
    remove_certs(&w->certs);
}

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    struct world *w = arg;
    w->status = r ? r->status : 0;
    w->len = r ? r->body_len : 0;
    if (err)
        w->err = *err;
    fl_loop_stop(w->loop);
}

static const struct http_call_ops ops = {.on_done = on_done};

static void call(struct world *w, const char *host, size_t n)
{
    _cleanup_free_ char *body = xcalloc(n + 1, 1);
    struct http_call_config cfg = {.method = "POST",
                                   .host = host,
                                   .port = w->f.port,
                                   .path = "/echo",
                                   .body = body,
                                   .body_len = n,
                                   .tls = w->client_tls,
                                   .timeout_s = 10};
    ck_assert_int_eq(http_client_call(w->client, &cfg, &ops, w, NULL, &w->err), 0);
    fl_loop_run(w->loop);
}

START_TEST(trusted)
{
    struct world w;
    open_world(&w, _i, true, false);
    call(&w, "127.0.0.1", 5);
    ck_assert_msg(w.status == 200, "%s", w.err.msg);
    call(&w, "localhost", 5000000);
    ck_assert_msg(w.status == 200, "%s", w.err.msg);
    ck_assert_uint_eq(w.len, 5000000);
    call(&w, "127.0.0.1", 5000000);
    struct http_counters n;
    http_server_counters(w.f.server, &n);
    ck_assert_uint_eq(n.connections, 2); /* kept alive */
    close_world(&w);
}
END_TEST

START_TEST(other_name)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1"};
    struct world w;
    open_named(&w, _i, true, false, "DNS:elsewhere,IP:127.0.0.9");
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        call(&w, hosts[i], 1);
        ck_assert_int_eq(w.status, 0);
        ck_assert_msg(strstr(w.err.msg, "mismatch") != NULL, "%s", w.err.msg);
    }
    close_world(&w);
}
END_TEST

START_TEST(not_trusted)
{
    struct world w;
    open_world(&w, _i, false, false);
    call(&w, "127.0.0.1", 1);
    ck_assert_int_eq(w.status, 0);
    ck_assert_msg(strstr(w.err.msg, "certificate") != NULL, "%s", w.err.msg);
    close_world(&w);
}
END_TEST

START_TEST(client_must_show_one)
{
    struct world w;
    open_world(&w, _i, true, true);
    call(&w, "127.0.0.1", 1);
    ck_assert_int_eq(w.status, 0);
    close_world(&w);
}
END_TEST

START_TEST(plain_text_is_refused)
{
    struct world w;
    open_world(&w, _i, true, false);
    const char *text = "GET /echo HTTP/1.1\r\n\r\n";
    _cleanup_free_ char *got = talk(w.f.port, text, strlen(text));
    ck_assert_ptr_null(strstr(got, "200"));
    close_world(&w);
}
END_TEST

START_TEST(too_many_hear_why)
{
    struct world w;
    max_connections = 1;
    open_world(&w, _i, true, false);
    int one = dial(w.f.port);
    struct http_counters n = {0};
    for (int i = 0; i < 2000 && n.open_connections < 1; i++) {
        http_server_counters(w.f.server, &n);
        usleep(1000);
    }
    call(&w, "127.0.0.1", 1);
    ck_assert_msg(w.status == 503, "%s", w.err.msg);
    close(one);
    close_world(&w);
}
END_TEST

struct pipe_end {
    struct fl_loop *loop;
    struct fl_buf got;
};

static void pipe_read(struct fl_stream *st, void *arg)
{
    struct pipe_end *e = arg;
    size_t n;
    const char *p = fl_stream_peek(st, &n);
    fl_buf_add(&e->got, p, n);
    fl_stream_consume(st, n);
    if (strstr(fl_buf_cstr(&e->got), "second words"))
        fl_loop_stop(e->loop);
    else if (strstr(fl_buf_cstr(&e->got), "first words"))
        fl_stream_write(st, "second words", 12);
}

static void pipe_closed(struct fl_stream *st, const struct fl_err *why, void *arg)
{
    ck_abort_msg("%s", why->msg);
}

static const struct fl_stream_ops pipe_ops = {.on_read = pipe_read, .on_closed = pipe_closed};

START_TEST(switch_of_protocol)
{
    struct world w;
    struct fl_stream *st = NULL;
    open_world(&w, _i, true, false);
    struct pipe_end e = {.loop = w.loop};
    ck_assert_int_eq(fl_stream_connect(w.loop, "127.0.0.1", w.f.port, NULL, w.client_tls, &pipe_ops,
                                       &e, &st, &w.err),
                     0);
    const char *text = "GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
                       "first words";
    fl_stream_write(st, text, strlen(text));
    fl_loop_run(w.loop);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&e.got), " 101 "));
    fl_stream_free(st);
    fl_buf_done(&e.got);
    close_world(&w);
}
END_TEST

START_TEST(environment)
{
    struct certs c;
    struct fl_tls *server = NULL, *client = NULL;
    struct fl_err err;
    make_certs(&c, OUR_NAMES);
    ck_assert_int_eq(fl_tls_from_env(&server, &client, &err), 0);
    ck_assert_ptr_null(server);
    setenv("LIBPROCESS_SSL_ENABLED", "1", 1);
    ck_assert_int_lt(fl_tls_from_env(&server, &client, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "LIBPROCESS_SSL_CERT_FILE"));
    setenv("LIBPROCESS_SSL_CERT_FILE", c.cert, 1);
    setenv("LIBPROCESS_SSL_KEY_FILE", c.key, 1);
    ck_assert_msg(fl_tls_from_env(&server, &client, &err) == 0, "%s", err.msg);
    ck_assert(server && client);
    fl_tls_free(TAKE_PTR(server));
    fl_tls_free(TAKE_PTR(client));
    setenv("LIBPROCESS_SSL_ENABLE_TLS_V1_0", "1", 1);
    ck_assert_int_lt(fl_tls_from_env(&server, &client, &err), 0);
    setenv("LIBPROCESS_SSL_ENABLE_TLS_V1_0", "maybe", 1);
    ck_assert_int_lt(fl_tls_from_env(&server, &client, &err), 0);
    unsetenv("LIBPROCESS_SSL_ENABLE_TLS_V1_0");
    setenv("LIBPROCESS_SSL_CERT_FILE", "/nonexistent", 1);
    ck_assert_int_lt(fl_tls_from_env(&server, &client, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "'/nonexistent'"));
    ck_assert_ptr_null(server);
    remove_certs(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tls");
    TCase *t = tcase_create("tls");
    int n = (int)ARRAY_SIZE(thread_counts);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, trusted, 0, n);
    tcase_add_loop_test(t, other_name, 0, n);
    tcase_add_loop_test(t, not_trusted, 0, n);
    tcase_add_loop_test(t, too_many_hear_why, 0, n);
    tcase_add_loop_test(t, client_must_show_one, 0, n);
    tcase_add_loop_test(t, plain_text_is_refused, 0, n);
    tcase_add_loop_test(t, switch_of_protocol, 0, n);
    tcase_add_test(t, environment);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
