/* The pure parts of the command line: tables, names, amounts, the configuration file, options, completion. */
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/amounts.h"
#include "cli/complete.h"
#include "cli/config.h"
#include "cli/find.h"

/* ---- tables ---- */

static unsigned columns_of(const char *s, size_t n)
{
    wchar_t wide[400];
    _cleanup_free_ char *copy = xstrndup(s, n);
    size_t k = mbstowcs(wide, copy, ARRAY_SIZE(wide));

    ck_assert_msg(k != (size_t)-1, "'%s' is no UTF-8", copy);
    return (unsigned)wcswidth(wide, k);
}

static struct table *wide_table(void)
{
    static const char *const heads[] = {"~ID", "NAME", "?STATE", "#CPUS"};
    struct table *t = table_new(heads, ARRAY_SIZE(heads));

    table_cell(t, "4d793af2-ab72-4260-b771-0cc92c8b2ce0-S12");
    table_cell(t, "a name that is long \xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97 and wide");
    table_cell(t, "TASK_RUNNING");
    table_cell(t, "%g", 12.5);
    table_cell(t, "short");
    table_cell(t, "evil\n\033[2Jname\xff");
    table_cell(t, "TASK_FAILED");
    table_cell(t, "%s", "");
    return t;
}

START_TEST(tables_fit)
{
    struct table *t = wide_table();

    for (unsigned width = 1; width < 200; width++) {
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
        const struct table_style s = {.width = width, .utf8 = true};
        unsigned lines = 0;
        table_text(t, &s, &out);
        for (const char *p = fl_buf_cstr(&out); *p; p += strcspn(p, "\n") + 1) {
            ck_assert_uint_le(columns_of(p, strcspn(p, "\n")), width);
            lines++;
        }
        ck_assert_uint_eq(lines, 3);
        ck_assert_ptr_null(strchr(out.data, '\033'));
    }
    table_free(t);
}
END_TEST

START_TEST(tables_shorten_ids_in_the_middle)
{
    struct table *t = wide_table();
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT, whole = FL_BUF_INIT, ids = FL_BUF_INIT;
    const struct table_style narrow = {.width = 60, .utf8 = true}, any = {0},
                             first = {.first_only = true, .width = 10};

    table_text(t, &narrow, &out);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&out), "\xe2\x80\xa6"));
    ck_assert_ptr_nonnull(strstr(out.data, "-S12 "));
    ck_assert_ptr_nonnull(strstr(out.data, " 12.5\n"));
    table_text(t, &any, &whole);
    ck_assert_ptr_nonnull(
        strstr(fl_buf_cstr(&whole), "4d793af2-ab72-4260-b771-0cc92c8b2ce0-S12  a name"));
    ck_assert_ptr_nonnull(strstr(whole.data, "evil ?[2Jname?"));
    table_text(t, &first, &ids);
    ck_assert_str_eq(fl_buf_cstr(&ids), "4d793af2-ab72-4260-b771-0cc92c8b2ce0-S12\nshort\n");
    table_free(t);
}
END_TEST

START_TEST(tables_have_colours_and_rows)
{
    struct table *t = wide_table();
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT, few = FL_BUF_INIT;
    const struct table_style colours = {.colours = true, .no_headers = true},
                             rows = {.max_rows = 2};

    table_text(t, &colours, &out);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&out), "\033[32mTASK_RUNNING\033[0m"));
    ck_assert_ptr_nonnull(strstr(out.data, "\033[31mTASK_FAILED\033[0m"));
    ck_assert_ptr_null(strstr(out.data, "NAME"));
    table_text(t, &rows, &few);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&few), "... and 2 more\n"));
    table_free(t);
}
END_TEST

/* ---- names ---- */

