/* gpu/nvidia with a stand-in for NVIDIA's library (tests/modules/nvml_fake.c) and device nodes of NVIDIA's numbers, behind which is no driver:
 * opening one that cgroups allow fails with ENXIO, one that they do not with EPERM. As root with --launcher=linux, on each version of
 * cgroups that is there; elsewhere only the choice of GPUs is tested. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "agent/detect.h"
#include "isolators/gpu_choice.h"
#include "isolators/gpu_volume.h"
#include "isolators/isolator.h"
#include "isolators/ld_cache.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "tests/unit/rootfs_fixture.h"

static struct fixture f;
static bool open_now;
static char library[300], devices[64];

static void find_library(void)
{
    char self[200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    fl_snprintf(library, sizeof(library), "%s/../modules/nvml_fake.so", self);
    ck_assert_int_eq(setenv("FAKE_GPUS", "3", 1), 0);
}

/* ---- the choice ---- */

static const struct {
    const char *isolation, *resources, *devices, *message; /* NULL: it is well, */
    size_t n;                                              /* with so many */
} choices[] = {
    {"gpu/nvidia", NULL, NULL, NULL, 3},
    {"posix/cpu,gpu/nvidia", "cpus:1", NULL, NULL, 3},
    {"gpu/nvidia", "gpus:0", NULL, NULL, 0},
    {"gpu/nvidia", "cpus:1;gpus:2", "0,2", NULL, 2},
    {"posix/cpu", "gpus:2", NULL, NULL, 0},
    {"posix/cpu", NULL, "0",
     "can only be specified if the `--isolation` flag contains 'gpu/nvidia'", 0},
    {"gpu/nvidia", "gpus:0", "0", "cannot be specified when '--resources' specifies 0 GPUs", 0},
    {"gpu/nvidia", "cpus:1", "0", "cannot be set without also setting 'gpus' in '--resources'", 0},
    {"gpu/nvidia", "gpus:1", NULL,
     "The `gpus` resource cannot be set without also setting `--nvidia_gpu_devices`", 0},
    {"gpu/nvidia", "gpus:1.5", "0,1", "must be an non-negative integer", 0},
    {"gpu/nvidia", "gpus:2", "0,0", "contains duplicates", 0},
    {"gpu/nvidia", "gpus:2", "0", "specify different numbers of GPU devices", 0},
    {"gpu/nvidia", "gpus:4", "0,1,2,3", "greater than the number of GPUs available", 0},
    {"gpu/nvidia", "gpus:1", "a", "no number of a GPU", 0},
};

START_TEST(gpus_are_chosen)
{
    const struct gpu_flags flags = {choices[_i].isolation, choices[_i].resources, "*",
                                    choices[_i].devices, library};
    struct gpu_choice c = {0};
    struct fl_err err = {.msg = ""};
    int r = gpu_choose(&flags, &c, &err);

    if (choices[_i].message) {
        ck_assert_int_lt(r, 0);
        ck_assert_msg(strstr(err.msg, choices[_i].message) != NULL, "%s", err.msg);
        return;
    }
    ck_assert_msg(r == 0, "%s", err.msg);
    ck_assert_uint_eq(c.n, choices[_i].n);
    gpu_choice_done(&c);
}
END_TEST

START_TEST(they_are_offered)
{
    struct agent_flags flags = {.isolation = (char *)(uintptr_t) "gpu/nvidia",
                                .default_role = (char *)(uintptr_t) "*",
                                .nvml_library = library};
    const struct machine machine = {2, 4ull << 30, 20ull << 30};
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    V1__AgentInfo *info;
    double gpus = 0;

    ck_assert_int_eq(agent_describe(&flags, &machine, "h", 1, arena, &info, NULL), 0);
    for (size_t i = 0; i < info->n_resources; i++)
        if (streq(info->resources[i]->name, "gpus"))
            gpus = info->resources[i]->scalar->value;
    ck_assert(gpus == 3);
    /* No driver, no GPUs. */
    ck_assert_int_eq(unsetenv("FAKE_GPUS"), 0);
    ck_assert_int_eq(agent_describe(&flags, &machine, "h", 1, arena, &info, NULL), 0);
    for (size_t i = 0; i < info->n_resources; i++)
        ck_assert_str_ne(info->resources[i]->name, "gpus");
}
END_TEST

