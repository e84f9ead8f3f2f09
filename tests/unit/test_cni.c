/* network/cni without a network: configurations, what plug-ins are given and answer, resolvers, files in an image, rules of iptables. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "isolators/cni/files.h"
#include "isolators/cni/iptables_rule.h"
#include "isolators/cni/conf.h"
#include "isolators/cni/state.h"

static char dir[] = "/tmp/test-cni-XXXXXX";

static void open_dir(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void close_dir(void)
{
    ck_assert_int_eq(cni_folder_remove(dir, 6), 0);
}

static json_t *parse(const char *text)
{
    json_t *conf = NULL;
    struct fl_err err = {.msg = ""};

    ck_assert_msg(cni_conf_parse(text, strlen(text), &conf, &err) == 0, "%s", err.msg);
    return conf;
}

/* ---- configurations ---- */

START_TEST(confs)
{
    _cleanup_json_ json_t *one = parse("{\"name\":\"n\",\"type\":\"bridge\"}");
    ck_assert_str_eq(cni_conf_name(one), "n");
    ck_assert_uint_eq(cni_conf_plugins(one), 1);
    ck_assert_str_eq(cni_conf_type(one, 0), "bridge");
    ck_assert(!cni_conf_version_is(one, 0, 4));

    _cleanup_json_ json_t *list =
        parse("{\"cniVersion\":\"1.0.0\",\"name\":\"l\",\"plugins\":[{\"type\":\"a\"},{\"type\":"
              "\"b\"}]}");
    ck_assert_uint_eq(cni_conf_plugins(list), 2);
    ck_assert_str_eq(cni_conf_type(list, 1), "b");
    ck_assert(cni_conf_version_is(list, 0, 4));
    ck_assert(!cni_conf_version_is(list, 1, 1));
}
END_TEST

static const char *const bad_confs[] = {
    "",
    "[]",
    "{\"type\":\"a\"}",
    "{\"name\":\"\",\"type\":\"a\"}",
    "{\"name\":\"../x\",\"type\":\"a\"}",
    "{\"name\":\"..\",\"type\":\"a\"}",
    "{\"name\":1,\"type\":\"a\"}",
    "{\"name\":\"n\"}",
    "{\"name\":\"n\",\"type\":\"../../bin/sh\"}",
    "{\"name\":\"n\",\"plugins\":[]}",
    "{\"name\":\"n\",\"plugins\":{}}",
    "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{}]}",
    "{\"name\":\"n\",\"plugins\":[1]}",
};

START_TEST(bad_conf_is_refused)
{
    json_t *conf = NULL;
    struct fl_err err;

    ck_assert_int_lt(cni_conf_parse(bad_confs[_i], strlen(bad_confs[_i]), &conf, &err), 0);
    ck_assert_ptr_null(conf);
}
END_TEST

