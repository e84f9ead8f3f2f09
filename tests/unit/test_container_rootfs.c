/* Containers with a root file system of their own (filesystem/linux, namespaces): what they see, and what they must not.
 * Without root, or without a static busybox, every case passes by telling so. */
#include <check.h>
#include <sys/mount.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "tests/unit/rootfs_fixture.h"

#define ISOLATION "namespaces/pid,namespaces/ipc,namespaces/uts,filesystem/linux"

static struct fixture f;
static bool open_now;
static char *root;

static void open_root(const char *const *more)
{
    fixture_open(&f, "linux", ISOLATION, more);
    open_now = true;
    root = rootfs_make(f.dir, "root");
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    free(root);
    root = NULL;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

/* The output of a shell in `root`; the caller's. */
static char *run(const char *id, const char *shell, const V1__ContainerInfo *info)
{
    fixture_launch(&f, &(struct launch){.id = id, .shell = shell, .info = info});
    rootfs_give(&f, id, root);
    const struct seen *s = fixture_wait_ended(&f, id);
    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    return sandbox_read(&f, id, "stdout");
}

START_TEST(the_image_is_the_root)
{
    open_root(NULL);
    _cleanup_free_ char *out = run(
        "c", "ls /; pwd; echo $MESOS_SANDBOX; ls; echo x > made; readlink /proc/self/root", NULL);
    ck_assert_str_eq(out, "bin\ndev\netc\nimage-file\nmnt\nproc\nsys\n/mnt/mesos/sandbox\n"
                          "/mnt/mesos/sandbox\nstderr\nstdout\n/\n");
    _cleanup_free_ char *made = sandbox_read(&f, "c", "made");
    ck_assert_str_eq(made, "x\n");
}
END_TEST

/* Everything of the machine is out of reach: names, processes, kept descriptors, the way up. */
START_TEST(the_machine_is_not_seen)
{
    open_root(NULL);
    _cleanup_free_ char *shell =
        xasprintf("test -e %s && echo sandbox; test -e /usr/bin/env && echo usr;"
                  "ls /proc/self/fd | tr '\\n' ' '; echo; ls -l /proc/self/fd | grep -c %s;"
                  "ls -d /proc/[0-9]* | wc -l; cd ../../../../../..; ls -d bin usr 2>/dev/null;"
                  "awk '{print $5}' /proc/self/mountinfo | grep -c -e /sys/fs/cgroup/memory -e %s;"
                  "ls -l /proc/1/fd/ 2>&1 | grep -o -e '-> /.*' | grep -v -e /dev/null -e sandbox",
                  f.dir, f.dir, f.dir);
    _cleanup_free_ char *out = run("c", shell, NULL);
    ck_assert_str_eq(out, "0 1 2 3 \n0\n4\nbin\n0\n-> /\n");
}
END_TEST

/* The image's own links: what they name outside of it is not touched. */
static const struct {
    const char *name, *to;
    bool runs;
} links[] = {
    {"mnt", "/data", true},
    {"etc", "/", true},
    {"dev", "../../../../../../bin/../data", true},
    {"mnt", "%s/outside", false},
    {"etc", "../../../../../../../../%s/outside", false},
    {"proc", "%s/outside", false},
    {"dev", "../../outside", false},
};

START_TEST(links_of_an_image_stay_inside)
{
    open_root(NULL);
    _cleanup_free_ char *outside = xasprintf("%s/outside", f.dir),
                        *data = xasprintf("%s/data", root),
                        *link = xasprintf("%s/%s", root, links[_i].name), *to = NULL;
    const char *mark_at = strstr(links[_i].to, "%s");

    to = mark_at ? xasprintf("%.*s%s%s", (int)(mark_at - links[_i].to), links[_i].to, f.dir,
                             mark_at + 2)
                 : xstrdup(links[_i].to);
    ck_assert_int_eq(mkdir(outside, 0777), 0);
    ck_assert_int_eq(mkdir(data, 0755), 0);
    ck_assert_int_eq(symlink(to, link), 0);
    fixture_launch(&f, &(struct launch){.id = "c", .shell = "echo hi"});
    rootfs_give(&f, "c", root);
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_msg((s->reason == CONTAINER_EXITED) == links[_i].runs, "%s", s->message);
    ck_assert_int_eq(rmdir(outside), 0); /* still empty */
}
END_TEST

START_TEST(what_tells_of_the_machine_is_hidden)
{
    open_root(NULL);
    _cleanup_free_ char *out =
        run("c",
            "test -s /proc/kcore && head -c 1 /proc/kcore | wc -c; test -s /proc/keys && echo keys;"
            "ls /sys/firmware; for i in sys/kernel/hostname sysrq-trigger; do "
            "(echo h > /proc/$i) 2>/dev/null || echo no; done; (mkdir /sys/x) 2>/dev/null || echo "
            "no; for d in null zero full random urandom tty ptmx fd/0 pts shm; do test -e /dev/$d "
            "|| echo $d; done; echo x > /dev/shm/y && cat /dev/shm/y; head -c 3 /dev/zero | wc -c",
            NULL);
    ck_assert_str_eq(out, "no\nno\nno\nx\n3\n");
}
END_TEST

START_TEST(another_user)
{
    open_root(NULL);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .user = "nobody",
                                        .shell = "id -u; echo x > mine && cat mine; "
                                                 "echo x 2>/dev/null > /y || echo no"});
    rootfs_give(&f, "c", root);
    const struct seen *s = fixture_wait_ended(&f, "c");
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(streq(out, "65534\nx\nno\n"), "'%s' %s", out, s->message);
}
END_TEST

