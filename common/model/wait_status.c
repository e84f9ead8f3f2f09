/* See wait_status.h. */
#include "common/model/wait_status.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

void wait_status_text(int status, char *buf, size_t size)
{
    if (WIFEXITED(status)) {
        snprintf(buf, size, "exited with status %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        snprintf(buf, size, "terminated with signal %s%s", strsignal(WTERMSIG(status)),
                 WCOREDUMP(status) ? " (core dumped)" : "");
    } else {
        snprintf(buf, size, "ended with wait status %d", status);
    }
}
