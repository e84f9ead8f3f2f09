/* fairlead-cni-port-mapper: a CNI plug-in that has another one, its `delegate`, connect the container, and then leads ports of the machine
 * to it by DNAT rules of iptables. Its type in configurations is that of the reference, mesos-cni-port-mapper; so are its fields: chain,
 * delegate, excludeDevices; and the error codes.
 *
 * Rules have the comment "container_id: <id>", by which DEL finds them: before it passes DEL on, for the address may be given to the next
 * container at once. Nothing goes through a shell. One process, one thread; every step may wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/base/buf.h"
#include "isolators/cni/conf.h"
#include "isolators/cni/iptables_rule.h"
#include "isolators/cni/result.h"

enum { BAD_ARGS = 101, DELEGATE_FAILED = 102, PORTMAP_FAILED = 103, UNSUPPORTED = 104 };

#define MAX_WORDS 40

struct mapper {
    json_t *conf;
    const char *chain, *id, *path; /* borrowed from conf and the environment */
    json_t *delegate;              /* complete; owned */
    const json_t *excluded;        /* list of devices, or NULL */
    V1__NetworkInfo *info;         /* or NULL: nothing was asked for */
    char *program;                 /* of the delegate; owned */
    char *comment;                 /* owned */
};

/* ---- answers ---- */

static int refuse(int code, const struct fl_err *err)
{
    _cleanup_json_ json_t *o =
        json_pack("{s:s, s:i, s:s}", "cniVersion", "0.3.0", "code", code, "msg", err->msg);

    json_dumpf(o, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    return 1;
}

/* ---- programs ---- */

/* Writes all of the input, reads all of the output; neither waits for the other. */
static int exchange(int in, int out, const char *input, struct fl_buf *output)
{
    size_t left = strlen(input);
    char buf[4096];

    while (out >= 0) {
        struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = in, .events = POLLOUT}};
        ssize_t n;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (in >= 0 && (p[1].revents & (POLLOUT | POLLERR))) {
            n = left ? write(in, input, left) : 0;
            if (n > 0) {
                input += n;
                left -= (size_t)n;
            }
            if (left == 0 || (n < 0 && errno != EAGAIN)) {
                close(in);
                in = -1;
            }
        }
        if (!(p[0].revents & (POLLIN | POLLHUP)))
            continue;
        n = read(out, buf, sizeof(buf));
        if (n <= 0)
            break;
        if (output->len < CNI_MAX_FILE)
            fl_buf_add(output, buf, (size_t)n);
    }
    if (in >= 0)
        close(in);
    return 0;
}

