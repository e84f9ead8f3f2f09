/* Resources as an operator writes them: "cpus:4;mem(role):1024;ports:[1-2,5-6]" or a JSON array of
 * Resource. Pure. */
#include <ctype.h>

#include "common/model/resources_internal.h"

/* ---- reading ---- */

static void trim(const char **s, size_t *n)
{
    while (*n && isspace((unsigned char)**s))
        (*s)++, (*n)--;
    while (*n && isspace((unsigned char)(*s)[*n - 1]))
        (*n)--;
}

/* Splits "name(role)"; the role becomes NULL when there is none. Both in memory of the caller's. */
static int split_name(const char *s, size_t n, char **ret_name, char **ret_role, struct fl_err *err)
{
    const char *open = memchr(s, '(', n);
    const char *role = NULL;
    size_t name_len = n, role_len = 0;
    if (open) {
        const char *close = memchr(s, ')', n);
        if (!close || close < open)
            return fl_err_set(err, FL_INVALID, "parentheses do not match in '%.*s'", (int)n, s);
        name_len = (size_t)(open - s);
        role = open + 1;
        role_len = (size_t)(close - role);
        trim(&role, &role_len);
    }
    trim(&s, &name_len);
    *ret_name = xstrndup(s, name_len);
    *ret_role = role ? xstrndup(role, role_len) : NULL;
    return 0;
}

static int add_parsed(const char *name, const char *role, V1__Value__Type type,
                      const struct value *value, struct resources *out, struct fl_err *err)
{
    V1__Resource m = V1__RESOURCE__INIT;
    V1__Resource__ReservationInfo one = V1__RESOURCE__RESERVATION_INFO__INIT;
    V1__Resource__ReservationInfo *one_ptr = &one;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    V1__Value__Ranges ranges = V1__VALUE__RANGES__INIT;
    V1__Value__Set set = V1__VALUE__SET__INIT;
    m.name = (char *)name;
    m.type = type;
    m.role = NULL;
    m.scalar = type == V1__VALUE__TYPE__SCALAR ? &scalar : NULL;
    m.ranges = type == V1__VALUE__TYPE__RANGES ? &ranges : NULL;
    m.set = type == V1__VALUE__TYPE__SET ? &set : NULL;
    if (!streq(role, "*")) {
        one.has_type = true;
        one.type = V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        one.role = (char *)role;
        m.n_reservations = 1;
        m.reservations = &one_ptr;
    }
    int rc = resource_check(&m, err); /* of all but the value, which is checked already */
    if (rc < 0)
        return rc;
    const struct kind *kind = kind_intern(&m);
    resources_add_item(out, kind, value, 1);
    kind_unref(kind);
    return 0;
}

static int parse_pair(const char *name, const char *role, const char *text, size_t n,
                      struct resources *out, struct fl_err *err)
{
    V1__Value__Type type;
    struct value value;
    _cleanup_free_ char *words = NULL;
    int rc = value_parse(text, n, &type, &value, &words, err);
    if (rc == 0 && type == V1__VALUE__TYPE__TEXT)
        return fl_err_set(err, FL_INVALID,
                          "Resource '%.100s': '%.100s' is not a number >= 0, [ranges] or {a set}",
                          name, words);
    if (rc == 0) {
        rc = add_parsed(name, role, type, &value, out, err);
        value_done(&value, type);
    }
    if (rc < 0)
        fl_err_wrap(err, "Resource '%.100s' is invalid", name);
    return rc;
}

static int parse_token(const char *token, size_t n, const char *default_role, struct resources *out,
                       struct fl_err *err)
{
    const char *colon = memchr(token, ':', n);
    const char *value = colon ? colon + 1 : NULL;
    size_t value_len = colon ? (size_t)(token + n - value) : 0;
    if (!colon || colon == token || value_len == 0 || memchr(value, ':', value_len))
        return fl_err_set(err, FL_INVALID,
                          "'%.*s' is not of the form name:value or name(role):value",
                          (int)FL_MIN(n, 200u), token);
    _cleanup_free_ char *name = NULL, *role = NULL;
    int rc = split_name(token, (size_t)(colon - token), &name, &role, err);
    if (rc < 0)
        return rc;
    return parse_pair(name, role ? role : default_role, value, value_len, out, err);
}

static int parse_simple(const char *text, const char *default_role, struct resources *out,
                        struct fl_err *err)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ";");
        const char *token = p;
        size_t len = n;
        trim(&token, &len);
        if (len) {
            int rc = parse_token(token, len, default_role, out, err);
            if (rc < 0)
                return rc;
        }
        p += n + (p[n] == ';');
    }
    return 0;
}

static int add_json_item(const json_t *item, const char *default_role, struct resources *out,
                         struct fl_err *err)
{
    _cleanup_(fl_pb_freep) ProtobufCMessage *m = NULL;
    int rc = fl_json_value_to_pb(item, &v1__resource__descriptor, 0, NULL, &m, err);
    if (rc < 0)
        return rc;
    V1__Resource *pb = (V1__Resource *)m;
    if (!resource_has_role(pb) && pb->n_reservations == 0)
        pb->role = xstrdup(default_role);
    return resources_add_pb(out, pb, err);
}

