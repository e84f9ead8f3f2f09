/* See capability_set.h. The names are those of the protocol's enum, whose values are the kernel's numbers and 1000. */
#include "isolators/capability_set.h"

#include <sys/prctl.h>

#include "common/base/json.h"

#define FIRST V1__CAPABILITY_INFO__CAPABILITY__CHOWN
#define N     (V1__CAPABILITY_INFO__CAPABILITY__CHECKPOINT_RESTORE - FIRST + 1)

_Static_assert((1ull << N) - 1 == CAPABILITIES_ALL, "a capability more, or less");

int capability_set_of(const V1__CapabilityInfo *info, uint64_t *ret, struct fl_err *err)
{
    uint64_t set = 0;

    for (size_t i = 0; i < info->n_capabilities; i++) {
        int c = (int)info->capabilities[i] - (int)FIRST;
        if (c < 0 || c >= (int)N)
            return fl_err_set(err, FL_INVALID, "Unknown capability %d", (int)info->capabilities[i]);
        set |= 1ull << c;
    }
    *ret = set;
    return 0;
}

void capability_set_print(uint64_t set, struct fl_buf *out)
{
    const char *comma = "";

    fl_buf_addf(out, "{ ");
    for (unsigned c = 0; c < N; c++) {
        if (!(set & (1ull << c)))
            continue;
        fl_buf_addf(out, "%s%s", comma,
                    fl_enum_name(&v1__capability_info__capability__descriptor, (int)(c + FIRST)));
        comma = ", ";
    }
    fl_buf_addf(out, " }");
}

bool capability_by_name(const char *name, unsigned *ret)
{
    int value;

    if (strncmp(name, "CAP_", 4) != 0 ||
        fl_enum_value(&v1__capability_info__capability__descriptor, name + 4, &value) < 0 ||
        value < (int)FIRST)
        return false;
    *ret = (unsigned)(value - (int)FIRST);
    return true;
}

uint64_t capability_set_bounding(void)
{
    uint64_t set = 0;

    for (unsigned long c = 0; c < N; c++)
        if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
            set |= 1ull << c;
    return set;
}