/* Its exit status, or -errno. Output goes to `output`; what it says on stderr, to ours. */
static int run(const char *const *argv, const char *input, struct fl_buf *output)
{
    posix_spawn_file_actions_t files;
    int in[2], out[2], status = 0;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    int r = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    close(out[1]);
    if (r != 0) {
        close(in[1]);
        close(out[0]);
        return -r;
    }
    exchange(in[1], out[0], input, output);
    close(out[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* `iptables -w -t nat` and the words. */
static int iptables(const char *const *words, struct fl_buf *output)
{
    const char *argv[MAX_WORDS + 6] = {"iptables", "-w", "-t", "nat"};
    size_t n = 4;

    for (size_t i = 0; words[i] && i < MAX_WORDS; i++)
        argv[n++] = words[i];
    return run(argv, "", output);
}

static int need(const char *const *words, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    int r = iptables(words, &out);

    return r == 0 ? 0
                  : fl_err_set(err, FL_UNAVAILABLE, "iptables %s %s failed with %s %d", words[0],
                               words[1], r < 0 ? "error" : "status", r < 0 ? -r : r);
}

/* The words from the second on are a rule: appended unless it is there. */
static int ensure(const char **words, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    words[0] = "-C";
    if (iptables(words, &out) == 0)
        return 0;
    words[0] = "-A";
    return need(words, err);
}

/* ---- rules ---- */

static int make_chain(const struct mapper *m, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *create[] = {"-N", m->chain, NULL};
    const char *list[] = {"-S", m->chain, NULL};
    const char *arriving[] = {NULL,    "PREROUTING", "-m",     "addrtype", "--dst-type",
                              "LOCAL", "-j",         m->chain, NULL};
    const char *own[] = {NULL,       "OUTPUT",     "!",     "-d", "127.0.0.0/8", "-m",
                         "addrtype", "--dst-type", "LOCAL", "-j", m->chain,      NULL};

    /* Somebody else may make it at the same time. */
    int r = iptables(list, &out) == 0 || iptables(create, &out) == 0 ? 0 : need(list, err);
    if (r == 0)
        r = ensure(arriving, err);
    return r < 0 ? r : ensure(own, err);
}

struct rule {
    const char *protocol;
    char port[8];
    char to[64];
};

/* Packets that came in by `device` leave the chain; NULL: packets are led on. */
static int add_rule(const struct mapper *m, const struct rule *rule, const char *device,
                    struct fl_err *err)
{
    const char *words[MAX_WORDS] = {NULL, m->chain};
    size_t n = 2;

    if (device) {
        words[n++] = "-i";
        words[n++] = device;
    }
    const char *const match[] = {"-p",        rule->protocol, "-m", rule->protocol,
                                 "--dport",   rule->port,     "-m", "comment",
                                 "--comment", m->comment,     "-j"};
    for (size_t i = 0; i < ARRAY_SIZE(match); i++)
        words[n++] = match[i];
    words[n++] = device ? "RETURN" : "DNAT";
    if (!device) {
        words[n++] = "--to-destination";
        words[n++] = rule->to;
    }
    words[n] = NULL;
    return ensure(words, err);
}

static int add_mapping(const struct mapper *m, const V1__NetworkInfo__PortMapping *p,
                       const char *ip, struct fl_err *err)
{
    struct rule rule = {.protocol = "tcp"};
    const char *asked = p->protocol ? p->protocol : "tcp";
    int r = 0;

    if (strcasecmp(asked, "udp") == 0)
        rule.protocol = "udp";
    else if (strcasecmp(asked, "tcp") != 0)
        return fl_err_set(err, FL_INVALID, "ports of protocol '%s' cannot be mapped", asked);
    if (p->host_port == 0 || p->host_port > 65535 || p->container_port == 0 ||
        p->container_port > 65535)
        return fl_err_set(err, FL_INVALID, "port %u cannot be mapped to port %u", p->host_port,
                          p->container_port);
    fl_snprintf(rule.port, sizeof(rule.port), "%u", p->host_port);
    fl_snprintf(rule.to, sizeof(rule.to), "%s:%u", ip, p->container_port);
    for (size_t i = 0; i < json_array_size(m->excluded) && r == 0; i++)
        r = add_rule(m, &rule, json_string_value(json_array_get(m->excluded, i)), err);
    return r < 0 ? r : add_rule(m, &rule, NULL, err);
}

static int delete_rule(char **words, struct fl_err *err)
{
    const char *argv[MAX_WORDS + 1] = {"-D"};
    size_t n = 1;

    for (; words[n] && n < MAX_WORDS; n++)
        argv[n] = words[n];
    return need(argv, err);
}

static int delete_rules(const struct mapper *m, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *list[] = {"-S", m->chain, NULL};
    int r = 0;

    /* No chain, no rules. */
    if (iptables(list, &out) != 0)
        return 0;
    for (const char *line = fl_buf_cstr(&out); *line && r == 0;) {
        size_t n = strcspn(line, "\n");
        char **words = rule_words(line, n);
        if (rule_has_comment(words, m->comment))
            r = delete_rule(words, err);
        rule_words_free(words);
        line += n + (line[n] == '\n');
    }
    return r;
}

/* ---- the delegate ---- */

static int ask_delegate(const struct mapper *m, struct fl_buf *out, struct fl_err *err)
{
    const char *argv[] = {m->program, NULL};
    _cleanup_free_ char *request = json_dumps(m->delegate, JSON_COMPACT);
    char why[300];

    int r = run(argv, request, out);
    if (r == 0)
        return 0;
    cni_error_text(fl_buf_cstr(out), "", why, sizeof(why));
    return fl_err_set(err, FL_UNAVAILABLE, "the delegate plugin '%s' failed with status %d: %s",
                      m->program, r, why);
}

static int add(const struct mapper *m, int *code, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct cni_result *result = NULL;
    size_t n = m->info ? m->info->n_port_mappings : 0;

    *code = DELEGATE_FAILED;
    int r = ask_delegate(m, &out, err);
    if (r == 0)
        r = cni_result_parse(fl_buf_cstr(&out), &result, err);
    if (r == 0 && n > 0 && !result->ip4)
        r = fl_err_set(err, FL_INVALID, "the delegate plugin '%s' returned no IPv4 address",
                       m->program);
    if (r == 0)
        *code = PORTMAP_FAILED;
    if (r == 0 && n > 0)
        r = make_chain(m, err);
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_mapping(m, m->info->port_mappings[i], result->ip4, err);
    cni_result_free(result);
    if (r == 0)
        fputs(fl_buf_cstr(&out), stdout);
    return r;
}

static int del(const struct mapper *m, int *code, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    *code = PORTMAP_FAILED;
    int r = delete_rules(m, err);
    if (r < 0)
        return r;
    *code = DELEGATE_FAILED;
    return ask_delegate(m, &out, err);
}

/* ---- what we are given ---- */

static int need_env(const char *name, const char **ret, struct fl_err *err)
{
    *ret = getenv(name);
    return *ret && **ret
               ? 0
               : fl_err_set(err, FL_INVALID, "Unable to find environment variable '%s'", name);
}

static int need_text(const json_t *o, const char *key, const char **ret, struct fl_err *err)
{
    *ret = json_string_value(json_object_get(o, key));
    /* A name that begins with '-' would be an option of iptables. */
    return *ret && **ret && **ret != '-'
               ? 0
               : fl_err_set(err, FL_INVALID, "Failed to get the required field '%s'", key);
}

static int read_delegate(struct mapper *m, struct fl_err *err)
{
    static const char *const passed[] = {"name", "args", "cniVersion", "runtimeConfig"};
    const json_t *delegate = json_object_get(m->conf, "delegate");
    const char *type = json_string_value(json_object_get(delegate, "type"));

    if (!type || strchr(type, '/'))
        return fl_err_set(err, FL_INVALID,
                          "Failed to get the required field 'delegate' with a 'type'");
    m->program = cni_plugin_find(m->path, NULL, type);
    if (!m->program)
        return fl_err_set(err, FL_INVALID, "Could not find the delegate plugin '%s' in '%s'", type,
                          m->path);
    m->delegate = json_copy((json_t *)(uintptr_t)delegate);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
        json_t *v = json_object_get(m->conf, passed[i]);
        if (v && (i < 2 || !json_object_get(m->delegate, passed[i])))
            json_object_set(m->delegate, passed[i], v);
    }
    return 0;
}

static int check_excluded(const struct mapper *m, struct fl_err *err)
{
    for (size_t i = 0; i < json_array_size(m->excluded); i++) {
        const char *s = json_string_value(json_array_get(m->excluded, i));
        if (!s || !*s || *s == '-')
            return fl_err_set(err, FL_INVALID,
                              "Failed to parse 'excludeDevices' list. The excluded device needs "
                              "to be a string");
    }
    return 0;
}

static int read_all(struct mapper *m, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf in = FL_BUF_INIT;
    char buf[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 && in.len < CNI_MAX_FILE)
        fl_buf_add(&in, buf, (size_t)n);
    int r = cni_conf_parse(fl_buf_cstr(&in), in.len, &m->conf, err);
    if (r == 0)
        r = need_text(m->conf, "chain", &m->chain, err);
    if (r == 0)
        r = need_env("CNI_CONTAINERID", &m->id, err);
    if (r == 0)
        r = need_env("CNI_PATH", &m->path, err);
    if (r < 0)
        return r;
    m->excluded = json_object_get(m->conf, "excludeDevices");
    m->info = cni_conf_bound(m->conf);
    m->comment = xasprintf("container_id: %s", m->id);
    r = check_excluded(m, err);
    return r < 0 ? r : read_delegate(m, err);
}

int main(void)
{
    struct mapper m = {0};
    struct fl_err err = {0};
    const char *command = NULL;
    int code = BAD_ARGS;

    signal(SIGPIPE, SIG_IGN); /* a delegate that does not read is told by its status */
    int r = need_env("CNI_COMMAND", &command, &err);
    if (r == 0 && streq(command, "VERSION")) {
        puts("{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\","
             "\"0.3.1\",\"0.4.0\",\"1.0.0\"]}");
        return 0;
    }
    if (r == 0)
        r = read_all(&m, &err);
    if (r == 0 && streq(command, "ADD")) {
        r = add(&m, &code, &err);
    } else if (r == 0 && streq(command, "DEL")) {
        r = del(&m, &code, &err);
    } else if (r == 0) {
        code = UNSUPPORTED;
        r = fl_err_set(&err, FL_UNSUPPORTED, "Unsupported command: %s", command);
    }
    int status = r < 0 ? refuse(code, &err) : 0;
    json_decref(m.conf);
    json_decref(m.delegate);
    fl_pb_free(m.info);
    free(m.program);
    free(m.comment);
    return status;
}