/* ---- volumes ---- */

static V1__Volume volume(const char *container_path, char *host_path, V1__Volume__Mode mode)
{
    V1__Volume v = V1__VOLUME__INIT;

    v.container_path = (char *)(uintptr_t)container_path;
    v.host_path = host_path;
    v.mode = mode;
    return v;
}

START_TEST(volumes_of_the_machine)
{
    open_root(NULL);
    _cleanup_free_ char *host = xasprintf("%s/host", f.dir), *below = xasprintf("%s/below", host),
                        *file = xasprintf("%s/file", host);
    V1__Volume v[] = {volume("/data/a/b", host, V1__VOLUME__MODE__RW),
                      volume("inside/x", host, V1__VOLUME__MODE__RO),
                      volume("/etc/a-file", file, V1__VOLUME__MODE__RO),
                      volume("/image-file", file, V1__VOLUME__MODE__RW)},
               *all[] = {&v[0], &v[1], &v[2], &v[3]};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    info.volumes = all;
    info.n_volumes = ARRAY_SIZE(all);
    ck_assert_int_eq(mkdir(host, 0777), 0);
    ck_assert_int_eq(mkdir(below, 0777), 0);
    ck_assert_int_eq(mount("tmpfs", below, "tmpfs", 0, NULL), 0);
    ck_assert_int_ge(creat(file, 0666), 0);
    _cleanup_free_ char *out =
        run("c",
            "echo 1 > /data/a/b/f; cat inside/x/f; touch inside/x/g 2>/dev/null || echo ro;"
            "touch inside/x/below/g 2>/dev/null || echo ro; touch /data/a/b/below/g && echo rw;"
            "echo 2 > /image-file; cat /etc/a-file; (echo 3 > /etc/a-file) 2>/dev/null || echo ro",
            &info);
    umount2(below, MNT_DETACH);
    ck_assert_str_eq(out, "1\nro\nro\nrw\n2\nro\n");
}
END_TEST

