/* What plug-ins answer (result of CNI 0.1 to 1.0), the addresses and resolvers in it, and --default_container_dns. Pure; any thread. */
#ifndef ISOLATORS_CNI_RESULT_H
#define ISOLATORS_CNI_RESULT_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"

struct cni_dns {
    char **servers, **search, **options; /* NULL-terminated, owned; NULL: none */
    char *domain;                        /* owned, or NULL */
};
struct cni_result {
    char *ip4, *ip6; /* the first of each kind, without the prefix length; owned, or NULL */
    struct cni_dns dns;
};
void cni_result_free(struct cni_result *r);
/* FL_INVALID: no JSON, or with an address that is none. A result without addresses is one. */
int cni_result_parse(const char *text, struct cni_result **ret, struct fl_err *err);
/* What a plug-in that failed says of it, for a person: its error object, or what it wrote. */
void cni_error_text(const char *out, const char *errs, char *ret, size_t size);

void cni_dns_done(struct cni_dns *d);
/* Lists of the second go behind those of the first; its domain wins. */
void cni_dns_merge(struct cni_dns *d, const struct cni_dns *more);
/* The content of resolv.conf. */
void cni_dns_format(const struct cni_dns *d, struct fl_buf *out);

/* The flag's value, checked whole; NULL text: none. */
struct cni_default_dns;
int cni_default_dns_parse(const char *text, struct cni_default_dns **ret, struct fl_err *err);
void cni_default_dns_free(struct cni_default_dns *d);
/* For that network: its own, or the one for all; NULL: none. */
const struct cni_dns *cni_default_dns_of(const struct cni_default_dns *d, const char *network);

#endif
