/* Start-up of a daemon: command line, log, addresses. The main thread, before there is any other. */
#include "common/base/daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/http_auth.h"
#include "common/base/http_files.h"
#include "common/base/log.h"

extern char **environ;

int fl_daemon_fail(const char *program, const struct fl_err *err)
{
    fprintf(stderr, "%s: %s\n", program, err->msg);
    return 1;
}

bool fl_daemon_parse(struct fl_flags *f, const char *program, int argc, char **argv,
                     int *ret_status)
{
    struct fl_err err = {0};
    bool help = false, version = false;
    int rest = argc;
    int r = fl_flags_parse(f, argc, argv, &rest, &help, &version, &err);
    if (r == 0 && rest < argc)
        r = fl_err_set(&err, FL_INVALID, "unexpected argument '%s'; flags are written --name=value",
                       argv[rest]);
    if (r < 0) {
        *ret_status = fl_daemon_fail(program, &err);
        return false;
    }
    *ret_status = 0;
    if (help) {
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
        fl_flags_help(f, &out);
        fputs(fl_buf_cstr(&out), stdout);
        return false;
    }
    if (version)
        printf("%s %s\n", program, FL_VERSION);
    return !version;
}

static void warn(const char *text, void *arg)
{
    log_warning("%s", text);
}

/* `path` and the folders above it. */
static int make_log_dir(const char *path, struct fl_err *err)
{
    _cleanup_free_ char *part = xstrdup(path);
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return fl_err_errno(err, errno,
                                "--log_dir '%s': cannot make the folder '%s'; make it, or give "
                                "one that may be written",
                                path, part);
        part[i] = path[i];
    }
    return 0;
}

void fl_daemon_serve_log(struct http_files *files, const char *virtual_path,
                         const char *external_or_null)
{
    const char *log = external_or_null ? external_or_null : fl_log_path();
    struct fl_err err = {0};
    if (log && http_files_attach(files, virtual_path, log, &err) < 0)
        log_warning("the log is not served as '%s' at /files: %s", virtual_path, err.msg);
}

int fl_daemon_open_log(const char *name, struct fl_daemon_log how, const struct fl_flags *f,
                       struct fl_err *err)
{
    enum fl_log_level level = FL_LOG_INFO;
    if (fl_log_parse_level(how.logging_level, &level) < 0)
        return fl_err_set(err, FL_INVALID, "'%s' is no level of the log", how.logging_level);
    int r = how.log_dir ? make_log_dir(how.log_dir, err) : 0;
    if (r == 0)
        r = fl_log_open(name, how.log_dir, err);
    if (r < 0)
        return r;
    fl_log_set_level(level);
    fl_log_set_quiet(how.quiet);
    fl_flags_warnings(f, warn, NULL);
    return 0;
}

/* ---- addresses ---- */

static int check_ip(const char *text, const char *what, char out[INET6_ADDRSTRLEN],
                    struct fl_err *err)
{
    struct in6_addr any;
    if (inet_pton(AF_INET, text, &any) != 1 && inet_pton(AF_INET6, text, &any) != 1)
        return fl_err_set(err, FL_INVALID, "%s '%s' is no IP address", what, text);
    return fl_snprintf(out, INET6_ADDRSTRLEN, "%s", text);
}

/* The first line of what the command prints. */
static int read_command(const char *command, char *out, size_t size, struct fl_err *err)
{
    int fds[2], status = 0;
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return fl_err_errno(err, errno, "make a pipe for '%s'", command);
    _cleanup_close_ int in = fds[0];
    char *argv[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int r = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (r != 0)
        return fl_err_errno(err, r, "run '%s'", command);
    size_t n = 0;
    ssize_t got;
    while (n + 1 < size &&
           ((got = read(in, out + n, size - 1 - n)) > 0 || (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t)got : 0;
    out[n] = '\0';
    out[strcspn(out, " \t\r\n")] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fl_err_set(err, FL_INVALID, "'%s' of --ip_discovery_command failed", command);
    return 0;
}

void fl_daemon_warn_of_secret(const char *path)
{
    if (path && http_secret_is_exposed(path))
        log_warning("the file of secrets '%s' can be read or changed by others: chmod o-rwx it",
                    path);
}

static bool is_any(const char *ip)
{
    return streq(ip, "0.0.0.0") || streq(ip, "::");
}

/* The address of this machine's own name, as the reference takes it. */
static bool address_of_own_name(char out[INET6_ADDRSTRLEN])
{
    char name[256] = "";
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (gethostname(name, sizeof(name) - 1) < 0 || getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    bool found = getnameinfo(list->ai_addr, list->ai_addrlen, out, INET6_ADDRSTRLEN, NULL, 0,
                             NI_NUMERICHOST) == 0;
    freeaddrinfo(list);
    return found;
}

static bool address_of_interface(char out[INET6_ADDRSTRLEN])
{
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list) < 0)
        return false;
    for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK) ||
            !(i->ifa_flags & IFF_UP))
            continue;
        found = getnameinfo(i->ifa_addr, sizeof(struct sockaddr_in), out, INET6_ADDRSTRLEN, NULL, 0,
                            NI_NUMERICHOST) == 0;
    }
    freeifaddrs(list);
    return found;
}

static bool name_of_address(const char *ip, char *out, size_t size)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, ip, &a4.sin_addr) == 1)
        return getnameinfo((struct sockaddr *)&a4, sizeof(a4), out, (socklen_t)size, NULL, 0,
                           NI_NAMEREQD) == 0;
    return inet_pton(AF_INET6, ip, &a6.sin6_addr) == 1 &&
           getnameinfo((struct sockaddr *)&a6, sizeof(a6), out, (socklen_t)size, NULL, 0,
                       NI_NAMEREQD) == 0;
}

int fl_daemon_find_address(struct fl_daemon_address_flags how, struct fl_daemon_address *ret,
                           struct fl_err *err)
{
    struct fl_daemon_address a = {.ip = "0.0.0.0"};
    char printed[256];
    int r = 0;
    if (how.ip_discovery_command) {
        r = read_command(how.ip_discovery_command, printed, sizeof(printed), err);
        if (r == 0)
            r = check_ip(printed, "the output of --ip_discovery_command", a.ip, err);
    } else if (how.ip) {
        r = check_ip(how.ip, "--ip", a.ip, err);
    }
    if (r == 0 && how.advertise_ip)
        r = check_ip(how.advertise_ip, "--advertise_ip", a.advertised, err);
    if (r < 0)
        return r;
    if (!a.advertised[0] && !is_any(a.ip))
        (void)fl_snprintf(a.advertised, sizeof(a.advertised), "%s", a.ip);
    if (!a.advertised[0] && !address_of_own_name(a.advertised) &&
        !address_of_interface(a.advertised))
        (void)fl_snprintf(a.advertised, sizeof(a.advertised), "127.0.0.1");
    if (how.hostname)
        r = fl_snprintf(a.hostname, sizeof(a.hostname), "%s", how.hostname);
    else if (!how.hostname_lookup || !name_of_address(a.advertised, a.hostname, sizeof(a.hostname)))
        r = fl_snprintf(a.hostname, sizeof(a.hostname), "%s", a.advertised);
    if (r < 0)
        return fl_err_set(err, FL_INVALID, "--hostname '%s' is too long", how.hostname);
    *ret = a;
    return 0;
}
