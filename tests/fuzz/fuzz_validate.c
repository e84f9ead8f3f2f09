/* Fuzzes validation: a scheduler's or executor's call as protobuf, what is in it checked as the master and the agent do. The first
 * byte chooses. Each refusal must have its sentence; what is accepted must fit what was offered. */
#include <errno.h>
#include <stdint.h>

#include "common/model/attributes.h"
#include "common/model/roles.h"
#include "common/model/validate.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            __builtin_trap();                                                                      \
    } while (0)

static struct resources offered, total;
static struct validate_context context;

static void check_refusal(int rc, const struct fl_err *err)
{
    CHECK(rc == 0 || (rc == -EINVAL && err->reason == FL_INVALID && err->msg[0]));
}

static void fuzz_launches(V1__Offer__Operation *op, struct fl_arena *arena)
{
    inject_allocation_role_operation(op, "a", arena);
    for (size_t i = 0; op->launch && i < op->launch->n_task_infos; i++) {
        _cleanup_resources_ struct resources needs = RESOURCES_INIT;
        struct fl_err err = {0};
        int rc = validate_task(op->launch->task_infos[i], &context, &needs, &err);
        check_refusal(rc, &err);
        CHECK(rc < 0 || resources_contains(&offered, &needs));
    }
    if (op->launch_group) {
        _cleanup_resources_ struct resources needs = RESOURCES_INIT;
        struct fl_err err = {0};
        int rc = validate_task_group(op->launch_group->task_group, op->launch_group->executor,
                                     &context, &needs, &err);
        check_refusal(rc, &err);
        CHECK(rc < 0 || resources_contains(&offered, &needs));
    }
}

static void fuzz_operation(V1__Offer__Operation *op, struct fl_arena *arena)
{
    fuzz_launches(op, arena);
    struct fl_err err = {0};
    int rc = validate_operation(op, &context, NULL, &err);
    check_refusal(rc, &err);
    if (rc < 0)
        return;
    _cleanup_resources_ struct resources changed = RESOURCES_INIT;
    resources_copy(&changed, &offered);
    rc = resources_apply_operation(&changed, op, &err);
    check_refusal(rc, &err);
    CHECK(rc < 0 || resources_scalar(&changed, "disk") == resources_scalar(&offered, "disk"));
}

static void fuzz_framework(const V1__FrameworkInfo *info, char *const *suppressed, size_t n,
                           const Sched__OfferConstraints *constraints)
{
    struct fl_err err = {0};
    check_refusal(validate_framework_info(info, NULL, 0, suppressed, n, &err), &err);
    if (!constraints)
        return;
    _cleanup_free_ const char **roles = NULL;
    struct offer_constraints *c = NULL;
    V1__AgentInfo agent = V1__AGENT_INFO__INIT;
    size_t n_roles = framework_roles(info, &roles);
    agent.hostname = "host";
    int rc = offer_constraints_new(constraints, roles, n_roles, NULL, &c, &err);
    check_refusal(rc, &err);
    for (size_t i = 0; rc == 0 && i < n_roles; i++)
        (void)offer_constraints_pass(c, roles[i], &agent);
    offer_constraints_free(c);
}

static void fuzz_scheduler(Sched__Call *call, struct fl_arena *arena)
{
    struct fl_err err = {0};
    check_refusal(validate_scheduler_call(call, &err), &err);
    for (size_t i = 0; call->accept && i < call->accept->n_operations; i++)
        fuzz_operation(call->accept->operations[i], arena);
    const Sched__Call__Subscribe *s = call->subscribe;
    if (s)
        fuzz_framework(s->framework_info, s->suppressed_roles, s->n_suppressed_roles,
                       s->offer_constraints);
}

static void set_up(void)
{
    if (context.offered)
        return;
    CHECK(resources_parse("cpus:4;mem:1024;disk:100;cpus(a):4;disk(a):50;ports:[1-100]", "*",
                          &offered, NULL) == 0);
    resources_allocate(&offered, "a");
    resources_copy(&total, &offered);
    resources_unallocate(&total);
    static V1__FrameworkInfo framework = V1__FRAMEWORK_INFO__INIT;
    framework.user = framework.name = "n";
    framework.role = "a";
    context = (struct validate_context){.framework = &framework,
                                        .framework_id = "f",
                                        .agent_id = "agent",
                                        .agent_has_task_limits = true,
                                        .offered = &offered,
                                        .agent_total = &total,
                                        .agent_used = &total};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    set_up();
    struct fl_arena *arena = fl_arena_new(4096);
    bool executor = data[0] == 'E';
    ProtobufCMessage *m;
    struct fl_err err = {0};
    int rc = fl_pb_decode(data + 1, size - 1,
                          executor ? &exec__call__descriptor : &sched__call__descriptor,
                          fl_arena_allocator(arena), &m, &err);
    if (rc == 0 && executor)
        check_refusal(validate_executor_call((const Exec__Call *)m, &err), &err);
    else if (rc == 0)
        fuzz_scheduler((Sched__Call *)m, arena);
    fl_arena_free(arena);
    return 0;
}
