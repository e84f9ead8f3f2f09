/* NVIDIA's management library, loaded when it is there: which GPUs this machine has. Nothing of it is needed to build. Used at the start of an
 * agent, on its thread. */
#ifndef ISOLATORS_NVML_H
#define ISOLATORS_NVML_H

#include "common/base/err.h"

#define NVML_LIBRARY "libnvidia-ml.so.1"

struct nvml;

/* `library` NULL: NVML_LIBRARY. FL_UNSUPPORTED: there is none, or it does not work. */
int nvml_open(const char *library, struct nvml **ret, struct fl_err *err);
void nvml_close(struct nvml *n);
FL_DEFINE_CLEANUP(struct nvml *, nvml_close, nvml_closep)
int nvml_count(const struct nvml *n, unsigned *ret, struct fl_err *err);
/* The minor number of the device of a GPU. */
int nvml_minor(const struct nvml *n, unsigned index, unsigned *ret, struct fl_err *err);
int nvml_driver_version(const struct nvml *n, char buf[96], struct fl_err *err);

#endif
