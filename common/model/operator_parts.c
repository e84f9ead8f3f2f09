/* See operator_parts.h. */
#include "common/model/operator_parts.h"

#include "common/base/build.h"

static void json_list(struct json_out *j, const ProtobufCMessage *m,
                      const ProtobufCFieldDescriptor *f)
{
    size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
    ProtobufCMessage *const *items =
        *(ProtobufCMessage *const *const *)((const char *)m + f->offset);

    assert(f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE);
    json_karray(j, f->name);
    for (size_t i = 0; i < n; i++)
        json_pb(j, items[i], FL_JSON_DEFAULTS);
    json_end_array(j);
}

void operator_json_lists(struct json_out *j, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    json_object(j);
    for (unsigned i = 0; i < d->n_fields; i++)
        json_list(j, m, &d->fields[i]);
    json_end_object(j);
}

/* Rows are counted first, then filled into an array of the arena. */
struct row_list {
    struct fl_arena *arena;
    void **items;
    size_t n, cap;
};

static void count_flag(const char *name, const char *text, void *arg)
{
    ((struct row_list *)arg)->cap++;
}

static void add_flag(const char *name, const char *text, void *arg)
{
    struct row_list *l = arg;
    V1__Flag *f = FL_ARENA_NEW(l->arena, V1__Flag, v1__flag);

    f->name = fl_arena_strdup(l->arena, name);
    f->value = fl_arena_strdup(l->arena, text);
    l->items[l->n++] = f;
}

size_t operator_flags(const struct fl_flags *flags, struct fl_arena *arena, V1__Flag ***ret_flags)
{
    struct row_list l = {.arena = arena};

    fl_flags_each(flags, count_flag, &l);
    l.items = fl_arena_alloc(arena, (l.cap + 1) * sizeof(void *));
    fl_flags_each(flags, add_flag, &l);
    *ret_flags = (V1__Flag **)l.items;
    return l.n;
}

static void count_metric(const char *name, double value, void *arg)
{
    ((struct row_list *)arg)->cap++;
}

static void add_metric(const char *name, double value, void *arg)
{
    struct row_list *l = arg;
    V1__Metric *m = FL_ARENA_NEW(l->arena, V1__Metric, v1__metric);

    m->name = fl_arena_strdup(l->arena, name);
    m->has_value = true;
    m->value = value;
    l->items[l->n++] = m;
}

size_t operator_metrics(const struct metrics *metrics, struct fl_arena *arena,
                        V1__Metric ***ret_metrics)
{
    struct row_list l = {.arena = arena};

    metrics_each(metrics, count_metric, &l);
    l.items = fl_arena_alloc(arena, (l.cap + 1) * sizeof(void *));
    metrics_each(metrics, add_metric, &l);
    *ret_metrics = (V1__Metric **)l.items;
    return l.n;
}

V1__VersionInfo *operator_version(struct fl_arena *arena)
{
    V1__VersionInfo *v = FL_ARENA_NEW(arena, V1__VersionInfo, v1__version_info);

    v->version = (char *)FL_VERSION;
    v->build_date = (char *)fl_build.date;
    v->has_build_time = true;
    v->build_time = fl_build.time;
    v->build_user = (char *)fl_build.user;
    if (fl_build.git_sha[0])
        v->git_sha = (char *)fl_build.git_sha;
    if (fl_build.git_branch[0])
        v->git_branch = (char *)fl_build.git_branch;
    if (fl_build.git_tag[0])
        v->git_tag = (char *)fl_build.git_tag;
    return v;
}
