import { operate } from './operate.mjs';

// What the made-up master answers on demand: as small as the views need.
const list = (a) => ['cpus', 'gpus', 'mem', 'disk'].map((name, i) => ({ name, type: 'SCALAR', scalar: { value: a[i] } })).filter((r) => r.scalar.value);

export function answers(c, url, body) {
  const arg = (name) => url.searchParams.get(name);
  switch (url.pathname) {
    case '/page/task': return task(c, arg('framework_id'), arg('task_id'));
    case '/slaves': return [200, { slaves: c.agents.filter((a) => a.id === arg('slave_id')).map(slave), recovered_slaves: [] }];
    case '/explain': return explain(c, arg('framework_id'));
    case '/api/v1': return call(c, JSON.parse(body));
    default: return url.pathname.startsWith('/agent/') ? [502, 'The made-up agents do not answer'] : undefined;
  }
}

function task(c, framework, id) {
  const t = [...c.tasks.values()].find((x) => x.id === id && x.f.id === framework);
  if (!t) return [404, `The master knows no task '${id}' of framework '${framework}'`];
  const status = (state, timestamp, more) => ({ task_id: { value: id }, state: `TASK_${state}`, timestamp, source: 'SOURCE_EXECUTOR', agent_id: { value: t.a.id }, ...more });
  const statuses = [status('STARTING', t.started - 1.2), status('RUNNING', t.started, { healthy: t.healthy ?? undefined, container_status: { network_infos: [{ ip_addresses: [{ ip_address: '10.0.3.7' }] }], container_id: { value: 'c1' } } })];
  if (t.state === 'FAILED') statuses.push(status('FAILED', t.at, { source: 'SOURCE_AGENT', reason: 'REASON_CONTAINER_LIMITATION_MEMORY', message: 'Memory limit exceeded: Requested: 64MB Maximum Used: 64MB' }));
  else if (!['RUNNING', 'STAGING'].includes(t.state)) statuses.push(status(t.state, t.at, { message: 'Command exited with status 0' }));
  return [200, {
    framework: { id: t.f.id, name: t.f.name }, agent: { id: t.a.id, hostname: t.a.hostname, pid: t.a.pid },
    task: { name: t.name, task_id: { value: id }, framework_id: { value: t.f.id }, agent_id: { value: t.a.id }, state: `TASK_${t.state}`, resources: list(t.resources), statuses: t.state === 'STAGING' ? [] : statuses, user: 'svc', labels: { labels: [{ key: 'team', value: 'payments' }, { key: 'version', value: '2024.11.3' }] } },
  }];
}

function slave(a) {
  return {
    id: a.id, hostname: a.hostname, port: 5051, pid: a.pid, attributes: a.attributes, registered_time: a.registered, version: a.version, active: a.state === 'active',
    reserved_resources_full: byRole(a.list),
    unreserved_resources_full: list(a.total), capabilities: ['MULTI_ROLE', 'AGENT_DRAINING'],
    drain_info: a.state === 'draining' ? { state: 'DRAINING', config: { max_grace_period: { nanoseconds: 3e11 }, mark_gone: false } } : undefined,
  };
}

function byRole(list) {
  const roles = {};
  for (const r of list) (roles[r.reservations.at(-1).role] ??= []).push(r);
  return roles;
}

function explain(c, id) {
  const f = c.frameworks.find((x) => x.id === id);
  if (!f || f.state === 'completed') return [404, `No framework '${id}' is subscribed`];
  const why = [['OPEN', 'nothing stands in the way: the next run decides', ''], ['NOTHING_FREE', 'nothing is free that the framework may have', 'Wait for what others hold, change weights or quota, or unreserve what is reserved to other roles.'], ['FILTERED', 'the framework declined as much there, for 4 s more', 'Revive the framework, or wait.']];
  return [200, {
    framework_id: id, active: f.state === 'active', paused: false,
    roles: f.roles.map((role) => ({ role, subscribed: true, suppressed: false, dominant_share: 0.31, dominant_resource: 'cpus', role_share: 0.31, weight: 2, allocated: {}, agents_with_filters: 3, ahead: 2, first_in_order: [{ framework_id: c.frameworks[1].id, name: c.frameworks[1].name, role: 'batch', dominant_share: 0.12, dominant_resource: 'mem' }] })),
    agents: c.agents.slice(0, 60).map((a, i) => ({ agent_id: a.id, hostname: a.hostname, role: f.roles[0], reason: why[i % 3][0], why: why[i % 3][1], advice: why[i % 3][2], holds: 'cpus(*):1', free: i % 3 === 1 ? '' : 'cpus(*):2; mem(*):1024; ports(*):[31000-32000]' })),
    summary: { OPEN: 20, NOTHING_FREE: 20, FILTERED: 20, not_shown: 0 },
  }];
}

function call(c, { type, ...rest }) {
  if (type === 'GET_FRAMEWORKS') {
    return [200, { type, get_frameworks: { frameworks: c.frameworks.map((f, i) => ({
      framework_info: { id: { value: f.id }, name: f.name },
      offers: c.agents.filter((a, n) => a.offered[0] && n % c.frameworks.length === i).map((a) => ({ id: { value: `${a.id}-O${a.key}` }, framework_id: { value: f.id }, agent_id: { value: a.id }, hostname: a.hostname, resources: list(a.offered), allocation_info: { role: f.roles[0] } })),
    })) } }];
  }
  return operate(c, type, rest[type.toLowerCase()]) ?? [501, `The made-up master does not know ${type}`];
}
