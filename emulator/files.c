/* See files.h. A tree of names, newest first: what an agent touches is mostly what it made last, and a name that many paths share is there
 * once. Folders come and go with what is in them. */
#include "emulator/files.h"

#include <utlist.h>

#define META EMU_WORK_DIR "/meta/"

struct emu_file {
    struct emu_file *prev, *next; /* parent->below, or emu_files.all */
    struct emu_file *below;       /* of a folder */
    uint32_t hash;
    bool file, link; /* link: a file whose data are the target; neither: a folder */
    struct fl_buf data;
    char name[];
};

static uint32_t hash_of(const char *s, size_t n)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h;
}

/* Sandboxes are nothing. */
static const char *kept(const char *path)
{
    return str_starts(path, META) ? path + strlen(META) : NULL;
}

static struct emu_file *find_in(struct emu_file *list, const char *name, size_t n)
{
    uint32_t hash = hash_of(name, n);
    struct emu_file *x;

    DL_FOREACH (list, x) {
        if (x->hash == hash && strncmp(x->name, name, n) == 0 && x->name[n] == '\0')
            return x;
    }
    return NULL;
}

/* The next name of a path; *p is moved behind it. 0: there is none. */
static size_t next_name(const char **p, const char **ret)
{
    size_t n;

    *p += strspn(*p, "/");
    n = strcspn(*p, "/");
    *ret = *p;
    *p += n;
    return n;
}

static struct emu_file *find(const struct emu_files *f, const char *path)
{
    struct emu_file *list = f->all, *x = NULL;
    const char *p = kept(path), *name;
    size_t n;

    while (p && (n = next_name(&p, &name)) > 0) {
        x = find_in(list, name, n);
        if (!x)
            return NULL;
        list = x->below;
    }
    return x;
}

static struct emu_file *add(struct emu_file **list, const char *name, size_t n)
{
    struct emu_file *x = xcalloc(1, sizeof *x + n + 1);

    memcpy(x->name, name, n);
    x->hash = hash_of(name, n);
    DL_PREPEND(*list, x);
    return x;
}

/* NULL: it is nowhere that is kept. */
static struct emu_file *make(struct emu_files *f, const char *path)
{
    struct emu_file **list = &f->all, *x = NULL;
    const char *p = kept(path), *name;
    size_t n;

    while (p && (n = next_name(&p, &name)) > 0) {
        x = find_in(*list, name, n);
        if (!x)
            x = add(list, name, n);
        list = &x->below;
    }
    return x;
}

static void drop(struct emu_file **list, struct emu_file *x)
{
    while (x->below)
        drop(&x->below, x->below);
    DL_DELETE(*list, x);
    fl_buf_done(&x->data);
    free(x);
}

void emu_files_done(struct emu_files *f)
{
    while (f->all)
        drop(&f->all, f->all);
}

static void fill(struct emu_files *f, const char *path, const void *p, size_t n, bool link)
{
    struct emu_file *x = make(f, path);

    if (!x)
        return;
    fl_buf_done(&x->data);
    x->data = (struct fl_buf)FL_BUF_INIT;
    x->file = true;
    x->link = link;
    /* To the byte: there are many, and they do not grow. */
    x->data.data = xmemdup(n ? p : "", n ? n : 1);
    x->data.len = n;
    x->data.cap = n ? n : 1;
}

void emu_files_write(struct emu_files *f, const char *path, const void *p, size_t n)
{
    fill(f, path, p, n, false);
}

void emu_files_append(struct emu_files *f, const char *path, const void *p, size_t n)
{
    struct emu_file *x = make(f, path);

    if (!x)
        return;
    x->file = true;
    fl_buf_add(&x->data, p, n);
}

int emu_files_truncate(struct emu_files *f, const char *path, size_t n, struct fl_err *err)
{
    struct emu_file *x = find(f, path);

    if (!kept(path))
        return 0;
    if (!x || n > x->data.len)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s' of that length", path);
    x->data.len = n;
    return 0;
}

int emu_files_read(const struct emu_files *f, const char *path, struct fl_buf *out,
                   struct fl_err *err)
{
    struct emu_file *x = find(f, path);

    if (!x || !x->file || x->link)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
    fl_buf_add(out, x->data.data, x->data.len);
    return 0;
}

int emu_files_list(const struct emu_files *f, const char *path,
                   void (*fn)(const char *name, void *arg), void *arg, struct fl_err *err)
{
    struct emu_file *folder = find(f, path), *x;

    if (!folder)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
    DL_FOREACH (folder->below, x) {
        fn(x->name, arg);
    }
    return 0;
}

void emu_files_link(struct emu_files *f, const char *target, const char *path)
{
    fill(f, path, target, strlen(target), true);
}

int emu_files_readlink(const struct emu_files *f, const char *path, struct fl_buf *out,
                       struct fl_err *err)
{
    struct emu_file *x = find(f, path);

    if (!x || !x->link)
        return fl_err_set(err, FL_NOT_FOUND, "no link '%s'", path);
    fl_buf_add(out, x->data.data, x->data.len);
    return 0;
}

/* From the list that has the rest of the path; folders that are empty then go, too. */
static void remove_below(struct emu_file **list, const char *p)
{
    const char *name;
    size_t n = next_name(&p, &name);
    struct emu_file *x = n ? find_in(*list, name, n) : NULL;

    if (!x)
        return;
    if (p[strspn(p, "/")]) {
        remove_below(&x->below, p);
        if (x->below || x->file)
            return;
    }
    drop(list, x);
}

void emu_files_remove(struct emu_files *f, const char *path)
{
    if (kept(path))
        remove_below(&f->all, kept(path));
}
