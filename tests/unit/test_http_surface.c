/* What a request meets before its handler, and what /help says: redirection to the leader of every route that is the leader's, origins,
 * the tables of documents. */
#include "common/model/api_doc.h"
#include "common/model/http_cors.h"
#include "agent/api/api.h"
#include "master/api/handlers.h"
#include "tests/unit/http_fixture.h"

/* ---- a master that does not lead ---- */

static struct fixture f;
static struct master master;
static struct master_api api = {.master = &master, .standby = true};

static void start(const V1__MasterInfo *leader)
{
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "master",
                                   .limits = http_limits_default,
                                   .routes = master_routes,
                                   .n_routes = master_routes_n,
                                   .arg = &api,
                                   .fallback = plain_not_found,
                                   .before = api_before};

    api.leader = leader;
    fixture_start(&f, &c);
}

static char *ask(const char *path)
{
    _cleanup_free_ char *text =
        xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

    return talk(f.port, text, strlen(text));
}

static void expect(const char *path, const char *status, const char *location)
{
    _cleanup_free_ char *got = ask(path);
    _cleanup_free_ char *head = xasprintf("HTTP/1.1 %s ", status);

    ck_assert_msg(str_starts(got, head), "%s: wanted %s, got %s", path, status, got);
    if (location) {
        _cleanup_free_ char *line = xasprintf("\r\nLocation: %s\r\n", location);
        ck_assert_msg(strstr(got, line) != NULL, "%s: wanted %s in %s", path, line, got);
    }
}

START_TEST(test_standby_redirects)
{
    V1__MasterInfo leader = V1__MASTER_INFO__INIT;
    size_t n = 0;

    leader.hostname = "leader.example";
    leader.port = 5050;
    start(&leader);
    for (size_t i = 0; i < master_routes_n; i++) {
        const char *path = master_routes[i].path;
        _cleanup_free_ char *asked = xasprintf("%s?limit=1&x=%%2F", path);
        _cleanup_free_ char *below = xasprintf("/master%s/", path);
        _cleanup_free_ char *to = xasprintf("//leader.example:5050%s", asked);
        _cleanup_free_ char *to_below = xasprintf("//leader.example:5050%s", below);

        if (!master_routes[i].leader_only)
            continue;
        expect(asked, "307", to);
        expect(below, "307", to_below);
        n++;
    }
    ck_assert_uint_ge(n, 20);
    expect("/redirect", "307", "//leader.example:5050");
    expect("/master/redirect", "307", "//leader.example:5050");
    expect("/redirect/", "404", NULL);
    expect("/redirect/x", "404", NULL);
    expect("/health", "200", NULL);
    expect("/version", "200", NULL);
    expect("/help", "200", NULL);
    expect("/nothing", "404", NULL);
    leader.hostname = "fd00::1";
    expect("/state", "307", "//[fd00::1]:5050/state");
    fixture_stop(&f);
}
END_TEST

START_TEST(test_nobody_leads)
{
    start(NULL);
    for (size_t i = 0; i < master_routes_n; i++)
        if (master_routes[i].leader_only)
            expect(master_routes[i].path, "503", NULL);
    expect("/redirect", "503", NULL);
    expect("/health", "200", NULL);
    fixture_stop(&f);
}
END_TEST

/* Those that the reference redirects; a row that loses its flag is noticed. */
static const char *const leaders[] = {
    "/api/v1",
    "/api/v1/scheduler",
    "/create-volumes",
    "/destroy-volumes",
    "/frameworks",
    "/machine/down",
    "/machine/up",
    "/maintenance/schedule",
    "/maintenance/status",
    "/quota",
    "/reserve",
    "/roles",
    "/slaves",
    "/state",
    "/state-summary",
    "/tasks",
    "/teardown",
    "/unreserve",
    "/weights",
};

static const struct http_route *route_of(const char *path)
{
    for (size_t i = 0; i < master_routes_n; i++)
        if (streq(master_routes[i].path, path))
            return &master_routes[i];
    ck_abort_msg("there is no route '%s'", path);
    return NULL;
}

START_TEST(test_leader_rows)
{
    static const char *const everybody[] = {"/health",           "/version",      "/flags",
                                            "/metrics/snapshot", "/files/browse", "/redirect"};

    ck_assert(route_of(leaders[_i])->leader_only);
    for (size_t i = 0; i < ARRAY_SIZE(everybody); i++)
        ck_assert(!route_of(everybody[i])->leader_only);
}
END_TEST

/* ---- origins ---- */

