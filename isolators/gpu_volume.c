/* See gpu_volume.h. Files are copied, not bound one by one: what a container uses stays the same when the machine's driver is renewed, and a
 * newer driver gets a folder of its own. It is made beside and renamed, so it is whole or not there. */
#include "isolators/gpu_volume.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "isolators/ld_cache.h"
#include "isolators/sandbox_path.h"

#define CONTAINER_PATH "/usr/local/nvidia"
#define CUDA_PATH      "/usr/local/cuda"
#define NEEDED_LABEL   "com.nvidia.volumes.needed"

static const char *const programs[] = {"nvidia-smi", "nvidia-debugdump", "nvidia-persistenced",
                                       "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"};

/* NVIDIA's own. */
static const char *const libraries[] = {
    "libnvidia-ml.so",        "libnvidia-cfg.so",
    "libnvidia-gpucomp.so",   "libcuda.so",
    "libnvidia-opencl.so",    "libnvidia-ptxjitcompiler.so",
    "libnvidia-compiler.so",  "libnvidia-fatbinaryloader.so",
    "libvdpau_nvidia.so",     "libnvidia-encode.so",
    "libnvcuvid.so",          "libnvidia-eglcore.so",
    "libnvidia-glcore.so",    "libnvidia-tls.so",
    "libnvidia-glsi.so",      "libnvidia-fbc.so",
    "libnvidia-ifr.so",       "libGLX_nvidia.so",
    "libEGL_nvidia.so",       "libGLESv2_nvidia.so",
    "libGLESv1_CM_nvidia.so",
};
/* Of these names there are others' too: only those that need a library of NVIDIA's, or of the dispatch that loads it. */
static const char *const shared_names[] = {"libGL.so", "libEGL.so", "libGLESv1_CM.so",
                                           "libGLESv2.so"};
static const char *const needs[] = {"libGLdispatch.so", "libnvidia-gl", "libnvidia-egl"};

struct making {
    const char *to;
    struct fl_err *err;
    int r;
};

static bool begins_as_one_of(const char *name, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(name, v[i], strlen(v[i])) == 0)
            return true;
    return false;
}

static int copy(const char *from, const char *to, struct fl_err *err)
{
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    char buf[65536];
    ssize_t n = 0;

    if (out < 0 && errno == EEXIST)
        return 0; /* under another of its names */
    if (in < 0 || out < 0)
        return fl_err_errno(err, errno, "copy '%s' to '%s'", from, to);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        for (ssize_t at = 0, k; at < n; at += k)
            if ((k = write(out, buf + at, (size_t)(n - at))) < 0)
                return fl_err_errno(err, errno, "copy '%s' to '%s'", from, to);
    return n < 0 ? fl_err_errno(err, errno, "copy '%s'", from) : 0;
}

static int copy_program(const char *name, const char *to, struct fl_err *err)
{
    static const char *const folders[] = {"/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin"};

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        _cleanup_free_ char *from = xasprintf("%s/%s", folders[i], name);
        _cleanup_free_ char *at = xasprintf("%s/bin/%s", to, name);
        if (access(from, X_OK) == 0)
            return copy(from, at, err);
    }
    return 0;
}

/* "lib" or "lib64", as the library is; NULL: it is none. */
static const char *folder_of(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char ident[EI_NIDENT];

    if (fd < 0 || read(fd, ident, sizeof(ident)) != sizeof(ident) ||
        memcmp(ident, ELFMAG, SELFMAG) != 0)
        return NULL;
    return ident[EI_CLASS] == ELFCLASS64 ? "lib64" : "lib";
}

/* What a library needs stands in its strings. */
static bool is_nvidias(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *data = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > (64 << 20))
        return false;
    data = xcalloc(1, (size_t)st.st_size + 1);
    n = pread(fd, data, (size_t)st.st_size, 0);
    for (size_t i = 0; n > 0 && i < ARRAY_SIZE(needs); i++)
        if (memmem(data, (size_t)n, needs[i], strlen(needs[i])))
            return true;
    return false;
}

