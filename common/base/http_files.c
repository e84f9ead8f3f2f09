/* See http_files.h. The decisions (which error is 400, which 404) are the reference's. */
#include "common/base/http_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <uthash.h>

#include "common/base/json.h"

#define MAX_PAGES 16

struct root {
    char *virtual_path; /* owned; no trailing '/' */
    char *real;         /* owned; canonical */
    char *given;        /* owned; as attached, for detaching when it is gone */
    UT_hash_handle hh;
};

struct http_files {
    struct root *roots;
};

struct http_files *http_files_new(void)
{
    return xnew0(struct http_files);
}

static void root_free(struct http_files *f, struct root *r)
{
    HASH_DEL(f->roots, r);
    free(r->virtual_path);
    free(r->real);
    free(r->given);
    free(r);
}

void http_files_free(struct http_files *f)
{
    struct root *r, *tmp;

    if (!f)
        return;
    HASH_ITER (hh, f->roots, r, tmp) {
        root_free(f, r);
    }
    free(f);
}

static char *without_slash(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return xstrndup(path, n);
}

int http_files_attach(struct http_files *f, const char *virtual_path, const char *real,
                      struct fl_err *err)
{
    char *canonical;
    struct root *r = NULL;

    /* A sandbox has several names, its own path first: it is resolved once, for that is dear. */
    if (!streq(virtual_path, real))
        HASH_FIND_STR(f->roots, real, r);
    canonical = r && streq(r->given, real) ? xstrdup(r->real) : realpath(real, NULL);
    if (!canonical)
        return fl_err_errno(err, errno, "attach '%s'", real);
    http_files_detach(f, virtual_path);
    r = xnew0(struct root);
    r->virtual_path = without_slash(virtual_path);
    r->real = canonical;
    r->given = xstrdup(real);
    HASH_ADD_KEYPTR(hh, f->roots, r->virtual_path, strlen(r->virtual_path), r);
    return 0;
}

void http_files_detach(struct http_files *f, const char *virtual_path)
{
    _cleanup_free_ char *key = without_slash(virtual_path);
    struct root *r;

    HASH_FIND_STR(f->roots, key, r);
    if (r)
        root_free(f, r);
}

void http_files_detach_real(struct http_files *f, const char *real)
{
    struct root *r, *tmp;

    HASH_ITER (hh, f->roots, r, tmp) {
        if (streq(r->given, real))
            root_free(f, r);
    }
}

/* ---- virtual to real ---- */

/* The root of the longest attached prefix of whole components; *ret_rest begins after it ("" or "/x/y"). */
static const struct root *find_root(const struct http_files *f, const char *path,
                                    const char **ret_rest)
{
    size_t n = strlen(path);

    while (n > 0) {
        struct root *r;

        HASH_FIND(hh, f->roots, path, n, r);
        if (r) {
            *ret_rest = path + n;
            return r;
        }
        while (n > 0 && path[--n] != '/')
            ;
    }
    return NULL;
}

bool http_files_root(const struct http_files *f, const char *path, const char **ret_virtual,
                     const char **ret_real)
{
    _cleanup_free_ char *clean = without_slash(path);
    const char *rest;
    const struct root *r = find_root(f, clean, &rest);

    if (!r)
        return false;
    *ret_virtual = r->virtual_path;
    *ret_real = r->given;
    return true;
}

static bool is_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/' || streq(root, "/"));
}

static int resolve(const struct http_files *f, const char *asked, char **ret_real,
                   struct fl_err *err)
{
    _cleanup_free_ char *path = without_slash(asked);
    _cleanup_free_ char *joined = NULL;
    const char *rest;
    const struct root *r = find_root(f, path, &rest);
    char *real;

    if (!r)
        return fl_err_set(err, FL_NOT_FOUND, "'%s' is not attached", asked);
    joined = xasprintf("%s%s", r->real, rest);
    real = realpath(joined, NULL);
    if (!real && (errno == ENOENT || errno == ENOTDIR))
        return fl_err_set(err, FL_NOT_FOUND, "'%s' does not exist", asked);
    if (!real)
        return fl_err_set(err, FL_INVALID, "cannot resolve '%s': %s", asked, strerror(errno));
    if (!is_below(real, r->real)) {
        free(real);
        return fl_err_set(err, FL_INVALID, "'%s' is inaccessible", asked);
    }
    *ret_real = real;
    return 0;
}

