/* Shared by connection.c and request.c. */
#ifndef CLI_CONNECTION_PRIV_H
#define CLI_CONNECTION_PRIV_H

#include "cli/connection.h"
#include "common/base/tls.h"

struct connection {
    char *text; /* the masters as they were named */
    struct peer *masters;
    size_t n_masters, cap_masters;
    struct peer leader; /* who answered last; at.host NULL: nobody yet */
    bool leader_sure;   /* it answered what only the leader answers */
    struct http_credential credential;
    char *authorization; /* or NULL */
    bool tls_wanted;
    struct fl_tls *tls;
};

#endif
