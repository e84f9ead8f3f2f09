/* The flags of a program: its rows sorted by name, what each has now, and the sources they are set from. A parse is
 * staged: all values of the command line, the environment and the files are found, read and checked before the first one reaches
 * the program's struct. One thread. */
#include "common/base/flags_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

extern char **environ;

/* The earlier ones win. */
enum source { FROM_CALLER, FROM_DIR, FROM_FILE };

struct flag_state {
    const struct fl_flag *row; /* borrowed from the program's table, or own_rows below */
    char *text;                /* owned; the value as shown, NULL = not set */
    bool given;                /* by any source */

    char *staged;         /* owned; the value to be set, as given */
    char *staged_by;      /* owned; "--port" or "FAIRLEAD_PORT", for messages */
    bool staged_by_alias; /* an older name was used */
    unsigned staged_from; /* enum source */
    union flag_value parsed;
    char *parsed_text; /* owned; NULL = `parsed` is not valid */
};

struct fl_flags {
    char *program;             /* owned */
    char *usage;               /* owned or NULL */
    void *values;              /* borrowed: the program's struct */
    struct flag_state *states; /* owned, sorted by name */
    size_t n;
    char **warnings; /* owned, each owned */
    size_t n_warnings, cap_warnings;
    unsigned source; /* enum source: what is staged now */
    struct own_values {
        bool help;
        bool version;
    } own;
};

/* Every program has these two; their fields are in struct fl_flags itself. */
static const struct fl_flag own_rows[] = {
    {.name = "help",
     .type = FLAG_BOOL,
     .offset = offsetof(struct own_values, help),
     .def = "false",
     .help = "Show this and exit."},
    {.name = "version",
     .type = FLAG_BOOL,
     .offset = offsetof(struct own_values, version),
     .def = "false",
     .help = "Show the version and exit."},
};

static bool is_own(const struct fl_flag *row)
{
    return row >= own_rows && row < own_rows + ARRAY_SIZE(own_rows);
}

static bool is_taken(const struct fl_flag *row)
{
    return row->offset == (size_t)-1;
}

static int compare_states(const void *a, const void *b)
{
    return strcmp(((const struct flag_state *)a)->row->name,
                  ((const struct flag_state *)b)->row->name);
}

/* By name or older name. */
static struct flag_state *find(const struct fl_flags *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fl_flag *row = f->states[i].row;
        if (streq(row->name, name) || (row->alias && streq(row->alias, name)))
            return &f->states[i];
    }
    return NULL;
}

/* ---- storing ---------------------------------------------------------------------------------------------------- */

static void store(struct fl_flags *f, const struct fl_flag *row, const union flag_value *v)
{
    char *base = is_own(row) ? (char *)&f->own : f->values;
    if (is_taken(row)) {
        if (flag_type_is_text(row->type))
            free(v->s);
        return;
    }
    void *field = base + row->offset;
    switch (row->type) {
    case FLAG_BOOL:
        *(bool *)field = v->b;
        break;
    case FLAG_INT:
        *(int64_t *)field = v->i;
        break;
    case FLAG_DOUBLE:
        *(double *)field = v->d;
        break;
    case FLAG_UINT:
    case FLAG_DURATION:
    case FLAG_BYTES:
        *(uint64_t *)field = v->u;
        break;
    case FLAG_STRING:
    case FLAG_PATH_OR_TEXT:
    case FLAG_PATH:
        free(*(char **)field);
        *(char **)field = v->s;
        break;
    }
}

static int set_default(struct fl_flags *f, struct flag_state *s, const char *text,
                       struct fl_err *err)
{
    union flag_value v = {0};
    int r = flag_value_parse(s->row, text, &v, err);
    if (r < 0)
        return fl_err_wrap(err, "default of flag '--%s'", s->row->name);
    free(s->text);
    s->text = flag_value_format(s->row->type, &v);
    store(f, s->row, &v);
    return 0;
}

