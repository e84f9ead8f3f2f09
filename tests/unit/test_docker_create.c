/* What Docker is told to run: amounts with and without limits, parameters by their kinds, credentials, and frames of output in pieces. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/docker/docker_priv.h"
#include "common/base/base64.h"

#define MEGA (INT64_C(1) << 20)

static json_int_t amount(const json_t *host, const char *name)
{
    const json_t *v = json_object_get(host, name);

    return v ? json_integer_value(v) : -7;
}

static json_t *amounts(const char *text, bool cfs, double cpu_limit, double mem_limit)
{
    const struct agent_flags flags = {.cgroups_enable_cfs = cfs};
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    json_t *host = docker_json_object();
    struct fl_err err;

    ck_assert_int_eq(resources_parse(text, "*", &res, &err), 0);
    docker_put_amounts(&flags, &res, cpu_limit, mem_limit, host);
    return host;
}

START_TEST(test_amounts)
{
    const struct {
        const char *res;
        bool cfs;
        double cpus, mem;
        json_int_t shares, quota, memory, reservation;
    } rows[] = {
        {"cpus:1.5;mem:128", false, -1, -1, 1536, -7, 128 * MEGA, -7},
        {"cpus:0.001;mem:1", true, -1, -1, 2, 1000, 32 * MEGA, -7},
        {"cpus:2;mem:64", true, -1, -1, 2048, 200000, 64 * MEGA, -7},
        {"cpus:2;mem:64", false, 4, 256, 2048, 400000, 256 * MEGA, 64 * MEGA},
        {"cpus:2;mem:64", true, INFINITY, INFINITY, 2048, -7, -7, 64 * MEGA},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        json_t *h = amounts(rows[i].res, rows[i].cfs, rows[i].cpus, rows[i].mem);

        ck_assert_int_eq(amount(h, "CpuShares"), rows[i].shares);
        ck_assert_int_eq(amount(h, "CpuQuota"), rows[i].quota);
        ck_assert_int_eq(amount(h, "Memory"), rows[i].memory);
        ck_assert_int_eq(amount(h, "MemoryReservation"), rows[i].reservation);
        json_decref(h);
    }
}
END_TEST

/* The whole body after one parameter. */
static char *with_parameter(const char *key, const char *value, struct fl_err *err)
{
    json_t *body = json_pack("{s:{s:s}}", "HostConfig", "NetworkMode", "net");
    char *text = docker_parameter_put(body, key, value, err) == 0
                     ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS)
                     : NULL;

    json_decref(body);
    return text;
}

