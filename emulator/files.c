/* See files.h. A list: an agent has a handful of files, and a hash table a node would cost more than all of them. */
#include "emulator/files.h"

#include <utlist.h>

#define META EMU_WORK_DIR "/meta/"

struct emu_file {
    struct emu_file *prev, *next;
    uint32_t hash;
    bool link;
    struct fl_buf data; /* a link's target */
    char path[];
};

static uint32_t hash_of(const char *s)
{
    uint32_t h = 2166136261u;

    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 16777619u;
    return h;
}

static struct emu_file *find(const struct emu_files *f, const char *path)
{
    uint32_t hash = hash_of(path);
    struct emu_file *x;

    DL_FOREACH (f->all, x) {
        if (x->hash == hash && streq(x->path, path))
            return x;
    }
    return NULL;
}

/* What agents write of frameworks, executors and tasks is read only by an agent that was killed, and none is here: it would be half
 * of the memory of a task. */
static bool kept(const char *path)
{
    return str_starts(path, META) && !strstr(path, "/frameworks/");
}

/* NULL: it is nowhere that is kept. */
static struct emu_file *make(struct emu_files *f, const char *path)
{
    size_t n = strlen(path) + 1;
    struct emu_file *x;

    if (!kept(path))
        return NULL;
    x = find(f, path);
    if (x)
        return x;
    x = xcalloc(1, sizeof *x + n);
    memcpy(x->path, path, n);
    x->hash = hash_of(path);
    DL_PREPEND(f->all, x);
    return x;
}

static void drop(struct emu_files *f, struct emu_file *x)
{
    DL_DELETE(f->all, x);
    fl_buf_done(&x->data);
    free(x);
}

void emu_files_done(struct emu_files *f)
{
    while (f->all)
        drop(f, f->all);
}

static void fill(struct emu_files *f, const char *path, const void *p, size_t n, bool link)
{
    struct emu_file *x = make(f, path);

    if (!x)
        return;
    fl_buf_done(&x->data);
    x->data = (struct fl_buf)FL_BUF_INIT;
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

    if (x)
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

    if (!x || x->link)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
    fl_buf_add(out, x->data.data, x->data.len);
    return 0;
}

/* The part of the path that lies below the folder, or NULL. */
static const char *below(const char *path, const char *folder, size_t n)
{
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

int emu_files_list(const struct emu_files *f, const char *path,
                   void (*fn)(const char *name, void *arg), void *arg, struct fl_err *err)
{
    size_t n = strlen(path);
    struct emu_file *x, *y;
    bool any = false;

    DL_FOREACH (f->all, x) {
        const char *rest = below(x->path, path, n);
        _cleanup_free_ char *name = rest ? xstrndup(rest, strcspn(rest, "/")) : NULL;
        bool again = false;

        if (!rest)
            continue;
        for (y = f->all; y != x && !again; y = y->next) {
            const char *other = below(y->path, path, n);

            again = other && strcspn(other, "/") == strlen(name) && str_starts(other, name);
        }
        if (!again)
            fn(name, arg);
        any = true;
    }
    return any ? 0 : fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
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

void emu_files_remove(struct emu_files *f, const char *path)
{
    size_t n = strlen(path);
    struct emu_file *x, *tmp;

    if (!str_starts(path, EMU_WORK_DIR "/meta"))
        return;
    DL_FOREACH_SAFE (f->all, x, tmp) {
        if (streq(x->path, path) || below(x->path, path, n))
            drop(f, x);
    }
}
