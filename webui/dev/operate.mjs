// What the made-up master does when an operator acts: enough that the page sees the outcome. undefined: no such call.
const order = ['cpus', 'gpus', 'mem', 'disk'];
const refused = (text) => [400, text];
const same = (x, y) => x.hostname === y.hostname && x.ip === y.ip;

export function operate(c, type, m) {
  return Object.hasOwn(calls, type) ? calls[type](c, m) ?? [200, ''] : undefined;
}

const set = (c, m, state) => {
  const a = c.agents.find((x) => x.id === m.agent_id.value);
  if (!a) return refused('Unknown agent');
  a.state = state;
  c.changed.agents.add(a);
};

function remove(c, m) {
  const i = c.agents.findIndex((x) => x.id === m.agent_id.value);
  if (i < 0) return [404, `Agent '${m.agent_id.value}' not found`];
  c.goneAgents.push(c.agents[i].key);
  c.agents.splice(i, 1);
}

// Adds to, or takes from, what is reserved on an agent, as a list of Resources.
function reserved(c, m, list, change) {
  const a = c.agents.find((x) => x.id === m.agent_id.value);
  for (const r of list) {
    const last = r.reservations.at(-1);
    if (last.principal && last.principal !== 'operator' && change > 0) return refused(`'operator' cannot reserve for the principal '${last.principal}'`);
    if (change > 0) a.list.push(r);
    else a.list.splice(a.list.findIndex((x) => x.name === r.name && x.disk?.persistence?.id === r.disk?.persistence?.id), 1);
    const i = order.indexOf(r.name);
    if (i >= 0 && !r.disk?.persistence) a.reserved = a.reserved.map((v, k) => (k === i ? Math.max(0, v + change * r.scalar.value) : v));
  }
  c.changed.agents.add(a);
  return [202, ''];
}

const machines = (c) => c.windows.flatMap((w) => w.machine_ids);
function move(c, list, down) {
  for (const id of list) {
    if (!machines(c).some((x) => same(x, id))) return refused(`Machine '${JSON.stringify(id)}' is not part of a maintenance schedule`);
    if (down) c.down.push(id);
    else {
      c.down = c.down.filter((x) => !same(x, id));
      c.windows = c.windows.map((w) => ({ ...w, machine_ids: w.machine_ids.filter((x) => !same(x, id)) })).filter((w) => w.machine_ids.length);
    }
  }
}

const calls = {
  DRAIN_AGENT(c, m) {
    const no = set(c, m, 'draining');
    if (!no) setTimeout(() => (m.mark_gone ? remove(c, m) : set(c, m, 'drained')), 3000);
    return no;
  },
  DEACTIVATE_AGENT: (c, m) => set(c, m, 'deactivated'),
  REACTIVATE_AGENT: (c, m) => set(c, m, 'active'),
  MARK_AGENT_GONE: remove,
  TEARDOWN(c, m) {
    const f = c.frameworks.find((x) => x.id === m.framework_id.value);
    f.state = 'completed';
    c.changed.frameworks.add(f);
  },
  UPDATE_WEIGHTS(c, { weight_infos }) {
    for (const w of weight_infos) c.roles.find((r) => r.name === w.role).weight = w.weight;
  },
  UPDATE_QUOTA(c, { quota_configs: [q], force }) {
    if (!force && q.guarantees.cpus?.value > 1e6) return refused('Invalid QuotaConfig: total quota guarantees exceed cluster capacity (use \'force\' to bypass this check)');
    const r = c.roles.find((x) => x.name === q.role);
    const values = (o) => (Object.keys(o).length ? order.map((n) => o[n]?.value ?? null) : null);
    if (r) Object.assign(r, { guarantee: values(q.guarantees), limit: values(q.limits) });
  },
  RESERVE_RESOURCES: (c, m) => reserved(c, m, m.resources, 1),
  UNRESERVE_RESOURCES: (c, m) => reserved(c, m, m.resources, -1),
  CREATE_VOLUMES: (c, m) => reserved(c, m, m.volumes, 1),
  DESTROY_VOLUMES: (c, m) => reserved(c, m, m.volumes, -1),
  GET_MAINTENANCE_SCHEDULE: (c) => [200, { type: 'GET_MAINTENANCE_SCHEDULE', get_maintenance_schedule: { schedule: { windows: c.windows } } }],
  GET_MAINTENANCE_STATUS(c) {
    const draining = machines(c).filter((id) => !c.down.some((x) => same(x, id)));
    const statuses = c.frameworks.slice(0, 2).map((f, i) => ({ status: i ? 'DECLINE' : 'ACCEPT', framework_id: { value: f.id }, timestamp: { nanoseconds: Date.now() * 1e6 } }));
    return [200, { type: 'GET_MAINTENANCE_STATUS', get_maintenance_status: { status: { draining_machines: draining.map((id) => ({ id, statuses })), down_machines: c.down } } }];
  },
  UPDATE_MAINTENANCE_SCHEDULE(c, { schedule }) {
    const left = (schedule.windows ?? []).flatMap((w) => w.machine_ids);
    const down = c.down.find((id) => !left.some((x) => same(x, id)));
    if (down) return refused(`Machine '${JSON.stringify(down)}' is deactivated and cannot be removed from the schedule`);
    c.windows = schedule.windows ?? [];
  },
  START_MAINTENANCE: (c, m) => move(c, m.machines, true),
  STOP_MAINTENANCE: (c, m) => move(c, m.machines, false),
};
