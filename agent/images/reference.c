#include "agent/images/reference.h"

#include <errno.h>

#define MAX_NAME 512
#define HUB      "registry-1.docker.io"

void image_ref_done(struct image_ref *r)
{
    free(r->registry);
    free(r->repository);
    free(r->tag);
    free(r->digest);
    *r = (struct image_ref){0};
}

int image_digest_hex(const char *digest, const char **ret_hex)
{
    const char *hex = digest + strlen("sha256:");

    if (!str_starts(digest, "sha256:") || strlen(hex) != 64 ||
        strspn(hex, "0123456789abcdef") != 64)
        return -EINVAL;
    *ret_hex = hex;
    return 0;
}

/* Letters, digits and what else stands in names; neither what a URL nor what a path gives a meaning to. */
static bool plain(const char *s, const char *also)
{
    if (!*s)
        return false;
    for (; *s; s++) {
        bool alnum =
            (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');

        if (!alnum && !strchr(also, *s))
            return false;
    }
    return true;
}

/* No part is empty or all dots. */
static bool repository_ok(const char *s)
{
    if (!plain(s, "._-/"))
        return false;
    for (const char *p = s;; p++) {
        size_t n = strcspn(p, "/");

        if (strspn(p, ".") >= n)
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

static bool registry_ok(const char *s)
{
    size_t host = strcspn(s, ":");

    if (!plain(s, ".-:") || host == 0 || *s == '.' || *s == '-' || strstr(s, ".."))
        return false;
    if (!s[host])
        return true;
    uint64_t port;
    return fl_parse_u64(s + host + 1, &port) == 0 && port > 0 && port < 65536;
}

/* Like the reference: the first part is a registry if it has a dot or a port, or is "localhost". */
static void split_name(char *name, struct image_ref *r)
{
    char *colon = strrchr(name, ':'), *slash;

    if (colon && !strchr(colon, '/')) {
        *colon = '\0';
        r->tag = xstrdup(colon + 1);
    }
    slash = strchr(name, '/');
    if (slash) {
        *slash = '\0';
        if (strpbrk(name, ".:") || streq(name, "localhost")) {
            r->registry = xstrdup(name);
            r->repository = xstrdup(slash + 1);
            return;
        }
        *slash = '/';
    }
    r->repository = xstrdup(name);
}

int image_ref_parse(const char *text, struct image_ref *ret, struct fl_err *err)
{
    _cleanup_image_ref_ struct image_ref r = {0};
    _cleanup_free_ char *name = xstrdup(text);
    const char *hex, *why = NULL;
    char *at = strchr(name, '@');

    if (at) {
        *at = '\0';
        r.digest = xstrdup(at + 1);
    }
    split_name(name, &r);
    if (strlen(text) > MAX_NAME)
        why = "it is too long";
    else if (r.digest && image_digest_hex(r.digest, &hex) < 0)
        why = "what follows '@' is not sha256: and 64 hex digits";
    else if (r.tag && (!plain(r.tag, "._-") || strlen(r.tag) > 128 || strspn(r.tag, ".") > 0))
        why = "what follows ':' cannot be a tag";
    else if (r.registry && !registry_ok(r.registry))
        why = "its first part cannot be a registry";
    else if (!repository_ok(r.repository))
        why = "names are letters, digits, '.', '_', '-' and '/'";
    if (why)
        return fl_err_set(err, FL_INVALID, "'%.200s' cannot be the name of an image: %s", text,
                          why);
    *ret = r;
    r = (struct image_ref){0};
    return 0;
}

char *image_ref_text(const struct image_ref *r)
{
    return xasprintf("%s%s%s%s%s", r->registry ? r->registry : "", r->registry ? "/" : "",
                     r->repository,
                     r->digest ? "@"
                     : r->tag  ? ":"
                               : "",
                     r->digest ? r->digest
                     : r->tag  ? r->tag
                               : "");
}

bool image_host_is_hub(const char *host)
{
    static const char hub[] = "docker.io";
    size_t n = strcspn(host, ":"), k = sizeof(hub) - 1;

    return n >= k && strncmp(host + n - k, hub, k) == 0 && (n == k || host[n - k - 1] == '.');
}

/* A port of its own decides; this machine's registries speak plain HTTP. */
static const char *scheme_of(const char *registry)
{
    const char *port = strchr(registry, ':');

    if (!port || streq(port, ":443"))
        return "https";
    if (streq(port, ":80") || str_starts(registry, "localhost:") ||
        str_starts(registry, "127.0.0.1:"))
        return "http";
    return "https";
}

static int default_parts(const char *url, char **ret_scheme, char **ret_host, struct fl_err *err)
{
    const char *host = strstr(url, "://");

    if (!host || (!str_starts(url, "https://") && !str_starts(url, "http://")))
        return fl_err_set(err, FL_INVALID,
                          "--docker_registry '%s' is neither a folder nor an http(s):// URL", url);
    *ret_scheme = xstrndup(url, (size_t)(host - url));
    host += 3;
    *ret_host = xstrndup(host, strcspn(host, "/"));
    return 0;
}

int image_ref_resolve(struct image_ref *r, const char *default_registry, char **ret_base,
                      struct fl_err *err)
{
    _cleanup_free_ char *scheme = NULL, *host = NULL;
    int k = default_parts(default_registry, &scheme, &host, err);

    if (k < 0)
        return k;
    if (r->registry && !streq(r->registry, host)) {
        free(scheme);
        scheme = xstrdup(scheme_of(r->registry));
        free(host);
        host = xstrdup(r->registry);
    }
    if (streq(host, "docker.io") || streq(host, "index.docker.io")) {
        free(host);
        host = xstrdup(HUB);
    }
    if (image_host_is_hub(host) && !strchr(r->repository, '/')) {
        char *whole = xasprintf("library/%s", r->repository);

        free(r->repository);
        r->repository = whole;
    }
    *ret_base = xasprintf("%s://%s", scheme, host);
    return 0;
}