START_TEST(volumes_of_images_and_of_the_sandbox)
{
    open_root(NULL);
    _cleanup_free_ char *other = rootfs_make(f.dir, "other");
    V1__Volume v[] = {volume("/other", NULL, V1__VOLUME__MODE__RO),
                      volume("/kept", (char *)(uintptr_t) "own/keep", V1__VOLUME__MODE__RW)},
               *all[] = {&v[0], &v[1]};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;
    struct container *c;

    info.volumes = all;
    info.n_volumes = ARRAY_SIZE(all);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .info = &info,
                                        .shell = "ls /other; touch /other/x 2>/dev/null || echo "
                                                 "ro; echo x > /kept/f; cat own/keep/f"});
    rootfs_give(&f, "c", root);
    HASH_FIND_STR(real_of(f.cz)->containers, "c", c);
    c->n_volume_roots = 2;
    c->volume_roots = xcalloc(2, sizeof(char *));
    c->volume_roots[0] = xstrdup(other);
    const struct seen *s = fixture_wait_ended(&f, "c");
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(streq(out, "bin\nimage-file\nro\nx\n"), "'%s' %s", out, s->message);
}
END_TEST

static V1__Volume from_host(V1__Volume__Source *src, V1__Volume__Source__HostPath *h,
                            V1__MountPropagation *p, char *path, const char *at)
{
    V1__Volume v = volume(at, NULL, V1__VOLUME__MODE__RW);

    v1__volume__source__init(src);
    v1__volume__source__host_path__init(h);
    v1__mount_propagation__init(p);
    src->has_type = p->has_mode = true;
    src->type = V1__VOLUME__SOURCE__TYPE__HOST_PATH;
    src->host_path = h;
    h->path = path;
    h->mount_propagation = p;
    p->mode = V1__MOUNT_PROPAGATION__MODE__BIDIRECTIONAL;
    v.source = src;
    return v;
}

/* With a root of its own and without. */
START_TEST(mounts_go_out_when_asked)
{
    open_root(NULL);
    _cleanup_free_ char *host = xasprintf("%s/host", f.dir), *in = xasprintf("%s/in", host),
                        *mark_file = xasprintf("%s/mark", in);
    V1__Volume__Source src;
    V1__Volume__Source__HostPath h;
    V1__MountPropagation p;
    V1__Volume v = from_host(&src, &h, &p, host, "shared"), *all[] = {&v};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    info.volumes = all;
    info.n_volumes = 1;
    ck_assert_int_eq(mkdir(host, 0777), 0);
    ck_assert_int_eq(mount("tmpfs", host, "tmpfs", 0, NULL), 0);
    ck_assert_int_eq(mount(NULL, host, NULL, MS_PRIVATE, NULL), 0);
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "p", .info = &info, .shell = "true"});
    ck_assert_msg(s->reason == CONTAINER_LAUNCH_FAILED && strstr(s->message, "shared mount"), "%s",
                  s->message);
    ck_assert_int_eq(mount(NULL, host, NULL, MS_SHARED, NULL), 0);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .info = &info,
                                        .shell = "mkdir -p shared/in && mount -t tmpfs t shared/in "
                                                 "&& echo x > shared/in/mark"});
    if (_i)
        rootfs_give(&f, "c", root);
    s = fixture_wait_ended(&f, "c");
    _cleanup_free_ char *err = sandbox_read(&f, "c", "stderr");
    int seen = access(mark_file, F_OK);
    umount2(in, MNT_DETACH);
    umount2(host, MNT_DETACH);
    ck_assert_msg(s->reason == CONTAINER_EXITED && s->status == 0, "%s %s", s->message, err);
    ck_assert_int_eq(seen, 0);
}
END_TEST

/* An image is what would be given; a host name shows it as well. */
START_TEST(containers_that_ask_for_nothing_get_the_default)
{
    static const char *const more[] = {
        "--default_container_info={\"type\":\"MESOS\",\"hostname\":\"by-default\"}", NULL};
    V1__ContainerInfo own = V1__CONTAINER_INFO__INIT;

    own.type = V1__CONTAINER_INFO__TYPE__MESOS;
    open_root(more);
    _cleanup_free_ char *out = run("c", "hostname", NULL), *other = run("d", "hostname", &own);
    ck_assert_str_eq(out, "by-default\n");
    ck_assert_str_ne(other, "by-default\n");
}
END_TEST

/* ---- nested containers, sessions ---- */

