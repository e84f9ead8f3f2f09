/* GET /page/events at a real server, over a master's core whose clock is ours. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/master_world.h"

#include "master/api/handlers.h"
#include "master/api/state.h"

#define TURN (W_SECOND / 4)

static struct world w;
static struct master_api api;
static struct fl_loop *loop;
static struct http_server *server;
static struct fl_timer *tick;
static struct acls *acls;

struct page {
    int fd;
    struct fl_buf got;
    size_t seen; /* bytes that tests have looked at */
    bool closed;
};

static void on_tick(void *arg)
{
}

static void start(const char *const *flags, size_t max_unsent)
{
    static const struct http_route routes[] = {
        {.path = "/page/events", .handler = page_events_get, .exact = true}};
    struct http_server_config c = {
        .ip = "127.0.0.1",
        .process_id = "master",
        .limits = http_limits_default,
        .routes = routes,
        .n_routes = 1,
        .arg = &api,
    };
    struct fl_err err;

    w_init(&w, flags);
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w_pass(&w, W_SECOND);
    c.limits.max_unsent = max_unsent;
    ck_assert_int_eq(fl_loop_new(&loop, &err), 0);
    ck_assert_int_eq(http_server_new(loop, &c, &server, &err), 0);
    tick = fl_timer_new(loop, on_tick, NULL);
    api = (struct master_api){.master = w.m};
    page_metrics(&api);
}

static void stop(void)
{
    api_done(&api);
    http_server_free(server);
    page_free(&api);
    state_free(&api);
    fl_timer_free(tick);
    fl_loop_free(loop);
    w.m->acls = NULL;
    w_done(&w);
    acls_free(acls);
    acls = NULL;
}

/* ---- pages ---- */

static void turn_loop(void)
{
    fl_timer_set(tick, 500);
    fl_loop_run_once(loop);
}

static void page_open(struct page *p, int receive_buffer)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(http_server_port(server)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char request[] = "GET /page/events HTTP/1.1\r\nHost: x\r\n\r\n";

    *p = (struct page){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (receive_buffer)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    ck_assert_int_eq(connect(p->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(send(p->fd, request, strlen(request), MSG_NOSIGNAL), (int)strlen(request));
}

static void page_read(struct page *p)
{
    ssize_t n;

    while ((n = recv(p->fd, fl_buf_reserve(&p->got, 65536), 65536, MSG_DONTWAIT)) > 0)
        p->got.len += (size_t)n;
    p->closed |= n == 0;
}

static void page_close(struct page *p)
{
    close(p->fd);
    fl_buf_done(&p->got);
}

/* What came since the last call, up to the end of `part`. */
static const char *page_until(struct page *p, const char *part)
{
    const char *from, *found;

    for (int i = 0; i < 20000; i++) {
        from = fl_buf_cstr(&p->got) + p->seen;
        found = strstr(from, part);
        if (found) {
            size_t end = (size_t)(found - p->got.data) + strlen(part);
            static char text[1 << 20];

            fl_snprintf(text, sizeof(text), "%.*s", (int)(end - p->seen), from);
            p->seen = end;
            return text;
        }
        turn_loop();
        page_read(p);
    }
    ck_abort_msg("no '%s' in: %s", part, fl_buf_cstr(&p->got) + p->seen);
}

static void until_no_streams(void)
{
    for (int i = 0; i < 20000 && w.m->changes; i++)
        turn_loop();
    ck_assert_ptr_null(w.m->changes);
}

static void if_pages(const char *name, double value, void *arg)
{
    if (streq(name, "master/page_subscribers"))
        *(double *)arg = value;
}

static unsigned n_pages(void)
{
    double n = -1;

    metrics_each(w.metrics, if_pages, &n);
    return (unsigned)n;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)); text++)
        n++;
    return n;
}

static void launch(const char *id)
{
    w_pass(&w, 2 * W_SECOND);
    w_launch(&w, "s1", id, W_CPUS("0.1"));
}

static void in_order(const char *text, const char *const *parts)
{
    for (; *parts; parts++) {
        const char *at = strstr(text, *parts);
        ck_assert_msg(at != NULL, "no '%s' (any more) in: %s", *parts, text);
        text = at;
    }
}

/* ---- tests ---- */

