/* A module of another version of the interface: must be refused before anything of it is looked at. */
#include "master/allocator/allocator.h"

FL_PUBLIC extern const struct allocator_module fairlead_allocator_module;
const struct allocator_module fairlead_allocator_module = {
    .abi = ALLOCATOR_ABI + 7,
    .author = "Fairlead's tests",
    .description = "From the future",
    .ops = (const struct allocator_ops *)16, /* touching it would be a crash */
};