static void see_libc(void *arg, const char *name, const char *path)
{
    if (streq(name, "libc.so.6") && access(path, R_OK) == 0)
        *(bool *)arg = true;
}

START_TEST(the_linkers_cache_is_read)
{
    bool found = false;
    struct fl_err err;

    ck_assert_msg(ld_cache_each("/etc/ld.so.cache", see_libc, &found, &err) == 0, "%s", err.msg);
    ck_assert(found);
    ck_assert_int_lt(ld_cache_each("/etc/passwd", see_libc, &found, &err), 0);
}
END_TEST

START_TEST(images_say_that_they_want_the_driver)
{
    char *visible[] = {(char *)(uintptr_t) "NVIDIA_VISIBLE_DEVICES=all", NULL};
    char *hidden[] = {(char *)(uintptr_t) "NVIDIA_VISIBLE_DEVICES=void", NULL};
    char *label[] = {(char *)(uintptr_t) "com.nvidia.volumes.needed=nvidia_driver", NULL};
    struct image_config image = {0};

    ck_assert(!gpu_volume_wanted(NULL));
    ck_assert(!gpu_volume_wanted(&image));
    image.labels = label;
    ck_assert(gpu_volume_wanted(&image));
    image.env = hidden;
    ck_assert(!gpu_volume_wanted(&image));
    image.env = visible;
    ck_assert(gpu_volume_wanted(&image));
}
END_TEST

/* ---- containers ---- */

#define UNIFIED   "/sys/fs/cgroup/unified"
#define ISOLATION "gpu/nvidia,cgroups/devices,filesystem/linux"

static void make_device(const char *name, unsigned major, unsigned minor)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", devices, name);

    ck_assert_int_eq(mknod(path, S_IFCHR | 0666, makedev(major, minor)), 0);
}

static void make_devices(void)
{
    find_library();
    fl_snprintf(devices, sizeof(devices), "/tmp/fl-gpus-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(devices));
    ck_assert_int_eq(chmod(devices, 0755), 0);
    make_device("nvidiactl", 195, 255);
    make_device("nvidia-uvm", 250, 0);
    make_device("nvidia0", 195, 0);
    make_device("nvidia1", 195, 1);
    make_device("nvidia2", 195, 2);
}

static void open_with(const char *more)
{
    static char a[320], b[128];
    const char *args[] = {a, b, more, NULL};

    fl_snprintf(a, sizeof(a), "--nvml_library=%s", library);
    fl_snprintf(b, sizeof(b), "--nvidia_device_dir=%s", devices);
    fixture_open(&f, "linux", ISOLATION, args);
    open_now = true;
}

static void close_it(void)
{
    if (open_now) {
        open_now = false;
        ck_assert_int_eq(fixture_leftovers(&f), 0);
        fixture_close(&f);
    }
    nftw(devices, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Tells of each device "yes" when it may be opened. */
#define TRY(dir)                                                                                   \
    "for d in nvidiactl nvidia-uvm nvidia0 nvidia1 nvidia2; do "                                   \
    "case $(cat " dir "/$d 2>&1) in *'No such device or address'*) echo yes;; "                    \
    "*'Operation not permitted'*) echo no;; *) echo other;; esac; done | tr '\\n' ' '"

static char *opened(const char *id, const char *resources)
{
    _cleanup_free_ char *shell = xasprintf("D=%s; " TRY("$D"), devices);
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = id, .shell = shell, .resources = resources});

    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    return sandbox_read(&f, id, "stdout");
}

/* The machine's own, which may be either version; beside version 1, version 2. */
static const char *const hierarchies[] = {NULL, "--cgroups_hierarchy=" UNIFIED};

START_TEST(other_gpus_cannot_be_opened)
{
    open_with(hierarchies[_i]);
    _cleanup_free_ char *one = opened("a", "cpus:0.1;mem:32;gpus:1");
    ck_assert_str_eq(one, "yes yes yes no no ");
    _cleanup_free_ char *none = opened("b", "cpus:0.1;mem:32");
    ck_assert_str_eq(none, "yes yes no no no ");
    _cleanup_free_ char *three = opened("c", "cpus:0.1;mem:32;gpus:3");
    ck_assert_str_eq(three, "yes yes yes yes yes ");
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "d", .shell = "true", .resources = "cpus:0.1;mem:32;gpus:4"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "Requested 4 gpus but only 3 available"));
    s = fixture_finish(
        &f, &(struct launch){.id = "e", .shell = "true", .resources = "cpus:0.1;mem:32;gpus:0.5"});
    ck_assert_ptr_nonnull(strstr(s->message, "The 'gpus' resource must be an unsigned integer"));
}
END_TEST

