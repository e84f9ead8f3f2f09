/* One TLS session over a non-blocking socket; used by stream.c only. A session belongs to its
 * stream's thread. */
#ifndef COMMON_BASE_TLS_PRIV_H
#define COMMON_BASE_TLS_PRIV_H

#include <sys/types.h>

#include "common/base/tls.h"

struct fl_tls_conn;

enum fl_tls_need { FL_TLS_OK, FL_TLS_NEED_READ, FL_TLS_NEED_WRITE, FL_TLS_EOF, FL_TLS_FAILED };

/* `host`: the name a client checks the certificate against and sends as SNI; NULL for a server. */
int fl_tls_conn_new(struct fl_tls *t, int fd, const char *host, struct fl_tls_conn **ret,
                    struct fl_err *err);
void fl_tls_conn_free(struct fl_tls_conn *c);
/* Each moves on as far as the socket allows; err is filled on FL_TLS_FAILED. */
enum fl_tls_need fl_tls_handshake(struct fl_tls_conn *c, struct fl_err *err);
enum fl_tls_need fl_tls_read(struct fl_tls_conn *c, void *p, size_t n, size_t *ret_n,
                             struct fl_err *err);
enum fl_tls_need fl_tls_write(struct fl_tls_conn *c, const void *p, size_t n, size_t *ret_n,
                              struct fl_err *err);
void fl_tls_close_notify(struct fl_tls_conn *c);

#endif