START_TEST(what_a_plugin_is_given)
{
    V1__NetworkInfo__PortMapping m = V1__NETWORK_INFO__PORT_MAPPING__INIT, *all[] = {&m};
    V1__NetworkInfo info = V1__NETWORK_INFO__INIT;
    struct fl_err err;
    _cleanup_json_ json_t *conf =
        parse("{\"cniVersion\":\"0.4.0\",\"name\":\"l\",\"plugins\":[{\"type\":\"a\",\"args\":{"
              "\"x\":1}},"
              "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}");

    info.name = (char *)"l";
    m.host_port = 8080;
    m.container_port = 80;
    m.protocol = (char *)"TCP";
    info.port_mappings = all;
    info.n_port_mappings = 1;
    ck_assert_int_eq(cni_conf_bind(conf, &info, &err), 0);
    _cleanup_json_ json_t *prev = json_loads("{\"ips\":[]}", 0, NULL);
    _cleanup_free_ char *first = cni_conf_request(conf, 0, NULL);
    _cleanup_free_ char *second = cni_conf_request(conf, 1, prev);
    _cleanup_json_ json_t *a = json_loads(first, 0, NULL), *b = json_loads(second, 0, NULL);

    ck_assert_str_eq(json_string_value(json_object_get(a, "name")), "l");
    ck_assert_str_eq(json_string_value(json_object_get(a, "cniVersion")), "0.4.0");
    ck_assert_ptr_nonnull(json_object_get(json_object_get(a, "args"), "x"));
    ck_assert_ptr_null(json_object_get(a, "prevResult"));
    ck_assert_ptr_null(json_object_get(a, "runtimeConfig"));
    ck_assert_ptr_nonnull(json_object_get(b, "prevResult"));
    ck_assert_ptr_null(json_object_get(b, "capabilities"));
    const json_t *p =
        json_array_get(json_object_get(json_object_get(b, "runtimeConfig"), "portMappings"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(p, "hostPort")), 8080);
    ck_assert_str_eq(json_string_value(json_object_get(p, "protocol")), "tcp");

    /* And what a restarted agent reads back from it. */
    _cleanup_pb_ V1__NetworkInfo *bound = cni_conf_bound(conf);
    ck_assert_ptr_nonnull(bound);
    ck_assert(fl_pb_equal(&bound->base, &info.base));
    /* The reserved argument is ours. */
    ck_assert_int_lt(cni_conf_bind(conf, &info, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "reserved by Mesos"));
}
END_TEST

/* ---- answers ---- */

static const struct {
    const char *text, *ip4, *ip6;
} results[] = {
    {"{\"ip4\":{\"ip\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"},\"dns\":{}}", "10.0.0.2", NULL},
    {"{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\",\"address\":\"10.1.0.2/24\"},"
     "{\"version\":\"6\",\"address\":\"fd00::2/64\"}]}",
     "10.1.0.2", "fd00::2"},
    {"{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.0.2/24\"},{\"address\":\"10.1.0.3/"
     "24\"}]}",
     "10.1.0.2", NULL},
    {"{\"ip6\":{\"ip\":\"fd00::3/64\"}}", NULL, "fd00::3"},
    {"{}", NULL, NULL},
};

START_TEST(result_of_every_version)
{
    struct cni_result *r = NULL;

    ck_assert_int_eq(cni_result_parse(results[_i].text, &r, NULL), 0);
    ck_assert_pstr_eq(r->ip4, results[_i].ip4);
    ck_assert_pstr_eq(r->ip6, results[_i].ip6);
    cni_result_free(r);
}
END_TEST

static const char *const bad_results[] = {
    "",
    "[]",
    "no",
    "{\"ip4\":{}}",
    "{\"ip4\":{\"ip\":\"10.0.0/24\"}}",
    "{\"ips\":[{\"address\":7}]}",
    "{\"ips\":[{\"address\":\"0000000000000000000000000000000000000000000000000000000000000000\"}]"
    "}",
    "{\"dns\":{\"nameservers\":\"10.0.0.1\"}}",
    "{\"dns\":{\"nameservers\":[\"10.0.0.1\\noptions debug\"]}}",
    "{\"dns\":{\"domain\":\"a b\"}}",
};

START_TEST(bad_result_is_refused)
{
    struct cni_result *r = NULL;

    ck_assert_int_lt(cni_result_parse(bad_results[_i], &r, NULL), 0);
    ck_assert_ptr_null(r);
}
END_TEST

START_TEST(errors)
{
    char text[40];

    cni_error_text("{\"code\":7,\"msg\":\"no\\nroom\",\"details\":\"at all\"}", "", text,
                   sizeof(text));
    ck_assert_str_eq(text, "no room: at all");
    cni_error_text("what", "why", text, sizeof(text));
    ck_assert_str_eq(text, "stdout='what', stderr='why'");
}
END_TEST

/* ---- resolvers ---- */

