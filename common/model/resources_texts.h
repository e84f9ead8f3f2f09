/* The texts of what tasks hold, remembered: tasks that hold the same share one set, and an answer that lists a million of them asks for the same
 * texts again and again. Sets are known by their address, so only while none changes: resources_texts_forget() begins anew. Not shared between
 * threads. */
#ifndef COMMON_MODEL_RESOURCES_TEXTS_H
#define COMMON_MODEL_RESOURCES_TEXTS_H

#include "common/model/resources.h"

struct resources_texts;
/* `field`: the number of the repeated field that the encoded resources are. */
struct resources_texts *resources_texts_new(uint32_t field);
void resources_texts_free(struct resources_texts *t);
void resources_texts_forget(struct resources_texts *t); /* sets may have changed */

struct resources_text {
    struct fl_buf
        encoded;        /* as that field: heads and messages, newer format, with allocation_info */
    struct fl_buf json; /* the same as an array of the operator API; "[]" when empty */
    struct fl_buf summary; /* as resources_json_summary() writes it */
    const char *role;      /* resources_allocation_role() */
};
/* Valid until the next call. */
const struct resources_text *resources_texts_get(struct resources_texts *t,
                                                 const struct resources *r);

#endif
