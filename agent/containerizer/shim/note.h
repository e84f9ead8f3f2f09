/* What the shim tells: as messages on its socket while the agent that started it lives, and as files in the container's
 * runtime folder for an agent that comes later.
 *
 *   plan     written by the agent before the launch
 *   shim     "<pid> <start time>\n" of the shim, before anything else is done
 *   started  "<pid> <start time>\n" of the first process, once its exec succeeded (checkpointed containers)
 *   status   "exited <wait status>\n" or "failed <errno> <what was tried>\n" (checkpointed, or nobody listened)
 *
 * Pids are those of the host; a start time is field 22 of /proc/<pid>/stat, so a reused pid is not mistaken. `status` is
 * written beside and renamed, so it is whole or absent. Files vanish with the folder: a shim whose folder was removed before it
 * wrote `shim` does not start anything.
 */
#ifndef AGENT_CONTAINERIZER_SHIM_NOTE_H
#define AGENT_CONTAINERIZER_SHIM_NOTE_H

#include <stddef.h>
#include <stdint.h>

enum shim_note_type {
    SHIM_STARTED = 1, /* value: pid */
    SHIM_FAILED = 2,  /* value: errno; text: what was tried */
    SHIM_EXITED = 3,  /* value: wait(2) status; everything else of the container is gone */
};

#define SHIM_TEXT_MAX 400
struct shim_note {
    uint32_t type;
    int32_t value;
    char text[SHIM_TEXT_MAX]; /* only as much as is used is sent, with its NUL */
};

#define SHIM_IO_SOCKET "io" /* in the runtime folder: where a later agent takes up a terminal */
#define SHIM_SOCKET_FD 3    /* where the launcher puts the shim's end of the socket */

#endif