START_TEST(resolvers)
{
    struct cni_result *a = NULL, *b = NULL;
    struct cni_dns all = {0};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    ck_assert_int_eq(cni_result_parse("{\"dns\":{\"nameservers\":[\"1.1.1.1\"],\"domain\":\"a\","
                                      "\"search\":[\"x\"]}}",
                                      &a, NULL),
                     0);
    ck_assert_int_eq(cni_result_parse("{\"dns\":{\"nameservers\":[\"2.2.2.2\"],\"domain\":\"b\","
                                      "\"options\":[\"rotate\",\"ndots:1\"]}}",
                                      &b, NULL),
                     0);
    cni_dns_merge(&all, &a->dns);
    cni_dns_merge(&all, &b->dns);
    cni_dns_format(&all, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), "domain b\nsearch x\noptions rotate ndots:1\n"
                                        "nameserver 1.1.1.1\nnameserver 2.2.2.2\n");
    cni_dns_done(&all);
    cni_result_free(a);
    cni_result_free(b);
}
END_TEST

START_TEST(default_resolvers)
{
    struct cni_default_dns *d = NULL;

    ck_assert_int_eq(
        cni_default_dns_parse(
            "{\"mesos\":[{\"network_mode\":\"CNI\",\"network_name\":\"n\",\"dns\":{"
            "\"nameservers\":[\"1.1.1.1\"]}},"
            "{\"network_mode\":\"CNI\",\"dns\":{\"nameservers\":[\"2.2.2.2\"]}}],\"docker\":[]}",
            &d, NULL),
        0);
    ck_assert_str_eq(cni_default_dns_of(d, "n")->servers[0], "1.1.1.1");
    ck_assert_str_eq(cni_default_dns_of(d, "other")->servers[0], "2.2.2.2");
    cni_default_dns_free(d);
    d = NULL;
    ck_assert_int_eq(cni_default_dns_parse(NULL, &d, NULL), 0);
    ck_assert_ptr_null(cni_default_dns_of(d, "n"));
    cni_default_dns_free(d);
}
END_TEST

#define CNI_ROW(more) "{\"network_mode\":\"CNI\"" more ",\"dns\":{}}"
static const char *const bad_defaults[] = {
    "no",
    "[]",
    "{\"mesos\":{}}",
    "{\"mesos\":[{\"dns\":{}}]}",
    "{\"mesos\":[{\"network_mode\":\"HOST\",\"dns\":{}}]}",
    "{\"mesos\":[{\"network_mode\":\"CNI\"}]}",
    "{\"mesos\":[" CNI_ROW("") "," CNI_ROW("") "]}",
    "{\"mesos\":[" CNI_ROW(",\"network_name\":\"n\"") "," CNI_ROW(",\"network_name\":\"n\"") "]}",
};

START_TEST(bad_default_is_refused)
{
    struct cni_default_dns *d = NULL;

    ck_assert_int_lt(cni_default_dns_parse(bad_defaults[_i], &d, NULL), 0);
    ck_assert_ptr_null(d);
}
END_TEST

/* ---- files ---- */

static char *in_dir(const char *path)
{
    return xasprintf("%s/%s", dir, path);
}

static void write_file(const char *path, const char *text)
{
    _cleanup_free_ char *whole = in_dir(path);

    ck_assert_int_eq(cni_file_write(whole, text, false, NULL), 0);
}

static void make_link(const char *path, const char *to)
{
    _cleanup_free_ char *whole = in_dir(path);

    ck_assert_int_eq(symlink(to, whole), 0);
}

static void make_dir(const char *path)
{
    _cleanup_free_ char *whole = in_dir(path);

    ck_assert_int_eq(mkdir(whole, 0755), 0);
}

