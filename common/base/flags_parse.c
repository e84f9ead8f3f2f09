/* Single flag values: units, file:// and bounds. The syntax, the units and the printing are the reference's, so that
 * a runbook's values mean the same here and /flags reads the same. Any thread; no state. */
#include "common/base/flags_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define MAX_FILE_VALUE (4 * 1024 * 1024)

static const struct {
    const char *name;
    uint64_t ns;
} duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"secs", 1000000000},
    {"mins", 60000000000},
    {"hrs", 3600000000000},
    {"days", 86400000000000},
    {"weeks", 604800000000000},
};

static const struct {
    const char *name;
    uint64_t bytes;
} byte_units[] = {
    {"B", 1}, {"KB", 1ULL << 10}, {"MB", 1ULL << 20}, {"GB", 1ULL << 30}, {"TB", 1ULL << 40},
};

static const struct {
    const char *hint;
    bool is_text;
} types[] = {
    [FLAG_BOOL] = {"true or false", false},
    [FLAG_INT] = {"a whole number", false},
    [FLAG_UINT] = {"a whole number from 0", false},
    [FLAG_DOUBLE] = {"a number", false},
    [FLAG_STRING] = {"a text", true},
    [FLAG_DURATION] = {"a duration such as 5secs, 1.5mins, 100ms (units: ns, us, ms, secs, mins, "
                       "hrs, days, weeks)",
                       false},
    [FLAG_BYTES] = {"a size such as 512MB, 1GB (units: B, KB, MB, GB, TB)", false},
    [FLAG_PATH_OR_TEXT] = {"a text, or the path of a file that has it", true},
    [FLAG_PATH] = {"a path", true},
};

bool flag_type_is_text(enum fl_flag_type type)
{
    return types[type].is_text;
}

const char *flag_type_hint(enum fl_flag_type type)
{
    return types[type].hint;
}

int fl_duration_parse(const char *s, uint64_t *ret_us, struct fl_err *err)
{
    size_t digits = strspn(s, "0123456789.");
    _cleanup_free_ char *number = xstrndup(s, digits);
    double value;
    if (digits == 0 || fl_parse_f64(number, &value) < 0)
        return fl_err_set(err, FL_INVALID,
                          "'%s' is no duration; write e.g. 5secs, 1.5mins or 100ms", s);
    for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
        if (!streq(s + digits, duration_units[i].name))
            continue;
        double ns = value * (double)duration_units[i].ns;
        if (!(ns < (double)INT64_MAX))
            return fl_err_set(err, FL_INVALID, "duration '%s' is too long", s);
        /* Not 0 unless 0 was said: 0 often means "never" or "off". */
        uint64_t us = (uint64_t)(ns / 1000 + 0.0005);
        *ret_us = us == 0 && ns > 0 ? 1 : us;
        return 0;
    }
    return fl_err_set(
        err, FL_INVALID,
        "duration '%s' needs one of the units ns, us, ms, secs, mins, hrs, days, weeks", s);
}

int fl_bytes_parse(const char *s, uint64_t *ret_bytes, struct fl_err *err)
{
    size_t digits = strspn(s, "0123456789");
    _cleanup_free_ char *number = xstrndup(s, digits);
    uint64_t value;
    if (s[digits] == '.')
        return fl_err_set(err, FL_INVALID, "size '%s' may have no fraction; use a smaller unit", s);
    if (digits == 0 || fl_parse_u64(number, &value) < 0)
        return fl_err_set(err, FL_INVALID, "'%s' is no size; write e.g. 512MB or 1GB", s);
    for (size_t i = 0; i < ARRAY_SIZE(byte_units); i++) {
        if (strcasecmp(s + digits, byte_units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(value, byte_units[i].bytes, &value))
            return fl_err_set(err, FL_INVALID, "size '%s' is too large", s);
        *ret_bytes = value;
        return 0;
    }
    return fl_err_set(err, FL_INVALID, "size '%s' needs one of the units B, KB, MB, GB, TB", s);
}

void fl_duration_format(uint64_t us, char *buf, size_t size)
{
    uint64_t ns = us > UINT64_MAX / 1000 ? UINT64_MAX : us * 1000;
    size_t unit = 0;
    while (unit + 1 < ARRAY_SIZE(duration_units) && ns >= duration_units[unit + 1].ns)
        unit++;
    /* 10 days read better than 1.42857142857143 weeks: the unit below, when that one comes out whole. */
    if (unit > 0 && ns % duration_units[unit].ns != 0 && ns % duration_units[unit - 1].ns == 0)
        unit--;
    (void)fl_snprintf(buf, size, "%.15g%s", (double)ns / (double)duration_units[unit].ns,
                      duration_units[unit].name);
}

void fl_bytes_format(uint64_t bytes, char *buf, size_t size)
{
    size_t unit = 0;
    while (bytes > 0 && unit + 1 < ARRAY_SIZE(byte_units) &&
           bytes % byte_units[unit + 1].bytes == 0)
        unit++;
    (void)fl_snprintf(buf, size, "%" PRIu64 "%s", bytes / byte_units[unit].bytes,
                      byte_units[unit].name);
}

static int read_file(const char *path, char **ret_text, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fl_err_errno(err, errno, "read the value from file '%s'", path);
    _cleanup_free_ char *text = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        text = xgrow(text, &cap, n + 4097, 1);
        ssize_t r = read(fd, text + n, 4096);
        if (r < 0)
            return fl_err_errno(err, errno, "read the value from file '%s'", path);
        if (r == 0)
            break;
        n += (size_t)r;
        if (n > MAX_FILE_VALUE)
            return fl_err_set(err, FL_TOO_LARGE, "file '%s' is too large for a flag's value", path);
    }
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    text[n] = '\0';
    if (strlen(text) != n)
        return fl_err_set(err, FL_INVALID, "file '%s' holds no text", path);
    *ret_text = TAKE_PTR(text);
    return 0;
}