START_TEST(names)
{
    static const struct candidate list[] = {
        {"aa11-0000-S1", "host1"}, {"aa11-0000-S10", "host1"}, {"bb22-0000-S2", "host2"},
        {"bb", "aa11-0000-S1"},    {"bb22-0000-S2", "host2"},
    };
    static const struct {
        const char *word;
        enum match match;
        size_t index;
    } rows[] = {
        {"aa11-0000-S1", MATCH_ONE, 0}, /* an id, though another begins so and a third is called so */
        {"bb", MATCH_ONE, 3},           {"S10", MATCH_ONE, 1},
        {"s10", MATCH_ONE, 1},          {"S1", MATCH_ONE, 0},
        {"aa", MATCH_MANY, 0},          {"host1", MATCH_MANY, 0},
        {"host2", MATCH_MANY, 0},       {"bb2", MATCH_ONE, 2},
        {"host", MATCH_NONE, 0},        {"", MATCH_NONE, 0},
        {"zz", MATCH_NONE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t at = 99;
        enum match m = id_match(list, ARRAY_SIZE(list), rows[i].word, &at);
        ck_assert_msg(m == rows[i].match, "'%s': %d", rows[i].word, (int)m);
        if (m == MATCH_ONE)
            ck_assert_msg(at == rows[i].index, "'%s': %zu", rows[i].word, at);
    }
}
END_TEST

/* ---- amounts ---- */

START_TEST(amounts)
{
    static const char *const bad[] = {
        "",        "cpus",     "cpus:",     "cpus:x",      "cpus:-1",
        "cpus:0",  ":1",       "cpus:nan",  "ports:[5-1]", "ports:[a]",
        "ports:[", "disks:{}", "cpus(r):1", ";",           "ports:[]"};
    _cleanup_json_ json_t *list = json_array();
    struct fl_err err = {0};

    ck_assert_int_eq(amounts_parse("cpus:2; mem=32.5;ports:[1-5, 9];disks:{a,b}", list, &err), 0);
    _cleanup_free_ char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text,
                     "[{\"name\":\"cpus\",\"scalar\":{\"value\":2.0},\"type\":\"SCALAR\"},"
                     "{\"name\":\"mem\",\"scalar\":{\"value\":32.5},\"type\":\"SCALAR\"},"
                     "{\"name\":\"ports\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":5},"
                     "{\"begin\":9,\"end\":9}]},\"type\":\"RANGES\"},"
                     "{\"name\":\"disks\",\"set\":{\"item\":[\"a\",\"b\"]},\"type\":\"SET\"}]");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(amounts_parse(bad[i], list, &err) < 0, "'%s'", bad[i]);
    _cleanup_json_ json_t *scalars = json_object();
    ck_assert_int_eq(amounts_scalars("cpus:2;mem:3", scalars, &err), 0);
    ck_assert_uint_eq(json_object_size(scalars), 2);
    ck_assert_int_lt(amounts_scalars("ports:[1-2]", scalars, &err), 0);
}
END_TEST

START_TEST(times)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"90s", 90000000000},
                {"1d12h", 129600000000000},
                {"500ms", 500000000},
                {"1.5hrs", 5400000000000},
                {"2weeks", 1209600000000000}};
    static const char *const bad[] = {"", "s", "5", "5x", "-5s", "1h!", "99999999999999w", "1..2s"};
    struct fl_err err = {0};
    int64_t ns;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        ck_assert_int_eq(amounts_duration(good[i].text, &ns, &err), 0);
        ck_assert_int_eq(ns, good[i].ns);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(amounts_duration(bad[i], &ns, &err) < 0, "'%s'", bad[i]);
    ck_assert_int_eq(amounts_time("now", 7, &ns, &err), 0);
    ck_assert_int_eq(ns, 7);
    ck_assert_int_eq(amounts_time("+1s", 7, &ns, &err), 0);
    ck_assert_int_eq(ns, 1000000007);
    ck_assert_int_eq(amounts_time("2026-11-30T22:00Z", 7, &ns, &err), 0);
    ck_assert_int_eq(ns, 1796076000000000000);
    ck_assert_int_eq(amounts_time("2026-11-30T22:00:01Z", 7, &ns, &err), 0);
    ck_assert_int_eq(ns, 1796076001000000000);
    ck_assert_int_lt(amounts_time("2026-11-30", 7, &ns, &err), 0);
    ck_assert_int_lt(amounts_time("tomorrow", 7, &ns, &err), 0);
}
END_TEST