START_TEST(test_parameters)
{
    const struct {
        const char *key, *value, *want; /* want: a part of the body */
    } rows[] = {
        {"memory", "64m", "\"Memory\":67108864"},
        {"memory-swap", "-1", "\"MemorySwap\":-1"},
        {"shm-size", "1.5GiB", "\"ShmSize\":1610612736"},
        {"cpus", "1.5", "\"NanoCpus\":1500000000"},
        {"init", "", "\"Init\":true"},
        {"read-only", "false", "\"ReadonlyRootfs\":false"},
        {"label", "a=b=c", "\"Labels\":{\"a\":\"b=c\"}"},
        {"tmpfs", "/t:size=1m", "\"Tmpfs\":{\"/t\":\"size=1m\"}"},
        {"log-driver", "syslog", "\"LogConfig\":{\"Type\":\"syslog\"}"},
        {"ulimit", "core=0", "[{\"Hard\":0,\"Name\":\"core\",\"Soft\":0}]"},
        {"device", "/dev/a:r",
         "{\"CgroupPermissions\":\"r\",\"PathInContainer\":\"/dev/a\",\"PathOnHost\":\"/dev/a\"}"},
        {"device", "/dev/a:/dev/b:rw",
         "{\"CgroupPermissions\":\"rw\",\"PathInContainer\":\"/dev/b\",\"PathOnHost\":\"/dev/a\"}"},
        {"gpus", "all", "{\"Capabilities\":[[\"gpu\"]],\"Count\":-1}"},
        {"p", "80", "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}"},
        {"publish", "1.2.3.4:81:80/UDP",
         "\"80/udp\":[{\"HostIp\":\"1.2.3.4\",\"HostPort\":\"81\"}]"},
        {"expose", "90", "\"ExposedPorts\":{\"90/tcp\":{}}"},
        {"ip", "10.0.0.9", "{\"net\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.9\"}}}"},
        {"no-healthcheck", "true", "\"Healthcheck\":{\"Test\":[\"NONE\"]}"},
    };
    static const char *const wrong[][2] = {
        {"memory", "64q"},   {"memory", ""},  {"init", "perhaps"},
        {"ulimit", "core"},  {"device", "a"}, {"gpus", "-2"},
        {"p", "0:0"},        {"p", "a:80"},   {"cpus", "nan"},
        {"pids-limit", "x"}, {"tty", "true"}, {"restart", "no"},
        {"name", "x"},       {"", ""},
    };
    struct fl_err err;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *text = with_parameter(rows[i].key, rows[i].value, &err);
        ck_assert_msg(text && strstr(text, rows[i].want), "%s=%s: %s", rows[i].key, rows[i].value,
                      text ? text : err.msg);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *text = with_parameter(wrong[i][0], wrong[i][1], &err);
        ck_assert_msg(!text, "%s=%s: %s", wrong[i][0], wrong[i][1], text);
        ck_assert_ptr_nonnull(strstr(err.msg, wrong[i][0]));
    }
}
END_TEST

static struct resources wanted = RESOURCES_INIT;

static int make(V1__CommandInfo *c, V1__ContainerInfo__DockerInfo *d, json_t **ret,
                struct fl_err *err)
{
    const struct agent_flags flags = {.sandbox_directory = (char *)"/box",
                                      .work_dir = (char *)"/w"};
    static const char *const env[] = {"MESOS_ALLOCATION_ROLE=*", "MESOS_SLAVE_PID=p",
                                      "MESOS_SANDBOX=/outside", NULL};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;
    const struct container_spec spec = {.container_id = "id",
                                        .command = c,
                                        .container = &info,
                                        .sandbox = "/s",
                                        .env = env,
                                        .resources = &wanted,
                                        .cpu_limit = -1,
                                        .mem_limit = -1};

    info.docker = d;
    return docker_create_body(&flags, &spec, "mesos-id", ret, err);
}

START_TEST(test_refused)
{
    static const char *const images[] = {"", "/x", "a b", "a?b", "../x", "a\n"};
    V1__ContainerInfo__DockerInfo d = V1__CONTAINER_INFO__DOCKER_INFO__INIT;
    V1__CommandInfo c = V1__COMMAND_INFO__INIT;
    json_t *body = NULL;
    struct fl_err err;

    d.image = (char *)"i";
    ck_assert_int_lt(make(&c, &d, &body, &err), 0);
    ck_assert_str_eq(err.msg, "Shell specified but no command value provided");
    ck_assert_int_lt(make(&c, NULL, &body, &err), 0);
    ck_assert_str_eq(err.msg, "No docker info found in container info");
    c.value = (char *)"\xff";
    ck_assert_int_lt(make(&c, &d, &body, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "UTF-8"));
    c.value = (char *)"x";
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        d.image = (char *)(uintptr_t)images[i];
        ck_assert_int_lt(make(&c, &d, &body, &err), 0);
    }
    d.image = (char *)"i";
    ck_assert_int_eq(resources_parse("gpus:1", "*", &wanted, &err), 0);
    ck_assert_int_lt(make(&c, &d, &body, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "gpus"));
    resources_done(&wanted);
    wanted = (struct resources)RESOURCES_INIT;
    ck_assert_ptr_null(body);
}
END_TEST