int flag_fetch(enum fl_flag_type type, const char *given, char **ret_text, struct fl_err *err)
{
    bool is_file = str_starts(given, "file://");
    if (is_file && type != FLAG_PATH)
        return read_file(given + strlen("file://"), ret_text, err);
    if (type == FLAG_PATH_OR_TEXT && given[0] == '/')
        return read_file(given, ret_text, err);
    *ret_text = xstrdup(is_file ? given + strlen("file://") : given);
    return 0;
}

static int parse_bool(const char *text, bool *ret)
{
    bool yes = streq(text, "true") || streq(text, "1");
    if (!yes && !streq(text, "false") && !streq(text, "0"))
        return -EINVAL;
    *ret = yes;
    return 0;
}

static int parse_typed(enum fl_flag_type type, const char *text, union flag_value *v,
                       struct fl_err *err)
{
    int r = 0;
    switch (type) {
    case FLAG_BOOL:
        r = parse_bool(text, &v->b);
        break;
    case FLAG_INT:
        r = fl_parse_i64(text, &v->i);
        break;
    case FLAG_UINT:
        r = fl_parse_u64(text, &v->u);
        break;
    case FLAG_DOUBLE:
        r = fl_parse_f64(text, &v->d);
        break;
    case FLAG_DURATION:
        return fl_duration_parse(text, &v->u, err);
    case FLAG_BYTES:
        return fl_bytes_parse(text, &v->u, err);
    case FLAG_STRING:
    case FLAG_PATH_OR_TEXT:
    case FLAG_PATH:
        v->s = xstrdup(text);
        return 0;
    }
    if (r < 0)
        return fl_err_set(err, FL_INVALID, "'%s' is not %s", text, flag_type_hint(type));
    return 0;
}

/* Bounds are compared as doubles: they are round numbers far below 2^53. */
static double as_number(enum fl_flag_type type, const union flag_value *v)
{
    if (type == FLAG_DOUBLE)
        return v->d;
    return type == FLAG_INT ? (double)v->i : (double)v->u;
}

static int check_range(const struct fl_flag *row, const char *text, const union flag_value *v,
                       struct fl_err *err)
{
    const char *dots = strstr(row->check, "..");
    assert(dots);
    _cleanup_free_ char *lo = xstrndup(row->check, (size_t)(dots - row->check));
    const char *hi = dots + 2;
    union flag_value bound;
    double value = as_number(row->type, v);
    bool low = false, high = false;
    if (*lo) {
        int r = parse_typed(row->type, lo, &bound, err);
        if (r < 0)
            return r;
        low = !(value >= as_number(row->type, &bound));
    }
    if (*hi) {
        int r = parse_typed(row->type, hi, &bound, err);
        if (r < 0)
            return r;
        high = !(value <= as_number(row->type, &bound));
    }
    if (!low && !high)
        return 0;
    if (!*hi)
        return fl_err_set(err, FL_INVALID, "'%s' is too small; the least is %s", text, lo);
    return fl_err_set(err, FL_INVALID, "'%s' is not between %s and %s", text, *lo ? lo : "0", hi);
}

static int check_choice(const struct fl_flag *row, const char *text, struct fl_err *err)
{
    size_t n = strlen(text);
    for (const char *p = row->check; *p;) {
        size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, text, n) == 0)
            return 0;
        p += len + (p[len] == '|');
    }
    return fl_err_set(err, FL_INVALID, "'%s' is none of %s", text, row->check);
}

int flag_value_parse(const struct fl_flag *row, const char *text, union flag_value *ret_value,
                     struct fl_err *err)
{
    union flag_value v = {0};
    int r = parse_typed(row->type, text, &v, err);
    if (r < 0)
        return r;
    if (row->check) {
        r = types[row->type].is_text ? check_choice(row, text, err)
                                     : check_range(row, text, &v, err);
        if (r < 0) {
            if (types[row->type].is_text)
                free(v.s);
            return r;
        }
    }
    *ret_value = v;
    return 0;
}

char *flag_value_format(enum fl_flag_type type, const union flag_value *v)
{
    char buf[64];
    switch (type) {
    case FLAG_BOOL:
        return xstrdup(v->b ? "true" : "false");
    case FLAG_INT:
        return xasprintf("%" PRId64, v->i);
    case FLAG_UINT:
        return xasprintf("%" PRIu64, v->u);
    case FLAG_DOUBLE:
        return xasprintf("%g", v->d);
    case FLAG_DURATION:
        fl_duration_format(v->u, buf, sizeof(buf));
        return xstrdup(buf);
    case FLAG_BYTES:
        fl_bytes_format(v->u, buf, sizeof(buf));
        return xstrdup(buf);
    case FLAG_STRING:
    case FLAG_PATH_OR_TEXT:
    case FLAG_PATH:
        break;
    }
    return xstrdup(v->s);
}
