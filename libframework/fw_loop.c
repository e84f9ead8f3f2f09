/* Loops that several schedulers share. */
#include "libframework/fw_loop.h"

fw_loop *fw_loop_new(void)
{
    struct fl_loop *l = NULL;

    return fl_loop_new(&l, NULL) < 0 ? NULL : fw_loop_of(l);
}

void fw_loop_free(fw_loop *l)
{
    if (l)
        fl_loop_free(fw_loop_base(l));
}

void fw_loop_run_once(fw_loop *l)
{
    fl_loop_run_once(fw_loop_base(l));
}
