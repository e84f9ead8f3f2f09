/* What the daemon itself uses. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/metrics.h"

static double pull_cpu(void *arg)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) < 0)
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The second number of statm is in pages. */
static double pull_resident(void *arg)
{
    _cleanup_close_ int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128], *number;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    uint64_t pages = 0;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    number = strchr(text, ' ');
    if (!number)
        return 0;
    number++;
    number[strcspn(number, " ")] = '\0';
    return fl_parse_u64(number, &pages) < 0 ? 0 : (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void metrics_add_process(struct metrics *m)
{
    metrics_pull(m, "process/cpu_secs", pull_cpu, NULL);
    metrics_pull(m, "process/resident_bytes", pull_resident, NULL);
}