static int parse_json(const char *text, const char *default_role, struct resources *out,
                      struct fl_err *err)
{
    json_error_t why;
    json_auto_t *array = json_loads(text, 0, &why);
    if (!array)
        return fl_err_set(err, FL_INVALID, "the JSON of resources cannot be read: line %d: %s",
                          why.line, why.text);
    if (!json_is_array(array))
        return fl_err_set(err, FL_INVALID, "resources in JSON must be an array");
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        int rc = add_json_item(item, default_role, out, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What an operator may not give an agent on its command line. */
static int check_given(const struct resources *r, struct fl_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;
        if (k->persistent)
            return fl_err_set(err, FL_INVALID,
                              "persistent volumes cannot be given as resources of an agent");
        if (k->revocable)
            return fl_err_set(err, FL_INVALID,
                              "revocable resources cannot be given: remove 'revocable' of '%s'",
                              k->name);
        if (k->dynamic)
            return fl_err_set(
                err, FL_INVALID,
                "dynamic reservations cannot be given: remove the DYNAMIC reservation of '%s'",
                k->name);
        for (size_t j = 0; j < i; j++)
            if (r->items[j].kind->name == k->name && r->items[j].kind->type != k->type)
                return fl_err_set(err, FL_INVALID, "resource '%s' is given with two types",
                                  k->name);
    }
    return 0;
}

int resources_parse(const char *text, const char *default_role, struct resources *out,
                    struct fl_err *err)
{
    _cleanup_resources_ struct resources made = RESOURCES_INIT;
    const char *start = text + strspn(text, " \t\r\n");
    int rc = *start == '[' ? parse_json(start, default_role, &made, err)
                           : parse_simple(start, default_role, &made, err);
    if (rc == 0)
        rc = check_given(&made, err);
    if (rc < 0)
        return rc;
    resources_move(out, &made);
    return 0;
}

/* ---- writing ---- */

static void format_stack(const V1__Resource *m, struct fl_buf *out)
{
    fl_buf_adds(out, "(reservations: [");
    for (size_t i = 0; i < m->n_reservations; i++) {
        const V1__Resource__ReservationInfo *one = m->reservations[i];
        bool dynamic = one->type == V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
        fl_buf_addf(out, "%s(%s,%s%s%s)", i ? "," : "", dynamic ? "DYNAMIC" : "STATIC", one->role,
                    one->principal ? "," : "", one->principal ? one->principal : "");
    }
    fl_buf_adds(out, "])");
}

static void format_disk(const V1__Resource__DiskInfo *disk, struct fl_buf *out)
{
    static const char *const types[] = {"UNKNOWN", "PATH", "MOUNT", "BLOCK", "RAW"};
    const V1__Resource__DiskInfo__Source *source = disk->source;
    fl_buf_addc(out, '[');
    if (source) {
        const char *root = source->path    ? source->path->root
                           : source->mount ? source->mount->root
                                           : NULL;
        if (source->id || source->profile)
            root = NULL;
        fl_buf_addf(out, "%s%s%s",
                    types[(unsigned)source->type < ARRAY_SIZE(types) ? source->type : 0],
                    root ? ":" : "", root ? root : "");
        if (source->id || source->profile)
            fl_buf_addf(out, "(%s,%s,%s)", source->vendor ? source->vendor : "",
                        source->id ? source->id : "", source->profile ? source->profile : "");
    }
    if (disk->persistence)
        fl_buf_addf(out, "%s%s", source ? "," : "", disk->persistence->id);
    if (disk->volume)
        fl_buf_addf(out, ":%s", disk->volume->container_path);
    fl_buf_addc(out, ']');
}

static void format_item(const struct resource *item, struct fl_buf *out)
{
    const struct kind *k = item->kind;
    const V1__Resource *m = kind_message(k);
    fl_buf_adds(out, k->name);
    if (k->allocation)
        fl_buf_addf(out, "(allocated: %s)", k->allocation);
    if (k->n_reservations > 1 || k->dynamic)
        format_stack(m, out);
    else if (k->role || !k->allocation)
        fl_buf_addf(out, "(%s)", k->role ? k->role : "*");
    if (m->disk)
        format_disk(m->disk, out);
    if (k->revocable)
        fl_buf_adds(out, "{REV}");
    if (k->shared)
        fl_buf_adds(out, "<SHARED>");
    fl_buf_addc(out, ':');
    value_format(&item->value, k->type, out);
    if (k->shared)
        fl_buf_addf(out, "<%u>", item->copies);
}

void resources_format(const struct resources *r, struct fl_buf *out)
{
    if (r->n == 0)
        fl_buf_adds(out, "{}");
    for (size_t i = 0; i < r->n; i++) {
        if (i)
            fl_buf_adds(out, "; ");
        format_item(&r->items[i], out);
    }
}
