/* Fuzzes the HTTP client with what a server answers. The first byte chooses how the call is made and where the answer is
 * cut in two pieces. */
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/http_client_priv.h"

static struct fl_loop *loop;
static struct http_client *client;
static int listening = -1;
static struct sockaddr_un un = {.sun_family = AF_UNIX};

static void remove_socket(void)
{
    unlink(un.sun_path);
    *strrchr(un.sun_path, '/') = '\0';
    rmdir(un.sun_path);
}

static void open_all(void)
{
    struct fl_err err;
    char dir[] = "/tmp/fl_fuzz_XXXXXX";
    if (!mkdtemp(dir) || fl_loop_new(&loop, &err) < 0)
        abort();
    client = http_client_new(loop);
    fl_snprintf(un.sun_path, sizeof un.sun_path, "%s/s", dir);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&un, sizeof un) < 0 || listen(listening, 8) < 0)
        abort();
    atexit(remove_socket);
}

static void on_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    for (size_t i = 0; i < r->n_headers; i++)
        *(size_t *)arg += strlen(r->headers[i].name) + strlen(r->headers[i].value);
}

static void on_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++)
        *(size_t *)arg += (unsigned char)p[i];
}

static bool done;

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    assert(!done);
    done = true;
    if (r && r->body)
        *(size_t *)arg += strlen(r->body);
}

static const struct http_call_ops ops = {on_headers, on_data, on_done, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    struct fl_err err;
    if (listening < 0)
        open_all();
    if (size < 2)
        return 0;
    uint8_t how = data[0];
    data++;
    size--;
    struct http_call_config cfg = {.method = how & 1 ? "HEAD" : "GET",
                                   .unix_path = un.sun_path,
                                   .path = "/",
                                   .streaming = how & 2,
                                   .own_connection = how & 4,
                                   .max_body = 8192};
    done = false;
    if (http_client_call(client, &cfg, &ops, &sum, NULL, &err) < 0)
        abort();
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    size_t cut = how % (size + 1);
    if (cut > 0 && send(fd, data, cut, MSG_NOSIGNAL) > 0)
        fl_loop_run_once(loop);
    (void)!send(fd, data + cut, size - cut, MSG_NOSIGNAL);
    close(fd);
    while (!done)
        fl_loop_run_once(loop);
    while (client->conns) /* one that was kept alive sees its end */
        fl_loop_run_once(loop);
    return 0;
}
