#include "agent/images/manifest.h"

#include <errno.h>
#include <sys/utsname.h>

#include "agent/images/reference.h"

static void blob_done(struct image_blob *b)
{
    free(b->digest);
    free(b->path);
}

void image_manifest_done(struct image_manifest *m)
{
    blob_done(&m->config);
    for (size_t i = 0; i < m->n_layers; i++)
        blob_done(&m->layers[i]);
    free(m->layers);
    *m = (struct image_manifest){0};
}

static void decref(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ _cleanup_(decref)

static int load(const void *data, size_t n, const char *what, json_t **ret, struct fl_err *err)
{
    json_error_t je;
    json_t *j = n <= IMAGE_MAX_MANIFEST ? json_loadb(data, n, 0, &je) : NULL;

    if (n > IMAGE_MAX_MANIFEST)
        return fl_err_set(err, FL_TOO_LARGE, "the %s has %zu bytes, more than any should", what, n);
    if (!j)
        return fl_err_set(err, FL_INVALID, "the %s is no JSON: %s", what, je.text);
    *ret = j;
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

const char *image_architecture(void)
{
    static const struct {
        const char *machine, *name;
    } known[] = {
        {"x86_64", "amd64"},    {"aarch64", "arm64"}, {"armv7l", "arm"},      {"i686", "386"},
        {"ppc64le", "ppc64le"}, {"s390x", "s390x"},   {"riscv64", "riscv64"},
    };
    static __thread struct utsname u;

    uname(&u);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (streq(u.machine, known[i].machine))
            return known[i].name;
    return u.machine;
}

/* ---- manifests ---- */

static int blob_from(const json_t *descriptor, const char *what, struct image_blob *ret,
                     struct fl_err *err)
{
    const char *digest = text_of(descriptor, "digest"), *hex;
    json_int_t size = json_integer_value(json_object_get(descriptor, "size"));

    if (image_digest_hex(digest, &hex) < 0)
        return fl_err_set(err, FL_INVALID,
                          "the manifest names its %s by '%.100s', which is no SHA-256 digest", what,
                          digest);
    if (size < 0)
        return fl_err_set(err, FL_INVALID, "the manifest says its %s has %lld bytes", what,
                          (long long)size);
    ret->digest = xstrdup(digest);
    ret->size = (uint64_t)size;
    return 0;
}

static int image_from(const json_t *j, struct image_manifest *ret, struct fl_err *err)
{
    const json_t *layers = json_object_get(j, "layers");
    _cleanup_image_manifest_ struct image_manifest m = {0};

    if (json_array_size(layers) > IMAGE_MAX_LAYERS)
        return fl_err_set(err, FL_LIMIT, "the image has %zu layers; %d is the most",
                          json_array_size(layers), IMAGE_MAX_LAYERS);
    if (json_array_size(layers) == 0)
        return fl_err_set(err, FL_INVALID, "the manifest has no layers");
    int r = blob_from(json_object_get(j, "config"), "configuration", &m.config, err);
    m.layers = xcalloc(json_array_size(layers), sizeof(*m.layers));
    for (size_t i = 0; i < json_array_size(layers) && r == 0; i++) {
        r = blob_from(json_array_get(layers, i), "layer", &m.layers[i], err);
        m.n_layers = i + 1;
    }
    if (r < 0)
        return r;
    *ret = m;
    m = (struct image_manifest){0};
    return 0;
}

/* Attestations and the like stand beside images in an index, for the platform "unknown". */
static bool is_ours(const json_t *descriptor)
{
    const json_t *p = json_object_get(descriptor, "platform");

    return streq(text_of(p, "architecture"), image_architecture()) &&
           streq(text_of(p, "os"), "linux");
}

static int choose(const json_t *manifests, char **ret, struct fl_err *err)
{
    const json_t *d, *chosen = NULL;
    const char *hex;
    size_t i;

    json_array_foreach(manifests, i, d)
    {
        if (is_ours(d) && !chosen)
            chosen = d;
    }
    if (!chosen && json_array_size(manifests) == 1 &&
        !json_object_get(json_array_get(manifests, 0), "platform"))
        chosen = json_array_get(manifests, 0);
    if (!chosen)
        return fl_err_set(err, FL_NOT_FOUND, "the image has no variant for linux/%s",
                          image_architecture());
    if (image_digest_hex(text_of(chosen, "digest"), &hex) < 0)
        return fl_err_set(err, FL_INVALID, "the index names a manifest without a SHA-256 digest");
    *ret = xstrdup(text_of(chosen, "digest"));
    return 0;
}

int image_manifest_parse(const void *data, size_t n, struct image_manifest *ret_manifest,
                         char **ret_other, struct fl_err *err)
{
    _cleanup_json_ json_t *j = NULL;
    int r = load(data, n, "manifest", &j, err);

    if (r < 0)
        return r;
    if (json_integer_value(json_object_get(j, "schemaVersion")) == 1)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "the manifest is of schema 1, which has no digests of what it unpacks to "
                          "and which registries gave up; push the image again");
    if (json_integer_value(json_object_get(j, "schemaVersion")) != 2)
        return fl_err_set(err, FL_INVALID, "the manifest is not of schema version 2");
    if (json_is_array(json_object_get(j, "manifests")))
        return choose(json_object_get(j, "manifests"), ret_other, err);
    return image_from(j, ret_manifest, err);
}

int image_index_find(const void *data, size_t n, const char *tag, char **ret, struct fl_err *err)
{
    _cleanup_json_ json_t *j = NULL;
    const json_t *d, *list, *chosen = NULL;
    const char *hex;
    size_t i;
    int r = load(data, n, "index.json", &j, err);

    if (r < 0)
        return r;
    list = json_object_get(j, "manifests");
    json_array_foreach(list, i, d)
    {
        const char *name =
            text_of(json_object_get(d, "annotations"), "org.opencontainers.image.ref.name");
        const char *colon = strrchr(name, ':');

        if (streq(name, tag) || (colon && streq(colon + 1, tag)))
            chosen = d;
    }
    const json_t *first = json_array_get(list, 0);
    if (!chosen && json_array_size(list) == 1 &&
        !*text_of(json_object_get(first, "annotations"), "org.opencontainers.image.ref.name"))
        chosen = first;
    if (!chosen)
        return fl_err_set(err, FL_NOT_FOUND, "no image of the layout has the name '%s'", tag);
    if (image_digest_hex(text_of(chosen, "digest"), &hex) < 0)
        return fl_err_set(err, FL_INVALID, "index.json names a manifest without a SHA-256 digest");
    *ret = xstrdup(text_of(chosen, "digest"));
    return 0;
}

/* ---- docker save ---- */

static bool is_tagged(const json_t *image, const char *const *names)
{
    const json_t *tags = json_object_get(image, "RepoTags"), *t;
    size_t i;

    json_array_foreach(tags, i, t)
    {
        for (size_t k = 0; names[k]; k++)
            if (streq(json_string_value(t), names[k]))
                return true;
    }
    return false;
}

int image_saved_find(const void *data, size_t n, const char *const *names,
                     struct image_manifest *ret, struct fl_err *err)
{
    _cleanup_json_ json_t *j = NULL;
    const json_t *image, *chosen = NULL, *layers, *l;
    size_t i;
    int r = load(data, n, "manifest.json", &j, err);

    if (r < 0)
        return r;
    json_array_foreach(j, i, image)
    {
        if (is_tagged(image, names))
            chosen = image;
    }
    const json_t *first = json_array_get(j, 0);
    if (!chosen && json_array_size(j) == 1 && !json_array_size(json_object_get(first, "RepoTags")))
        chosen = first;
    if (!chosen)
        return fl_err_set(err, FL_NOT_FOUND, "the archive holds no image '%s'", names[0]);
    layers = json_object_get(chosen, "Layers");
    if (!*text_of(chosen, "Config") || json_array_size(layers) == 0 ||
        json_array_size(layers) > IMAGE_MAX_LAYERS)
        return fl_err_set(err, FL_INVALID,
                          "manifest.json names no configuration, or no layers, or too many");
    ret->config.path = xstrdup(text_of(chosen, "Config"));
    ret->layers = xcalloc(json_array_size(layers), sizeof(*ret->layers));
    json_array_foreach(layers, i, l)
    {
        ret->layers[ret->n_layers++].path = xstrdup(json_is_string(l) ? json_string_value(l) : "");
    }
    return 0;
}

/* ---- configuration ---- */

static void strings_free(char **v)
{
    for (char **s = v; s && *s; s++)
        free(*s);
    free(v);
}

/* NULL when there are none. */
static char **strings_from(const json_t *array)
{
    size_t n = json_array_size(array), k = 0;
    char **v = n ? xcalloc(n + 1, sizeof(*v)) : NULL;

    for (size_t i = 0; i < n; i++)
        if (json_is_string(json_array_get(array, i)))
            v[k++] = xstrdup(json_string_value(json_array_get(array, i)));
    if (v && k == 0) {
        free(v);
        v = NULL;
    }
    return v;
}

int image_config_parse(const void *data, size_t n, json_t **ret_config, char ***ret_diff_ids,
                       struct fl_err *err)
{
    _cleanup_json_ json_t *j = NULL;
    const char *hex;
    int r = load(data, n, "image's configuration", &j, err);

    if (r < 0)
        return r;
    if (*text_of(j, "os") && !streq(text_of(j, "os"), "linux"))
        return fl_err_set(err, FL_UNSUPPORTED, "the image is for '%.40s', this machine runs Linux",
                          text_of(j, "os"));
    char **ids = strings_from(json_object_get(json_object_get(j, "rootfs"), "diff_ids"));
    for (size_t i = 0; !ids || ids[i]; i++) {
        if (ids && image_digest_hex(ids[i], &hex) == 0)
            continue;
        strings_free(ids);
        return fl_err_set(err, FL_INVALID,
                          "the image's configuration has no SHA-256 digests of its layers "
                          "(rootfs.diff_ids)");
    }
    const json_t *c = json_object_get(j, "config");
    *ret_config = json_object();
    static const char *const kept[] = {"Entrypoint", "Cmd", "Env", "WorkingDir", "User", "Labels"};
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (json_object_get(c, kept[i]))
            json_object_set(*ret_config, kept[i], json_object_get(c, kept[i]));
    *ret_diff_ids = ids;
    return 0;
}

static char *text_or_null(const json_t *object, const char *key)
{
    const char *s = text_of(object, key);

    return *s ? xstrdup(s) : NULL;
}

/* An object of strings as "NAME=value"; NULL: none. */
static char **pairs_from(const json_t *object)
{
    const char *name;
    json_t *value;
    size_t n = 0;

    if (json_object_size(object) == 0)
        return NULL;
    char **v = xcalloc(json_object_size(object) + 1, sizeof(*v));
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (json_is_string(value))
            v[n++] = xasprintf("%s=%s", name, json_string_value(value));
    }
    return v;
}

struct image_config *image_config_from_json(const json_t *config)
{
    struct image_config *c = xnew0(struct image_config);

    c->entrypoint = strings_from(json_object_get(config, "Entrypoint"));
    c->cmd = strings_from(json_object_get(config, "Cmd"));
    c->env = strings_from(json_object_get(config, "Env"));
    c->labels = pairs_from(json_object_get(config, "Labels"));
    c->working_dir = text_or_null(config, "WorkingDir");
    c->user = text_or_null(config, "User");
    return c;
}
