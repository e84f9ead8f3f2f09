/* Apart from store.c, whose libraries a program that only lays layers out does not need. */
#include "agent/images/store.h"

char *store_layer_path(const char *store, const char *hex)
{
    return xasprintf("%s/layers/%s", store, hex);
}