/* ---- configuration ---- */

START_TEST(config_round)
{
    static const char text[] =
        "# note\ncurrent = prod\r\n\n[prod]\nmaster = a:1,b:2\n  secret=  s=x \n"
        "[test.1]\nmaster = https://t\n";
    _cleanup_config_ struct config c = {0}, again = {0};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct fl_err err = {0};

    ck_assert_int_eq(config_parse(text, sizeof(text) - 1, &c, &err), 0);
    ck_assert_str_eq(c.current, "prod");
    ck_assert_uint_eq(c.n, 2);
    ck_assert_str_eq(config_find(&c, "prod")->values[CONFIG_SECRET], "s=x");
    config_format(&c, &out);
    ck_assert_int_eq(config_parse(out.data, out.len, &again, &err), 0);
    ck_assert_str_eq(config_find(&again, "test.1")->values[CONFIG_MASTER], "https://t");
    ck_assert(config_remove(&again, "prod"));
    ck_assert_ptr_null(again.current);
    ck_assert(!config_remove(&again, "prod"));
    ck_assert_int_lt(context_set(config_find(&again, "test.1"), CONFIG_TOKEN, "a\nb", &err), 0);
}
END_TEST

START_TEST(config_hostile)
{
    static const char *const bad[] = {
        "geheim",
        "master = x",
        "[a",
        "[]",
        "[a b]",
        "[../x]",
        "[-a]",
        "[a]\nmaster = x\nmaster = y",
        "[a]\n[a]",
        "[a]\nunknown = geheim",
        "[a]\nmaster",
        "[a]\nmaster =",
        "[a]\nsecret = geheim\x01",
        "current = a b",
        "current =",
        "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
    };
    struct config c;
    struct fl_err err = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(config_parse(bad[i], strlen(bad[i]), &c, &err) < 0, "'%s'", bad[i]);
        ck_assert_msg(str_starts(err.msg, "line "), "%s", err.msg);
        ck_assert_msg(!strstr(err.msg, "geheim"), "%s", err.msg);
    }
    ck_assert_int_lt(config_parse("[a]\n\0x", 6, &c, &err), 0);
    _cleanup_free_ char *big = xcalloc(CONFIG_MAX_BYTES + 1, 1);
    memset(big, '\n', CONFIG_MAX_BYTES + 1);
    ck_assert_int_lt(config_parse(big, CONFIG_MAX_BYTES + 1, &c, &err), 0);
    ck_assert_int_eq(config_parse(big, CONFIG_MAX_BYTES, &c, &err), 0);
    config_done(&c);
    /* Every piece of a good text is taken or refused, and leaves nothing behind. */
    static const char text[] = "current = p\n[p]\nmaster = a\nsecret = b\n";
    for (size_t n = 0; n < sizeof(text); n++)
        if (config_parse(text, n, &c, NULL) == 0)
            config_done(&c);
}
END_TEST

