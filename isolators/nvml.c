/* See nvml.h. The names and types are those of NVIDIA's documented interface. */
#include "isolators/nvml.h"

#include <dlfcn.h>
#include <stdio.h>

struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver_version)(char *buf, unsigned size);
    int (*count)(unsigned *ret);
    int (*by_index)(unsigned index, void **ret_device);
    int (*minor)(void *device, unsigned *ret);
    const char *(*error)(int code);
    bool begun;
};

static int find(void *library, const char *name, void *ret, struct fl_err *err)
{
    void *symbol = dlsym(library, name);

    if (!symbol)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "the NVIDIA library has no '%s'; its driver is too old", name);
    memcpy(ret, &symbol, sizeof(symbol));
    return 0;
}

static int find_all(struct nvml *n, struct fl_err *err)
{
    const struct {
        const char *name;
        void *at;
    } symbols[] = {
        {"nvmlInit_v2", &n->init},
        {"nvmlShutdown", &n->shutdown},
        {"nvmlSystemGetDriverVersion", &n->driver_version},
        {"nvmlDeviceGetCount_v2", &n->count},
        {"nvmlDeviceGetHandleByIndex_v2", &n->by_index},
        {"nvmlDeviceGetMinorNumber", &n->minor},
        {"nvmlErrorString", &n->error},
    };
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(symbols) && r == 0; i++)
        r = find(n->library, symbols[i].name, symbols[i].at, err);
    return r;
}

static int failed(const struct nvml *n, int code, const char *what, struct fl_err *err)
{
    return fl_err_set(err, FL_UNSUPPORTED, "%s failed: %s", what, n->error(code));
}

int nvml_open(const char *library, struct nvml **ret, struct fl_err *err)
{
    _cleanup_(nvml_closep) struct nvml *n = xnew0(struct nvml);

    n->library = dlopen(library ? library : NVML_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        return fl_err_set(err, FL_UNSUPPORTED, "NVML is not available: %s", dlerror());
    int r = find_all(n, err);
    if (r < 0)
        return r;
    int code = n->init();
    if (code != 0)
        return failed(n, code, "nvmlInit", err);
    n->begun = true;
    *ret = TAKE_PTR(n);
    return 0;
}

void nvml_close(struct nvml *n)
{
    if (!n)
        return;
    if (n->begun)
        n->shutdown();
    if (n->library)
        dlclose(n->library);
    free(n);
}

int nvml_count(const struct nvml *n, unsigned *ret, struct fl_err *err)
{
    int code = n->count(ret);

    return code ? failed(n, code, "counting GPUs", err) : 0;
}

int nvml_minor(const struct nvml *n, unsigned index, unsigned *ret, struct fl_err *err)
{
    void *device;
    int code = n->by_index(index, &device);

    if (code == 0)
        code = n->minor(device, ret);
    if (code == 0)
        return 0;
    return fl_err_set(err, FL_INVALID, "GPU %u: %s", index, n->error(code));
}

int nvml_driver_version(const struct nvml *n, char buf[96], struct fl_err *err)
{
    int code = n->driver_version(buf, 96);

    return code ? failed(n, code, "asking for the version of the driver", err) : 0;
}
