/* Inside libframework: the handles of fairlead/framework.h and how messages on the heap are built without aborting when memory
 * runs out (a library may not end its caller's process). */
#ifndef LIBFRAMEWORK_MESSAGES_H
#define LIBFRAMEWORK_MESSAGES_H

#include "common/base/buf.h"
#include "libframework/fairlead/framework.h"
#include "proto/scheduler.pb-c.h"

struct fw_offer {
    V1__Offer *pb; /* owned when `owned` */
    bool owned;
    uint16_t *taken; /* ports given out by fw_offer_take_ports(); owned */
    size_t n_taken;
};
struct fw_task {
    V1__TaskInfo *pb; /* owned unless `borrowed` */
    bool borrowed;
};
struct fw_status {
    V1__TaskStatus *pb;
    bool owned;
};
struct fw_info {
    V1__FrameworkInfo *pb; /* owned */
};
struct fw_executor_info {
    V1__ExecutorInfo *pb; /* owned */
};

/* A heap message, initialised; NULL when out of memory. Freed with the message it is put in. */
#define FW_NEW(Type, prefix)                                                                       \
    ({                                                                                             \
        Type *_m = malloc(sizeof(Type));                                                           \
        if (_m)                                                                                    \
            prefix##__init(_m);                                                                    \
        _m;                                                                                        \
    })

/* Each 0 or -ENOMEM; on failure nothing has changed. */
int fw_set_string(char **field, const char *value);
int fw_set_bytes(ProtobufCBinaryData *field, protobuf_c_boolean *has, const void *p, size_t n);
/* Appends to a repeated field. Does not free `item` on failure. */
int fw_append(void *items, size_t *n, void *item);
int fw_add_label(V1__Labels **labels, const char *key, const char *value);
int fw_add_env(V1__CommandInfo *command, const char *name, const char *value);
int fw_add_uri(V1__CommandInfo *command, const char *uri, bool executable, bool extract);
int fw_set_scalar(V1__Resource ***resources, size_t *n, const char *name, double amount);
int fw_encode(const ProtobufCMessage *m, void **ret_bytes, size_t *ret_n);
/* NULL: not a message, or out of memory. */
ProtobufCMessage *fw_decode(const ProtobufCMessageDescriptor *d, const void *bytes, size_t n);

#endif
