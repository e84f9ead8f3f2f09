/* Finding what a person names: by id, by name, or by a part of the id that only one has. */
#ifndef CLI_FIND_H
#define CLI_FIND_H

#include "cli/connection.h"

struct candidate {
    const char *id, *name; /* name: or NULL */
};
enum match { MATCH_NONE, MATCH_ONE, MATCH_MANY };
/* The whole id first, then the whole name, then the beginning of the id, or what follows its last '-' ("S3", "0012"). */
enum match id_match(const struct candidate *list, size_t n, const char *word, size_t *ret_index);

/* CLI_OK and an object to the caller, who owns it; or a code after having said why. Agents as /slaves shows them; frameworks as
 * GET_FRAMEWORKS does, also completed ones when `ended`. */
int find_agent(struct cli *c, const char *word, json_t **ret);
int find_framework(struct cli *c, const char *word, bool ended, json_t **ret);
const char *framework_id_of(const json_t *framework); /* borrowed */
const char *agent_address_of(const json_t *agent);    /* "ip:port" of /slaves' pid, or NULL */
/* The peer of an agent that a person names. */
int find_agent_peer(struct cli *c, const char *word, struct peer *ret);
/* Of a list of objects of /tasks, tasks of all pages that `keep` wants (NULL: all) are appended to `to`. */
int list_tasks(struct cli *c, const char *framework_id, bool (*keep)(const json_t *task, void *arg),
               void *arg, json_t *to, struct fl_err *err);

#endif
