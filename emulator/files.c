/* See files.h. A tree of names, newest first, and a table by folder and name: an agent with hundreds of tasks has hundreds of names in one
 * folder. An idle agent has a few and no table. Folders come and go with what is in them. */
#include "emulator/files.h"

#include <utlist.h>

#define META EMU_WORK_DIR "/meta/"

#define FIRST_SLOTS 32

struct emu_file {
    struct emu_file *prev, *next; /* folder->below, or emu_files.all */
    struct emu_file *folder;      /* NULL: in none */
    struct emu_file *below;       /* of a folder */
    struct emu_file *same_slot;
    uint32_t hash;
    bool file, link; /* link: a file whose data are the target; neither: a folder */
    struct fl_buf data;
    char name[];
};

static uint32_t hash_of(const struct emu_file *folder, const char *s, size_t n)
{
    uint32_t h = 2166136261u ^ (uint32_t)((uintptr_t)folder >> 4);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619u;
    return h ^ h >> 15;
}

/* Sandboxes are nothing. */
static const char *kept(const char *path)
{
    return str_starts(path, META) ? path + strlen(META) : NULL;
}

static bool is_it(const struct emu_file *x, const struct emu_file *folder, uint32_t hash,
                  const char *name, size_t n)
{
    return x->hash == hash && x->folder == folder && strncmp(x->name, name, n) == 0 &&
           x->name[n] == '\0';
}

static struct emu_file *find_in(const struct emu_files *f, const struct emu_file *folder,
                                const char *name, size_t n)
{
    uint32_t hash = hash_of(folder, name, n);
    struct emu_file *x;

    if (f->n_slots > 0) {
        x = f->slots[hash & (f->n_slots - 1)];
        while (x && !is_it(x, folder, hash, name, n))
            x = x->same_slot;
        return x;
    }
    DL_FOREACH (folder ? folder->below : f->all, x) {
        if (is_it(x, folder, hash, name, n))
            return x;
    }
    return NULL;
}

static void put_slot(struct emu_files *f, struct emu_file *x)
{
    struct emu_file **slot = &f->slots[x->hash & (f->n_slots - 1)];

    x->same_slot = *slot;
    *slot = x;
}

static void put_slots(struct emu_files *f, struct emu_file *list)
{
    struct emu_file *x;

    DL_FOREACH (list, x) {
        put_slot(f, x);
        put_slots(f, x->below);
    }
}

/* Room for the name that has just been added. */
static void grow_slots(struct emu_files *f)
{
    if (f->n < FIRST_SLOTS || f->n <= f->n_slots)
        return;
    free(f->slots);
    f->n_slots = f->n_slots ? 2 * f->n_slots : FIRST_SLOTS;
    f->slots = xcalloc(f->n_slots, sizeof *f->slots);
    put_slots(f, f->all);
}

static void leave_slot(struct emu_files *f, struct emu_file *x)
{
    struct emu_file **at;

    if (f->n_slots == 0)
        return;
    at = &f->slots[x->hash & (f->n_slots - 1)];
    while (*at != x)
        at = &(*at)->same_slot;
    *at = x->same_slot;
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
    struct emu_file *x = NULL;
    const char *p = kept(path), *name;
    size_t n;

    while (p && (n = next_name(&p, &name)) > 0) {
        x = find_in(f, x, name, n);
        if (!x)
            return NULL;
    }
    return x;
}

static struct emu_file *add(struct emu_files *f, struct emu_file *folder, const char *name,
                            size_t n)
{
    struct emu_file *x = xcalloc(1, sizeof *x + n + 1);

    memcpy(x->name, name, n);
    x->folder = folder;
    x->hash = hash_of(folder, name, n);
    if (folder)
        DL_PREPEND(folder->below, x);
    else
        DL_PREPEND(f->all, x);
    f->n++;
    if (f->n_slots > 0)
        put_slot(f, x);
    grow_slots(f);
    return x;
}

/* NULL: it is nowhere that is kept. */
static struct emu_file *make(struct emu_files *f, const char *path)
{
    struct emu_file *x = NULL, *folder;
    const char *p = kept(path), *name;
    size_t n;

    while (p && (n = next_name(&p, &name)) > 0) {
        folder = x;
        x = find_in(f, folder, name, n);
        if (!x)
            x = add(f, folder, name, n);
    }
    return x;
}

static void drop(struct emu_files *f, struct emu_file *x)
{
    while (x->below)
        drop(f, x->below);
    leave_slot(f, x);
    f->n--;
    if (x->folder)
        DL_DELETE(x->folder->below, x);
    else
        DL_DELETE(f->all, x);
    fl_buf_done(&x->data);
    free(x);
}

void emu_files_done(struct emu_files *f)
{
    while (f->all)
        drop(f, f->all);
    free(TAKE_PTR(f->slots));
    f->n_slots = 0;
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

void emu_files_remove(struct emu_files *f, const char *path)
{
    struct emu_file *x = find(f, path);

    while (x) {
        struct emu_file *folder = x->folder;

        drop(f, x);
        /* Folders that are empty then go, too. */
        x = folder && !folder->below && !folder->file ? folder : NULL;
    }
}