/* ---- listing ---- */

static const char *user_name(uid_t uid, char *buf, size_t size)
{
    /* Names come from the local files; a slow directory service behind NSS is the operator's choice. */
    const struct passwd *p = getpwuid(uid);

    snprintf(buf, size, "%u", (unsigned)uid);
    return p ? p->pw_name : buf;
}

static const char *group_name(gid_t gid, char *buf, size_t size)
{
    const struct group *g = getgrgid(gid);

    snprintf(buf, size, "%u", (unsigned)gid);
    return g ? g->gr_name : buf;
}

static int no_dots(const struct dirent *d)
{
    return !streq(d->d_name, ".") && !streq(d->d_name, "..");
}

static void list_one(const char *real, const char *virtual_path, const char *name,
                     http_files_each_f *fn, void *arg)
{
    _cleanup_free_ char *full = xasprintf("%s/%s", real, name);
    _cleanup_free_ char *shown = xasprintf("%s/%s", virtual_path, name);
    struct http_file_info info = {.path = shown};
    char uid[16], gid[16];

    if (stat(full, &info.st) < 0)
        return; /* went away, or a link to nowhere */
    info.user = user_name(info.st.st_uid, uid, sizeof uid);
    info.group = group_name(info.st.st_gid, gid, sizeof gid);
    fn(&info, arg);
}

int http_files_list(struct http_files *f, const char *path, http_files_each_f *fn, void *arg,
                    struct fl_err *err)
{
    _cleanup_free_ char *real = NULL;
    _cleanup_free_ char *shown = without_slash(path);
    struct dirent **names = NULL;
    int n, r = resolve(f, path, &real, err);

    if (r < 0)
        return r;
    n = scandir(real, &names, no_dots, alphasort);
    for (int i = 0; i < n; i++) {
        list_one(real, shown, names[i]->d_name, fn, arg);
        free(names[i]);
    }
    free(names);
    return 0; /* of a plain file the list is empty, as in the reference */
}

static void mode_text(mode_t m, char text[11])
{
    static const char bits[] = "rwxrwxrwx";

    static const struct {
        mode_t type;
        char letter;
    } types[] = {{S_IFDIR, 'd'}, {S_IFCHR, 'c'},  {S_IFBLK, 'b'},
                 {S_IFIFO, 'p'}, {S_IFSOCK, 's'}, {S_IFLNK, 'l'}};

    text[0] = '-';
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if ((m & S_IFMT) == types[i].type)
            text[0] = types[i].letter;
    }
    for (int i = 0; i < 9; i++)
        text[1 + i] = (m & (0400u >> i)) ? bits[i] : '-';
    text[10] = '\0';
}

static void write_info(const struct http_file_info *info, void *arg)
{
    struct json_out *j = arg;
    char mode[11];

    mode_text(info->st.st_mode, mode);
    json_object(j);
    json_kstr(j, "gid", info->group);
    json_kstr(j, "mode", mode);
    json_kdouble(j, "mtime", (double)info->st.st_mtim.tv_sec);
    json_kint(j, "nlink", (int64_t)info->st.st_nlink);
    json_kstr(j, "path", info->path);
    json_kint(j, "size", (int64_t)info->st.st_size);
    json_kstr(j, "uid", info->user);
    json_end_object(j);
}

/* The `path` parameter; answers 400 and returns NULL without one. */
static char *path_of(struct http_exchange *ex)
{
    char *path = http_query_get(http_exchange_request(ex)->query, "path");

    if (path && *path)
        return path;
    free(path);
    http_respond(ex, 400, HTTP_TEXT, "Expecting 'path=value' in query.\n");
    return NULL;
}

