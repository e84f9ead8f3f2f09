/* The image of a container: there, or pulled (POST /images/create, whose answer goes on as long as the pull does). */
#include "agent/docker/docker_priv.h"

#include "common/base/log.h"

#define PULL_IDLE_S 600 /* a pull that says nothing for so long is given up */
#define MAX_LINE    ((size_t)1 << 20)

/* "host:5000/a/b:tag@sha256:...": where the tag or digest begins, or the end. */
static const char *tag_of(const char *image)
{
    const char *at = strchr(image, '@'), *slash = strrchr(image, '/');
    const char *colon = strchr(slash ? slash : image, ':');

    return at ? at : colon ? colon : image + strlen(image);
}

static void fail(struct docker_container *c, const char *why)
{
    struct fl_err err;

    fl_err_set(&err, FL_INTERNAL, "Failed to pull the Docker image '%s': %s", c->image, why);
    docker_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
}

/* ---- pulling ---- */

/* Progress; an error comes as one of these, too, for the answer began as a success. */
static void take_line(struct docker_container *c, const char *line, size_t n)
{
    json_error_t where;
    json_t *j = json_loadb(line, n, 0, &where);
    const char *error = json_string_value(json_object_get(j, "error"));

    if (error)
        fl_err_set(&c->pull_error, FL_INTERNAL, "%.400s", error);
    json_decref(j);
}

static void on_progress(void *arg, const char *p, size_t n)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    size_t at = 0;
    const char *nl;

    fl_buf_add(&c->pull_line, p, n);
    while ((nl = memchr(c->pull_line.data + at, '\n', c->pull_line.len - at))) {
        size_t len = (size_t)(nl - c->pull_line.data) - at;
        take_line(c, c->pull_line.data + at, len);
        at += len + 1;
    }
    fl_buf_drain(&c->pull_line, at);
    if (c->pull_line.len > MAX_LINE)
        fl_buf_clear(&c->pull_line);
}

static void on_pulled(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->step = NULL;
    if (c->pull_line.len > 0)
        take_line(c, c->pull_line.data, c->pull_line.len);
    if (a->err)
        fail(c, a->err->msg);
    else if (c->pull_error.reason != FL_OK)
        fail(c, c->pull_error.msg);
    else
        docker_create(c);
}

static void pull(struct docker_container *c)
{
    const char *tag = tag_of(c->image);
    _cleanup_free_ char *name = xstrndup(c->image, (size_t)(tag - c->image));
    /* Without a tag the engine would pull all there are. */
    _cleanup_free_ char *path =
        xasprintf("/images/create?fromImage=%s&tag=%s", name, *tag ? tag + 1 : "latest");
    _cleanup_free_ char *auth =
        docker_registry_auth(c->dz->flags->docker_config, c->sandbox, c->image);
    const struct docker_request r = {.method = "POST",
                                     .path = path,
                                     .registry_auth = auth,
                                     .endless = true,
                                     .timeout_s = 120,
                                     .idle_timeout_s = PULL_IDLE_S,
                                     .data = on_progress,
                                     .done = on_pulled,
                                     .arg = c};

    log_info("Pulling the Docker image '%s' for container '%s'", c->image, c->id);
    docker_ask(c->dz->engine, &r, &c->step);
}

/* ---- looking ---- */

static void on_looked(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->step = NULL;
    if (a->status == 404)
        pull(c);
    else if (a->err)
        fail(c, a->err->msg);
    else
        docker_create(c);
}

void docker_image(struct docker_container *c)
{
    const char *tag = tag_of(c->image);
    _cleanup_free_ char *path = xasprintf("/images/%s%s/json", c->image, *tag ? "" : ":latest");
    const struct docker_request r = {.method = "GET", .path = path, .done = on_looked, .arg = c};

    if (c->force_pull)
        pull(c);
    else
        docker_ask(c->dz->engine, &r, &c->step);
}
