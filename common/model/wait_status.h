/* What a wait(2) status says, in the words that messages of task statuses use. */
#ifndef COMMON_MODEL_WAIT_STATUS_H
#define COMMON_MODEL_WAIT_STATUS_H

#include <stddef.h>

/* "exited with status 3" */
void wait_status_text(int status, char *buf, size_t size);

#endif