void http_files_browse(struct http_files *f, struct http_exchange *ex)
{
    _cleanup_free_ char *path = path_of(ex);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);
    struct fl_err err;

    if (!path)
        return;
    json_array(&j);
    if (http_files_list(f, path, write_info, &j, &err) < 0) {
        http_respond_err(ex, &err);
        return;
    }
    json_end_array(&j);
    http_respond_json(ex, 200, &b);
}

/* ---- reading ---- */

struct opened {
    int fd;
    char *real;
    struct stat st;
};

static void opened_done(struct opened *o)
{
    closep(&o->fd);
    free(o->real);
}
#define _cleanup_opened_ _cleanup_(opened_done)

/* `verb` is for the error. */
static int open_file(struct http_files *f, const char *path, const char *verb,
                     struct opened *ret_file, struct fl_err *err)
{
    _cleanup_free_ char *real = NULL;
    struct stat st;
    _cleanup_close_ int fd = -EBADF;
    int r = resolve(f, path, &real, err);

    if (r < 0)
        return r;
    /* O_NONBLOCK: a FIFO that a task left in its sandbox must not stop us. O_NOFOLLOW: it was resolved; what is a link now
     * was exchanged since. */
    fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ELOOP)
        return fl_err_set(err, FL_INVALID, "'%s' is inaccessible", path);
    if (fd < 0 && errno == ENXIO)
        return fl_err_set(err, FL_INVALID, "'%s' is not a regular file", path);
    if (fd < 0)
        return fl_err_set(err, FL_IO, "Failed to open file at '%s': %s", path, strerror(errno));
    if (fstat(fd, &st) < 0)
        return fl_err_set(err, FL_IO, "Failed to open file at '%s': %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fl_err_set(err, FL_INVALID, "Cannot %s a directory.", verb);
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "'%s' is not a regular file", path);
    *ret_file = (struct opened){.fd = TAKE_FD(fd), .real = TAKE_PTR(real), .st = st};
    return 0;
}

static int read_at(int fd, uint64_t offset, size_t n, struct fl_buf *out, struct fl_err *err)
{
    size_t done = 0;
    char *p = fl_buf_reserve(out, n);

    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fl_err_set(err, FL_IO, "Failed to read: %s", strerror(errno));
        if (got == 0)
            break;
        done += (size_t)got;
    }
    out->len += done;
    return 0;
}

int http_files_get(struct http_files *f, const char *path, uint64_t offset, uint64_t length,
                   struct fl_buf *out, uint64_t *ret_size, struct fl_err *err)
{
    uint64_t cap = (uint64_t)sysconf(_SC_PAGESIZE) * MAX_PAGES;
    _cleanup_opened_ struct opened file = {.fd = -EBADF};
    uint64_t size;
    int r = open_file(f, path, "read", &file, err);

    if (r < 0)
        return r;
    size = (uint64_t)file.st.st_size;
    *ret_size = size;
    if (offset >= size || length == 0)
        return 0;
    length = FL_MIN(FL_MIN(length, size - offset), cap);
    return read_at(file.fd, offset, (size_t)length, out, err);
}

/* A number of the query from -1 up; absent = -1. False: answered with 400. */
static bool number_of(struct http_exchange *ex, const char *name, int64_t *ret)
{
    _cleanup_free_ char *text = http_query_get(http_exchange_request(ex)->query, name);

    *ret = -1;
    if (!text)
        return true;
    if (fl_parse_i64(text, ret) < 0) {
        http_respondf(ex, 400, HTTP_TEXT, "Failed to parse %s: '%s' is not a number.\n", name,
                      text);
        return false;
    }
    if (*ret < -1) {
        http_respondf(ex, 400, HTTP_TEXT, "Negative %s provided: %lld.\n", name, (long long)*ret);
        return false;
    }
    return true;
}

