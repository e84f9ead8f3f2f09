/* Credentials for a registry, as Docker's config.json has them, for the header X-Registry-Auth of a pull.
 *
 * Where they come from, first wins: what the task's URIs brought into its sandbox (.docker/config.json, .dockercfg), --docker_config.
 * The sandbox belongs to the task's user: nothing is read through a symbolic link. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/docker/docker_priv.h"
#include "common/base/base64.h"
#include "common/base/log.h"

#define MAX_CONFIG ((size_t)256 << 10)

/* Of an image; "docker.io" where it names none. The caller's. */
static char *registry_of(const char *image)
{
    const char *slash = strchr(image, '/');
    _cleanup_free_ char *first = slash ? xstrndup(image, (size_t)(slash - image)) : NULL;

    if (first && (strpbrk(first, ".:") || streq(first, "localhost")))
        return TAKE_PTR(first);
    return xstrdup("docker.io");
}

/* "https://index.docker.io/v1/" is the old name of docker.io, and "https://" and what follows the host say nothing. */
static bool names_registry(const char *key, const char *registry)
{
    const char *scheme = strstr(key, "://");
    const char *host = scheme ? scheme + 3 : key;
    _cleanup_free_ char *text = xstrndup(host, strcspn(host, "/"));

    if (streq(text, registry))
        return true;
    return streq(registry, "docker.io") &&
           (streq(text, "index.docker.io") || streq(text, "registry-1.docker.io"));
}

/* "auth" is base64 of user:password. */
static void split_auth(const char *auth, json_t *out)
{
    size_t n = strlen(auth), len = 0;
    _cleanup_free_ char *text = xcalloc(n + 4, 1);

    if (json_base64_decode(auth, n, (uint8_t *)text, &len) < 0)
        return;
    text[len] = '\0';
    char *colon = strchr(text, ':');
    if (!colon)
        return;
    *colon = '\0';
    json_object_set_new(out, "username", docker_json_text(text));
    json_object_set_new(out, "password", docker_json_text(colon + 1));
}

static char *header_of(const json_t *entry, const char *registry)
{
    static const char *const same[] = {"username", "password", "identitytoken", "registrytoken"};
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    json_t *out = docker_json_object();
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    if (auth)
        split_auth(auth, out);
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        if (json_is_string(json_object_get(entry, same[i])))
            json_object_set(out, same[i], json_object_get(entry, same[i]));
    json_object_set_new(out, "serveraddress", docker_json_text(registry));
    _cleanup_free_ char *text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    if (!text)
        return NULL;
    json_text_base64(&b, text, strlen(text));
    /* Without its quotes, and in the alphabet of URLs. */
    char *coded = xstrndup(b.data + 1, b.len - 2);
    for (char *p = coded; *p; p++)
        *p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p);
    return coded;
}

static char *find(const char *config, const char *registry, const char *where)
{
    json_error_t why;
    json_t *all = json_loads(config, 0, &why);
    const json_t *auths = json_object_get(all, "auths");
    char *found = NULL;
    const char *key;
    json_t *entry;

    if (!json_is_object(all))
        log_warning("Docker's credentials in %s are no JSON object, ignoring", where);
    /* The older .dockercfg has the entries by themselves. */
    json_object_foreach(auths ? (json_t *)(uintptr_t)auths : all, key, entry)
    {
        if (!found && json_is_object(entry) && names_registry(key, registry))
            found = header_of(entry, registry);
    }
    json_decref(all);
    return found;
}

/* A file below the sandbox; NULL: there is none. */
static char *read_below(const char *sandbox, const char *folder, const char *name)
{
    _cleanup_close_ int dir = folder ? container_open_below(sandbox, folder)
                                     : open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd =
        dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_free_ char *text = xmalloc(MAX_CONFIG + 1);
    ssize_t n = fd < 0 ? -1 : read(fd, text, MAX_CONFIG);

    if (n <= 0)
        return NULL;
    text[n] = '\0';
    return TAKE_PTR(text);
}

char *docker_registry_auth(const char *config, const char *sandbox, const char *image)
{
    _cleanup_free_ char *registry = registry_of(image);
    _cleanup_free_ char *own = read_below(sandbox, ".docker", "config.json");
    _cleanup_free_ char *old = own ? NULL : read_below(sandbox, NULL, ".dockercfg");
    char *found = NULL;

    if (own || old)
        found = find(own ? own : old, registry, "the sandbox");
    if (!found && config)
        found = find(config, registry, "--docker_config");
    return found;
}
