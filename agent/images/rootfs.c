#include "agent/images/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/images/store.h"
#include "agent/images/tree.h"
#include "common/base/buf.h"

char *rootfs_path(const char *folder, const char *backend, const char *id)
{
    return xasprintf("%s/backends/%s/rootfses/%s", folder, backend, id);
}

static const char *layer_at(const struct rootfs_request *rq, size_t i)
{
    const char *hex = json_string_value(json_array_get(rq->layers, i));

    return hex ? hex : "";
}

static int note_layers(const struct rootfs_request *rq, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/layers", rq->folder);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    for (size_t i = 0; i < json_array_size(rq->layers); i++)
        fl_buf_addf(&b, "%s\n", layer_at(rq, i));
    if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len)
        return fl_err_errno(err, errno, "write '%s'", path);
    return 0;
}

/* ---- overlay ---- */

/* The root of an overlay is its upper folder's: mode and owner are those of the uppermost layer's. */
static int take_looks(const char *from, const char *to, struct fl_err *err)
{
    struct stat st;

    if (stat(from, &st) < 0 || chown(to, st.st_uid, st.st_gid) < 0 ||
        chmod(to, st.st_mode & 07777) < 0)
        return fl_err_errno(err, errno, "give '%s' the mode of '%s'", to, from);
    return 0;
}

static int make_below(const char *folder, const char *name, char **ret, struct fl_err *err)
{
    *ret = xasprintf("%s/%s", folder, name);
    return tree_make(*ret, err);
}

/* The kernel takes one page of options: layers are named by short links, relative to the working directory. */
static int link_layers(const struct rootfs_request *rq, const char *links, struct fl_buf *lower,
                       struct fl_err *err)
{
    for (size_t i = json_array_size(rq->layers); i-- > 0;) {
        _cleanup_free_ char *layer = store_layer_path(rq->store, layer_at(rq, i));
        _cleanup_free_ char *link = xasprintf("%s/%zu", links, i);

        if (symlink(layer, link) < 0)
            return fl_err_errno(err, errno, "make the link '%s'", link);
        fl_buf_addf(lower, "%s%zu", lower->len ? ":" : "lowerdir=", i);
    }
    fl_buf_adds(lower, ",upperdir=../upper,workdir=../work");
    if (chdir(links) < 0)
        return fl_err_errno(err, errno, "enter '%s'", links);
    return 0;
}

static int make_overlay(const struct rootfs_request *rq, const char *root, struct fl_err *err)
{
    _cleanup_free_ char *scratch = xasprintf("%s/backends/overlay/scratch/%s", rq->folder, rq->id);
    _cleanup_free_ char *upper = NULL, *work = NULL, *links = NULL;
    _cleanup_free_ char *top =
        store_layer_path(rq->store, layer_at(rq, json_array_size(rq->layers) - 1));
    _cleanup_buf_ struct fl_buf options = FL_BUF_INIT;
    int r = make_below(scratch, "upper", &upper, err);

    if (r == 0)
        r = make_below(scratch, "work", &work, err);
    if (r == 0)
        r = make_below(scratch, "l", &links, err);
    if (r == 0)
        r = take_looks(top, upper, err);
    if (r == 0)
        r = link_layers(rq, links, &options, err);
    if (r == 0 && mount("overlay", root, "overlay", 0, fl_buf_cstr(&options)) < 0)
        r = fl_err_errno(err, errno, "mount an overlay of %zu layers at '%s'",
                         json_array_size(rq->layers), root);
    return r;
}

/* ---- the others ---- */

static int make_copy(const struct rootfs_request *rq, const char *root, struct fl_err *err)
{
    _cleanup_close_ int to = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = to < 0 ? fl_err_errno(err, errno, "open '%s'", root) : 0;

    for (size_t i = 0; i < json_array_size(rq->layers) && r == 0; i++) {
        _cleanup_free_ char *layer = store_layer_path(rq->store, layer_at(rq, i));
        _cleanup_close_ int from = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        r = from < 0 ? fl_err_errno(err, errno, "open '%s'", layer)
                     : tree_copy_layer(from, to, err);
    }
    return r;
}

