/* Calls of the operator API about the maintenance schedule. */
#include "master/api/operator_call.h"
#include "master/maintenance.h"

int op_get_maintenance_schedule(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMaintenanceSchedule *g = OPERATOR_NEW(
        op, Mapi__Response__GetMaintenanceSchedule, mapi__response__get_maintenance_schedule);

    g->schedule = maintenance_schedule(op->api->master, op->principal, op->arena);
    op->response.get_maintenance_schedule = g;
    return 0;
}

int op_get_maintenance_status(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMaintenanceStatus *g = OPERATOR_NEW(op, Mapi__Response__GetMaintenanceStatus,
                                                           mapi__response__get_maintenance_status);

    g->status = maintenance_status(op->api->master, op->principal, op->arena);
    op->response.get_maintenance_status = g;
    return 0;
}

int op_update_maintenance_schedule(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__UpdateMaintenanceSchedule *c = op->call->update_maintenance_schedule;

    maintenance_update(op->api->master, c->schedule, op->principal, operator_answer, op->ex);
    return 1;
}

int op_start_maintenance(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__StartMaintenance *c = op->call->start_maintenance;

    maintenance_start(op->api->master, c->machines, c->n_machines, op->principal, operator_answer,
                      op->ex);
    return 1;
}

int op_stop_maintenance(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__StopMaintenance *c = op->call->stop_maintenance;

    maintenance_stop(op->api->master, c->machines, c->n_machines, op->principal, operator_answer,
                     op->ex);
    return 1;
}
