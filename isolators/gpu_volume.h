/* The programs and libraries of NVIDIA's driver in one folder, to be shown in containers whose image expects them. */
#ifndef ISOLATORS_GPU_VOLUME_H
#define ISOLATORS_GPU_VOLUME_H

#include "isolators/image_config.h"
#include "isolators/isolator.h"
#include "isolators/launch_plan.h"

/* Makes <work_dir>/isolators/gpu/nvidia_<version> when it is not there; its path is the caller's. Blocks for as long as copying takes. */
int gpu_volume_make(const char *work_dir, const char *version, char **ret, struct fl_err *err);
/* Does the image say that it wants it? */
bool gpu_volume_wanted(const struct image_config *image);
/* The mount at /usr/local/nvidia, and the environment that finds it. */
void gpu_volume_plan(const char *volume, const struct image_config *image,
                     struct launch_plan *plan);

#endif
