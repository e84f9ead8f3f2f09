/* Pruning: images that nobody runs and that are not excluded leave the store, when an operator asks or when its disk is too full. */
#include <errno.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <utlist.h>

#include "agent/containerizer/provisioner_priv.h"
#include "common/base/log.h"

#define PRUNE_TIMEOUT_US (3600 * 1000000ull)

static int keep_image(json_t *keep, const char *name, struct fl_err *err)
{
    _cleanup_image_ref_ struct image_ref ref = {0};
    int r = image_ref_parse(name, &ref, err);

    if (r < 0)
        return r;
    _cleanup_free_ char *text = image_ref_text(&ref);
    json_array_append_new(keep, json_string(text));
    return 0;
}

/* ---- prune ---- */

static void prune_end(struct provisioner *p, const struct fl_err *err)
{
    provisioner_pruned_f *done = p->prune.done;
    void *arg = p->prune.arg;
    struct provision *v;

    flock(p->lock, LOCK_SH | LOCK_NB);
    p->prune.wanted = false;
    p->prune.child = NULL;
    json_decref(TAKE_PTR(p->prune.keep));
    DL_FOREACH (p->provisions, v) {
        if (v->queued)
            fl_loop_defer(p->loop, provision_begin, v);
    }
    done(arg, err);
}

static void pruned(void *arg, const struct child_result *r)
{
    struct provisioner *p = arg;
    struct fl_err err;
    int k = helper_check(r, &err);

    if (k < 0)
        fl_err_wrap(&err, "prune images");
    prune_end(p, k < 0 ? &err : NULL);
}

void prune_when_idle(struct provisioner *p)
{
    const struct provision *v;
    struct fl_err err;
    int r = 0;

    if (!p->prune.wanted || p->prune.child)
        return;
    DL_FOREACH (p->provisions, v) {
        if (!v->queued)
            return;
    }
    if (flock(p->lock, LOCK_EX | LOCK_NB) < 0)
        r = fl_err_set(&err, FL_CONFLICT,
                       "another agent uses the store of images '%s'; give each its own "
                       "--docker_store_dir to prune it",
                       p->store);
    if (r == 0) {
        json_t *rq = json_object();

        json_object_set_new(rq, "do", json_string("prune"));
        json_object_set_new(rq, "store", json_string(p->store));
        json_object_set_new(rq, "containers", json_string(p->root));
        json_object_set(rq, "keep", p->prune.keep);
        r = helper_run(p, p->image_helper, rq, PRUNE_TIMEOUT_US, pruned, p, &p->prune.child, &err);
    }
    if (r < 0)
        prune_end(p, &err);
}

static void prune_begin(void *arg)
{
    prune_when_idle(arg);
}

int provisioner_prune(struct provisioner *p, const V1__Image *const *excluded, size_t n,
                      provisioner_pruned_f *done, void *arg, struct fl_err *err)
{
    if (p->prune.wanted)
        return fl_err_set(err, FL_CONFLICT, "images are being pruned already");
    json_t *keep = p->gc.keep ? json_deep_copy(p->gc.keep) : json_array();
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        if (excluded[i]->docker)
            r = keep_image(keep, excluded[i]->docker->name, err);
    if (r < 0) {
        json_decref(keep);
        return r;
    }
    p->prune.wanted = true;
    p->prune.keep = keep;
    p->prune.done = done;
    p->prune.arg = arg;
    fl_loop_defer(p->loop, prune_begin, p);
    return 0;
}

/* ---- by itself ---- */

static void gc_pruned(void *arg, const struct fl_err *err)
{
    const struct provisioner *p = arg;

    if (err)
        log_warning("Cannot remove unused images, trying again in %.1f s: %s",
                    (double)p->gc.interval_us / 1e6, err->msg);
}

static void gc_tick(void *arg)
{
    struct provisioner *p = arg;
    struct statvfs fs;
    struct fl_err err;

    fl_timer_set(p->gc.timer, p->gc.interval_us);
    if (statvfs(p->store, &fs) < 0 || fs.f_blocks == 0)
        return;
    double free_part = (double)fs.f_bavail / (double)fs.f_blocks;
    if (free_part >= p->gc.headroom || p->prune.wanted)
        return;
    log_info("%.1f%% of the disk of '%s' are free, less than image_disk_headroom of %.1f%%: "
             "removing unused images",
             100 * free_part, p->store, 100 * p->gc.headroom);
    if (provisioner_prune(p, NULL, 0, gc_pruned, p, &err) < 0)
        gc_pruned(p, &err);
}

static int read_config(struct provisioner *p, const json_t *j, struct fl_err *err)
{
    const json_t *headroom = json_object_get(j, "image_disk_headroom");
    const json_t *interval =
        json_object_get(json_object_get(j, "image_disk_watch_interval"), "nanoseconds");
    const json_t *image;
    size_t i;
    int r = 0;

    if (!json_is_number(headroom) || json_number_value(headroom) < 0 ||
        json_number_value(headroom) > 1 || !json_is_integer(interval) ||
        json_integer_value(interval) < 1000000)
        return fl_err_set(err, FL_INVALID,
                          "--image_gc_config needs image_disk_headroom between 0 and 1, and "
                          "image_disk_watch_interval.nanoseconds of at least 1 ms");
    p->gc.headroom = json_number_value(headroom);
    p->gc.interval_us = (uint64_t)json_integer_value(interval) / 1000;
    p->gc.keep = json_array();
    json_array_foreach(json_object_get(j, "excluded_images"), i, image)
    {
        const char *name =
            json_string_value(json_object_get(json_object_get(image, "docker"), "name"));
        if (r == 0 && name)
            r = keep_image(p->gc.keep, name, err);
    }
    return r;
}

int gc_configure(struct provisioner *p, struct fl_err *err)
{
    json_error_t je;

    if (!p->flags->image_gc_config)
        return 0;
    json_t *j = json_loads(p->flags->image_gc_config, 0, &je);
    int r = j ? read_config(p, j, err)
              : fl_err_set(err, FL_INVALID, "--image_gc_config is no JSON: %s", je.text);
    json_decref(j);
    if (r < 0)
        return r;
    p->gc.timer = fl_timer_new(p->loop, gc_tick, p);
    fl_timer_set(p->gc.timer, p->gc.interval_us);
    return 0;
}

void gc_free(struct provisioner *p)
{
    fl_loop_forget(p->loop, p);
    fl_timer_free(p->gc.timer);
    child_free(p->prune.child);
    json_decref(p->prune.keep);
    json_decref(p->gc.keep);
}
