/* TLS contexts over OpenSSL, which no file outside common/base includes. The variables are the reference's:
 * LIBPROCESS_SSL_ENABLED, _KEY_FILE, _CERT_FILE, _CA_FILE, _CA_DIR, _VERIFY_SERVER_CERT, _REQUIRE_CLIENT_CERT,
 * _VERIFY_DEPTH, _CIPHERS, _ENABLE_TLS_V1_0 ... _V1_3 (1.2 and 1.3 here by default). A context is shared by
 * streams of any thread. */
#ifndef COMMON_BASE_TLS_H
#define COMMON_BASE_TLS_H

#include "common/base/err.h"

struct fl_tls_config {
    const char *cert_file, *key_file, *ca_file, *ca_dir;
    const char *ciphers;
    bool verify_peer;                  /* client: check the server's chain and name */
    bool require_client_cert;          /* server */
    unsigned verify_depth;             /* 4 */
    unsigned min_version, max_version; /* 0x0303 = TLS 1.2; 0 = library default */
};
struct fl_tls;
int fl_tls_server_new(const struct fl_tls_config *c, struct fl_tls **ret, struct fl_err *err);
int fl_tls_client_new(const struct fl_tls_config *c, struct fl_tls **ret, struct fl_err *err);
/* Reads LIBPROCESS_SSL_*; *ret_server / *ret_client stay NULL when TLS is not enabled there. */
int fl_tls_from_env(struct fl_tls **ret_server, struct fl_tls **ret_client, struct fl_err *err);
void fl_tls_free(struct fl_tls *t);
FL_DEFINE_CLEANUP(struct fl_tls *, fl_tls_free, fl_tls_freep)

#endif
