/* See operator_files.h. */
#include "common/model/operator_files.h"

#include "common/base/json.h"

struct file_list {
    struct fl_arena *arena;
    V1__FileInfo **items;
    size_t n, cap;
};

static void add_file(const struct http_file_info *info, void *arg)
{
    struct file_list *l = arg;
    V1__FileInfo *f = FL_ARENA_NEW(l->arena, V1__FileInfo, v1__file_info);

    f->path = fl_arena_strdup(l->arena, info->path);
    f->has_nlink = f->has_size = f->has_mode = true;
    f->nlink = (int32_t)info->st.st_nlink;
    f->size = (uint64_t)info->st.st_size;
    f->mode = info->st.st_mode;
    /* Whole seconds, as the reference: a client may compare with what /files/browse says. */
    f->mtime = FL_ARENA_NEW(l->arena, V1__TimeInfo, v1__time_info);
    f->mtime->nanoseconds = (int64_t)info->st.st_mtim.tv_sec * 1000000000;
    f->uid = fl_arena_strdup(l->arena, info->user);
    f->gid = fl_arena_strdup(l->arena, info->group);
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(void *));
    l->items[l->n++] = f;
}

int operator_list_files(struct http_files *f, const char *path, struct fl_arena *arena,
                        V1__FileInfo ***ret_infos, size_t *ret_n, struct fl_err *err)
{
    struct file_list l = {.arena = arena};
    V1__FileInfo **infos;
    int r = http_files_list(f, path, add_file, &l, err);

    if (r < 0)
        return r;
    infos = fl_arena_alloc(arena, (l.n + 1) * sizeof(void *));
    if (l.n > 0)
        memcpy(infos, l.items, l.n * sizeof(void *));
    free(l.items);
    *ret_infos = infos;
    *ret_n = l.n;
    return 0;
}

int operator_read_file(struct http_files *f, const char *path, uint64_t offset, uint64_t length,
                       struct fl_arena *arena, ProtobufCBinaryData *ret_data, uint64_t *ret_size,
                       struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf data = FL_BUF_INIT;
    uint64_t size;
    int r = http_files_get(f, path, offset, length, &data, &size, err);

    if (r < 0)
        return r;
    ret_data->len = data.len;
    ret_data->data = fl_arena_alloc(arena, data.len + 1);
    if (data.len > 0)
        memcpy(ret_data->data, data.data, data.len);
    *ret_size = size;
    return 0;
}