START_TEST(config_files)
{
    char dir[] = "/tmp/fairlead-test-cli-XXXXXX";
    _cleanup_config_ struct config c = {0}, back = {0};
    struct fl_err err = {0};
    struct stat st;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    _cleanup_free_ char *path = xasprintf("%s/fairlead/config", dir);
    _cleanup_free_ char *folder = xasprintf("%s/fairlead", dir);
    ck_assert_int_eq(config_read(path, &back, &err), 0);
    ck_assert_uint_eq(back.n, 0);
    ck_assert_int_eq(context_set(config_add(&c, "a"), CONFIG_SECRET, "s", &err), 0);
    ck_assert_int_eq(config_write(path, &c, &err), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(config_read(path, &back, &err), 0);
    ck_assert_str_eq(back.contexts[0].values[CONFIG_SECRET], "s");
    config_done(&back);
    /* With a secret nobody else reads it; nobody else ever writes it. */
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_lt(config_read(path, &back, &err), 0);
    ck_assert_int_eq(chmod(path, 0620), 0);
    ck_assert_int_lt(config_read(path, &back, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "chmod 600"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_lt(config_read(path, &back, &err), 0);
    ck_assert_int_lt(config_write(path, &c, &err), 0);
    rmdir(path);
    rmdir(folder);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing half-written stays */
}
END_TEST

/* ---- words ---- */

START_TEST(options)
{
    static const struct verb v = {.name = "tasks", .flags = V_LOCAL | V_LISTS | V_ASKS};
    bool all = false;
    const char *agent = NULL;
    const struct opt opts[] = {{"--all", OPT_FLAG, &all, "", 'a'},
                               {"--agent AGENT", OPT_TEXT, &agent, "", 0}};
    struct cli c = {.verb = &v};
    char *argv[] = {"tasks",   "one",    "-a", "two",   "--agent", "x",
                    "--watch", "--json", "--", "--all", NULL};
    int code, i = opt_parse(&c, opts, 2, 10, argv, &code);

    ck_assert_int_eq(i, 7);
    ck_assert_str_eq(argv[7], "one");
    ck_assert_str_eq(argv[8], "two");
    ck_assert_str_eq(argv[9], "--all");
    ck_assert(all && c.json);
    ck_assert_str_eq(agent, "x");
    ck_assert(c.watch_s == 2);
    static const struct verb raw = {.name = "exec", .flags = V_LOCAL | V_RAW};
    c.verb = &raw;
    char *words[] = {"exec", "--agent=y", "task", "--all", NULL};
    ck_assert_int_eq(opt_parse(&c, opts, 2, 4, words, &code), 2);
    ck_assert_str_eq(agent, "y");
}
END_TEST

static bool completes(const char *line, const char *word)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    _cleanup_free_ char *copy = xstrdup(line), *wanted = xasprintf("\n%s\t", word);
    char *words[16];
    int n = 0;

    for (char *p = copy; p; n++) {
        words[n] = p;
        p = strchr(p, ' ');
        if (p)
            *p++ = '\0';
    }
    fl_buf_adds(&out, "\n");
    complete_words(n, words, &out);
    return strstr(fl_buf_cstr(&out), wanted) != NULL;
}

START_TEST(completions)
{
    static const char *const rows[][2] = {
        {"", "tasks"},
        {"qu", "quota"},
        {"quota ", "set"},
        {"quota s", "set"},
        {"maint", "maintenance"},
        {"maintenance ", "down"},
        {"--con", "--context"},
        {"tasks --st", "--state"},
        {"tasks --state r", "running"},
        {"tasks --state=r", "--state=running"},
        {"tasks --state running --a", "--all"},
        {"completion ", "zsh"},
        {"events -t ag", "agent"},
        {"kill --y", "--yes"},
        {"--quiet tasks --wi", "--wide"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(completes(rows[i][0], rows[i][1]), "'%s'", rows[i][0]);
    ck_assert(!completes("", "__complete"));
    ck_assert(!completes("roles ", "set"));
    ck_assert(!completes("exec a b --", "--user")); /* the user's own command */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli");
    TCase *t = tcase_create("cli");
    setlocale(LC_CTYPE, "C.UTF-8");
    tcase_add_test(t, tables_fit);
    tcase_add_test(t, tables_shorten_ids_in_the_middle);
    tcase_add_test(t, tables_have_colours_and_rows);
    tcase_add_test(t, names);
    tcase_add_test(t, amounts);
    tcase_add_test(t, times);
    tcase_add_test(t, config_round);
    tcase_add_test(t, config_hostile);
    tcase_add_test(t, config_files);
    tcase_add_test(t, options);
    tcase_add_test(t, completions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