static char *nested_read(const char *id, const char *file)
{
    _cleanup_free_ char *path = xasprintf("containers/%s/%s", id, file);

    return sandbox_read(&f, "c", path);
}

static void parent(bool with_root, const char *shell)
{
    fixture_launch(&f, &(struct launch){.id = "c", .shell = shell, .checkpoint = true});
    if (with_root)
        rootfs_give(&f, "c", root);
    fixture_wait_started(&f, "c");
}

static void parent_ends(void)
{
    f.cz->ops->destroy(f.cz, "c");
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->reason, CONTAINER_DESTROYED);
    for (size_t i = 0; i < f.n_seen; i++)
        f.cz->ops->forget(f.cz, f.seen[i].id);
}

/* As the reference: without an image it is on the machine's files, whatever its parent is on; a session is where its parent is. */
START_TEST(nested_in_one_with_a_root)
{
    open_root(NULL);
    parent(true, "echo of-parent > note; exec sleep 1000");
    fixture_launch(&f, &(struct launch){.id = "c.plain",
                                        .shell = "test -e /image-file || echo machine; "
                                                 "cat ../../note; ls -d /usr; pwd > where"});
    fixture_wait_ended(&f, "c.plain");
    _cleanup_free_ char *plain_out = nested_read("plain", "stdout"),
                        *where = nested_read("plain", "where");
    ck_assert_msg(streq(plain_out, "machine\nof-parent\n/usr\n"), "'%s' %s", plain_out,
                  fixture_seen(&f, "c.plain")->message);
    ck_assert_ptr_nonnull(strstr(where, "/sandbox-c/containers/plain"));

    fixture_launch(&f,
                   &(struct launch){.id = "c.session",
                                    .debug = true,
                                    .shell = "{ test -e /image-file && pwd; cat note; ls /usr "
                                             "2>/dev/null; ls /proc | grep -c '^[0-9]'; echo "
                                             "$MESOS_SANDBOX; ls /proc/self/fd | wc -l; } > said"});
    fixture_wait_ended(&f, "c.session");
    _cleanup_free_ char *session = sandbox_read(&f, "c", "said");
    ck_assert_msg(streq(session, "/mnt/mesos/sandbox\nof-parent\n5\n/mnt/mesos/sandbox\n4\n"),
                  "'%s' %s", session, fixture_seen(&f, "c.session")->message);
    parent_ends();
}
END_TEST

START_TEST(nested_with_a_root)
{
    V1__LinuxInfo li = V1__LINUX_INFO__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    info.linux_info = &li;
    li.has_share_pid_namespace = li.share_pid_namespace = _i & 2;
    open_root(NULL);
    _cleanup_free_ char *other = rootfs_make(f.dir, "other");
    parent(_i & 1, "echo of-parent > note; exec sleep 72010.5");
    fixture_launch(&f, &(struct launch){.id = "c.n",
                                        .info = &info,
                                        .shell = "ls /; pwd; ls ..; ls /usr 2>/dev/null;"
                                                 "cat /proc/*/cmdline | grep -c '[7]2010.5'"});
    rootfs_give(&f, "c.n", other);
    fixture_wait_ended(&f, "c.n");
    _cleanup_free_ char *out = nested_read("n", "stdout");
    const char *expected = _i & 2
                               ? "bin\ndev\netc\nimage-file\nmnt\nproc\nsys\n/mnt/mesos/sandbox\n"
                                 "sandbox\n1\n"
                               : "bin\ndev\netc\nimage-file\nmnt\nproc\nsys\n/mnt/mesos/sandbox\n"
                                 "sandbox\n0\n";
    ck_assert_msg(streq(out, expected), "%d '%s' %s", _i, out, fixture_seen(&f, "c.n")->message);
    parent_ends();
}
END_TEST

/* The way of pods with persistent volumes: what is mounted in the parent's sandbox is what its children get of it, with any mix of
 * roots. */
