/* Which GPUs an agent offers, by --resources, --nvidia_gpu_devices and what NVML finds. Start-up only. */
#ifndef ISOLATORS_GPU_CHOICE_H
#define ISOLATORS_GPU_CHOICE_H

#include "isolators/isolator.h"

struct nvml;
struct gpu_choice {
    unsigned *indices; /* owned, n of them; NVML's */
    size_t n;
};

/* The flags as far as they matter here; --isolation, --resources, --default_role, --nvidia_gpu_devices, --nvml_library. */
struct gpu_flags {
    const char *isolation, *resources, *default_role, *nvidia_gpu_devices, *nvml_library;
};
/* FL_INVALID: the flags contradict each other, or the machine. Without gpu/nvidia or NVML none are chosen. */
int gpu_choose(const struct gpu_flags *flags, struct gpu_choice *ret, struct fl_err *err);
void gpu_choice_done(struct gpu_choice *c);
/* Whether the list of --isolation has that name. */
bool gpu_isolation_has(const char *isolation, const char *name);

#endif