/* Links of an image lead nowhere outside of it. */
START_TEST(links_in_images)
{
    _cleanup_free_ char *outside = in_dir("secret"), *root = in_dir("root"), *text = NULL;
    _cleanup_free_ char *resolv = in_dir("root/real/etc/resolv.conf");
    _cleanup_free_ char *hosts = in_dir("root/real/etc/hosts");
    struct stat st;
    size_t n;

    make_dir("root");
    make_dir("root/real");
    make_dir("root/real/etc");
    write_file("secret", "kept");
    make_link("root/etc", "/real/etc");              /* absolute: the image's */
    make_link("root/real/etc/resolv.conf", outside); /* of the machine */
    ck_assert_int_eq(cni_files_make(root, "resolv.conf", NULL), 0);
    ck_assert_int_eq(lstat(resolv, &st), 0);
    ck_assert(S_ISREG(st.st_mode) && st.st_size == 0);
    ck_assert_int_eq(cni_file_read(outside, 100, &text, &n, NULL), 0);
    ck_assert_str_eq(text, "kept");
    /* There already: left as it is. */
    write_file("root/real/etc/hosts", "old");
    ck_assert_int_eq(cni_files_make(root, "hosts", NULL), 0);
    ck_assert_int_eq(stat(hosts, &st), 0);
    ck_assert_int_eq(st.st_size, 3);
}
END_TEST

START_TEST(an_image_without_etc)
{
    _cleanup_free_ char *root = in_dir("root"), *hosts = in_dir("root/etc/hosts");

    make_dir("root");
    ck_assert_int_eq(cni_files_make(root, "hosts", NULL), 0);
    ck_assert_int_eq(access(hosts, F_OK), 0);
}
END_TEST

START_TEST(files)
{
    _cleanup_free_ char *hosts = in_dir("hosts"), *resolv = in_dir("resolv.conf"), *text = NULL;
    const struct cni_dns none = {0};
    size_t n;

    ck_assert_int_eq(cni_files_write(dir, "me", "10.0.0.2", &none, false, NULL), 0);
    ck_assert_int_eq(cni_file_read(hosts, 1000, &text, &n, NULL), 0);
    ck_assert_str_eq(text, "127.0.0.1 localhost\n10.0.0.2 me\n");
    ck_assert_int_lt(access(resolv, F_OK), 0);
}
END_TEST

/* ---- rules ---- */

START_TEST(rules)
{
    static const char line[] =
        "-A CH ! -i br0 -p tcp -m comment --comment \"container_id: a\\\"b\" "
        "-j DNAT --to-destination 10.0.0.2:80";
    char **w = rule_words(line, strlen(line));

    ck_assert_ptr_nonnull(w);
    ck_assert_str_eq(w[0], "-A");
    ck_assert_str_eq(w[10], "container_id: a\"b");
    ck_assert_str_eq(w[14], "10.0.0.2:80");
    ck_assert_ptr_null(w[15]);
    ck_assert(rule_has_comment(w, "container_id: a\"b"));
    ck_assert(!rule_has_comment(w, "container_id: a"));
    rule_words_free(w);
    ck_assert_ptr_null(rule_words("-A \"open", 8));
    w = rule_words("-N CH", 5);
    ck_assert(!rule_has_comment(w, "CH"));
    rule_words_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cni");
    TCase *pure = tcase_create("pure"), *disk = tcase_create("disk");

    tcase_add_test(pure, confs);
    tcase_add_loop_test(pure, bad_conf_is_refused, 0, ARRAY_SIZE(bad_confs));
    tcase_add_test(pure, what_a_plugin_is_given);
    tcase_add_loop_test(pure, result_of_every_version, 0, ARRAY_SIZE(results));
    tcase_add_loop_test(pure, bad_result_is_refused, 0, ARRAY_SIZE(bad_results));
    tcase_add_test(pure, errors);
    tcase_add_test(pure, resolvers);
    tcase_add_test(pure, default_resolvers);
    tcase_add_loop_test(pure, bad_default_is_refused, 0, ARRAY_SIZE(bad_defaults));
    tcase_add_test(pure, rules);
    tcase_add_checked_fixture(disk, open_dir, close_dir);
    tcase_add_test(disk, links_in_images);
    tcase_add_test(disk, an_image_without_etc);
    tcase_add_test(disk, files);
    suite_add_tcase(s, pure);
    suite_add_tcase(s, disk);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
