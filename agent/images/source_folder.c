/* Images that lie on this machine: archives of docker save and skopeo, and OCI layouts in folders and archives. What is an archive is
 * unpacked into the staging folder first, so both are folders then. Nothing is opened outside of that folder, whatever links it has. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/images/layer.h"
#include "agent/images/source.h"

#define FOLDER_MAGIC 0x1f01de27u

struct folder_source {
    struct image_source base; /* first */
    unsigned magic;
    int root;
    struct image_ref ref; /* owned copies */
};

static struct folder_source *folder_of(struct image_source *s)
{
    return FL_CAST(folder_source, FOLDER_MAGIC, s);
}

static int open_file(int root, const char *path, int *ret_fd)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    struct stat st;
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -EINVAL;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int open_member(const struct folder_source *f, const char *path, int *ret_fd,
                       struct fl_err *err)
{
    int r = open_file(f->root, path, ret_fd);

    return r < 0 ? fl_err_errno(err, -r, "open '%s' of the image's archive or folder", path) : 0;
}

static int read_member(const struct folder_source *f, const char *path, struct fl_buf *out,
                       struct fl_err *err)
{
    _cleanup_close_ int fd = -EBADF;
    int r = open_member(f, path, &fd, err);

    return r < 0 ? r : source_read_all(fd, out, err);
}

static char *blob_path(const struct image_blob *b)
{
    const char *hex = "";

    if (b->path)
        return xstrdup(b->path);
    image_digest_hex(b->digest, &hex);
    return xasprintf("blobs/sha256/%s", hex);
}

static int folder_blob(struct image_source *s, const struct image_blob *b, const char *scratch,
                       int *ret_fd, struct fl_err *err)
{
    _cleanup_free_ char *path = blob_path(b);
    _cleanup_close_ int fd = -EBADF;
    int r = open_member(folder_of(s), path, &fd, err);

    if (r == 0 && b->digest)
        r = source_verify(fd, b, err);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

/* ---- which image ---- */

static int get_manifest(struct image_source *s, const char *digest, struct fl_buf *out,
                        struct fl_err *err)
{
    const struct image_blob b = {.digest = (char *)(uintptr_t)digest};
    _cleanup_free_ char *path = blob_path(&b);

    return read_member(folder_of(s), path, out, err);
}

static int describe_layout(struct folder_source *f, struct image_manifest *ret, char **ret_id,
                           struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf index = FL_BUF_INIT;
    _cleanup_free_ char *digest = f->ref.digest ? xstrdup(f->ref.digest) : NULL;
    int r = 0;

    if (!digest) {
        r = read_member(f, "index.json", &index, err);
        if (r == 0)
            r = image_index_find(index.data, index.len, image_ref_tag(&f->ref), &digest, err);
    }
    return r < 0 ? r : source_describe(&f->base, get_manifest, digest, ret, ret_id, err);
}

/* The names under which docker save may have put it into the archive. */
static int describe_saved(struct folder_source *f, struct image_manifest *ret, char **ret_id,
                          struct fl_err *err)
{
    const char *tag = image_ref_tag(&f->ref), *registry = f->ref.registry;
    _cleanup_free_ char *plain = xasprintf("%s:%s", f->ref.repository, tag);
    _cleanup_free_ char *full =
        xasprintf("%s/%s:%s", registry ? registry : "docker.io", f->ref.repository, tag);
    _cleanup_free_ char *official = xasprintf("docker.io/library/%s:%s", f->ref.repository, tag);
    const char *const names[] = {plain, full, official, NULL};
    _cleanup_buf_ struct fl_buf list = FL_BUF_INIT;

    if (f->ref.digest)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "archives of docker save have no digests of manifests; name the image by "
                          "its tag, or keep it as an OCI layout");
    int r = read_member(f, "manifest.json", &list, err);
    if (r == 0)
        r = image_saved_find(list.data, list.len, names, ret, err);
    if (r == 0)
        *ret_id = xasprintf("archive:%s", ret->config.path);
    return r;
}

static bool has(const struct folder_source *f, const char *path)
{
    _cleanup_close_ int fd = -EBADF;

    return open_file(f->root, path, &fd) == 0;
}

/* Newer versions of docker save write both; the layout has digests. */
static int folder_describe(struct image_source *s, struct image_manifest *ret, char **ret_id,
                           struct fl_err *err)
{
    struct folder_source *f = folder_of(s);
    struct fl_err why;