static int make_bind(const struct rootfs_request *rq, const char *root, struct fl_err *err)
{
    _cleanup_free_ char *layer = store_layer_path(rq->store, layer_at(rq, 0));

    if (json_array_size(rq->layers) != 1)
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "the image has %zu layers; the bind backend takes one, use overlay or copy",
            json_array_size(rq->layers));
    if (mount(layer, root, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return fl_err_errno(err, errno, "mount the layer '%s' at '%s'", layer, root);
    return 0;
}

int rootfs_make(const struct rootfs_request *rq, struct fl_err *err)
{
    _cleanup_free_ char *root = rootfs_path(rq->folder, rq->backend, rq->id);
    int r = json_array_size(rq->layers) ? tree_make(root, err)
                                        : fl_err_set(err, FL_INVALID, "an image without layers");

    if (r == 0)
        r = note_layers(rq, err);
    if (r < 0)
        return r;
    if (streq(rq->backend, "overlay"))
        return make_overlay(rq, root, err);
    if (streq(rq->backend, "bind"))
        return make_bind(rq, root, err);
    return make_copy(rq, root, err);
}

/* ---- removal ---- */

/* Undoes the octal escapes of mountinfo, in place. */
static void unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

/* The fifth word of a line of mountinfo, in place. */
static char *mount_point(char *line)
{
    char *p = line;

    for (int i = 0; i < 4; i++) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    p[strcspn(p, " \n")] = '\0';
    unescape(p);
    return p;
}

/* The mount points below `folder` in the order of the table; the caller's. */
static int mounts_below(const char *folder, char ***ret, size_t *ret_n, struct fl_err *err)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    _cleanup_free_ char *line = NULL;
    size_t room = 0, cap = 0, len = strlen(folder);

    if (!f)
        return fl_err_errno(err, errno, "read /proc/self/mountinfo");
    *ret = NULL;
    *ret_n = 0;
    while (getline(&line, &room, f) > 0) {
        char *point = mount_point(line);

        if (strncmp(point, folder, len) != 0 || point[len] != '/')
            continue;
        *ret = xgrow(*ret, &cap, *ret_n + 1, sizeof(**ret));
        (*ret)[(*ret_n)++] = xstrdup(point);
    }
    fclose(f);
    return 0;
}

int rootfs_unmount_below(const char *folder, struct fl_err *err)
{
    _cleanup_free_ char *real = realpath(folder, NULL);
    char **points = NULL;
    size_t n = 0;
    int r = real ? mounts_below(real, &points, &n, err) : 0;

    /* Later ones lie on earlier ones. */
    while (n > 0) {
        if (r == 0 && umount2(points[--n], MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
            errno != ENOENT)
            r = fl_err_errno(err, errno, "unmount '%s'", points[n]);
        free(points[n]);
    }
    free(points);
    return r;
}

int rootfs_destroy(const char *folder, struct fl_err *err)
{
    const char *slash = strrchr(folder, '/');
    _cleanup_free_ char *above = xstrndup(folder, (size_t)(slash - folder));
    _cleanup_close_ int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = rootfs_unmount_below(folder, err);

    if (r < 0)
        return r;
    if (fd < 0)
        return errno == ENOENT ? 0 : fl_err_errno(err, errno, "open '%s'", above);
    return tree_remove(fd, slash + 1, err);
}

/* ---- which layers are in use ---- */

static void layers_of(const char *folder, json_t *used)
{
    _cleanup_free_ char *path = xasprintf("%s/layers", folder), *line = NULL;
    FILE *f = fopen(path, "re");
    size_t room = 0;
    ssize_t n;

    while (f && (n = getline(&line, &room, f)) > 0)
        if (n == 65)
            json_array_append_new(used, json_stringn(line, 64));
    if (f)
        fclose(f);
}

void rootfs_layers_in_use(const char *containers, json_t *used)
{
    DIR *d = opendir(containers);
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        if (streq(e->d_name, ".") || streq(e->d_name, ".."))
            continue;
        _cleanup_free_ char *folder = xasprintf("%s/%s", containers, e->d_name);
        _cleanup_free_ char *below = xasprintf("%s/containers", folder);
        layers_of(folder, used);
        rootfs_layers_in_use(below, used);
    }
    if (d)
        closedir(d);
}

/* ---- trying out ---- */

int rootfs_overlay_works(const char *folder, struct fl_err *err)
{
    static const char *const parts[] = {"lower", "upper", "work", "merged"};
    _cleanup_free_ char *probe = xasprintf("%s/.probe", folder), *merged = NULL;
    char options[200];
    int r = tree_make(probe, err);
    _cleanup_close_ int fd = open(probe, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++) {
        free(merged);
        r = make_below(probe, parts[i], &merged, err);
    }
    /* By descriptor: the folder's name may hold what options give a meaning to. */
    fl_snprintf(options, sizeof(options),
                "lowerdir=/proc/self/fd/%d/lower,upperdir=/proc/self/fd/%d/upper,"
                "workdir=/proc/self/fd/%d/work",
                fd, fd, fd);
    if (r == 0 && mount("overlay", merged, "overlay", 0, options) < 0)
        r = fl_err_errno(err, errno, "mount an overlay in '%s'", folder);
    if (r == 0 && umount2(merged, MNT_DETACH) < 0)
        r = fl_err_errno(err, errno, "unmount '%s'", merged);
    _cleanup_close_ int above = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above >= 0)
        tree_remove(above, ".probe", NULL);
    return r;
}
