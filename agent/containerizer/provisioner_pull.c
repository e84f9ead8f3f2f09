/* Pulls: one for all who wait for the same image, a few at a time. When nobody waits any more its helper is killed, and what it left is
 * cleaned by another. */
#include <errno.h>
#include <utlist.h>

#include "agent/containerizer/provisioner_priv.h"
#include "common/base/log.h"

#define MAX_PULLS       4
#define PULL_TIMEOUT_US (3600 * 1000000ull)

static void pull_next(struct provisioner *p);

static void pull_free(struct image_pull *pull)
{
    struct provisioner *p = pull->p;

    DL_DELETE(p->pulls, pull);
    if (pull->child) {
        child_free(pull->child);
        p->n_pulling--;
    }
    free(pull->name);
    if (pull->request)
        explicit_bzero(pull->request, strlen(pull->request));
    free(pull->request);
    pull->magic = 0;
    free(pull);
}

/* ---- the end of one ---- */

/* Ending one may bring others along, so the list is searched anew each time. */
static void tell_waiters(struct image_pull *pull, struct image_record *record,
                         const struct fl_err *err)
{
    struct provision *v;

    for (;;) {
        DL_FOREACH (pull->p->provisions, v) {
            if (v->pull == pull)
                break;
        }
        if (!v)
            return;
        pull->waiters--;
        provision_pulled(v, record, err);
    }
}

static void pulled(void *arg, const struct child_result *r)
{
    struct image_pull *pull = FL_CAST(image_pull, PULL_MAGIC, arg);
    struct provisioner *p = pull->p;
    _cleanup_(image_record_freep) struct image_record *record = NULL;
    struct fl_err err;

    pull->child = NULL;
    p->n_pulling--;
    int k = helper_check(r, &err);
    if (k == 0)
        k = image_record_parse(r->out, r->out_len, &record, &err);
    if (k < 0) {
        fl_err_wrap(&err, "pull image '%s'", pull->name);
        if (!WIFEXITED(r->status))
            store_clean_later(p);
    } else {
        log_info("Pulled image '%s': %zu layers, manifest %s", pull->name, record->n_layers,
                 record->manifest);
    }
    tell_waiters(pull, record, k < 0 ? &err : NULL);
    pull_free(pull);
    pull_next(p);
}

/* ---- the beginning ---- */

static int secret_text(const V1__Secret *s, char **ret, struct fl_err *err)
{
    if (!s->value || memchr(s->value->data.data, 0, s->value->data.len))
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "the credentials of the image are a secret by reference, or no text; give "
            "them by value");
    *ret = xstrndup((const char *)s->value->data.data, s->value->data.len);
    return 0;
}

static void set_text(json_t *rq, const char *key, const char *text)
{
    if (text)
        json_object_set_new(rq, key, json_string(text));
}

static int request_of(const struct provision *v, json_t **ret, struct fl_err *err)
{
    const struct agent_flags *f = v->p->flags;
    const V1__Image__Docker *d = v->image->docker;
    _cleanup_free_ char *config = NULL;
    int r = d->config ? secret_text(d->config, &config, err) : 0;

    if (r < 0)
        return r;
    json_t *rq = json_object();
    set_text(rq, "do", "pull");
    set_text(rq, "store", v->p->store);
    set_text(rq, "name", v->name);
    set_text(rq, "registry", f->docker_registry);
    set_text(rq, "config", config);
    set_text(rq, "default_config", f->docker_config);
    if (d->credential) {
        set_text(rq, "user", d->credential->principal);
        set_text(rq, "password", d->credential->secret);
    }
    json_object_set_new(rq, "stall_us", json_integer((json_int_t)f->fetcher_stall_timeout));
    if (config)
        explicit_bzero(config, strlen(config));
    *ret = rq;
    return 0;
}

static void pull_start(struct image_pull *pull)
{
    struct provisioner *p = pull->p;
    struct fl_err err;

    json_t *rq = json_loads(pull->request, 0, NULL);
    explicit_bzero(pull->request, strlen(pull->request));
    free(TAKE_PTR(pull->request));
    if (helper_run(p, p->image_helper, rq, PULL_TIMEOUT_US, pulled, pull, &pull->child, &err) < 0) {
        tell_waiters(pull, NULL, &err);
        pull_free(pull);
        return;
    }
    p->n_pulling++;
    log_info("Pulling image '%s'", pull->name);
}

static void pull_next(struct provisioner *p)
{
    struct image_pull *pull, *tmp;

    DL_FOREACH_SAFE (p->pulls, pull, tmp) {
        if (p->n_pulling >= MAX_PULLS)
            return;
        if (pull->request)
            pull_start(pull);
    }
}

static struct image_pull *pull_of(struct provisioner *p, const char *name)
{
    struct image_pull *pull;

    DL_FOREACH (p->pulls, pull) {
        if (streq(pull->name, name) && (pull->child || pull->request))
            return pull;
    }
    return NULL;
}

void pull_join(struct provision *v)
{
    struct provisioner *p = v->p;
    struct image_pull *pull = pull_of(p, v->name);
    struct fl_err err;

    if (!pull) {
        json_t *rq;

        if (request_of(v, &rq, &err) < 0) {
            provision_pulled(v, NULL, &err);
            return;
        }
        pull = xnew0(struct image_pull);
        *pull = (struct image_pull){.magic = PULL_MAGIC,
                                    .p = p,
                                    .name = xstrdup(v->name),
                                    .request = json_dumps(rq, JSON_COMPACT)};
        json_decref(rq);
        DL_APPEND(p->pulls, pull);
    }
    v->pull = pull;
    pull->waiters++;
    pull_next(p);
}

void pull_leave(struct provision *v)
{
    struct image_pull *pull = TAKE_PTR(v->pull);
    struct provisioner *p = v->p;

    if (!pull || --pull->waiters > 0)
        return;
    bool ran = pull->child != NULL;
    pull_free(pull);
    if (ran)
        store_clean_later(p);
}

void pull_free_all(struct provisioner *p)
{
    while (p->pulls)
        pull_free(p->pulls);
}

/* ---- cleaning ---- */

static void cleaned(void *arg, const struct child_result *r)
{
    struct provisioner *p = arg;
    struct fl_err err;

    p->clean = NULL;
    if (helper_check(r, &err) < 0)
        log_warning("Cannot clean the store of images '%s', ignoring: %s", p->store, err.msg);
    if (p->clean_again) {
        p->clean_again = false;
        store_clean_later(p);
    }
}

void store_clean_later(struct provisioner *p)
{
    struct fl_err err;

    if (p->clean) {
        p->clean_again = true;
        return;
    }
    json_t *rq = json_object();
    set_text(rq, "do", "clean");
    set_text(rq, "store", p->store);
    if (helper_run(p, p->image_helper, rq, PULL_TIMEOUT_US, cleaned, p, &p->clean, &err) < 0)
        log_warning("Cannot clean the store of images '%s', ignoring: %s", p->store, err.msg);
}
