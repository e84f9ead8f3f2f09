/* Names of images: [registry[:port]/]repository[:tag][@sha256:...], read as the reference reads them (features.md 5.2). Pure. */
#ifndef AGENT_IMAGES_REFERENCE_H
#define AGENT_IMAGES_REFERENCE_H

#include "common/base/err.h"

struct image_ref {
    char *registry; /* "host" or "host:port"; NULL: the agent's --docker_registry. All owned */
    char *repository;
    char *tag;    /* NULL: latest */
    char *digest; /* "sha256:<64 hex digits>", goes before tag; or NULL */
};

void image_ref_done(struct image_ref *r);
#define _cleanup_image_ref_ _cleanup_(image_ref_done)

/* FL_INVALID when it cannot be a name: then it may not become part of a path or a URL either. */
int image_ref_parse(const char *text, struct image_ref *ret, struct fl_err *err);
/* As it was given, without what a digest makes needless; the caller's. */
char *image_ref_text(const struct image_ref *r);
static inline const char *image_ref_tag(const struct image_ref *r)
{
    return r->tag ? r->tag : "latest";
}

/* Where it is pulled from: "https://host[:port]", the caller's. `default_registry` is a URL; its http:// holds for images that name the
 * same host, too. Official images of Docker's hub get "library/" before their repository. */
int image_ref_resolve(struct image_ref *r, const char *default_registry, char **ret_base,
                      struct fl_err *err);

/* Whether "host[:port]" is Docker's hub, under any of its names. */
bool image_host_is_hub(const char *host);

/* "sha256:" and 64 hex digits; -EINVAL. *ret_hex points into `digest`. */
int image_digest_hex(const char *digest, const char **ret_hex);

#endif
