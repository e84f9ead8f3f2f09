/* What `reserve`, `unreserve` and `volumes` share. */
#ifndef CLI_RESERVE_H
#define CLI_RESERVE_H

#include "cli/cli.h"

/* Words like "cpus:1;mem:32" from argv[first] on, appended to the array; CLI_OK, or a code. */
int reserve_words(int argc, char **argv, int first, json_t *to);
/* What is reserved at an agent of /slaves (role NULL: for any), each with its `reservations`, as the v1 API takes it back; the caller's. */
json_t *reserved_of(const json_t *agent, const char *role);

#endif
