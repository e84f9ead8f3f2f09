/* See amounts.h. */
#include "cli/amounts.h"

#include <ctype.h>
#include <time.h>

#define MAX_PARTS 10000

static int bad(struct fl_err *err, const char *text)
{
    return fl_err_set(
        err, FL_INVALID,
        "'%.100s' is no resource: cpus:2, mem:512, ports:[31000-31005] or disks:{a,b}", text);
}

/* "[1-2,5-9]", without the brackets. */
static int add_ranges(char *text, json_t *list, struct fl_err *err)
{
    for (char *next, *word = text; word; word = next) {
        uint64_t from, to;
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        word += strspn(word, " ");
        char *dash = strchr(word, '-');
        if (dash)
            *dash++ = '\0';
        if (fl_parse_u64(word, &from) < 0 || fl_parse_u64(dash ? dash : word, &to) < 0 ||
            from > to || to > INT64_MAX || json_array_size(list) >= MAX_PARTS)
            return fl_err_set(err, FL_INVALID, "'%.40s' is no range of numbers", word);
        json_array_append_new(
            list, json_pack("{s:I, s:I}", "begin", (json_int_t)from, "end", (json_int_t)to));
    }
    return 0;
}

static int add_items(char *text, json_t *list, struct fl_err *err)
{
    for (char *next, *word = text; word; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        word += strspn(word, " ");
        if (!*word || json_array_size(list) >= MAX_PARTS ||
            json_array_append_new(list, json_string(word)) < 0)
            return fl_err_set(err, FL_INVALID, "'%.40s' is no item of a set", word);
    }
    return 0;
}

static int add_value(json_t *o, char *value, struct fl_err *err)
{
    size_t n = strlen(value);
    bool ranges = n > 1 && value[0] == '[' && value[n - 1] == ']',
         set = n > 1 && value[0] == '{' && value[n - 1] == '}';
    double number;

    if (!ranges && !set) {
        if (fl_parse_f64(value, &number) < 0 || !(number > 0) || number > 1e15)
            return bad(err, value);
        json_object_set_new(o, "type", json_string("SCALAR"));
        json_object_set_new(o, "scalar", json_pack("{s:f}", "value", number));
        return 0;
    }
    value[n - 1] = '\0';
    json_t *list = json_array();
    int r = ranges ? add_ranges(value + 1, list, err) : add_items(value + 1, list, err);
    json_object_set_new(o, "type", json_string(ranges ? "RANGES" : "SET"));
    json_object_set_new(o, ranges ? "ranges" : "set",
                        json_pack("{s:o}", ranges ? "range" : "item", list));
    return r;
}

static int add_one(char *word, json_t *to, struct fl_err *err)
{
    size_t n = strcspn(word, ":=");
    json_t *o = json_object();
    int r;

    if (!n || !word[n] || strcspn(word, " /(){}[],") < n) {
        json_decref(o);
        return bad(err, word);
    }
    word[n] = '\0';
    if (json_object_set_new(o, "name", json_string(word)) < 0)
        r = bad(err, "?");
    else
        r = add_value(o, word + n + 1, err);
    if (r == 0)
        json_array_append(to, o);
    json_decref(o);
    return r;
}

int amounts_parse(const char *text, json_t *to, struct fl_err *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    bool any = false;

    for (char *next, *word = copy; word; word = next) {
        next = strchr(word, ';');
        if (next)
            *next++ = '\0';
        word += strspn(word, " ");
        for (size_t n = strlen(word); n && word[n - 1] == ' ';)
            word[--n] = '\0';
        if (!*word)
            continue;
        any = true;
        int r = add_one(word, to, err);
        if (r < 0)
            return r;
    }
    return any ? 0 : bad(err, text);
}

int amounts_scalars(const char *text, json_t *to, struct fl_err *err)
{
    json_t *list = json_array(), *o;
    size_t i;
    int r = amounts_parse(text, list, err);

    json_array_foreach(list, i, o)
    {
        const char *name = json_string_value(json_object_get(o, "name"));
        json_t *scalar = json_object_get(o, "scalar");
        if (r == 0 && !scalar)
            r = fl_err_set(err, FL_INVALID, "'%.40s': only amounts like cpus:2 fit here", name);
        if (r == 0)
            json_object_set(to, name, scalar);
    }
    json_decref(list);
    return r;
}

/* ---- times ---- */

int amounts_duration(const char *text, int64_t *ret_ns, struct fl_err *err)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1},         {"us", 1e3},       {"ms", 1e6},    {"secs", 1e9},
                 {"s", 1e9},        {"mins", 60e9},    {"m", 60e9},    {"hrs", 3600e9},
                 {"h", 3600e9},     {"days", 86400e9}, {"d", 86400e9}, {"weeks", 7 * 86400e9},
                 {"w", 7 * 86400e9}};
    const char *p = text;
    double sum = 0;

    do {
        size_t n = strspn(p, "0123456789."), m = strcspn(p + n, "0123456789."), u;
        char digits[32];
        double value;
        if (n == 0 || fl_snprintf(digits, sizeof(digits), "%.*s", (int)FL_MIN(n, 31u), p) < 0 ||
            fl_parse_f64(digits, &value) < 0)
            break;
        for (u = 0; u < ARRAY_SIZE(units); u++)
            if (strlen(units[u].name) == m && strncmp(units[u].name, p + n, m) == 0)
                break;
        if (u == ARRAY_SIZE(units))
            break;
        sum += value * units[u].ns;
        p += n + m;
    } while (*p);
    if (*p || p == text || sum > 9e18)
        return fl_err_set(err, FL_INVALID, "'%.40s' is no duration: 90s, 30m, 2h, 1d12h", text);
    *ret_ns = (int64_t)sum;
    return 0;
}

int amounts_time(const char *text, int64_t now_ns, int64_t *ret_ns, struct fl_err *err)
{
    struct tm tm = {0};
    const char *end;
    double seconds;
    int64_t ns;

    if (streq(text, "now")) {
        *ret_ns = now_ns;
        return 0;
    }
    if (*text == '+') {
        int r = amounts_duration(text + 1, &ns, err);
        if (r == 0)
            *ret_ns = now_ns + ns;
        return r;
    }
    if (*text == '@' && fl_parse_f64(text + 1, &seconds) == 0 && seconds > 0 && seconds < 9e9) {
        *ret_ns = (int64_t)(seconds * 1e9);
        return 0;
    }
    end = strptime(text, "%Y-%m-%dT%H:%M", &tm);
    if (end && *end == ':')
        end = strptime(end, ":%S", &tm);
    if (!end || !streq(end, "Z"))
        return fl_err_set(err, FL_INVALID,
                          "'%.40s' is no time: now, +2h, 2026-11-30T22:00Z, @SECONDS", text);
    *ret_ns = (int64_t)timegm(&tm) * 1000000000;
    return 0;
}