/* An executor gets the agent's variables, and its sandbox as it is inside. */
START_TEST(test_executor)
{
    V1__ContainerInfo__DockerInfo d = V1__CONTAINER_INFO__DOCKER_INFO__INIT;
    V1__CommandInfo c = V1__COMMAND_INFO__INIT;
    json_t *body = NULL;
    struct fl_err err;

    d.image = (char *)"i";
    c.value = (char *)"x";
    ck_assert_int_eq(make(&c, &d, &body, &err), 0);
    _cleanup_free_ char *env = json_dumps(json_object_get(body, "Env"), JSON_COMPACT);
    ck_assert_str_eq(env, "[\"MESOS_ALLOCATION_ROLE=*\",\"MESOS_SLAVE_PID=p\","
                          "\"MESOS_SANDBOX=/box\",\"MESOS_CONTAINER_NAME=mesos-id\"]");
    json_decref(body);
}
END_TEST

static void put_file(const char *folder, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Through a link of the task's the agent would read its own user's credentials. */
START_TEST(test_credentials)
{
    char folder[] = "/tmp/fl-docker-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    _cleanup_free_ char *other = xasprintf("%s/other", folder), *box = xasprintf("%s/box", folder);
    _cleanup_free_ char *link = xasprintf("%s/.docker", box);
    static const char text[] = "{\"auths\":{\"r:1\":{\"username\":\"u\",\"password\":\"p\"}}}";

    mkdir(other, 0700);
    mkdir(box, 0700);
    put_file(other, "config.json", text);
    ck_assert_int_eq(symlink(other, link), 0);
    ck_assert_ptr_null(docker_registry_auth(NULL, box, "r:1/image"));
    ck_assert_ptr_null(docker_registry_auth("no json", box, "r:1/image"));
    ck_assert_ptr_null(docker_registry_auth(text, box, "r:2/image"));
    ck_assert_ptr_null(docker_registry_auth(text, box, "r/1"));
    _cleanup_free_ char *found = docker_registry_auth(text, box, "r:1/image");
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(unlink(link), 0);
    mkdir(link, 0700);
    put_file(link, "config.json", text);
    _cleanup_free_ char *own = docker_registry_auth(NULL, box, "r:1/image");
    ck_assert_str_eq(own, found);
    _cleanup_free_ char *rm = xasprintf("%s/config.json", link),
                        *rm2 = xasprintf("%s/config.json", other);
    unlink(rm);
    unlink(rm2);
    rmdir(link);
    rmdir(other);
    rmdir(box);
    rmdir(folder);
}
END_TEST

static void on_frame(void *arg, int fd, const char *p, size_t n)
{
    fl_buf_addf(arg, "%d:%.*s ", fd, (int)n, p);
}

START_TEST(test_frames)
{
    static const char in[] = "\1\0\0\0\0\0\0\2ab\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\1c";
    struct fl_err err;

    for (size_t step = 1; step < sizeof in; step++) {
        struct docker_frames f = {0};
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
        for (size_t at = 0; at < sizeof in - 1; at += step)
            ck_assert_int_eq(docker_frames_add(&f, in + at, FL_MIN(step, sizeof in - 1 - at),
                                               on_frame, &out, &err),
                             0);
        ck_assert_str_eq(fl_buf_cstr(&out), "1:ab 2: 2:c ");
        docker_frames_done(&f);
    }
    struct docker_frames f = {0};
    ck_assert_int_lt(docker_frames_add(&f, "\1\0\0\0\x7f\0\0\0", 8, on_frame, NULL, &err), 0);
    docker_frames_done(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("docker_create");
    TCase *tc = tcase_create("docker");
    SRunner *sr = srunner_create(s);

    tcase_add_test(tc, test_amounts);
    tcase_add_test(tc, test_parameters);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_executor);
    tcase_add_test(tc, test_credentials);
    tcase_add_test(tc, test_frames);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
