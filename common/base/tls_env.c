/* TLS settings from the environment, by the reference's names. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/tls.h"

#define PREFIX "LIBPROCESS_SSL_"

enum tls_version { TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

static const char *env_text(const char *name)
{
    char full[64];
    if (fl_snprintf(full, sizeof full, PREFIX "%s", name) < 0)
        return NULL;
    const char *v = getenv(full);
    return v && *v ? v : NULL;
}

static int env_bool(const char *name, bool *ret, struct fl_err *err)
{
    const char *v = env_text(name);
    if (!v)
        return 0;
    if (streq(v, "1") || strcasecmp(v, "true") == 0)
        *ret = true;
    else if (streq(v, "0") || strcasecmp(v, "false") == 0)
        *ret = false;
    else
        return fl_err_set(err, FL_INVALID,
                          "read the environment: " PREFIX "%s is '%s': write "
                          "true or false",
                          name, v);
    return 0;
}

/* The versions that are switched on must have no gap, for that is how OpenSSL counts. */
static int read_versions(struct fl_tls_config *c, struct fl_err *err)
{
    static const struct {
        const char *name;
        unsigned version;
        bool by_default;
    } rows[] = {{"ENABLE_TLS_V1_0", TLS_1_0, false},
                {"ENABLE_TLS_V1_1", TLS_1_1, false},
                {"ENABLE_TLS_V1_2", TLS_1_2, true},
                {"ENABLE_TLS_V1_3", TLS_1_3, true}};
    bool ended = false;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool on = rows[i].by_default;
        int rc = env_bool(rows[i].name, &on, err);
        if (rc < 0)
            return rc;
        if (on && ended)
            return fl_err_set(err, FL_INVALID,
                              "read the environment: " PREFIX "%s: a version "
                              "between this and an older one is off",
                              rows[i].name);
        if (on && !c->min_version)
            c->min_version = rows[i].version;
        if (on)
            c->max_version = rows[i].version;
        ended = !on && c->min_version;
    }
    if (!c->min_version)
        return fl_err_set(err, FL_INVALID,
                          "read the environment: no version of TLS is enabled "
                          "(set " PREFIX "ENABLE_TLS_V1_2 or _V1_3)");
    return 0;
}

static int read_config(struct fl_tls_config *c, struct fl_err *err)
{
    bool verify_cert = false, require_cert = false;
    *c = (struct fl_tls_config){.cert_file = env_text("CERT_FILE"),
                                .key_file = env_text("KEY_FILE"),
                                .ca_file = env_text("CA_FILE"),
                                .ca_dir = env_text("CA_DIR"),
                                .ciphers = env_text("CIPHERS"),
                                .verify_depth = 4};
    /* The older names of the last two switches, then the newer, which win. */
    int rc = env_bool("VERIFY_CERT", &verify_cert, err);
    c->verify_peer = verify_cert;
    if (rc == 0)
        rc = env_bool("VERIFY_SERVER_CERT", &c->verify_peer, err);
    if (rc == 0)
        rc = env_bool("REQUIRE_CERT", &require_cert, err);
    c->require_client_cert = require_cert;
    if (rc == 0)
        rc = env_bool("REQUIRE_CLIENT_CERT", &c->require_client_cert, err);
    if (rc < 0)
        return rc;
    const char *depth = env_text("VERIFY_DEPTH");
    uint64_t n = 0;
    if (depth && (fl_parse_u64(depth, &n) < 0 || n > 100))
        return fl_err_set(err, FL_INVALID,
                          "read the environment: " PREFIX "VERIFY_DEPTH is '%s': "
                          "write a number up to 100",
                          depth);
    if (depth)
        c->verify_depth = (unsigned)n;
    return read_versions(c, err);
}

int fl_tls_from_env(struct fl_tls **ret_server, struct fl_tls **ret_client, struct fl_err *err)
{
    struct fl_tls_config c;
    bool enabled = false;
    int rc = env_bool("ENABLED", &enabled, err);
    if (rc < 0 || !enabled)
        return rc;
    rc = read_config(&c, err);
    if (rc < 0)
        return rc;
    if (!c.cert_file || !c.key_file)
        return fl_err_set(err, FL_INVALID,
                          "enable TLS: set " PREFIX "CERT_FILE and " PREFIX "KEY_FILE");
    _cleanup_(fl_tls_freep) struct fl_tls *server = NULL;
    _cleanup_(fl_tls_freep) struct fl_tls *client = NULL;
    rc = fl_tls_server_new(&c, &server, err);
    if (rc == 0)
        rc = fl_tls_client_new(&c, &client, err);
    if (rc < 0)
        return rc;
    *ret_server = TAKE_PTR(server);
    *ret_client = TAKE_PTR(client);
    return 0;
}
