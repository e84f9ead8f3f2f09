/* The durable store of one master: LMDB in a folder of its own.
 *
 * A group of batches is one LMDB transaction, and LMDB's default sync makes it durable: pages are written and synced before the
 * meta page that makes them current is. Killed at any instant, a later open finds the state of the last commit. The
 * map grows (doubles) when a transaction does not fit.
 *
 * The folder's file "owner.lock" is held by flock(2) while the store is open: LMDB itself would let a second process in.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/coord/store_priv.h"

#define FIRST_MAP_SIZE ((size_t)64 << 20)
#define LAST_MAP_SIZE  ((size_t)1 << 40)

struct lmdb {
    char *path;
    int lock_fd;
    MDB_env *env;
    MDB_dbi dbi;
    size_t map_size;
};

static int lmdb_err(struct fl_err *err, int code, const char *what, const struct lmdb *l)
{
    return fl_err_set(err, FL_IO, "%s in '%s': %s", what, l->path, mdb_strerror(code));
}

static void lmdb_close(void *impl)
{
    struct lmdb *l = impl;

    if (l->env)
        mdb_env_close(l->env);
    if (l->lock_fd >= 0)
        close(l->lock_fd);
    free(l->path);
    free(l);
}

/* ---- opening ---- */

static int lock_folder(struct lmdb *l, struct fl_err *err)
{
    _cleanup_free_ char *file = xasprintf("%s/owner.lock", l->path);

    if (mkdir(l->path, 0700) < 0 && errno != EEXIST)
        return fl_err_errno(err, errno, "create the registry's folder '%s'", l->path);
    l->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock_fd < 0)
        return fl_err_errno(err, errno, "open '%s'", file);
    if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return fl_err_set(
                err, FL_CONFLICT,
                "the registry in '%s' is in use by another process: stop that master, "
                "or give this one a --work_dir of its own",
                l->path);
        return fl_err_errno(err, errno, "lock '%s'", file);
    }
    return 0;
}

static int open_table(struct lmdb *l, struct fl_err *err)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(l->env, NULL, 0, &txn);

    if (r != 0)
        return lmdb_err(err, r, "begin the first transaction", l);
    r = mdb_dbi_open(txn, NULL, 0, &l->dbi);
    if (r != 0) {
        mdb_txn_abort(txn);
        return lmdb_err(err, r, "open the table", l);
    }
    r = mdb_txn_commit(txn);
    return r != 0 ? lmdb_err(err, r, "commit the first transaction", l) : 0;
}

static int open_env(struct lmdb *l, struct fl_err *err)
{
    MDB_envinfo info;
    int r = mdb_env_create(&l->env);

    if (r != 0)
        return lmdb_err(err, r, "create an environment", l);
    r = mdb_env_set_mapsize(l->env, FIRST_MAP_SIZE); /* a larger file makes it larger */
    if (r != 0)
        return lmdb_err(err, r, "set the size of the map", l);
    r = mdb_env_open(l->env, l->path, MDB_NOTLS, 0600);
    if (r != 0)
        return lmdb_err(err, r, "open the registry", l);
    r = mdb_env_info(l->env, &info);
    if (r != 0)
        return lmdb_err(err, r, "look at the registry", l);
    l->map_size = info.me_mapsize;
    return 0;
}

/* ---- reading ---- */

static int each_record(struct lmdb *l, MDB_cursor *cursor, const char *prefix, store_record_f *fn,
                       void *arg, struct fl_err *err)
{
    size_t n = strlen(prefix);
    MDB_val key = {.mv_size = n, .mv_data = (void *)prefix}, data;
    int r = mdb_cursor_get(cursor, &key, &data, n ? MDB_SET_RANGE : MDB_FIRST);

    while (r == 0 && key.mv_size >= n && memcmp(key.mv_data, prefix, n) == 0) {
        char name[STORE_MAX_KEY + 12];

        if (key.mv_size >= sizeof(name))
            return fl_err_set(err, FL_IO, "a key of %zu bytes in '%s': not our registry",
                              key.mv_size, l->path);
        memcpy(name, key.mv_data, key.mv_size);
        name[key.mv_size] = 0;
        fn(name, data.mv_data, data.mv_size, arg);
        r = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return r == 0 || r == MDB_NOTFOUND ? 0 : lmdb_err(err, r, "read records", l);
}

static int lmdb_load(void *impl, const char *prefix, store_record_f *fn, void *arg,
                     struct fl_err *err)
{
    struct lmdb *l = impl;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int r = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);

    if (r != 0)
        return lmdb_err(err, r, "begin reading", l);
    r = mdb_cursor_open(txn, l->dbi, &cursor);
    if (r != 0) {
        mdb_txn_abort(txn);
        return lmdb_err(err, r, "begin reading", l);
    }
    r = each_record(l, cursor, prefix, fn, arg, err);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return r;
}

/* ---- writing: the store's thread ---- */

static int put_item(struct lmdb *l, MDB_txn *txn, const struct store_item *it)
{
    MDB_val key = {.mv_size = it->key_len, .mv_data = (void *)it->key};
    MDB_val data = {.mv_size = it->len, .mv_data = (void *)it->data};
    int r;

    if (it->data)
        return mdb_put(txn, l->dbi, &key, &data, 0);
    r = mdb_del(txn, l->dbi, &key, NULL);
    return r == MDB_NOTFOUND ? 0 : r;
}

/* 0 or LMDB's code. */
static int try_commit(struct lmdb *l, const struct store_batch *list)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(l->env, NULL, 0, &txn);

    if (r != 0)
        return r;
    for (; list && r == 0; list = list->next)
        for (size_t i = 0; i < list->n && r == 0; i++)
            r = put_item(l, txn, &list->items[i]);
    if (r != 0) {
        mdb_txn_abort(txn);
        return r;
    }
    return mdb_txn_commit(txn);
}

static int lmdb_commit(void *impl, const struct store_batch *list, struct fl_err *err)
{
    struct lmdb *l = impl;
    int r = try_commit(l, list);

    while (r == MDB_MAP_FULL && l->map_size < LAST_MAP_SIZE) {
        r = mdb_env_set_mapsize(l->env, l->map_size * 2);
        if (r != 0)
            return lmdb_err(err, r, "grow the registry", l);
        l->map_size *= 2;
        r = try_commit(l, list);
    }
    return r != 0 ? lmdb_err(err, r, "write to the registry", l) : 0;
}

static const struct store_backend backend = {
    .name = "lmdb",
    .load = lmdb_load,
    .commit = lmdb_commit,
    .close = lmdb_close,
};

int store_open_lmdb(struct fl_loop *loop, const char *path, struct store **ret, struct fl_err *err)
{
    struct lmdb *l = xnew0(struct lmdb);
    int r;

    l->path = xstrdup(path);
    l->lock_fd = -EBADF;
    r = lock_folder(l, err);
    if (r == 0)
        r = open_env(l, err);
    if (r == 0)
        r = open_table(l, err);
    if (r < 0) {
        lmdb_close(l);
        return r;
    }
    return store_new(loop, &backend, l, ret, err);
}
