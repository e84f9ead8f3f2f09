/* TLS over OpenSSL: contexts, and sessions on non-blocking sockets for stream_io.c. A context is
 * read-only once made, so streams of any thread share it. */
#include "common/base/tls_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct fl_tls {
    SSL_CTX *ctx; /* owned */
    bool server, verify_peer;
};

struct fl_tls_conn {
    SSL *ssl; /* owned */
};

static int ssl_error(struct fl_err *err, enum fl_reason reason, const char *what, const char *on)
{
    char text[256] = "no detail";
    unsigned long e = ERR_peek_last_error();
    if (e)
        ERR_error_string_n(e, text, sizeof text);
    ERR_clear_error();
    return fl_err_set(err, reason, "%s '%s': %s", what, on ? on : "", text);
}

/* ---- contexts ---- */

static int load_own(SSL_CTX *ctx, const struct fl_tls_config *c, struct fl_err *err)
{
    if (c->cert_file && SSL_CTX_use_certificate_chain_file(ctx, c->cert_file) != 1)
        return ssl_error(err, FL_INVALID, "read the certificate", c->cert_file);
    if (c->key_file && SSL_CTX_use_PrivateKey_file(ctx, c->key_file, SSL_FILETYPE_PEM) != 1)
        return ssl_error(err, FL_INVALID, "read the private key", c->key_file);
    if (c->key_file && c->cert_file && SSL_CTX_check_private_key(ctx) != 1)
        return ssl_error(err, FL_INVALID, "match the certificate with the private key",
                         c->key_file);
    return 0;
}

static int load_trust(SSL_CTX *ctx, const struct fl_tls_config *c, struct fl_err *err)
{
    if ((c->ca_file || c->ca_dir) && SSL_CTX_load_verify_locations(ctx, c->ca_file, c->ca_dir) != 1)
        return ssl_error(err, FL_INVALID, "read the trusted authorities",
                         c->ca_file ? c->ca_file : c->ca_dir);
    if (!c->ca_file && !c->ca_dir)
        SSL_CTX_set_default_verify_paths(ctx);
    return 0;
}

static int configure(SSL_CTX *ctx, const struct fl_tls_config *c, bool server, struct fl_err *err)
{
    int rc = load_own(ctx, c, err);
    if (rc == 0)
        rc = load_trust(ctx, c, err);
    if (rc < 0)
        return rc;
    if (c->ciphers && SSL_CTX_set_cipher_list(ctx, c->ciphers) != 1)
        return ssl_error(err, FL_INVALID, "use the ciphers", c->ciphers);
    SSL_CTX_set_min_proto_version(ctx, c->min_version ? (int)c->min_version : TLS1_2_VERSION);
    if (c->max_version)
        SSL_CTX_set_max_proto_version(ctx, (int)c->max_version);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify_depth(ctx, c->verify_depth ? (int)c->verify_depth : 4);
    int mode = SSL_VERIFY_NONE;
    if (server && c->require_client_cert)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    else if (c->verify_peer)
        mode = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(ctx, mode, NULL);
    static const unsigned char session_context[] = "fairlead";
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
    return 0;
}

static int context_new(const struct fl_tls_config *c, bool server, struct fl_tls **ret,
                       struct fl_err *err)
{
    _cleanup_(fl_tls_freep) struct fl_tls *t = xnew0(struct fl_tls);
    t->server = server;
    t->verify_peer = c->verify_peer;
    t->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!t->ctx)
        return ssl_error(err, FL_INTERNAL, "make a TLS context for a",
                         server ? "server" : "client");
    int rc = configure(t->ctx, c, server, err);
    if (rc < 0)
        return rc;
    *ret = TAKE_PTR(t);
    return 0;
}

int fl_tls_server_new(const struct fl_tls_config *c, struct fl_tls **ret, struct fl_err *err)
{
    if (!c->cert_file || !c->key_file)
        return fl_err_set(err, FL_INVALID,
                          "make a TLS server: a certificate file and a key file are needed");
    return context_new(c, true, ret, err);
}

int fl_tls_client_new(const struct fl_tls_config *c, struct fl_tls **ret, struct fl_err *err)
{
    return context_new(c, false, ret, err);
}

void fl_tls_free(struct fl_tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

/* ---- sessions ---- */

static int name_the_peer(struct fl_tls *t, SSL *ssl, const char *host, struct fl_err *err)
{
    struct in6_addr any;
    bool numeric = inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
    if (!numeric && SSL_set_tlsext_host_name(ssl, host) != 1)
        return ssl_error(err, FL_INVALID, "name the TLS server", host);
    if (!t->verify_peer)
        return 0;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    int ok = numeric ? X509_VERIFY_PARAM_set1_ip_asc(param, host) : SSL_set1_host(ssl, host);
    if (ok != 1)
        return ssl_error(err, FL_INVALID, "check the name of the TLS server", host);
    return 0;
}

int fl_tls_conn_new(struct fl_tls *t, int fd, const char *host, struct fl_tls_conn **ret,
                    struct fl_err *err)
{
    SSL *ssl = SSL_new(t->ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return ssl_error(err, FL_INTERNAL, "make a TLS session with", host);
    }
    int rc = host && !t->server ? name_the_peer(t, ssl, host, err) : 0;
    if (rc < 0) {
        SSL_free(ssl);
        return rc;
    }
    if (t->server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    struct fl_tls_conn *c = xnew0(struct fl_tls_conn);
    c->ssl = ssl;
    *ret = c;
    return 0;
}

void fl_tls_conn_free(struct fl_tls_conn *c)
{
    if (!c)
        return;
    SSL_free(c->ssl);
    free(c);
}

static enum fl_tls_need need_of(struct fl_tls_conn *c, int rc, const char *doing,
                                struct fl_err *err)
{
    int saved = errno;
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return FL_TLS_NEED_READ;
    case SSL_ERROR_WANT_WRITE:
        return FL_TLS_NEED_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return FL_TLS_EOF;
    case SSL_ERROR_SYSCALL:
        if (saved == 0)
            return FL_TLS_EOF;
        fl_err_errno(err, saved, "%s over TLS", doing);
        return FL_TLS_FAILED;
    default:
        break;
    }
    long verify = SSL_get_verify_result(c->ssl);
    if (verify != X509_V_OK && !SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        fl_err_set(err, FL_UNAVAILABLE, "%s over TLS: the peer's certificate: %s", doing,
                   X509_verify_cert_error_string(verify));
    } else {
        ssl_error(err, FL_IO, "do TLS", doing);
    }
    return FL_TLS_FAILED;
}

enum fl_tls_need fl_tls_handshake(struct fl_tls_conn *c, struct fl_err *err)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(c->ssl);
    return rc == 1 ? FL_TLS_OK : need_of(c, rc, "handshake", err);
}

enum fl_tls_need fl_tls_read(struct fl_tls_conn *c, void *p, size_t n, size_t *ret_n,
                             struct fl_err *err)
{
    *ret_n = 0;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read_ex(c->ssl, p, n, ret_n);
    return rc == 1 ? FL_TLS_OK : need_of(c, rc, "read", err);
}

enum fl_tls_need fl_tls_write(struct fl_tls_conn *c, const void *p, size_t n, size_t *ret_n,
                              struct fl_err *err)
{
    *ret_n = 0;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write_ex(c->ssl, p, n, ret_n);
    return rc == 1 ? FL_TLS_OK : need_of(c, rc, "write", err);
}

void fl_tls_close_notify(struct fl_tls_conn *c)
{
    ERR_clear_error();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}
