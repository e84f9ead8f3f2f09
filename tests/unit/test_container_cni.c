/* network/cni in the containerizer, with a plug-in that only writes down how it was called: what images see in /etc, who is in whose network,
 * and that what was begun is undone: after failures, without its configuration, after a reboot. In a network and a mount namespace of
 * its own. Without root, or without a static busybox, every case passes by telling so. */
#include <check.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "isolators/cni/netns.h"
#include "isolators/cni/state.h"
#include "tests/unit/rootfs_fixture.h"

static struct fixture f;
static char *root;
static char dir[] = "/tmp/fl-cni-XXXXXX"; /* plug-ins, configurations, their log */

/* Fails DEL as often as `fail` has bytes; waits at ADD while there is `hold`. */
static const char plugin[] =
    "#!/bin/sh\n"
    "cat >%1$s/in.$CNI_COMMAND\n"
    "echo \"$CNI_COMMAND $CNI_IFNAME ${CNI_NETNS:+netns}\" >>%1$s/log\n"
    "if [ $CNI_COMMAND = DEL ] && [ -s %1$s/fail ]; then\n"
    "  dd if=%1$s/fail of=%1$s/fail.next bs=1 skip=1 2>/dev/null; mv %1$s/fail.next %1$s/fail; "
    "exit 1\n"
    "fi\n"
    "while [ $CNI_COMMAND = ADD ] && [ -e %1$s/hold ]; do sleep 0.02; done\n"
    "[ $CNI_COMMAND = DEL ] || echo '{\"ip4\": {\"ip\": \"10.5.0.9/24\"}, \"dns\": "
    "{\"nameservers\": [\"10.5.0.1\"]}}'\n"
    "echo \"$CNI_COMMAND done\" >>%1$s/log\n";

static char *in_dir(const char *path)
{
    return xasprintf("%s/%s", dir, path);
}