static int put_library(const struct making *m, const char *name, const char *path)
{
    _cleanup_free_ char *real = realpath(path, NULL);
    const char *folder = real ? folder_of(real) : NULL;

    if (!folder)
        return 0;
    const char *own = strrchr(real, '/') + 1;
    _cleanup_free_ char *to = xasprintf("%s/%s/%s", m->to, folder, own);
    _cleanup_free_ char *link = xasprintf("%s/%s/%s", m->to, folder, name);
    int r = copy(real, to, m->err);
    if (r == 0 && !streq(own, name) && symlink(own, link) < 0 && errno != EEXIST)
        r = fl_err_errno(m->err, errno, "make the link '%s'", link);
    return r;
}

static void one(void *arg, const char *name, const char *path)
{
    struct making *m = arg;

    if (m->r == 0 &&
        (begins_as_one_of(name, libraries, ARRAY_SIZE(libraries)) ||
         (begins_as_one_of(name, shared_names, ARRAY_SIZE(shared_names)) && is_nvidias(path))))
        m->r = put_library(m, name, path);
}

static int fill(const char *to, struct fl_err *err)
{
    static const char *const folders[] = {"bin", "lib", "lib64"};
    struct making m = {.to = to, .err = err};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(folders) && r == 0; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", to, folders[i]);
        r = make_folders(path, err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(programs) && r == 0; i++)
        r = copy_program(programs[i], to, err);
    if (r == 0)
        r = ld_cache_each("/etc/ld.so.cache", one, &m, err);
    return r == 0 ? m.r : r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    remove(path);
    return 0;
}

int gpu_volume_make(const char *work_dir, const char *version, char **ret, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/isolators/gpu/nvidia_%s", work_dir, version);
    _cleanup_free_ char *beside = xasprintf("%s.tmp", path);

    if (strchr(version, '/'))
        return fl_err_set(err, FL_INVALID, "the driver's version '%s' cannot name a folder",
                          version);
    if (access(path, F_OK) < 0) {
        nftw(beside, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        int r = fill(beside, err);
        if (r < 0)
            return fl_err_wrap(err, "the driver volume '%s'", path);
        if (rename(beside, path) < 0)
            return fl_err_errno(err, errno, "rename '%s' to '%s'", beside, path);
    }
    *ret = TAKE_PTR(path);
    return 0;
}

/* ---- containers ---- */

static const char *value_in(char *const *v, const char *name)
{
    size_t n = strlen(name);

    for (; v && *v; v++)
        if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
            return *v + n + 1;
    return NULL;
}

bool gpu_volume_wanted(const struct image_config *image)
{
    const char *visible = image ? value_in(image->env, "NVIDIA_VISIBLE_DEVICES") : NULL;

    if (visible)
        return *visible && !streq(visible, "void");
    return image && value_in(image->labels, NEEDED_LABEL);
}

static bool has_path(const char *paths, const char *path)
{
    size_t n = strlen(path);

    for (const char *p = paths; *p;) {
        size_t k = strcspn(p, ":");
        if (k == n && memcmp(p, path, n) == 0)
            return true;
        p += k + (p[k] == ':');
    }
    return false;
}

static void add_paths(const struct image_config *image, const char *name, const char *const *more,
                      struct launch_plan *plan)
{
    const char *now = value_in(image->env, name);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b, "%s=%s", name, now ? now : "");
    bool first = !now || !*now;
    for (; *more; more++) {
        if (now && has_path(now, *more))
            continue;
        fl_buf_addf(&b, "%s%s", first ? "" : ":", *more);
        first = false;
    }
    launch_plan_env(plan, fl_buf_cstr(&b));
}

void gpu_volume_plan(const char *volume, const struct image_config *image, struct launch_plan *plan)
{
    static const char *const bin[] = {CONTAINER_PATH "/bin", NULL};
    static const char *const lib[] = {CUDA_PATH "/compat", CONTAINER_PATH "/lib",
                                      CONTAINER_PATH "/lib64", NULL};

    launch_plan_mount(plan, volume, CONTAINER_PATH, NULL, MS_BIND | MS_REC, NULL,
                      PLAN_MOUNT_READ_ONLY);
    add_paths(image, "PATH", bin, plan);
    add_paths(image, "LD_LIBRARY_PATH", lib, plan);
}