int fl_flags_new(const char *program, const char *usage, const struct fl_flag *rows, size_t n,
                 void *values, struct fl_flags **ret_flags, struct fl_err *err)
{
    struct fl_flags *f = xnew0(struct fl_flags);
    f->program = xstrdup(program);
    f->usage = usage ? xstrdup(usage) : NULL;
    f->values = values;
    f->states = xcalloc(n + ARRAY_SIZE(own_rows), sizeof(*f->states));
    for (size_t i = 0; i < n; i++)
        f->states[f->n++].row = &rows[i];
    for (size_t i = 0; i < ARRAY_SIZE(own_rows); i++)
        f->states[f->n++].row = &own_rows[i];
    qsort(f->states, f->n, sizeof(*f->states), compare_states);
    for (size_t i = 0; i < f->n; i++) {
        const char *def = f->states[i].row->def;
        int r = def ? set_default(f, &f->states[i], def, err) : 0;
        if (r < 0) {
            fl_flags_free(f);
            return r;
        }
    }
    *ret_flags = f;
    return 0;
}

static void clear_staged(struct flag_state *s)
{
    if (s->parsed_text && flag_type_is_text(s->row->type))
        free(s->parsed.s);
    free(s->parsed_text);
    free(s->staged);
    free(s->staged_by);
    s->parsed_text = s->staged = s->staged_by = NULL;
    s->staged_by_alias = false;
}

void fl_flags_free(struct fl_flags *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        struct flag_state *s = &f->states[i];
        clear_staged(s);
        free(s->text);
        if (flag_type_is_text(s->row->type) && !is_taken(s->row) && !is_own(s->row)) {
            char **field = (char **)((char *)f->values + s->row->offset);
            free(*field);
            *field = NULL;
        }
    }
    for (size_t i = 0; i < f->n_warnings; i++)
        free(f->warnings[i]);
    free(f->warnings);
    free(f->states);
    free(f->program);
    free(f->usage);
    free(f);
}

/* ---- finding values ------------------------------------------------------------------------------------------- */

/* Levenshtein distance, of names short enough for two rows on the stack. */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t n = strlen(b), row[MAX + 1];
    if (n > MAX || strlen(a) > MAX)
        return MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = FL_MIN(replaced, 1 + FL_MIN(row[j], row[j + 1]));
        }
    }
    return row[n];
}

static const char *nearest(const struct fl_flags *f, const char *name)
{
    const char *best = NULL;
    size_t best_distance = FL_MAX(strlen(name) / 2, (size_t)2) + 1;
    for (size_t i = 0; i < f->n; i++) {
        const struct fl_flag *row = f->states[i].row;
        size_t d = row->opts & FLAG_HIDDEN ? SIZE_MAX : distance(name, row->name);
        if (d < best_distance) {
            best_distance = d;
            best = row->name;
        }
    }
    return best;
}

static int unknown(const struct fl_flags *f, const char *name, struct fl_err *err)
{
    const char *near = nearest(f, name);
    if (near)
        return fl_err_set(err, FL_INVALID, "unknown flag '--%s'; did you mean '--%s'?", name, near);
    return fl_err_set(err, FL_INVALID, "unknown flag '--%s'; '%s --help' lists all", name,
                      f->program);
}

/* `name` is lower case and may begin with "no-". `value` NULL: none was written. */
static int stage(struct fl_flags *f, const char *name, const char *value, const char *source,
                 struct fl_err *err)
{
    bool negated = str_starts(name, "no-");
    const char *plain = negated ? name + 3 : name;
    struct flag_state *s = find(f, plain);
    if (!s)
        return unknown(f, plain, err);
    if (s->staged && s->staged_from < f->source)
        return 0;
    if (s->staged)
        return fl_err_set(err, FL_INVALID,
                          "flag '--%s' is given twice, by '%s' and '%s'; leave one out",
                          s->row->name, s->staged_by, source);
    if (s->row->type == FLAG_BOOL) {
        if (negated && value && *value)
            return fl_err_set(err, FL_INVALID, "flag '%s' takes no value; leave out '=%s'", source,
                              value);
        if (!value || !*value)
            value = negated ? "false" : "true";
    } else if (negated) {
        return fl_err_set(err, FL_INVALID, "flag '%s': '--%s' is no switch; write --%s=VALUE",
                          source, plain, plain);
    } else if (!value) {
        return fl_err_set(err, FL_INVALID, "flag '--%s' has no value; write --%s=VALUE (%s)", plain,
                          plain, flag_type_hint(s->row->type));
    }
    s->staged = xstrdup(value);
    s->staged_by = xstrdup(source);
    s->staged_by_alias = s->row->alias && streq(s->row->alias, plain);
    s->staged_from = f->source;
    return 0;
}