static void put(const char *name, const char *text, mode_t mode)
{
    _cleanup_free_ char *path = in_dir(name);

    ck_assert_int_eq(cni_file_write(path, text, false, NULL), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void take(const char *name)
{
    _cleanup_free_ char *path = in_dir(name);

    unlink(path);
}

static void make_dir(const char *name)
{
    _cleanup_free_ char *path = in_dir(name);

    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static char *log_text(void)
{
    _cleanup_free_ char *path = in_dir("log");
    char *text = NULL;
    size_t n;

    return cni_file_read(path, 1 << 20, &text, &n, NULL) < 0 ? xstrdup("") : text;
}

static void open_it(void)
{
    static char plugins[64], conf[64];
    const char *const more[] = {plugins, conf, NULL};

    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    make_dir("plugins");
    make_dir("conf");
    _cleanup_free_ char *script = xasprintf(plugin, dir);
    put("plugins/noting", script, 0755);
    put("conf/net.conf", "{\"name\": \"net\", \"type\": \"noting\"}", 0644);
    put("conf/two.conf", "{\"name\": \"two\", \"type\": \"noting\"}", 0644);
    fl_snprintf(plugins, sizeof(plugins), "--network_cni_plugins_dir=%s/plugins", dir);
    fl_snprintf(conf, sizeof(conf), "--network_cni_config_dir=%s/conf", dir);
    fixture_open(&f, "linux", "namespaces/pid,filesystem/linux", more);
    root = rootfs_make(f.dir, "root");
}

static bool nothing_left(void *arg)
{
    _cleanup_free_ char *cni = xasprintf("%s/run/isolators/network/cni", f.dir);
    struct stat st;

    return stat(cni, &st) < 0 || st.st_nlink == 2;
}

static void close_it(void)
{
    ck_assert(fixture_until(&f, nothing_left, NULL, 10000000));
    _cleanup_free_ char *cni = xasprintf("%s/run/isolators/network/cni", f.dir);
    _cleanup_free_ char *text = log_text();
    size_t adds = 0, dels = 0;
    for (const char *p = text; (p = strstr(p, "ADD done")); p++)
        adds++;
    for (const char *p = text; (p = strstr(p, "DEL done")); p++)
        dels++;
    ck_assert_msg(dels >= adds, "%s", text);
    free(root);
    fixture_close(&f);
    ck_assert_int_lt(access(cni, F_OK), 0);
    ck_assert_int_eq(cni_folder_remove(dir, 4), 0);
}

static V1__ContainerInfo *networks(const char *a, const char *b)
{
    static V1__NetworkInfo n[2], *all[2] = {&n[0], &n[1]};
    static V1__ContainerInfo info;

    v1__container_info__init(&info);
    info.type = V1__CONTAINER_INFO__TYPE__MESOS;
    for (int i = 0; i < 2; i++)
        v1__network_info__init(&n[i]);
    n[0].name = (char *)(uintptr_t)a;
    n[1].name = (char *)(uintptr_t)b;
    info.network_infos = all;
    info.n_network_infos = b ? 2 : 1;
    return &info;
}

static void launch_it(const char *id, const char *shell, const V1__ContainerInfo *info,
                      const char *rootfs)
{
    fixture_launch(&f,
                   &(struct launch){.id = id, .shell = shell, .info = info, .checkpoint = true});
    if (rootfs)
        rootfs_give(&f, id, rootfs);
}

static char *run(const char *id, const char *shell, const V1__ContainerInfo *info,
                 const char *rootfs)
{
    launch_it(id, shell, info, rootfs);
    const struct seen *s = fixture_wait_ended(&f, id);
    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    const char *dot = strchr(id, '.');
    if (!dot)
        return sandbox_read(&f, id, "stdout");
    _cleanup_free_ char *file = xasprintf("containers/%s/stdout", dot + 1);
    return sandbox_read(&f, "c", file);
}

#define SHOW "cat /etc/hosts /etc/hostname /etc/resolv.conf; echo $MESOS_CONTAINER_IP; hostname"
#define SEEN(name)                                                                                 \
    "127.0.0.1 localhost\n10.5.0.9 " name "\n" name "\nnameserver 10.5.0.1\n10.5.0.9\n" name "\n"

START_TEST(without_an_image)
{
    char *const none = NULL;
    _cleanup_free_ char *out = run("c", SHOW, networks("net", NULL), none);

    ck_assert_str_eq(out, SEEN("c"));
}
END_TEST

/* Links that lead to where nothing is, or to a file of the machine, are replaced in the image. */
START_TEST(with_an_image)
{
    _cleanup_free_ char *etc = xasprintf("%s/etc", root), *outside = in_dir("outside");
    _cleanup_free_ char *resolv = xasprintf("%s/resolv.conf", etc);
    _cleanup_free_ char *hosts = xasprintf("%s/hosts", etc), *text = NULL;
    size_t n;

    put("outside", "kept", 0644);
    ck_assert_int_eq(mkdir(etc, 0755), 0);
    ck_assert_int_eq(symlink("../run/systemd/resolve/stub-resolv.conf", resolv), 0);
    ck_assert_int_eq(symlink(outside, hosts), 0);
    _cleanup_free_ char *out =
        run("c", SHOW "; echo more >>/etc/hosts", networks("net", NULL), root);
    ck_assert_str_eq(out, SEEN("c"));
    ck_assert_int_eq(cni_file_read(outside, 100, &text, &n, NULL), 0);
    ck_assert_str_eq(text, "kept");
}
END_TEST

/* In the network of its parent, with an image or without, or in one of its own. */
START_TEST(nested)
{
    static const char *const ids[] = {"c.plain", "c.image"};

    launch_it("c", "sleep 100", networks("net", NULL), NULL);
    fixture_wait_started(&f, "c");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        _cleanup_free_ char *out = run(ids[i], SHOW, NULL, i == 1 ? root : NULL);
        ck_assert_str_eq(out, SEEN("c"));
    }
    _cleanup_free_ char *out = run("c.own", SHOW, networks("two", NULL), NULL);
    ck_assert_str_eq(out, SEEN("own"));
    out = TAKE_PTR(out), free(out);
    out = run("c.both", SHOW, networks("two", NULL), root);
    ck_assert_str_eq(out, SEEN("both"));
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
}
END_TEST

START_TEST(below_an_image)
{
    launch_it("c", "sleep 100", networks("net", NULL), root);
    fixture_wait_started(&f, "c");
    _cleanup_free_ char *out = run("c.plain", SHOW, NULL, NULL);
    ck_assert_str_eq(out, SEEN("c"));
    _cleanup_free_ char *own = run("c.own", SHOW, networks("two", NULL), NULL);
    ck_assert_str_eq(own, SEEN("own"));
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
}
END_TEST

START_TEST(delete_is_repeated)
{
    put("fail", "xxx", 0644);
    free(run("c", "true", networks("net", "two"), NULL));
    _cleanup_free_ char *text = log_text();
    ck_assert_str_eq(text, "ADD eth0 netns\nADD done\nADD eth1 netns\nADD done\n"
                           "DEL eth1 netns\nDEL eth0 netns\n"
                           "DEL eth1 netns\nDEL eth0 netns\nDEL done\nDEL eth1 netns\nDEL done\n");
}
END_TEST

START_TEST(the_configuration_is_gone)
{
    launch_it("c", "sleep 100", networks("net", NULL), NULL);
    fixture_wait_started(&f, "c");
    take("conf/net.conf");
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    _cleanup_free_ char *text = log_text();
    ck_assert_ptr_nonnull(strstr(text, "DEL done"));
}
END_TEST

static void recover(const char *id)
{
    const char *const ids[] = {id};

    f.cz->ops->recover(f.cz, ids, id ? 1 : 0);
}

/* The namespace is gone with the kernel; the plug-in is told without it. */
START_TEST(after_a_reboot)
{
    _cleanup_free_ char *ns = xasprintf("%s/run/isolators/network/cni/c/ns", f.dir);

    launch_it("c", "sleep 100", networks("net", NULL), NULL);
    pid_t pid = fixture_wait_started(&f, "c")->pid;
    fixture_reopen(&f);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(cni_netns_remove(ns), 0);
    close(open(ns, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
    recover("c");
    fixture_wait_ended(&f, "c");
    _cleanup_free_ char *text = log_text();
    ck_assert_ptr_nonnull(strstr(text, "DEL eth0 \nDEL done\n"));
}
END_TEST

static bool add_runs(void *arg)
{
    _cleanup_free_ char *text = log_text();

    return strstr(text, "ADD eth0") != NULL;
}

/* The agent ends while ADD runs: the next one waits for it, and only then has it undone. */
START_TEST(an_add_of_the_last_agent)
{
    put("hold", "", 0644);
    launch_it("c", "sleep 100", networks("net", NULL), NULL);
    ck_assert(fixture_until(&f, add_runs, NULL, 10000000));
    fixture_reopen(&f);
    recover(NULL);
    fixture_run(&f, 100000);
    _cleanup_free_ char *text = log_text();
    ck_assert_str_eq(text, "ADD eth0 netns\n");
    take("hold");
    ck_assert(fixture_until(&f, nothing_left, NULL, 10000000));
    _cleanup_free_ char *later = log_text();
    const char *end = strstr(later, "DEL eth0 netns\nDEL done\n");
    ck_assert_ptr_nonnull(end);
}
END_TEST

/* What each container names and nobody else's. */
START_TEST(the_host_network_is_untouched)
{
    char own[64];
    ssize_t n = readlink("/proc/thread-self/ns/net", own, sizeof(own) - 1);

    ck_assert_int_gt(n, 0);
    own[n++] = '\n';
    own[n] = '\0';
    _cleanup_free_ char *none = run("c", "readlink /proc/self/ns/net", NULL, NULL);
    ck_assert_str_eq(none, own);
    _cleanup_free_ char *other =
        run("d", "readlink /proc/self/ns/net", networks("net", NULL), NULL);
    ck_assert_str_ne(other, own);
    _cleanup_free_ char *text = log_text();
    ck_assert_str_eq(text, "ADD eth0 netns\nADD done\nDEL eth0 netns\nDEL done\n");
}
END_TEST

int main(void)
{
    if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
        printf("skipped: not root, or no " BUSYBOX "\n100%%: Checks: 0, Failures: 0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("container_cni");
    TCase *t = tcase_create("cni");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_it, close_it);
    tcase_add_test(t, without_an_image);
    tcase_add_test(t, with_an_image);
    tcase_add_test(t, nested);
    tcase_add_test(t, below_an_image);
    tcase_add_test(t, delete_is_repeated);
    tcase_add_test(t, the_configuration_is_gone);
    tcase_add_test(t, after_a_reboot);
    tcase_add_test(t, an_add_of_the_last_agent);
    tcase_add_test(t, the_host_network_is_untouched);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
