/* Before `fairlead run` waits for offers: is there a master, and could any agent hold one instance? What can be known at once should not
 * look like waiting. */
#include "cli/connection.h"
#include "cli/run.h"

struct amount {
    const char *name, *unit;
    double wanted, best;
};

int run_check(struct run *r)
{
    struct amount amounts[] = {
        {"cpus", "cpus", r->cpus, 0},
        {"mem", "MB of memory", r->mem, 0},
        {"disk", "MB of disk", r->disk, 0},
        {"gpus", "gpus", r->gpus, 0},
    };
    _cleanup_json_ json_t *all = NULL;
    struct fl_err err = {0};
    json_t *agents, *a;
    size_t i;

    const struct peer *leader;
    if (connection_leader(r->cli, &leader, &err) < 0)
        return cli_fail(&err);
    if (leader->at.tls)
        return cli_failf("`run` speaks no TLS: start it where the master answers by http");
    r->master = address_text(&leader->at);
    if (cli_get_json(r->cli, NULL, "/slaves", &all, &err) < 0)
        return cli_fail(&err);
    agents = json_object_get(all, "slaves");
    if (json_array_size(agents) == 0)
        return cli_failf(
            "the master at '%s' has no agents: start one with `fairlead-agent --master=%s ...`",
            connection_masters(r->cli), connection_masters(r->cli));
    json_array_foreach(agents, i, a) for (size_t k = 0; k < ARRAY_SIZE(amounts); k++) amounts[k]
        .best = FL_MAX(amounts[k].best, jnum(json_object_get(a, "resources"), amounts[k].name));
    for (size_t k = 0; k < ARRAY_SIZE(amounts); k++)
        if (amounts[k].wanted > amounts[k].best)
            return cli_failf("no agent has %g %s; the largest has %g", amounts[k].wanted,
                             amounts[k].unit, amounts[k].best);
    return CLI_OK;
}