static void begin(const char *id, const char *resources)
{
    _cleanup_free_ char *shell =
        xasprintf("D=%s; until [ -e go ]; do sleep 0.01; done; " TRY("$D"), devices);

    fixture_launch(
        &f, &(struct launch){.id = id, .shell = shell, .resources = resources, .checkpoint = true});
    fixture_wait_started(&f, id);
}

static char *go(const char *id)
{
    _cleanup_free_ char *dir = sandbox_path(&f, id), *path = xasprintf("%s/go", dir);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    fixture_wait_ended(&f, id);
    f.cz->ops->forget(f.cz, id);
    return sandbox_read(&f, id, "stdout");
}

static void resize(const char *id, const char *text)
{
    _cleanup_resources_ struct resources res = RESOURCES_INIT;

    ck_assert_int_eq(resources_parse(text, "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, id, &res, -1, -1);
}

START_TEST(gpus_are_taken_and_given_back)
{
    open_with(hierarchies[_i]);
    begin("a", "cpus:0.1;mem:32;gpus:1");
    begin("b", "cpus:0.1;mem:32;gpus:2");
    _cleanup_free_ char *b = go("b");
    ck_assert_str_eq(b, "yes yes no yes yes ");
    begin("c", "cpus:0.1;mem:32;gpus:1");
    resize("c", "cpus:0.1;mem:32;gpus:2");
    _cleanup_free_ char *c = go("c");
    ck_assert_str_eq(c, "yes yes no yes yes ");
    resize("a", "cpus:0.1;mem:32");
    _cleanup_free_ char *a = go("a");
    ck_assert_str_eq(a, "yes yes no no no ");
}
END_TEST

START_TEST(a_restarted_agent_knows_who_has_which)
{
    static const char *const ids[] = {"a", "b"};

    open_with(hierarchies[_i]);
    begin("x", "cpus:0.1;mem:32;gpus:1");
    begin("a", "cpus:0.1;mem:32;gpus:1");
    begin("b", "cpus:0.1;mem:32");
    free(go("x"));
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, 2);
    fixture_run(&f, 20000);
    resize("b", "cpus:0.1;mem:32;gpus:2");
    _cleanup_free_ char *b = go("b"), *a = go("a");
    ck_assert_str_eq(b, "yes yes yes no yes ");
    ck_assert_str_eq(a, "yes yes no yes no ");
    _cleanup_free_ char *three = opened("c", "cpus:0.1;mem:32;gpus:3");
    ck_assert_str_eq(three, "yes yes yes yes yes ");
}
END_TEST

START_TEST(a_root_has_the_nodes_and_the_driver)
{
    static char *env[] = {(char *)(uintptr_t) "NVIDIA_VISIBLE_DEVICES=all",
                          (char *)(uintptr_t) "PATH=/bin", NULL};
    struct container *c;

    if (access(BUSYBOX, X_OK) < 0)
        return;
    open_with(NULL);
    _cleanup_free_ char *root = rootfs_make(f.dir, "root");
    fixture_launch(
        &f, &(struct launch){.id = "c",
                             .shell = TRY("/dev") "; echo; echo $PATH $LD_LIBRARY_PATH; "
                                                  "ls /usr/local/nvidia | tr '\\n' ' ';"
                                                  "echo x > /usr/local/nvidia/bin/x || echo kept",
                             .resources = "cpus:0.1;mem:32;gpus:1"});
    rootfs_give(&f, "c", root);
    HASH_FIND_STR(real_of(f.cz)->containers, "c", c);
    c->image = xnew0(struct image_config);
    c->image->env = xcalloc(ARRAY_SIZE(env), sizeof(char *));
    for (size_t i = 0; env[i]; i++)
        c->image->env[i] = xstrdup(env[i]);
    const struct seen *s = fixture_wait_ended(&f, "c");
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(streq(out,
                        "yes yes yes no no \n/bin:/usr/local/nvidia/bin "
                        "/usr/local/cuda/compat:/usr/local/nvidia/lib:/usr/local/nvidia/lib64\n"
                        "bin lib lib64 kept\n"),
                  "%s: %s", s->message, out);
}
END_TEST

START_TEST(what_is_missing_is_said)
{
    struct isolator_config config = {.launcher = "linux",
                                     .cgroups_hierarchy = "/sys/fs/cgroup",
                                     .cgroups_root = "fl-none",
                                     .work_dir = devices,
                                     .default_role = "*",
                                     .isolation = "gpu/nvidia,filesystem/linux",
                                     .nvml_library = "/no/such/library.so",
                                     .nvidia_device_dir = "/no/such/folder"};
    struct isolator **v;
    struct fl_err err;
    size_t n;

#define REFUSED(text)                                                                              \
    do {                                                                                           \
        ck_assert_int_lt(                                                                          \
            isolators_create(NULL, &config, config.isolation, NULL, NULL, &v, &n, &err), 0);       \
        ck_assert_msg(strstr(err.msg, text) != NULL, "%s", err.msg);                               \
    } while (0)
    REFUSED("The 'cgroups/devices' or 'cgroups/all' isolator must be enabled");
    config.isolation = ISOLATION;
    REFUSED("NVML is not available: ");
    config.nvml_library = library;
    REFUSED("there is no device '/no/such/folder/nvidiactl'");
    ck_assert_int_eq(unsetenv("FAKE_GPUS"), 0);
    REFUSED("nvmlInit failed: Driver Not Loaded");
#undef REFUSED
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("container_gpu");
    TCase *t = tcase_create("choice");

    tcase_add_checked_fixture(t, find_library, NULL);
    tcase_add_loop_test(t, gpus_are_chosen, 0, ARRAY_SIZE(choices));
    tcase_add_test(t, they_are_offered);
    tcase_add_test(t, the_linkers_cache_is_read);
    tcase_add_test(t, images_say_that_they_want_the_driver);
    suite_add_tcase(s, t);
    bool v1 = access("/sys/fs/cgroup/devices/cgroup.procs", W_OK) == 0;
    if (geteuid() != 0 || (!v1 && access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0)) {
        printf("not root, or no cgroup of devices: who may open GPUs is not tested\n");
        return s;
    }
    int n = v1 && access(UNIFIED "/cgroup.controllers", F_OK) == 0 ? 2 : 1;
    t = tcase_create("containers");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, make_devices, close_it);
    tcase_add_loop_test(t, other_gpus_cannot_be_opened, 0, n);
    tcase_add_loop_test(t, gpus_are_taken_and_given_back, 0, n);
    tcase_add_loop_test(t, a_restarted_agent_knows_who_has_which, 0, n);
    tcase_add_test(t, a_root_has_the_nodes_and_the_driver);
    tcase_add_test(t, what_is_missing_is_said);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());

    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
