/* Folders that nobody needs any more: out of the way at once, removed by a program beside the agent. A task may leave a million files,
 * which take the better part of a minute; the agent's thread has none of it, and an agent that ends need not wait. What is left over
 * is removed by the next agent. The loop's thread. */
#ifndef AGENT_DISK_TRASH_H
#define AGENT_DISK_TRASH_H

#include "common/base/err.h"
#include "common/base/loop.h"

struct agent_trash;
/* Of the folder <work_dir>/trash, which is made when it is needed. */
struct agent_trash *agent_trash_new(struct fl_loop *loop, const char *work_dir);
void agent_trash_free(struct agent_trash *t);
/* Afterwards `path` is free for another. No error when there is nothing. */
int agent_trash_put(struct agent_trash *t, const char *path, struct fl_err *err);

#endif
