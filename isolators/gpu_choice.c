/* See gpu_choice.h. Rules of the reference (features.md 5.1):
 *   neither flag names GPUs         all that NVML finds
 *   --resources has `gpus`          --nvidia_gpu_devices must list as many, each once; "gpus:0" needs no list and means none
 *   --nvidia_gpu_devices alone      refused
 */
#include "isolators/gpu_choice.h"

#include "isolators/nvml.h"

void gpu_choice_done(struct gpu_choice *c)
{
    free(c->indices);
    *c = (struct gpu_choice){0};
}

bool gpu_isolation_has(const char *isolation, const char *name)
{
    for (const char *p = isolation; p && *p;) {
        size_t n = strcspn(p, ",");
        if (strlen(name) == n && memcmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static int add_index(struct gpu_choice *c, size_t *cap, const char *word, struct fl_err *err)
{
    uint64_t v;

    if (fl_parse_u64(word, &v) < 0 || v > 1024)
        return fl_err_set(err, FL_INVALID,
                          "'--nvidia_gpu_devices' has '%s', which is no number of a GPU", word);
    for (size_t i = 0; i < c->n; i++)
        if (c->indices[i] == v)
            return fl_err_set(err, FL_INVALID, "'--nvidia_gpu_devices' contains duplicates");
    c->indices = xgrow(c->indices, cap, c->n + 1, sizeof(*c->indices));
    c->indices[c->n++] = (unsigned)v;
    return 0;
}

static int read_list(const char *text, struct gpu_choice *c, struct fl_err *err)
{
    size_t cap = 0;
    int r = 0;

    for (const char *p = text; *p && r == 0;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *word = xstrndup(p, n);
        r = add_index(c, &cap, word, err);
        p += n + (p[n] == ',');
    }
    return r;
}

static int chosen_by_hand(const struct gpu_flags *f, milli_t gpus, unsigned available,
                          struct gpu_choice *c, struct fl_err *err)
{
    if (!f->nvidia_gpu_devices)
        return fl_err_set(err, FL_INVALID,
                          "The `gpus` resource cannot be set without also setting "
                          "`--nvidia_gpu_devices`");
    if (gpus % MILLI_ONE)
        return fl_err_set(err, FL_INVALID, "The 'gpus' resource must be an non-negative integer");
    int r = read_list(f->nvidia_gpu_devices, c, err);
    if (r < 0)
        return r;
    if ((milli_t)c->n * MILLI_ONE != gpus)
        return fl_err_set(err, FL_INVALID,
                          "'--resources' and '--nvidia_gpu_devices' specify different numbers of "
                          "GPU devices");
    if (c->n > available)
        return fl_err_set(err, FL_INVALID,
                          "The number of GPUs requested is greater than the number of GPUs "
                          "available on the machine");
    return 0;
}

static int choose(const struct gpu_flags *f, unsigned available, struct gpu_choice *c,
                  struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    bool named = f->resources && strstr(f->resources, "gpus");
    int rc = 0;

    if (f->resources && *f->resources)
        rc = resources_parse(f->resources, f->default_role, &r, err);
    if (rc < 0)
        return fl_err_wrap(err, "--resources");
    milli_t gpus = resources_scalar(&r, "gpus");
    if (named && gpus == 0) {
        if (f->nvidia_gpu_devices)
            return fl_err_set(err, FL_INVALID,
                              "'--nvidia_gpus_devices' cannot be specified when '--resources' "
                              "specifies 0 GPUs");
        return 0;
    }
    if (named)
        return chosen_by_hand(f, gpus, available, c, err);
    if (f->nvidia_gpu_devices)
        return fl_err_set(err, FL_INVALID,
                          "'--nvidia_gpus_devices' cannot be set without also setting 'gpus' in "
                          "'--resources'");
    c->indices = xcalloc(available + 1, sizeof(*c->indices));
    for (unsigned i = 0; i < available; i++)
        c->indices[c->n++] = i;
    return 0;
}

int gpu_choose(const struct gpu_flags *f, struct gpu_choice *ret, struct fl_err *err)
{
    _cleanup_(nvml_closep) struct nvml *nvml = NULL;
    struct gpu_choice c = {0};
    unsigned available;
    struct fl_err none;

    if (!gpu_isolation_has(f->isolation, "gpu/nvidia")) {
        if (f->nvidia_gpu_devices)
            return fl_err_set(err, FL_INVALID,
                              "'--nvidia_gpus_devices' can only be specified if the `--isolation` "
                              "flag contains 'gpu/nvidia'");
        *ret = c;
        return 0;
    }
    if (nvml_open(f->nvml_library, &nvml, &none) < 0) {
        *ret = c; /* the isolator says so */
        return 0;
    }
    int r = nvml_count(nvml, &available, err);
    if (r == 0)
        r = choose(f, available, &c, err);
    if (r < 0) {
        gpu_choice_done(&c);
        return r;
    }
    *ret = c;
    return 0;
}
