/* A layer of a stranger, onto a disk in memory: nothing crashes, and nothing is made outside of the layer's folder. Names, challenges and
 * manifests are read from the same bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/images/auth.h"
#include "agent/images/layer.h"
#include "agent/images/manifest.h"
#include "agent/images/reference.h"
#include "agent/images/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int base = -1;

static void make_base(void)
{
    static char path[] = "/dev/shm/fairlead-fuzz-XXXXXX";

    if (!mkdtemp(path))
        abort();
    base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void check_outside(void)
{
    struct stat st;

    if (fstat(base, &st) < 0 || st.st_nlink != 3) /* ".", "..", and the layer */
        abort();
}

static void unpack(const uint8_t *data, size_t size)
{
    const struct layer_limits limits = {.max_bytes = 1 << 20, .max_entries = 100};
    char digest[FL_SHA256_HEX];
    struct fl_err err;
    int fd = memfd_create("layer", MFD_CLOEXEC);

    if (write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0 ||
        mkdirat(base, "layer", 0700) < 0)
        abort();
    int root = openat(base, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layer_unpack(fd, root, geteuid() == 0 ? LAYER_OF_IMAGE : LAYER_ARCHIVE, &limits, digest, &err);
    check_outside();
    fchmod(root, 0700);
    close(root);
    close(fd);
    if (tree_remove(base, "layer", &err) < 0 && geteuid() == 0)
        abort();
}

static void read_texts(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *)data, size), *other = NULL, *found = NULL;
    _cleanup_auth_challenge_ struct auth_challenge c = {0};
    _cleanup_image_ref_ struct image_ref ref = {0};
    _cleanup_image_manifest_ struct image_manifest m = {0};

    image_ref_parse(text, &ref, NULL);
    auth_challenge_parse(text, &c);
    _cleanup_free_ char *url = auth_token_url(&c, "a");
    image_manifest_parse(data, size, &m, &other, NULL);
    auth_credentials_find(text, "docker.io", &found, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (base < 0)
        make_base();
    read_texts(data, size);
    unpack(data, size);
    return 0;
}