void http_files_read(struct http_files *f, struct http_exchange *ex)
{
    _cleanup_free_ char *path = path_of(ex);
    _cleanup_buf_ struct fl_buf data = FL_BUF_INIT, b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);
    int64_t offset, length;
    uint64_t size;
    struct fl_err err;

    if (!path || !number_of(ex, "offset", &offset) || !number_of(ex, "length", &length))
        return;
    /* Offset -1 asks for the file's size. */
    if (http_files_get(f, path, offset < 0 ? 0 : (uint64_t)offset,
                       offset < 0   ? 0
                       : length < 0 ? UINT64_MAX
                                    : (uint64_t)length,
                       &data, &size, &err) < 0) {
        http_respond_err(ex, &err);
        return;
    }
    json_object(&j);
    json_key(&j, "data");
    json_stringn(&j, data.data ? data.data : "", data.len);
    json_key(&j, "offset");
    json_uint(&j, offset < 0 ? size : (uint64_t)offset);
    json_end_object(&j);
    http_respond_json(ex, 200, &b);
}

/* ---- downloading ---- */

static const char *mime_of(const char *path)
{
    static const struct {
        const char *ext, *type;
    } types[] = {
        {".txt", "text/plain"},        {".html", "text/html"},
        {".htm", "text/html"},         {".css", "text/css"},
        {".csv", "text/csv"},          {".xml", "application/xml"},
        {".json", "application/json"}, {".js", "application/javascript"},
        {".gz", "application/x-gzip"}, {".tar", "application/x-tar"},
        {".zip", "application/zip"},   {".png", "image/png"},
        {".jpg", "image/jpeg"},        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},         {".pdf", "application/pdf"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (str_ends(path, types[i].ext))
            return types[i].type;
    }
    return "application/octet-stream";
}

/* One chunk at a time: the next when the client has taken the last, so that a file of any size costs one chunk of memory. */
#define CHUNK (256u * 1024)

struct download {
    int fd;
    uint64_t offset;
};

static void download_free(struct download *d)
{
    close(d->fd);
    free(d);
}

static void download_gone(struct http_stream *st, void *arg)
{
    download_free(arg);
}

static void send_chunk(struct http_stream *st, void *arg)
{
    struct download *d = arg;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    if (read_at(d->fd, d->offset, CHUNK, &b, &err) < 0) {
        download_free(d);
        http_stream_abort(st);
        return;
    }
    if (b.len == 0) {
        download_free(d);
        http_stream_end(st);
        return;
    }
    d->offset += b.len;
    if (http_stream_write_buf(st, &b))
        http_stream_on_drained(st, send_chunk);
}

/* A small file goes whole, with its length. */
static void send_whole(struct http_exchange *ex, int fd, const char *path)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    if (read_at(fd, 0, CHUNK, &b, &err) < 0)
        http_respond_err(ex, &err);
    else
        http_respond_buf(ex, 200, mime_of(path), &b);
}

void http_files_download(struct http_files *f, struct http_exchange *ex)
{
    _cleanup_free_ char *path = path_of(ex);
    _cleanup_free_ char *disposition = NULL;
    _cleanup_opened_ struct opened file = {.fd = -EBADF};
    struct download *d;
    struct http_stream *st;
    struct fl_err err;

    if (!path)
        return;
    if (open_file(f, path, "download", &file, &err) < 0) {
        http_respond_err(ex, &err);
        return;
    }
    /* Its own name, not that of the link or of the virtual path that shows it. */
    disposition = xasprintf("attachment; filename=%s", strrchr(file.real, '/') + 1);
    if (!strpbrk(disposition, "\r\n"))
        http_exchange_add_header(ex, "Content-Disposition", disposition);
    if (file.st.st_size <= CHUNK) {
        send_whole(ex, file.fd, file.real);
        return;
    }
    d = xnew0(struct download);
    d->fd = TAKE_FD(file.fd);
    st = http_respond_stream(ex, 200, mime_of(file.real), download_gone, d);
    send_chunk(st, d);
}

/* ---- debug ---- */

static int by_virtual(const struct root *a, const struct root *b)
{
    return strcmp(a->virtual_path, b->virtual_path);
}

void http_files_debug(struct http_files *f, struct http_exchange *ex)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);

    HASH_SORT(f->roots, by_virtual);
    json_object(&j);
    for (struct root *r = f->roots; r; r = r->hh.next)
        json_kstr(&j, r->virtual_path, r->real);
    json_end_object(&j);
    http_respond_json(ex, 200, &b);
}