START_TEST(volumes_of_the_parent)
{
    V1__Volume__Source src = V1__VOLUME__SOURCE__INIT;
    V1__Volume__Source__SandboxPath sp = V1__VOLUME__SOURCE__SANDBOX_PATH__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT, nested = V1__CONTAINER_INFO__INIT;

    open_root(NULL);
    _cleanup_free_ char *host = xasprintf("%s/host", f.dir), *other = rootfs_make(f.dir, "other");
    V1__Volume v = volume("vol", host, V1__VOLUME__MODE__RW), n[2], *all[] = {&v},
               *of_nested[] = {&n[0], &n[1]};
    info.volumes = all;
    nested.volumes = of_nested;
    info.n_volumes = 1;
    nested.n_volumes = 2;
    src.has_type = sp.has_type = true;
    src.type = V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH;
    src.sandbox_path = &sp;
    sp.type = V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__PARENT;
    sp.path = (char *)(uintptr_t) "vol/new";
    n[0] = volume(_i & 2 ? "/v" : "v", NULL, V1__VOLUME__MODE__RW);
    n[0].source = &src;
    n[1] = volume("h", host, V1__VOLUME__MODE__RO);
    ck_assert_int_eq(mkdir(host, 0777), 0);
    fixture_launch(&f, &(struct launch){.id = "c", .info = &info, .shell = "exec sleep 1000"});
    if (_i & 1)
        rootfs_give(&f, "c", root);
    fixture_wait_started(&f, "c");
    fixture_launch(&f, &(struct launch){.id = "c.n",
                                        .info = &nested,
                                        .shell = _i & 2 ? "echo x > /v/f; cat h/new/f"
                                                        : "echo x > v/f; cat h/new/f"});
    if (_i & 2)
        rootfs_give(&f, "c.n", other);
    fixture_wait_ended(&f, "c.n");
    _cleanup_free_ char *out = nested_read("n", "stdout"),
                        *made = xasprintf("%s/host/new/f", f.dir);
    ck_assert_msg(streq(out, "x\n"), "%d '%s' %s", _i, out, fixture_seen(&f, "c.n")->message);
    ck_assert_int_eq(access(made, F_OK), 0);
    parent_ends();
}
END_TEST

static bool recovered(void *arg)
{
    return ((struct fixture *)arg)->recovery_done;
}

START_TEST(a_session_after_a_restart_of_the_agent)
{
    static const char *const ids[] = {"c"};

    open_root(NULL);
    parent(true, "exec sleep 1000");
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, 1);
    ck_assert(fixture_until(&f, recovered, &f, 5000000));
    fixture_launch(&f, &(struct launch){
                           .id = "c.s", .debug = true, .shell = "{ ls /image-file; pwd; } > said"});
    fixture_wait_ended(&f, "c.s");
    _cleanup_free_ char *out = sandbox_read(&f, "c", "said");
    ck_assert_str_eq(out, "/image-file\n/mnt/mesos/sandbox\n");
    parent_ends();
}
END_TEST

int main(void)
{
    if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0) {
        printf("skipped: not root, or no " BUSYBOX "\n100%%: Checks: 0, Failures: 0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("container_rootfs");
    TCase *t = tcase_create("rootfs");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_test(t, the_image_is_the_root);
    tcase_add_test(t, the_machine_is_not_seen);
    tcase_add_loop_test(t, links_of_an_image_stay_inside, 0, (int)ARRAY_SIZE(links));
    tcase_add_test(t, what_tells_of_the_machine_is_hidden);
    tcase_add_test(t, another_user);
    tcase_add_test(t, volumes_of_the_machine);
    tcase_add_test(t, volumes_of_images_and_of_the_sandbox);
    tcase_add_loop_test(t, mounts_go_out_when_asked, 0, 2);
    tcase_add_test(t, containers_that_ask_for_nothing_get_the_default);
    tcase_add_test(t, nested_in_one_with_a_root);
    tcase_add_loop_test(t, nested_with_a_root, 0, 4);
    tcase_add_loop_test(t, volumes_of_the_parent, 0, 4);
    tcase_add_test(t, a_session_after_a_restart_of_the_agent);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
