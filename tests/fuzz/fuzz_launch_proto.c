/* Fuzzes what passes between the agent, its launcher and the shims: the launcher's packets, and the launch plan as the shim and a
 * restarted agent read it. The first byte chooses. */
#include <stdint.h>

#include "agent/containerizer/launcher_proto.h"
#include "isolators/plan_format.h"

static void fuzz_packet(const char *data, size_t n)
{
    char again[LAUNCHER_MAX_PACKET];
    struct launcher_msg m;
    struct fl_err err;

    if (launcher_decode(data, n, &m, &err) < 0)
        return;
    /* What is understood says the same when it is said again. */
    int len = launcher_encode(&m, again, sizeof(again));
    if (len >= 0)
        assert((size_t)len == n && memcmp(again, data, n) == 0);
}

static size_t fuzz_plan(const char *data, size_t n)
{
    struct plan_record r;
    const char *s[4];
    size_t pos, seen = 0;

    if (!plan_begin(data, n, &pos))
        return 0;
    while (plan_next(data, n, &pos, &r) > 0) {
        assert(pos <= n);
        if (plan_is_string(r.tag))
            seen += strlen(r.data);
        else if (r.tag == PLAN_MOUNT && plan_mount_strings(&r, s))
            seen += strlen(s[0]) + strlen(s[1]) + strlen(s[2]) + strlen(s[3]);
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of exactly that size, so that reading beyond it is seen. */
    _cleanup_free_ char *copy = xmemdup(data + 1, size - 1);
    if (data[0] & 1)
        fuzz_packet(copy, size - 1);
    else
        (void)fuzz_plan(copy, size - 1);
    return 0;
}
