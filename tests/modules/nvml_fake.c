/* A stand-in for NVIDIA's management library, for tests: as many GPUs as the environment says, the minor number of each its index. */
#include <stdlib.h>
#include <string.h>

#define SHOWN __attribute__((visibility("default")))

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *buf, unsigned size);
int nvmlDeviceGetCount_v2(unsigned *ret);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret);
int nvmlDeviceGetMinorNumber(void *device, unsigned *ret);
const char *nvmlErrorString(int code);

static unsigned devices[16];

SHOWN int nvmlInit_v2(void)
{
    return getenv("FAKE_GPUS") ? 0 : 9;
}

SHOWN int nvmlShutdown(void)
{
    return 0;
}

SHOWN int nvmlSystemGetDriverVersion(char *buf, unsigned size)
{
    strncpy(buf, "1.2.3", size);
    return 0;
}

SHOWN int nvmlDeviceGetCount_v2(unsigned *ret)
{
    *ret = (unsigned)(getenv("FAKE_GPUS")[0] - '0');
    return 0;
}

SHOWN int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret)
{
    unsigned n;

    nvmlDeviceGetCount_v2(&n);
    if (index >= n)
        return 2;
    devices[index] = index;
    *ret = &devices[index];
    return 0;
}

SHOWN int nvmlDeviceGetMinorNumber(void *device, unsigned *ret)
{
    *ret = *(unsigned *)device;
    return 0;
}

SHOWN const char *nvmlErrorString(int code)
{
    return code == 9 ? "Driver Not Loaded" : "Invalid Argument";
}
