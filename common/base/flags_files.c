/* Flags from files: one with a line for each flag, or a directory with a file for each. What is wrong is named with file and
 * line. Nothing is set here: every flag found goes to the caller. One thread, at the start of a daemon. */
#include "common/base/flags_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_FLAGS_FILE (4 * 1024 * 1024)
#define MAX_ENTRIES    1000

/* ---- files ---- */

static int fill(int fd, const char *path, struct fl_buf *text, struct fl_err *err)
{
    char chunk[4096];

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fl_err_errno(err, errno, "read flags from '%s'", path);
        if (n == 0)
            return 0;
        if (memchr(chunk, '\0', (size_t)n))
            return fl_err_set(err, FL_INVALID, "'%s' holds no text: there is a zero byte in it",
                              path);
        fl_buf_add(text, chunk, (size_t)n);
        if (text->len > MAX_FLAGS_FILE)
            return fl_err_set(err, FL_TOO_LARGE, "'%s' is too large for flags", path);
    }
}

/* A FIFO or a device would hang the daemon's start or never end. */
static int read_regular(const char *path, struct fl_buf *text, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "read flags from '%s'", path);
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "'%s' is no regular file", path);
    return fill(fd, path, text, err);
}

/* Cuts white space off both ends of the text, in place. */
static char *trim(char *s)
{
    size_t n = strlen(s);

    while (n > 0 && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

/* ---- a file with lines ---- */

static int found_line(char *line, const char *source, flag_found_fn *found, void *arg,
                      struct fl_err *err)
{
    char *text = trim(line), *value = NULL;

    if (*text == '\0' || *text == '#')
        return 0;
    if (str_starts(text, "--"))
        text += 2;
    char *eq = strchr(text, '=');
    if (eq) {
        *eq = '\0';
        value = trim(eq + 1);
        text = trim(text);
    }
    if (*text == '\0' || text[strcspn(text, " \t")] != '\0')
        return fl_err_set(err, FL_INVALID, "%s: '%s' is no name of a flag; write name=value",
                          source, text);
    return found(arg, text, value, source, err);
}

int flag_file_each(const char *path, flag_found_fn *found, void *arg, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    unsigned number = 0;
    int r = read_regular(path, &text, err);
    _cleanup_free_ char *copy = xstrdup(fl_buf_cstr(&text));

    for (char *line = copy, *next; r == 0 && line; line = next) {
        _cleanup_free_ char *source = xasprintf("%s:%u", path, ++number);
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        r = found_line(line, source, found, arg, err);
    }
    return r;
}

/* ---- a directory with files ---- */

static bool is_leftover(const char *name)
{
    static const char *const ends[] = {"~",         ".dpkg-old", ".dpkg-new", ".dpkg-dist",
                                       ".dpkg-tmp", ".ucf-old",  ".ucf-dist", ".swp",
                                       ".bak",      ".orig"};

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (str_ends(name, ends[i]))
            return true;
    return name[0] == '.' || name[0] == '#';
}

static int wanted(const struct dirent *entry)
{
    return !is_leftover(entry->d_name);
}

static void free_entries(struct dirent **list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

/* The entries in order of names, at most MAX_ENTRIES. Their number, or an error. */
static int list_entries(const char *path, struct dirent ***ret_list, struct fl_err *err)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, wanted, alphasort);

    if (n < 0)
        return fl_err_errno(err, errno, "read the directory of flags '%s'", path);
    if (n > MAX_ENTRIES) {
        free_entries(list, n);
        return fl_err_set(err, FL_TOO_LARGE,
                          "directory '%s' has %d files, more than there are flags", path, n);
    }
    *ret_list = list;
    return n;
}

/* <dir>/attributes/rack with "a7" in it, and the like, make rack:a7;... */
static int join_parts(const char *path, struct fl_buf *out, struct fl_err *err)
{
    struct dirent **list = NULL;
    int n = list_entries(path, &list, err), r = n < 0 ? n : 0;

    for (int i = 0; i < n && r == 0; i++) {
        _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
        _cleanup_free_ char *file = xasprintf("%s/%s", path, list[i]->d_name);
        r = read_regular(file, &text, err);
        _cleanup_free_ char *copy = xstrdup(fl_buf_cstr(&text));
        if (r == 0)
            fl_buf_addf(out, "%s%s:%s", out->len ? ";" : "", list[i]->d_name, trim(copy));
        if (r == 0 && out->len > MAX_FLAGS_FILE)
            r = fl_err_set(err, FL_TOO_LARGE, "'%s' is too large for flags", path);
    }
    if (n >= 0)
        free_entries(list, n);
    return r;
}

static int found_entry(const char *path, const char *name, flag_found_fn *found, void *arg,
                       struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    bool is_switch = name[0] == '?';
    struct stat st;

    if (stat(path, &st) < 0)
        return fl_err_errno(err, errno, "read flags from '%s'", path);
    if (strcspn(name, "= \t\n") != strlen(name))
        return fl_err_set(err, FL_INVALID, "'%s' is not called like a flag", path);
    int r = S_ISDIR(st.st_mode) ? join_parts(path, &text, err) : read_regular(path, &text, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *copy = xstrdup(fl_buf_cstr(&text));
    char *value = trim(copy);
    if (is_switch && *value)
        return fl_err_set(err, FL_INVALID,
                          "'%s' must be empty: its name says all; write the value in a file '%s'",
                          path, name + 1);
    return found(arg, name + is_switch, *value ? value : NULL, path, err);
}

int flag_dir_each(const char *path, flag_found_fn *found, void *arg, struct fl_err *err)
{
    struct dirent **list = NULL;
    int n = list_entries(path, &list, err), r = n < 0 ? n : 0;

    for (int i = 0; i < n && r == 0; i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, list[i]->d_name);
        r = found_entry(file, list[i]->d_name, found, arg, err);
    }
    if (n >= 0)
        free_entries(list, n);
    return r;
}
