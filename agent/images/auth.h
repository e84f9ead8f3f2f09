/* Who we are to a registry: challenges of RFC 7235, tokens (distribution's token specification), and credentials as in Docker's
 * config.json. What registries send is a stranger's. Pure. */
#ifndef AGENT_IMAGES_AUTH_H
#define AGENT_IMAGES_AUTH_H

#include "common/base/err.h"

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };
struct auth_challenge {
    enum auth_scheme scheme;
    char *realm, *service, *scope; /* owned; NULL: not given */
};
void auth_challenge_done(struct auth_challenge *c);
#define _cleanup_auth_challenge_ _cleanup_(auth_challenge_done)
/* One WWW-Authenticate header's value, with one challenge or several: Bearer goes before Basic. AUTH_NONE: none we know. */
void auth_challenge_parse(const char *value, struct auth_challenge *ret);

/* Where a token is asked for; the caller's. NULL without a realm. `repository` makes the scope when the challenge names none. */
char *auth_token_url(const struct auth_challenge *c, const char *repository);
/* From the answer: {"token":...} or {"access_token":...}. The caller's. */
int auth_token_parse(const void *data, size_t n, char **ret, struct fl_err *err);

/* "user:password" of the registry `host` (with its port) in `config`, which is Docker's config.json or the older .dockercfg. The caller's;
 * NULL when it has none. FL_INVALID: no such file. */
int auth_credentials_find(const char *config, const char *host, char **ret, struct fl_err *err);
/* "Basic ..." for a header; the caller's. */
char *auth_basic(const char *user_password);

#endif