START_TEST(picture_then_changes)
{
    struct page p;
    const char *text;

    start(NULL, 1 << 20);
    launch("t1");
    page_open(&p, 0);
    text = page_until(&p, "event: beat\n");
    in_order(text, (const char *const[]){"200 OK", "text/event-stream", "event: hello\n",
                                         "event: agents\n", "event: frameworks\n", "event: roles\n",
                                         "event: tasks\n", "\"t1\"", "\"STAGING\"",
                                         "event: ready\n", NULL});
    w_status(&w, "a1", "t1", "TASK_STARTING", W_UUID, NULL);
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    launch("t2"); /* two seconds, in which turns come */
    w_status(&w, "a1", "t2", "TASK_STARTING", W_UUID, NULL);
    w_status(&w, "a1", "t2", "TASK_RUNNING", W_UUID, NULL);
    w_status(&w, "a1", "t2", "TASK_FINISHED", W_UUID, NULL);
    w_pass(&w, TURN);
    text = page_until(&p, "\"FINISHED\"");
    ck_assert_uint_eq(count(text, "\"t1\""), 1);
    ck_assert_uint_eq(count(text, "\"t2\""), 1);
    ck_assert_ptr_nonnull(strstr(text, "\"RUNNING\""));
    w_pass(&w, W_SECOND);
    page_until(&p, "event: agents\n");
    w_pass(&w, 3 * W_SECOND);
    page_until(&p, "event: beat\n");
    page_close(&p);
    stop();
}
END_TEST

/* Another process writes the picture; what happens meanwhile comes behind it. */
START_TEST(changes_wait_behind_the_picture)
{
    struct page p;
    const char *text;

    start((const char *[]){"--state_snapshot_objects=1", NULL}, 1 << 20);
    launch("t1");
    page_open(&p, 0);
    while (!w.m->changes)
        turn_loop();
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_pass(&w, TURN);
    text = page_until(&p, "\"RUNNING\"");
    in_order(text, (const char *const[]){"event: hello\n", "\"STAGING\"", "event: ready\n",
                                         "event: tasks\n", "\"RUNNING\"", NULL});
    page_close(&p);
    stop();
}
END_TEST

START_TEST(coming_again)
{
    struct page first, second;

    start(NULL, 1 << 20);
    page_open(&first, 0);
    page_until(&first, "event: ready\n");
    launch("t1");
    page_close(&first);
    until_no_streams();
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    page_open(&second, 0);
    ck_assert_uint_eq(count(page_until(&second, "event: ready\n"), "\"RUNNING\""), 1);
    w_status(&w, "a1", "t1", "TASK_KILLED", W_UUID, NULL);
    w_pass(&w, TURN);
    page_until(&second, "\"KILLED\"");
    page_close(&second);
    stop();
}
END_TEST

START_TEST(slow_readers_are_closed)
{
    struct page slow, quick;
    _cleanup_free_ char *host = xcalloc(1, 100001);
    _cleanup_free_ char *rest = NULL;
    struct framework *f;

    start(NULL, 256 * 1024);
    memset(host, 'h', 100000);
    rest = xasprintf(",\"hostname\":\"%s\"", host);
    w_subscribe(&w, "s2", rest);
    f = master_framework(w.m, w.fid);
    page_open(&slow, 4096);
    page_open(&quick, 0);
    page_until(&slow, "event: hello\n");
    page_until(&quick, "event: ready\n");
    /* What the kernel takes for it may be some megabytes. */
    for (int i = 0; i < 1000 && n_pages() == 2; i++) {
        framework_changed(f, true);
        w_pass(&w, TURN);
        page_until(&quick, "event: frameworks\n");
        quick.seen = quick.got.len = 0;
    }
    ck_assert_uint_eq(n_pages(), 1);
    ck_assert(!quick.closed);
    master_framework_closed(w.m, (void *)"s1");
    w_pass(&w, TURN);
    page_until(&quick, "\"completed\"");
    page_close(&slow);
    page_close(&quick);
    stop();
}
END_TEST

/* Two pages, of whom one may see no tasks: each has its own events, also of what is gone. */
START_TEST(filtered)
{
    struct page p;
    struct fl_err err;
    const char *text;

    start((const char *[]){"--max_completed_tasks_per_framework=0", NULL}, 1 << 20);
    ck_assert_int_eq(acls_parse("{\"view_tasks\":[{\"principals\":{\"type\":\"ANY\"},\"users\":{"
                                "\"type\":\"NONE\"}}]}",
                                &acls, &err),
                     0);
    w.m->acls = acls;
    page_open(&p, 0);
    page_until(&p, "event: ready\n");
    launch("t1");
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    ck_assert_int_eq(master_teardown(w.m, w.fid, &err), 0);
    w_pass(&w, TURN);
    text = page_until(&p, "\"completed\"");
    w_pass(&w, 3 * W_SECOND);
    text = page_until(&p, "event: beat\n");
    text = fl_buf_cstr(&p.got);
    ck_assert_ptr_null(strstr(text, "event: tasks\n"));
    ck_assert_ptr_null(strstr(text, "\"tasks\":[")); /* of `gone` */
    ck_assert_ptr_nonnull(strstr(text, "event: frameworks\n"));
    page_close(&p);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("page stream");
    TCase *tc = tcase_create("events");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(tc, picture_then_changes);
    tcase_add_test(tc, changes_wait_behind_the_picture);
    tcase_add_test(tc, coming_again);
    tcase_add_test(tc, slow_readers_are_closed);
    tcase_add_test(tc, filtered);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