static char *lower(const char *s, size_t n)
{
    char *out = xstrndup(s, n);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

/* Variables of the prefix that name no flag are someone else's: the reference hands MESOS_* to its tasks. A flag that
 * is staged already has been set by a source that wins. */
static int stage_environment(struct fl_flags *f, const char *prefix, struct fl_err *err)
{
    size_t skip = strlen(prefix);
    for (char **e = environ; e && *e; e++) {
        const char *eq = strchr(*e, '=');
        if (!eq || !str_starts(*e, prefix))
            continue;
        _cleanup_free_ char *name = lower(*e + skip, (size_t)(eq - *e) - skip);
        _cleanup_free_ char *source = xstrndup(*e, (size_t)(eq - *e));
        struct flag_state *s = find(f, str_starts(name, "no-") ? name + 3 : name);
        if (!s || s->staged || is_own(s->row))
            continue;
        int r = stage(f, name, eq + 1, source, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Names that belong to one row only (LIBPROCESS_SSL_CERT_FILE, ...). */
static int stage_named_variables(struct fl_flags *f, struct fl_err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fl_flag *row = f->states[i].row;
        const char *value = row->env && !f->states[i].staged ? getenv(row->env) : NULL;
        int r = value ? stage(f, row->name, value, row->env, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static char *trimmed(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    return xstrndup(s, n);
}

static int stage_arguments(struct fl_flags *f, int argc, char **argv, int *ret_rest,
                           struct fl_err *err)
{
    int i;
    for (i = 1; i < argc; i++) {
        _cleanup_free_ char *arg = trimmed(argv[i]);
        if (streq(arg, "--")) {
            i++;
            break;
        }
        if (streq(arg, "-h")) {
            free(arg);
            arg = xstrdup("--help");
        }
        if (arg[0] != '-' || arg[1] == '\0')
            break;
        if (!str_starts(arg, "--"))
            return fl_err_set(err, FL_INVALID, "unknown flag '%s'; flags are written --name=value",
                              arg);
        const char *eq = strchr(arg, '=');
        size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
        _cleanup_free_ char *name = lower(arg + 2, len - 2);
        _cleanup_free_ char *source = xstrndup(arg, len);
        int r = stage(f, name, eq ? eq + 1 : NULL, source, err);
        if (r < 0)
            return r;
    }
    *ret_rest = FL_MIN(i, argc);
    return 0;
}

/* ---- files ---- */

static int stage_found(void *arg, const char *name, const char *value, const char *source,
                       struct fl_err *err)
{
    struct fl_flags *f = arg;
    _cleanup_free_ char *folded = lower(name, strlen(name));
    struct flag_state *s = find(f, str_starts(folded, "no-") ? folded + 3 : folded);
    if (s && (is_own(s->row) || (s->row->opts & (FLAG_SOURCE_FILE | FLAG_SOURCE_DIR))))
        return fl_err_set(err, FL_INVALID,
                          "%s: flag '--%s' cannot be set in a file; write it on the command line",
                          source, s->row->name);
    int r = stage(f, folded, value, source, err);
    if (r == 0)
        return 0;
    return strstr(err->msg, source) ? r : fl_err_wrap(err, "%s", source);
}

static int stage_from(struct fl_flags *f, struct flag_state *s, struct fl_err *err)
{
    _cleanup_free_ char *path = NULL;
    int r = flag_fetch(FLAG_PATH, s->staged, &path, err);
    if (r == 0)
        r = f->source == FROM_FILE ? flag_file_each(path, stage_found, f, err)
                                   : flag_dir_each(path, stage_found, f, err);
    return r < 0 ? fl_err_wrap(err, "flag '%s'", s->staged_by) : 0;
}

/* What the command line or the environment has staged for rows that name files. */
static int stage_files(struct fl_flags *f, unsigned option, enum source source, struct fl_err *err)
{
    int r = 0;
    f->source = source;
    for (size_t i = 0; r == 0 && i < f->n; i++) {
        if (f->states[i].staged && (f->states[i].row->opts & option))
            r = stage_from(f, &f->states[i], err);
    }
    f->source = FROM_CALLER;
    return r;
}

/* ---- the parse --------------------------------------------------------------------------------------------------- */

static int check_staged(struct flag_state *s, struct fl_err *err)
{
    _cleanup_free_ char *text = NULL;
    if (!s->staged)
        return 0;
    int r = flag_fetch(s->row->type, s->staged, &text, err);
    if (r == 0)
        r = flag_value_parse(s->row, text, &s->parsed, err);
    if (r < 0)
        return fl_err_wrap(err, "flag '%s'", s->staged_by);
    s->parsed_text = flag_value_format(s->row->type, &s->parsed);
    return 0;
}

static bool asks_for_exit(const struct fl_flags *f)
{
    return find(f, "help")->staged || find(f, "version")->staged;
}

static bool wants_exit(struct fl_flags *f)
{
    const struct flag_state *help = find(f, "help"), *version = find(f, "version");
    return (help->parsed_text && help->parsed.b) || (version->parsed_text && version->parsed.b);
}

static int check_required(const struct fl_flags *f, struct fl_err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct flag_state *s = &f->states[i];
        if ((s->row->opts & FLAG_REQUIRED) && !s->parsed_text && !s->given)
            return fl_err_set(err, FL_INVALID, "flag '--%s' is required; write --%s=VALUE (%s)",
                              s->row->name, s->row->name, flag_type_hint(s->row->type));
    }
    return 0;
}

static void warn(struct fl_flags *f, char *text)
{
    f->warnings = xgrow(f->warnings, &f->cap_warnings, f->n_warnings + 1, sizeof(*f->warnings));
    f->warnings[f->n_warnings++] = text;
}

static void commit(struct fl_flags *f, struct flag_state *s)
{
    if (s->row->opts & FLAG_IGNORED)
        warn(f, xasprintf("--%s has no meaning here, ignoring: %s", s->row->name, s->row->help));
    else if (is_taken(s->row) && (s->row->opts & FLAG_REPLACED))
        warn(f, xasprintf("--%s is replaced here: %s", s->row->name, s->row->help));
    if (s->staged_by_alias)
        warn(f, xasprintf("'%s' is an older name, write --%s", s->staged_by, s->row->name));
    store(f, s->row, &s->parsed);
    free(s->text);
    s->text = TAKE_PTR(s->parsed_text);
    s->given = true;
}

int fl_flags_parse(struct fl_flags *f, int argc, char **argv, int *ret_rest, bool *ret_help,
                   bool *ret_version, struct fl_err *err)
{
    int rest = argc;
    int r = stage_arguments(f, argc, argv, &rest, err);
    if (r == 0)
        r = stage_environment(f, "FAIRLEAD_", err);
    if (r == 0)
        r = stage_environment(f, "MESOS_", err);
    if (r == 0)
        r = stage_named_variables(f, err);
    if (r == 0 && !asks_for_exit(f))
        r = stage_files(f, FLAG_SOURCE_DIR, FROM_DIR, err);
    if (r == 0 && !asks_for_exit(f))
        r = stage_files(f, FLAG_SOURCE_FILE, FROM_FILE, err);
    for (size_t i = 0; r == 0 && i < f->n; i++)
        r = check_staged(&f->states[i], err);
    if (r == 0 && !wants_exit(f))
        r = check_required(f, err);
    for (size_t i = 0; i < f->n; i++) {
        if (r == 0 && f->states[i].parsed_text)
            commit(f, &f->states[i]);
        clear_staged(&f->states[i]);
    }
    if (r < 0)
        return r;
    *ret_rest = rest;
    *ret_help = f->own.help;
    *ret_version = f->own.version;
    return 0;
}

int fl_flags_set_default(struct fl_flags *f, const char *name, const char *text, struct fl_err *err)
{
    struct flag_state *s = find(f, name);
    assert(s);
    return s->given ? 0 : set_default(f, s, text, err);
}

int fl_flags_exclude(const struct fl_flags *f, const struct fl_flag_pair *pairs, size_t n,
                     struct fl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (fl_flags_given(f, pairs[i].a) && fl_flags_given(f, pairs[i].b))
            return fl_err_set(err, FL_INVALID,
                              "flags '--%s' and '--%s' exclude each other; leave one out",
                              pairs[i].a, pairs[i].b);
    }
    return 0;
}

bool fl_flags_given(const struct fl_flags *f, const char *name)
{
    const struct flag_state *s = find(f, name);
    return s && s->given;
}

void fl_flags_warnings(const struct fl_flags *f, void (*fn)(const char *text, void *arg), void *arg)
{
    for (size_t i = 0; i < f->n_warnings; i++)
        fn(f->warnings[i], arg);
}

void fl_flags_each(const struct fl_flags *f,
                   void (*fn)(const char *name, const char *text, void *arg), void *arg)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct flag_state *s = &f->states[i];
        if (s->text)
            fn(s->row->name, s->row->opts & FLAG_SECRET ? "***" : s->text, arg);
    }
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

/* Adds help text, its lines indented by `indent` and folded at 100 columns. */
static void add_folded(struct fl_buf *out, const char *text, size_t indent)
{
    size_t column = 0;
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (column > 0 && indent + column + 1 + len > 100) {
            fl_buf_addc(out, '\n');
            column = 0;
        }
        if (column == 0)
            fl_buf_addf(out, "%*s", (int)indent, "");
        else
            fl_buf_addc(out, ' ');
        fl_buf_add(out, text, len);
        column += len + (column > 0);
        text += len;
        while (*text == ' ' || *text == '\n')
            text++;
    }
    fl_buf_addc(out, '\n');
}

void fl_flags_help(const struct fl_flags *f, struct fl_buf *out)
{
    if (f->usage)
        fl_buf_addf(out, "%s\n\n", f->usage);
    else
        fl_buf_addf(out, "Usage: %s [--name=value ...]\n\n", f->program);
    for (size_t i = 0; i < f->n; i++) {
        const struct fl_flag *row = f->states[i].row;
        if (row->opts & FLAG_HIDDEN)
            continue;
        fl_buf_addf(out, row->type == FLAG_BOOL ? "  --[no-]%s" : "  --%s=VALUE", row->name);
        if (row->alias)
            fl_buf_addf(out, "  (older name: --%s)", row->alias);
        if (row->def && *row->def)
            fl_buf_addf(out, "  (default: %s)", row->def);
        if (row->opts & FLAG_REQUIRED)
            fl_buf_adds(out, "  (required)");
        if (row->opts & (FLAG_IGNORED | FLAG_REPLACED) && is_taken(row))
            fl_buf_adds(out, row->opts & FLAG_IGNORED ? "  (ignored)" : "  (replaced)");
        fl_buf_addc(out, '\n');
        add_folded(out, row->help, 6);
    }
}

static const char *const type_names[] = {
    [FLAG_BOOL] = "switch",  [FLAG_INT] = "integer",
    [FLAG_UINT] = "integer", [FLAG_DOUBLE] = "number",
    [FLAG_STRING] = "text",  [FLAG_DURATION] = "duration",
    [FLAG_BYTES] = "size",   [FLAG_PATH_OR_TEXT] = "text or file",
    [FLAG_PATH] = "path",
};

static void add_cell(struct fl_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fl_buf_addc(out, '\\');
        fl_buf_addc(out, *text == '\n' ? ' ' : *text);
    }
}

void fl_flags_markdown(const struct fl_flags *f, struct fl_buf *out)
{
    fl_buf_adds(out, "| flag | type | default | what |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < f->n; i++) {
        const struct fl_flag *row = f->states[i].row;
        if (row->opts & FLAG_HIDDEN)
            continue;
        fl_buf_addf(out, "| `--%s` | %s | ", row->name, type_names[row->type]);
        if (row->def && *row->def) {
            fl_buf_addc(out, '`');
            add_cell(out, row->def);
            fl_buf_addc(out, '`');
        }
        fl_buf_adds(out, row->opts & FLAG_REQUIRED ? "required | " : " | ");
        if (row->opts & FLAG_IGNORED)
            fl_buf_adds(out, "*Ignored.* ");
        else if (is_taken(row))
            fl_buf_adds(out, "*Replaced.* ");
        add_cell(out, row->help);
        if (row->check) {
            fl_buf_adds(out, " Values: `");
            add_cell(out, row->check);
            fl_buf_adds(out, "`.");
        }
        if (row->alias)
            fl_buf_addf(out, " Older name: `--%s`.", row->alias);
        fl_buf_adds(out, " |\n");
    }
}
