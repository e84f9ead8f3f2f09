/* The numbers of messages on a channel, from wire_types.def. Pure; any thread. */
#include "common/wire/wire.h"

#include "proto/internal.pb-c.h"

static const ProtobufCMessageDescriptor *const descriptors[] = {
#define WIRE_TYPE(number, name, descriptor) [number] = &descriptor,
#include "common/wire/wire_types.def"
#undef WIRE_TYPE
};

const ProtobufCMessageDescriptor *wire_type_descriptor(unsigned type)
{
    return type < ARRAY_SIZE(descriptors) ? descriptors[type] : NULL;
}

int wire_type_of(const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++)
        if (descriptors[i] == d && d)
            return (int)i;
    return -1;
}