    if (has(f, "oci-layout") && has(f, "index.json")) {
        int r = describe_layout(f, ret, ret_id, has(f, "manifest.json") ? &why : err);
        if (r == 0 || !has(f, "manifest.json"))
            return r;
    }
    if (has(f, "manifest.json"))
        return describe_saved(f, ret, ret_id, err);
    if (has(f, "repositories"))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "the archive is of a Docker before 1.10, without manifest.json; save the "
                          "image again");
    return fl_err_set(err, FL_INVALID,
                      "neither an archive of docker save nor an OCI layout: it has no "
                      "manifest.json and no index.json");
}

/* ---- finding it ---- */

static int unpack(struct folder_source *f, int archive, const struct source_options *o,
                  struct fl_err *err)
{
    const struct layer_limits limits = {.spare_bytes = o->spare_bytes};
    _cleanup_free_ char *path = xasprintf("%s/archive", o->staging);
    char digest[FL_SHA256_HEX];

    if (mkdir(path, 0700) < 0 || (f->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return fl_err_errno(err, errno, "make '%s'", path);
    return layer_unpack(archive, f->root, LAYER_ARCHIVE, &limits, digest, err);
}

static char *name_of(const struct image_ref *ref, int which)
{
    switch (which) {
    case 0: /* as the reference: the name as it was given */
        return image_ref_text(ref);
    case 1:
        return xasprintf("%s:%s", ref->repository, image_ref_tag(ref));
    case 2:
        return xasprintf("library/%s:%s", ref->repository, image_ref_tag(ref));
    case 3:
        return xstrdup(ref->repository);
    default:
        return NULL;
    }
}

/* An archive goes before a folder of that name. 1: found. */
static int try_name(struct folder_source *f, const struct source_options *o, const char *name,
                    bool archive_too, struct fl_err *err)
{
    const char *registry = str_starts(o->registry, "file://") ? o->registry + 7 : o->registry;
    _cleanup_free_ char *archive = xasprintf("%s/%s.tar", registry, name);
    _cleanup_free_ char *folder = xasprintf("%s/%s", registry, name);
    _cleanup_close_ int fd =
        archive_too ? open(archive, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -EBADF;

    if (fd >= 0) {
        int r = unpack(f, fd, o, err);
        if (r < 0)
            fl_err_wrap(err, "archive '%s'", archive);
        return r < 0 ? r : 1;
    }
    if (f->root >= 0)
        close(f->root);
    f->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->root >= 0;
}

static int find_image(struct folder_source *f, const struct source_options *o,
                      const struct image_ref *ref, struct fl_err *err)
{
    for (int i = 0;; i++) {
        _cleanup_free_ char *name = name_of(ref, i);
        /* Which image an archive without a tag in its name holds is only clear when none is asked for. */
        bool archive = i < 3 || streq(image_ref_tag(ref), "latest");
        int r = name ? try_name(f, o, name, archive, err) : 0;

        if (r != 0)
            return FL_MIN(r, 0);
        if (!name)
            break;
    }
    _cleanup_free_ char *name = image_ref_text(ref);
    return fl_err_set(err, FL_NOT_FOUND,
                      "no archive '%s/%s.tar', and no folder '%s' with an OCI layout there",
                      o->registry, name, name);
}

static void folder_free(struct image_source *s)
{
    struct folder_source *f = folder_of(s);

    if (f->root >= 0)
        close(f->root);
    image_ref_done(&f->ref);
    f->magic = 0;
    free(f);
}

static const struct image_source_ops folder_ops = {
    .describe = folder_describe,
    .blob = folder_blob,
    .free = folder_free,
};

int source_folder_new(const struct source_options *o, const struct image_ref *ref,
                      struct image_source **ret, struct fl_err *err)
{
    struct folder_source *f = xnew0(struct folder_source);

    f->base.ops = &folder_ops;
    f->magic = FOLDER_MAGIC;
    f->root = -EBADF;
    f->ref = (struct image_ref){.registry = ref->registry ? xstrdup(ref->registry) : NULL,
                                .repository = xstrdup(ref->repository),
                                .tag = ref->tag ? xstrdup(ref->tag) : NULL,
                                .digest = ref->digest ? xstrdup(ref->digest) : NULL};
    int r = find_image(f, o, ref, err);
    if (r < 0) {
        folder_free(&f->base);
        return r;
    }
    *ret = &f->base;
    return 0;
}