static const struct {
    const char *list, *origin;
    bool valid, allowed;
} cors_rows[] = {
    {"https://a.example", "https://a.example", true, true},
    {"https://a.example", "http://a.example", true, false},
    {"https://a.example", "https://a.example:8443", true, false},
    {"https://a.example", "https://a.example.evil", true, false},
    {"https://a.example", "null", true, false},
    {"http://x:80, https://a.example:8443", "https://a.example:8443", true, true},
    {"http://x:80,,https://b", "http://x:80", true, true},
    {"*", "https://whoever.example", true, true},
    {"http://[::1]:3000", "http://[::1]:3000", true, true},
    {"a.example", NULL, false, false},
    {"https://", NULL, false, false},
    {"https://a.example/", NULL, false, false},
    {"https://*.example", NULL, false, false},
    {"https://a.example?x", NULL, false, false},
    {"ftp://a.example", NULL, false, false},
};

START_TEST(test_cors)
{
    _cleanup_(http_cors_freep) struct http_cors *c = NULL;
    struct fl_err err = {0};
    int r = http_cors_new(cors_rows[_i].list, &c, &err);

    ck_assert_int_eq(r == 0, cors_rows[_i].valid);
    if (r == 0)
        ck_assert_int_eq(http_cors_allows(c, cors_rows[_i].origin), cors_rows[_i].allowed);
    else
        ck_assert_msg(strstr(err.msg, "https://page.example:8080") != NULL, "%s", err.msg);
}
END_TEST

/* ---- documents ---- */

static const struct api_doc *docs(int i)
{
    return i ? &agent_api_doc : &master_api_doc;
}

/* Sentences that a reader can use: of routes, parameters, answers, calls. */
START_TEST(test_doc_rows)
{
    const struct api_doc *doc = docs(_i);

    ck_assert_int_eq(doc->rows[0].kind, API_DOC_ROUTE);
    for (size_t i = 0; i < doc->n_rows; i++) {
        const struct api_doc_row *r = &doc->rows[i];

        ck_assert_msg(str_ends(r->text, ".") || str_ends(r->text, "}.") || r->text[0] == '{',
                      "%s: '%s' is no sentence", r->name, r->text);
        if (r->kind == API_DOC_ANSWER)
            ck_assert_msg(strlen(r->name) == 3 && strspn(r->name, "0123456789") == 3,
                          "'%s' is no status", r->name);
    }
    for (size_t i = 0; i < doc->n_calls; i++) {
        ck_assert(str_ends(doc->calls[i].text, "."));
        ck_assert_msg(strspn(doc->calls[i].answers, "0123456789 ") == strlen(doc->calls[i].answers),
                      "%s", doc->calls[i].answers);
    }
}
END_TEST

START_TEST(test_doc_text)
{
    const struct api_doc_row *rows = master_api_doc.rows;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT, id = FL_BUF_INIT;
    const char *name;
    size_t seen = 0;

    for (size_t i = 0; i < master_api_doc.n_rows; i++) {
        if (rows[i].kind != API_DOC_ROUTE)
            continue;
        if (streq(rows[i].name, "/tasks")) {
            ck_assert_uint_eq(api_doc_parts(&master_api_doc, &rows[i]), 5);
            api_doc_text(&text, &master_api_doc, &rows[i]);
            seen++;
        }
        api_doc_place(&master_api_doc, &rows[i], &id, &name);
        if (streq(rows[i].name, "/files/read")) {
            ck_assert_str_eq(fl_buf_cstr(&id), "files");
            ck_assert_str_eq(name, "/read");
            seen++;
        }
        if (streq(rows[i].name, "/version")) {
            ck_assert_str_eq(fl_buf_cstr(&id), "version");
            ck_assert_str_eq(name, "/");
            seen++;
        }
        if (streq(rows[i].name, "/api/v1/scheduler")) {
            ck_assert_str_eq(fl_buf_cstr(&id), "master");
            ck_assert_str_eq(name, "/api/v1/scheduler");
            seen++;
        }
    }
    ck_assert_uint_eq(seen, 4);
    ck_assert(
        strstr(fl_buf_cstr(&text), "### USAGE ###\n>        /tasks\n>        /master/tasks\n"));
    ck_assert(strstr(fl_buf_cstr(&text), "### QUERY ###\n>        limit=VALUE\n"));
    ck_assert(strstr(fl_buf_cstr(&text), "mesos-master-readonly"));
    ck_assert(strstr(fl_buf_cstr(&text), "307"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http surface");
    TCase *t = tcase_create("surface");

    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_standby_redirects);
    tcase_add_test(t, test_nobody_leads);
    tcase_add_loop_test(t, test_leader_rows, 0, ARRAY_SIZE(leaders));
    tcase_add_loop_test(t, test_cors, 0, ARRAY_SIZE(cors_rows));
    tcase_add_loop_test(t, test_doc_rows, 0, 2);
    tcase_add_test(t, test_doc_text);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
